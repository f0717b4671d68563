//! The file's layout, byte by byte as it is documented, and the edges of its regions.

use super::*;

const P: PartitionId = PartitionId(1);

/// Two partitions of four records each and two resends; the second life of producer 3.
fn create(bytes: &mut [u8]) -> LedgerMut<'_> {
    LedgerMut::create_after(bytes, ProducerId(3), Incarnation(1), BookKey(0xaabb_ccdd), 4, &[5, 1000])
}

fn space() -> Vec<u8> {
    vec![0xff; file_bytes(2, 4) + 2 * RESEND_BYTES]
}

/// A full partition, an empty one, and all resends.
fn full(closed: bool) -> Vec<u8> {
    let mut bytes = space();
    let mut ledger = create(&mut bytes);
    ledger.begin(P, 1000, 4);
    ledger.settle(P, 1000, State::Acked);
    ledger.settle(P, 1001, State::Acked);
    ledger.settle(P, 1003, State::Unknown);
    let place = ledger.begin_resend_in(PartitionId(0), 2, Attempt(1), 9).expect("room");
    ledger.settle_resend(place, State::Rejected);
    ledger.begin_resend(P, 1002, Attempt(2)).expect("room");
    assert_eq!(ledger.begin_resend(P, 1003, Attempt(1)), None);
    if closed {
        ledger.close();
    }
    bytes
}

#[test]
fn the_file_is_as_it_is_documented() {
    let mut expected = Vec::new();
    expected.extend(b"KBLEDGER");
    expected.extend(1_u32.to_le_bytes());
    expected.extend(3_u16.to_le_bytes());
    expected.extend(2_u16.to_le_bytes());
    expected.extend([1, 1, 0, 0]);
    expected.extend(0xaabb_ccdd_u32.to_le_bytes());
    // Capacities of a partition and of resends, resends, settle calls by state.
    for field in [4_u64, 2, 2, 0, 0, 1, 2, 0, 0, 1] {
        expected.extend(field.to_le_bytes());
    }
    let crc_at = expected.len();
    expected.resize(128, 0);
    for sequence in [5_u64, 5, 1000, 1004] {
        expected.extend(sequence.to_le_bytes());
    }
    expected.extend([0; 4]);
    let second = [State::Acked, State::Acked, State::Unreported, State::Unknown].map(|state| state as u8);
    expected.extend(second);
    for (sequence, partition, attempt, state, transaction) in
        [(2_u64, 0_u16, 1, State::Rejected, 9_u32), (1002, 1, 2, State::Unreported, 0)]
    {
        expected.extend(sequence.to_le_bytes());
        expected.extend(partition.to_le_bytes());
        expected.extend([attempt, state as u8]);
        expected.extend(transaction.to_le_bytes());
    }
    // In use: header without the checksum, table, the second partition, resends.
    let in_use = [&expected[..crc_at], &expected[crc_at + 4..160], &expected[164..]].concat();
    let crc = crc32c::crc32c(&in_use).to_le_bytes();
    expected[crc_at..crc_at + 4].copy_from_slice(&crc);
    assert_eq!(full(true), expected);
    assert_eq!((file_bytes(2, 4), expected.len()), (168, 200));
}

#[test]
fn a_full_ledger_is_legal_and_has_no_room() {
    let mut bytes = space();
    let mut ledger = create(&mut bytes);
    assert_eq!((ledger.next_sequence(P), ledger.room(P), ledger.room(PartitionId(0))), (1000, 4, 4));
    ledger.begin(P, 1000, 4);
    assert_eq!((ledger.next_sequence(P), ledger.room(P), ledger.room(PartitionId(0))), (1004, 0, 4));
    ledger.begin(P, 1004, 0);
    ledger.retract(P, 1004, 0);
    ledger.retract(P, 1001, 3);
    assert_eq!((ledger.next_sequence(P), ledger.room(P)), (1001, 3));
    assert_eq!(
        &bytes[164..168],
        [State::Unreported as u8, 0, 0, 0],
        "nothing is left of what was taken back"
    );
    for closed in [false, true] {
        let ledger = read(&full(closed)).expect("legal");
        assert_eq!((ledger.closed, ledger.resends.len(), ledger.partitions[1].runs.len()), (closed, 2, 3));
        assert_eq!((ledger.producer, ledger.incarnation), (ProducerId(3), Incarnation(1)));
        assert_eq!(ledger.book, BookKey(0xaabb_ccdd));
    }
    let mut header = vec![0; 128];
    LedgerMut::create(&mut header, ProducerId(0), Incarnation(0), BookKey(0), 0, 4).close();
    assert_eq!(read(&header).map(|ledger| ledger.partitions), Ok(vec![]), "a header alone");
}

