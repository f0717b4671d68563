//! Cells of every kind against the table.

use super::columns::{Suffered, columns};
use super::table::Column;
use super::*;
use crate::fault::{Action, Api, Cut, FaultStep, Hits, PartitionCut, Rule, Target, When};
use crate::ids::{BrokerId, PartitionId};
use crate::ledger::State;
use crate::settings::{Acks, Arrival, Burst, CellSettings, Length, TransactionSettings, TransactionSpan};
use crate::verdict::history;

pub(super) const MS: u64 = 1_000_000;

/// Three replicas, a record every millisecond for 20 s.
pub(crate) fn settings(acks: Acks, partitions: u16) -> CellSettings {
    let mut settings = history::settings(acks, partitions);
    settings.topic.replication_factor = 3;
    settings.load.arrival = Arrival::Constant { per_second: 1_000 };
    settings.load.length = Length::Time(20_000 * MS);
    settings.producer.request_timeout_ns = 30_000 * MS;
    settings.producer.delivery_timeout_ns = 120_000 * MS;
    settings
}

pub(super) fn unclean(mut settings: CellSettings, min_insync_replicas: u16) -> CellSettings {
    settings.topic.extra.insert("unclean.leader.election.enable".into(), "true".into());
    settings.topic.min_insync_replicas = min_insync_replicas;
    settings
}

/// Broker 1 leads, 2 and 3 follow.
pub(crate) fn done(at_ms: u64, action: Action, target: Target) -> FaultRecord {
    let brokers: &[i32] = match target {
        Target::Leader => &[1],
        Target::Followers => &[2, 3],
        Target::Follower => &[2],
        _ => &[1, 2, 3],
    };
    FaultRecord {
        brokers: brokers.iter().copied().map(BrokerId).collect(),
        done_ns: Some(at_ms * MS),
        proof: vec!["seen".into()],
        ..FaultRecord::planned(FaultStep::new(When::At(at_ms * MS), action, target))
    }
}

pub(super) fn lone_leader_killed(stop_ms: u64, kill_ms: u64) -> Vec<FaultRecord> {
    let mut back = done(kill_ms + 3_000, Action::Start, Target::Leader);
    back.step.when = When::NewLeader;
    vec![
        done(stop_ms, Action::Stop, Target::Followers),
        done(kill_ms, Action::Kill, Target::Leader),
        done(kill_ms, Action::Continue, Target::Followers),
        back,
    ]
}

pub(super) fn stopped(target: Target, at_ms: u64, until_ms: u64) -> Vec<FaultRecord> {
    vec![done(at_ms, Action::Stop, target), done(until_ms, Action::Continue, target)]
}

/// All brokers lost the last `records` of partition 0.
pub(super) fn power_cut_of_all(records: i64) -> Vec<FaultRecord> {
    let part = PartitionCut {
        partition: PartitionId(0),
        flushed: 0,
        end_before: 100,
        end_after: 100 - records,
        records: 0,
    };
    let cut = |broker| Cut { broker: BrokerId(broker), logs: 1, bytes: 1, partitions: vec![part.clone()] };
    let mut act = done(6_000, Action::PowerCut, Target::All);
    act.cuts = (1..=3).map(cut).collect();
    vec![act, done(8_000, Action::Start, Target::All)]
}

pub(super) fn found(settings: &CellSettings, faults: &[FaultRecord], moved: bool) -> Vec<(Column, bool)> {
    let found = columns(settings, faults, moved).expect("a column");
    found.into_iter().map(|Suffered { column, is_recipe }| (column, is_recipe)).collect()
}

/// The leader's answers to Produce requests are withheld, and their connections broken.
pub(super) fn answers_lost(answers: u64, reset_ms: Option<u64>) -> Vec<FaultRecord> {
    let mut act = done(6_000, Action::Withhold, Target::Leader);
    act.step.rule =
        Some(Rule { api: Api::Produce, requests: None, wait_ns: None, error: None, offset: None });
    act.hits = vec![Hits { broker: BrokerId(1), requests: 3, answers, records: 30, ..Hits::default() }];
    let reset = reset_ms.map(|at_ms| done(at_ms, Action::Reset, Target::Leader));
    [Some(act), Some(done(8_000, Action::Pass, Target::Leader)), reset].into_iter().flatten().collect()
}

