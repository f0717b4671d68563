//! Counts by kind, each with its first 32 offenders in an order that does not depend on shards. It weighs nothing.

use super::{Class, Offender, TallyKind};
use crate::ids::{PartitionId, ProducerId};
use std::collections::BTreeSet;

/// Offenders kept for each kind.
pub(super) const OFFENDERS: usize = 32;

type Key = (PartitionId, Option<ProducerId>, Option<u64>, Option<i64>, Option<Class>);

/// Consecutive offenders.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) producer: Option<ProducerId>,
    pub(super) partition: PartitionId,
    /// First sequence.
    pub(super) sequence: Option<u64>,
    /// First offset.
    pub(super) offset: Option<i64>,
    pub(super) count: u64,
}

/// All findings of a cell.
#[derive(Debug, Default)]
pub(super) struct Findings {
    kinds: [(u64, BTreeSet<Key>); TallyKind::ALL.len()],
}

impl Findings {
    /// Notes a range of offenders of one kind.
    pub(super) fn note(&mut self, kind: TallyKind, range: Range, class: impl Fn(u64) -> Option<Class>) {
        let (count, first) = &mut self.kinds[kind as usize];
        *count += range.count;
        for index in 0..range.count.min(OFFENDERS as u64) {
            let sequence = range.sequence.map(|sequence| sequence + index);
            let offset = range.offset.map(|offset| offset + index as i64);
            let key = (range.partition, range.producer, sequence, offset, sequence.and_then(&class));
            if first.len() == OFFENDERS && first.last().is_some_and(|last| *last <= key) {
                break;
            }
            first.insert(key);
            if first.len() > OFFENDERS {
                first.pop_last();
            }
        }
    }

    /// Replaces the findings of those kinds by another's.
    pub(super) fn take_over(&mut self, other: &Findings, of: impl Fn(TallyKind) -> bool) {
        for kind in TallyKind::ALL.into_iter().filter(|kind| of(*kind)) {
            self.kinds[kind as usize].clone_from(&other.kinds[kind as usize]);
        }
    }

    /// How many of one kind.
    pub(super) fn count(&self, kind: TallyKind) -> u64 {
        self.kinds[kind as usize].0
    }

    /// The first 32 of one kind.
    pub(super) fn offenders(&self, kind: TallyKind) -> Vec<Offender> {
        let offender = |&(partition, producer, sequence, offset, class): &Key| Offender {
            producer,
            partition,
            sequence,
            offset,
            class,
        };
        self.kinds[kind as usize].1.iter().map(offender).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Findings, OFFENDERS, PartitionId, Range, TallyKind};

    #[test]
    fn the_first_offenders_are_kept_in_whatever_order_they_come() {
        let mut findings = Findings::default();
        for (partition, count) in [(1, 40), (0, 5), (2, 7)] {
            let partition = PartitionId(partition);
            let range = Range { producer: None, partition, sequence: Some(100), offset: None, count };
            findings.note(TallyKind::LogLoss, range, |_| None);
        }
        let kept = findings.offenders(TallyKind::LogLoss);
        let of = |partition: u16| {
            kept.iter().filter(|one| one.partition.0 == partition).map(|one| one.sequence).collect::<Vec<_>>()
        };
        assert_eq!(findings.count(TallyKind::LogLoss), 52);
        assert_eq!(of(0), (100..105).map(Some).collect::<Vec<_>>());
        assert_eq!(of(1), (100..100 + OFFENDERS as u64 - 5).map(Some).collect::<Vec<_>>());
        assert!(of(2).is_empty());
    }
}
