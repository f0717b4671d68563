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
    weakness(one).min(weakness(other)).1
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{PartitionLedger, Resend, StateRun};

    const P: PartitionId = PartitionId(0);

    /// A closed ledger whose counters are right.
    fn ledger(life: u8, runs: &[(u64, u64, State)], resends: &[(u64, u8, State)]) -> Ledger {
        let run = |&(first_sequence, count, state)| StateRun { first_sequence, count, state };
        let runs: Vec<StateRun> = runs.iter().map(run).collect();
        let resend = |&(sequence, attempt, state)| {
            let attempt = Attempt(attempt);
            Resend { partition: P, sequence, attempt, state, transaction: 0 }
        };
        let resends: Vec<Resend> = resends.iter().map(resend).collect();
        let mut settled = [0; STATES];
        runs.iter().for_each(|run| settled[run.state as usize] += run.count);
        resends.iter().for_each(|resend| settled[resend.state as usize] += 1);
        let first_sequence = runs.first().map_or(0, |run| run.first_sequence);
        let next_sequence = runs.last().map_or(0, |run| run.first_sequence + run.count);
        Ledger {
            producer: ProducerId(0),
            incarnation: Incarnation(life),
            book: BookKey(5),
            closed: true,
            settled,
            partitions: vec![PartitionLedger { partition: P, first_sequence, next_sequence, runs }],
            resends,
        }
    }

    fn lane(books: &Books) -> &Lane {
        &books.lanes[&(ProducerId(0), P)]
    }

    fn classes(books: &Books) -> Vec<(u64, u64, Class)> {
        lane(books).classes.iter().map(|run| (run.start, run.end, run.class)).collect()
    }

    fn attempts(books: &Books, attempt: u8, (start, end): (u64, u64)) -> Vec<(u64, u64, Option<State>)> {
        let run = CopyRun {
            offset: 0,
            count: end - start,
            producer: ProducerId(0),
            incarnation: Incarnation(0),
            attempt: Attempt(attempt),
            home: P,
            sequence: start,
            transaction: 0,
        };
        let mut parts = Vec::new();
        lane(books).attempts_of(&run, |from, to, state| parts.push((from, to, state)));
        parts
    }

    #[test]
    fn neighbours_of_one_class_are_one_run_whatever_they_have_it_from() {
        use State::{Acked, NotPersisted, Rejected, Unknown, Unreported};
        let first = ledger(0, &[(0, 4, Unreported), (4, 4, Unknown)], &[(2, 1, Unknown), (3, 1, Rejected)]);
        let second = ledger(1, &[(8, 4, Unknown), (12, 4, NotPersisted)], &[(5, 1, NotPersisted)]);
        let books = Books::of(&[first.clone(), second.clone()], None);
        assert_eq!(books.faults, [""; 0]);
        assert_eq!(classes(&books), [(0, 12, Class::Unknown), (12, 16, Class::NotPersisted)]);
        assert_eq!(lane(&books).class_of(11), Some(Class::Unknown));
        assert_eq!((lane(&books).class_of(12), lane(&books).class_of(16)), (Some(Class::NotPersisted), None));
        // The strongest of a record's attempts; a second one at the first record of an entry, a third one anywhere.
        let again = ledger(2, &[(16, 1, Acked)], &[(4, 1, Rejected), (4, 2, Acked), (12, 1, Unknown)]);
        let classes = classes(&Books::of(&[first, second, again], None));
        let expected = [
            (0, 4, Class::Unknown),
            (4, 5, Class::Acked),
            (5, 13, Class::Unknown),
            (13, 16, Class::NotPersisted),
            (16, 17, Class::Acked),
        ];
        assert_eq!(classes, expected);
    }

    #[test]
    fn a_run_of_copies_falls_into_parts_by_what_became_of_its_attempts() {
        use State::{Acked, Sent, Unknown};
        let runs = [(0, 5, Acked), (5, 5, Unknown), (12, 3, Acked)];
        let books = Books::of(&[ledger(0, &runs, &[(3, 1, Sent), (11, 1, Sent), (15, 1, Sent)])], None);
        let of = |span| attempts(&books, 0, span);
        assert_eq!(
            of((3, 14)),
            [(3, 5, Some(Acked)), (5, 10, Some(Unknown)), (10, 12, None), (12, 14, Some(Acked))]
        );
        assert_eq!(of((3, 5)), [(3, 5, Some(Acked))], "what follows is no part of it");
        assert_eq!(of((5, 10)), [(5, 10, Some(Unknown))]);
        assert_eq!([of((10, 12)), of((15, 17))], [[(10, 12, None)], [(15, 17, None)]]);
        assert_eq!(of((14, 17)), [(14, 15, Some(Acked)), (15, 17, None)]);
        // Sent again, and there must be something that was sent before.
        let again = [2, 3, 11, 14, 15].map(|sequence| attempts(&books, 1, (sequence, sequence + 1))[0].2);
        assert_eq!(again, [None, Some(Sent), None, None, None]);
        let of_other = Books::of(&[ledger(1, &[(0, 5, Acked)], &[(3, 1, Sent)])], None);
        assert_eq!(attempts(&of_other, 0, (0, 5)), [(0, 5, None)], "another life's");
        assert_eq!(attempts(&of_other, 1, (3, 4)), [(3, 4, None)], "another life's");
    }

    #[test]
    fn what_is_wrong_with_entries_is_told_and_the_rest_is_still_there() {
        use State::{Acked, Unknown};
        let fault = |ledgers: &[Ledger]| Books::of(ledgers, None).faults.join("; ");
        let fine = ledger(0, &[(0, 10, Acked)], &[]);
        let twice = Books::of(&[ledger(0, &[(0, 10, Acked), (8, 2, Unknown), (9, 3, Acked)], &[])], None);
        assert!(twice.faults.iter().any(|fault| fault.contains("entry 9 twice")), "{:?}", twice.faults);
        assert_eq!(classes(&twice), [(0, 12, Class::Acked)]);
        assert_eq!(attempts(&twice, 0, (0, 12)), [(0, 10, Some(Acked)), (10, 12, Some(Acked))]);
        let stranger = Ledger { book: BookKey(6), ..ledger(1, &[(10, 1, Acked)], &[]) };
        assert!(fault(&[fine.clone(), stranger]).contains("incarnation 1: ledger of another cell"));
        let late = ledger(1, &[(11, 1, Acked)], &[]);
        assert!(fault(&[fine.clone(), late]).contains("incarnation 1 begins at 11, not at 10"));
        for (sequence, attempt) in [(3, 0), (10, 1), (3, 2)] {
            let told = fault(&[ledger(0, &[(0, 10, Acked)], &[(sequence, attempt, Acked)])]);
            let expected = format!("attempt {attempt} of {sequence} without the one before");
            assert!(told.contains(&expected), "{told}");
        }
        let both = fault(&[ledger(0, &[(0, 10, Acked)], &[(3, 1, Acked), (3, 1, Unknown)])]);
        assert!(both.contains("attempt 1 of 3 twice"), "{both}");
        assert_eq!(fault(&[ledger(0, &[(0, 10, Acked)], &[(9, 1, Unknown), (9, 2, Acked)])]), "");
    }

    #[test]
    fn one_counter_may_be_behind_where_a_life_was_killed() {
        let faults = |closed, missing: u64| {
            let mut ledger = ledger(0, &[(0, 10, State::Acked), (10, 1, State::Unreported)], &[]);
            (ledger.closed, ledger.settled[State::Acked as usize]) = (closed, 10 - missing);
            Books::of(&[ledger], None).faults.len()
        };
        assert_eq!([faults(true, 0), faults(true, 1)], [0, 1]);
        assert_eq!([faults(false, 0), faults(false, 1), faults(false, 2)], [0, 0, 1]);
    }

    #[test]
    fn attempts_are_summed_over_all_ledgers() {
        use State::{Acked, NotPersisted};
        let runs = [(0, 6, Acked), (6, 4, NotPersisted)];
        let lives = [ledger(0, &runs, &[]), ledger(1, &[(10, 3, NotPersisted)], &[(6, 1, NotPersisted)])];
        let books = Books::of(&lives, None);
        assert_eq!((books.records, books.attempts), (13, 14));
        assert_eq!((books.by_state[Acked as usize], books.by_state[NotPersisted as usize]), (6, 8));
    }
}
