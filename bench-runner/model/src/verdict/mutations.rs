//! Checking the checker: each mutation of a clean history changes exactly the predicted tally and nothing else, and
//! each error of book-keeping breaks an identity.

use super::history::{Attempted, History, Id, Slot, clean, settings, verdict};
use super::{Class, Exhibits, Promise, TallyKind, Upsets, Verdict, judge};
use crate::ids::{Attempt, BrokerId, Incarnation, PartitionId};
use crate::ledger::{LedgerMut, State, StateRun, file_bytes, read};
use crate::reading::{CopyRun, LogReading, Source};
use crate::settings::Acks;
use TallyKind::{
    Acks0Drop, Corrupt, DuplicateCrossAttempt, DuplicateSameAttempt, LogLoss, Misplaced, OffsetGap, Phantom,
    Reorder, RewrittenLog, UnknownAbsent, UnknownPresent, Unledgered,
};

const N: u64 = 100;

fn counts(verdict: &Verdict) -> Vec<(TallyKind, u64)> {
    verdict.tallies.iter().map(|(kind, tally)| (*kind, tally.count)).filter(|(_, count)| *count > 0).collect()
}

fn broken(verdict: &Verdict) -> Vec<&str> {
    verdict.identities.iter().filter(|i| !i.holds).map(|i| i.name.as_str()).collect()
}

/// The books balance, and exactly these tallies are not 0.
#[track_caller]
fn tallies(history: &History, expected: &[(TallyKind, u64)]) -> Verdict {
    let verdict = history.verdict();
    assert_eq!(counts(&verdict), expected);
    assert_eq!(broken(&verdict), [""; 0]);
    assert_eq!(verdict.inconclusive, None);
    verdict
}

fn id(sequence: u64) -> Id {
    Id { producer: 0, home: 0, sequence, attempt: 0, life: 0 }
}

fn acked() -> History {
    clean(N, State::Acked)
}

#[test]
fn a_clean_history_keeps_every_promise() {
    let verdict = tallies(&acked(), &[]);
    assert_eq!(
        (verdict.promise, verdict.records, verdict.attempts, verdict.copies),
        (Promise::Kept, N, N, N)
    );
    assert_eq!(verdict.tallies[&LogLoss].of, N);
}

#[test]
fn one_copy_deleted_is_one_lost() {
    let mut history = acked();
    history.logs[0].remove(7);
    let verdict = tallies(&history, &[(LogLoss, 1)]);
    assert_eq!(
        (verdict.tallies[&LogLoss].offenders[0].sequence, verdict.promise),
        (Some(7), Promise::Violated)
    );
}

#[test]
fn the_tail_deleted_is_lost_as_a_run() {
    let mut history = acked();
    history.logs[0].truncate(60);
    let verdict = tallies(&history, &[(LogLoss, 40)]);
    let sequences: Vec<_> = verdict.tallies[&LogLoss].offenders.iter().filter_map(|o| o.sequence).collect();
    assert_eq!(sequences, (60..92).collect::<Vec<_>>(), "the first 32");
}

#[test]
fn everything_deleted_is_lost_only_when_the_end_offset_says_so() {
    let mut history = acked();
    history.logs[0].clear();
    tallies(&history, &[(LogLoss, N)]);
    let mut unread = history.readings();
    for part in unread.iter_mut().flat_map(|reading| &mut reading.partitions) {
        (part.end, part.last_stable, part.reached) = (N as i64, N as i64, 0);
    }
    let verdict = verdict(&history, &history.ledgers(), &unread);
    assert!(verdict.inconclusive.is_some_and(|why| why.contains("read to offset 0 of 100")));
}

#[test]
fn copies_twice_and_three_times_are_one_and_two_duplicates() {
    for surplus in 1..3 {
        let mut history = acked();
        for _ in 0..surplus {
            history.logs[0].push(Slot::Copy(id(5)));
        }
        let verdict = tallies(&history, &[(DuplicateSameAttempt, surplus)]);
        assert_eq!(verdict.promise, Promise::Violated, "the cell is idempotent");
        assert_eq!((verdict.contingency[0].copies_1, verdict.contingency[0].copies_2), (N - 1, 1));
    }
}

#[test]
fn a_swap_of_i_and_j_makes_j_less_i_late() {
    for (i, j) in [(3, 4), (10, 30), (0, 99)] {
        let mut history = acked();
        history.logs[0].swap(i, j);
        tallies(&history, &[(Reorder, (j - i) as u64)]);
    }
}

