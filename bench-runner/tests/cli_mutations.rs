//! The mutations of the accounting contract, made on stored evidence and judged by the real binary's `verify`: each
//! changes exactly the predicted tally. Those of whole files and of claims are in `cli_verify.rs`.

mod made_up;

use bench_model::ids::{Attempt, Incarnation, PartitionId, ProducerId};
use bench_model::ledger::{LedgerMut, Resend, State, StateRun, file_bytes, read};
use bench_model::reading::{CopyRun, LogReading, Oddity, Source};
use bench_model::result::{CellResult, Outcome};
use bench_model::settings::Acks;
use bench_model::verdict::Promise;
use made_up::{Evidence, RECORDS, assessed, differs, made_up_ledger};

/// What stands in a log from one offset on.
#[derive(Clone, Copy)]
enum Slot {
    /// So many consecutive copies from this sequence on.
    Copies(u64, u64),
    /// The same by this attempt of this life.
    Again(u64, u64, u8, u8),
    /// The same of another producer.
    Of(u16, u64, u64),
    /// Something else; the reader does not see control records.
    Odd(Oddity),
}

use Slot::{Again, Copies, Odd, Of};

/// Lays these slots out in a partition as this source sees it.
fn lay(reading: &mut LogReading, partition: u16, slots: &[Slot]) {
    let segments = matches!(reading.source, Source::Segments(_));
    let at = usize::from(partition);
    if reading.partitions.len() == at {
        let part = bench_model::reading::ReadingBuilder::new(PartitionId(partition), 0).finish(0, 0, 0);
        reading.partitions.push(part);
    }
    let part = &mut reading.partitions[at];
    (part.runs, part.oddities) = (Vec::new(), Vec::new());
    let mut offset = 0;
    for slot in slots {
        let (producer, sequence, count, attempt, life) = match *slot {
            Copies(sequence, count) => (0, sequence, count, 0, 0),
            Again(sequence, count, attempt, life) => (0, sequence, count, attempt, life),
            Of(producer, sequence, count) => (producer, sequence, count, 0, 0),
            Odd(oddity) => {
                if segments || oddity != Oddity::Control {
                    part.oddities.push((offset, oddity));
                }
                offset += 1;
                continue;
            }
        };
        part.runs.push(CopyRun {
            offset,
            count,
            producer: ProducerId(producer),
            incarnation: Incarnation(life),
            attempt: Attempt(attempt),
            home: PartitionId(0),
            sequence,
            transaction: 0,
        });
        offset += count as i64;
    }
    (part.end, part.last_stable, part.reached) = (offset, offset, offset);
}

/// Clean evidence of this class whose log is these slots.
fn log(acks: Acks, slots: &[Slot]) -> Evidence {
    let mut evidence = Evidence::of(acks);
    evidence.readings.iter_mut().for_each(|reading| lay(reading, 0, slots));
    evidence
}

/// Records `at` and on became this state.
fn became(mut evidence: Evidence, at: u64, count: u64, state: State) -> Evidence {
    let ledger = &mut evidence.ledgers[0];
    let was = ledger.partitions[0].runs[0].state;
    let run = |first_sequence, count, state| StateRun { first_sequence, count, state };
    let runs = [run(0, at, was), run(at, count, state), run(at + count, RECORDS - at - count, was)];
    ledger.partitions[0].runs = runs.into_iter().filter(|run| run.count > 0).collect();
    ledger.settled[was as usize] -= count;
    if state != State::Unreported {
        ledger.settled[state as usize] += count;
    }
    evidence
}

/// The same life, or the next one, sends these records again and is answered.
fn resent(mut evidence: Evidence, from: u64, count: u64, life: u8) -> Evidence {
    if life > 0 {
        let mut next = evidence.ledgers[0].clone();
        next.incarnation = Incarnation(life);
        next.settled = [0; 7];
        next.partitions[0].runs.clear();
        (next.partitions[0].first_sequence, next.partitions[0].next_sequence) = (RECORDS, RECORDS);
        evidence.ledgers.push(next);
    }
    let ledger = evidence.ledgers.last_mut().expect("a ledger");
    let resend = |sequence| Resend {
        partition: PartitionId(0),
        sequence,
        attempt: Attempt(1),
        state: State::Acked,
        transaction: 0,
    };
    ledger.resends.extend((from..from + count).map(resend));
    ledger.settled[State::Acked as usize] += count;
    evidence
}

/// A case: what is done to the evidence, what `verify` names, and what the cell is then.
struct Case {
    name: &'static str,
    evidence: Evidence,
    tallies: &'static [&'static str],
    outcome: Outcome,
    promise: Promise,
}

