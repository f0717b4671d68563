//! Transactions on made-up logs: a slow, obvious model agrees with the verdict, and each mutation changes exactly its tally.

use super::history::settings;
use super::{Class, Exhibits, TallyKind, Upsets, Verdict, Weight, judge};
use crate::ids::{Attempt, BookKey, BrokerId, Incarnation, PartitionId, ProducerId};
use crate::ledger::{self, Ledger, PartitionLedger, StateRun, push_run};
use crate::message::{Decoded, Header};
use crate::reading::{LogReading, Oddity, ReadingBuilder, Source};
use crate::settings::{Acks, TransactionSettings, TransactionSpan};
use crate::transactions::{Claim, State, Transaction, Transactions};
use proptest::prelude::*;
use std::collections::BTreeMap;

pub(super) const PARTITIONS: usize = 2;

/// A copy in the log, and whether read_committed shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) sequence: u64,
    pub(super) ordinal: u32,
    pub(super) visible: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Copy(Copy),
    Control,
}

/// One producer: its transactions, which of its records were refused, and the log of each partition.
#[derive(Debug, Clone)]
pub(super) struct History {
    /// State, and how many records in each partition.
    pub(super) transactions: Vec<(State, [u64; PARTITIONS])>,
    /// Partition and sequence.
    pub(super) rejected: Vec<(usize, u64)>,
    pub(super) logs: [Vec<Slot>; PARTITIONS],
}

impl History {
    /// Every record in the log once, shown as its transaction says; `commit_unknown` ones are not shown.
    fn of(transactions: &[(State, [u64; PARTITIONS])]) -> Self {
        let mut history =
            History { transactions: transactions.to_vec(), rejected: vec![], logs: Default::default() };
        let mut next = [0; PARTITIONS];
        for (ordinal, (state, counts)) in (1..).zip(transactions) {
            let visible = state.claim() == Claim::Committed;
            for (partition, count) in counts.iter().enumerate() {
                for _ in 0..*count {
                    let sequence = next[partition];
                    history.logs[partition].push(Slot::Copy(Copy { sequence, ordinal, visible }));
                    next[partition] += 1;
                }
                history.logs[partition].push(Slot::Control);
            }
        }
        history
    }

    /// Per partition: the first sequence of each transaction, and the one after the last.
    pub(super) fn firsts(&self) -> [Vec<u64>; PARTITIONS] {
        std::array::from_fn(|partition| {
            let mut next = 0;
            let mut firsts = vec![0];
            for (_, counts) in &self.transactions {
                next += counts[partition];
                firsts.push(next);
            }
            firsts
        })
    }

    pub(super) fn ledger(&self) -> Ledger {
        let firsts = self.firsts();
        let mut settled = [0; 7];
        let partition = |index: usize| {
            let end = firsts[index].last().copied().unwrap_or(0);
            let mut runs = Vec::new();
            for first_sequence in 0..end {
                let rejected = self.rejected.contains(&(index, first_sequence));
                let state = if rejected { ledger::State::Rejected } else { ledger::State::Acked };
                push_run(&mut runs, StateRun { first_sequence, count: 1, state });
            }
            PartitionLedger {
                partition: PartitionId(index as u16),
                first_sequence: 0,
                next_sequence: end,
                runs,
            }
        };
        let partitions: Vec<PartitionLedger> = (0..PARTITIONS).map(partition).collect();
        for run in partitions.iter().flat_map(|part| &part.runs) {
            settled[run.state as usize] += run.count;
        }
        Ledger {
            producer: ProducerId(3),
            incarnation: Incarnation(0),
            book: BookKey(5),
            closed: true,
            settled,
            partitions,
            resends: vec![],
        }
    }