#[test]
fn unknown_records_may_be_there_or_not_and_twice_is_a_duplicate() {
    for state in [State::Unknown, State::Unreported] {
        let mut history = acked();
        history.attempts[50].state = state;
        assert_eq!(tallies(&history, &[(UnknownPresent, 1)]).promise, Promise::Kept);
        history.logs[0].remove(50);
        assert_eq!(tallies(&history, &[(UnknownAbsent, 1)]).promise, Promise::Kept);
        history.logs[0].extend([Slot::Copy(id(50)); 2]);
        tallies(&history, &[(UnknownPresent, 1), (DuplicateSameAttempt, 1), (Reorder, 1)]);
    }
}

#[test]
fn not_persisted_and_present_is_a_phantom_and_rejected_and_present_breaks_the_books() {
    let mut history = acked();
    history.attempts[50].state = State::NotPersisted;
    assert_eq!(tallies(&history, &[(Phantom, 1)]).promise, Promise::Violated);
    history.attempts[50].state = State::Rejected;
    let verdict = history.verdict();
    assert_eq!((broken(&verdict), counts(&verdict)), (vec!["I4"], vec![]));
    history.logs[0].remove(50);
    tallies(&history, &[]);
}

#[test]
fn acks_0_has_drops_and_no_losses() {
    let mut history = clean(N, State::Sent);
    history.logs[0].drain(20..30);
    let verdict = tallies(&history, &[(Acks0Drop, 10)]);
    assert_eq!((verdict.tallies[&Acks0Drop].of, verdict.tallies[&LogLoss].of), (N, 0));
    assert_eq!(verdict.promise, Promise::Allowed);
}

#[test]
fn an_offset_seen_with_two_records_is_a_rewritten_log_and_voids_the_cell() {
    let history = acked();
    let mut readings = history.readings();
    let run = readings[1].partitions[0].runs[0];
    let cut = |from: u64, count, sequence| CopyRun { offset: from as i64, count, sequence, ..run };
    readings[1].partitions[0].runs = vec![cut(0, 40, 0), cut(40, 1, 7), cut(41, 59, 41)];
    let verdict = verdict(&history, &history.ledgers(), &readings);
    assert_eq!((counts(&verdict), broken(&verdict)), (vec![(RewrittenLog, 1)], vec!["I12"]));
}

#[test]
fn a_log_that_goes_on_behind_the_end_that_was_told_loses_nothing_and_voids_the_cell() {
    // Reader, end offsets and parser agree on the first 60; the rest is on the disks.
    let mut told = acked();
    told.logs[0].truncate(60);
    let mut readings = told.readings();
    for part in readings[1..].iter_mut().flat_map(|reading| &mut reading.partitions) {
        part.reached = N as i64;
    }
    let verdict = verdict(&told, &told.ledgers(), &readings);
    assert_eq!((broken(&verdict), verdict.promise), (vec!["I12"], Promise::Unjudged));
    let i12 = verdict.identities.iter().find(|identity| identity.name == "I12").expect("checked");
    assert!(i12.detail.contains("ends at offset 60, and it goes on to 100"), "{}", i12.detail);
}

#[test]
fn control_records_are_known_from_the_segments_and_are_no_gaps() {
    let mut history = acked();
    history.logs[0].insert(30, Slot::Control);
    tallies(&history, &[]);
    history.logs[0][30] = Slot::Gap;
    tallies(&history, &[(OffsetGap, 1)]);
    let reader_only = verdict(&history, &history.ledgers(), &history.readings()[..1]);
    assert!(reader_only.inconclusive.is_some_and(|why| why.contains("offsets without a record")));
}

#[test]
fn a_restarted_producer_pays_for_its_resends_with_cross_attempt_duplicates() {
    let mut history = acked();
    for sequence in 90..N {
        history.attempts[sequence as usize].state = State::Unreported;
        let again = Id { attempt: 1, life: 1, ..id(sequence) };
        history.attempts.push(Attempted { id: again, state: State::Acked });
        history.logs[0].push(Slot::Copy(again));
    }
    let verdict = tallies(&history, &[(DuplicateCrossAttempt, 10)]);
    assert_eq!((verdict.promise, verdict.records, verdict.attempts), (Promise::Allowed, N, N + 10));
    assert_eq!(verdict.classes[&Class::Acked].records, N, "the strongest claim of the attempts");
}

#[test]
fn one_record_acked_in_two_attempts_is_lost_only_without_any_copy() {
    let mut history = acked();
    let again = Id { attempt: 1, ..id(40) };
    history.attempts.push(Attempted { id: again, state: State::Acked });
    history.logs[0].push(Slot::Copy(again));
    tallies(&history, &[(DuplicateCrossAttempt, 1)]);
    history.logs[0].remove(40);
    tallies(&history, &[]);
    history.logs[0].pop();
    tallies(&history, &[(LogLoss, 1)]);
}

