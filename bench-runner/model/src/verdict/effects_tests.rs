//! Groups with a sink on made-up logs: a slow, obvious model agrees with the verdict, each mutation changes exactly its
//! tally, and each error of book-keeping breaks an identity.

use super::history::{History, Id, Slot, clean, settings};
use super::processing_tests::{counts, group, sink};
use super::{Alike, Class, Exhibits, Promise, TallyKind, Upsets, Verdict, Weight, judge};
use crate::effects::{self, EffectRun, Effects};
use crate::ids::{Incarnation, MemberId, PartitionId};
use crate::ledger::State;
use crate::processing::{self, Entry, Journal, JournalMut, Move, file_bytes, parse};
use crate::reading::CopyRun;
use crate::settings::{Acks, CommitStrategy, SinkKind};
use CommitStrategy::{InSink, SyncAfter, SyncBefore};
use SinkKind::{SqliteAppend, SqliteUpsert};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const RECORDS: u64 = 40;
const BATCH: u32 = 10;

/// How far a batch has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Its records are marked begun, nothing else.
    Begun,
    /// The sink was asked, and has nothing.
    Called,
    /// The sink has the rows, and nobody has heard of it.
    Written,
    /// The rows are there, and the marks.
    Completed,
    /// The sink has refused it; the life goes on.
    Refused,
}

/// A sink and the lives that wrote to it.
#[derive(Debug, Clone)]
struct World {
    kind: SinkKind,
    /// The sequence that stands at each offset of the log.
    log: Vec<u64>,
    journals: Vec<Journal>,
    rows: Vec<EffectRun>,
    clock: u64,
}

fn copy(offset: u64, sequence: u64) -> CopyRun {
    CopyRun {
        offset: offset as i64,
        count: 1,
        producer: Default::default(),
        incarnation: Default::default(),
        attempt: Default::default(),
        home: PartitionId(0),
        sequence,
        transaction: 0,
    }
}

impl World {
    fn new(kind: SinkKind, log: Vec<u64>) -> Self {
        World { kind, log, journals: vec![], rows: vec![], clock: 0 }
    }

    fn write(&mut self, row: EffectRun) {
        if self.kind.is_idempotent() {
            self.rows.retain(|other| other.copies.sequence != row.copies.sequence);
        }
        self.rows.push(row);
    }

    /// One life that goes through batches of these sizes from an offset on; all but the last are completed or refused.
    fn life(&mut self, start: u64, batches: &[(u64, Fate)], closed: bool) {
        let life = Incarnation(self.journals.len() as u8);
        let mut bytes = vec![0; file_bytes(200)];
        let mut journal = JournalMut::create(&mut bytes, MemberId(0), life).in_batches(BATCH);
        let (partition, mut at, mut processing) = (PartitionId(0), start, 1);
        journal.assigned(&Move { partition, position: start as i64, at_ns: self.clock, generation: None });
        for (size, fate) in batches {
            let end = (at + size).min(self.log.len() as u64);
            self.clock += 2;
            for offset in at..end {
                journal.begin(partition, &copy(offset, self.log[offset as usize]), self.clock);
            }
            if *fate != Fate::Begun {
                journal.call_write();
            }
            if matches!(fate, Fate::Written | Fate::Completed) {
                for offset in at..end {
                    let copies = copy(offset, self.log[offset as usize]);
                    let number = processing + offset - at;
                    self.write(EffectRun {
                        partition,
                        copies,
                        member: MemberId(0),
                        life,
                        processing: number,
                    });
                }
            }
            if matches!(fate, Fate::Completed | Fate::Refused) {
                journal.end_batch(self.clock + 1, |_| *fate == Fate::Completed);
            }
            processing += end - at;
            at = end;
        }
        if closed {
            journal.close();
        }
        let journal = parse(&bytes).expect("what was written");
        let text = processing::to_jsonl(std::slice::from_ref(&journal));
        assert_eq!(processing::from_jsonl(&text).expect("what was written"), std::slice::from_ref(&journal));
        self.journals.push(journal);
    }

    fn effects(&self) -> Effects {
        let records: BTreeSet<u64> = self.rows.iter().map(|row| row.copies.sequence).collect();
        let mut effects =
            Effects { rows: self.rows.len() as u64, records: records.len() as u64, ..Effects::default() };
        let mut rows = self.rows.clone();
        rows.sort_by_key(|row| (row.life, row.processing));
        rows.into_iter().for_each(|row| effects.push(row));
        let text = effects::to_jsonl(&effects);
        assert_eq!(effects::from_jsonl(&text).as_ref(), Ok(&effects));
        effects
    }

