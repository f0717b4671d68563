//! The layout of a transactions file, as functions on bytes; the program owns the mapping.
//!
//! Little endian. Header (64 bytes): magic `KBTXNLOG` · version u32 · producer u16 · incarnation u8 · closed u8 · partitions
//! u16 · six zero bytes · entries u64 · four counters of answers u64 (committed, commit failed, aborted, abort failed).
//! Then entries of 40 bytes and 8 for each partition: ordinal u32 · state u8 · three zero bytes · begun u64 · called u64 ·
//! answered u64 · records u64 · the first sequence of each partition u64.
//!
//! Each store leaves a file that reads as something true: counters follow what they count.

use super::{State, Transaction, Transactions};
use crate::ids::{Incarnation, ProducerId};
use std::sync::atomic::{Ordering, compiler_fence};

const MAGIC: &[u8; 8] = b"KBTXNLOG";
const VERSION: u32 = 1;
const HEADER: usize = 64;
const VERSION_AT: usize = 8;
const PRODUCER_AT: usize = 12;
const INCARNATION_AT: usize = 14;
const CLOSED_AT: usize = 15;
const PARTITIONS_AT: usize = 16;
const ENTRIES_AT: usize = 24;
const ANSWERS_AT: usize = 32;

/// Bytes of an entry before its sequences.
const ENTRY: usize = 40;
const _: () = assert!(ENTRY as u64 == crate::plan::Assumptions::TRANSACTION_BYTES);
const STATE_AT: usize = 4;
const BEGUN_AT: usize = 8;
const CALLED_AT: usize = 16;
const ANSWERED_AT: usize = 24;
const RECORDS_AT: usize = 32;

/// Why bytes are no transactions file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransactionsError {
    /// Shorter than its header says (or than a header).
    #[error("transactions file has {bytes} bytes, needs {needed}")]
    TooShort {
        /// Found.
        bytes: usize,
        /// Needed.
        needed: usize,
    },
    /// Another kind of file.
    #[error("not a transactions file: the magic is wrong")]
    Magic,
    /// Written by another version.
    #[error("transactions file version {0} is not {VERSION}")]
    Version(u32),
    /// An entry in no known state.
    #[error("transaction {index} is in state {state}, which is none")]
    State {
        /// Which entry, from 0.
        index: u64,
        /// The byte.
        state: u8,
    },
}

fn entry_bytes(partitions: u16) -> usize {
    ENTRY + 8 * usize::from(partitions)
}

/// Bytes of a file with room for so many transactions.
pub fn file_bytes(partitions: u16, transactions: u64) -> usize {
    HEADER + transactions as usize * entry_bytes(partitions)
}

fn get<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

fn get_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(get(bytes, at))
}

fn get_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(get(bytes, at))
}

/// A transactions file being written. One thread, one open transaction, no allocation after `create`.
#[derive(Debug)]
pub struct TransactionsMut<'a> {
    bytes: &'a mut [u8],
    entry_bytes: usize,
    room: u64,
    entries: u64,
    records: u64,
    answers: [u64; 4],
}

impl<'a> TransactionsMut<'a> {
    /// Lays out an empty file over zeroed bytes (this also populates a fresh mapping).
    ///
    /// # Panics
    /// When there is no room for a header.
    pub fn create(
        bytes: &'a mut [u8],
        producer: ProducerId,
        incarnation: Incarnation,
        partitions: u16,
    ) -> Self {
        assert!(bytes.len() >= HEADER, "transactions file has {} bytes", bytes.len());
        bytes.fill(0);
        let entry_bytes = entry_bytes(partitions);
        let room = ((bytes.len() - HEADER) / entry_bytes) as u64;
        let mut log = TransactionsMut { bytes, entry_bytes, room, entries: 0, records: 0, answers: [0; 4] };
        log.put(VERSION_AT, &VERSION.to_le_bytes());
        log.put(PRODUCER_AT, &producer.0.to_le_bytes());
        log.put(INCARNATION_AT, &[incarnation.0]);
        log.put(PARTITIONS_AT, &partitions.to_le_bytes());
        log.put(0, MAGIC);
        log
    }

