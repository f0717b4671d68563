//! The recipes of group members that ship: what they expect is what plain arithmetic says of batch and record.

mod shipped;

use bench_model::fault::{Death, End, Point, Victim};
use bench_model::plan::Cell;
use bench_model::settings::{Arrival, CommitStrategy, TransactionSettings, TransactionSpan};
use shipped::cells;

/// What one cell must show; `None`: not known beforehand.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    loss: Option<u64>,
    repeats: Option<u64>,
    ahead: Option<u64>,
}

/// How far the group holds, and how far it is done, when a life of full batches that began at 0 ends so: `j` records of
/// a batch of `b` are done, of `full` batches before it all.
fn held(commit: CommitStrategy, death: &Death, full: u64, b: u64, j: u64) -> Option<u64> {
    let (before, done) = (full * b, full * b + j);
    Some(match commit {
        // The client's own interval or its close takes all that was handed out.
        CommitStrategy::Auto => before + b,
        CommitStrategy::AutoStored if death.end == End::Close => done,
        CommitStrategy::SyncBefore => before + b,
        CommitStrategy::SyncAfter => before,
        CommitStrategy::SyncEach if death.point == Point::AfterProcessing => done - 1,
        CommitStrategy::None => 0,
        _ => return None,
    })
}

fn outcome(cell: &Cell) -> Outcome {
    let group = cell.settings.group.as_ref().expect("a group");
    let [death] = cell.deaths[..] else { panic!("{} has one death", cell.id) };
    let b = u64::from(group.batch_records);
    let done = if death.point == Point::AfterProcessing { death.record } else { death.record - 1 };
    let (full, j) = (done / b, done % b);
    let held = held(group.commit, &death, full, b, j);
    let ahead = match group.commit {
        CommitStrategy::SyncBefore => Some(cell.records()),
        CommitStrategy::Auto => None,
        _ => Some(0),
    };
    Outcome {
        // Whoever commits only what is done loses nothing, however much of it he has committed.
        loss: held.map(|held| held.saturating_sub(done)).or(Some(0)),
        repeats: held.map(|held| done.saturating_sub(held)),
        ahead,
    }
}

#[test]
fn what_the_recipes_expect_is_the_arithmetic_of_batch_and_record() {
    for (name, count) in [("c1", 3), ("c2", 5), ("c3", 3), ("c7", 2)] {
        let cells = cells(&format!("recipes/{name}"));
        assert_eq!(cells.len(), count, "{name}");
        for cell in &cells {
            let expected = |tally: &str| cell.expect.get(tally).copied();
            let Outcome { loss, repeats, ahead } = outcome(cell);
            assert_eq!(expected("processing_loss"), loss, "{}", cell.id);
            assert_eq!(expected("redelivery"), repeats, "{}", cell.id);
            if expected("commit_ahead").is_some() {
                assert_eq!(expected("commit_ahead"), ahead, "{}", cell.id);
            }
            for nothing in ["log_loss", "duplicate_same_attempt", "begun_only", "vanished", "poll_skip"] {
                assert_eq!(expected(nothing), Some(0), "{} {nothing}", cell.id);
            }
        }
        let lost = |cell: &&Cell| cell.expect["processing_loss"] > 0;
        assert!(
            cells.iter().any(|cell| lost(&cell)) && cells.iter().any(|cell| !lost(&cell)),
            "{name} has no control"
        );
    }
}

#[test]
fn nothing_but_the_death_makes_a_count_of_the_recipes_uncertain() {
    for name in ["c1", "c2", "c3", "c4", "c7"] {
        for cell in cells(&format!("recipes/{name}")) {
            let group = cell.settings.group.as_ref().expect("a group");
            assert_eq!((cell.settings.topic.partitions, group.members), (1, 1), "{}", cell.id);
            assert!(cell.settings.producer.idempotence && cell.faults.is_empty());
            // Full batches up to the death: all records are due at once, and a batch waits for them.
            let Arrival::Bursts(bursts) = &cell.settings.load.arrival else { panic!("{}", cell.id) };
            assert_eq!((bursts.len(), cell.records() % u64::from(group.batch_records)), (1, 0));
            assert!(group.batch_wait_ns >= 1_000_000_000, "{}", cell.id);
            let in_batch = (cell.deaths[0].record - 1) % u64::from(group.batch_records);
            if group.commit == CommitStrategy::Auto && cell.deaths[0].end == End::Kill {
                // The client has committed the batch before: three intervals are over.
                assert!(in_batch * group.service_ns > 3 * group.commit_interval_ns, "{}", cell.id);
            }
        }
    }
}

