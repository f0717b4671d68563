//! Our own parser of Kafka's segment files: the second witness of what a replica holds.
//!
//! Record batches of magic 2, each under its CRC-32C. It takes bytes, not files, and trusts no length in them.

pub mod cut;
pub mod dump;
mod markers;
mod records;
#[cfg(test)]
mod tests;

use crate::ids::{BookKey, PartitionId};
use crate::message;
use crate::reading::{PartitionReading, ReadingBuilder};
use markers::Markers;
use records::Records;
use std::collections::BTreeSet;

/// Bytes from the start of a batch to its length field's end; the length counts from there.
const LENGTH_END: usize = 12;
/// Bytes of a batch before its records.
const BATCH_HEADER: usize = 61;
/// Where the part under the CRC begins.
const ATTRIBUTES_AT: usize = 21;
const TRANSACTIONAL_BIT: i16 = 1 << 4;
const CONTROL_BIT: i16 = 1 << 5;

/// A malformed segment file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("segment {segment}, byte {position}: {what}")]
pub struct SegmentError {
    /// Which of the given segments, from 0.
    pub segment: usize,
    /// Where the batch begins, in bytes.
    pub position: usize,
    /// What is wrong with it.
    pub what: String,
}

/// The offsets that the cluster stated for a partition once it was quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Log start offset.
    pub start: i64,
    /// End offset (high watermark).
    pub end: i64,
    /// Last stable offset.
    pub last_stable: i64,
}

/// What the segment files of one replica of one partition hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentReading {
    /// Copies and oddities, control records included; carries the digest of the raw batches.
    pub reading: PartitionReading,
    /// Bytes of all segments, one after the other, up to the end offset: what replicas must have in common.
    pub bytes: usize,
    /// Number of batches in them.
    pub batches: u64,
    /// The producer ids seen, -1 for none.
    pub producer_ids: BTreeSet<i64>,
}

struct Batch<'a> {
    base_offset: i64,
    attributes: i16,
    last_offset_delta: i32,
    producer_id: i64,
    count: i32,
    head: &'a [u8],
    records: &'a [u8],
    size: usize,
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

impl<'a> Batch<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        if bytes.len() < BATCH_HEADER {
            return Err(format!("{} bytes left, a batch header has {BATCH_HEADER}", bytes.len()));
        }
        let length = i32::from_be_bytes(field(bytes, 8));
        let size = usize::try_from(length).ok().and_then(|length| length.checked_add(LENGTH_END));
        let size = size.filter(|size| *size >= BATCH_HEADER).ok_or(format!("batch length {length}"))?;
        if size > bytes.len() {
            return Err(format!("batch of {size} bytes, {} left", bytes.len()));
        }
        if bytes[16] != 2 {
            return Err(format!("magic {}, only 2 is known", bytes[16]));
        }
        let stated = u32::from_be_bytes(field(bytes, 17));
        let computed = crc32c::crc32c(&bytes[ATTRIBUTES_AT..size]);
        if stated != computed {
            return Err(format!("batch crc {stated:08x}, its content gives {computed:08x}"));
        }
        let base_offset = i64::from_be_bytes(field(bytes, 0));
        let last_offset_delta = i32::from_be_bytes(field(bytes, 23));
        if last_offset_delta < 0 || !(0..=i64::MAX - (1 << 32)).contains(&base_offset) {
            return Err(format!("base offset {base_offset}, last offset delta {last_offset_delta}"));
        }
        Ok(Batch {
            base_offset,
            attributes: i16::from_be_bytes(field(bytes, ATTRIBUTES_AT)),
            last_offset_delta,
            producer_id: i64::from_be_bytes(field(bytes, 43)),
            count: i32::from_be_bytes(field(bytes, 57)),
            head: &bytes[..ATTRIBUTES_AT],
            records: &bytes[BATCH_HEADER..size],
            size,
        })
    }

    fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    fn is_control(&self) -> bool {
        self.attributes & CONTROL_BIT != 0
    }

    fn next_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta) + 1
    }
}

/// A digest over the heads of batches: base offset, length, leader epoch and the checked CRC of everything behind.
struct Digest([u64; 2]);

impl Digest {
    fn add(&mut self, head: &[u8]) {
        for chunk in head.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            let word = u64::from_le_bytes(word);
            self.0[0] = (self.0[0] ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
            self.0[1] = (self.0[1].rotate_left(23) ^ word).wrapping_mul(0xd6e8_feb8_6659_fd93);
        }
    }

