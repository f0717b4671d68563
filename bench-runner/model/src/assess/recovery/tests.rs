//! A fault with known traces: every figure follows by arithmetic.

use super::*;
use crate::assess::{Statements, blank};
use crate::expectation::tests::{cell, done, settings};
use crate::fault::{Action, FaultRecord, Kill, Target};
use crate::ids::BrokerId;
use crate::settings::Burst;
use crate::wire::Done;

const MS: u64 = 1_000_000;
const T0_NS: u64 = 77_000 * MS;

/// A leader dies at 6 s and is back at 9 s; a record is due every millisecond from 0 s to 20 s.
fn faults() -> Vec<FaultRecord> {
    vec![done(6_000, Action::Kill, Target::Leader), done(9_000, Action::Start, Target::Leader)]
}

/// Nothing succeeds from 6.0 s to 8.5 s, and what waited is answered in the second 8.
fn result(acks: Acks) -> CellResult {
    let faults = faults();
    let mut result = blank("made-up", &cell(settings(acks, 2), &faults));
    result.faults = faults;
    let arrived = |second| match second {
        6 => 100,
        7 => 0,
        8 => 2_900,
        _ => 1_000,
    };
    let p99_ms = |second| match second {
        6..=8 => 2_000,
        9 => 5,
        _ => 5 + u64::from(second) % 2,
    };
    let seconds = (0..20).map(|second| Second {
        second,
        records: 1_000,
        acked: 1_000,
        arrived: Some(arrived(second)),
        publish_ns: Some([MS, p99_ms(second) * MS, 3_000 * MS]),
        ..Second::default()
    });
    result.seconds = seconds.collect();
    result
}

fn outage(partition: u16, from_ms: u64, error_ms: Option<u64>, to_ms: Option<u64>) -> Outage {
    let at = |ms: u64| T0_NS + ms * MS;
    Outage {
        partition: PartitionId(partition),
        from_ns: at(from_ms),
        error_ns: error_ms.map(at),
        to_ns: to_ms.map(at),
    }
}

fn change(at_ms: u64, partition: u16, leader: Option<i32>, isr: &[i32]) -> PartitionChange {
    PartitionChange {
        at_ns: at_ms * MS,
        partition: PartitionId(partition),
        leader: leader.map(BrokerId),
        leader_epoch: 0,
        isr: isr.iter().copied().map(BrokerId).collect(),
    }
}

fn statements(outages: Vec<Outage>) -> Statements {
    let producer = Done { ended_ns: T0_NS + 21_000 * MS, outages: Some(outages), ..Done::default() };
    Statements {
        t0_ns: T0_NS,
        producers: vec![producer],
        partitions: vec![
            change(0, 0, Some(1), &[1, 2, 3]),
            change(0, 1, Some(2), &[1, 2, 3]),
            change(6_400, 0, None, &[2, 3]),
            change(6_500, 1, Some(2), &[2, 3]),
            change(8_300, 0, Some(2), &[2, 3]),
            change(10_000, 0, Some(2), &[1, 2, 3]),
            change(10_200, 1, Some(2), &[1, 2, 3]),
        ],
        ..Statements::default()
    }
}