    fn history(&self) -> History {
        let mut history = clean(RECORDS, State::Acked);
        let slot = |sequence: &u64| {
            Slot::Copy(Id { producer: 0, home: 0, sequence: *sequence, attempt: 0, life: 0 })
        };
        history.logs = vec![self.log.iter().map(slot).collect()];
        history
    }

    fn judged(&self, commit: CommitStrategy, journals: &[Journal], effects: Option<&Effects>) -> Verdict {
        let history = self.history();
        let mut settings = settings(Acks::All, 1);
        settings.producer.idempotence = true;
        let mut group = group(commit);
        (group.sink, group.batch_records) = (Some(sink(self.kind)), BATCH);
        settings.group = Some(group);
        let (ledgers, readings) = (history.ledgers(), history.readings());
        let exhibits = Exhibits {
            ledgers: &ledgers,
            readings: &readings,
            transactions: &[],
            journals,
            effects,
            pipelines: &[],
            output: &[],
        };
        judge(&settings, Upsets::NONE, exhibits, Ok(()))
    }

    fn verdict(&self, commit: CommitStrategy) -> Verdict {
        self.judged(commit, &self.journals, Some(&self.effects()))
    }
}

fn in_order() -> Vec<u64> {
    (0..RECORDS).collect()
}

/// Four full batches, all well.
fn fine(kind: SinkKind) -> World {
    let mut world = World::new(kind, in_order());
    world.life(0, &[(10, Fate::Completed); 4], true);
    world
}

/// The member dies with its second batch at this fate, the next life goes on from `from`.
fn death(kind: SinkKind, fate: Fate, from: u64) -> World {
    let mut world = World::new(kind, in_order());
    world.life(0, &[(10, Fate::Completed), (10, fate)], false);
    let rest = vec![(10, Fate::Completed); (RECORDS - from).div_ceil(10) as usize];
    world.life(from, &rest, true);
    world
}

fn broken(verdict: &Verdict) -> Vec<&str> {
    verdict.identities.iter().filter(|i| !i.holds).map(|i| i.name.as_str()).collect()
}

#[test]
fn who_writes_everything_once_has_nothing_to_explain() {
    for kind in SinkKind::ALL {
        for commit in [SyncAfter, SyncBefore, InSink] {
            let verdict = fine(kind).verdict(commit);
            assert_eq!(counts(&verdict), [].into());
            assert_eq!(
                (verdict.tallies[&TallyKind::SinkLoss].of, verdict.tallies[&TallyKind::SinkDuplicate].of),
                (RECORDS, RECORDS)
            );
            let all = Alike {
                copies: 1,
                processed: 1,
                effects: 1,
                records: RECORDS,
                sum_copies: RECORDS,
                sum_processed: RECORDS,
                sum_effects: RECORDS,
            };
            assert_eq!(verdict.contingency[0].alike, [all]);
        }
    }
}

#[test]
fn a_death_between_write_and_commit_doubles_a_batch_unless_rows_are_keyed_or_offsets_in_the_sink() {
    let doubled = [(TallyKind::Redelivery, 10), (TallyKind::SinkDuplicate, 10)];
    let append = death(SqliteAppend, Fate::Completed, 10).verdict(SyncAfter);
    assert_eq!(counts(&append), doubled.into());
    assert_eq!(append.tallies[&TallyKind::SinkDuplicate].weight, Weight::Allowed);
    assert_eq!(append.tallies[&TallyKind::SinkDuplicate].offenders[0].sequence, Some(10));
    // The same counts where the promise was another one.
    let promised = death(SqliteAppend, Fate::Completed, 10).verdict(InSink);
    assert_eq!(promised.tallies[&TallyKind::SinkDuplicate].weight, Weight::Violation);
    let upsert = death(SqliteUpsert, Fate::Completed, 10).verdict(SyncAfter);
    assert_eq!(counts(&upsert), [doubled[0]].into());
    assert_eq!(upsert.tallies[&TallyKind::SinkDuplicate].weight, Weight::Violation);
    assert_eq!(counts(&death(SqliteAppend, Fate::Completed, 20).verdict(InSink)), [].into());
}

