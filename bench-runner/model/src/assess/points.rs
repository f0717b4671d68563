//! Whether a member's death was at the point that the plan names: its journal, and the transactions of its pipeline, say how
//! far it had got. It counts nothing.

use crate::fault::{Death, End, Point};
use crate::processing::{CommitAnswer, Entry, Journal};
use crate::transactions::{State, Transactions};

/// Records that a life has completed at the point of its death; as many are begun.
pub(super) fn completed_at(death: &Death) -> u64 {
    match death.point {
        Point::AfterProcessing | Point::BetweenWriteAndCommit => death.record,
        _ => death.record.saturating_sub(1),
    }
}

/// Whether a life that has begun and completed so many records is at the point of its death; and how exactly
/// [`completed_at`] says where that is. With a sink batches are completed as a whole.
pub(super) fn is_there(
    death: &Death,
    batch: Option<u64>,
    begun: u64,
    completed: u64,
) -> (bool, &'static str) {
    let expected = completed_at(death);
    match (batch, death.point) {
        // To the end of the record's batch.
        (Some(batch), Point::BetweenWriteAndCommit) => {
            (begun == completed && (expected..expected + batch).contains(&completed), "at least ")
        }
        // All of the record's batch is begun, and nothing of it completed.
        (Some(batch), Point::BeforeWrite | Point::BetweenOffsetsAndCommit) => {
            let fits = (death.record..death.record + batch).contains(&begun)
                && completed < death.record
                && begun - completed <= batch;
            (fits, "around ")
        }
        (Some(batch), _) => (begun == expected && completed <= begun && begun - completed < batch, ""),
        (None, _) => ((begun, completed) == (expected, expected), ""),
    }
}

/// Whether a commit was called after the last batch was completed.
fn committed_behind(journal: &Journal) -> bool {
    let instants = |of: fn(&Entry) -> Option<u64>| journal.entries.iter().filter_map(of).max();
    let completed_ns = instants(|entry| match entry {
        Entry::Processed(run) => Some(run.completed_ns),
        _ => None,
    });
    let called_ns = instants(|entry| match entry {
        Entry::Commit(commit) => Some(commit.called_ns),
        _ => None,
    });
    called_ns.is_some() && called_ns >= completed_ns
}

/// What the journal says against the death having been where it was planned.
pub(super) fn misplaced(
    death: &Death,
    batch: Option<u64>,
    journal: &Journal,
    pipeline: Option<&Transactions>,
) -> Option<String> {
    let processed = journal.entries.iter().filter_map(|entry| match entry {
        Entry::Processed(run) => Some((run.copies.count, run.completed)),
        _ => None,
    });
    let (begun, completed) = processed.fold((0, 0), |sum, run| (sum.0 + run.0, sum.1 + run.1));
    let (fits, exact) = is_there(death, batch, begun, completed);
    if !fits {
        let expected = completed_at(death);
        return Some(format!(
            "its journal has {begun} begun and {completed} completed records, not {exact}{expected}"
        ));
    }
    if death.point == Point::BeforeWrite && journal.called != completed {
        return Some("its sink had been asked for its last batch".to_owned());
    }
    if death.point == Point::BetweenOffsetsAndCommit {
        let latest = pipeline.and_then(|one| one.transactions.last()).map(|one| one.state);
        if journal.called != begun || latest != Some(State::OffsetsSent) {
            return Some("its last transaction was not open with its offsets in it".to_owned());
        }
    }
    if death.point == Point::BetweenWriteAndCommit && committed_behind(journal) {
        return Some("its last batch was committed".to_owned());
    }
    if journal.closed != (death.end == End::Close) {
        return Some("its journal was closed otherwise".to_owned());
    }
    let last = journal.entries.iter().rev().find_map(|entry| match entry {
        Entry::Commit(commit) => Some(commit.answer),
        _ => None,
    });
    (death.point == Point::AfterCommit && last != Some(CommitAnswer::Ok))
        .then(|| "its last commit was not answered".to_owned())
}