#[test]
fn answers_are_lost_with_their_connections_and_certainly_sent_again_by_who_still_waits() {
    let one = settings(Acks::One, 1);
    let lost = answers_lost(3, Some(8_000));
    assert_eq!(found(&one, &lost, false), [(Column::ResponseLost, true)]);
    let without = |change: fn(&mut CellSettings)| {
        let mut settings = one.clone();
        change(&mut settings);
        found(&settings, &lost, false)
    };
    let not_certain = [(Column::ResponseLost, false)];
    assert_eq!(without(|settings| settings.producer.retries = 0), not_certain);
    assert_eq!(without(|settings| settings.producer.request_timeout_ns = 1_500 * MS), not_certain);
    assert_eq!(without(|settings| settings.producer.delivery_timeout_ns = 2_500 * MS), not_certain);
    let why = |faults: &[FaultRecord]| columns(&one, faults, false).expect_err("no column");
    for other in [answers_lost(0, Some(8_000)), answers_lost(3, None), answers_lost(3, Some(5_000))] {
        assert!(why(&other).contains("lost with their connections"));
    }
    let mut of_ends = lost;
    of_ends[0].step.rule =
        Some(Rule { api: Api::EndTxn, requests: None, wait_ns: None, error: None, offset: None });
    assert!(why(&of_ends).contains("lost with their connections"));
}

#[test]
fn timelines_are_in_their_columns() {
    let one = settings(Acks::One, 1);
    let killed = [done(6_000, Action::Kill, Target::Leader), done(9_000, Action::Start, Target::Leader)];
    assert_eq!(found(&one, &killed, true), [(Column::LeaderKilled, false)]);
    let again = [
        killed.clone(),
        [done(12_000, Action::Kill, Target::Leader), done(13_000, Action::Start, Target::Leader)],
    ];
    assert_eq!(found(&one, &again.concat(), true), [(Column::LeaderKilled, false)]);
    let in_turn = [
        done(1_000, Action::Terminate, Target::Leader),
        done(3_000, Action::Start, Target::Leader),
        done(5_000, Action::Terminate, Target::Leader),
        done(7_000, Action::Start, Target::Leader),
    ];
    assert_eq!(found(&one, &in_turn, true), [(Column::RollingRestart, false)]);
    let moved = [done(1_000, Action::Reassign, Target::Leader)];
    assert_eq!(found(&one, &moved, true), [(Column::Reassigned, false)]);
    assert_eq!(found(&one, &stopped(Target::Leader, 6_000, 11_000), true), [(Column::LeaderStopped, false)]);
    let cut = [done(6_000, Action::PowerCut, Target::Leader), done(8_000, Action::Start, Target::Leader)];
    assert_eq!(found(&one, &cut, true), [(Column::LeaderKilled, false)]);
    let followers = stopped(Target::Followers, 6_000, 11_000);
    assert_eq!(found(&one, &followers, false), [(Column::FollowersStopped, false)]);
    let both = [(Column::FollowersStopped, false), (Column::LeaderStopped, false)];
    assert_eq!(found(&settings(Acks::One, 3), &followers, true), both);
}

#[test]
fn what_is_in_no_column_says_why() {
    let why = |settings: &CellSettings, faults: &[FaultRecord], moved| {
        columns(settings, faults, moved).expect_err("no column")
    };
    let one = settings(Acks::One, 1);
    assert!(why(&one, &[done(1, Action::Kill, Target::All)], true).contains("\"all killed\""));
    assert!(why(&one, &stopped(Target::Leader, 1, 2), false).contains("no leader moved"));
    assert!(why(&one, &stopped(Target::Followers, 1, 2), true).contains("moved by itself"));
    assert!(why(&one, &[done(1, Action::Kill, Target::Follower)], false).contains("\"follower killed\""));
    assert!(
        why(&unclean(one.clone(), 1), &[done(1, Action::Kill, Target::Leader)], true).contains("unclean")
    );
    let mut few = one;
    few.topic.min_insync_replicas = 1;
    assert!(why(&few, &[done(1, Action::Kill, Target::Leader)], true).contains("min.insync.replicas"));
}