#[test]
fn a_zombie_repeats_what_it_has_in_hand_and_what_was_not_committed() {
    let cells = cells("recipes/c5");
    assert_eq!(cells.len(), 3);
    for cell in &cells {
        let group = cell.settings.group.as_ref().expect("a group");
        let [Death { record, point: Point::AfterProcessing, end: End::Stop, .. }] = cell.deaths[..] else {
            panic!("{} has one stop", cell.id)
        };
        let b = u64::from(group.batch_records);
        // It stops in the last batch: whatever it has in hand is all that it can process without polling.
        assert_eq!((cell.settings.topic.partitions, group.members, cell.records()), (1, 2, 3 * b));
        assert!(record > 2 * b && record < 3 * b && group.batch_wait_ns >= 1_000_000_000);
        let committed = match group.commit {
            CommitStrategy::SyncAfter => 2 * b,
            CommitStrategy::SyncEach => record - 1,
            CommitStrategy::SyncBefore => 3 * b,
            other => panic!("{other:?}"),
        };
        assert_eq!(cell.expect["redelivery"], 3 * b - committed, "{}", cell.id);
        assert_eq!(cell.expect["processing_loss"], 0);
    }
}

#[test]
fn a_zombie_writes_its_batch_twice_unless_it_is_refused() {
    let cells = cells("recipes/c5-sinks");
    assert_eq!(cells.len(), 6);
    for cell in &cells {
        let group = cell.settings.group.as_ref().expect("a group");
        let [Death { record, point: Point::BeforeWrite, end: End::Stop, .. }] = cell.deaths[..] else {
            panic!("{} has one stop", cell.id)
        };
        let b = u64::from(group.batch_records);
        // Of the last batch, so that nothing more is in hand behind it.
        assert_eq!((cell.settings.topic.partitions, group.members, cell.records()), (1, 2, 3 * b));
        assert!(record > 2 * b && record <= 3 * b && group.batch_wait_ns >= 1_000_000_000);
        let keyed = group.sink.as_ref().expect("a sink").kind.is_idempotent();
        let (again, refused) = match group.commit {
            CommitStrategy::SyncAfter => (b, 0),
            CommitStrategy::SyncBefore => (0, 0),
            CommitStrategy::InSink | CommitStrategy::Transaction => (0, b),
            other => panic!("{other:?} is not of this recipe"),
        };
        let expected = [
            ("redelivery", again),
            ("sink_duplicate", if keyed { 0 } else { again }),
            ("sink_refused", refused),
            ("sink_loss", 0),
            ("processing_loss", 0),
        ];
        for (tally, count) in expected {
            assert_eq!(cell.expect.get(tally), Some(&count), "{} {tally}", cell.id);
        }
    }
}

#[test]
fn a_newcomer_repeats_what_was_not_committed_of_what_is_given_up() {
    let cells = cells("recipes/c6");
    assert_eq!(cells.len(), 5);
    for cell in &cells {
        let group = cell.settings.group.as_ref().expect("a group");
        let all = cell.records();
        assert_eq!((cell.joins.len(), cell.joins[0].after, group.members), (1, all, 1));
        // Dealt evenly: whole turns of whole batches.
        let turn = u64::from(cell.settings.producer.batch_bytes / cell.settings.load.record_bytes)
            * u64::from(cell.settings.topic.partitions);
        assert_eq!(all % turn, 0);
        let uncommitted = group.commit == CommitStrategy::Interval && !group.commit_on_revoke;
        assert!(
            group.commit != CommitStrategy::Interval || group.commit_interval_ns > 2 * cell.duration_ns()
        );
        let given_up = if group.assignor == "range" { all } else { all / 2 };
        assert_eq!(cell.expect["redelivery"], if uncommitted { given_up } else { 0 }, "{}", cell.id);
        assert_eq!(cell.expect["processing_loss"], 0);
    }
}

