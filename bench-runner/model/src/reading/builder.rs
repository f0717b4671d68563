//! Entries of one partition, one after the other, packed into runs on the fly. It judges nothing.

use super::{CopyRun, Oddity, PartitionReading};
use crate::ids::PartitionId;
use crate::message::{Decoded, Header};

/// Collects one partition; memory grows with runs and oddities, not with records.
#[derive(Debug)]
pub struct ReadingBuilder {
    partition: PartitionId,
    start: i64,
    /// The run that is still growing; `count` is 0 before the first copy.
    run: CopyRun,
    next_offset: i64,
    next_sequence: u64,
    identity: u64,
    runs: Vec<CopyRun>,
    oddities: Vec<(i64, Oddity)>,
}

#[inline]
fn identity(header: &Header) -> u64 {
    u64::from(header.producer.0) << 32
        | u64::from(header.partition.0) << 16
        | u64::from(header.incarnation.0) << 8
        | u64::from(header.attempt.0)
}

fn run_of(offset: i64, header: &Header, count: u64) -> CopyRun {
    CopyRun {
        offset,
        count,
        producer: header.producer,
        incarnation: header.incarnation,
        attempt: header.attempt,
        home: header.partition,
        sequence: header.sequence,
        transaction: header.transaction,
    }
}

impl ReadingBuilder {
    /// Begins a partition whose log starts at offset `start`.
    pub fn new(partition: PartitionId, start: i64) -> Self {
        ReadingBuilder {
            partition,
            start,
            run: run_of(start, &Header::default(), 0),
            next_offset: start,
            next_sequence: 0,
            identity: u64::MAX,
            runs: Vec::new(),
            oddities: Vec::new(),
        }
    }

    /// Adds one log entry, in the order of reading.
    #[inline]
    pub fn entry(&mut self, offset: i64, decoded: Decoded) {
        match decoded {
            Decoded::Copy(header) => self.copy(offset, &header),
            Decoded::Alien => self.oddities.push((offset, Oddity::Alien)),
            Decoded::Corrupt => self.oddities.push((offset, Oddity::Corrupt)),
        }
    }

    #[inline]
    fn copy(&mut self, offset: i64, header: &Header) {
        let identity = identity(header);
        if identity == self.identity
            && offset == self.next_offset
            && header.sequence == self.next_sequence
            && header.transaction == self.run.transaction
        {
            self.run.count += 1;
        } else {
            self.flush();
            self.run = run_of(offset, header, 1);
            self.identity = identity;
        }
        self.next_offset = offset.wrapping_add(1);
        self.next_sequence = header.sequence.wrapping_add(1);
    }

    fn flush(&mut self) {
        if self.run.count > 0 {
            self.runs.push(self.run);
        }
    }

    /// Adds one control record (only segment files show them).
    pub fn control(&mut self, offset: i64) {
        self.oddities.push((offset, Oddity::Control));
    }

    /// Ends the partition; the arguments are those of [`PartitionReading`].
    pub fn finish(mut self, end: i64, last_stable: i64, reached: i64) -> PartitionReading {
        self.flush();
        PartitionReading {
            partition: self.partition,
            start: self.start,
            end,
            last_stable,
            reached,
            runs: self.runs,
            oddities: self.oddities,
            batches_digest: None,
            invisible: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Attempt, Incarnation, ProducerId};
    use proptest::prelude::*;

    prop_compose! {
        fn a_header()(producer in 0_u16..2, partition in 0_u16..2, sequence in 0_u64..4, attempt in 0_u8..2, life in 0_u8..2, transaction in 0_u32..2) -> Header {
            Header {
                producer: ProducerId(producer),
                partition: PartitionId(partition),
                sequence,
                attempt: Attempt(attempt),
                incarnation: Incarnation(life),
                transaction,
                ..Header::default()
            }
        }
    }

    fn unpacked(reading: &PartitionReading) -> Vec<(i64, Header)> {
        let copies = |run: &CopyRun| {
            let run = *run;
            (0..run.count).map(move |index| {
                let header = Header {
                    producer: run.producer,
                    partition: run.home,
                    sequence: run.sequence + index,
                    attempt: run.attempt,
                    incarnation: run.incarnation,
                    transaction: run.transaction,
                    ..Header::default()
                };
                (run.offset + index as i64, header)
            })
        };
        reading.runs.iter().flat_map(copies).collect()
    }

    proptest! {
        #[test]
        fn runs_say_exactly_what_was_added(entries in prop::collection::vec((0_i64..2, a_header()), 0..60)) {
            let mut builder = ReadingBuilder::new(PartitionId(0), 5);
            let mut offset = 5;
            let mut added = Vec::new();
            for (gap, header) in entries {
                builder.entry(offset, Decoded::Copy(header));
                added.push((offset, header));
                offset += 1 + gap;
            }
            prop_assert_eq!(unpacked(&builder.finish(offset, offset, offset)), added);
        }
    }

    #[test]
    fn a_clean_log_is_one_run_and_an_oddity_splits_it() {
        let mut builder = ReadingBuilder::new(PartitionId(0), 0);
        let copy = |sequence| Decoded::Copy(Header { sequence, ..Header::default() });
        for sequence in 0..1000 {
            builder.entry(sequence, copy(sequence as u64));
        }
        builder.entry(1000, Decoded::Corrupt);
        builder.control(1001);
        builder.entry(1002, copy(1000));
        let reading = builder.finish(1003, 1003, 1003);
        assert_eq!(
            reading.runs.iter().map(|run| (run.offset, run.count)).collect::<Vec<_>>(),
            [(0, 1000), (1002, 1)]
        );
        assert_eq!(reading.oddities, [(1000, Oddity::Corrupt), (1001, Oddity::Control)]);
    }
}