    /// How many more transactions fit.
    pub fn room(&self) -> u64 {
        self.room - self.entries
    }

    fn put(&mut self, at: usize, field: &[u8]) {
        self.bytes[at..at + field.len()].copy_from_slice(field);
    }

    /// Where the latest transaction stands.
    fn at(&self) -> usize {
        HEADER + (self.entries as usize - 1) * self.entry_bytes
    }

    /// Notes a transaction that is begun now, and gives its ordinal. `first_sequences` has one for each partition.
    ///
    /// # Panics
    /// When there is no [`room`](Self::room).
    pub fn begin(&mut self, first_sequences: impl Iterator<Item = u64>, now_ns: u64) -> u32 {
        assert!(self.entries < self.room, "the transactions file is full");
        self.entries += 1;
        self.records = 0;
        let (at, ordinal) = (self.at(), self.entries as u32);
        for (index, sequence) in first_sequences.enumerate() {
            self.put(at + ENTRY + 8 * index, &sequence.to_le_bytes());
        }
        self.put(at, &ordinal.to_le_bytes());
        self.put(at + STATE_AT, &[State::Open as u8]);
        self.put(at + BEGUN_AT, &now_ns.to_le_bytes());
        compiler_fence(Ordering::SeqCst);
        self.put(ENTRIES_AT, &self.entries.to_le_bytes());
        ordinal
    }

    /// Counts records into the latest transaction; call it before they are handed over.
    #[inline]
    pub fn took(&mut self, records: u64) {
        self.records += records;
        let at = self.at();
        self.put(at + RECORDS_AT, &self.records.to_le_bytes());
    }

    /// Takes back records that were counted and never handed over.
    pub fn gave_back(&mut self, records: u64) {
        self.records -= records;
        let at = self.at();
        self.put(at + RECORDS_AT, &self.records.to_le_bytes());
    }

    /// Notes that the latest transaction, still open, holds offsets of a consumer group.
    pub fn sent_offsets(&mut self) {
        let at = self.at();
        self.put(at + STATE_AT, &[State::OffsetsSent as u8]);
    }

    /// Notes that commit or abort is called now for the latest transaction.
    pub fn called(&mut self, state: State, now_ns: u64) {
        let at = self.at();
        self.put(at + CALLED_AT, &now_ns.to_le_bytes());
        compiler_fence(Ordering::SeqCst);
        self.put(at + STATE_AT, &[state as u8]);
    }

    /// Notes the answer to the latest call.
    pub fn answered(&mut self, state: State, now_ns: u64) {
        let at = self.at();
        self.put(at + ANSWERED_AT, &now_ns.to_le_bytes());
        compiler_fence(Ordering::SeqCst);
        self.put(at + STATE_AT, &[state as u8]);
        if let Some(index) = state.counter() {
            compiler_fence(Ordering::SeqCst);
            self.answers[index] += 1;
            self.put(ANSWERS_AT + 8 * index, &self.answers[index].to_le_bytes());
        }
    }

    /// Marks the end in good order.
    pub fn close(mut self) {
        self.put(CLOSED_AT, &[1]);
    }
}

/// Nothing was written yet: its process was killed before it could begin a transaction.
pub fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().take(MAGIC.len()).all(|byte| *byte == 0)
}