/// The message with which this ends.
fn panic_of(write: fn(&mut LedgerMut<'_>)) -> String {
    let caught = std::panic::catch_unwind(|| write(&mut create(&mut space())));
    let payload = caught.expect_err("it must not go on");
    payload.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn nobody_writes_outside_of_a_region() {
    assert!(panic_of(|ledger| ledger.begin(P, 1000, 5)).contains("partition 1 is full"));
    assert!(panic_of(|ledger| ledger.begin(P, 1001, 1)).contains("sequences are dense"));
    assert!(panic_of(|ledger| ledger.settle(P, 999, State::Acked)).contains("sequence 999 is outside"));
    assert!(panic_of(|ledger| ledger.settle(P, 1004, State::Acked)).contains("sequence 1004 is outside"));
    assert!(panic_of(|ledger| ledger.settle_resend(2, State::Acked)).contains("resend 2 is outside"));
    let early = panic_of(|ledger| {
        ledger.begin(P, 1000, 3);
        ledger.retract(P, 1000, 2);
    });
    assert!(early.contains("only the last records"), "{early}");
    let short = std::panic::catch_unwind(|| _ = create(&mut vec![0; file_bytes(2, 4) - 1]));
    assert!(short.is_err(), "a partition would be too short");
}

#[test]
fn what_cannot_be_a_ledger_is_told_why() {
    let whole = full(false);
    for bytes in [0, 127] {
        assert_eq!(read(&whole[..bytes]), Err(LedgerError::TooShort { bytes, needed: 128 }));
    }
    for bytes in [128, 168, 199] {
        assert_eq!(read(&whole[..bytes]), Err(LedgerError::TooShort { bytes, needed: 200 }));
    }
    let with = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        read(&bytes)
    };
    assert_eq!(with(7, b'S'), Err(LedgerError::NotALedger));
    assert_eq!(with(8, 2), Err(LedgerError::Version(2)));
    assert_eq!(with(17, 2), Err(LedgerError::Header("neither open nor closed")));
    assert_eq!(with(40, 3), Err(LedgerError::Header("more resends than there is room for")));
    // The second partition's next sequence: 1004 is the last possible one, 999 is below its first.
    let outside = Err(LedgerError::Header("a next sequence outside of its region"));
    assert_eq!(with(152, 0xed), outside);
    assert_eq!(with(152, 0xe7), outside);
    for byte in [0, 7] {
        assert_eq!(with(166, byte), Err(LedgerError::Entry { partition: 1, sequence: 1002, byte }));
        assert_eq!(with(195, byte), Err(LedgerError::Entry { partition: 1, sequence: 1002, byte }));
    }
}

#[test]
fn every_byte_in_use_of_a_closed_ledger_is_under_its_checksum_and_no_other() {
    let whole = full(true);
    let changed = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        read(&bytes)
    };
    // What the closing flag says is looked at first, and what is not in use by nobody.
    for at in (0..200).filter(|at| *at != 17) {
        assert_eq!(changed(at).is_err(), !(160..164).contains(&at), "byte {at}");
    }
    assert!(changed(17).is_ok_and(|ledger| !ledger.closed));
}

#[test]
fn nothing_is_a_ledger_before_all_of_it_stands() {
    let mut bytes = space();
    assert!(!is_blank(&bytes));
    bytes.fill(0);
    assert!(is_blank(&bytes));
    bytes[8] = 1;
    assert!(is_blank(&bytes), "the magic comes last");
    create(&mut bytes);
    assert!(!is_blank(&bytes));
}

#[test]
fn equal_entries_are_counted_to_the_first_that_differs() {
    for count in 1..40 {
        for behind in 0..20 {
            let bytes = [vec![3; count], vec![4; behind]].concat();
            assert_eq!(equal_bytes(&bytes), count);
        }
    }
}
