//! Segment files made by hand, whole and damaged. Nothing here reads Kafka's own files.

use super::*;
use crate::ids::{Attempt, Incarnation, ProducerId};
use crate::message::{Bodies, HEADER_BYTES, Header};
use crate::reading::Oddity;
use proptest::prelude::*;
use std::io::Write;

const BOOK: BookKey = BookKey(77);
const P: PartitionId = PartitionId(0);

fn varint(out: &mut Vec<u8>, value: i64) {
    let mut value = ((value << 1) ^ (value >> 63)) as u64;
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn payload(sequence: u64) -> Vec<u8> {
    let mut record = vec![0; HEADER_BYTES + 52];
    let header = Header { book: BOOK, sequence, ..Header::default() };
    Bodies::new(1, 100, 50).write(&mut record, &header);
    record
}

fn records(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (delta, payload) in payloads.iter().enumerate() {
        let mut body = vec![0];
        varint(&mut body, 3);
        varint(&mut body, delta as i64);
        varint(&mut body, -1);
        varint(&mut body, payload.len() as i64);
        body.extend(payload);
        varint(&mut body, 1);
        varint(&mut body, 2);
        body.extend(b"hk");
        varint(&mut body, -1);
        varint(&mut out, body.len() as i64);
        out.extend(body);
    }
    out
}

/// Codec 5 stands for snappy in xerial's framing.
fn packed(codec: i16, plain: &[u8]) -> Vec<u8> {
    let raw = |block: &[u8]| snap::raw::Encoder::new().compress_vec(block).expect("packs");
    match codec {
        0 => plain.to_vec(),
        1 => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(plain).expect("packs");
            encoder.finish().expect("packs")
        }
        2 => raw(plain),
        3 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(plain).expect("packs");
            encoder.finish().expect("packs")
        }
        4 => zstd::encode_all(plain, 1).expect("packs"),
        _ => {
            let mut out = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
            for block in plain.chunks(64) {
                let block = raw(block);
                out.extend((block.len() as u32).to_be_bytes());
                out.extend(block);
            }
            out
        }
    }
}

fn batch(base: i64, codec: i16, control: bool, payloads: &[Vec<u8>]) -> Vec<u8> {
    let attributes = (if codec == 5 { 2 } else { codec }) | (i16::from(control) << 5);
    let records = packed(codec, &records(payloads));
    let mut under_crc = attributes.to_be_bytes().to_vec();
    under_crc.extend((payloads.len() as i32 - 1).to_be_bytes());
    under_crc.extend([0; 16]);
    under_crc.extend(42_i64.to_be_bytes());
    under_crc.extend([0; 6]);
    under_crc.extend((payloads.len() as i32).to_be_bytes());
    under_crc.extend(records);
    let mut out = base.to_be_bytes().to_vec();
    out.extend((under_crc.len() as i32 + 9).to_be_bytes());
    out.extend([0, 0, 0, 3, 2]);
    out.extend(crc32c::crc32c(&under_crc).to_be_bytes());
    out.extend(under_crc);
    out
}

/// Sequences from the base offset on.
fn copies(base: i64, codec: i16, count: i64) -> Vec<u8> {
    batch(base, codec, false, &(base..base + count).map(|s| payload(s as u64)).collect::<Vec<_>>())
}

fn read(segments: &[&[u8]], end: i64) -> Result<SegmentReading, SegmentError> {
    read_partition(P, segments, Bounds { start: 0, end, last_stable: end }, BOOK)
}

#[test]
fn every_codec_gives_the_same_records_over_several_segments() {
    for codec in 0..=5 {
        let one = [copies(0, codec, 7), copies(7, codec, 1)].concat();
        let two = copies(8, codec, 12);
        let found = read(&[&one, &two], 20).unwrap_or_else(|error| panic!("codec {codec}: {error}"));
        let run = found.reading.runs[0];
        assert_eq!((found.reading.runs.len(), run.offset, run.count, run.sequence), (1, 0, 20, 0));
        assert_eq!((run.producer, run.incarnation, run.attempt), (ProducerId(0), Incarnation(0), Attempt(0)));
        assert_eq!((found.reading.reached, found.batches, found.bytes), (20, 3, one.len() + two.len()));
        assert_eq!(found.producer_ids, BTreeSet::from([42]));
    }
}

