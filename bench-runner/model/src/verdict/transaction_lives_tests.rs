//! Transactions of two lives of a producer, of which the second sends again what the first did not commit: a slow, obvious
//! model agrees with the verdict, and each mutation changes exactly its tally.

use super::history::settings;
use super::{Class, Exhibits, Promise, TallyKind, Upsets, Verdict, judge};
use crate::ids::{Attempt, BookKey, BrokerId, Incarnation, PartitionId, ProducerId};
use crate::ledger::{self, Ledger, PartitionLedger, Resend, StateRun, push_run};
use crate::message::{Decoded, Header};
use crate::reading::{LogReading, ReadingBuilder, Source};
use crate::settings::{Acks, TransactionSettings, TransactionSpan};
use crate::transactions::{Claim, State, Transaction, Transactions};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What one attempt says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Sent {
    life: u8,
    ordinal: u32,
    sequence: u64,
    attempt: u8,
}

/// One producer in one partition.
#[derive(Debug, Clone)]
struct History {
    /// By life.
    transactions: [Vec<State>; 2],
    sent: Vec<Sent>,
    refused: BTreeSet<Sent>,
    /// Copies, and whether read_committed shows them.
    log: Vec<(Sent, bool)>,
}

impl History {
    /// Transactions of the first life with so many records each, and of the second with these sent again and so many new.
    fn of(first: &[(State, u64)], second: &[(State, Vec<u64>, u64)]) -> Self {
        let mut sent = Vec::new();
        let mut next = 0..;
        let mut take = |count: u64| next.by_ref().take(count as usize).collect::<Vec<u64>>();
        for (ordinal, (_, count)) in (1..).zip(first) {
            let new = take(*count).into_iter();
            sent.extend(new.map(|sequence| Sent { life: 0, ordinal, sequence, attempt: 0 }));
        }
        for (ordinal, (_, again, count)) in (1..).zip(second) {
            let old = again.iter().map(|sequence| Sent { life: 1, ordinal, sequence: *sequence, attempt: 1 });
            sent.extend(old);
            let new = take(*count).into_iter();
            sent.extend(new.map(|sequence| Sent { life: 1, ordinal, sequence, attempt: 0 }));
        }
        let transactions =
            [first.iter().map(|one| one.0).collect(), second.iter().map(|one| one.0).collect()];
        let mut history = History { transactions, sent, refused: BTreeSet::new(), log: Vec::new() };
        let shown = |sent: &Sent| (*sent, history.claim(sent) == Claim::Committed);
        history.log = history.sent.iter().map(shown).collect();
        history
    }

    fn claim(&self, sent: &Sent) -> Claim {
        self.transactions[usize::from(sent.life)][sent.ordinal as usize - 1].claim()
    }

