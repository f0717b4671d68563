//! Group members on made-up logs: a slow, obvious model agrees with the verdict, and each mutation changes exactly its tally.

use super::history::{History, clean, settings};
use super::{Exhibits, TallyKind, Upsets, Verdict, Weight, judge};
use crate::ids::{Incarnation, MemberId, PartitionId};
use crate::ledger::State;
use crate::processing::{self, CommitAnswer, Entry, Journal, JournalMut, Move, file_bytes, parse};
use crate::reading::CopyRun;
use crate::settings::{Acks, CommitStrategy, GroupSettings, SinkKind, SinkSettings};
use proptest::prelude::*;
use std::collections::BTreeMap;

pub(super) fn group(commit: CommitStrategy) -> GroupSettings {
    GroupSettings {
        members: 1,
        commit,
        commit_interval_ns: 0,
        commit_on_revoke: true,
        batch_records: 10,
        batch_wait_ns: 0,
        service_ns: 0,
        service_spread: Default::default(),
        assignor: "range".into(),
        protocol: "classic".into(),
        isolation: "read_committed".into(),
        session_timeout_ns: 0,
        fetch: Default::default(),
        extra: [].into(),
        sink: None,
    }
}

pub(super) fn sink(kind: SinkKind) -> SinkSettings {
    SinkSettings { kind, journal_mode: None, synchronous: None, url: None, synchronous_commit: None }
}

fn judged(history: &History, commit: CommitStrategy, journals: &[Journal]) -> Verdict {
    let mut settings = settings(Acks::All, history.logs.len() as u16);
    settings.group = Some(group(commit));
    let (ledgers, readings) = (history.ledgers(), history.readings());
    let exhibits = Exhibits {
        ledgers: &ledgers,
        readings: &readings,
        transactions: &[],
        journals,
        effects: None,
        pipelines: &[],
        output: &[],
    };
    judge(&settings, Upsets::NONE, exhibits, Ok(()))
}

/// The copy at an offset of a clean log, where offsets are sequences.
fn copy(offset: u64) -> CopyRun {
    CopyRun {
        offset: offset as i64,
        count: 1,
        producer: Default::default(),
        incarnation: Default::default(),
        attempt: Default::default(),
        home: PartitionId(0),
        sequence: offset,
        transaction: 0,
    }
}

/// What a member does, one step after the other.
#[derive(Debug, Clone, Copy)]
enum Step {
    Assigned(i64),
    Revoked,
    /// Begin and complete.
    Process(u64),
    /// Begin; only as the last step of a life.
    Begin(u64),
    Commit(i64),
}

/// Writes a life's journal into bytes and reads it again; instants are `clock` and count on.
fn life(member: u16, incarnation: u8, closed: bool, clock: &mut u64, steps: &[Step]) -> Journal {
    let mut bytes = vec![0; file_bytes(steps.len() as u64)];
    let mut journal = JournalMut::create(&mut bytes, MemberId(member), Incarnation(incarnation));
    let partition = PartitionId(0);
    for step in steps {
        *clock += 1;
        match *step {
            Step::Assigned(position) => {
                journal.assigned(&Move { partition, position, at_ns: *clock, generation: None })
            }
            Step::Revoked => {
                journal.revoked(&Move { partition, position: -1, at_ns: *clock, generation: None })
            }
            Step::Process(offset) => {
                journal.begin(partition, &copy(offset), *clock);
                journal.complete(*clock);
            }
            Step::Begin(offset) => journal.begin(partition, &copy(offset), *clock),
            Step::Commit(offset) => {
                let commit = journal.commit(partition, offset, *clock);
                *clock += 1;
                journal.answer(commit, CommitAnswer::Ok, *clock);
            }
        }
    }
    if closed {
        journal.close();
    }
    let journal = parse(&bytes).expect("what was written");
    let text = processing::to_jsonl(std::slice::from_ref(&journal));
    assert_eq!(processing::from_jsonl(&text).expect("what was written"), std::slice::from_ref(&journal));
    journal
}

/// Batches of ten: processed, then committed.
fn batches(from: u64, to: u64) -> Vec<Step> {
    let mut steps = Vec::new();
    for start in (from..to).step_by(10) {
        let end = (start + 10).min(to);
        steps.extend((start..end).map(Step::Process));
        steps.push(Step::Commit(end as i64));
    }
    steps
}

pub(super) fn counts(verdict: &Verdict) -> BTreeMap<TallyKind, u64> {
    assert!(!verdict.is_void(), "{:?}", verdict.identities);
    assert_eq!(verdict.inconclusive, None);
    let of_group = verdict.tallies.iter().filter(|(kind, tally)| kind.is_of_group() && tally.count > 0);
    of_group.map(|(kind, tally)| (*kind, tally.count)).collect()
}

