//! Pipelines on made-up logs: a slow, obvious model of input, members' transactions and output agrees with the verdict, and
//! each error of book-keeping breaks an identity.

use super::history::settings;
use super::processing_tests::{group, sink};
use super::transaction_tests::{self, Copy, History, PARTITIONS, Slot, a_history, broken, tallies};
use super::{Class, Exhibits, TallyKind, Upsets, Verdict, judge};
use crate::effects::{EffectRun, Effects};
use crate::ids::{Incarnation, MemberId, PartitionId, ProducerId};
use crate::processing::{Journal, JournalMut, Move, file_bytes, parse};
use crate::reading::{CopyRun, Source};
use crate::settings::{Acks, CommitStrategy, SinkKind, TransactionSettings, TransactionSpan};
use crate::transactions::{Claim, State, Transaction, Transactions};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const BATCH: u64 = 5;

/// How far a batch has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Its records are marked begun, nothing else.
    Begun,
    /// Handed over in a transaction that ended so; a refused batch is marked so.
    Refused(State),
    /// The same, and the life was killed before it marked anything.
    Unmarked(State),
    /// Its transaction was committed, and its records are marked completed.
    Completed,
}

/// After these a life goes on.
const GOES_ON: [Fate; 6] = [
    Fate::Completed,
    Fate::Completed,
    Fate::Completed,
    Fate::Refused(State::Aborted),
    Fate::Refused(State::AbortFailed),
    Fate::Refused(State::CommitFailed),
];
/// In these it was killed.
const KILLED: [Fate; 5] = [
    Fate::Begun,
    Fate::Unmarked(State::Open),
    Fate::Unmarked(State::AbortCalled),
    Fate::Unmarked(State::CommitCalled),
    Fate::Unmarked(State::Committed),
];

impl Fate {
    fn state(self) -> Option<State> {
        match self {
            Fate::Begun => None,
            Fate::Refused(state) | Fate::Unmarked(state) => Some(state),
            Fate::Completed => Some(State::Committed),
        }
    }
}

/// Records, fate, and how many of its rows are shown if not as many as its claim says.
type Batch = (u64, Fate, Option<u64>);

/// One life: the partition that it is given, where it begins, its batches, and the one in which it is killed.
#[derive(Debug, Clone)]
struct Life {
    partition: usize,
    start: u64,
    batches: Vec<Batch>,
    killed: Option<Batch>,
}

/// What became of one batch.
#[derive(Debug)]
struct Deed {
    life: usize,
    partition: usize,
    /// Its records, by offset.
    copies: Vec<(u64, Copy)>,
    /// The number of its first processing.
    processing: u64,
    fate: Fate,
    /// Of its life's transactions; 0: it got to none.
    ordinal: u32,
    /// Rows that the output topic shows, from the first on.
    shown: u64,
}

#[derive(Debug, Clone)]
struct World {
    input: History,
    /// The input is written in transactions.
    transactional: bool,
    read_committed: bool,
    /// Members are given what is not visible to them: a defect.
    leaks: bool,
    lives: Vec<Life>,
}

struct Evidence {
    journals: Vec<Journal>,
    pipelines: Vec<Transactions>,
    effects: Effects,
}

fn copies(log: &[Slot]) -> impl Iterator<Item = (u64, Copy)> {
    (0..).zip(log).filter_map(|(offset, slot)| match slot {
        Slot::Copy(copy) => Some((offset, *copy)),
        Slot::Control => None,
    })
}

impl World {
    fn is_visible(&self, copy: &Copy) -> bool {
        copy.visible || !self.read_committed
    }

    fn deeds(&self) -> Vec<Deed> {
        let mut deeds = Vec::new();
        for (life, Life { partition, start, batches, killed }) in self.lives.iter().enumerate() {
            let given = |copy: &Copy| self.leaks || self.is_visible(copy);
            let mut left =
                copies(&self.input.logs[*partition]).filter(|(offset, copy)| offset >= start && given(copy));
            let (mut processing, mut transactions) = (1, 0);
            for (size, fate, shown) in batches.iter().chain(killed) {
                let copies: Vec<(u64, Copy)> = left.by_ref().take(*size as usize).collect();
                let count = copies.len() as u64;
                if count == 0 {
                    break;
                }
                let claim = fate.state().map(State::claim);
                transactions += u32::from(claim.is_some());
                let as_claimed = if claim == Some(Claim::Committed) { count } else { 0 };
                let shown = shown.unwrap_or(as_claimed).min(if claim.is_some() { count } else { 0 });
                let ordinal = if claim.is_some() { transactions } else { 0 };
                let partition = *partition;
                deeds.push(Deed { life, partition, copies, processing, fate: *fate, ordinal, shown });
                processing += count;
            }
        }
        deeds
    }