    fn of_life(&self, life: u8) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(move |sent| sent.life == life)
    }

    fn ledger(&self, life: u8) -> Ledger {
        let state = |sent: &Sent| {
            if self.refused.contains(sent) { ledger::State::Rejected } else { ledger::State::Acked }
        };
        let firsts = |life: u8| self.of_life(life).filter(|sent| sent.attempt == 0);
        let first_sequence = if life == 0 { 0 } else { firsts(0).count() as u64 };
        let mut runs = Vec::new();
        for sent in firsts(life) {
            push_run(&mut runs, StateRun { first_sequence: sent.sequence, count: 1, state: state(sent) });
        }
        let mut settled = [0; 7];
        self.of_life(life).for_each(|sent| settled[state(sent) as usize] += 1);
        let resend = |sent: &Sent| Resend {
            partition: PartitionId(0),
            sequence: sent.sequence,
            attempt: Attempt(sent.attempt),
            state: state(sent),
            transaction: sent.ordinal,
        };
        Ledger {
            producer: ProducerId(3),
            incarnation: Incarnation(life),
            book: BookKey(5),
            closed: true,
            settled,
            partitions: vec![PartitionLedger {
                partition: PartitionId(0),
                first_sequence,
                next_sequence: first_sequence + firsts(life).count() as u64,
                runs,
            }],
            resends: self.of_life(life).filter(|sent| sent.attempt > 0).map(resend).collect(),
        }
    }

    fn life(&self, life: u8) -> Transactions {
        let before = |ordinal: u32| {
            let is_before = |sent: &&Sent| sent.attempt == 0 && (sent.life, sent.ordinal) < (life, ordinal);
            self.sent.iter().filter(is_before).count() as u64
        };
        let transaction = |(ordinal, state): (u32, &State)| Transaction {
            ordinal,
            state: *state,
            begun_ns: 1,
            called_ns: 2,
            answered_ns: 3,
            records: self.of_life(life).filter(|sent| sent.ordinal == ordinal).count() as u64,
            first_sequences: vec![before(ordinal)],
        };
        let mut evidence = Transactions {
            closed: true,
            transactions: (1..).zip(&self.transactions[usize::from(life)]).map(transaction).collect(),
            ..Transactions::none(ProducerId(3), Incarnation(life))
        };
        evidence.answers = evidence.answers_by_entries();
        evidence
    }

    fn reading(&self, source: Source) -> LogReading {
        let mut builder = ReadingBuilder::new(PartitionId(0), 0);
        let mut invisible = Vec::new();
        for (offset, (sent, visible)) in (0..).zip(&self.log) {
            if *visible || source != Source::CommittedReader {
                builder.entry(offset, Decoded::Copy(header(sent)));
            }
            if !visible {
                invisible.push((offset, offset + 1));
            }
        }
        let end = self.log.len() as i64;
        let mut reading = builder.finish(end, end, end);
        if matches!(source, Source::Segments(_)) {
            reading.batches_digest = Some("same".into());
            reading.invisible = invisible;
        }
        LogReading { source, partitions: vec![reading] }
    }

    fn readings(&self) -> Vec<LogReading> {
        let segments = [1, 2].map(|broker| Source::Segments(BrokerId(broker)));
        let sources = [Source::Reader, Source::CommittedReader].into_iter().chain(segments);
        sources.map(|source| self.reading(source)).collect()
    }

    fn verdict(&self) -> Verdict {
        judged(&[self.ledger(0), self.ledger(1)], &[self.life(0), self.life(1)], &self.readings())
    }

    fn show(&mut self, visible: bool, fits: impl Fn(&Sent) -> bool) {
        self.log.iter_mut().filter(|(sent, _)| fits(sent)).for_each(|copy| copy.1 = visible);
    }
}

fn header(sent: &Sent) -> Header {
    Header {
        producer: ProducerId(3),
        partition: PartitionId(0),
        sequence: sent.sequence,
        attempt: Attempt(sent.attempt),
        incarnation: Incarnation(sent.life),
        transaction: sent.ordinal,
        ..Header::default()
    }
}

fn judged(ledgers: &[Ledger], transactions: &[Transactions], readings: &[LogReading]) -> Verdict {
    let mut settings = settings(Acks::All, 1);
    settings.producer.idempotence = true;
    settings.producer.transaction = Some(TransactionSettings {
        span: TransactionSpan::Records(1),
        abort_every: 0,
        abort_flush: true,
        timeout_ns: 1,
    });
    let exhibits = Exhibits {
        ledgers,
        readings,
        transactions,
        journals: &[],
        effects: None,
        pipelines: &[],
        output: &[],
    };
    judge(&settings, Upsets::NONE, exhibits, Ok(()))
}

fn broken(verdict: &Verdict) -> String {
    let names = verdict.identities.iter().filter(|identity| !identity.holds).map(|one| one.name.as_str());
    names.collect::<Vec<_>>().join(" ")
}

/// Every tally that is not zero.
fn tallies(verdict: &Verdict) -> BTreeMap<TallyKind, u64> {
    assert_eq!(broken(verdict), "", "{:#?}", verdict.identities);
    assert_eq!(verdict.inconclusive, None);
    let counts = verdict.tallies.iter().map(|(kind, tally)| (*kind, tally.count));
    counts.filter(|(_, count)| *count > 0).collect()
}