#[test]
fn a_cell_without_a_group_has_no_tallies_of_one() {
    let verdict = clean(10, State::Acked).verdict();
    assert!(verdict.tallies.keys().all(|kind| !kind.is_of_group()));
}

#[test]
fn who_processes_everything_once_has_nothing_to_explain() {
    let history = clean(35, State::Acked);
    let steps = [vec![Step::Assigned(0)], batches(0, 35), vec![Step::Revoked]].concat();
    let verdict = judged(&history, CommitStrategy::SyncAfter, &[life(0, 0, true, &mut 0, &steps)]);
    assert_eq!(counts(&verdict), [].into());
    assert_eq!(verdict.tallies[&TallyKind::ProcessingLoss].of, 35);
    assert_eq!(verdict.tallies[&TallyKind::Redelivery].of, 35);
}

#[test]
fn a_death_after_processing_and_before_the_commit_repeats_what_was_done() {
    let history = clean(100, State::Acked);
    let mut clock = 0;
    let done = (20..27).map(Step::Process).collect::<Vec<_>>();
    let first = [vec![Step::Assigned(0)], batches(0, 20), done].concat();
    let second = [vec![Step::Assigned(20)], batches(20, 100)].concat();
    let lives = [life(0, 0, false, &mut clock, &first), life(0, 1, true, &mut clock, &second)];
    let verdict = judged(&history, CommitStrategy::SyncAfter, &lives);
    assert_eq!(counts(&verdict), [(TallyKind::Redelivery, 7)].into());
    assert_eq!(verdict.tallies[&TallyKind::Redelivery].weight, Weight::Allowed);
    assert_eq!(verdict.tallies[&TallyKind::Redelivery].offenders.len(), 7);
}

#[test]
fn a_death_after_the_commit_and_before_processing_loses_the_rest_of_the_batch() {
    let history = clean(100, State::Acked);
    let mut clock = 0;
    let done = [vec![Step::Commit(30)], (20..27).map(Step::Process).collect()].concat();
    let first = [vec![Step::Assigned(0)], batches(0, 20), done].concat();
    let second = [vec![Step::Assigned(30)], batches(30, 100)].concat();
    let lives = [life(0, 0, false, &mut clock, &first), life(0, 1, true, &mut clock, &second)];
    for (commit, weight) in
        [(CommitStrategy::SyncBefore, Weight::Allowed), (CommitStrategy::SyncAfter, Weight::Violation)]
    {
        let verdict = judged(&history, commit, &lives);
        let expected = [(TallyKind::ProcessingLoss, 3), (TallyKind::CommitAhead, 10)];
        assert_eq!(counts(&verdict), expected.into());
        assert_eq!(verdict.tallies[&TallyKind::ProcessingLoss].weight, weight);
    }
}

#[test]
fn a_record_in_hand_at_the_death_is_begun_only_unless_somebody_completes_it() {
    let history = clean(20, State::Acked);
    let mut clock = 0;
    let first = [vec![Step::Assigned(0)], batches(0, 10), vec![Step::Begin(10)]].concat();
    let early = life(0, 0, false, &mut clock, &first);
    let rest = [vec![Step::Assigned(11)], batches(11, 20)].concat();
    let again = [vec![Step::Assigned(10)], batches(10, 20)].concat();
    let left = judged(&history, CommitStrategy::Auto, &[early.clone(), life(0, 1, true, &mut clock, &rest)]);
    assert_eq!(counts(&left), [(TallyKind::BegunOnly, 1), (TallyKind::CommitAhead, 1)].into());
    let done = judged(&history, CommitStrategy::Auto, &[early, life(0, 1, true, &mut clock, &again)]);
    assert_eq!(counts(&done), [].into());
}

/// A member dies between begin and completion; the other one, which has a partition of its own, takes over.
#[test]
fn of_two_members_the_one_that_lives_completes_what_the_dead_one_had_begun() {
    let history = clean(40, State::Acked);
    let mut clock = 0;
    let dead = [vec![Step::Assigned(0)], batches(0, 10), vec![Step::Begin(10)]].concat();
    let dead = life(0, 0, false, &mut clock, &dead);
    let heir = [vec![Step::Assigned(10)], batches(10, 40)].concat();
    let heir = life(1, 0, true, &mut clock, &heir);
    let judged = |journals: &[Journal]| judged(&history, CommitStrategy::SyncAfter, journals);
    assert_eq!(counts(&judged(&[dead.clone(), heir.clone()])), [].into());
    assert_eq!(counts(&judged(&[heir.clone(), dead.clone()])), [].into());
    // Each of these changes what it says, and nothing else.
    let mut late = heir.clone();
    late.entries.retain(|entry| !matches!(entry, Entry::Processed(run) if run.copies.offset == 10));
    assert!(judged(&[dead.clone(), late]).is_void(), "the counters beside the entries know better");
    let mut twice = dead.clone();
    twice.begun += 1;
    assert!(judged(&[twice, heir.clone()]).is_void(), "begun twice, and one death");
    let mut both = dead;
    both.member = MemberId(1);
    assert!(judged(&[both, heir]).is_void(), "one life in two journals");
}