#[test]
fn only_the_recipe_makes_certain() {
    let alone = |settings: &CellSettings, stop_ms, kill_ms| {
        found(settings, &lone_leader_killed(stop_ms, kill_ms), true)[0].1
    };
    let (one, all) = (settings(Acks::One, 1), settings(Acks::All, 1));
    assert!(alone(&one, 1_200, 2_900));
    assert!(!alone(&one, 1_200, 1_700), "fetches were parked at the leader");
    assert!(!alone(&one, 1_200, 5_000), "the followers are out of the ISR and cannot be elected");
    assert!(alone(&unclean(one.clone(), 1), 1_200, 5_000));
    assert!(alone(&unclean(all.clone(), 1), 1_200, 9_400));
    assert!(!alone(&unclean(all.clone(), 1), 1_200, 2_900), "nothing was answered");
    assert!(!alone(&unclean(all.clone(), 2), 1_200, 9_400), "nothing was answered");
    let mut early = one.clone();
    early.load.arrival = Arrival::Bursts(vec![Burst { at_ns: 0, records: 10 }]);
    assert!(!alone(&early, 1_200, 2_900), "nothing was due");
    let mut back = lone_leader_killed(1_200, 2_900);
    back[3].step.when = When::After(1_000 * MS);
    assert!(!found(&one, &back, true)[0].1, "the leader came back first");

    let mut impatient = all.clone();
    impatient.producer.request_timeout_ns = 500 * MS;
    let waits =
        |settings: &CellSettings| found(settings, &stopped(Target::Followers, 3_200, 5_400), false)[0].1;
    assert!(waits(&impatient) && !waits(&all));

    assert!(found(&all, &power_cut_of_all(50), true)[0].1);
    assert!(!found(&all, &power_cut_of_all(0), true)[0].1);
    let mut flushed = all;
    flushed.topic.extra.insert("flush.messages".into(), "1".into());
    assert_eq!(found(&flushed, &power_cut_of_all(50), true), [(Column::LeaderKilled, false)]);
}

/// A verdict with these counts; every other one is zero.
fn verdict(counts: &[(TallyKind, u64)]) -> Verdict {
    let mut verdict = history::clean(10, State::Acked).verdict();
    for (kind, count) in counts {
        verdict.tallies.get_mut(kind).expect("a tally").count = *count;
    }
    verdict
}

pub(crate) fn cell(settings: CellSettings, faults: &[FaultRecord]) -> Cell {
    Cell {
        id: "made-up".into(),
        profile: String::new(),
        label: String::new(),
        axes: [].into(),
        repeat: 0,
        again: false,
        seed: 0,
        settings,
        deaths: Vec::new(),
        kills: Vec::new(),
        joins: Vec::new(),
        faults: faults.iter().map(|fault| fault.step).collect(),
        expect: [].into(),
    }
}

fn judged(settings: CellSettings, faults: &[FaultRecord], counts: &[(TallyKind, u64)]) -> Comparison {
    compare(&cell(settings, faults), faults, &verdict(counts), true)
}

