//! Transactions beside the ledgers: which attempts went into which, and whether what is visible of each is all or nothing,
//! as its claim says. A record that was sent again is in several of them.

use super::TallyKind;
use super::books::{Books, LaneKey, Member, parts_of};
use super::findings::{Findings, Range};
use super::spans::Spans;
use super::tracker::Seen;
use crate::ids::{Attempt, Incarnation, ProducerId};
use crate::ledger::{Ledger, State};
use crate::reading::CopyRun;
use crate::transactions::{Claim, Transactions};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// One transaction of all: whose, which life, which.
type Which = (ProducerId, Incarnation, u32);

/// Enters the transactions of every life into the lanes, and holds them against the ledgers (a part of I11).
pub(super) fn add(books: &mut Books, ledgers: &[Ledger], lives: &[Transactions]) {
    for ledger in ledgers {
        let who = format!("producer {}, incarnation {}", ledger.producer, ledger.incarnation);
        let of =
            |life: &&Transactions| (life.producer, life.incarnation) == (ledger.producer, ledger.incarnation);
        let mut mine = lives.iter().filter(of);
        match (mine.next(), mine.next()) {
            (Some(life), None) => enter(books, ledger, life, &who),
            (None, _) => books.faults.push(format!("{who}: no evidence of its transactions")),
            (Some(_), Some(_)) => books.faults.push(format!("{who}: evidence of transactions twice")),
        }
    }
    if lives.len() != ledgers.len() {
        let (lives, ledgers) = (lives.len(), ledgers.len());
        books.faults.push(format!("{lives} lives with transactions, {ledgers} with ledgers"));
    }
    for lane in books.lanes.values_mut() {
        lane.members.sort_by_key(|one| (one.start, one.end));
    }
}

fn enter(books: &mut Books, ledger: &Ledger, life: &Transactions, who: &str) {
    let all = &life.transactions;
    books.transactions += all.len() as u64;
    // A killed process may have ended between an entry and its counter.
    let slack = u64::from(!life.closed);
    let by_entries = life.answers_by_entries();
    let off: u64 = by_entries.iter().zip(life.answers).map(|(a, b)| a.abs_diff(b)).sum();
    if off > slack {
        let counted = life.answers;
        books.faults.push(format!("{who}: answers {by_entries:?} by entries, {counted:?} by counters"));
    }
    for part in &ledger.partitions {
        let index = usize::from(part.partition.0);
        let first = |at: usize| all.get(at).and_then(|one| one.first_sequences.get(index)).copied();
        if part.next_sequence > part.first_sequence && first(0) != Some(part.first_sequence) {
            let partition = part.partition;
            books.faults.push(format!("{who}, partition {partition}: records before the first transaction"));
        }
        let lane = books.lanes.entry((ledger.producer, part.partition)).or_default();
        for (at, one) in all.iter().enumerate() {
            let start = first(at).unwrap_or(part.next_sequence);
            let end = first(at + 1).unwrap_or(part.next_sequence);
            let (incarnation, ordinal, claim) = (life.incarnation, one.ordinal, one.state.claim());
            match start.cmp(&end) {
                Ordering::Less => lane.members.push(Member { start, end, incarnation, ordinal, claim }),
                Ordering::Equal => {}
                Ordering::Greater => {
                    let what = format!("transaction {ordinal} ends at {end}, begins at {start}");
                    books.faults.push(format!("{who}: {what}"));
                }
            }
        }
    }
    let again = enter_again(books, ledger, life, who);
    for (at, one) in all.iter().enumerate() {
        if one.ordinal as usize != at + 1 {
            books.faults.push(format!("{who}: transaction {} stands at place {}", one.ordinal, at + 1));
        }
        let spans = ledger.partitions.iter().map(|part| {
            let first = |at: usize| {
                all.get(at).and_then(|one| one.first_sequences.get(usize::from(part.partition.0))).copied()
            };
            let end = first(at + 1).unwrap_or(part.next_sequence);
            end.saturating_sub(first(at).unwrap_or(end))
        });
        let entered = spans.sum::<u64>() + again.get(&one.ordinal).copied().unwrap_or(0);
        let may_be_short = !life.closed && at + 1 == all.len();
        let fits = if may_be_short { entered <= one.records } else { entered == one.records };
        if !fits {
            let (ordinal, counted) = (one.ordinal, one.records);
            books.faults.push(format!(
                "{who}: {entered} records entered in transaction {ordinal}, {counted} counted"
            ));
        }
    }
}