/// The definitions as searches over single attempts and copies: tallies, and records by class with those that are visible.
fn model(history: &History) -> (BTreeMap<TallyKind, u64>, BTreeMap<Class, (u64, u64)>) {
    let mut found = BTreeMap::new();
    let mut note = |kind, count: u64| *found.entry(kind).or_default() += count;
    let shown = |sent: &Sent| history.log.iter().filter(|copy| copy.0 == *sent && copy.1).count() as u64;
    let handed = |sent: &&Sent| !history.refused.contains(sent);
    let mut by_transaction: BTreeMap<(u8, u32), (u64, u64)> = BTreeMap::new();
    for sent in history.sent.iter().filter(handed) {
        let visible = shown(sent);
        let one = by_transaction.entry((sent.life, sent.ordinal)).or_default();
        *one = (one.0 + 1, one.1 + u64::from(visible > 0));
        match (history.claim(sent), visible > 0) {
            (Claim::Committed, false) => note(TallyKind::LogLoss, 1),
            (Claim::NeverCommitted, true) => note(TallyKind::AbortedRead, 1),
            _ => {}
        }
        note(TallyKind::DuplicateSameAttempt, visible.saturating_sub(1));
    }
    let torn = by_transaction.values().filter(|(handed, shown)| 0 < *shown && shown < handed).count();
    note(TallyKind::TornTransaction, torn as u64);
    let mut classes: BTreeMap<Class, (u64, u64)> = BTreeMap::new();
    for first in history.sent.iter().filter(|sent| sent.attempt == 0) {
        let attempts: Vec<&Sent> =
            history.sent.iter().filter(|sent| sent.sequence == first.sequence).filter(handed).collect();
        let any = |claim| attempts.iter().any(|sent| history.claim(sent) == claim);
        let class = if any(Claim::Committed) {
            Class::Committed
        } else if any(Claim::CommitUnknown) {
            Class::CommitUnknown
        } else if any(Claim::NeverCommitted) {
            Class::NeverCommitted
        } else {
            Class::Rejected
        };
        let visible = attempts.iter().filter(|sent| shown(sent) > 0).count() as u64;
        let sums = classes.entry(class).or_default();
        *sums = (sums.0 + 1, sums.1 + u64::from(visible > 0));
        note(TallyKind::DuplicateCrossAttempt, visible.saturating_sub(1));
        if class == Class::CommitUnknown {
            note(if visible > 0 { TallyKind::UnknownPresent } else { TallyKind::UnknownAbsent }, 1);
        }
    }
    note(TallyKind::AbortedCopies, history.log.iter().filter(|copy| !copy.1).count() as u64);
    let visible: Vec<Sent> = history.log.iter().filter(|copy| copy.1).map(|copy| copy.0).collect();
    let late = |(at, sent): (usize, &Sent)| {
        let before = &visible[..at];
        let overtakes =
            |other: &Sent| (other.life, other.attempt) == (sent.life, 0) && other.sequence > sent.sequence;
        sent.attempt == 0 && !before.contains(sent) && before.iter().any(overtakes)
    };
    note(TallyKind::Reorder, visible.iter().enumerate().filter(|at| late(*at)).count() as u64);
    found.retain(|_, count| *count > 0);
    (found, classes)
}

fn a_state() -> impl Strategy<Value = State> {
    prop::sample::select(State::ALL.to_vec())
}