    fn text(&self) -> String {
        format!("{:016x}{:016x}", self.0[0], self.0[1])
    }
}

struct Parser {
    bounds: Bounds,
    book: BookKey,
    builder: ReadingBuilder,
    records: Records,
    digest: Digest,
    bytes: usize,
    batches: u64,
    next: i64,
    producer_ids: BTreeSet<i64>,
    markers: Markers,
}

impl Parser {
    fn batch(&mut self, batch: &Batch<'_>) -> Result<(), String> {
        if batch.base_offset < self.next {
            return Err(format!("base offset {} after next offset {}", batch.base_offset, self.next));
        }
        self.bytes += batch.size;
        self.batches += 1;
        self.digest.add(batch.head);
        self.producer_ids.insert(batch.producer_id);
        self.next = batch.next_offset();
        if self.next <= self.bounds.start {
            return Ok(());
        }
        let Parser { records, markers, builder, bounds, book, .. } = self;
        if batch.is_transactional() && !batch.is_control() {
            markers.data(batch.producer_id, (batch.base_offset, batch.next_offset().min(bounds.end)));
        }
        records.each(batch, *bounds, |record| match record.marker {
            None => builder.entry(record.offset, message::decode(record.payload, *book)),
            Some(marker) => {
                builder.control(record.offset);
                markers.end(batch.producer_id, marker);
            }
        })
    }
}

/// Parses the segments of one replica of one partition, in the order of their base offsets, up to the end offset.
///
/// What lies beyond the end offset is not looked at, so a tail that is being written may be torn; a batch that goes on beyond it
/// shows in `reached`.
///
/// # Errors
/// When a batch before the end offset is malformed or incomplete, with its place.
pub fn read_partition(
    partition: PartitionId,
    segments: &[&[u8]],
    bounds: Bounds,
    book: BookKey,
) -> Result<SegmentReading, SegmentError> {
    let mut parser = Parser {
        bounds,
        book,
        builder: ReadingBuilder::new(partition, bounds.start),
        records: Records::default(),
        digest: Digest([0; 2]),
        bytes: 0,
        batches: 0,
        next: 0,
        producer_ids: BTreeSet::new(),
        markers: Markers::default(),
    };
    'all: for (segment, bytes) in segments.iter().enumerate() {
        let mut position = 0;
        while position < bytes.len() {
            if parser.next >= bounds.end {
                break 'all;
            }
            let batch = Batch::parse(&bytes[position..]);
            let size = batch.as_ref().map_or(0, |batch| batch.size);
            let done = batch.and_then(|batch| parser.batch(&batch));
            done.map_err(|what| SegmentError { segment, position, what })?;
            position += size;
        }
    }
    let reached = parser.next.max(bounds.start);
    let mut reading = parser.builder.finish(bounds.end, bounds.last_stable, reached);
    reading.batches_digest = Some(parser.digest.text());
    let Parser { bytes, batches, producer_ids, markers, .. } = parser;
    reading.invisible = markers.invisible();
    Ok(SegmentReading { reading, bytes, batches, producer_ids })
}

/// Where the whole batches behind the first `bytes` bytes of a replica end, if there are any; what is torn there is none.
///
/// Behind the end offset of a quiet log there should be none: with some, clients were told of an end that is not the log's.
pub fn end_behind(segments: &[&[u8]], bytes: usize) -> Option<i64> {
    let mut skip = bytes;
    let mut end = None;
    for segment in segments {
        let (from, mut rest) = (skip.min(segment.len()), *segment);
        skip -= from;
        rest = &rest[from..];
        while let Ok(batch) = Batch::parse(rest) {
            end = Some(batch.next_offset());
            rest = &rest[batch.size..];
        }
    }
    end
}

/// Whether two replicas hold the same first `bytes` bytes, however each has cut them into segments: the cheap way to
/// know that the second one needs no parser.
pub fn same_bytes(one: &[&[u8]], other: &[&[u8]], bytes: usize) -> bool {
    let mut left = bytes;
    let (mut ones, mut others) = (one.iter(), other.iter());
    let (mut a, mut b): (&[u8], &[u8]) = (&[], &[]);
    while left > 0 {
        if a.is_empty() {
            let Some(next) = ones.next() else { return false };
            a = next;
            continue;
        }
        if b.is_empty() {
            let Some(next) = others.next() else { return false };
            b = next;
            continue;
        }
        let step = a.len().min(b.len()).min(left);
        if a[..step] != b[..step] {
            return false;
        }
        (a, b) = (&a[step..], &b[step..]);
        left -= step;
    }
    true
}
