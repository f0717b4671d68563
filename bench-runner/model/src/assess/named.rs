//! Which records the offenders of a group are: findings about positions of the log know only those. It finds nothing itself.

use crate::ids::PartitionId;
use crate::processing::{Entry, Journal};
use crate::reading::{CopyRun, LogReading};
use crate::verdict::{Offender, Verdict};

/// Gives offenders that have an offset and no producer the identity of the record there: as members read it, which is
/// known also of what is no longer in the log, else as the log was read.
pub(super) fn name(verdict: &mut Verdict, readings: &[LogReading], journals: &[Journal]) {
    let nameless = |offender: &&mut Offender| offender.producer.is_none() && offender.sequence.is_none();
    let tallies = verdict.tallies.iter_mut().filter(|(kind, _)| kind.is_of_group());
    let mut offenders: Vec<&mut Offender> =
        tallies.flat_map(|(_, tally)| &mut tally.offenders).filter(nameless).collect();
    if offenders.is_empty() {
        return;
    }
    let processed = journals.iter().flat_map(|journal| &journal.entries).filter_map(|entry| match entry {
        Entry::Processed(run) => Some((run.partition, run.copies)),
        _ => None,
    });
    let read = readings.first().into_iter().flat_map(|reading| &reading.partitions);
    let read = read.flat_map(|part| part.runs.iter().map(move |run| (part.partition, *run)));
    for (partition, run) in processed.chain(read) {
        for offender in offenders.iter_mut().filter(|offender| offender.producer.is_none()) {
            if let Some(sequence) = sequence_at(offender, partition, &run) {
                (offender.producer, offender.sequence) = (Some(run.producer), Some(sequence));
            }
        }
    }
}

fn sequence_at(offender: &Offender, partition: PartitionId, run: &CopyRun) -> Option<u64> {
    let index = u64::try_from(offender.offset?.checked_sub(run.offset)?).ok()?;
    (offender.partition == partition && index < run.count).then(|| run.sequence + index)
}

/// Takes the names from `judged` that were not stored yet when `stored` was.
pub(super) fn forget_unless(stored: &Verdict, judged: &mut Verdict) {
    for (kind, judged) in judged.tallies.iter_mut().filter(|(kind, _)| kind.is_of_group()) {
        let Some(stored) = stored.tallies.get(kind) else { continue };
        for (stored, judged) in stored.offenders.iter().zip(&mut judged.offenders) {
            if stored.producer.is_none() && stored.offset == judged.offset {
                (judged.producer, judged.sequence) = (None, stored.sequence);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ProducerId;
    use crate::ledger::State;
    use crate::reading::{PartitionReading, Source};
    use crate::verdict::history::clean;
    use crate::verdict::{Tally, TallyKind, Weight};

    #[test]
    fn an_offender_is_the_record_at_its_offset_or_nobody() {
        let at = |partition, offset| Offender {
            producer: None,
            partition: PartitionId(partition),
            sequence: None,
            offset: Some(offset),
            class: None,
        };
        let run = CopyRun {
            offset: 10,
            count: 5,
            producer: ProducerId(3),
            incarnation: Default::default(),
            attempt: Default::default(),
            home: PartitionId(1),
            sequence: 70,
            transaction: 0,
        };
        let part = PartitionReading {
            partition: PartitionId(1),
            start: 0,
            end: 15,
            last_stable: 15,
            reached: 15,
            runs: vec![run],
            oddities: Vec::new(),
            batches_digest: None,
            invisible: Vec::new(),
        };
        let readings = [LogReading { source: Source::Reader, partitions: vec![part] }];
        let offenders = vec![at(0, 12), at(1, 9), at(1, 12), at(1, 15)];
        let tally = Tally { count: 4, of: 9, weight: Weight::Allowed, offenders, not_checked: None };
        let mut verdict = clean(10, State::Acked).verdict();
        verdict.tallies.insert(TallyKind::ProcessingLoss, tally);
        let before = verdict.clone();
        name(&mut verdict, &readings, &[]);
        let named = |verdict: &Verdict| -> Vec<Option<(u16, u64)>> {
            let offenders = verdict.tallies[&TallyKind::ProcessingLoss].offenders.iter();
            offenders.map(|one| Some((one.producer?.0, one.sequence?))).collect()
        };
        assert_eq!(named(&verdict), [None, None, Some((3, 72)), None]);
        forget_unless(&before, &mut verdict);
        assert_eq!(verdict, before);
    }
}
