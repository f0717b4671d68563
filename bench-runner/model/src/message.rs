//! The identity header at the front of every payload, and the seeded bodies behind it.
//!
//! Layout (little endian, 48 bytes): magic u16 · version u8 · attempt u8 · book u32 · producer u16 ·
//! partition u16 · incarnation u8 · three zero bytes · sequence u64 · intended send instant u64 ·
//! actual send instant u64 · transaction u32 · CRC-32C u32. Instants are nanoseconds of CLOCK_MONOTONIC.
//! The CRC covers the body first and then the other 44 header bytes, so that the sender computes a body's part once.

use crate::ids::{Attempt, BookKey, Incarnation, PartitionId, ProducerId};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Size of the header; the smallest record is the header alone.
pub const HEADER_BYTES: usize = 48;

const MAGIC: u16 = 0x524b;
const VERSION: u8 = 1;
const CRC_AT: usize = 44;
/// Distinct bodies of one pool fill at least this much, more than the window of every codec but zstd at full batches.
const POOL_BYTES: usize = 2 << 20;

/// A decoded header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// The book that the record belongs to.
    pub book: BookKey,
    /// Who made this copy.
    pub producer: ProducerId,
    /// The partition that it was meant for.
    pub partition: PartitionId,
    /// Dense per (producer, partition).
    pub sequence: u64,
    /// Application-level resend number.
    pub attempt: Attempt,
    /// Life of the worker.
    pub incarnation: Incarnation,
    /// Transaction ordinal, 0 outside transactions.
    pub transaction: u32,
    /// Intended send instant, nanoseconds.
    pub intended_ns: u64,
    /// Actual send instant, nanoseconds.
    pub actual_ns: u64,
}

/// What a payload turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// A record of this book.
    Copy(Header),
    /// No header of ours, or of another book.
    Alien,
    /// Ours by magic and book, but the CRC is wrong.
    Corrupt,
}

fn write_header(out: &mut [u8], header: &Header, body_crc: u32) {
    let out = &mut out[..HEADER_BYTES];
    out[0..2].copy_from_slice(&MAGIC.to_le_bytes());
    out[2] = VERSION;
    out[3] = header.attempt.0;
    out[4..8].copy_from_slice(&header.book.0.to_le_bytes());
    out[8..10].copy_from_slice(&header.producer.0.to_le_bytes());
    out[10..12].copy_from_slice(&header.partition.0.to_le_bytes());
    out[12..16].copy_from_slice(&[header.incarnation.0, 0, 0, 0]);
    out[16..24].copy_from_slice(&header.sequence.to_le_bytes());
    out[24..32].copy_from_slice(&header.intended_ns.to_le_bytes());
    out[32..40].copy_from_slice(&header.actual_ns.to_le_bytes());
    out[40..44].copy_from_slice(&header.transaction.to_le_bytes());
    let crc = crc32c::crc32c_append(body_crc, &out[..CRC_AT]);
    out[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
}

/// Writes the header in front of a body that is there already, with the CRC over both.
pub fn sign(record: &mut [u8], header: &Header) {
    let body_crc = crc32c::crc32c(&record[HEADER_BYTES..]);
    write_header(record, header, body_crc);
}

fn field<const N: usize>(payload: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&payload[at..at + N]);
    bytes
}

/// Reads the header without checking the CRC; `None` if it is not of this book.
#[inline]
pub fn peek(payload: &[u8], book: BookKey) -> Option<Header> {
    if payload.len() < HEADER_BYTES
        || field::<2>(payload, 0) != MAGIC.to_le_bytes()
        || payload[2] != VERSION
        || field::<4>(payload, 4) != book.0.to_le_bytes()
    {
        return None;
    }
    Some(Header {
        book,
        producer: ProducerId(u16::from_le_bytes(field(payload, 8))),
        partition: PartitionId(u16::from_le_bytes(field(payload, 10))),
        sequence: u64::from_le_bytes(field(payload, 16)),
        attempt: Attempt(payload[3]),
        incarnation: Incarnation(payload[12]),
        transaction: u32::from_le_bytes(field(payload, 40)),
        intended_ns: u64::from_le_bytes(field(payload, 24)),
        actual_ns: u64::from_le_bytes(field(payload, 32)),
    })
}

