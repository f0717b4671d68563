//! When records were completed for the first time, by anyone: what a group got done. It knows no commit.

use crate::ids::PartitionId;
use crate::processing::{Entry, Journal, Processed};
use crate::verdict::{Part, Spans};
use std::collections::BTreeMap;
use std::ops::Range;

/// Positions of the log, each counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Completions {
    /// Completed by anyone, at any time.
    pub(super) all: u64,
    /// Of these, for the first time within the window.
    pub(super) in_window: u64,
}

/// First completions of all lives; the window in nanoseconds of the monotonic clock. Of a run the first and the last instant are
/// known, a quarter of a second apart at most: between them its records are taken to be completed evenly.
pub(super) fn first(journals: &[Journal], window: &Range<u64>) -> Completions {
    let entries = journals.iter().flat_map(|journal| &journal.entries);
    let mut runs: Vec<&Processed> = entries
        .filter_map(|entry| match entry {
            Entry::Processed(run) if run.completed > 0 => Some(run),
            _ => None,
        })
        .collect();
    runs.sort_by_key(|run| run.completed_ns);
    let mut done: BTreeMap<PartitionId, Spans> = BTreeMap::new();
    let mut found = Completions::default();
    for run in runs {
        let start = u64::try_from(run.copies.offset).unwrap_or(0);
        let partition = done.entry(run.partition).or_default();
        partition.insert(start, start + run.completed, |a, b, part| {
            if part == Part::Fresh {
                found.all += b - a;
                found.in_window +=
                    (a..b).filter(|at| window.contains(&completed_ns(run, at - start))).count() as u64;
            }
        });
    }
    found
}

/// When the record with this index in its run was completed.
fn completed_ns(run: &Processed, index: u64) -> u64 {
    let took_ns = u128::from(run.completed_ns.saturating_sub(run.begun_ns));
    let left = u128::from(run.completed - 1 - index);
    let before_end_ns = took_ns * left / u128::from(run.completed);
    run.completed_ns - u64::try_from(before_end_ns).unwrap_or(0)
}
