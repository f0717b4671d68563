//! The mutations of the accounting contract that concern groups and pipelines, made on stored evidence and judged by the real
//! binary's `verify`: what members processed and committed, their transactions against the rows of the output topic; each
//! changes exactly the predicted tally.

mod made_up;

use bench_model::effects::{EffectRun, Effects};
use bench_model::ids::{Incarnation, MemberId, PartitionId, ProducerId};
use bench_model::processing::{CommitAnswer, JournalMut, Move, file_bytes, parse};
use bench_model::reading::CopyRun;
use bench_model::result::{CellResult, Outcome};
use bench_model::settings::{Acks, CommitStrategy, GroupSettings, ServiceSpread, SinkKind, SinkSettings};
use bench_model::transactions::{self, State, TransactionsMut};
use bench_model::verdict::Promise;
use made_up::{Evidence, Group, RECORDS, agrees, assessed, differs_from};

const BATCH: u64 = 100;
const PARTITION: PartitionId = PartitionId(0);
/// Processings of the first record of the batch that has a second try.
const FIRST: u64 = 4 * BATCH;

fn settings() -> GroupSettings {
    let sink = SinkSettings {
        kind: SinkKind::Topic,
        journal_mode: None,
        synchronous: None,
        url: None,
        synchronous_commit: None,
    };
    GroupSettings {
        members: 1,
        commit: CommitStrategy::Transaction,
        commit_interval_ns: 1,
        commit_on_revoke: true,
        batch_records: BATCH as u32,
        batch_wait_ns: 0,
        service_ns: 0,
        service_spread: ServiceSpread::Constant,
        assignor: "range".into(),
        protocol: "classic".into(),
        isolation: "read_committed".into(),
        session_timeout_ns: 1,
        fetch: Default::default(),
        sink: Some(sink),
        extra: [].into(),
    }
}

fn copy(offset: u64, transaction: u32) -> CopyRun {
    CopyRun {
        offset: offset as i64,
        count: 1,
        producer: ProducerId(0),
        incarnation: Incarnation(0),
        attempt: Default::default(),
        home: PARTITION,
        sequence: offset,
        transaction,
    }
}

/// A pipeline whose fifth batch is refused at first, its transaction ending as `first` says, and done again: eleven transactions
/// for ten batches, and every record once in the output.
fn pipeline(first: State) -> Evidence {
    let mut journal = vec![0; file_bytes(200)];
    let mut marks = JournalMut::create(&mut journal, MemberId(0), Incarnation(0)).in_batches(BATCH as u32);
    let mut log = vec![0; transactions::file_bytes(0, 20)];
    let mut transactions = TransactionsMut::create(&mut log, ProducerId(0), Incarnation(0), 0);
    let mut effects = Effects { rows: RECORDS, records: RECORDS, ..Effects::default() };
    marks.assigned(&Move { partition: PARTITION, position: 0, at_ns: 1_000, generation: None });
    let (mut processing, mut now_ns) = (1, 2_000);
    for batch in 0..RECORDS / BATCH {
        let tries = if batch == 4 { [first, State::Committed].to_vec() } else { vec![State::Committed] };
        for state in tries {
            now_ns += 1_000_000;
            let offsets = batch * BATCH..(batch + 1) * BATCH;
            offsets.clone().for_each(|offset| marks.begin(PARTITION, &copy(offset, 0), now_ns));
            marks.call_write();
            let transaction = transactions.begin(std::iter::empty(), now_ns);
            transactions.took(BATCH);
            let call = if state == State::Aborted { State::AbortCalled } else { State::CommitCalled };
            transactions.called(call, now_ns + 10);
            transactions.answered(state, now_ns + 20);
            let written = state == State::Committed;
            for (offset, processing) in offsets.zip(processing..).filter(|_| written) {
                effects.push(row(offset, processing, transaction));
            }
            marks.end_batch(now_ns + 30, |_| written);
            processing += BATCH;
        }
    }
    marks.close();
    transactions.close();
    let group = Group {
        settings: settings(),
        journals: vec![parse(&journal).expect("a journal")],
        pipelines: vec![transactions::read(&log).expect("transactions")],
        effects: Some(effects),
    };
    let mut evidence = Evidence::of(Acks::All);
    evidence.group = Some(group);
    evidence
}