#[test]
fn what_is_allowed_is_met_or_better_and_the_rest_is_unmet() {
    use Expectation::{BetterThanRequired, Met, NoEntry, Unmet};
    use TallyKind::{Acks0Drop, DuplicateSameAttempt, LogLoss, Reorder};
    let killed = [done(6_000, Action::Kill, Target::Leader), done(9_000, Action::Start, Target::Leader)];
    let under_kill =
        |acks, counts: &[(TallyKind, u64)]| judged(settings(acks, 1), &killed, counts).expectation;
    assert_eq!(under_kill(Acks::One, &[(LogLoss, 3)]), Met);
    assert_eq!(under_kill(Acks::One, &[]), BetterThanRequired);
    assert_eq!(under_kill(Acks::All, &[(Reorder, 1)]), Met);
    assert_eq!(under_kill(Acks::All, &[(LogLoss, 1), (Reorder, 1)]), Unmet);
    assert_eq!(under_kill(Acks::Zero, &[(Acks0Drop, 2)]), Met);
    let mut idempotent = settings(Acks::All, 1);
    idempotent.producer.idempotence = true;
    assert_eq!(judged(idempotent.clone(), &killed, &[]).expectation, Met);
    let twice = judged(idempotent, &killed, &[(DuplicateSameAttempt, 1)]);
    assert_eq!(twice.expectation, Unmet);
    assert_eq!(twice.unmet, ["duplicate_same_attempt: none expected (leader killed), observed 1"]);
    assert_eq!(twice.lines.len(), 3);

    let certain = lone_leader_killed(1_200, 2_900);
    assert_eq!(judged(settings(Acks::One, 1), &certain, &[(LogLoss, 1)]).expectation, Met);
    let unseen = judged(settings(Acks::One, 1), &certain, &[]);
    assert_eq!(unseen.expectation, Unmet);
    assert!(unseen.unmet[0].starts_with("log_loss: some for certain"), "{:?}", unseen.unmet);
    let late = lone_leader_killed(1_200, 5_000);
    assert_eq!(judged(settings(Acks::One, 1), &late, &[]).expectation, BetterThanRequired);

    let nowhere = judged(settings(Acks::One, 1), &[done(1, Action::Kill, Target::All)], &[(LogLoss, 1)]);
    assert_eq!((nowhere.expectation, nowhere.unmet.len()), (NoEntry, 0));
    assert_eq!(judged(settings(Acks::One, 1), &[], &[(LogLoss, 1)]), Comparison::default());
}

#[test]
fn a_worker_that_dies_as_well_has_no_entry() {
    let killed = [done(6_000, Action::Kill, Target::Leader)];
    let mut cell = cell(settings(Acks::One, 1), &killed);
    let kill =
        crate::fault::Kill { worker: crate::fault::Victim::Producer, index: 0, at_ns: 1, resend: false };
    cell.kills.push(kill);
    assert_eq!(compare(&cell, &killed, &verdict(&[]), true).expectation, Expectation::NoEntry);
}

#[test]
fn each_kind_that_the_table_names_has_one_line() {
    let killed = [done(6_000, Action::Kill, Target::Leader), done(9_000, Action::Start, Target::Leader)];
    let mut seen = verdict(&[]);
    let torn = seen.tallies[&TallyKind::LogLoss].clone();
    seen.tallies.insert(TallyKind::TornTransaction, torn);
    let kinds = |settings: CellSettings| -> Vec<String> {
        let compared = compare(&cell(settings, &killed), &killed, &seen, true);
        compared.lines.iter().map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect()
    };
    let mut once = settings(Acks::One, 1);
    once.producer.retries = 0;
    let always = ["log_loss", "duplicate_same_attempt", "reorder"];
    assert_eq!(kinds(settings(Acks::All, 1)), always);
    assert_eq!(kinds(once), [&always[..], &["unknown_absent", "unknown_present"]].concat());
    let mut transactional = settings(Acks::All, 1);
    transactional.producer.idempotence = true;
    transactional.producer.transaction = Some(TransactionSettings {
        span: TransactionSpan::Records(1),
        abort_every: 0,
        abort_flush: true,
        timeout_ns: MS,
    });
    assert_eq!(kinds(transactional), [&always[..], &["torn_transaction"]].concat());
}

#[test]
fn what_one_fault_makes_certain_another_does_not_make_uncertain() {
    let certain = |is_recipe| {
        let suffered = [(Column::FollowersStopped, is_recipe), (Column::LeaderStopped, false)];
        let suffered = suffered.map(|(column, is_recipe)| Suffered { column, is_recipe });
        let marks = marks(Row::All, &suffered);
        marks.iter().find(|mark| mark.kind == TallyKind::DuplicateSameAttempt).expect("a mark").certain
    };
    assert!(certain(true));
    assert!(!certain(false));
}