    pub(super) fn evidence(&self) -> Transactions {
        let firsts = self.firsts();
        let transactions = (1..)
            .zip(&self.transactions)
            .map(|(ordinal, (state, counts))| Transaction {
                ordinal,
                state: *state,
                begun_ns: 1,
                called_ns: 2,
                answered_ns: 3,
                records: counts.iter().sum(),
                first_sequences: firsts.iter().map(|first| first[ordinal as usize - 1]).collect(),
            })
            .collect();
        let mut life = Transactions {
            producer: ProducerId(3),
            incarnation: Incarnation(0),
            closed: true,
            answers: [0; 4],
            transactions,
        };
        life.answers = life.answers_by_entries();
        life
    }

    fn reading(&self, source: Source) -> LogReading {
        let segments = matches!(source, Source::Segments(_));
        let partition = |(index, log): (usize, &Vec<Slot>)| {
            let mut builder = ReadingBuilder::new(PartitionId(index as u16), 0);
            let mut invisible = Vec::new();
            for (offset, slot) in (0..).zip(log) {
                match slot {
                    Slot::Copy(copy) if copy.visible || source != Source::CommittedReader => {
                        builder.entry(offset, Decoded::Copy(header(index, copy)));
                        if !copy.visible {
                            invisible.push((offset, offset + 1));
                        }
                    }
                    Slot::Control if segments => builder.control(offset),
                    Slot::Copy(_) | Slot::Control => {}
                }
            }
            let end = log.len() as i64;
            let mut reading = builder.finish(end, end, end);
            if segments {
                reading.batches_digest = Some("same".into());
                reading.invisible = invisible;
            }
            reading
        };
        LogReading { source, partitions: self.logs.iter().enumerate().map(partition).collect() }
    }

    pub(super) fn readings(&self) -> Vec<LogReading> {
        [
            Source::Reader,
            Source::CommittedReader,
            Source::Segments(BrokerId(1)),
            Source::Segments(BrokerId(2)),
        ]
        .map(|source| self.reading(source))
        .into()
    }

    fn verdict(&self) -> Verdict {
        judged(&[self.ledger()], &[self.evidence()], &self.readings())
    }

    /// Changes every copy that fits.
    fn change(&mut self, fits: impl Fn(usize, &Copy) -> bool, change: impl Fn(&mut Copy)) {
        for (partition, log) in self.logs.iter_mut().enumerate() {
            for slot in log {
                if let Slot::Copy(copy) = slot
                    && fits(partition, copy)
                {
                    change(copy);
                }
            }
        }
    }

    fn remove(&mut self, fits: impl Fn(usize, &Copy) -> bool) {
        for (partition, log) in self.logs.iter_mut().enumerate() {
            log.retain(|slot| !matches!(slot, Slot::Copy(copy) if fits(partition, copy)));
        }
    }
}

fn header(partition: usize, copy: &Copy) -> Header {
    Header {
        producer: ProducerId(3),
        partition: PartitionId(partition as u16),
        sequence: copy.sequence,
        attempt: Attempt(0),
        incarnation: Incarnation(0),
        transaction: copy.ordinal,
        ..Header::default()
    }
}

pub(super) fn judged(ledgers: &[Ledger], transactions: &[Transactions], readings: &[LogReading]) -> Verdict {
    let mut settings = settings(Acks::All, PARTITIONS as u16);
    settings.producer.idempotence = true;
    settings.producer.transaction = Some(TransactionSettings {
        span: TransactionSpan::Records(1),
        abort_every: 0,
        abort_flush: true,
        timeout_ns: 1,
    });
    judge(
        &settings,
        Upsets::NONE,
        Exhibits {
            ledgers,
            readings,
            transactions,
            journals: &[],
            effects: None,
            pipelines: &[],
            output: &[],
        },
        Ok(()),
    )
}

/// Every tally that is not zero.
pub(super) fn tallies(verdict: &Verdict) -> BTreeMap<TallyKind, u64> {
    assert_eq!(broken(verdict), "", "{:#?}", verdict.identities);
    assert_eq!(verdict.inconclusive, None);
    verdict
        .tallies
        .iter()
        .filter(|(_, tally)| tally.count > 0)
        .map(|(kind, tally)| (*kind, tally.count))
        .collect()
}