#[test]
fn rows_of_a_write_that_nobody_was_told_of_are_effects_all_the_same() {
    let verdict = death(SqliteAppend, Fate::Written, 10).verdict(SyncAfter);
    assert_eq!(counts(&verdict), [(TallyKind::SinkDuplicate, 10)].into());
    // Offsets in the sink's transaction: it is not processed again.
    let in_sink = death(SqliteAppend, Fate::Written, 20).verdict(InSink);
    assert_eq!(counts(&in_sink), [(TallyKind::BegunOnly, 10)].into());
    assert_eq!(in_sink.tallies[&TallyKind::SinkLoss].count, 0);
}

#[test]
fn what_was_committed_and_not_written_is_missing_in_the_sink() {
    for fate in [Fate::Begun, Fate::Called] {
        for (commit, weight) in
            [(SyncBefore, Weight::Allowed), (SyncAfter, Weight::Violation), (InSink, Weight::Violation)]
        {
            let verdict = death(SqliteAppend, fate, 20).verdict(commit);
            assert_eq!(counts(&verdict), [(TallyKind::BegunOnly, 10), (TallyKind::SinkLoss, 10)].into());
            assert_eq!(verdict.tallies[&TallyKind::SinkLoss].weight, weight);
        }
    }
}

#[test]
fn a_refused_batch_is_given_up_and_needs_no_death() {
    let mut world = World::new(SqliteAppend, in_order());
    world.life(0, &[(10, Fate::Completed), (10, Fate::Refused), (10, Fate::Refused)], true);
    world.life(10, &[(10, Fate::Completed); 3], true);
    let verdict = world.verdict(InSink);
    assert_eq!(counts(&verdict), [(TallyKind::SinkRefused, 20)].into());
    let refused = &verdict.tallies[&TallyKind::SinkRefused];
    assert_eq!((refused.of, refused.weight, refused.offenders[0].offset), (60, Weight::Reported, Some(10)));
    assert_eq!(verdict.promise, Promise::Kept);
}

#[test]
fn what_was_refused_may_be_sought_again_within_one_assignment() {
    let mut world = World::new(SqliteAppend, in_order());
    world.life(0, &[(10, Fate::Completed), (10, Fate::Refused)], true);
    let mut again = World::new(SqliteAppend, in_order());
    again.life(10, &[(10, Fate::Completed); 3], true);
    // The same life goes on: its entries behind one assignment, its processings counted on.
    let (journal, rest) = (&mut world.journals[0], again.journals[0].clone());
    journal.entries.extend(rest.entries.into_iter().skip(1));
    journal.begun += rest.begun;
    journal.completed += rest.completed;
    journal.called += rest.called;
    journal.answered += rest.answered;
    let moved = again.rows.iter().map(|row| EffectRun { processing: row.processing + 20, ..*row });
    world.rows.extend(moved);
    let verdict = world.verdict(InSink);
    assert_eq!(broken(&verdict), [""; 0]);
    assert_eq!(counts(&verdict), [(TallyKind::SinkRefused, 10)].into());
}

#[test]
fn a_record_that_is_twice_in_the_log_has_two_rows_and_is_the_producers_doing() {
    let mut log = in_order();
    log.insert(6, 5);
    let mut world = World::new(SqliteAppend, log.clone());
    world.life(0, &[(10, Fate::Completed); 5], true);
    let verdict = world.verdict(InSink);
    assert_eq!(counts(&verdict), [(TallyKind::SinkDuplicate, 1)].into());
    let twice = verdict.contingency[0].alike.iter().find(|kind| kind.copies == 2).expect("a kind");
    assert_eq!((twice.processed, twice.effects, twice.records, twice.sum_effects), (2, 2, 1, 2));
    let mut world = World::new(SqliteUpsert, log);
    world.life(0, &[(10, Fate::Completed); 5], true);
    assert_eq!(counts(&world.verdict(SyncAfter)), [].into());
}

#[test]
fn a_row_deleted_or_doubled_in_the_sink_breaks_the_books() {
    let world = fine(SqliteAppend);
    let mut missing = world.clone();
    missing.rows.remove(7);
    let verdict = missing.verdict(SyncAfter);
    assert_eq!(verdict.tallies[&TallyKind::SinkLoss].count, 1);
    assert_eq!(broken(&verdict), ["I8", "I9"]);
    let mut twice = world.clone();
    twice.rows.push(twice.rows[7]);
    let verdict = twice.verdict(SyncAfter);
    assert_eq!(verdict.tallies[&TallyKind::SinkDuplicate].count, 1);
    assert_eq!(broken(&verdict), ["I8", "I13"]);
    let mut keyed = fine(SqliteUpsert);
    keyed.rows.remove(7);
    assert_eq!(broken(&keyed.verdict(SyncAfter)), ["I9"]);
}

