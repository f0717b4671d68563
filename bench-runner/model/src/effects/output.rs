//! A row as a record of a pipeline's output topic: the identity of the record that it is an effect of stands in the record's
//! header, everything else in its body. It judges nothing.
//!
//! Body (little endian): source offset i64 · processing u64 · source partition u16 · member u16 · life u8 · three zero bytes.

use super::EffectRun;
use crate::ids::{BookKey, Incarnation, MemberId, PartitionId};
use crate::message::{self, Decoded, HEADER_BYTES};
use crate::reading::CopyRun;

/// The smallest output record.
pub const ROW_BYTES: usize = HEADER_BYTES + 24;

/// Writes the body of one row; the header is signed behind it.
pub fn write(record: &mut [u8], row: &EffectRun) {
    let body = &mut record[HEADER_BYTES..ROW_BYTES];
    body[0..8].copy_from_slice(&row.copies.offset.to_le_bytes());
    body[8..16].copy_from_slice(&row.processing.to_le_bytes());
    body[16..18].copy_from_slice(&row.partition.0.to_le_bytes());
    body[18..20].copy_from_slice(&row.member.0.to_le_bytes());
    body[20..24].copy_from_slice(&[row.life.0, 0, 0, 0]);
}

fn field<const N: usize>(body: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&body[at..at + N]);
    bytes
}

/// Which life of which member wrote a record of the output topic, unchecked; `None`: it is too short.
#[inline]
pub fn peek_writer(payload: &[u8]) -> Option<(MemberId, Incarnation)> {
    let body = payload.get(HEADER_BYTES..ROW_BYTES)?;
    Some((MemberId(u16::from_le_bytes(field(body, 18))), Incarnation(body[20])))
}

/// Reads a record of the output topic; `None`: it is no row of this book. `copies.transaction` is the pipeline's.
pub fn read(payload: &[u8], book: BookKey) -> Option<EffectRun> {
    let Decoded::Copy(header) = message::decode(payload, book) else { return None };
    let body = payload.get(HEADER_BYTES..ROW_BYTES)?;
    let (member, life) = peek_writer(payload)?;
    let copies = CopyRun {
        offset: i64::from_le_bytes(field(body, 0)),
        count: 1,
        producer: header.producer,
        incarnation: header.incarnation,
        attempt: header.attempt,
        home: header.partition,
        sequence: header.sequence,
        transaction: header.transaction,
    };
    Some(EffectRun {
        partition: PartitionId(u16::from_le_bytes(field(body, 16))),
        copies,
        member,
        life,
        processing: u64::from_le_bytes(field(body, 8)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Attempt, ProducerId};
    use crate::message::{Header, sign};

    #[test]
    fn what_is_written_is_read_back() {
        let copies = CopyRun {
            offset: 3,
            count: 1,
            producer: ProducerId(4),
            incarnation: Incarnation(5),
            attempt: Attempt(6),
            home: PartitionId(7),
            sequence: 8,
            transaction: 9,
        };
        let row = EffectRun {
            partition: PartitionId(10),
            copies,
            member: MemberId(11),
            life: Incarnation(12),
            processing: 13,
        };
        let mut record = vec![7; ROW_BYTES + 5];
        write(&mut record, &row);
        let header = Header {
            book: BookKey(1),
            producer: copies.producer,
            partition: copies.home,
            sequence: copies.sequence,
            attempt: copies.attempt,
            incarnation: copies.incarnation,
            transaction: copies.transaction,
            intended_ns: 0,
            actual_ns: 0,
        };
        sign(&mut record, &header);
        assert_eq!(read(&record, BookKey(1)), Some(row));
        assert_eq!(read(&record, BookKey(2)), None);
        assert_eq!(peek_writer(&record), Some((row.member, row.life)));
        assert_eq!(peek_writer(&record[..ROW_BYTES - 1]), None);
        record[ROW_BYTES - 4] ^= 1;
        assert_eq!(read(&record, BookKey(1)), None);
        let mut short = record[..HEADER_BYTES].to_vec();
        sign(&mut short, &header);
        assert_eq!(read(&short, BookKey(1)), None);
    }
}
