//! Rebalances, from the partitions that members were given and gave up. It knows no records.

use super::super::group::SECOND_NS;
use crate::ids::PartitionId;
use crate::processing::{Entry, Journal};
use crate::result::{Rebalance, RebalanceCause};
use std::collections::{BTreeMap, BTreeSet};

/// Partitions that get their next owner within this time of each other do so in one rebalance.
const TOGETHER_NS: u64 = SECOND_NS / 4;

/// One life's time with a partition.
#[derive(Debug, Clone, Copy)]
struct Owned {
    life: usize,
    from_ns: u64,
    to_ns: u64,
    ended_by: RebalanceCause,
}

/// A partition between two owners.
#[derive(Debug, Clone, Copy)]
struct Gap {
    partition: PartitionId,
    from_ns: u64,
    to_ns: u64,
    cause: RebalanceCause,
}

/// All that ended after T0. What nobody takes over again (at the end of the cell) is none.
pub(super) fn of(journals: &[Journal], t0_ns: u64) -> Vec<Rebalance> {
    let signs: Vec<Vec<u64>> = journals.iter().map(signs_of_life).collect();
    let mut gaps: Vec<Gap> = Vec::new();
    for (partition, mut owners) in owners(journals, &signs) {
        owners.sort_by_key(|owned| owned.from_ns);
        gaps.extend(owners.windows(2).map(|pair| gap(partition, &pair[0], &pair[1], &signs)));
    }
    gaps.retain(|gap| gap.to_ns > t0_ns);
    // They begin when each owner was last heard of, and end together, when the group has agreed.
    gaps.sort_by_key(|gap| (gap.to_ns, gap.from_ns));
    let mut all: Vec<Rebalance> = Vec::new();
    let mut here: BTreeSet<PartitionId> = BTreeSet::new();
    for gap in gaps {
        let pause_ns = gap.to_ns - gap.from_ns;
        let (start_ns, end_ns) = (gap.from_ns.saturating_sub(t0_ns), gap.to_ns - t0_ns);
        match all.last_mut() {
            Some(rebalance)
                if end_ns <= rebalance.end_ns.saturating_add(TOGETHER_NS)
                    && !here.contains(&gap.partition) =>
            {
                rebalance.cause = rebalance.cause.max(gap.cause);
                rebalance.start_ns = rebalance.start_ns.min(start_ns);
                rebalance.end_ns = end_ns;
                rebalance.pause_ns = rebalance.pause_ns.max(pause_ns);
                rebalance.partitions += 1;
            }
            _ => {
                here.clear();
                all.push(Rebalance { cause: gap.cause, start_ns, end_ns, pause_ns, partitions: 1 });
            }
        }
        here.insert(gap.partition);
    }
    all.sort_by_key(|rebalance| (rebalance.start_ns, rebalance.end_ns));
    all
}

/// Every instant of a life that its journal tells, in order.
fn signs_of_life(journal: &Journal) -> Vec<u64> {
    let mut signs: Vec<u64> = journal
        .entries
        .iter()
        .flat_map(|entry| match entry {
            Entry::Assigned(moved) | Entry::Revoked(moved) | Entry::Lost(moved) => [moved.at_ns, 0],
            Entry::Processed(run) => [run.begun_ns, run.completed_ns],
            Entry::Commit(commit) => [commit.called_ns, commit.answered_ns],
        })
        .filter(|at_ns| *at_ns > 0)
        .collect();
    signs.sort_unstable();
    signs
}

fn owners(journals: &[Journal], signs: &[Vec<u64>]) -> BTreeMap<PartitionId, Vec<Owned>> {
    let mut owners: BTreeMap<PartitionId, Vec<Owned>> = BTreeMap::new();
    for (life, journal) in journals.iter().enumerate() {
        let mut open: BTreeMap<PartitionId, u64> = BTreeMap::new();
        let mut end = |open: &mut BTreeMap<PartitionId, u64>, partition, to_ns, ended_by| {
            if let Some(from_ns) = open.remove(&partition) {
                owners.entry(partition).or_default().push(Owned { life, from_ns, to_ns, ended_by });
            }
        };
        for entry in &journal.entries {
            match entry {
                Entry::Assigned(moved) => {
                    open.insert(moved.partition, moved.at_ns);
                }
                Entry::Revoked(moved) => {
                    end(&mut open, moved.partition, moved.at_ns, RebalanceCause::Revoked);
                }
                Entry::Lost(moved) => end(&mut open, moved.partition, moved.at_ns, RebalanceCause::Lost),
                Entry::Processed(_) | Entry::Commit(_) => {}
            }
        }
        let last_ns = signs[life].last().copied().unwrap_or(0);
        for partition in open.keys().copied().collect::<Vec<_>>() {
            end(&mut open, partition, last_ns, RebalanceCause::Death);
        }
    }
    owners
}

/// Whoever did not know that the partition was another's by then is behind it from his last sign of life before on.
fn gap(partition: PartitionId, before: &Owned, after: &Owned, signs: &[Vec<u64>]) -> Gap {
    if before.to_ns <= after.from_ns {
        return Gap { partition, from_ns: before.to_ns, to_ns: after.from_ns, cause: before.ended_by };
    }
    let of_life = &signs[before.life];
    let known = of_life.partition_point(|at_ns| *at_ns <= after.from_ns);
    let last_ns = of_life[..known].last().copied().unwrap_or(after.from_ns);
    let cause = before.ended_by.max(RebalanceCause::Lost);
    Gap { partition, from_ns: last_ns.max(before.from_ns).min(after.from_ns), to_ns: after.from_ns, cause }
}