#[test]
fn a_row_without_its_mark_breaks_the_books() {
    let world = fine(SqliteAppend);
    let broken_by = |mutate: &dyn Fn(&mut EffectRun)| {
        let mut world = world.clone();
        mutate(&mut world.rows[7]);
        let verdict = world.verdict(SyncAfter);
        broken(&verdict).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(broken_by(&|_| {}), [""; 0]);
    for identities in [
        broken_by(&|row| row.processing = 99),
        broken_by(&|row| row.life = Incarnation(1)),
        broken_by(&|row| row.copies.offset += 1),
        broken_by(&|row| row.copies.sequence = 30),
        broken_by(&|row| (row.copies.offset, row.copies.sequence) = (8, 8)),
        broken_by(&|row| row.partition = PartitionId(1)),
        broken_by(&|row| row.copies.producer.0 = 3),
    ] {
        assert!(identities.contains(&"I13".to_owned()), "{identities:?}");
    }
}

#[test]
fn errors_of_counters_and_marks_break_the_books() {
    let world = fine(SqliteAppend);
    let effects = world.effects();
    let broken_by = |mutate: &dyn Fn(&mut Journal)| {
        let mut journals = world.journals.clone();
        mutate(&mut journals[0]);
        let verdict = world.judged(SyncAfter, &journals, Some(&effects));
        broken(&verdict).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(broken_by(&|journal| journal.called -= 1), ["I8"]);
    assert_eq!(broken_by(&|journal| journal.called += 1), ["I8"]);
    assert_eq!(broken_by(&|journal| journal.answered += 1), ["I8"]);
    assert_eq!(broken_by(&|journal| journal.answered -= 1), ["I8"]);
    // A batch may be in hand when a life is killed, not when it ends in good order, and no more than one.
    let lose = |journal: &mut Journal, records: u64| {
        let Some(Entry::Processed(run)) =
            journal.entries.iter_mut().rev().find(|entry| matches!(entry, Entry::Processed(_)))
        else {
            panic!("a run")
        };
        run.completed -= records;
        journal.completed -= records;
    };
    assert_eq!(broken_by(&|journal| lose(journal, 10)), ["I13"]);
    assert_eq!(broken_by(&|journal| (journal.closed = false, lose(journal, 10)).1), [""; 0]);
    let counted = |mutate: &dyn Fn(&mut Effects)| {
        let mut effects = effects.clone();
        mutate(&mut effects);
        let verdict = world.judged(SyncAfter, &world.journals, Some(&effects));
        broken(&verdict).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(counted(&|effects| effects.rows += 1), ["I9", "margins"]);
    assert_eq!(counted(&|effects| effects.records -= 1), ["I9"]);
    let unread = world.judged(SyncAfter, &world.journals, None);
    assert!(unread.inconclusive.is_some_and(|why| why.contains("rows were not read")));
}

#[test]
fn what_a_life_was_told_is_no_more_than_what_it_asked_for_whatever_is_in_the_sink() {
    let keyed = fine(SqliteUpsert);
    let mut journals = keyed.journals.clone();
    journals[0].answered += 1;
    assert_eq!(broken(&keyed.judged(SyncAfter, &journals, Some(&keyed.effects()))), ["I8"]);
}

#[test]
fn each_tally_of_the_sink_is_of_what_it_counts() {
    // Of 40 records 30 were asked for, 20 of them answered; ten rows more come from the next life.
    let mut world = World::new(SqliteAppend, in_order());
    world.life(0, &[(10, Fate::Completed), (10, Fate::Completed), (10, Fate::Called)], false);
    world.life(10, &[(10, Fate::Completed)], true);
    let verdict = world.verdict(SyncAfter);
    let of = |kind| verdict.tallies[&kind].of;
    let all = [TallyKind::SinkDuplicate, TallyKind::SinkRefused, TallyKind::SinkLoss];
    assert_eq!((broken(&verdict), all.map(of)), (vec![], [30, 40, 40]));
    let i8 = verdict.identities.iter().find(|identity| identity.name == "I8").expect("checked");
    assert_eq!(i8.detail, "40 begun >= 40 rows called >= 30 answered >= 30 completed");
}

#[test]
fn of_a_batch_only_what_was_not_written_was_refused() {
    let mut world = World::new(SqliteAppend, in_order());
    world.life(0, &[(10, Fate::Completed), (10, Fate::Refused)], true);
    let Some(Entry::Processed(run)) = world.journals[0].entries.last_mut() else { panic!("a run") };
    run.completed = 3;
    let verdict = world.verdict(InSink);
    let refused = &verdict.tallies[&TallyKind::SinkRefused];
    let first = &refused.offenders[0];
    assert_eq!((refused.count, first.sequence, first.offset), (7, Some(13), Some(13)));
}

fn a_log() -> impl Strategy<Value = Vec<u64>> {
    // Mostly in order, some records missing, some twice.
    prop::collection::vec(prop_oneof![8 => Just(1_u8), 1 => Just(0_u8), 1 => Just(2_u8)], RECORDS as usize)
        .prop_map(|copies| {
            (0..RECORDS).zip(copies).flat_map(|(r, count)| vec![r; usize::from(count)]).collect()
        })
}

type Plan = (u64, Vec<(u64, bool)>, usize);

fn lives() -> impl Strategy<Value = Vec<Plan>> {
    let batches = prop::collection::vec((1_u64..=u64::from(BATCH), prop::bool::weighted(0.15)), 0..6);
    prop::collection::vec((0_u64..30, batches, 0_usize..5), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Every record counted one by one, as the definitions say.
    #[test]
    fn the_obvious_model_agrees(log in a_log(), lives in lives(), keyed in any::<bool>()) {
        let mut world = World::new(if keyed { SqliteUpsert } else { SqliteAppend }, log.clone());
        for (start, batches, last) in &lives {
            let mut fates: Vec<(u64, Fate)> = batches
                .iter()
                .map(|(size, refused)| (*size, if *refused { Fate::Refused } else { Fate::Completed }))
                .collect();
            let last = [Fate::Begun, Fate::Called, Fate::Written, Fate::Completed, Fate::Refused][*last];
            if let Some(batch) = fates.last_mut() {
                batch.1 = last;
            }
            let closed = matches!(last, Fate::Completed | Fate::Refused);
            world.life((*start).min(log.len() as u64), &fates, closed || fates.is_empty());
        }
        let verdict = world.verdict(SyncAfter);
        prop_assert!(!verdict.is_void(), "{:?}", verdict.identities);
        let mut processed = vec![0_u64; RECORDS as usize];
        for entry in world.journals.iter().flat_map(|journal| &journal.entries) {
            if let Entry::Processed(run) = entry {
                for offset in run.copies.offset..run.copies.offset + run.completed as i64 {
                    processed[log[offset as usize] as usize] += 1;
                }
            }
        }
        let mut expected: BTreeMap<(u64, u64, u64), [u64; 4]> = BTreeMap::new();
        let (mut duplicates, mut losses) = (0, 0);
        for record in 0..RECORDS {
            let copies = log.iter().filter(|sequence| **sequence == record).count() as u64;
            let rows = world.rows.iter().filter(|row| row.copies.sequence == record).count() as u64;
            duplicates += rows.saturating_sub(1);
            losses += u64::from(copies > 0 && rows == 0);
            let done = processed[record as usize];
            let kind = expected.entry((copies.min(2), done.min(2), rows.min(2))).or_default();
            kind.iter_mut().zip([1, copies, done, rows]).for_each(|(sum, one)| *sum += one);
        }
        prop_assert_eq!(verdict.tallies[&TallyKind::SinkDuplicate].count, duplicates);
        prop_assert_eq!(verdict.tallies[&TallyKind::SinkLoss].count, losses);
        let row = verdict.contingency.iter().find(|row| row.class == Class::Acked).expect("a row");
        let found: BTreeMap<_, _> = row.alike.iter().map(|kind| (
            (u64::from(kind.copies), u64::from(kind.processed), u64::from(kind.effects)),
            [kind.records, kind.sum_copies, kind.sum_processed, kind.sum_effects],
        )).collect();
        prop_assert_eq!(found, expected);
        let text = serde_json::to_string(&verdict).expect("serialises");
        prop_assert_eq!(serde_json::from_str::<Verdict>(&text).expect("parses"), verdict);
    }
}