#[track_caller]
fn judge(cases: Vec<Case>) {
    for Case { name, evidence, tallies, outcome, promise } in cases {
        let text = differs(&evidence, tallies);
        let CellResult { outcome: seen, verdict, .. } = assessed(&evidence);
        let verdict = verdict.expect("books");
        assert_eq!((seen, verdict.promise), (outcome, promise), "{name}: {text}");
    }
}

const WHOLE: &[Slot] = &[Copies(0, RECORDS)];

#[test]
fn records_of_unknown_fate_may_be_there_or_not_and_twice_is_a_duplicate() {
    let without = &[Copies(0, 500), Copies(501, 499)];
    let twice = &[Copies(0, RECORDS), Copies(500, 1)];
    let case = |name, slots, state, tallies, promise| Case {
        name,
        evidence: became(log(Acks::All, slots), 500, 1, state),
        tallies,
        outcome: Outcome::Finished,
        promise,
    };
    let present: &[&str] = &["unknown_present: stored 0, judged 1"];
    let absent: &[&str] = &["unknown_absent: stored 0, judged 1"];
    let duplicate: &[&str] =
        &["unknown_present: stored 0, judged 1", "duplicate_same_attempt: stored 0, judged 1"];
    judge(vec![
        case("P present", WHOLE, State::Unknown, present, Promise::Kept),
        case("U present", WHOLE, State::Unreported, present, Promise::Kept),
        case("P absent", without, State::Unknown, absent, Promise::Kept),
        case("U absent", without, State::Unreported, absent, Promise::Kept),
        case("P twice", twice, State::Unknown, duplicate, Promise::Violated),
        case("N present", WHOLE, State::NotPersisted, &["phantom: stored 0, judged 1"], Promise::Violated),
        case("N absent", without, State::NotPersisted, &[], Promise::Kept),
        case("R absent", without, State::Rejected, &[], Promise::Kept),
    ]);
}

#[test]
fn what_must_not_be_in_the_log_breaks_the_books() {
    let evidence = became(log(Acks::All, WHOLE), 500, 1, State::Rejected);
    assert!(differs(&evidence, &[]).contains("I4"));
    assert_eq!(assessed(&evidence).outcome, Outcome::Void);
    // One offset with two records: the reader saw another one than every replica.
    let mut rewritten = log(Acks::All, WHOLE);
    lay(&mut rewritten.readings[0], 0, &[Copies(0, 500), Copies(7, 1), Copies(501, 499)]);
    let tallies = [
        "log_loss: stored 0, judged 1",
        "duplicate_same_attempt: stored 0, judged 1",
        "rewritten_log: stored 0, judged 1",
    ];
    assert!(differs(&rewritten, &tallies).contains("I12"));
    assert_eq!(assessed(&rewritten).outcome, Outcome::Void);
}

#[test]
fn acks_0_has_drops_whatever_offsets_its_reports_gave() {
    let dropped = log(Acks::Zero, &[Copies(0, 500), Copies(510, 490)]);
    judge(vec![Case {
        name: "ten dropped",
        evidence: dropped,
        tallies: &["acks0_drop: stored 0, judged 10"],
        outcome: Outcome::Finished,
        promise: Promise::Allowed,
    }]);
    // Whatever a report says of offsets, no ledger has room for it, so no verdict can rest on one.
    let stored = bench_model::ledger::to_jsonl(&[made_up_ledger(State::Sent)]);
    assert!(!stored.contains("offset"), "{stored}");
}

#[test]
fn what_the_log_holds_besides_copies_is_named() {
    let (control, corrupt, alien) = (Odd(Oddity::Control), Odd(Oddity::Corrupt), Odd(Oddity::Alien));
    let case = |name, slots, tallies, promise| Case {
        name,
        evidence: log(Acks::All, slots),
        tallies,
        outcome: Outcome::Finished,
        promise,
    };
    judge(vec![
        case("control records", &[Copies(0, 500), control, Copies(500, 500), control], &[], Promise::Kept),
        case(
            "a flipped bit",
            &[Copies(0, 500), corrupt, Copies(501, 499)],
            &["log_loss: stored 0, judged 1", "corrupt: stored 0, judged 1"],
            Promise::Violated,
        ),
        case(
            "a foreign record",
            &[Copies(0, RECORDS), alien],
            &["alien: stored 0, judged 1"],
            Promise::Violated,
        ),
        case(
            "nobody has entered it",
            &[Copies(0, RECORDS), Copies(RECORDS + 5, 1)],
            &["unledgered: stored 0, judged 1"],
            Promise::Violated,
        ),
    ]);
}

#[test]
fn a_misplaced_copy_is_still_a_copy() {
    let mut evidence = log(Acks::All, &[Copies(0, 500), Copies(501, 499)]);
    evidence.partitions(2);
    evidence.readings.iter_mut().for_each(|reading| lay(reading, 1, &[Copies(500, 1)]));
    let text = evidence_of_two_partitions(&evidence);
    assert!(text.is_empty(), "{text}");
}

