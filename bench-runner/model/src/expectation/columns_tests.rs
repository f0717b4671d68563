//! The edges of columns and recipes: the last instant and the last record that are inside, and the first that are not.

use super::columns::columns;
use super::table::Column;
use super::tests::{
    MS, answers_lost, done, found, lone_leader_killed, power_cut_of_all, settings, stopped, unclean,
};
use crate::fault::{Action, FaultRecord, Lose, Target};
use crate::settings::{Acks, Arrival, Burst, CellSettings, Length};

/// The only column is this one, and its recipe was followed.
#[track_caller]
fn recipe(settings: &CellSettings, faults: &[FaultRecord], column: Column) -> bool {
    let found = found(settings, faults, column != Column::FollowersStopped);
    assert_eq!((found.len(), found[0].0), (1, column));
    found[0].1
}

fn changed(settings: &CellSettings, change: impl Fn(&mut CellSettings)) -> CellSettings {
    let mut settings = settings.clone();
    change(&mut settings);
    settings
}

/// Followers stop at 1.2 s; the first of these instants of the leader's death at which records are surely lost, and the
/// last.
fn lost_between(settings: &CellSettings) -> (u64, u64) {
    let column = if settings.topic.extra.is_empty() {
        Column::FollowersStoppedLeaderKilled
    } else {
        Column::UncleanElection
    };
    let mut kills = (1_201..9_000).filter(|ms| recipe(settings, &lone_leader_killed(1_200, *ms), column));
    let first = kills.next().expect("some");
    (first, kills.next_back().unwrap_or(first))
}

#[test]
fn a_lone_leader_surely_loses_what_was_due_and_answered_while_nobody_fetched() {
    // A record each ms: 30 of them from 600 ms on, answered 200 ms later, before the session ends 2.5 s after the stop.
    let one = settings(Acks::One, 1);
    assert_eq!(lost_between(&one), (2_030, 3_699));
    assert_eq!(lost_between(&unclean(one, 1)), (2_030, 8_999), "whoever was fenced may lead");
    assert_eq!(lost_between(&unclean(settings(Acks::All, 1), 1)), (5_430, 8_999), "the leader alone answers");
}

#[test]
fn a_record_is_due_as_the_profile_says_and_never_after_its_end() {
    // From 1.8 s on, and before 2.7 s.
    let is_due = |arrival: &Arrival, length| {
        let settings = changed(&settings(Acks::One, 1), |settings| {
            (settings.load.arrival, settings.load.length) = (arrival.clone(), length);
        });
        recipe(&settings, &lone_leader_killed(1_200, 2_900), Column::FollowersStoppedLeaderKilled)
    };
    let minute = Length::Time(60_000 * MS);
    let bursts = [1_799, 1_800, 2_699, 2_700]
        .map(|at_ms| is_due(&Arrival::Bursts(vec![Burst { at_ns: at_ms * MS, records: 1 }]), minute));
    assert_eq!(bursts, [false, true, true, false]);
    let until = |arrival, ms: [u64; 2]| ms.map(|ms| is_due(&arrival, Length::Time(ms * MS)));
    assert_eq!(until(Arrival::Max, [1_800, 1_801]), [false, true]);
    for arrival in [Arrival::Constant { per_second: 1_000 }, Arrival::Poisson { per_second: 1_000 }] {
        assert_eq!(until(arrival.clone(), [1_829, 1_830]), [false, true]);
        assert_eq!([1_829, 1_830].map(|records| is_due(&arrival, Length::Records(records))), [false, true]);
    }
    assert!(!is_due(&Arrival::Max, Length::Records(1_000_000)), "nobody knows when they are sent");
    assert!(!is_due(&Arrival::Constant { per_second: 33 }, minute), "29.7 are expected");
    assert!(is_due(&Arrival::Constant { per_second: 34 }, minute));
    let at_full_speed = changed(&settings(Acks::One, 1), |settings| settings.load.arrival = Arrival::Max);
    assert_eq!(lost_between(&at_full_speed), (2_001, 3_699));
}