#[test]
fn a_resend_does_not_hide_what_became_of_the_first_attempt() {
    let mut history = acked();
    history.attempts[40].state = State::NotPersisted;
    history.attempts.push(Attempted { id: Id { attempt: 1, ..id(40) }, state: State::Acked });
    tallies(&history, &[(Phantom, 1)]);
}

#[test]
fn a_misplaced_copy_is_still_a_copy() {
    let mut history = acked();
    history.logs.push(vec![Slot::Copy(id(40))]);
    history.logs[0].remove(40);
    tallies(&history, &[(Misplaced, 1)]);
}

#[test]
fn a_flipped_bit_is_corrupt_and_its_record_lost() {
    let mut history = acked();
    history.logs[0][40] = Slot::Corrupt;
    tallies(&history, &[(LogLoss, 1), (Corrupt, 1)]);
}

#[test]
fn a_copy_that_nobody_has_entered_is_unledgered() {
    let mut history = acked();
    history.logs[0].push(Slot::Copy(id(N + 7)));
    history.logs[0].push(Slot::Copy(Id { life: 3, ..id(0) }));
    history.logs[0].push(Slot::Copy(Id { producer: 9, ..id(0) }));
    tallies(&history, &[(Unledgered, 3)]);
}

#[test]
fn without_a_whole_and_quiet_log_there_is_no_verdict() {
    let history = acked();
    let inconclusive = |change: fn(&mut LogReading)| {
        let mut readings = history.readings();
        readings.iter_mut().for_each(change);
        verdict(&history, &history.ledgers(), &readings).inconclusive
    };
    assert!(inconclusive(|r| r.partitions[0].start = 1).is_some_and(|why| why.contains("log starts at 1")));
    assert!(
        inconclusive(|r| r.partitions[0].last_stable = 99).is_some_and(|why| why.contains("last stable"))
    );
    assert!(
        inconclusive(|r| r.partitions[0].reached = 99).is_some_and(|why| why.contains("read to offset 99"))
    );
    assert!(inconclusive(|r| r.partitions.clear()).is_some_and(|why| why.contains("was not read")));
    let (ledgers, readings) = (history.ledgers(), history.readings());
    let exhibits = Exhibits {
        ledgers: &ledgers,
        readings: &readings,
        transactions: &[],
        journals: &[],
        effects: None,
        pipelines: &[],
        output: &[],
    };
    let undrained = judge(&settings(Acks::All, 1), Upsets::NONE, exhibits, Err("3 reports missing".into()));
    assert!(undrained.inconclusive.is_some_and(|why| why.contains("3 reports missing")));
}

#[test]
fn two_producers_with_equal_sequences_are_two_records() {
    let mut history = acked();
    for sequence in 0..N {
        let other = Id { producer: 1, ..id(sequence) };
        history.attempts.push(Attempted { id: other, state: State::Acked });
        history.logs[0].insert(2 * sequence as usize, Slot::Copy(other));
    }
    tallies(&history, &[]);
    history.logs[0].remove(1);
    let verdict = tallies(&history, &[(LogLoss, 1)]);
    assert_eq!(verdict.tallies[&LogLoss].offenders[0].producer.map(|producer| producer.0), Some(0));
}

#[test]
fn a_wait_for_the_queue_is_no_attempt() {
    let history = acked();
    let mut ledgers = history.ledgers();
    let mut bytes = vec![0; file_bytes(1, N)];
    let lane = ledgers[0].clone();
    let mut ledger = LedgerMut::create(&mut bytes, lane.producer, lane.incarnation, lane.book, 1, N);
    let partition = PartitionId(0);
    ledger.begin(partition, 0, N);
    ledger.retract(partition, 60, N - 60);
    ledger.begin(partition, 60, N - 60);
    (0..N).for_each(|sequence| ledger.settle(partition, sequence, State::Acked));
    ledger.close();
    ledgers[0] = read(&bytes).expect("a ledger");
    assert_eq!(verdict(&history, &ledgers, &history.readings()), history.verdict());
}