    fn evidence(&self) -> Evidence {
        let deeds = self.deeds();
        let mut evidence =
            Evidence { journals: Vec::new(), pipelines: Vec::new(), effects: Effects::default() };
        for (number, life) in self.lives.iter().enumerate() {
            let own: Vec<&Deed> = deeds.iter().filter(|deed| deed.life == number).collect();
            let closed = own.last().is_none_or(|last| GOES_ON.contains(&last.fate));
            let (member, incarnation) = (MemberId(number as u16 % 2), Incarnation(number as u8));
            let mut bytes = vec![0; file_bytes(200)];
            let mut journal = JournalMut::create(&mut bytes, member, incarnation).in_batches(BATCH as u32);
            let partition = PartitionId(life.partition as u16);
            journal.assigned(&Move { partition, position: life.start as i64, at_ns: 0, generation: None });
            let mut transactions = Transactions {
                producer: ProducerId(member.0),
                incarnation,
                closed,
                answers: [0; 4],
                transactions: Vec::new(),
            };
            for deed in own {
                let runs: Vec<CopyRun> = deed.copies.iter().map(|copy| run(deed, copy)).collect();
                runs.iter().for_each(|run| journal.begin(partition, run, 1));
                let Some(state) = deed.fate.state() else { continue };
                journal.call_write();
                transactions.transactions.push(Transaction {
                    ordinal: deed.ordinal,
                    state,
                    begun_ns: 1,
                    called_ns: 2,
                    answered_ns: 3,
                    records: deed.copies.len() as u64,
                    first_sequences: Vec::new(),
                });
                if !matches!(deed.fate, Fate::Unmarked(_)) {
                    journal.end_batch(4, |_| deed.fate == Fate::Completed);
                }
                for (run, processing) in runs.iter().zip(deed.processing..).take(deed.shown as usize) {
                    let copies = CopyRun { transaction: deed.ordinal, ..*run };
                    let row = EffectRun { partition, copies, member, life: incarnation, processing };
                    evidence.effects.push(row);
                }
            }
            if closed {
                journal.close();
            }
            transactions.answers = transactions.answers_by_entries();
            evidence.journals.push(parse(&bytes).expect("what was written"));
            evidence.pipelines.push(transactions);
        }
        let shown = deeds.iter().flat_map(|deed| {
            let shown = deed.copies.iter().take(deed.shown as usize);
            shown.map(|(_, copy)| (deed.partition, copy.sequence))
        });
        evidence.effects.rows = deeds.iter().map(|deed| deed.shown).sum();
        evidence.effects.records = shown.collect::<BTreeSet<_>>().len() as u64;
        evidence
    }

    fn judged(&self, Evidence { journals, pipelines, effects }: &Evidence) -> Verdict {
        let mut settings = settings(Acks::All, PARTITIONS as u16);
        settings.producer.idempotence = true;
        settings.producer.transaction = self.transactional.then_some(TransactionSettings {
            span: TransactionSpan::Records(1),
            abort_every: 0,
            abort_flush: true,
            timeout_ns: 1,
        });
        let mut group = group(CommitStrategy::Transaction);
        group.sink = Some(sink(SinkKind::Topic));
        group.batch_records = BATCH as u32;
        group.isolation = if self.read_committed { "read_committed" } else { "read_uncommitted" }.into();
        settings.group = Some(group);
        let mut readings = self.input.readings();
        readings.retain(|reading| self.transactional || reading.source != Source::CommittedReader);
        let transactions: Vec<Transactions> =
            self.transactional.then(|| self.input.evidence()).into_iter().collect();
        let exhibits = Exhibits {
            ledgers: &[self.input.ledger()],
            readings: &readings,
            transactions: &transactions,
            journals,
            effects: Some(effects),
            pipelines,
            output: &[],
        };
        judge(&settings, Upsets::NONE, exhibits, Ok(()))
    }