fn row(offset: u64, processing: u64, transaction: u32) -> EffectRun {
    let (member, life) = (MemberId(0), Incarnation(0));
    EffectRun { partition: PARTITION, copies: copy(offset, transaction), member, life, processing }
}

/// Rows beside those that are there, as the output topic would give them out.
fn more(mut evidence: Evidence, rows: impl Iterator<Item = EffectRun>) -> Evidence {
    let effects = evidence.group.as_mut().and_then(|group| group.effects.as_mut()).expect("a sink");
    let old = std::mem::take(&mut effects.runs);
    let mut all: Vec<EffectRun> = rows.collect();
    effects.rows += all.len() as u64;
    for run in old {
        let single = |index| {
            let mut copies = run.copies;
            (copies.offset, copies.sequence, copies.count) =
                (copies.offset + index as i64, copies.sequence + index, 1);
            EffectRun { copies, processing: run.processing + index, ..run }
        };
        all.extend((0..run.copies.count).map(single));
    }
    all.sort_by_key(|row| row.processing);
    all.into_iter().for_each(|row| effects.push(row));
    evidence
}

/// Without the rows of so many processings from this one on.
fn without(mut evidence: Evidence, processing: u64, count: u64) -> Evidence {
    evidence = more(evidence, std::iter::empty());
    let effects = evidence.group.as_mut().and_then(|group| group.effects.as_mut()).expect("a sink");
    let old = std::mem::take(&mut effects.runs);
    (effects.rows, effects.records) = (effects.rows - count, effects.records - count);
    for run in old {
        for index in 0..run.copies.count {
            let at = run.processing + index;
            if !(processing..processing + count).contains(&at) {
                effects.push(row(run.copies.sequence + index, at, run.copies.transaction));
            }
        }
    }
    evidence
}

#[track_caller]
fn judged(clean: State, evidence: &Evidence, tallies: &[&str], outcome: Outcome, promise: Promise) {
    let text = differs_from(&pipeline(clean), evidence, tallies);
    let CellResult { outcome: seen, reason, verdict, .. } = assessed(evidence);
    let verdict = verdict.expect("books");
    assert_eq!((seen, verdict.promise), (outcome, promise), "{reason:?} {text}");
}

#[test]
fn a_pipeline_that_is_whole_agrees_whatever_became_of_what_it_did_again() {
    for first in [State::Aborted, State::CommitFailed, State::AbortFailed] {
        let evidence = pipeline(first);
        agrees(&evidence);
        let CellResult { outcome, verdict, reason, .. } = assessed(&evidence);
        let verdict = verdict.expect("books");
        assert_eq!((outcome, verdict.promise), (Outcome::Finished, Promise::Kept), "{first:?} {reason:?}");
        let found: Vec<String> = verdict
            .tallies
            .iter()
            .filter(|(_, tally)| tally.count > 0)
            .map(|(kind, tally)| format!("{kind} {}", tally.count))
            .collect();
        assert_eq!(found, ["sink_refused 100"], "{first:?}");
    }
}

#[test]
fn what_was_aborted_and_is_shown_is_named_and_half_of_it_is_torn() {
    let shown = |count| {
        let rows = (0..count).map(|index| row(FIRST + index, FIRST + 1 + index, 5));
        more(pipeline(State::Aborted), rows)
    };
    judged(
        State::Aborted,
        &shown(BATCH),
        &["aborted_read: stored 0, judged 100", "sink_duplicate: stored 0, judged 100"],
        Outcome::Finished,
        Promise::Violated,
    );
    judged(
        State::Aborted,
        &shown(50),
        &[
            "aborted_read: stored 0, judged 50",
            "torn_transaction: stored 0, judged 1",
            "sink_duplicate: stored 0, judged 50",
        ],
        Outcome::Finished,
        Promise::Violated,
    );
}