fn one(result: &CellResult, statements: &Statements) -> Recovery {
    let mut all = recovery(result, statements);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn every_figure_follows_from_the_traces() {
    // The one at 3 s was over before the fault, the one at 15 s began long after all was undone.
    let outages = vec![
        outage(0, 3_000, None, Some(3_200)),
        outage(1, 15_000, None, Some(19_000)),
        outage(0, 5_999, Some(6_100), Some(8_500)),
        outage(1, 6_000, None, Some(6_150)),
    ];
    let it = one(&result(Acks::One), &statements(outages));
    assert_eq!((it.fault.as_str(), it.from_ns, it.to_ns), ("leader killed", 6_000 * MS, Some(9_000 * MS)));
    assert_eq!(it.unavailable, Stretch::Ns(2_501 * MS));
    assert_eq!(it.first_success, Stretch::Ns(2_500 * MS));
    assert_eq!(it.baseline_p99_ns, Some(6 * MS), "the upper of both in the middle");
    assert_eq!(it.p99_back, Stretch::Ns(3_000 * MS), "from the second 9 on");
    assert_eq!(it.drained, Stretch::Ns(3_000 * MS), "at the end of the second 8 nothing waits");
    assert_eq!(it.isr_full, Stretch::Ns(4_200 * MS));
    let [zero, one] = &it.partitions[..] else { panic!("{:?}", it.partitions) };
    assert_eq!((zero.first_error_ns, zero.first_success_ns), (Some(6_100 * MS), Some(8_500 * MS)));
    assert_eq!((one.unavailable.clone(), one.first_error_ns), (Stretch::Ns(150 * MS), None));
}

#[test]
fn what_is_never_over_is_a_bound() {
    let mut result = result(Acks::One);
    for second in result.seconds.iter_mut().filter(|second| second.second >= 8) {
        (second.arrived, second.publish_ns) = (Some(0), Some([MS, 9_000 * MS, 9_000 * MS]));
    }
    let mut statements = statements(vec![outage(0, 6_000, Some(6_100), None)]);
    statements.partitions.truncate(5);
    let it = one(&result, &statements);
    assert_eq!(it.unavailable, Stretch::AtLeast(15_000 * MS));
    assert_eq!(it.first_success, Stretch::AtLeast(15_000 * MS));
    assert_eq!(it.p99_back, Stretch::AtLeast(14_000 * MS));
    assert_eq!(it.drained, Stretch::AtLeast(14_000 * MS));
    assert_eq!(it.isr_full, Stretch::AtLeast(2_300 * MS), "that was the last change");
}

#[test]
fn a_fault_without_traces_is_below_what_can_be_seen() {
    let mut result = result(Acks::One);
    for second in &mut result.seconds {
        (second.arrived, second.publish_ns) = (Some(1_000), Some([MS, 5 * MS, 6 * MS]));
    }
    let mut statements = statements(Vec::new());
    statements.partitions.truncate(2);
    let it = one(&result, &statements);
    assert_eq!(
        (it.unavailable, it.first_success),
        (Stretch::Below(SHORTEST_NS), Stretch::Below(SHORTEST_NS))
    );
    assert_eq!((it.p99_back, it.drained), (Stretch::Below(SECOND_NS), Stretch::Below(SECOND_NS)));
    assert_eq!(it.isr_full, Stretch::Unknown("no replica left".into()));
    assert!(it.partitions.iter().all(|partition| partition.last_success_ns.is_none()));
}

#[test]
fn where_nothing_was_due_nobody_would_have_seen_an_outage() {
    let mut result = result(Acks::One);
    let mut due_at = |at_ms: u64| {
        let burst = Burst { at_ns: at_ms * MS, records: 10 };
        result.cell.settings.load.arrival = Arrival::Bursts(vec![burst]);
        one(&result, &statements(Vec::new()))
    };
    let before = due_at(5_999);
    assert_eq!(before.unavailable, Stretch::Unknown("nothing was due from then on".into()));
    assert_eq!(before.first_success, before.unavailable);
    assert_eq!(due_at(6_001).unavailable, Stretch::Below(SHORTEST_NS));
}

#[test]
fn what_cannot_be_known_says_why() {
    let why = |stretch: Stretch| match stretch {
        Stretch::Unknown(why) => why,
        known => panic!("{known:?}"),
    };
    let mut old = statements(Vec::new());
    old.partitions.clear();
    old.producers[0].outages = None;
    let it = one(&result(Acks::One), &old);
    assert!(why(it.unavailable).contains("by the version"));
    assert!(why(it.isr_full).contains("nobody watched"));

    let mut killed = result(Acks::One);
    killed.cell.kills.push(Kill { worker: Victim::Producer, index: 0, at_ns: 1, resend: false });
    assert!(why(one(&killed, &statements(Vec::new())).unavailable).contains("a producer died"));

    let mut early = result(Acks::One);
    early.cell.settings.load.warmup_ns = 5_000 * MS;
    assert!(why(one(&early, &statements(Vec::new())).p99_back).contains("fewer than two"));
    early.seconds[3].arrived = None;
    assert!(why(one(&early, &statements(Vec::new())).drained).contains("not stored"));
}

#[test]
fn with_acks_0_the_reader_is_the_witness() {
    let mut statements = statements(vec![outage(0, 6_000, None, Some(7_000))]);
    statements.reader.outages = Some(vec![outage(1, 6_000, None, Some(9_000))]);
    let it = one(&result(Acks::Zero), &statements);
    assert_eq!(it.unavailable, Stretch::Ns(3_000 * MS));
}

#[test]
fn each_of_two_faults_has_its_own_traces() {
    let mut result = result(Acks::One);
    result
        .faults
        .extend([done(15_000, Action::Kill, Target::Leader), done(16_000, Action::Start, Target::Leader)]);
    let outages = vec![outage(0, 6_000, None, Some(8_500)), outage(0, 15_000, None, Some(19_000))];
    let all = recovery(&result, &statements(outages));
    let unavailable: Vec<Stretch> = all.iter().map(|it| it.unavailable.clone()).collect();
    assert_eq!(unavailable, [Stretch::Ns(2_500 * MS), Stretch::Ns(4_000 * MS)]);
    assert_eq!(all[1].isr_full, Stretch::Unknown("no replica left".into()));
}