pub(super) fn broken(verdict: &Verdict) -> String {
    let names =
        verdict.identities.iter().filter(|identity| !identity.holds).map(|identity| identity.name.as_str());
    names.collect::<Vec<_>>().join(" ")
}

/// The definitions as searches over single records and copies.
pub(super) fn model(history: &History) -> BTreeMap<TallyKind, u64> {
    let mut found = BTreeMap::new();
    let mut note = |kind, count: u64| *found.entry(kind).or_default() += count;
    let firsts = history.firsts();
    let copies = |partition: usize| {
        history.logs[partition].iter().filter_map(|slot| match slot {
            Slot::Copy(copy) => Some(*copy),
            Slot::Control => None,
        })
    };
    for (at, (state, _)) in history.transactions.iter().enumerate() {
        let (mut handed, mut shown) = (0, 0);
        for (partition, first) in firsts.iter().enumerate() {
            for sequence in first[at]..first[at + 1] {
                if history.rejected.contains(&(partition, sequence)) {
                    continue;
                }
                let visible =
                    copies(partition).filter(|copy| copy.sequence == sequence && copy.visible).count();
                handed += 1;
                shown += u64::from(visible > 0);
                match (state.claim(), visible > 0) {
                    (Claim::Committed, false) => note(TallyKind::LogLoss, 1),
                    (Claim::CommitUnknown, true) => note(TallyKind::UnknownPresent, 1),
                    (Claim::CommitUnknown, false) => note(TallyKind::UnknownAbsent, 1),
                    (Claim::NeverCommitted, true) => note(TallyKind::AbortedRead, 1),
                    (Claim::Committed, true) | (Claim::NeverCommitted, false) => {}
                }
                note(TallyKind::DuplicateSameAttempt, (visible as u64).saturating_sub(1));
            }
        }
        note(TallyKind::TornTransaction, u64::from(0 < shown && shown < handed));
    }
    for partition in 0..PARTITIONS {
        note(TallyKind::AbortedCopies, copies(partition).filter(|copy| !copy.visible).count() as u64);
        let visible: Vec<u64> =
            copies(partition).filter(|copy| copy.visible).map(|copy| copy.sequence).collect();
        let late = |(at, sequence): (usize, &u64)| {
            let before = &visible[..at];
            !before.contains(sequence) && before.iter().any(|other| other > sequence)
        };
        note(TallyKind::Reorder, visible.iter().enumerate().filter(|at| late(*at)).count() as u64);
    }
    found.retain(|_, count| *count > 0);
    found
}

prop_compose! {
    pub(super) fn a_history()(
        transactions in prop::collection::vec((prop::sample::select(State::ALL.to_vec()), prop::array::uniform2(0_u64..4)), 1..8),
        refused in prop::collection::vec((0..PARTITIONS, 0_u64..12), 0..3),
        changes in prop::collection::vec((0..PARTITIONS, any::<prop::sample::Index>(), 0_u8..5), 0..8),
    ) -> History {
        let mut history = History::of(&transactions);
        let firsts = history.firsts();
        history.rejected = refused.into_iter().filter(|(p, s)| firsts[*p].last().is_some_and(|end| s < end)).collect();
        let rejected = history.rejected.clone();
        history.remove(|partition, copy| rejected.contains(&(partition, copy.sequence)));
        for (partition, at, what) in changes {
            let log = &mut history.logs[partition];
            let at = at.index(log.len());
            match (what, log[at]) {
                (0, Slot::Copy(_)) => drop(log.remove(at)),
                (1, Slot::Copy(copy)) => log.push(Slot::Copy(copy)),
                (2, Slot::Copy(copy)) => log[at] = Slot::Copy(Copy { visible: !copy.visible, ..copy }),
                (3, _) => log.push(Slot::Control),
                (_, slot) => {
                    log.remove(at);
                    log.insert(0, slot);
                }
            }
        }
        history
    }
}