#[test]
fn a_restarted_producer_doubles_what_was_under_way() {
    let cells = cells("recipes/d3");
    assert_eq!(cells.len(), 4);
    for cell in &cells {
        let Arrival::Bursts(bursts) = &cell.settings.load.arrival else { panic!("{}", cell.id) };
        let [warm, under_way, held_back, after] = &bursts[..] else { panic!("{bursts:?}") };
        let [Death { worker: Victim::Producer, record, resend, .. }] = cell.deaths[..] else {
            panic!("{} has one death", cell.id)
        };
        assert_eq!(record, warm.records + under_way.records + held_back.records);
        // The leader stands still from before the burst until after the death, and the burst has left the client by then.
        let at_ns = |step: usize| cell.faults[step].when.at_ns().expect("an instant");
        assert!(at_ns(0) < under_way.at_ns && held_back.at_ns < at_ns(1) && at_ns(1) < after.at_ns);
        assert!(under_way.at_ns + cell.settings.producer.linger_ns < held_back.at_ns);
        let one_request = under_way.records * u64::from(cell.settings.load.record_bytes);
        assert!(one_request < u64::from(cell.settings.producer.batch_bytes));
        let (mut again, unknown) =
            if resend { (under_way.records, [0, 0]) } else { (0, [under_way.records, 1]) };
        // The life ends with its first transaction, which is open for as long.
        if let Some(transaction) = &cell.settings.producer.transaction {
            assert_eq!((u64::from(records_of(transaction)), resend), (record, true));
            again = 0;
        }
        assert_eq!(cell.expect["duplicate_cross_attempt"], again, "{}", cell.id);
        assert_eq!(["unknown_present", "unknown_absent"].map(|tally| cell.expect[tally]), unknown);
    }
    assert!(cells.iter().any(|cell| cell.settings.producer.idempotence && cell.deaths[0].resend));
}

fn records_of(transaction: &TransactionSettings) -> u32 {
    match transaction.span {
        TransactionSpan::Records(records) => records,
        TransactionSpan::Time(_) => panic!("a number of records is known beforehand"),
    }
}

#[test]
fn a_fenced_producer_leaves_the_one_transaction_that_it_had_open() {
    for name in ["recipes/t2", "recipes/t3"] {
        let cells = cells(name);
        assert_eq!(cells.len(), 3);
        let mut kinds = Vec::new();
        for cell in &cells {
            let transaction = cell.settings.producer.transaction.as_ref().expect("transactions");
            let each = u64::from(records_of(transaction));
            let [Death { worker: Victim::Producer, end: End::Stop, record, resend, continue_after_ns, .. }] =
                cell.deaths[..]
            else {
                panic!("{} has one stop", cell.id)
            };
            let Arrival::Bursts(bursts) = &cell.settings.load.arrival else { panic!("{}", cell.id) };
            assert_eq!((record, record % each), (bursts[0].records, 0));
            // The coordinator looks for what is overdue every half second.
            let fenced = continue_after_ns.is_none_or(|after_ns| after_ns > transaction.timeout_ns);
            let after_ns = continue_after_ns.filter(|_| fenced);
            assert!(after_ns.is_none_or(|after_ns| after_ns > transaction.timeout_ns + 1_000_000_000));
            assert_eq!(cell.expect["aborted_copies"], if fenced { each } else { 0 }, "{}", cell.id);
            let left = if fenced && !resend { each } else { 0 };
            assert_eq!(cell.expect["unknown_absent"], left, "{}", cell.id);
            assert_eq!(cell.expect["duplicate_cross_attempt"], 0);
            kinds.push((fenced, resend));
        }
        kinds.sort_unstable();
        assert_eq!(kinds, [(false, false), (true, false), (true, true)], "with a control");
    }
}

