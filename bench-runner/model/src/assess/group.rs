//! What a consumer group did over time: commits, lag and rebalances, from journals and what the end-to-end reader was
//! handed. It judges nothing.

mod completions;
mod lag;
mod rebalances;

use super::statements::Statements;
use crate::processing::{Commit, CommitAnswer, Entry, Journal};
use crate::reading::LogReading;
use crate::result::{CellResult, GroupCourse, GroupSecond};
use crate::transactions::{State, Transactions};
use std::collections::BTreeMap;

const SECOND_NS: u64 = 1_000_000_000;
/// Errors of lives that were killed: only their number is known.
const KILLED: &str = "killed";
/// Later seconds are not told one by one.
const MOST_SECONDS: u64 = 86_400;

/// The course of the cell's group; `None`: there is none, or what it rests on was not stored.
pub(super) fn course(
    result: &CellResult,
    statements: &Statements,
    readings: &[LogReading],
    journals: &[Journal],
    pipelines: &[Transactions],
) -> Option<GroupCourse> {
    let delivered = statements.delivered.as_ref()?;
    let reading = readings.first()?;
    if journals.is_empty() {
        return None;
    }
    let t0_ns = statements.t0_ns;
    let transactions = pipelines.iter().flat_map(|life| &life.transactions).filter_map(commit_of);
    let calls: Vec<Call> = journals.iter().flat_map(calls).chain(transactions).collect();
    let begin_ns = t0_ns + result.cell.settings.load.warmup_ns;
    let window = begin_ns..begin_ns + result.window_ns;
    let held = |call: &&Call| call.answer == CommitAnswer::Ok;
    let in_window = calls.iter().filter(held).filter(|call| window.contains(&call.called_ns)).count();
    let bursts = result.cell.settings.load.arrival.is_bursts();
    let rated = !bursts && result.window_ns > 0;
    let completions = completions::first(journals, &window);
    Some(GroupCourse {
        completed: Some(completions.all),
        processed_per_s: rated.then(|| completions.in_window as f64 / (result.window_ns as f64 / 1e9)),
        commits: calls.len() as u64,
        unanswered_commits: count(&calls, CommitAnswer::None),
        failed_commits: failed(&calls, statements),
        commits_per_s: rated.then(|| in_window as f64 / (result.window_ns as f64 / 1e9)),
        seconds: seconds(&calls, &lag::course(delivered, reading, journals, t0_ns), t0_ns),
        rebalances: rebalances::of(journals, t0_ns),
    })
}

/// One call, of one partition or several.
struct Call {
    called_ns: u64,
    answer: CommitAnswer,
}

fn count(calls: &[Call], answer: CommitAnswer) -> u64 {
    calls.iter().filter(|call| call.answer == answer).count() as u64
}

/// The parts of one call stand together and carry one instant.
fn calls(journal: &Journal) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut last: Option<&Commit> = None;
    for entry in &journal.entries {
        let Entry::Commit(commit) = entry else {
            last = None;
            continue;
        };
        match (calls.last_mut(), last) {
            (Some(call), Some(before))
                if before.called_ns == commit.called_ns && before.partition != commit.partition =>
            {
                call.answer = graver(call.answer, commit.answer);
            }
            _ => calls.push(Call { called_ns: commit.called_ns, answer: commit.answer }),
        }
        last = Some(commit);
    }
    calls
}

/// The commit of a transaction with a batch and its offsets; `None`: it was not called, or the client did not send it.
fn commit_of(transaction: &crate::transactions::Transaction) -> Option<Call> {
    let answer = match transaction.state {
        State::Committed => CommitAnswer::Ok,
        State::CommitFailed => CommitAnswer::Failed,
        State::CommitCalled => CommitAnswer::None,
        State::Open
        | State::OffsetsSent
        | State::Unflushed
        | State::AbortCalled
        | State::Aborted
        | State::AbortFailed => return None,
    };
    Some(Call { called_ns: transaction.called_ns, answer })
}

fn graver(one: CommitAnswer, other: CommitAnswer) -> CommitAnswer {
    use CommitAnswer::{Failed, None, Ok};
    match (one, other) {
        (Failed, _) | (_, Failed) => Failed,
        (None, _) | (_, None) => None,
        (Ok, Ok) => Ok,
    }
}

/// By error as the closing statements say; what the journals hold beyond them is of lives that made none.
fn failed(calls: &[Call], statements: &Statements) -> BTreeMap<String, u64> {
    let mut failed: BTreeMap<String, u64> = BTreeMap::new();
    for member in &statements.members {
        // E.g. `commit: abortable: NOT_COORDINATOR: aborted`; after a retriable one the client was asked again, and answered in the end.
        let of_transactions = member.transaction_errors.iter().filter_map(|(error, count)| {
            let (judgement, rest) = error.strip_prefix("commit: ")?.split_once(": ")?;
            Some((rest.split(": ").next().filter(|_| judgement != "retriable")?, count))
        });
        let of_calls = member.failed_commits.iter().map(|(error, count)| (error.as_str(), count));
        for (error, count) in of_calls.chain(of_transactions) {
            *failed.entry(error.to_owned()).or_default() += count;
        }
    }
    let told: u64 = failed.values().sum();
    let untold = count(calls, CommitAnswer::Failed).saturating_sub(told);
    if untold > 0 {
        failed.insert(KILLED.to_owned(), untold);
    }
    failed
}

fn seconds(calls: &[Call], lag: &[(u64, u64)], t0_ns: u64) -> Vec<GroupSecond> {
    let mut seconds: Vec<GroupSecond> = (0_u32..)
        .zip(lag)
        .map(|(second, (lag_records, lag_ns))| GroupSecond {
            second,
            commits: 0,
            lag_records: *lag_records,
            lag_ns: *lag_ns,
        })
        .collect();
    for call in calls.iter().filter(|call| call.answer == CommitAnswer::Ok && call.called_ns >= t0_ns) {
        let second = usize::try_from((call.called_ns - t0_ns) / SECOND_NS).unwrap_or(usize::MAX);
        // A commit behind everything else (the last one of a member that leaves) belongs to the last second.
        let last = seconds.len().saturating_sub(1);
        if let Some(second) = seconds.get_mut(second.min(last)) {
            second.commits += 1;
        }
    }
    seconds
}

#[cfg(test)]
mod tests;
