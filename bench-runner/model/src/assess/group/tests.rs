//! Courses of made-up groups whose answer is plain to see.

use super::*;
use crate::ids::{Incarnation, MemberId, PartitionId};
use crate::processing::{Move, Processed};
use crate::reading::{CopyRun, PartitionReading, Source};
use crate::result::{Rebalance, RebalanceCause};

const T0_NS: u64 = 5 * SECOND_NS;

fn run(offset: i64, count: u64) -> CopyRun {
    CopyRun {
        offset,
        count,
        producer: Default::default(),
        incarnation: Default::default(),
        attempt: Default::default(),
        home: PartitionId(0),
        sequence: offset as u64,
        transaction: 0,
    }
}

fn moved(partition: u16, position: i64, at_ms: u64) -> Move {
    Move { partition: PartitionId(partition), position, at_ns: T0_NS + at_ms * 1_000_000, generation: None }
}

fn processed(offset: i64, count: u64, from_ms: u64, to_ms: u64) -> Entry {
    Entry::Processed(Processed {
        partition: PartitionId(0),
        copies: run(offset, count),
        completed: count,
        begun_ns: T0_NS + from_ms * 1_000_000,
        completed_ns: T0_NS + to_ms * 1_000_000,
        given_up: false,
        refused: false,
    })
}

fn commit(partition: u16, called_ms: u64, answer: CommitAnswer) -> Entry {
    let called_ns = T0_NS + called_ms * 1_000_000;
    Entry::Commit(Commit { partition: PartitionId(partition), offset: 1, called_ns, answered_ns: 0, answer })
}

fn life(incarnation: u8, closed: bool, entries: Vec<Entry>) -> Journal {
    let incarnation = Incarnation(incarnation);
    Journal {
        member: MemberId(0),
        incarnation,
        closed,
        begun: 0,
        completed: 0,
        called: 0,
        answered: 0,
        entries,
    }
}

fn reading(copies: u64) -> LogReading {
    let partition = PartitionReading {
        partition: PartitionId(0),
        start: 0,
        end: copies as i64,
        last_stable: copies as i64,
        reached: copies as i64,
        runs: vec![run(0, copies)],
        oddities: Vec::new(),
        batches_digest: None,
        invisible: Vec::new(),
    };
    LogReading { source: Source::Reader, partitions: vec![partition] }
}

#[test]
fn lag_is_what_was_delivered_and_not_got_past_and_how_old_it_is() {
    // 1,000 a second for two seconds; processed at half the rate from T0 on.
    let journal = life(0, true, vec![Entry::Assigned(moved(0, 0, 0)), processed(0, 2_000, 0, 4_000)]);
    let course = lag::course(&[1_000, 1_000], &reading(2_000), &[journal], T0_NS);
    let half_s = SECOND_NS / 2;
    assert_eq!(course, [(500, half_s), (1_000, SECOND_NS), (500, 3 * half_s), (0, 0)]);
}

#[test]
fn a_death_takes_the_group_back_to_what_was_committed() {
    let first = life(0, false, vec![Entry::Assigned(moved(0, 0, 0)), processed(0, 900, 0, 900)]);
    let second =
        life(1, true, vec![Entry::Assigned(moved(0, 400, 1_500)), processed(400, 600, 2_100, 2_500)]);
    let course = lag::course(&[1_000], &reading(1_000), &[first, second], T0_NS);
    assert_eq!(course, [(100, SECOND_NS / 10), (600, 1_600_000_000), (0, 0)]);
}

#[test]
fn control_records_and_what_was_never_processed_are_passed_by() {
    let mut log = reading(10);
    log.partitions[0].oddities = vec![(10, crate::reading::Oddity::Control)];
    let journal = life(0, true, vec![Entry::Assigned(moved(0, 6, 100)), processed(6, 5, 100, 200)]);
    assert_eq!(lag::course(&[10], &log, &[journal], T0_NS), [(0, 0)]);
}

#[test]
fn a_log_that_was_cut_after_it_had_been_processed_leaves_no_lag_behind() {
    let journal = life(0, true, vec![Entry::Assigned(moved(0, 0, 0)), processed(0, 1_000, 0, 900)]);
    // Only 100 are left in the end.
    let course = lag::course(&[1_000, 0], &reading(100), &[journal], T0_NS);
    assert_eq!(course, [(0, 0), (0, 0)]);
}

#[test]
fn the_parts_of_a_call_are_one_commit_that_is_as_good_as_its_worst_part() {
    use CommitAnswer::{Failed, Ok};
    let journal = life(
        0,
        true,
        vec![
            commit(0, 10, Ok),
            commit(1, 10, Ok),
            commit(0, 20, Ok),
            commit(1, 20, Failed),
            commit(0, 1_500, Ok),
            commit(0, 1_600, CommitAnswer::None),
        ],
    );
    let calls = calls(&journal);
    assert_eq!(calls.len(), 4);
    let seconds = seconds(&calls, &[(0, 0), (3, 4)], T0_NS);
    assert_eq!(seconds.iter().map(|second| second.commits).collect::<Vec<_>>(), [1, 1]);
    let told = |error: &str| {
        let member =
            crate::wire::Done { failed_commits: [(error.to_owned(), 1)].into(), ..Default::default() };
        failed(&calls, &Statements { members: vec![member], ..Statements::default() })
    };
    assert_eq!(told("NOT_COORDINATOR"), [("NOT_COORDINATOR".to_owned(), 1)].into());
    assert_eq!(failed(&calls, &Statements::default()), [(KILLED.to_owned(), 1)].into());
}

