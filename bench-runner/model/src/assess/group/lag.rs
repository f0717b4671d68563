//! How far the group is behind the log, second by second. It knows no rebalance and no commit.

use super::{MOST_SECONDS, SECOND_NS};
use crate::ids::PartitionId;
use crate::processing::{Entry, Journal};
use crate::reading::LogReading;
use crate::reading::{Oddity, PartitionReading};

/// The group gets from one position to another in this time, evenly.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    from_ns: u64,
    to_ns: u64,
    from: i64,
    to: i64,
}

/// Offsets from one to before another.
type Offsets = (i64, i64);

impl Stretch {
    fn at(&self, now_ns: u64) -> i64 {
        if now_ns >= self.to_ns {
            return self.to;
        }
        let (passed, all) = (now_ns.saturating_sub(self.from_ns), (self.to_ns - self.from_ns).max(1));
        let way = i128::from(self.to - self.from) * i128::from(passed) / i128::from(all);
        self.from + way as i64
    }
}

/// Records and nanoseconds that the group is behind at the end of each second after T0, up to the second in which the last
/// record was delivered or processed.
pub(super) fn course(
    delivered: &[u64],
    reading: &LogReading,
    journals: &[Journal],
    t0_ns: u64,
) -> Vec<(u64, u64)> {
    let partitions: Vec<(Vec<Offsets>, Vec<Stretch>)> = reading
        .partitions
        .iter()
        .map(|partition| (records(partition, journals), stretches(journals, partition.partition)))
        .collect();
    let last_ns = partitions.iter().flat_map(|(_, all)| all).map(|stretch| stretch.to_ns).max().unwrap_or(0);
    let processed_s = last_ns.saturating_sub(t0_ns).div_ceil(SECOND_NS).min(MOST_SECONDS);
    let seconds = (delivered.len() as u64).max(processed_s);
    let course = cumulated(delivered);
    (1..=seconds)
        .map(|second| {
            let now_ns = t0_ns + second * SECOND_NS;
            let passed: u64 =
                partitions.iter().map(|(known, all)| records_below(known, position(all, now_ns))).sum();
            let last = course.len() - 1;
            let known = course[usize::try_from(second).unwrap_or(last).min(last)];
            let lag_records = known.saturating_sub(passed);
            let lag_ns = if lag_records == 0 {
                0
            } else {
                (second * SECOND_NS).saturating_sub(reached_ns(&course, passed))
            };
            (lag_records, lag_ns)
        })
        .collect()
}

/// How many had been delivered by the beginning of each second, and by the end of the last.
fn cumulated(delivered: &[u64]) -> Vec<u64> {
    let mut sum = 0;
    let ends = delivered.iter().map(|count| {
        sum += count;
        sum
    });
    std::iter::once(0).chain(ends).collect()
}

/// When so many had been delivered, nanoseconds after T0, evenly within a second.
fn reached_ns(course: &[u64], records: u64) -> u64 {
    let after = course.partition_point(|sum| *sum <= records);
    let Some(before) = after.checked_sub(1) else { return 0 };
    let second_ns = before as u64 * SECOND_NS;
    let Some(end) = course.get(after) else { return second_ns };
    let part =
        u128::from(records - course[before]) * u128::from(SECOND_NS) / u128::from(end - course[before]);
    second_ns + u64::try_from(part).unwrap_or(0)
}

/// What happened to the group's position in a partition, over all lives, in the order of time.
fn stretches(journals: &[Journal], partition: PartitionId) -> Vec<Stretch> {
    let entries = journals.iter().flat_map(|journal| &journal.entries);
    let mut all: Vec<Stretch> = entries
        .filter_map(|entry| match entry {
            Entry::Assigned(moved) if moved.partition == partition && moved.position >= 0 => Some(Stretch {
                from_ns: moved.at_ns,
                to_ns: moved.at_ns,
                from: moved.position,
                to: moved.position,
            }),
            Entry::Processed(run) if run.partition == partition && run.completed > 0 => Some(Stretch {
                from_ns: run.begun_ns,
                to_ns: run.completed_ns.max(run.begun_ns),
                from: run.copies.offset,
                to: run.copies.offset + run.completed as i64,
            }),
            _ => None,
        })
        .collect();
    all.sort_by_key(|stretch| stretch.from_ns);
    all
}

fn position(stretches: &[Stretch], now_ns: u64) -> i64 {
    let begun = stretches.partition_point(|stretch| stretch.from_ns <= now_ns);
    stretches[..begun].last().map_or(0, |stretch| stretch.at(now_ns))
}

/// Offsets that have or had a record, as ranges in their order: the log as it was read, and what members processed, because a
/// log that was cut no longer has that.
fn records(reading: &PartitionReading, journals: &[Journal]) -> Vec<Offsets> {
    let read = reading.runs.iter().map(|run| (run.offset, run.offset + run.count as i64));
    let odd = reading.oddities.iter().filter(|(_, oddity)| *oddity != Oddity::Control);
    let processed = journals.iter().flat_map(|journal| &journal.entries).filter_map(|entry| match entry {
        Entry::Processed(run) if run.partition == reading.partition => {
            Some((run.copies.offset, run.copies.offset + run.completed as i64))
        }
        _ => None,
    });
    let mut all: Vec<Offsets> =
        read.chain(odd.map(|(offset, _)| (*offset, offset + 1))).chain(processed).collect();
    all.sort_unstable();
    let mut merged: Vec<Offsets> = Vec::new();
    for (from, to) in all {
        match merged.last_mut() {
            Some((_, end)) if from <= *end => *end = (*end).max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

/// How many of them lie below a position.
fn records_below(known: &[Offsets], position: i64) -> u64 {
    let below = known.iter().take_while(|(from, _)| *from < position);
    below.map(|(from, to)| (position.min(*to) - from) as u64).sum()
}