/// Judged with its own settings: exactly one misplaced copy and nothing lost, and `verify` agrees.
fn evidence_of_two_partitions(evidence: &Evidence) -> String {
    let verdict = assessed(evidence).verdict.expect("books");
    let found: Vec<String> = verdict
        .tallies
        .iter()
        .filter(|(_, tally)| tally.count > 0)
        .map(|(kind, tally)| format!("{kind} {}", tally.count))
        .collect();
    made_up::agrees(evidence);
    if found == ["misplaced 1"] { String::new() } else { found.join(", ") }
}

#[test]
fn a_log_without_its_beginning_or_with_an_open_transaction_is_inconclusive() {
    let retention = Evidence::of(Acks::All).everywhere(|part| {
        part.start = 100;
        let run = &mut part.runs[0];
        (run.offset, run.sequence, run.count) = (100, 100, RECORDS - 100);
    });
    let open = Evidence::of(Acks::All).everywhere(|part| part.last_stable -= 1);
    judge(vec![
        Case {
            name: "retention",
            evidence: retention,
            tallies: &[],
            outcome: Outcome::Inconclusive,
            promise: Promise::Unjudged,
        },
        Case {
            name: "open transaction",
            evidence: open,
            tallies: &[],
            outcome: Outcome::Inconclusive,
            promise: Promise::Unjudged,
        },
    ]);
}

#[test]
fn resends_are_paid_for_by_cross_attempt_duplicates_and_hide_no_loss() {
    let case = |name, evidence, tallies, promise| Case {
        name,
        evidence,
        tallies,
        outcome: Outcome::Finished,
        promise,
    };
    let both = &[Copies(0, RECORDS), Again(500, 1, 1, 0)];
    let second = &[Copies(0, 500), Copies(501, 499), Again(500, 1, 1, 0)];
    let none = &[Copies(0, 500), Copies(501, 499)];
    let of_the_next_life = &[Copies(0, RECORDS), Again(990, 10, 1, 1)];
    let unreported = became(log(Acks::All, of_the_next_life), 990, 10, State::Unreported);
    let duplicate: &[&str] = &["duplicate_cross_attempt: stored 0, judged 1"];
    judge(vec![
        case("acked twice, both there", resent(log(Acks::All, both), 500, 1, 0), duplicate, Promise::Allowed),
        case("acked twice, one there", resent(log(Acks::All, second), 500, 1, 0), &[], Promise::Kept),
        case(
            "acked twice, none there",
            resent(log(Acks::All, none), 500, 1, 0),
            &["log_loss: stored 0, judged 1"],
            Promise::Violated,
        ),
        case(
            "sent again by the next incarnation",
            resent(unreported, 990, 10, 1),
            &["duplicate_cross_attempt: stored 0, judged 10"],
            Promise::Allowed,
        ),
    ]);
}

#[test]
fn two_producers_with_equal_sequences_are_two_records() {
    let two = |slots: &[Slot]| {
        let mut evidence = log(Acks::All, slots);
        let mut other = evidence.ledgers[0].clone();
        other.producer = ProducerId(1);
        evidence.ledgers.push(other);
        evidence
    };
    let case = |name, evidence, tallies, promise| Case {
        name,
        evidence,
        tallies,
        outcome: Outcome::Finished,
        promise,
    };
    let mixed = &[Copies(0, 500), Of(1, 0, RECORDS), Copies(500, 500)];
    let one_short = &[Copies(0, 500), Of(1, 0, RECORDS), Copies(501, 499)];
    judge(vec![
        case("both whole", two(mixed), &[], Promise::Kept),
        case("one lost", two(one_short), &["log_loss: stored 0, judged 1"], Promise::Violated),
    ]);
}

#[test]
fn a_wait_for_the_queue_is_no_attempt() {
    let mut evidence = Evidence::of(Acks::All);
    let was = made_up_ledger(State::Acked);
    let mut bytes = vec![0; file_bytes(1, RECORDS)];
    let mut ledger = LedgerMut::create(&mut bytes, was.producer, was.incarnation, was.book, 1, RECORDS);
    let partition = PartitionId(0);
    ledger.begin(partition, 0, RECORDS);
    // The queue took the first 600, the rest had to wait and was begun again.
    ledger.retract(partition, 600, RECORDS - 600);
    ledger.begin(partition, 600, RECORDS - 600);
    (0..RECORDS).for_each(|sequence| ledger.settle(partition, sequence, State::Acked));
    ledger.close();
    evidence.ledgers[0] = read(&bytes).expect("a ledger");
    assert_eq!(evidence.ledgers[0], was);
    made_up::agrees(&evidence);
}
