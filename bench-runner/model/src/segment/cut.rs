//! Where a power cut leaves a log: which of its last batches are gone. It takes batch headers, no files, and cuts nothing.

use super::{BATCH_HEADER, CONTROL_BIT, LENGTH_END, field};
use crate::fault::Lose;

/// Bytes of a batch that [`Head::parse`] looks at.
pub const HEAD: usize = BATCH_HEADER;

/// One batch, as its header tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Which of the log's segments, from 0.
    pub segment: usize,
    /// Where in it, in bytes.
    pub position: u64,
    /// Of the whole batch, in bytes.
    pub size: u64,
    /// The first offset behind it.
    pub next_offset: i64,
    /// Records of data in it (a control batch has none).
    pub records: u64,
    /// The latest time in it, in milliseconds after 1970.
    pub max_timestamp_ms: i64,
}

impl Head {
    /// Reads a header that begins at `position` of `segment`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(segment: usize, position: u64, bytes: &[u8; HEAD]) -> Result<Head, String> {
        let length = i32::from_be_bytes(field(bytes, 8));
        let size = u64::try_from(length).ok().map(|length| length + LENGTH_END as u64);
        let size = size.filter(|size| *size >= HEAD as u64).ok_or(format!("batch length {length}"))?;
        if bytes[16] != 2 {
            return Err(format!("magic {}, only 2 is known", bytes[16]));
        }
        let base_offset = i64::from_be_bytes(field(bytes, 0));
        let last_delta = i32::from_be_bytes(field(bytes, 23));
        let next_offset = base_offset.checked_add(i64::from(last_delta) + 1);
        let next_offset = next_offset.filter(|next| base_offset >= 0 && *next > base_offset);
        let count = i32::from_be_bytes(field(bytes, 57));
        let control = i16::from_be_bytes(field(bytes, 21)) & CONTROL_BIT != 0;
        Ok(Head {
            segment,
            position,
            size,
            next_offset: next_offset.ok_or(format!("base offset {base_offset}, last delta {last_delta}"))?,
            records: if control { 0 } else { u64::try_from(count).unwrap_or(0) },
            max_timestamp_ms: i64::from_be_bytes(field(bytes, 35)),
        })
    }
}

/// A log as its headers show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The first offset that it has, or would have.
    pub start: i64,
    /// The lengths of its segments, in bytes; the last one may end in part of a batch.
    pub lengths: Vec<u64>,
    /// Its whole batches, in order.
    pub heads: Vec<Head>,
}

/// Where a log is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutPlan {
    /// The last segment that is left.
    pub segment: usize,
    /// Its new length, in bytes; it may end in part of a batch then.
    pub length: u64,
    /// Bytes that go, of this segment and all later ones.
    pub bytes: u64,
    /// Log end offset before.
    pub end_before: i64,
    /// Log end offset after: behind the last batch that is still whole.
    pub end_after: i64,
    /// Records in batches that are gone.
    pub records: u64,
}

impl Outline {
    /// The offset behind the last whole batch.
    pub fn end(&self) -> i64 {
        self.heads.last().map_or(self.start, |head| head.next_offset)
    }

    /// Up to which offset batches lie in the first so many bytes of their segments, without a gap: what is on disk.
    pub fn clean_until(&self, clean_bytes: &[u64]) -> i64 {
        let clean = |head: &&Head| {
            clean_bytes.get(head.segment).is_some_and(|clean| head.position + head.size <= *clean)
        };
        self.heads.iter().take_while(clean).last().map_or(self.start, |head| head.next_offset)
    }

    /// Cuts what was not flushed: batches beyond the offset `flushed`, all or the last part of them, as of `now_ms`.
    pub fn cut(&self, flushed: i64, lose: Lose, now_ms: i64) -> CutPlan {
        let kept = self.heads.iter().take_while(|head| head.next_offset <= flushed).count();
        let tail = &self.heads[kept..];
        let end_of = |head: &Head| (head.segment, head.position + head.size);
        let floor = self.heads[..kept].last().map_or((0, 0), end_of);
        let place = match lose {
            Lose::All => tail.first().map(|head| (head.segment, head.position)),
            Lose::Time(time_ns) => {
                let since_ms = now_ms.saturating_sub(i64::try_from(time_ns / 1_000_000).unwrap_or(i64::MAX));
                let late = tail.iter().find(|head| head.max_timestamp_ms >= since_ms);
                late.map(|head| (head.segment, head.position))
            }
            Lose::Bytes(bytes) => Some(self.back(bytes).max(floor)),
        };
        // Nothing to lose: only what was being appended goes, part of a batch that nobody was told of.
        let (segment, length) = place.unwrap_or_else(|| self.heads.last().map_or((0, 0), end_of));
        let whole = |head: &&Head| end_of(head) <= (segment, length);
        let left = self.heads.iter().take_while(whole).count();
        let later: u64 = self.lengths[(segment + 1).min(self.lengths.len())..].iter().sum();
        CutPlan {
            segment,
            length,
            bytes: later + self.lengths.get(segment).map_or(0, |before| before.saturating_sub(length)),
            end_before: self.end(),
            end_after: self.heads[..left].last().map_or(self.start, |head| head.next_offset),
            records: self.heads[left..].iter().map(|head| head.records).sum(),
        }
    }