#[test]
fn partitions_that_change_hands_together_are_one_rebalance() {
    let one = life(
        0,
        true,
        vec![
            Entry::Assigned(moved(0, 0, 0)),
            Entry::Assigned(moved(1, 0, 0)),
            Entry::Revoked(moved(0, 5, 1_000)),
            Entry::Revoked(moved(1, 5, 1_010)),
            Entry::Assigned(moved(0, 5, 1_100)),
            Entry::Revoked(moved(0, 9, 9_000)),
        ],
    );
    let other = life(0, true, vec![Entry::Assigned(moved(1, 5, 1_150)), Entry::Revoked(moved(1, 9, 9_000))]);
    let expected = Rebalance {
        cause: RebalanceCause::Revoked,
        start_ns: SECOND_NS,
        end_ns: SECOND_NS + 150_000_000,
        pause_ns: 140_000_000,
        partitions: 2,
    };
    assert_eq!(rebalances::of(&[one, other], T0_NS), [expected]);
}

#[test]
fn deaths_that_overlap_are_rebalances_of_their_own() {
    // Partition 1's owner dies while partition 0 still waits for its next one.
    let one = life(0, false, vec![Entry::Assigned(moved(0, 0, 0)), processed(0, 5, 100, 500)]);
    let two = life(0, false, vec![Entry::Assigned(moved(1, 0, 0)), Entry::Assigned(moved(0, 5, 2_500))]);
    let three = life(0, true, vec![Entry::Assigned(moved(1, 0, 5_000)), Entry::Assigned(moved(0, 5, 5_010))]);
    let all = rebalances::of(&[one, two, three], T0_NS);
    let told: Vec<_> = all.iter().map(|one| (one.end_ns / 1_000_000, one.partitions)).collect();
    assert_eq!(told, [(2_500, 1), (5_010, 2)]);
}

#[test]
fn a_killed_member_pauses_its_partitions_from_its_last_sign_of_life_on() {
    let dead = life(0, false, vec![Entry::Assigned(moved(0, 0, 0)), processed(0, 5, 100, 700)]);
    let next = life(1, true, vec![Entry::Assigned(moved(0, 0, 2_700))]);
    let all = rebalances::of(&[dead, next], T0_NS);
    assert_eq!((all[0].cause, all[0].pause_ns), (RebalanceCause::Death, 2 * SECOND_NS));
}

#[test]
fn a_zombie_pauses_what_was_taken_from_it_before_it_knew() {
    let zombie = life(
        0,
        true,
        vec![Entry::Assigned(moved(0, 0, 0)), processed(0, 5, 100, 700), Entry::Lost(moved(0, 5, 8_000))],
    );
    let heir = life(0, true, vec![Entry::Assigned(moved(0, 5, 3_700))]);
    let all = rebalances::of(&[zombie, heir], T0_NS);
    assert_eq!((all[0].cause, all[0].pause_ns), (RebalanceCause::Lost, 3 * SECOND_NS));
}

#[test]
fn what_a_group_got_done_in_the_window_is_first_completions_within_it() {
    // A thousand a second from 1 s on; the last 500 behind the window, and 300 of the first thousand once more.
    let one = life(
        0,
        false,
        (1..5).map(|s| processed((s - 1) * 250, 250, 750 + s as u64 * 250, 1_000 + s as u64 * 250)).collect(),
    );
    let two = life(1, true, vec![processed(700, 300, 2_000, 2_300), processed(1_000, 500, 3_000, 3_500)]);
    let window = T0_NS + 1_500 * 1_000_000..T0_NS + 3_000 * 1_000_000;
    let found = completions::first(&[one.clone(), two], &window);
    assert_eq!((found.all, found.in_window), (1_500, 501));
    // The window cuts a run: of 250 records in 1 s to 1.25 s those behind 1.125 s.
    let cut = completions::first(&[one], &(T0_NS + 1_125 * 1_000_000 + 1..T0_NS + 1_250 * 1_000_000));
    assert_eq!(cut.in_window, 124);
}

#[test]
fn a_commit_of_a_transaction_is_a_commit_of_the_group() {
    use crate::transactions::{State, Transaction};
    let of = |state| {
        let called_ns = T0_NS + 10;
        let (ordinal, begun_ns, answered_ns, records) = (1, T0_NS, T0_NS + 20, 5);
        commit_of(&Transaction {
            ordinal,
            state,
            begun_ns,
            called_ns,
            answered_ns,
            records,
            first_sequences: vec![],
        })
        .map(|call| call.answer)
    };
    assert_eq!(of(State::Committed), Some(CommitAnswer::Ok));
    assert_eq!(of(State::CommitCalled), Some(CommitAnswer::None));
    assert_eq!(of(State::CommitFailed), Some(CommitAnswer::Failed));
    assert_eq!((of(State::Aborted), of(State::Open)), (None, None));
    let errors = [
        ("commit: abortable: TIMED_OUT: aborted", 2),
        ("commit: retriable: NOT_COORDINATOR: asked again", 7),
        ("abort: fatal: X: stopped", 1),
    ];
    let transaction_errors = errors.map(|(error, count)| (error.to_owned(), count)).into();
    let member = crate::wire::Done { transaction_errors, ..Default::default() };
    let statements = Statements { members: vec![member], ..Statements::default() };
    assert_eq!(failed(&[], &statements), [("TIMED_OUT".to_owned(), 2)].into());
}