#[test]
fn control_alien_and_corrupt_entries_are_told_apart() {
    let mut flipped = payload(1);
    flipped[60] ^= 1;
    let bytes =
        [batch(0, 0, false, &[payload(0), flipped, vec![1; 10]]), batch(3, 0, true, &[vec![0; 6]])].concat();
    let found = read(&[&bytes], 4).expect("well-formed");
    assert_eq!(found.reading.oddities, [(1, Oddity::Corrupt), (2, Oddity::Alien), (3, Oddity::Control)]);
}

#[test]
fn a_torn_tail_is_an_error_only_before_the_end_offset() {
    let mut bytes = [copies(0, 0, 5), copies(5, 0, 5)].concat();
    let whole = read(&[&bytes], 5).expect("the second batch is beyond the end");
    bytes.truncate(bytes.len() - 1);
    assert_eq!(read(&[&bytes], 5).expect("torn beyond the end"), whole);
    let error = read(&[&bytes], 10).expect_err("torn before the end");
    assert_eq!((error.segment, error.position), (0, copies(0, 0, 5).len()));
}

#[test]
fn a_replica_that_ends_early_says_how_far_it_reached() {
    assert_eq!(read(&[&copies(0, 0, 5)], 9).expect("whole batches").reading.reached, 5);
}

#[test]
fn what_goes_on_behind_the_end_that_was_told_is_seen_over_several_segments() {
    let (one, two) = ([copies(0, 0, 5), copies(5, 0, 5)].concat(), copies(10, 4, 3));
    let found = read(&[&one, &two], 5).expect("whole batches");
    assert_eq!((found.reading.reached, end_behind(&[&one, &two], found.bytes)), (5, Some(13)));
    assert_eq!(end_behind(&[&one, &two[..two.len() - 1]], found.bytes), Some(10), "torn");
    assert_eq!(end_behind(&[&one, &[0; 100]], one.len()), None, "preallocated");
    let inside = read(&[&one], 7).expect("whole batches");
    assert_eq!((inside.reading.reached, end_behind(&[&one], inside.bytes)), (10, None));
    let run = inside.reading.runs[0];
    assert_eq!((run.offset, run.count), (0, 7));
}

#[test]
fn replicas_are_compared_however_they_are_cut() {
    let bytes = [copies(0, 0, 5), copies(5, 4, 5)].concat();
    let (front, back) = bytes.split_at(copies(0, 0, 5).len());
    assert!(same_bytes(&[&bytes], &[front, back], bytes.len()));
    assert!(!same_bytes(&[&bytes], &[front], bytes.len()));
    let mut other = bytes.clone();
    *other.last_mut().expect("bytes") ^= 1;
    assert!(!same_bytes(&[&bytes], &[&other], bytes.len()));
    assert!(same_bytes(&[&bytes], &[&other], bytes.len() - 1));
}

#[test]
fn the_digest_depends_on_every_batch() {
    let digest = |bytes: &[u8]| read(&[bytes], 10).expect("well-formed").reading.batches_digest;
    let one = digest(&[copies(0, 0, 5), copies(5, 0, 5)].concat());
    assert_ne!(one, digest(&copies(0, 0, 10)));
    assert_ne!(one, digest(&[copies(0, 0, 5), copies(5, 4, 5)].concat()));
}

proptest! {
    #[test]
    fn damaged_files_are_errors_and_never_panics(
        codec in 0_i16..=5,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        mend: bool,
    ) {
        let mut bytes = copies(0, codec, 20);
        let whole = read(&[&bytes], 20).expect("well-formed");
        let mut changed = bytes.clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            changed[at] = byte;
        }
        if mend {
            // Past the CRC check: the lengths inside must not be trusted either.
            let crc = crc32c::crc32c(&changed[ATTRIBUTES_AT..]).to_be_bytes();
            changed[17..21].copy_from_slice(&crc);
            let _ = read(&[&changed], 20);
        } else if let Ok(found) = read(&[&changed], 20) {
            // Only base offset, leader epoch and a length field within bounds lie outside of the CRC.
            prop_assert!(changed[16..] == bytes[16..]);
            prop_assert!(changed == bytes || found != whole);
        }
        bytes.truncate(bytes.len() - 1);
        prop_assert!(read(&[&bytes], 20).is_err());
    }
}