#[test]
fn every_strategy_is_compared_and_none_may_lose_or_repeat_without_a_fault() {
    let cells = cells("commit-strategies");
    // These two need a sink, and are compared with others that have one.
    let needs_sink =
        |commit: &CommitStrategy| matches!(commit, CommitStrategy::InSink | CommitStrategy::Transaction);
    for commit in CommitStrategy::ALL.into_iter().filter(|commit| !needs_sink(commit)) {
        let own = |cell: &&Cell| cell.settings.group.as_ref().is_some_and(|group| group.commit == commit);
        assert!(cells.iter().any(|cell| own(&cell)), "{}", commit.as_str());
    }
    for cell in &cells {
        assert!(cell.deaths.is_empty() && cell.faults.is_empty());
        assert_eq!((cell.expect["processing_loss"], cell.expect["redelivery"]), (0, 0));
    }
}

#[test]
fn a_plan_says_everything_of_a_group_and_its_deaths() {
    let lines = cells("recipes/c3").into_iter().flat_map(|cell| {
        let head = format!("{} takes {} s", cell.id, cell.duration_ns() / 1_000_000_000);
        let own = |key: &str| ["consumer.", "death", "expect."].iter().any(|part| key.starts_with(part));
        let settings = cell.effective().into_iter().filter(|(key, _)| own(key));
        [head]
            .into_iter()
            .chain(settings.map(|(key, value)| format!("  {key} = {value}")))
            .collect::<Vec<_>>()
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

/// Everything that a recipe expects of one cell of C4, by plain arithmetic.
fn around_the_write(cell: &Cell) -> [(&'static str, u64); 5] {
    let group = cell.settings.group.as_ref().expect("a group");
    let kind = group.sink.as_ref().expect("a sink").kind;
    let [death] = cell.deaths[..] else { panic!("{} has one death", cell.id) };
    let b = u64::from(group.batch_records);
    // Of the death's batch: where it begins and ends.
    let (from, to) = ((death.record - 1) / b * b, death.record.div_ceil(b) * b);
    let written = if death.point == Point::BetweenWriteAndCommit { to } else { from };
    let begun = if death.point == Point::BetweenWriteAndCommit { to } else { death.record - 1 };
    let held = match group.commit {
        CommitStrategy::SyncBefore => to,
        CommitStrategy::SyncAfter => from,
        CommitStrategy::InSink => written,
        CommitStrategy::None => 0,
        other => panic!("{other:?} is not of this recipe"),
    };
    let again = written.saturating_sub(held);
    [
        ("redelivery", again),
        ("sink_duplicate", if kind.is_idempotent() { 0 } else { again }),
        ("processing_loss", held.saturating_sub(begun)),
        ("begun_only", held.min(begun).saturating_sub(written)),
        ("sink_loss", held.saturating_sub(written)),
    ]
}

#[test]
fn a_death_between_write_and_commit_costs_what_was_written_and_is_not_held() {
    let cells = cells("recipes/c4");
    assert_eq!(cells.len(), 5);
    for cell in &cells {
        for (tally, count) in around_the_write(cell) {
            assert_eq!(cell.expect.get(tally), Some(&count), "{} {tally}", cell.id);
        }
    }
    for tally in ["sink_duplicate", "sink_loss"] {
        assert!(cells.iter().any(|cell| cell.expect[tally] > 0), "{tally} has no control");
    }
}

#[test]
fn a_pipeline_in_transactions_repeats_nothing_and_its_control_the_batch_that_was_written() {
    let cells = cells("recipes/c8");
    for cell in &cells {
        let group = cell.settings.group.as_ref().expect("a group");
        let again = match group.commit {
            CommitStrategy::Transaction => 0,
            CommitStrategy::SyncAfter => u64::from(group.batch_records),
            other => panic!("{other:?} is not of this recipe"),
        };
        assert_eq!(cell.expect["sink_duplicate"], again, "{}", cell.id);
        assert_eq!(cell.expect["redelivery"], again, "{}", cell.id);
        assert_eq!((cell.expect["sink_loss"], cell.expect["processing_loss"]), (0, 0));
    }
    assert_eq!(cells.len(), 2);
}