/// Reads a file, whole or left behind by a killed process.
///
/// # Errors
/// See [`TransactionsError`].
pub fn read(bytes: &[u8]) -> Result<Transactions, TransactionsError> {
    let too_short = |needed| TransactionsError::TooShort { bytes: bytes.len(), needed };
    if bytes.len() < HEADER {
        return Err(too_short(HEADER));
    }
    if &bytes[..8] != MAGIC {
        return Err(TransactionsError::Magic);
    }
    let version = u32::from_le_bytes(get(bytes, VERSION_AT));
    if version != VERSION {
        return Err(TransactionsError::Version(version));
    }
    let partitions = get_u16(bytes, PARTITIONS_AT);
    let (entries, entry_bytes) = (get_u64(bytes, ENTRIES_AT), entry_bytes(partitions));
    let needed = usize::try_from(entries)
        .ok()
        .and_then(|entries| entries.checked_mul(entry_bytes))
        .and_then(|all| all.checked_add(HEADER))
        .unwrap_or(usize::MAX);
    if bytes.len() < needed {
        return Err(too_short(needed));
    }
    let transaction = |index: u64| {
        let at = HEADER + index as usize * entry_bytes;
        let state = bytes[at + STATE_AT];
        Ok(Transaction {
            ordinal: u32::from_le_bytes(get(bytes, at)),
            state: State::from_byte(state).ok_or(TransactionsError::State { index, state })?,
            begun_ns: get_u64(bytes, at + BEGUN_AT),
            called_ns: get_u64(bytes, at + CALLED_AT),
            answered_ns: get_u64(bytes, at + ANSWERED_AT),
            records: get_u64(bytes, at + RECORDS_AT),
            first_sequences: (0..usize::from(partitions))
                .map(|index| get_u64(bytes, at + ENTRY + 8 * index))
                .collect(),
        })
    };
    let counters = [0, 1, 2, 3].map(|index| get_u64(bytes, ANSWERS_AT + 8 * index));
    Ok(Transactions {
        producer: ProducerId(get_u16(bytes, PRODUCER_AT)),
        incarnation: Incarnation(bytes[INCARNATION_AT]),
        closed: bytes[CLOSED_AT] == 1,
        answers: counters,
        transactions: (0..entries).map(transaction).collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(close: bool) -> Vec<u8> {
        let mut bytes = vec![0; file_bytes(2, 3)];
        let mut log = TransactionsMut::create(&mut bytes, ProducerId(4), Incarnation(1), 2);
        assert_eq!(log.begin([0, 0].into_iter(), 5), 1);
        log.took(3);
        log.called(State::CommitCalled, 6);
        log.answered(State::Committed, 7);
        assert_eq!(log.begin([2, 1].into_iter(), 8), 2);
        log.took(5);
        log.gave_back(1);
        log.called(State::CommitCalled, 9);
        log.answered(State::Unflushed, 10);
        log.called(State::AbortCalled, 11);
        assert_eq!(log.room(), 1);
        if close {
            log.close();
        }
        bytes
    }

    #[test]
    fn what_is_written_is_read_back_also_after_a_kill() {
        for close in [false, true] {
            let read = read(&written(close)).expect("well-formed");
            assert_eq!(
                (read.producer, read.incarnation, read.closed),
                (ProducerId(4), Incarnation(1), close)
            );
            assert_eq!((read.answers, read.answers_by_entries()), ([1, 0, 0, 0], [1, 0, 0, 0]));
            let first = Transaction {
                ordinal: 1,
                state: State::Committed,
                begun_ns: 5,
                called_ns: 6,
                answered_ns: 7,
                records: 3,
                first_sequences: vec![0, 0],
            };
            let second = Transaction {
                ordinal: 2,
                state: State::AbortCalled,
                begun_ns: 8,
                called_ns: 11,
                answered_ns: 10,
                records: 4,
                first_sequences: vec![2, 1],
            };
            assert_eq!(read.transactions, [first, second]);
        }
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let bytes = written(true);
        for cut in [0, 10, HEADER - 1, bytes.len() - entry_bytes(2) - 1] {
            assert!(matches!(read(&bytes[..cut]), Err(TransactionsError::TooShort { .. })), "cut at {cut}");
        }
        let changed = |at: usize, byte: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            read(&bytes)
        };
        assert_eq!(changed(0, b'x'), Err(TransactionsError::Magic));
        assert_eq!((is_blank(&bytes), is_blank(&[0; 200])), (false, true));
        assert_eq!(changed(VERSION_AT, 9), Err(TransactionsError::Version(9)));
        assert_eq!(changed(HEADER + STATE_AT, 0), Err(TransactionsError::State { index: 0, state: 0 }));
        assert!(matches!(changed(ENTRIES_AT + 7, 255), Err(TransactionsError::TooShort { .. })));
    }
}
