//! All ledgers of a cell as one book per (producer, partition): entries, resends, classes. Looks at no log.

use super::Class;
use crate::ids::{Attempt, BookKey, Incarnation, PartitionId, ProducerId};
use crate::ledger::{Ledger, STATES, State};
use crate::reading::CopyRun;
use crate::transactions::{Claim, Transactions};
use std::collections::BTreeMap;

/// One producer in one partition.
pub(super) type LaneKey = (ProducerId, PartitionId);

/// First attempts `start..end` of one incarnation that ended alike.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) incarnation: Incarnation,
    pub(super) state: State,
}

/// Records `start..end` of one class.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClassRun {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) class: Class,
}

/// Records `start..end` whose first attempts went into one transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) incarnation: Incarnation,
    pub(super) ordinal: u32,
    pub(super) claim: Claim,
}

/// An attempt after the first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Again {
    pub(super) incarnation: Incarnation,
    pub(super) state: State,
    /// The transaction that it went into; 0: none.
    pub(super) ordinal: u32,
    /// That transaction's claim; `None` outside transactional cells.
    pub(super) claim: Option<Claim>,
}

impl Again {
    fn class(&self) -> Class {
        match self.claim {
            Some(claim) if self.state != State::Rejected => claim_of(claim),
            _ => claim(self.state),
        }
    }
}

/// The book of one producer in one partition.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Disjoint, in sequence order.
    pub(super) entries: Vec<Entry>,
    pub(super) resends: BTreeMap<(u64, Attempt), Again>,
    /// The same records as `entries`, by class.
    pub(super) classes: Vec<ClassRun>,
    /// Their first attempts by transaction, in sequence order; empty outside transactional cells.
    pub(super) members: Vec<Member>,
    /// Incarnation, first and next sequence, as its ledger counted them.
    lives: Vec<(Incarnation, u64, u64)>,
}

/// The books of a cell, and what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) key: BookKey,
    pub(super) lanes: BTreeMap<LaneKey, Lane>,
    /// First attempts, summed over the ledgers as they are.
    pub(super) records: u64,
    /// Attempts, summed over the ledgers as they are.
    pub(super) attempts: u64,
    /// Attempts by state, over all ledgers.
    pub(super) by_state: [u64; STATES],
    /// Transactions begun, over all lives.
    pub(super) transactions: u64,
    /// What breaks identity I11.
    pub(super) faults: Vec<String>,
}

fn claim(state: State) -> Class {
    match state {
        State::Acked => Class::Acked,
        State::Sent => Class::Sent,
        State::Empty | State::Unreported | State::Unknown => Class::Unknown,
        State::NotPersisted => Class::NotPersisted,
        State::Rejected => Class::Rejected,
    }
}

/// The parts of `start..end` that went into each transaction, in order.
pub(super) fn parts_of(
    members: &[Member],
    start: u64,
    end: u64,
) -> impl Iterator<Item = (u64, u64, &Member)> {
    let from = members.partition_point(|one| one.end <= start);
    let inside = members[from..].iter().take_while(move |one| one.start < end);
    inside.map(move |one| (one.start.max(start), one.end.min(end), one))
}

/// What was refused claims nothing, of whichever kind the other one is.
fn strongest(one: Class, other: Class) -> Class {
    let weakness = |class: Class| (class == Class::Rejected, class);
    if weakness(other) < weakness(one) { other } else { one }
}

fn claim_of(claim: Claim) -> Class {
    match claim {
        Claim::Committed => Class::Committed,
        Claim::CommitUnknown => Class::CommitUnknown,
        Claim::NeverCommitted => Class::NeverCommitted,
    }
}

impl Books {
    /// `transactions` are those of a transactional cell, one for each ledger; `None`: records claim for themselves.
    pub(super) fn of(ledgers: &[Ledger], transactions: Option<&[Transactions]>) -> Self {
        let mut books = Books { key: ledgers.first().map_or(BookKey(0), |l| l.book), ..Books::default() };
        for ledger in ledgers {
            books.add(ledger);
        }
        if let Some(lives) = transactions {
            super::transactions::add(&mut books, ledgers, lives);
        }
        for (key, lane) in &mut books.lanes {
            lane.settle(*key, &mut books.faults);
        }
        books
    }

    fn add(&mut self, ledger: &Ledger) {
        let who = format!("producer {}, incarnation {}", ledger.producer, ledger.incarnation);
        if ledger.book != self.key {
            self.faults.push(format!("{who}: ledger of another cell"));
        }
        let mut states = [0; STATES];
        for part in &ledger.partitions {
            let lane = self.lanes.entry((ledger.producer, part.partition)).or_default();
            lane.lives.push((ledger.incarnation, part.first_sequence, part.next_sequence));
            let mut next = part.first_sequence;
            for run in &part.runs {
                let (start, end) = (run.first_sequence, run.first_sequence + run.count);
                if start != next {
                    self.faults.push(format!("{who}, partition {}: entry {next} missing", part.partition));
                }
                next = end;
                states[run.state as usize] += run.count;
                self.records += run.count;
                let incarnation = ledger.incarnation;
                lane.entries.push(Entry { start, end, incarnation, state: run.state });
            }
            if next != part.next_sequence {
                let counted = part.next_sequence;
                self.faults.push(format!(
                    "{who}, partition {}: entries to {next}, counter {counted}",
                    part.partition
                ));
            }
        }
        for resend in &ledger.resends {
            states[resend.state as usize] += 1;
            let lane = self.lanes.entry((ledger.producer, resend.partition)).or_default();
            let again = Again {
                incarnation: ledger.incarnation,
                state: resend.state,
                ordinal: resend.transaction,
                claim: None,
            };
            if lane.resends.insert((resend.sequence, resend.attempt), again).is_some() {
                self.faults.push(format!("{who}: attempt {} of {} twice", resend.attempt, resend.sequence));
            }
        }
        // A process may be killed between an entry and its counter.
        let slack = u64::from(!ledger.closed);
        let off: u64 = State::ALL
            .iter()
            .filter(|state| !matches!(state, State::Empty | State::Unreported))
            .map(|state| states[*state as usize].abs_diff(ledger.settled[*state as usize]))
            .sum();
        if off > slack {
            self.faults.push(format!("{who}: entries {states:?}, counters {:?}", ledger.settled));
        }
        self.attempts += states.iter().sum::<u64>();
        for (sum, count) in self.by_state.iter_mut().zip(states) {
            *sum += count;
        }
    }
}