    /// Of every record of the input: its class, its visible copies, its completed processings, and its rows.
    fn records(&self, deeds: &[Deed]) -> Vec<(Class, [u64; 3])> {
        let firsts = self.input.firsts();
        let mut records = Vec::new();
        for (partition, first) in firsts.iter().enumerate() {
            for (at, (state, _)) in self.input.transactions.iter().enumerate() {
                for sequence in first[at]..first[at + 1] {
                    let class = match state.claim() {
                        _ if self.input.rejected.contains(&(partition, sequence)) => Class::Rejected,
                        _ if !self.transactional => Class::Acked,
                        Claim::Committed => Class::Committed,
                        Claim::CommitUnknown => Class::CommitUnknown,
                        Claim::NeverCommitted => Class::NeverCommitted,
                    };
                    let log = copies(&self.input.logs[partition]);
                    let in_log = log.filter(|(_, copy)| copy.sequence == sequence && copy.visible).count();
                    let of = |deed: &Deed, most: usize| {
                        let own = deed.copies.iter().take(most).filter(|(_, it)| it.sequence == sequence);
                        if deed.partition == partition { own.count() as u64 } else { 0 }
                    };
                    let completed = deeds.iter().filter(|deed| deed.fate == Fate::Completed);
                    let completed = completed.map(|deed| of(deed, deed.copies.len())).sum();
                    let rows = deeds.iter().map(|deed| of(deed, deed.shown as usize)).sum();
                    records.push((class, [in_log as u64, completed, rows]));
                }
            }
        }
        records
    }

    /// Records handed over in transactions that were never committed, and transactions: the input's and the members'.
    fn claimed(&self) -> [u64; 2] {
        let deeds = self.deeds();
        let never = |state: State| state.claim() == Claim::NeverCommitted;
        let mine = deeds.iter().filter(|deed| deed.fate.state().is_some_and(never));
        let mut never_committed: u64 = mine.map(|deed| deed.copies.len() as u64).sum();
        let mut transactions = deeds.iter().filter(|deed| deed.ordinal > 0).count() as u64;
        if self.transactional {
            let records = self.records(&[]);
            never_committed +=
                records.iter().filter(|(class, _)| *class == Class::NeverCommitted).count() as u64;
            transactions += self.input.transactions.len() as u64;
        }
        [never_committed, transactions]
    }

    /// The definitions as searches over single records, positions and transactions.
    fn model(&self) -> BTreeMap<TallyKind, u64> {
        let deeds = self.deeds();
        let mut found = transaction_tests::model(&self.input);
        if !self.transactional {
            found.remove(&TallyKind::TornTransaction);
        }
        let mut note = |kind, count: u64| *found.entry(kind).or_default() += count;
        for (partition, log) in self.input.logs.iter().enumerate() {
            for (offset, copy) in copies(log) {
                let here = |deed: &&Deed| {
                    deed.partition == partition && deed.copies.iter().any(|(at, _)| *at == offset)
                };
                let begun = deeds.iter().filter(here).count() as u64;
                let completed = deeds.iter().filter(here).filter(|deed| deed.fate == Fate::Completed);
                let completed = completed.count() as u64;
                let visible = self.is_visible(&copy);
                note(TallyKind::ProcessingLoss, u64::from(visible && begun == 0));
                note(TallyKind::ConsumerAbortedRead, u64::from(!visible && begun > 0));
                note(TallyKind::BegunOnly, u64::from(begun > 0 && completed == 0));
                note(TallyKind::Redelivery, completed.saturating_sub(1));
            }
        }
        for deed in &deeds {
            let handed = deed.copies.len() as u64;
            if matches!(deed.fate, Fate::Refused(_)) {
                note(TallyKind::SinkRefused, handed);
            }
            if deed.fate.state().is_some_and(|state| state.claim() == Claim::NeverCommitted) {
                note(TallyKind::AbortedRead, deed.shown);
            }
            note(TallyKind::TornTransaction, u64::from(0 < deed.shown && deed.shown < handed));
        }
        for (_, [in_log, _, rows]) in self.records(&deeds) {
            note(TallyKind::SinkDuplicate, rows.saturating_sub(1));
            note(TallyKind::SinkLoss, u64::from(in_log > 0 && rows == 0));
        }
        found.retain(|_, count| *count > 0);
        found
    }
}

fn run(deed: &Deed, (offset, copy): &(u64, Copy)) -> CopyRun {
    CopyRun {
        offset: *offset as i64,
        count: 1,
        producer: ProducerId(3),
        incarnation: Incarnation(0),
        attempt: Default::default(),
        home: PartitionId(deed.partition as u16),
        sequence: copy.sequence,
        transaction: 0,
    }
}