#[test]
fn of_an_unknown_commit_all_or_nothing_may_be_there() {
    let shown = |count| {
        let rows = (0..count).map(|index| row(FIRST + index, FIRST + 1 + index, 5));
        more(pipeline(State::CommitFailed), rows)
    };
    // All of it is no torn transaction; that it was done again is what the group was promised not to do.
    judged(
        State::CommitFailed,
        &shown(BATCH),
        &["sink_duplicate: stored 0, judged 100"],
        Outcome::Finished,
        Promise::Violated,
    );
    judged(
        State::CommitFailed,
        &shown(1),
        &["torn_transaction: stored 0, judged 1", "sink_duplicate: stored 0, judged 1"],
        Outcome::Finished,
        Promise::Violated,
    );
}

#[test]
fn what_was_committed_and_is_not_shown_is_missing_and_a_part_of_it_torn() {
    judged(
        State::Aborted,
        &without(pipeline(State::Aborted), 1, 1),
        &["torn_transaction: stored 0, judged 1", "sink_loss: stored 0, judged 1"],
        Outcome::Finished,
        Promise::Violated,
    );
    judged(
        State::Aborted,
        &without(pipeline(State::Aborted), 1, BATCH),
        &["sink_loss: stored 0, judged 100"],
        Outcome::Finished,
        Promise::Violated,
    );
}

#[test]
fn a_record_that_went_through_two_committed_transactions_is_twice_in_the_output() {
    // The books of both tries say committed, and so does the output: nothing was torn, and once was promised.
    let mut evidence = pipeline(State::Committed);
    let effects = evidence.group.as_mut().and_then(|group| group.effects.as_mut()).expect("a sink");
    effects.rows += BATCH;
    judged(
        State::Aborted,
        &evidence,
        &[
            "redelivery: stored 0, judged 100",
            "non_monotonic_poll: stored 0, judged 1",
            "sink_duplicate: stored 0, judged 100",
            "sink_refused: stored 100, judged 0",
        ],
        Outcome::Finished,
        Promise::Violated,
    );
}

#[test]
fn rows_and_transactions_that_do_not_fit_each_other_break_the_books() {
    let void = |evidence: &Evidence, tallies: &[&str], identity: &str| {
        let text = differs_from(&pipeline(State::Aborted), evidence, tallies);
        assert!(text.contains(identity), "{text}");
        assert_eq!(assessed(evidence).outcome, Outcome::Void, "{text}");
    };
    // A transaction that nobody has begun.
    let mut evidence = pipeline(State::Aborted);
    evidence.group.as_mut().expect("a group").pipelines[0].transactions.pop();
    evidence.group.as_mut().expect("a group").pipelines[0].answers[0] -= 1;
    void(&evidence, &[], "I13");
    // More rows than were handed over in it.
    let mut evidence = pipeline(State::Aborted);
    evidence.group.as_mut().expect("a group").pipelines[0].transactions[2].records -= 1;
    void(&evidence, &[], "I13");
    // An answer that was not counted.
    let mut evidence = pipeline(State::Aborted);
    evidence.group.as_mut().expect("a group").pipelines[0].answers[0] -= 1;
    void(&evidence, &[], "I13");
    // Two rows of one processing.
    let twice = more(pipeline(State::Aborted), std::iter::once(row(7, 8, 1)));
    void(&twice, &["sink_duplicate: stored 0, judged 1"], "I13");
    // A row of a processing that was never begun.
    let never = more(pipeline(State::Aborted), std::iter::once(row(7, 5_000, 1)));
    void(&never, &["sink_duplicate: stored 0, judged 1"], "I13");
    // A row of another record than its processing's.
    let foreign = more(without(pipeline(State::Aborted), 8, 1), std::iter::once(row(500, 8, 1)));
    let tallies = ["sink_duplicate: stored 0, judged 1", "sink_loss: stored 0, judged 1"];
    void(&foreign, &tallies, "I13");
}