proptest! {
    #[test]
    fn the_judge_agrees_with_the_obvious_model(history in a_history()) {
        let verdict = history.verdict();
        prop_assert_eq!(tallies(&verdict), model(&history));
        let absent = |class| verdict.classes[&class].absent;
        prop_assert_eq!(absent(Class::Committed), verdict.tallies[&TallyKind::LogLoss].count);
        let mut shuffled = history.readings();
        shuffled.reverse();
        prop_assert_eq!(judged(&[history.ledger()], &[history.evidence()], &shuffled), verdict);
    }
}

/// Three committed transactions, one aborted, one of unknown outcome: 4 records each, 2 in each partition.
pub(super) fn usual() -> History {
    let each = [2; PARTITIONS];
    let states = [State::Committed, State::Aborted, State::Committed, State::CommitFailed, State::Committed];
    History::of(&states.map(|state| (state, each)))
}

#[test]
fn an_aborted_transaction_leaves_copies_that_nobody_is_shown() {
    let verdict = usual().verdict();
    let expected = [(TallyKind::AbortedCopies, 8), (TallyKind::UnknownAbsent, 4)];
    assert_eq!(tallies(&verdict), BTreeMap::from(expected));
    assert_eq!(verdict.promise, super::Promise::Kept);
    assert_eq!(verdict.tallies[&TallyKind::TornTransaction].of, 5);
    assert_eq!(verdict.tallies[&TallyKind::LogLoss].of, 12);
    assert_eq!(verdict.tallies[&TallyKind::AbortedRead].of, 4);
}

#[test]
fn what_no_reader_of_the_committed_is_shown_is_found_in_the_log() {
    let mut history = History::of(&[(State::Committed, [1, 0]), (State::Aborted, [0, 1])]);
    history.remove(|partition, _| partition == 1);
    let mut readings = history.readings();
    for reading in readings.iter_mut().filter(|reading| reading.source != Source::CommittedReader) {
        let part = &mut reading.partitions[1];
        part.oddities.retain(|(offset, _)| *offset != 0);
        part.oddities.push((0, Oddity::Alien));
    }
    let verdict = judged(&[history.ledger()], &[history.evidence()], &readings);
    assert_eq!(verdict.tallies[&TallyKind::Alien].count, 1);
}

#[test]
fn each_mutation_changes_exactly_its_tally() {
    let check = |mutate: &dyn Fn(&mut History), expected: &[(TallyKind, u64)]| {
        let mut history = usual();
        mutate(&mut history);
        let mut all = BTreeMap::from([(TallyKind::AbortedCopies, 8), (TallyKind::UnknownAbsent, 4)]);
        all.extend(expected.iter().copied());
        all.retain(|_, count| *count > 0);
        assert_eq!(tallies(&history.verdict()), all);
    };
    use TallyKind::{
        AbortedCopies, AbortedRead, DuplicateSameAttempt, LogLoss, TornTransaction, UnknownAbsent,
        UnknownPresent,
    };
    let of = |ordinal: u32| move |_: usize, copy: &Copy| copy.ordinal == ordinal;
    check(&|history| history.remove(of(1)), &[(LogLoss, 4)]);
    check(
        &|history| history.remove(|p, copy| p == 1 && copy.ordinal == 1),
        &[(LogLoss, 2), (TornTransaction, 1)],
    );
    check(
        &|history| history.change(of(1), |copy| copy.visible = false),
        &[(LogLoss, 4), (AbortedCopies, 12)],
    );
    check(
        &|history| history.change(of(2), |copy| copy.visible = true),
        &[(AbortedRead, 4), (AbortedCopies, 4)],
    );
    check(
        &|history| history.change(|p, copy| p == 0 && copy.ordinal == 2, |copy| copy.visible = true),
        &[(AbortedRead, 2), (AbortedCopies, 6), (TornTransaction, 1)],
    );
    check(
        &|history| history.change(of(4), |copy| copy.visible = true),
        &[(UnknownAbsent, 0), (UnknownPresent, 4), (AbortedCopies, 4)],
    );
    check(
        &|history| history.change(|p, copy| p == 0 && copy.ordinal == 4, |copy| copy.visible = true),
        &[(UnknownAbsent, 2), (UnknownPresent, 2), (AbortedCopies, 6), (TornTransaction, 1)],
    );
    check(&|history| history.remove(of(2)), &[(AbortedCopies, 4)]);
    check(
        &|history| {
            let last = history.logs[0].iter().rposition(|slot| matches!(slot, Slot::Copy(_)));
            let copy = history.logs[0][last.expect("copies")];
            history.logs[0].push(copy);
        },
        &[(DuplicateSameAttempt, 1)],
    );
    check(&|history| history.logs[0].push(Slot::Control), &[]);
}