#[test]
fn errors_in_the_ledger_break_the_books() {
    let history = acked();
    let void = |change: &dyn Fn(&mut crate::ledger::Ledger)| {
        let mut ledgers = history.ledgers();
        change(&mut ledgers[0]);
        let verdict = verdict(&history, &ledgers, &history.readings());
        assert_eq!(verdict.is_void(), !broken(&verdict).is_empty());
        broken(&verdict).join(" ")
    };
    let run = |first_sequence, count, state| StateRun { first_sequence, count, state };
    let cut = |middle: Vec<StateRun>| {
        let mut runs = vec![run(0, 40, State::Acked)];
        runs.extend(middle);
        runs.push(run(41, N - 41, State::Acked));
        runs
    };
    assert_eq!(void(&|l| l.partitions[0].runs = cut(vec![])), "I11", "an entry is missing");
    assert_eq!(
        void(&|l| l.partitions[0].runs = cut(vec![run(40, 1, State::Unknown)])),
        "I11",
        "a class changed"
    );
    let twice = || cut(vec![run(40, 1, State::Acked), run(40, 1, State::Acked)]);
    assert_eq!(void(&|l| l.partitions[0].runs = twice()), "I1 I11", "an entry twice");
    assert_eq!(void(&|l| l.settled[State::Acked as usize] += 1), "I11", "a report counted twice");
    assert_eq!(void(&|l| l.partitions[0].next_sequence += 1), "I11", "a counter ahead of its entries");
    assert_eq!(
        void(&|l| l.incarnation = Incarnation(1)),
        "",
        "then its copies are unledgered, not the books wrong"
    );
}

#[test]
fn a_life_without_its_ledger_breaks_the_books() {
    let mut history = acked();
    history.attempts[50..].iter_mut().for_each(|attempted| attempted.id.life = 1);
    history.logs[0] = history.attempts.iter().map(|attempted| Slot::Copy(attempted.id)).collect();
    tallies(&history, &[]);
    let ledgers = history.ledgers();
    assert_eq!(broken(&verdict(&history, &ledgers[1..], &history.readings())), ["I11"]);
}

#[test]
fn a_resend_without_a_first_attempt_breaks_the_books() {
    let history = acked();
    let mut ledgers = history.ledgers();
    let (partition, attempt, state) = (PartitionId(0), Attempt(2), State::Acked);
    ledgers[0].resends.push(crate::ledger::Resend { partition, sequence: 3, attempt, state, transaction: 0 });
    ledgers[0].settled[State::Acked as usize] += 1;
    assert_eq!(broken(&verdict(&history, &ledgers, &history.readings())), ["I11"]);
}

#[test]
fn errors_of_the_reader_alone_break_the_books() {
    let history = acked();
    let void = |source: usize, runs: &[(u64, u64, u64)]| {
        let mut readings = history.readings();
        let part = &mut readings[source].partitions[0];
        let run = part.runs[0];
        let run = |&(offset, count, sequence): &(u64, u64, u64)| CopyRun {
            offset: offset as i64,
            count,
            sequence,
            ..run
        };
        part.runs = runs.iter().map(run).collect();
        let verdict = verdict(&history, &history.ledgers(), &readings);
        broken(&verdict).join(" ")
    };
    assert_eq!(void(0, &[(0, N, 0)]), "");
    assert_eq!(void(0, &[(0, 40, 0), (41, N - 41, 41)]), "I2 I12", "a copy skipped");
    assert_eq!(void(0, &[(0, 41, 0), (40, N - 40, 40)]), "I2", "a copy read twice");
    assert_eq!(void(2, &[(0, N - 1, 0)]), "I12", "a replica lacks a record");
    assert_eq!(void(2, &[(0, 50, 0), (50, 50, 51)]), "I12", "a replica differs");
}

#[test]
fn replicas_must_hold_the_same_batches_and_somebody_must_look() {
    let history = acked();
    let mut readings = history.readings();
    readings[2].partitions[0].batches_digest = Some("other".into());
    assert_eq!(broken(&verdict(&history, &history.ledgers(), &readings)), ["I12"]);
    assert_eq!(broken(&verdict(&history, &history.ledgers(), &readings[..1])), ["I12"]);
    let second = [history.reading(Source::Reader), history.reading(Source::SecondReader)];
    assert_eq!(broken(&verdict(&history, &history.ledgers(), &second)), [""; 0]);
    readings[2].partitions.clear();
    assert_eq!(broken(&verdict(&history, &history.ledgers(), &readings)), ["I12"], "one of two replicas");
    let bystander = LogReading { source: Source::Segments(BrokerId(9)), partitions: vec![] };
    let more: Vec<_> = history.readings().into_iter().chain([bystander]).collect();
    assert_eq!(broken(&verdict(&history, &history.ledgers(), &more)), [""; 0], "a broker that is no replica");
}