    /// The place so many bytes before the end.
    fn back(&self, mut bytes: u64) -> (usize, u64) {
        for (segment, length) in self.lengths.iter().enumerate().rev() {
            if bytes <= *length {
                return (segment, length - bytes);
            }
            bytes -= length;
        }
        (0, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches of ten records and 100 bytes, produced at 1000 ms, 1100 ms, ...; `per` of them in a segment.
    fn log(batches: u64, per: u64, torn: u64) -> Outline {
        let heads: Vec<Head> = (0..batches)
            .map(|at| Head {
                segment: (at / per) as usize,
                position: at % per * 100,
                size: 100,
                next_offset: (at as i64 + 1) * 10,
                records: 10,
                max_timestamp_ms: 1_000 + at as i64 * 100,
            })
            .collect();
        let mut lengths = vec![0; batches.div_ceil(per).max(1) as usize];
        for head in &heads {
            lengths[head.segment] += head.size;
        }
        *lengths.last_mut().expect("a segment") += torn;
        Outline { start: 0, lengths, heads }
    }

    fn told(plan: CutPlan) -> (usize, u64, u64, i64, u64) {
        let CutPlan { segment, length, bytes, end_after, records, .. } = plan;
        (segment, length, bytes, end_after, records)
    }

    #[test]
    fn all_goes_back_to_what_was_flushed_and_no_further() {
        assert_eq!(told(log(5, 10, 0).cut(0, Lose::All, 2_000)), (0, 0, 500, 0, 50));
        assert_eq!(told(log(5, 10, 0).cut(20, Lose::All, 2_000)), (0, 200, 300, 20, 30));
        // A batch of which only the first half would be flushed is not: batches are flushed whole.
        assert_eq!(told(log(5, 10, 0).cut(25, Lose::All, 2_000)), (0, 200, 300, 20, 30));
        assert_eq!(told(log(5, 10, 0).cut(99, Lose::All, 2_000)), (0, 500, 0, 50, 0));
        assert_eq!(told(log(5, 2, 0).cut(20, Lose::All, 2_000)), (1, 0, 300, 20, 30));
    }

    #[test]
    fn the_last_bytes_may_tear_a_batch() {
        assert_eq!(told(log(5, 10, 0).cut(0, Lose::Bytes(150), 2_000)), (0, 350, 150, 30, 20));
        assert_eq!(told(log(5, 2, 0).cut(0, Lose::Bytes(150), 2_000)), (1, 150, 150, 30, 20));
        assert_eq!(told(log(5, 10, 0).cut(40, Lose::Bytes(150), 2_000)), (0, 400, 100, 40, 10));
        assert_eq!(told(log(5, 10, 0).cut(0, Lose::Bytes(1_000), 2_000)), (0, 0, 500, 0, 50));
    }

    #[test]
    fn the_last_seconds_are_those_of_the_records() {
        assert_eq!(told(log(5, 10, 0).cut(0, Lose::Time(600_000_000), 1_900)), (0, 300, 200, 30, 20));
        assert_eq!(told(log(5, 10, 0).cut(0, Lose::Time(1_000_000), 9_000)), (0, 500, 0, 50, 0));
        assert_eq!(told(log(5, 10, 0).cut(40, Lose::Time(5_000_000_000), 1_500)), (0, 400, 100, 40, 10));
    }

    #[test]
    fn what_was_being_appended_is_never_whole() {
        assert_eq!(told(log(2, 10, 30).cut(99, Lose::All, 2_000)), (0, 200, 30, 20, 0));
        assert_eq!(told(log(0, 10, 30).cut(0, Lose::All, 2_000)), (0, 0, 30, 0, 0));
    }

    #[test]
    fn a_batch_is_on_disk_when_all_before_it_is() {
        assert_eq!(log(4, 2, 0).clean_until(&[200, 150]), 30);
        assert_eq!(log(4, 2, 0).clean_until(&[150, 200]), 10);
        assert_eq!(log(4, 2, 0).clean_until(&[]), 0);
    }

    #[test]
    fn a_header_tells_of_offsets_and_records_and_trusts_nothing() {
        let mut bytes = [0_u8; HEAD];
        bytes[0..8].copy_from_slice(&7_i64.to_be_bytes());
        bytes[8..12].copy_from_slice(&100_i32.to_be_bytes());
        bytes[16] = 2;
        bytes[23..27].copy_from_slice(&4_i32.to_be_bytes());
        bytes[35..43].copy_from_slice(&99_i64.to_be_bytes());
        bytes[57..61].copy_from_slice(&5_i32.to_be_bytes());
        let head = Head::parse(1, 30, &bytes).expect("a header");
        let expected =
            Head { segment: 1, position: 30, size: 112, next_offset: 12, records: 5, max_timestamp_ms: 99 };
        assert_eq!(head, expected);
        bytes[22] = 1 << 5;
        assert_eq!(Head::parse(1, 30, &bytes).map(|head| head.records), Ok(0));
        bytes[16] = 1;
        assert!(Head::parse(1, 30, &bytes).is_err());
        bytes[16] = 2;
        bytes[8..12].copy_from_slice(&(-1_i32).to_be_bytes());
        assert!(Head::parse(1, 30, &bytes).is_err());
    }
}