#[test]
fn violations_are_those_that_no_setting_allows() {
    let verdict = usual().verdict();
    let weight = |kind: TallyKind| verdict.tallies[&kind].weight;
    for kind in [TallyKind::LogLoss, TallyKind::AbortedRead, TallyKind::TornTransaction] {
        assert_eq!(weight(kind), Weight::Violation, "{kind}");
    }
    assert_eq!(weight(TallyKind::AbortedCopies), Weight::Reported);
    assert_eq!(weight(TallyKind::UnknownPresent), Weight::Reported);
}

#[test]
fn books_that_do_not_agree_are_void() {
    let history = usual();
    let with = |change: &dyn Fn(&mut Transactions)| {
        let mut life = history.evidence();
        change(&mut life);
        broken(&judged(&[history.ledger()], &[life], &history.readings()))
    };
    assert_eq!(with(&|_| {}), "");
    assert_eq!(with(&|life| life.answers[0] += 1), "I11");
    assert_eq!(with(&|life| life.transactions[2].records += 1), "I11");
    assert_eq!(with(&|life| life.transactions[2].ordinal = 9), "I11");
    assert_eq!(with(&|life| life.producer = ProducerId(8)), "I11");
    // A copy that names another transaction than the books do.
    assert_eq!(with(&|life| life.transactions[1].first_sequences[0] = 1), "I11");
    assert_eq!(broken(&judged(&[history.ledger()], &[], &history.readings())), "I11");
}

#[test]
fn what_is_shown_must_be_what_the_markers_say() {
    let history = usual();
    let with = |change: &dyn Fn(&mut Vec<LogReading>)| {
        let mut readings = history.readings();
        change(&mut readings);
        let verdict = judged(&[history.ledger()], &[history.evidence()], &readings);
        (broken(&verdict), verdict.inconclusive.unwrap_or_default())
    };
    let (names, _) = with(&|readings| readings[2].partitions[0].invisible.clear());
    assert_eq!(names, "I6", "the markers hide nothing, the reader was not shown everything");
    let (names, _) = with(&|readings| {
        readings[1] = LogReading { source: Source::CommittedReader, ..readings[0].clone() };
    });
    assert!(names.contains("I6"), "{names}: the reader was shown what the markers hide");
    let (_, why) = with(&|readings| drop(readings.remove(1)));
    assert!(why.contains("not read at read_committed"), "{why}");
    let (_, why) = with(&|readings| readings[1].partitions[0].reached = 1);
    assert!(why.contains("to offset 1"), "{why}");
    let (names, why) = with(&|readings| {
        readings.truncate(2);
        readings.push(LogReading { source: Source::SecondReader, ..readings[0].clone() });
    });
    assert_eq!((names.as_str(), why.as_str()), ("", ""), "without segments a control record may be anywhere");
}

#[test]
fn an_unfinished_life_may_have_counted_what_it_never_entered() {
    let history = usual();
    let mut life = history.evidence();
    life.closed = false;
    let last = life.transactions.last_mut().expect("some");
    (last.state, last.records) = (State::CommitCalled, last.records + 7);
    let verdict = judged(&[history.ledger()], &[life], &history.readings());
    assert_eq!(broken(&verdict), "", "{:#?}", verdict.identities);
    assert_eq!(verdict.tallies[&TallyKind::UnknownPresent].count, 4);
}