fn a_batch(fates: &'static [Fate]) -> impl Strategy<Value = Batch> {
    let shown = prop_oneof![4 => Just(None), 1 => (0..=BATCH).prop_map(Some)];
    (1..=BATCH, prop::sample::select(fates), shown)
}

prop_compose! {
    fn a_life()(
        partition in 0..PARTITIONS,
        start in 0_u64..8,
        batches in prop::collection::vec(a_batch(&GOES_ON), 0..5),
        killed in prop::option::of(a_batch(&KILLED)),
    ) -> Life {
        Life { partition, start, batches, killed }
    }
}

prop_compose! {
    fn a_world()(
        mut input in a_history(),
        transactional in any::<bool>(),
        read_committed in any::<bool>(),
        leaks in prop::bool::weighted(0.2),
        lives in prop::collection::vec(a_life(), 1..6),
    ) -> World {
        if !transactional {
            input.transactions.iter_mut().for_each(|(state, _)| *state = State::Committed);
            for log in &mut input.logs {
                log.retain(|slot| *slot != Slot::Control);
                for slot in log {
                    let Slot::Copy(copy) = slot else { continue };
                    (copy.ordinal, copy.visible) = (0, true);
                }
            }
        }
        World { input, transactional, read_committed, leaks, lives }
    }
}

/// Rows one by one.
fn single(effects: &Effects) -> Vec<EffectRun> {
    let rows = |run: &EffectRun| {
        let run = *run;
        (0..run.copies.count).map(move |at| {
            let (offset, sequence) = (run.copies.offset + at as i64, run.copies.sequence + at);
            let copies = CopyRun { offset, sequence, count: 1, ..run.copies };
            EffectRun { copies, processing: run.processing + at, ..run }
        })
    };
    effects.runs.iter().flat_map(rows).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_judge_agrees_with_the_obvious_model(world in a_world()) {
        let verdict = world.judged(&world.evidence());
        prop_assert_eq!(tallies(&verdict), world.model());
        let of = |kind| verdict.tallies[&kind].of;
        prop_assert_eq!([of(TallyKind::AbortedRead), of(TallyKind::TornTransaction)], world.claimed());
        let knows_copies = verdict.tallies.contains_key(&TallyKind::AbortedCopies);
        prop_assert_eq!(knows_copies, world.transactional, "of an input without transactions nothing is aborted");
        let mut expected: BTreeMap<(Class, [u64; 3]), [u64; 4]> = BTreeMap::new();
        for (class, counts) in world.records(&world.deeds()) {
            let sums = expected.entry((class, counts.map(|count| count.min(2)))).or_default();
            let [copies, processed, rows] = counts;
            sums.iter_mut().zip([1, copies, processed, rows]).for_each(|(sum, one)| *sum += one);
        }
        let found: BTreeMap<_, _> = verdict.contingency.iter().flat_map(|row| row.alike.iter().map(|kind| (
            (row.class, [kind.copies, kind.processed, kind.effects].map(u64::from)),
            [kind.records, kind.sum_copies, kind.sum_processed, kind.sum_effects],
        ))).collect();
        prop_assert_eq!(found, expected);
        let mut reversed = world.evidence();
        reversed.journals.reverse();
        reversed.pipelines.reverse();
        prop_assert_eq!(world.judged(&reversed), verdict);
    }

    /// Of a row that is there, and of the transaction that it came with.
    #[test]
    fn an_error_of_book_keeping_breaks_an_identity(
        world in a_world(), which in any::<prop::sample::Index>(), error in 0..8,
    ) {
        let mut evidence = world.evidence();
        let mut rows = single(&evidence.effects);
        prop_assume!(!rows.is_empty());
        let at = which.index(rows.len());
        let row = rows[at];
        let life = usize::from(row.life.0);
        let index = row.copies.transaction as usize - 1;
        let transaction = &mut evidence.pipelines[life].transactions;
        let shown = rows.iter().filter(|it| (it.life, it.copies.transaction) == (row.life, row.copies.transaction));
        match error {
            0 => drop(transaction.remove(index)),
            1 => transaction[index].records = shown.count() as u64 - 1,
            2 => evidence.pipelines[life].answers[0] += 2,
            3 => evidence.effects.rows += 1,
            4 => evidence.effects.records += 1,
            5 => rows[at].copies.transaction = 99,
            6 => rows[at].processing = 999,
            _ => rows[at].copies.sequence += 1,
        }
        evidence.effects.runs.clear();
        rows.into_iter().for_each(|row| evidence.effects.push(row));
        prop_assert_ne!(broken(&world.judged(&evidence)), "");
    }
}
