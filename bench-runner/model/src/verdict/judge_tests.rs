//! What the judge puts together: every tally's denominator, what can be checked without segments, and a pipeline's output.

use super::history::{History, Slot, clean, settings};
use super::processing_tests::{group, sink};
use super::transaction_tests::{self, broken};
use super::{Exhibits, TallyKind, Upsets, Verdict, judge};
use crate::effects::{EffectRun, Effects};
use crate::ids::{BrokerId, Incarnation, MemberId, PartitionId};
use crate::ledger::State;
use crate::reading::{CopyRun, LogReading, PartitionReading, Source};
use crate::settings::{Acks, CommitStrategy, SinkKind};

#[test]
fn each_tally_is_of_what_it_counts() {
    // 70 acked, 10 unknown, 20 not persisted and not in the log; three gaps and two strangers besides.
    let mut history = clean(100, State::Acked);
    history.attempts[..10].iter_mut().for_each(|attempted| attempted.state = State::Unknown);
    history.attempts[10..30].iter_mut().for_each(|attempted| attempted.state = State::NotPersisted);
    history.logs[0].drain(10..30);
    history.logs[0].extend([Slot::Gap, Slot::Gap, Slot::Gap, Slot::Alien, Slot::Corrupt]);
    let verdict = history.verdict();
    assert!(verdict.is_given());
    use TallyKind::*;
    let of = |kinds: &[TallyKind]| kinds.iter().map(|kind| verdict.tallies[kind].of).collect::<Vec<_>>();
    assert_eq!(of(&[LogLoss, Acks0Drop, UnknownPresent, UnknownAbsent, Phantom]), [70, 0, 10, 10, 20]);
    assert_eq!(of(&[RewrittenLog, OffsetGap]), [85; 2]);
    assert_eq!(of(&[Alien, Corrupt, Misplaced, Unledgered, DuplicateSameAttempt, Reorder]), [82; 6]);
    let sent = clean(10, State::Sent).verdict();
    assert_eq!((sent.tallies[&Acks0Drop].of, sent.tallies[&LogLoss].of), (10, 0));
    let unknown = transaction_tests::usual();
    let (ledger, life, readings) = (unknown.ledger(), unknown.evidence(), unknown.readings());
    let verdict = transaction_tests::judged(&[ledger], &[life], &readings);
    let of = |kind| verdict.tallies[&kind].of;
    assert_eq!([UnknownPresent, UnknownAbsent, LogLoss, AbortedRead].map(of), [4, 4, 12, 4]);
}

#[test]
fn copies_of_rejected_attempts_are_counted_where_they_stand() {
    let mut history = clean(100, State::Acked);
    history.attempts[50..53].iter_mut().for_each(|attempted| attempted.state = State::Rejected);
    let verdict = history.verdict();
    let i4 = verdict.identities.iter().find(|identity| identity.name == "I4").expect("checked");
    assert_eq!((i4.holds, i4.detail.as_str()), (false, "3 copies of rejected attempts"));
}

#[test]
fn a_record_that_was_entered_twice_is_judged_once() {
    let history = clean(10, State::Acked);
    let mut ledgers = history.ledgers();
    let again = ledgers[0].partitions[0].runs[0];
    ledgers[0].partitions[0].runs.push(again);
    let verdict = super::history::verdict(&history, &ledgers, &history.readings());
    assert_eq!(broken(&verdict), "I1 I11");
    assert!(verdict.tallies.values().all(|tally| tally.count == 0), "{:?}", verdict.tallies);
}