#[test]
fn skips_and_steps_back_inside_one_assignment_are_defects_and_between_two_they_are_not() {
    let history = clean(20, State::Acked);
    let steps = |again: &[Step]| {
        [&[Step::Assigned(0)], &batches(0, 10)[..], again, &batches(12, 20)[..], &batches(5, 12)[..]].concat()
    };
    let inside = judged(&history, CommitStrategy::None, &[life(0, 0, true, &mut 0, &steps(&[]))]);
    let counted = counts(&inside);
    assert_eq!((counted[&TallyKind::PollSkip], counted[&TallyKind::NonMonotonicPoll]), (2, 1));
    assert_eq!(inside.tallies[&TallyKind::PollSkip].weight, Weight::Violation);
    let moved = [Step::Revoked, Step::Assigned(12)];
    let between = judged(&history, CommitStrategy::None, &[life(0, 0, true, &mut 0, &steps(&moved))]);
    assert!(!counts(&between).contains_key(&TallyKind::PollSkip));
}

#[test]
fn what_was_processed_and_is_not_in_the_log_has_vanished() {
    let history = clean(10, State::Acked);
    let beyond = [vec![Step::Assigned(0)], batches(0, 13)].concat();
    let verdict = judged(&history, CommitStrategy::SyncAfter, &[life(0, 0, true, &mut 0, &beyond)]);
    assert_eq!(counts(&verdict), [(TallyKind::Vanished, 3)].into());
}

/// Ten records processed whose offsets hold ten others by now.
fn gone() -> Journal {
    let mut journal = life(0, 0, true, &mut 0, &[vec![Step::Assigned(0)], batches(0, 10)].concat());
    for entry in &mut journal.entries {
        if let Entry::Processed(run) = entry {
            run.copies.sequence += 10;
        }
    }
    journal
}

#[test]
fn another_record_at_a_processed_offset_is_a_rewritten_log_and_itself_not_processed() {
    let verdict = judged(&clean(10, State::Acked), CommitStrategy::SyncAfter, &[gone()]);
    let ten =
        [TallyKind::RewrittenLog, TallyKind::Vanished, TallyKind::ProcessingLoss].map(|kind| (kind, 10));
    let mut found = counts(&verdict);
    found.insert(TallyKind::RewrittenLog, verdict.tallies[&TallyKind::RewrittenLog].count);
    assert_eq!(found, ten.into());
}

#[test]
fn records_at_offsets_that_were_processed_before_are_not_processed_again() {
    let after = life(1, 0, true, &mut 100, &[vec![Step::Assigned(0)], batches(0, 10)].concat());
    let verdict = judged(&clean(10, State::Acked), CommitStrategy::SyncAfter, &[gone(), after]);
    let found = counts(&verdict);
    assert_eq!((found.get(&TallyKind::Redelivery), found.get(&TallyKind::ProcessingLoss)), (None, None));
    assert_eq!(found[&TallyKind::Vanished], 10);
}

#[test]
fn lost_and_doubled_marks_void_the_cell() {
    let history = clean(10, State::Acked);
    let fine = life(0, 0, true, &mut 0, &[vec![Step::Assigned(0)], batches(0, 10)].concat());
    let broken = |mutate: &dyn Fn(&mut Journal)| {
        let mut journal = fine.clone();
        mutate(&mut journal);
        judged(&history, CommitStrategy::SyncAfter, &[journal]).is_void()
    };
    assert!(!broken(&|_| {}));
    assert!(broken(&|journal| journal.begun += 1));
    assert!(broken(&|journal| journal.completed -= 1));
    assert!(broken(&|journal| journal.entries.retain(|entry| !matches!(entry, Entry::Processed(_)))));
    assert!(broken(&|journal| {
        for entry in &mut journal.entries {
            if let Entry::Processed(run) = entry {
                run.completed -= 2;
            }
        }
        journal.completed -= 2;
    }));
}

#[test]
fn each_tally_is_of_what_it_counts() {
    let history = clean(30, State::Acked);
    let steps = [vec![Step::Assigned(0)], batches(0, 20), vec![Step::Begin(20)]].concat();
    let verdict = judged(&history, CommitStrategy::SyncAfter, &[life(0, 0, false, &mut 0, &steps)]);
    use TallyKind::{
        BegunOnly, CommitAhead, NonMonotonicPoll, PollSkip, ProcessingLoss, Redelivery, Vanished,
    };
    let of = |kinds: &[TallyKind]| kinds.iter().map(|kind| verdict.tallies[kind].of).collect::<Vec<_>>();
    assert_eq!(of(&[ProcessingLoss, CommitAhead, PollSkip]), [30; 3], "what is visible");
    assert_eq!(of(&[BegunOnly, Vanished, NonMonotonicPoll]), [21; 3], "what was begun");
    assert_eq!(of(&[Redelivery]), [20], "what was completed");
}