#[test]
fn a_group_that_skips_a_batch_is_named_beside_its_output() {
    // The second batch was never taken: neither begun nor written.
    let mut evidence = without(pipeline(State::Aborted), BATCH + 1, BATCH);
    let group = evidence.group.as_mut().expect("a group");
    let journal = &mut group.journals[0];
    let skipped = |entry: &bench_model::processing::Entry| matches!(entry, bench_model::processing::Entry::Processed(run) if run.copies.offset == BATCH as i64);
    journal.entries.retain(|entry| !skipped(entry));
    journal.begun -= BATCH;
    journal.completed -= BATCH;
    journal.called -= BATCH;
    journal.answered -= BATCH;
    // Later processings have numbers of their own, as their life would have given them.
    let effects = group.effects.as_mut().expect("a sink");
    for run in effects.runs.iter_mut().filter(|run| run.processing > BATCH) {
        run.processing -= BATCH;
    }
    let pipe = &mut group.pipelines[0];
    let gone = pipe.transactions.remove(1);
    assert_eq!(gone.state, State::Committed);
    pipe.answers[0] -= 1;
    judged(
        State::Aborted,
        &evidence,
        &[
            "processing_loss: stored 0, judged 100",
            "poll_skip: stored 0, judged 100",
            "sink_loss: stored 0, judged 100",
        ],
        Outcome::Finished,
        Promise::Violated,
    );
}

#[test]
fn an_output_that_nobody_could_read_claims_nothing() {
    let mut evidence = pipeline(State::Aborted);
    evidence.group.as_mut().expect("a group").effects = None;
    agrees(&evidence);
    let CellResult { outcome, reason, verdict, .. } = assessed(&evidence);
    let verdict = verdict.expect("books");
    assert_eq!((outcome, verdict.promise), (Outcome::Inconclusive, Promise::Unjudged));
    assert_eq!(reason.as_deref(), Some("the sink's rows were not read (as made up)"));
    assert!(verdict.tallies.values().all(|tally| tally.not_checked.is_some()));
}

/// A member without a sink, in batches that it commits when they are processed: of its fifth these offsets are processed once
/// more, and so many records that nobody has begun are committed with it.
fn member(again: std::ops::Range<u64>, ahead: u64) -> Evidence {
    let mut journal = vec![0; file_bytes(200)];
    let mut marks = JournalMut::create(&mut journal, MemberId(0), Incarnation(0));
    marks.assigned(&Move { partition: PARTITION, position: 0, at_ns: 1_000, generation: Some(1) });
    for batch in 0..RECORDS / BATCH {
        let (start, end, now_ns) = (batch * BATCH, (batch + 1) * BATCH, 2_000 + batch * 1_000_000_000);
        let (again, ahead) = if batch == 4 { (again.clone(), ahead) } else { (0..0, 0) };
        for offset in (start..end).chain(again) {
            marks.begin(PARTITION, &copy(offset, 0), now_ns);
            marks.complete(now_ns + 1);
        }
        let commit = marks.commit(PARTITION, (end + ahead) as i64, now_ns + 2);
        marks.answer(commit, CommitAnswer::Ok, now_ns + 3);
    }
    marks.close();
    let group = Group {
        settings: GroupSettings { commit: CommitStrategy::SyncAfter, sink: None, ..settings() },
        journals: vec![parse(&journal).expect("a journal")],
        pipelines: Vec::new(),
        effects: None,
    };
    let mut evidence = Evidence::of(Acks::All);
    evidence.group = Some(group);
    evidence
}

#[test]
fn what_a_group_repeats_and_commits_too_early_is_named() {
    let clean = member(0..0, 0);
    agrees(&clean);
    let differ = |mutated: Evidence, tallies: &[&str], promise: Promise| {
        let text = differs_from(&clean, &mutated, tallies);
        let CellResult { outcome, verdict, .. } = assessed(&mutated);
        assert_eq!((outcome, verdict.expect("books").promise), (Outcome::Finished, promise), "{text}");
    };
    let back = "non_monotonic_poll: stored 0, judged 1";
    let one = ["redelivery: stored 0, judged 1", back];
    differ(member(499..500, 0), &one, Promise::Violated);
    let range = ["redelivery: stored 0, judged 60", back];
    differ(member(440..500, 0), &range, Promise::Violated);
    differ(member(0..0, 50), &["commit_ahead: stored 0, judged 50"], Promise::Kept);
}