#[test]
fn gaps_are_unknown_only_where_control_records_may_stand_and_nobody_saw_them() {
    let gaps = |verdict: Verdict| {
        assert!(verdict.is_given(), "{:?}", verdict.identities);
        let tally = &verdict.tallies[&TallyKind::OffsetGap];
        (tally.count, tally.not_checked.is_some())
    };
    let usual = transaction_tests::usual();
    let transactional =
        |readings: &[LogReading]| transaction_tests::judged(&[usual.ledger()], &[usual.evidence()], readings);
    let mut readings = usual.readings();
    assert_eq!(gaps(transactional(&readings)), (0, false));
    readings.truncate(2);
    readings.push(LogReading { source: Source::SecondReader, ..readings[0].clone() });
    assert_eq!(gaps(transactional(&readings)), (0, true));
    let plain = clean(10, State::Acked);
    let second = [Source::Reader, Source::SecondReader].map(|source| plain.reading(source));
    assert_eq!(gaps(super::history::verdict(&plain, &plain.ledgers(), &second)), (0, false));
    let mut empty = plain;
    empty.logs[0].insert(3, Slot::Gap);
    assert_eq!(gaps(empty.verdict()), (1, false));
}

#[test]
fn a_group_without_a_sink_has_no_tallies_of_one() {
    let with = |kind: Option<SinkKind>| {
        let verdict = judged(&clean(10, State::Acked), CommitStrategy::SyncAfter, kind, &[]);
        verdict.tallies.keys().any(|kind| kind.is_of_sink())
    };
    assert_eq!([with(None), with(Some(SinkKind::SqliteAppend))], [false, true]);
}

/// Ten rows of ten records, and a group that keeps its offsets so.
fn judged(
    history: &History,
    commit: CommitStrategy,
    kind: Option<SinkKind>,
    output: &[LogReading],
) -> Verdict {
    let mut settings = settings(Acks::All, 1);
    let mut group = group(commit);
    group.sink = kind.map(sink);
    settings.group = Some(group);
    let copies = CopyRun { transaction: 1, ..run(history) };
    let (partition, member, life) = (PartitionId(0), MemberId(0), Incarnation(0));
    let effects = Effects {
        rows: 10,
        records: 10,
        runs: vec![EffectRun { partition, copies, member, life, processing: 1 }],
        ..Effects::default()
    };
    let (ledgers, readings) = (history.ledgers(), history.readings());
    let exhibits = Exhibits {
        ledgers: &ledgers,
        readings: &readings,
        transactions: &[],
        journals: &[],
        effects: Some(&effects),
        pipelines: &[],
        output,
    };
    judge(&settings, Upsets::NONE, exhibits, Ok(()))
}

fn run(history: &History) -> CopyRun {
    history.reading(Source::Reader).partitions[0].runs[0]
}

#[test]
fn a_pipelines_output_is_looked_at_as_it_was_written() {
    // Ten rows of a committed transaction, and ten of one that was aborted.
    let history = clean(10, State::Acked);
    let shown = CopyRun { transaction: 1, ..run(&history) };
    let aborted = CopyRun { offset: 10, transaction: 2, ..shown };
    let reading = |source, runs: &[CopyRun]| {
        let mut part: PartitionReading = history.reading(source).partitions.remove(0);
        (part.end, part.last_stable, part.reached) = (20, 20, 20);
        part.runs = runs.to_vec();
        if matches!(source, Source::Segments(_)) {
            part.invisible = vec![(10, 20)];
        }
        LogReading { source, partitions: vec![part] }
    };
    let output = [
        reading(Source::Reader, &[shown, aborted]),
        reading(Source::CommittedReader, &[shown]),
        reading(Source::Segments(BrokerId(1)), &[shown, aborted]),
        reading(Source::Segments(BrokerId(2)), &[shown, aborted]),
    ];
    let holds = |commit, output: &[LogReading]| {
        let verdict = judged(&history, commit, Some(SinkKind::Topic), output);
        let found = verdict.identities.iter().find(|identity| identity.name == "output");
        (found.map(|identity| identity.holds), verdict.inconclusive.is_some())
    };
    assert_eq!(holds(CommitStrategy::Transaction, &output), (Some(true), false));
    assert_eq!(
        holds(CommitStrategy::SyncAfter, &output),
        (Some(false), false),
        "every row is shown to everybody"
    );
    assert_eq!(holds(CommitStrategy::SyncAfter, &[]), (None, false), "nobody has read it");
    let mut short = output;
    short[0].partitions[0].reached = 15;
    assert!(holds(CommitStrategy::Transaction, &short).1, "it was not read to its end");
}