#[test]
fn a_leader_is_alone_only_while_its_followers_stand_still() {
    let one = settings(Acks::One, 1);
    let column = |stop: (Action, Target), kill: (Action, Target), kill_ms, continue_ms: Option<u64>| {
        let mut faults = vec![done(1_200, stop.0, stop.1), done(kill_ms, kill.0, kill.1)];
        let back = continue_ms.map(|at_ms| done(at_ms, stop.0.undo().expect("an undo"), stop.1));
        faults.extend(back);
        faults.push(done(9_000, Action::Start, kill.1));
        columns(&one, &faults, true).ok().map(|found| found[0].column)
    };
    let (stop, kill) = ((Action::Stop, Target::Followers), (Action::Kill, Target::Leader));
    let alone = Some(Column::FollowersStoppedLeaderKilled);
    assert_eq!([1_201, 2_900, 3_000].map(|at_ms| column(stop, kill, at_ms, Some(3_000))), [alone; 3]);
    assert_eq!(column(stop, kill, 1_200, Some(3_000)), None, "at the same instant");
    assert_eq!(column(stop, kill, 3_001, Some(3_000)), None, "they went on before");
    assert_eq!(column(stop, kill, 2_900, None), None, "nobody was left to lead");
    assert_eq!(column((Action::Isolate, Target::Followers), kill, 2_900, Some(3_000)), None);
    assert_eq!(column((Action::Stop, Target::Follower), kill, 2_900, Some(3_000)), None, "one of two");
    assert_eq!(column(stop, (Action::Terminate, Target::Leader), 2_900, Some(3_000)), None);
    assert_eq!(column(stop, (Action::Kill, Target::Controller), 2_900, Some(3_000)), None);
}

#[test]
fn brokers_that_end_in_turn_end_one_after_the_other() {
    let one = settings(Acks::One, 1);
    for (action, expected) in
        [(Action::Kill, Column::LeaderKilled), (Action::Terminate, Column::RollingRestart)]
    {
        let again = |at_ms| {
            let ends = [done(6_000, action, Target::Leader), done(at_ms, action, Target::CurrentLeader)];
            let starts = [9_000, 12_000].map(|at_ms| done(at_ms, Action::Start, Target::Leader));
            let mut faults = [ends, starts].concat();
            faults.sort_by_key(|fault| fault.done_ns);
            columns(&one, &faults, true).ok().map(|found| found[0].column)
        };
        assert_eq!([8_999, 9_001].map(again), [None, Some(expected)]);
        let back_to_back = [
            done(6_000, action, Target::Leader),
            done(9_000, Action::Start, Target::Leader),
            done(9_000, action, Target::Leader),
        ];
        assert_eq!(found(&one, &back_to_back, true), [(expected, false)]);
        let stayed_away = [done(6_000, action, Target::Leader), done(9_000, action, Target::CurrentLeader)];
        assert!(columns(&one, &stayed_away, true).is_err());
    }
}

#[test]
fn a_follower_of_one_partition_is_a_leader_of_others() {
    let (one, three) = (settings(Acks::One, 1), settings(Acks::One, 3));
    let column = |settings: &CellSettings, action, target| {
        let faults = [done(6_000, action, target)];
        columns(settings, &faults, true).ok().map(|found| found[0].column)
    };
    for action in [Action::Kill, Action::PowerCut, Action::FillDisk, Action::WriteProtect] {
        let killed = Some(Column::LeaderKilled);
        assert_eq!(column(&one, action, Target::Leader), killed, "{action:?}");
        assert_eq!(column(&three, action, Target::Follower), killed, "{action:?}");
        assert_eq!(column(&one, action, Target::Follower), None, "{action:?}");
        assert_eq!(column(&three, action, Target::Followers), None, "{action:?}");
    }
    assert_eq!(column(&three, Action::Stop, Target::Follower), Some(Column::LeaderStopped));
    assert_eq!(column(&one, Action::Stop, Target::Follower), None);
    assert_eq!(column(&one, Action::Isolate, Target::Followers), None, "they do not stand still");
    let two = changed(&one, |settings| settings.topic.replication_factor = 2);
    assert_eq!(column(&two, Action::Kill, Target::Leader), None, "of other numbers the table says nothing");
}