#[test]
fn one_begin_and_one_completion_of_a_killed_life_may_not_be_counted_yet() {
    let history = clean(10, State::Acked);
    let steps = [vec![Step::Assigned(0)], batches(0, 10)].concat();
    let broken = |closed, begun: u64, completed: u64| {
        let mut journal = life(0, 0, closed, &mut 0, &steps);
        (journal.begun, journal.completed) = (10 - begun, 10 - completed);
        judged(&history, CommitStrategy::SyncAfter, &[journal]).is_void()
    };
    assert!(broken(true, 1, 0) && broken(true, 0, 1));
    assert!(!broken(false, 1, 0) && !broken(false, 0, 1) && !broken(false, 1, 1));
    assert!(broken(false, 2, 0) && broken(false, 0, 2));
}

/// From which position, in which batches (a jump before each, and its length), whether it commits before it processes, which member.
type Lived = (u64, Vec<(i64, u64)>, bool, u16);

/// Lives of three members, each of which processes from some position, may jump before a batch, and dies somewhere.
fn lives() -> impl Strategy<Value = Vec<Lived>> {
    let jump = prop_oneof![4 => Just(0_i64), 1 => -4_i64..5];
    let life = (0_u64..30, prop::collection::vec((jump, 1_u64..8), 0..6), any::<bool>(), 0_u16..3);
    prop::collection::vec(life, 1..6)
}

proptest! {
    /// Every position counted one by one, as the definitions say.
    #[test]
    fn the_obvious_model_agrees(lives in lives()) {
        const RECORDS: u64 = 40;
        let history = clean(RECORDS, State::Acked);
        let (mut begun, mut completed) = (BTreeMap::<u64, u64>::new(), BTreeMap::<u64, u64>::new());
        let mut ahead = std::collections::BTreeSet::new();
        let mut committed = 0;
        let (mut skipped, mut backwards) = (0, 0);
        let mut clock = 0;
        let mut journals = Vec::new();
        for (number, (start, lengths, commits_early, member)) in lives.iter().enumerate() {
            let mut steps = vec![Step::Assigned(*start as i64)];
            let (mut at, mut expected) = (*start, *start);
            for (jump, length) in lengths {
                at = at.saturating_add_signed(*jump).min(RECORDS);
                let end = (at + length).min(RECORDS);
                if at < end {
                    skipped += at.saturating_sub(expected);
                    backwards += u64::from(at < expected);
                    expected = end;
                }
                let mut commit = |completed: &BTreeMap<u64, u64>| {
                    ahead.extend((committed..end).filter(|offset| !completed.contains_key(offset)));
                    committed = committed.max(end);
                };
                if *commits_early {
                    commit(&completed);
                    steps.push(Step::Commit(end as i64));
                }
                for offset in at..end {
                    *begun.entry(offset).or_default() += 1;
                    *completed.entry(offset).or_default() += 1;
                    steps.push(Step::Process(offset));
                }
                if !*commits_early {
                    commit(&completed);
                    steps.push(Step::Commit(end as i64));
                }
                at = end;
            }
            at = expected;
            if *commits_early && at < RECORDS {
                *begun.entry(at).or_default() += 1;
                steps.push(Step::Begin(at));
            }
            journals.push(life(*member, number as u8, !*commits_early, &mut clock, &steps));
        }
        let verdict = judged(&history, CommitStrategy::Auto, &journals);
        prop_assert!(!verdict.is_void(), "{:?}", verdict.identities);
        let count = |kind| verdict.tallies[&kind].count;
        prop_assert_eq!(count(TallyKind::ProcessingLoss), (0..RECORDS).filter(|offset| !begun.contains_key(offset)).count() as u64);
        prop_assert_eq!(count(TallyKind::BegunOnly), begun.keys().filter(|offset| !completed.contains_key(offset)).count() as u64);
        prop_assert_eq!(count(TallyKind::Redelivery), completed.values().map(|n| n - 1).sum::<u64>());
        prop_assert_eq!(count(TallyKind::CommitAhead), ahead.len() as u64);
        prop_assert_eq!((count(TallyKind::PollSkip), count(TallyKind::NonMonotonicPoll)), (skipped, backwards));
        journals.reverse();
        let reversed = judged(&history, CommitStrategy::Auto, &journals);
        prop_assert_eq!(reversed.tallies, verdict.tallies);
    }
}