/// Reads and checks a payload.
#[inline]
pub fn decode(payload: &[u8], book: BookKey) -> Decoded {
    let Some(header) = peek(payload, book) else { return Decoded::Alien };
    let crc = crc32c::crc32c_append(crc32c::crc32c(&payload[HEADER_BYTES..]), &payload[..CRC_AT]);
    if crc.to_le_bytes() == field::<4>(payload, CRC_AT) { Decoded::Copy(header) } else { Decoded::Corrupt }
}

/// Seeded bodies of one size, each with its CRC computed once.
#[derive(Debug)]
pub struct Bodies {
    bytes: Vec<u8>,
    crcs: Vec<u32>,
    body_bytes: usize,
    next: usize,
}

impl Bodies {
    /// Bodies for records of `record_bytes` (at least [`HEADER_BYTES`]); `compressible_percent` of each is one
    /// repeated byte. The same seed gives the same bytes.
    pub fn new(seed: u64, record_bytes: u32, compressible_percent: u8) -> Self {
        let body_bytes = (record_bytes as usize).saturating_sub(HEADER_BYTES);
        let count = POOL_BYTES.checked_div(body_bytes).map_or(1, |count| count.clamp(16, 8192));
        let mut bytes = vec![0; count * body_bytes];
        ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
        let filler = body_bytes * usize::from(compressible_percent.min(100)) / 100;
        let mut crcs = Vec::with_capacity(count);
        for index in 0..count {
            let body = &mut bytes[index * body_bytes..(index + 1) * body_bytes];
            body[..filler].fill(b'x');
            crcs.push(crc32c::crc32c(body));
        }
        Bodies { bytes, crcs, body_bytes, next: 0 }
    }

    /// Writes header and the next body to `out`, which must be exactly one record long.
    #[inline]
    pub fn write(&mut self, out: &mut [u8], header: &Header) {
        let index = self.next;
        self.next = if index + 1 == self.crcs.len() { 0 } else { index + 1 };
        let body = &self.bytes[index * self.body_bytes..(index + 1) * self.body_bytes];
        out[HEADER_BYTES..].copy_from_slice(body);
        write_header(out, header, self.crcs[index]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(sequence: u64) -> Header {
        Header {
            book: BookKey(7),
            producer: ProducerId(1),
            partition: PartitionId(2),
            sequence,
            attempt: Attempt(3),
            incarnation: Incarnation(4),
            transaction: 5,
            intended_ns: 6,
            actual_ns: 7,
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(sequence: u64, size in 48_u32..3000, percent in 0_u8..=100) {
            let mut record = vec![0; size as usize];
            let mut bodies = Bodies::new(1, size, percent);
            for _ in 0..3 {
                bodies.write(&mut record, &header(sequence));
                prop_assert_eq!(decode(&record, BookKey(7)), Decoded::Copy(header(sequence)));
                prop_assert_eq!(decode(&record, BookKey(8)), Decoded::Alien);
            }
        }

        #[test]
        fn no_flipped_bit_goes_unnoticed(size in 48_usize..200, bit: prop::sample::Index) {
            let mut record = vec![0; size];
            Bodies::new(1, u32::try_from(size).expect("small"), 0).write(&mut record, &header(9));
            let bit = bit.index(size * 8);
            record[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!matches!(decode(&record, BookKey(7)), Decoded::Copy(_)));
        }

        #[test]
        fn any_bytes_are_decoded_without_a_panic(payload: Vec<u8>) {
            prop_assert_eq!(decode(&payload, BookKey(7)), Decoded::Alien);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bodies_and_another_one_others() {
        let body = |seed| Bodies::new(seed, 1024, 0).bytes;
        assert_eq!(body(1), body(1));
        assert_ne!(body(1), body(2));
    }

    #[test]
    fn compressible_bodies_begin_with_filler() {
        let bodies = Bodies::new(1, 148, 50);
        assert!(bodies.bytes[..50].iter().all(|byte| *byte == b'x'));
        assert!(bodies.bytes[50..100].iter().any(|byte| *byte != b'x'));
    }
}
