//! Transactions beside the ledgers: which records went into which, and whether what is visible of each is all or nothing.

use super::TallyKind;
use super::books::{Books, LaneKey, Member, parts_of};
use super::findings::{Findings, Range};
use super::tracker::Seen;
use crate::ids::{Incarnation, ProducerId};
use crate::ledger::Ledger;
use crate::reading::CopyRun;
use crate::transactions::Transactions;
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
            if start < end {
                lane.members.push(Member { start, end, incarnation, ordinal, claim });
            } else if start > end {
                books.faults.push(format!("{who}: transaction {ordinal} ends at {end}, begins at {start}"));
            }
        }
    }
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
        let entered: u64 = spans.sum();
        let may_be_short = !life.closed && at + 1 == all.len();
        if entered != one.records && !(may_be_short && entered < one.records) {
            let (ordinal, counted) = (one.ordinal, one.records);
            books.faults.push(format!(
                "{who}: {entered} records entered in transaction {ordinal}, {counted} counted"
            ));
        }
    }
}

/// Holds what copies say of their transaction against the ledgers (a part of I11); each part of a run that differs.
pub(super) fn differing(books: &Books, run: &CopyRun) -> Option<String> {
    let lane = books.lanes.get(&(run.producer, run.home))?;
    let mut parts = parts_of(&lane.members, run.sequence, run.sequence + run.count);
    let other =
        parts.find(|(_, _, one)| one.ordinal != run.transaction || one.incarnation != run.incarnation)?;
    Some(format!(
        "producer {}, partition {}, sequence {}: the copy says transaction {} of life {}, the ledger {} of life {}",
        run.producer,
        run.home,
        other.0,
        run.transaction,
        run.incarnation,
        other.2.ordinal,
        other.2.incarnation
    ))
}

/// One transaction's records.
#[derive(Debug, Default)]
struct Whole {
    handed: u64,
    visible: u64,
    /// The first one that is not visible.
    missing: Option<(LaneKey, u64)>,
}

/// Records handed over and records visible, by transaction.
#[derive(Debug, Default)]
pub(super) struct Wholeness {
    by_transaction: BTreeMap<Which, Whole>,
}

impl Wholeness {
    /// Adds what is visible of one lane.
    pub(super) fn add(&mut self, books: &Books, key: LaneKey, seen: &Seen) {
        let Some(lane) = books.lanes.get(&key) else { return };
        for run in lane.classes.iter().filter(|run| run.class != super::Class::Rejected) {
            for (start, end, one) in parts_of(&lane.members, run.start, run.end) {
                let which = (key.0, one.incarnation, one.ordinal);
                let whole = self.by_transaction.entry(which).or_default();
                whole.handed += end - start;
                seen.present.split(start, end, |a, b, visible| {
                    if visible {
                        whole.visible += b - a;
                    } else {
                        whole.missing.get_or_insert((key, a));
                    }
                });
            }
        }
    }

    /// Notes every transaction of which some records are visible and others are not.
    pub(super) fn note_torn(&self, findings: &mut Findings) {
        for whole in self.by_transaction.values() {
            let torn = whole.visible > 0 && whole.visible < whole.handed;
            if let (true, Some(((producer, partition), sequence))) = (torn, whole.missing) {
                let range = Range {
                    producer: Some(producer),
                    partition,
                    sequence: Some(sequence),
                    offset: None,
                    count: 1,
                };
                findings.note(TallyKind::TornTransaction, range, |_| None);
            }
        }
    }
}
