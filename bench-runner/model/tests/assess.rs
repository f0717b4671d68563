//! What `run` stores agrees with what `verify` makes of the same evidence, whatever the figures are.

use bench_model::assess::{Evidence, Statements, Usage, assess, blank, differences};
use bench_model::latency::{Series, Set};
use bench_model::plan::Cell;
use bench_model::result::{CellResult, Outcome};
use bench_model::settings::{Acks, Arrival, CellSettings, Length, Load, ProducerSettings, TopicSettings};
use bench_model::wire::{Done, Progress};
use proptest::prelude::*;

const SECOND_NS: u64 = 1_000_000_000;

fn cell(acks: Acks, arrival: Arrival, window_ns: u64) -> Cell {
    let producer = ProducerSettings {
        acks,
        retries: 3,
        idempotence: acks == Acks::All,
        linger_ns: 0,
        batch_bytes: 1000,
        compression: "none".into(),
        max_in_flight: 5,
        queue_records: 1000,
        queue_bytes: 1 << 20,
        request_timeout_ns: 1,
        delivery_timeout_ns: 1,
        extra: [].into(),
        transaction: None,
    };
    let topic =
        TopicSettings { partitions: 1, replication_factor: 1, min_insync_replicas: 1, extra: [].into() };
    let load = Load {
        arrival,
        record_bytes: 48,
        warmup_ns: SECOND_NS,
        length: Length::Time(window_ns),
        producers: 1,
        compressible_percent: 0,
        drain_ns: 0,
    };
    Cell {
        id: "made-up".into(),
        profile: String::new(),
        label: String::new(),
        axes: [].into(),
        repeat: 0,
        again: false,
        seed: 0,
        settings: CellSettings { producer, topic, load, group: None },
        deaths: Vec::new(),
        kills: Vec::new(),
        joins: Vec::new(),
        faults: vec![],
        expect: [("log_loss".to_owned(), 0)].into(),
    }
}

fn series(values: &[(usize, u64, u8)]) -> Set {
    let (mut publish, mut end_to_end) = (Series::new(5), Series::new(5));
    for (second, ns, kind) in values {
        match kind {
            0 => publish.censor(*second, *ns),
            1 => publish.fail(*second, *ns),
            _ => publish.record(*second, *ns),
        }
        end_to_end.record(*second, ns / 3);
    }
    let mut set = Set::default();
    set.insert("publish", publish);
    set.insert("end_to_end", end_to_end);
    set
}

fn progress() -> impl Strategy<Value = Progress> {
    (0..1_u64 << 40, 0..1_u64 << 30, 0..1_u64 << 30, 0..1_u64 << 44, 0..1_u64 << 40).prop_map(
        |(at_ns, records, acked, cpu_ns, blocked_ns)| Progress {
            at_ns,
            records,
            acked,
            failed: 0,
            cpu_ns,
            blocked_ns,
        },
    )
}

fn usage() -> impl Strategy<Value = Option<Usage>> {
    prop::option::of((0..1_u64 << 44, 0..1_u64 << 44, 0..1_u64 << 44).prop_map(
        |(cpu_ns, disk_write_bytes, network_bytes)| Usage { cpu_ns, disk_write_bytes, network_bytes },
    ))
}

fn statements() -> impl Strategy<Value = Statements> {
    let done = (progress(), progress(), progress(), any::<Option<u32>>(), any::<Option<u16>>());
    let arrivals = prop::option::of(prop::collection::vec(0_u64..1 << 30, 0..9));
    (done, prop::array::uniform2(usage()), any::<bool>(), 0..9_u64, arrivals).prop_map(
        |((begin, end, total, late, wakeups), usage, drained, negative, arrivals)| Statements {
            delivered: None,
            unprocessed: None,
            members: Vec::new(),
            deaths: Vec::new(),
            kills: Vec::new(),
            joins: Vec::new(),
            untimed: 0,
            moved_leaders: 0,
            stolen: None,
            partitions: Vec::new(),
            dumps: Vec::new(),
            unread_sink: None,
            healed: Vec::new(),
            t0_ns: 7,
            unquiet: None,
            producers: vec![Done {
                total,
                window: Some((begin, end)),
                drained: true,
                ended_ns: total.at_ns,
                lateness_p99_ns: late.map(u64::from),
                wakeups_per_request: wakeups.map(|wakeups| f64::from(wakeups) / 7.0),
                ..Done::default()
            }],
            output_reader: None,
            reader: Done { drained, negative, ended_ns: total.at_ns, ..Done::default() },
            usage,
            arrivals,
        },
    )
}

#[test]
fn a_group_that_did_not_process_everything_in_time_gives_no_verdict() {
    let mut result = blank("run", &cell(Acks::All, Arrival::Max, SECOND_NS));
    let unprocessed = Some("partition 1 is processed up to 5 of 6".to_owned());
    let reader = Done { drained: true, ..Done::default() };
    let statements = Statements { unprocessed, reader, ..Statements::default() };
    let series = series(&[]);
    let evidence = Evidence {
        ledgers: &[],
        readings: &[],
        output: &[],
        transactions: &[],
        pipelines: &[],
        effects: None,
        journals: &[],
        series: &series,
        statements: Some(&statements),
    };
    assess(&mut result, evidence);
    assert_eq!(result.outcome, Outcome::Inconclusive);
    let why = result.reason.expect("a reason");
    assert!(why.contains("the group did not process everything in time: partition 1"), "{why}");
}

proptest! {
    #[test]
    fn what_is_stored_agrees_with_its_evidence(
        values in prop::collection::vec((0_usize..7, 0_u64..1 << 45, 0_u8..9), 0..400),
        statements in statements(),
        acks in prop::sample::select(vec![Acks::Zero, Acks::One, Acks::All]),
        paced: bool,
        window_ns in 1_u64..4 * SECOND_NS,
    ) {
        let arrival = if paced { Arrival::Poisson { per_second: 100 } } else { Arrival::Max };
        let made = series(&values);
        let stated = Statements::from_json(&statements.to_json()).expect("statements");
        // The ledgers of this made-up cell are empty; their counts are not the subject here.
        let mut result = blank("run", &cell(acks, arrival, window_ns));
        let evidence = |series, statements| Evidence {
            effects: None,
            ledgers: &[],
            readings: &[],
            output: &[],
            transactions: &[],
            pipelines: &[],
            journals: &[],
            series,
            statements,
        };
        assess(&mut result, evidence(&made, Some(&statements)));
        let stored: CellResult = serde_json::from_str(&serde_json::to_string(&result).expect("plain data")).expect("a result");
        let read = Set::from_text(&made.to_text()).expect("a log");
        let mut found = differences(&stored, Some(evidence(&read, Some(&stated))));
        found.retain(|line| !line.contains("publish latencies ended"));
        prop_assert_eq!(found, Vec::<String>::new());
    }
}