#[test]
fn a_power_cut_surely_forgets_what_every_replica_of_a_partition_held_for_a_second() {
    let all = settings(Acks::All, 1);
    let forgets = |change: fn(&mut FaultRecord)| {
        let mut faults = power_cut_of_all(1);
        change(&mut faults[0]);
        recipe(&all, &faults, Column::PowerCutAll)
    };
    assert!(forgets(|_| ()));
    assert!(!forgets(|cut| cut.cuts[1].partitions[0].end_after = 100), "one has kept it");
    assert!(!forgets(|cut| cut.cuts[1].partitions[0].end_before = 99), "one had not got it");
    assert!(!forgets(|cut| cut.cuts.truncate(2)), "of the third nobody knows");
    assert!(!forgets(|cut| cut.step.lose = Some(Lose::Bytes(1))));
    assert!(!forgets(|cut| cut.done_ns = Some(1_029 * MS)), "too little was due a second before");
    assert!(forgets(|cut| cut.done_ns = Some(1_030 * MS)));
    let flushed = changed(&all, |settings| {
        settings.topic.extra.insert("flush.messages".into(), "10".into());
    });
    assert!(recipe(&flushed, &power_cut_of_all(1), Column::PowerCutAll), "not every record was flushed");
}

#[test]
fn who_waits_for_followers_longer_than_a_request_may_surely_sends_again() {
    let waits = |stop_ms: u64, change: fn(&mut CellSettings)| {
        let impatient = changed(&settings(Acks::All, 1), |settings| {
            settings.producer.request_timeout_ns = 500 * MS;
            settings.producer.linger_ns = 100 * MS;
            change(settings);
        });
        let stop = stopped(Target::Followers, 3_200, 3_200 + stop_ms);
        recipe(&impatient, &stop, Column::FollowersStopped)
    };
    // 1.6 s of patience, and 30 ms until something is due; 2.5 s until the leader goes on without them.
    assert_eq!([1_629, 1_630, 2_499, 2_500].map(|ms| waits(ms, |_| ())), [false, true, true, false]);
    assert!(!waits(2_000, |settings| settings.producer.acks = Acks::One), "the leader waits for nobody");
    assert!(
        !waits(2_000, |settings| settings.producer.delivery_timeout_ns = 1_600 * MS),
        "it gives up first"
    );
    assert!(waits(2_000, |settings| settings.producer.delivery_timeout_ns = 1_601 * MS));
    let forever = [done(3_200, Action::Stop, Target::Followers)];
    let impatient = changed(&settings(Acks::All, 1), |settings| settings.producer.request_timeout_ns = MS);
    assert!(!recipe(&impatient, &forever, Column::FollowersStopped), "the leader goes on without them");
}

#[test]
fn who_still_waits_when_the_connection_breaks_surely_sends_again() {
    // Answers are withheld for 2 s.
    let again = |change: fn(&mut CellSettings)| {
        let settings = changed(&settings(Acks::All, 1), change);
        recipe(&settings, &answers_lost(3, Some(8_000)), Column::ResponseLost)
    };
    assert!(!again(|settings| settings.producer.request_timeout_ns = 2_000 * MS));
    assert!(again(|settings| settings.producer.request_timeout_ns = 2_001 * MS));
    assert!(!again(|settings| settings.producer.delivery_timeout_ns = 3_000 * MS));
    assert!(again(|settings| settings.producer.delivery_timeout_ns = 3_001 * MS));
    assert!(again(|settings| settings.producer.retries = 1));
    let mut forever = answers_lost(3, Some(8_000));
    forever.retain(|fault| fault.step.action != Action::Pass);
    assert!(!recipe(&settings(Acks::All, 1), &forever, Column::ResponseLost));
    assert!(recipe(&settings(Acks::All, 1), &answers_lost(3, Some(6_000)), Column::ResponseLost));
    assert!(columns(&settings(Acks::All, 1), &answers_lost(3, Some(5_999)), false).is_err());
}

#[test]
fn what_was_only_planned_has_broken_nothing() {
    let planned = FaultRecord { done_ns: None, ..done(6_000, Action::Kill, Target::Leader) };
    assert_eq!(columns(&settings(Acks::One, 1), &[planned], true), Err("nothing was broken".to_owned()));
}