impl Lane {
    /// Orders the entries, checks that they are dense and single, and derives the classes.
    fn settle(&mut self, (producer, partition): LaneKey, faults: &mut Vec<String>) {
        let who = format!("producer {producer}, partition {partition}");
        self.lives.sort_unstable();
        let mut next = 0;
        for &(incarnation, first, end) in &self.lives {
            if first != next {
                faults.push(format!("{who}: incarnation {incarnation} begins at {first}, not at {next}"));
            }
            next = end;
        }
        self.entries.sort_by_key(|entry| (entry.start, entry.incarnation));
        let mut end = 0;
        for entry in &mut self.entries {
            if entry.start < end {
                faults.push(format!("{who}: entry {} twice", entry.start));
                entry.start = end.min(entry.end);
            }
            end = end.max(entry.end);
        }
        self.entries.retain(|entry| entry.start < entry.end);
        for &(sequence, attempt) in self.resends.keys() {
            let before = match attempt.0 {
                0 => false,
                1 => self.entry_of(sequence).is_some(),
                more => self.resends.contains_key(&(sequence, Attempt(more - 1))),
            };
            if !before {
                faults.push(format!("{who}: attempt {attempt} of {sequence} without the one before"));
            }
        }
        self.classify();
    }

    fn classify(&mut self) {
        let mut classes: Vec<ClassRun> = Vec::new();
        let mut push = |start: u64, end: u64, class: Class| match classes.last_mut() {
            _ if start == end => {}
            Some(run) if run.class == class && run.end == start => run.end = end,
            _ => classes.push(ClassRun { start, end, class }),
        };
        for entry in &self.entries {
            let class = claim(entry.state);
            if self.members.is_empty() || class == Class::Rejected {
                self.classify_part((entry.start, entry.end, class), &mut push);
                continue;
            }
            for (start, end, one) in parts_of(&self.members, entry.start, entry.end) {
                self.classify_part((start, end, claim_of(one.claim)), &mut push);
            }
        }
        self.classes = classes;
    }

    /// The records `start..end`, whose first attempts are of one class: each is of the strongest class of its attempts.
    fn classify_part(&self, (start, end, class): (u64, u64, Class), push: &mut impl FnMut(u64, u64, Class)) {
        let mut at = start;
        for &(sequence, _) in self.resends.range((start, Attempt(0))..(end, Attempt(0))).map(|(key, _)| key) {
            // Attempts of one record follow each other; the first of them has already placed it.
            if sequence < at {
                continue;
            }
            let attempts = self.resends.range((sequence, Attempt(0))..=(sequence, Attempt(u8::MAX)));
            let strongest = attempts.map(|(_, again)| again.class()).fold(class, strongest);
            push(at, sequence, class);
            push(sequence, sequence + 1, strongest);
            at = sequence + 1;
        }
        push(at, end, class);
    }

    fn entry_of(&self, sequence: u64) -> Option<&Entry> {
        let index = self.entries.partition_point(|entry| entry.end <= sequence);
        self.entries.get(index).filter(|entry| entry.start <= sequence)
    }

    /// The class of one record.
    pub(super) fn class_of(&self, sequence: u64) -> Option<Class> {
        let index = self.classes.partition_point(|run| run.end <= sequence);
        self.classes.get(index).filter(|run| run.start <= sequence).map(|run| run.class)
    }

    /// The parts of a run of copies in order, each with what its attempt became; `None`: not in the ledger.
    pub(super) fn attempts_of(&self, run: &CopyRun, mut tell: impl FnMut(u64, u64, Option<State>)) {
        let (start, end) = (run.sequence, run.sequence + run.count);
        if run.attempt.0 > 0 {
            for sequence in start..end {
                let fate =
                    self.resends.get(&(sequence, run.attempt)).filter(|_| self.entry_of(sequence).is_some());
                let own = fate.filter(|again| again.incarnation == run.incarnation);
                tell(sequence, sequence + 1, own.map(|again| again.state));
            }
            return;
        }
        let mut at = start;
        for entry in &self.entries[self.entries.partition_point(|entry| entry.end <= start)..] {
            let (a, b) = (entry.start.max(at), entry.end.min(end));
            if a >= b {
                break;
            }
            if at < a {
                tell(at, a, None);
            }
            tell(a, b, (entry.incarnation == run.incarnation).then_some(entry.state));
            at = b;
        }
        if at < end {
            tell(at, end, None);
        }
    }
}