prop_compose! {
    fn a_history()(
        first in prop::collection::vec((a_state(), 0_u64..4), 1..5),
        second in prop::collection::vec((a_state(), prop::collection::vec(0_u64..12, 0..4), 0_u64..3), 1..5),
        refused in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..4), 0..8),
    ) -> History {
        let of_first: u64 = first.iter().map(|one| one.1).sum();
        let mut seen = BTreeSet::new();
        let second: Vec<(State, Vec<u64>, u64)> = second
            .into_iter()
            .map(|(state, again, count)| {
                (state, again.into_iter().filter(|old| *old < of_first && seen.insert(*old)).collect(), count)
            })
            .collect();
        let mut history = History::of(&first, &second);
        for at in refused.into_iter().filter(|_| !history.sent.is_empty()) {
            history.refused.insert(history.sent[at.index(history.sent.len())]);
        }
        let refused = history.refused.clone();
        history.log.retain(|copy| !refused.contains(&copy.0));
        for (at, what) in changes {
            if history.log.is_empty() {
                break;
            }
            let at = at.index(history.log.len());
            match what {
                0 => drop(history.log.remove(at)),
                1 => history.log.push(history.log[at]),
                2 => history.log[at].1 ^= true,
                _ => {
                    let copy = history.log.remove(at);
                    history.log.insert(0, copy);
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
        let (expected, classes) = model(&history);
        prop_assert_eq!(tallies(&verdict), expected);
        for (class, count) in &verdict.classes {
            let (records, present) = classes.get(class).copied().unwrap_or_default();
            prop_assert_eq!((count.records, count.present), (records, present), "{:?}", class);
        }
        let lives = [history.life(1), history.life(0)];
        let mut shuffled = history.readings();
        shuffled.reverse();
        prop_assert_eq!(judged(&[history.ledger(1), history.ledger(0)], &lives, &shuffled), verdict);
    }
}

/// Two committed, two of a commit that was refused, two that were left open: the next life sends the four again, and two new.
fn usual() -> History {
    let first = [(State::Committed, 2), (State::CommitFailed, 2), (State::Open, 2)];
    History::of(&first, &[(State::Committed, vec![2, 3, 4, 5], 0), (State::Committed, vec![], 2)])
}

#[test]
fn what_is_sent_again_and_committed_is_there_once() {
    let verdict = usual().verdict();
    assert_eq!(tallies(&verdict), BTreeMap::from([(TallyKind::AbortedCopies, 4)]));
    assert_eq!((verdict.promise, verdict.records, verdict.attempts), (Promise::Kept, 8, 12));
    assert_eq!(verdict.classes[&Class::Committed].records, 8);
    // Of what is claimed every transaction has its own denominator.
    let of = |kind| verdict.tallies[&kind].of;
    assert_eq!(
        (of(TallyKind::LogLoss), of(TallyKind::AbortedRead), of(TallyKind::TornTransaction)),
        (8, 2, 5)
    );
}

#[test]
fn each_mutation_changes_exactly_its_tally() {
    use TallyKind::{AbortedCopies, AbortedRead, DuplicateCrossAttempt, LogLoss, TornTransaction};
    let check = |mutate: &dyn Fn(&mut History), expected: &[(TallyKind, u64)], promise: Promise| {
        let mut history = usual();
        mutate(&mut history);
        let verdict = history.verdict();
        assert_eq!((tallies(&verdict), verdict.promise), (expected.iter().copied().collect(), promise));
    };
    let of = |life: u8, ordinal: u32| move |sent: &Sent| (sent.life, sent.ordinal) == (life, ordinal);
    let again = of(1, 1);
    check(
        &|history| history.log.retain(|copy| !again(&copy.0)),
        &[(AbortedCopies, 4), (LogLoss, 4)],
        Promise::Violated,
    );
    check(&|history| history.show(false, again), &[(AbortedCopies, 8), (LogLoss, 4)], Promise::Violated);
    // The first attempt is there, its claim is not: that does not excuse the second one.
    check(
        &|history| {
            history.show(true, of(0, 2));
            history.show(false, again);
        },
        &[(AbortedCopies, 6), (LogLoss, 4)],
        Promise::Violated,
    );
    check(
        &|history| history.show(true, of(0, 3)),
        &[(AbortedCopies, 2), (AbortedRead, 2), (DuplicateCrossAttempt, 2)],
        Promise::Violated,
    );
    // A commit that had gone through after all, and nobody looked.
    check(
        &|history| history.show(true, of(0, 2)),
        &[(AbortedCopies, 2), (DuplicateCrossAttempt, 2)],
        Promise::Allowed,
    );
    check(
        &|history| history.show(false, |sent| again(sent) && sent.sequence == 4),
        &[(AbortedCopies, 5), (LogLoss, 1), (TornTransaction, 1)],
        Promise::Violated,
    );
}

#[test]
fn books_that_do_not_agree_are_void() {
    let history = usual();
    let with = |change: &dyn Fn(&mut Ledger, &mut Transactions)| {
        let (mut ledger, mut life) = (history.ledger(1), history.life(1));
        change(&mut ledger, &mut life);
        broken(&judged(&[history.ledger(0), ledger], &[history.life(0), life], &history.readings()))
    };
    assert_eq!(with(&|_, _| {}), "");
    assert_eq!(with(&|_, life| life.transactions[0].records += 1), "I11");
    for transaction in [0, 2, 9] {
        // Into none, into another one, into one that was never begun.
        let told = with(&|ledger, _| ledger.resends[1].transaction = transaction);
        assert!(told.contains("I11"), "{transaction}: {told}");
    }
    let twice = with(&|ledger, _| ledger.resends.push(ledger.resends[0]));
    assert!(twice.contains("I11"), "{twice}");
}

#[test]
fn a_copy_that_was_sent_again_says_which_transaction_it_went_into() {
    let history = usual();
    let (mut ledger, mut life) = (history.ledger(1), history.life(1));
    ledger.resends[1].transaction = 2;
    (life.transactions[0].records, life.transactions[1].records) = (3, 3);
    let verdict = judged(&[history.ledger(0), ledger], &[history.life(0), life], &history.readings());
    let i11 = verdict.identities.iter().find(|identity| identity.name == "I11").expect("checked");
    let expected = "sequence 3: the copy says transaction 1 of life 1, the ledger 2 of life 1";
    assert!(!i11.holds && i11.detail.contains(expected), "{}", i11.detail);
}