/// Enters the transactions of what a life has sent again; how many such attempts went into each.
fn enter_again(books: &mut Books, ledger: &Ledger, life: &Transactions, who: &str) -> BTreeMap<u32, u64> {
    let mut entered = BTreeMap::new();
    for resend in &ledger.resends {
        let (attempt, sequence, ordinal) = (resend.attempt, resend.sequence, resend.transaction);
        let Some(one) = (ordinal as usize).checked_sub(1).and_then(|at| life.transactions.get(at)) else {
            let what = format!("attempt {attempt} of {sequence} went into transaction {ordinal}");
            books.faults.push(format!("{who}: {what}, which was not begun"));
            continue;
        };
        *entered.entry(ordinal).or_default() += 1;
        let lane = books.lanes.entry((ledger.producer, resend.partition)).or_default();
        if let Some(again) = lane.resends.get_mut(&(sequence, attempt)) {
            again.claim = Some(one.state.claim());
        }
    }
    entered
}

/// Holds what copies say of their transaction against the ledgers (a part of I11); the first part of a run that differs.
pub(super) fn differing(books: &Books, run: &CopyRun) -> Option<String> {
    let lane = books.lanes.get(&(run.producer, run.home))?;
    let end = run.sequence + run.count;
    let differs = |ordinal, incarnation| ordinal != run.transaction || incarnation != run.incarnation;
    let (sequence, ordinal, incarnation) = if run.attempt == Attempt(0) {
        let mut parts = parts_of(&lane.members, run.sequence, end);
        let other = parts.find(|(_, _, one)| differs(one.ordinal, one.incarnation))?;
        (other.0, other.2.ordinal, other.2.incarnation)
    } else {
        (run.sequence..end).find_map(|sequence| {
            let again = lane.resends.get(&(sequence, run.attempt)).filter(|again| again.claim.is_some())?;
            let found = (sequence, again.ordinal, again.incarnation);
            differs(again.ordinal, again.incarnation).then_some(found)
        })?
    };
    let CopyRun { producer, home, transaction, incarnation: life, .. } = run;
    Some(format!(
        "producer {producer}, partition {home}, sequence {sequence}: the copy says transaction {transaction} of life {life}, \
         the ledger {ordinal} of life {incarnation}"
    ))
}

/// What was handed over in one transaction.
#[derive(Debug, Default)]
struct Whole {
    /// Some of it is visible.
    is_shown: bool,
    /// The first record that is not.
    missing: Option<(LaneKey, u64)>,
}

/// What is visible by transaction, of each only the attempts that went into it, and records handed over by claim.
#[derive(Debug, Default)]
pub(super) struct Wholeness {
    by_transaction: BTreeMap<Which, Whole>,
    handed: BTreeMap<Claim, u64>,
}

impl Wholeness {
    /// How many were handed over in transactions of this claim.
    pub(super) fn handed(&self, claim: Claim) -> u64 {
        self.handed.get(&claim).copied().unwrap_or(0)
    }

    /// Adds what is visible of one lane, and notes what its transactions claimed otherwise.
    pub(super) fn add(&mut self, books: &Books, key: LaneKey, seen: &Seen, findings: &mut Findings) {
        let Some(lane) = books.lanes.get(&key) else { return };
        let nothing = Spans::default();
        let mut enter = |which: (Incarnation, u32), claim, attempt, start: u64, end: u64| {
            let whole = self.by_transaction.entry((key.0, which.0, which.1)).or_default();
            *self.handed.entry(claim).or_default() += end - start;
            seen.attempts.get(&attempt).unwrap_or(&nothing).split(start, end, |a, b, visible| {
                if visible {
                    whole.is_shown = true;
                } else {
                    whole.missing.get_or_insert((key, a));
                }
                let kind = match (claim, visible) {
                    (Claim::Committed, false) => TallyKind::LogLoss,
                    (Claim::NeverCommitted, true) => TallyKind::AbortedRead,
                    _ => return,
                };
                findings.note(kind, records(key, a, b - a), |sequence| lane.class_of(sequence));
            });
        };
        for run in lane.entries.iter().filter(|run| run.state != State::Rejected) {
            for (start, end, one) in parts_of(&lane.members, run.start, run.end) {
                enter((one.incarnation, one.ordinal), one.claim, Attempt(0), start, end);
            }
        }
        for (&(sequence, attempt), again) in &lane.resends {
            if let (Some(claim), true) = (again.claim, again.state != State::Rejected) {
                enter((again.incarnation, again.ordinal), claim, attempt, sequence, sequence + 1);
            }
        }
    }

    /// Notes every transaction of which some records are visible and others are not.
    pub(super) fn note_torn(&self, findings: &mut Findings) {
        for whole in self.by_transaction.values() {
            if let (true, Some((key, sequence))) = (whole.is_shown, whole.missing) {
                findings.note(TallyKind::TornTransaction, records(key, sequence, 1), |_| None);
            }
        }
    }
}

fn records((producer, partition): LaneKey, sequence: u64, count: u64) -> Range {
    Range { producer: Some(producer), partition, sequence: Some(sequence), offset: None, count }
}
