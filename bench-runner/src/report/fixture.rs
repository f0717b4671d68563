//! A made-up run on disk with everything a report must tell apart: repeats, an A/A copy, censored values, zeros,
//! losses, a generator-bound cell, a void one, a fault that was not injected, consumer groups of which a member dies.

mod faults;
mod group;
mod manifest;

use crate::store::{RunDir, StoredRun, load};
use bench_model::fault::{Action, FaultStep, Target, When};
use bench_model::ids::{PartitionId, ProducerId};
use bench_model::latency::{Series, Set};
use bench_model::plan::Cell;
use bench_model::result::*;
use bench_model::settings::*;
use bench_model::verdict::*;
use std::collections::BTreeMap;
use std::path::Path;

const SECOND_NS: u64 = 1_000_000_000;
pub const RUN: &str = "20261123-193000-quickstart-l1-00ff";

/// What is special about a cell.
#[derive(Clone, Copy)]
pub struct Made {
    pub profile: &'static str,
    pub label: &'static str,
    pub acks: Acks,
    pub retries: u32,
    pub idempotence: bool,
    pub repeat: u16,
    pub again: bool,
    pub median_ns: u64,
    pub lost: u64,
    pub outcome: Outcome,
    pub caveat: Option<&'static str>,
    pub commit: Option<CommitStrategy>,
}

const PLAIN: Made = Made {
    profile: "quickstart",
    label: "acks=all",
    acks: Acks::All,
    retries: i32::MAX as u32,
    idempotence: false,
    repeat: 0,
    again: false,
    median_ns: 4_000_000,
    lost: 0,
    outcome: Outcome::Finished,
    caveat: None,
    commit: None,
};

/// A group whose member dies.
const GROUP: Made = Made { profile: "c1", idempotence: true, ..PLAIN };

pub const CELLS: [Made; 16] = [
    Made { label: "acks=1", acks: Acks::One, median_ns: 3_000_000, ..PLAIN },
    PLAIN,
    Made { label: "acks=0", acks: Acks::Zero, median_ns: 2_500_000, ..PLAIN },
    Made { label: "acks=all, idempotence=true", idempotence: true, caveat: Some("client-spinning"), ..PLAIN },
    Made {
        label: "acks=all, retries=0",
        retries: 0,
        caveat: Some("generator-bound"),
        median_ns: 9_000_000,
        ..PLAIN
    },
    Made { label: "acks=1, retries=0", acks: Acks::One, retries: 0, outcome: Outcome::Void, ..PLAIN },
    Made { label: "acks=1", acks: Acks::One, repeat: 1, median_ns: 3_200_000, ..PLAIN },
    Made { label: "acks=1", acks: Acks::One, again: true, median_ns: 3_300_000, ..PLAIN },
    Made { profile: "l1", label: "acks=1", acks: Acks::One, lost: 1_000, ..PLAIN },
    Made { profile: "l1", label: "acks=all", median_ns: 40_000_000, ..PLAIN },
    Made {
        profile: "l1",
        label: "acks=all, idempotence=true",
        idempotence: true,
        outcome: Outcome::NotInjected,
        ..PLAIN
    },
    Made {
        profile: "l1",
        label: "acks=all, retries=0",
        retries: 0,
        outcome: Outcome::CouldNotStart,
        ..PLAIN
    },
    Made { label: "commit=sync-before", commit: Some(CommitStrategy::SyncBefore), ..GROUP },
    Made { label: "commit=sync-after", commit: Some(CommitStrategy::SyncAfter), ..GROUP },
    Made {
        label: "commit=auto",
        commit: Some(CommitStrategy::Auto),
        outcome: Outcome::Inconclusive,
        ..GROUP
    },
    Made { label: "commit=transaction", commit: Some(CommitStrategy::Transaction), ..GROUP },
];

fn timeline(made: &Made) -> Vec<FaultStep> {
    if made.profile != "l1" {
        return Vec::new();
    }
    let step = FaultStep::new;
    vec![
        step(When::At(4_200_000_000), Action::Stop, Target::Followers),
        step(When::At(6_000_000_000), Action::Kill, Target::Leader),
        step(When::At(6_000_000_000), Action::Continue, Target::Followers),
        step(When::NewLeader, Action::Start, Target::Leader),
    ]
}

fn planned(made: &Made) -> Cell {
    let kind = if made.again { "a" } else { "r" };
    let slug = made.label.replace([',', '='], "-").replace(' ', "");
    let producer = ProducerSettings {
        acks: made.acks,
        retries: made.retries,
        idempotence: made.idempotence,
        linger_ns: 5_000_000,
        batch_bytes: 1_000_000,
        compression: "none".into(),
        max_in_flight: 5,
        queue_records: 100_000,
        queue_bytes: 1 << 30,
        request_timeout_ns: 30 * SECOND_NS,
        delivery_timeout_ns: 120 * SECOND_NS,
        extra: BTreeMap::new(),
        transaction: None,
    };
    let topic = TopicSettings {
        partitions: 3,
        replication_factor: 3,
        min_insync_replicas: 2,
        extra: BTreeMap::new(),
    };
    let load = Load {
        arrival: Arrival::Constant { per_second: 1_000 },
        record_bytes: 1_024,
        warmup_ns: 2 * SECOND_NS,
        length: Length::Time(8 * SECOND_NS),
        producers: 1,
        compressible_percent: 0,
        drain_ns: 30 * SECOND_NS,
    };
    let expect = (made.profile == "l1").then(|| ("log_loss".to_owned(), made.lost)).into_iter().collect();
    Cell {
        id: format!("{}.{slug}.{kind}{}", made.profile, made.repeat),
        profile: made.profile.into(),
        label: made.label.into(),
        axes: BTreeMap::new(),
        repeat: made.repeat,
        again: made.again,
        seed: 1,
        settings: CellSettings { producer, topic, load, group: made.commit.map(group::settings) },
        deaths: made.commit.map(|_| group::death()).into_iter().collect(),
        kills: Vec::new(),
        joins: Vec::new(),
        faults: timeline(made),
        expect,
    }
}

/// Ten seconds of a thousand records: a body around the median, a tail of one in fifty, and what never arrived.
fn latencies(made: &Made) -> Set {
    let [mut publish, mut end_to_end, mut effect] = [(); 3].map(|()| Series::new(10));
    for k in 0..10_000_u64 {
        let second = (k / 1_000) as usize;
        let tail = if k % 50 == 7 { 8 + k % 11 } else { 1 };
        let value_ns = made.median_ns * (80 + k * 7_919 % 41) / 100 * tail;
        publish.record(second, value_ns);
        if made.lost > 0 && second == 5 {
            end_to_end.censor(second, 9 * SECOND_NS);
        } else {
            end_to_end.record(second, value_ns + 300_000);
        }
        // Committed, and in the hands of a member that died.
        if made.commit == Some(CommitStrategy::SyncBefore) && (4_237..4_300).contains(&k) {
            effect.censor(second, 6 * SECOND_NS);
        } else {
            effect.record(second, value_ns + 500_000);
        }
    }
    let mut set = Set::default();
    set.insert("publish", publish);
    if made.commit.is_some() {
        set.insert("in_hand", end_to_end.clone());
        set.insert("effect", effect);
        let timings: &[&str] = match made.commit {
            Some(CommitStrategy::Transaction) => {
                &["sink_write", "init", "transaction", "offsets_call", "commit_call", "abort"]
            }
            Some(CommitStrategy::SyncAfter) => &["commit", "sink_write"],
            _ => &["commit"],
        };
        timings.iter().for_each(|name| set.insert(*name, commits(made)));
    }
    set.insert("end_to_end", end_to_end);
    set
}

/// A commit for each hundred records.
fn commits(made: &Made) -> Series {
    let mut commit = Series::new(10);
    for k in 0..1_000_u64 {
        commit.record((k / 100) as usize, made.median_ns / 2 * (80 + k * 7_919 % 41) / 100);
    }
    commit
}

fn verdict(made: &Made) -> Verdict {
    let records = 10_000;
    let class = if made.acks == Acks::Zero { Class::Sent } else { Class::Acked };
    let count = ClassCount { records, present: records - made.lost, absent: made.lost };
    let tally = |kind, count, of| {
        let weight = if count > 0 { Weight::Allowed } else { Weight::Reported };
        (kind, Tally { count, of, weight, offenders: Vec::new(), not_checked: None })
    };
    // Sequences 1,096 and up of partition 2 are due from second 5 on: a batch is 976 records.
    let offenders = (0..made.lost.min(32)).map(|k| Offender {
        producer: Some(ProducerId(0)),
        partition: PartitionId(2),
        sequence: Some(1_096 + k),
        offset: None,
        class: Some(class),
    });
    let (acked, sent) = if class == Class::Sent { (0, records) } else { (records, 0) };
    let holds = made.outcome != Outcome::Void;
    let mut verdict = Verdict {
        records,
        attempts: records,
        copies: records - made.lost,
        classes: [(class, count)].into(),
        contingency: vec![Contingency {
            class,
            copies_0: made.lost,
            copies_1: records - made.lost,
            copies_2: 0,
            alike: Vec::new(),
        }],
        tallies: [
            tally(TallyKind::LogLoss, made.lost, acked),
            tally(TallyKind::Acks0Drop, 0, sent),
            tally(TallyKind::UnknownPresent, 0, 0),
            tally(TallyKind::UnknownAbsent, 0, 0),
            tally(TallyKind::DuplicateSameAttempt, if made.profile == "l1" { 2 } else { 0 }, records),
            tally(TallyKind::DuplicateCrossAttempt, 0, records),
            tally(TallyKind::Reorder, 0, records),
            tally(TallyKind::Phantom, 0, 0),
        ]
        .into(),
        identities: vec![Identity { name: "I2".into(), holds, detail: "9,999 = 10,000".into() }],
        inconclusive: (made.outcome == Outcome::Inconclusive).then(|| "made up".into()),
        undrained: None,
        promise: if made.lost > 0 { Promise::Allowed } else { Promise::Kept },
    };
    if let Some(commit) = made.commit {
        let (lost, again) = match commit {
            CommitStrategy::SyncBefore => (63, 0),
            CommitStrategy::Transaction => (0, 0),
            _ => (0, 37),
        };
        verdict.tallies.extend([
            tally(TallyKind::ProcessingLoss, lost, records),
            tally(TallyKind::BegunOnly, 0, records),
            tally(TallyKind::Redelivery, again, records + again),
        ]);
        if let Some(sink) = group::sink(commit) {
            let refused = if sink.kind == SinkKind::Topic { 100 } else { 0 };
            verdict.tallies.extend([
                tally(TallyKind::SinkDuplicate, again, records + again),
                tally(TallyKind::SinkLoss, 0, records),
                tally(TallyKind::SinkRefused, refused, records + again + refused),
            ]);
        }
        verdict.promise = Promise::Allowed;
    }
    if let Some(tally) = verdict.tallies.get_mut(&TallyKind::LogLoss) {
        tally.offenders = offenders.collect();
    }
    verdict
}

fn result(made: &Made, set: &Set) -> CellResult {
    let cell = planned(made);
    let ran = made.outcome != Outcome::CouldNotStart;
    let faults = faults::carried_out(&cell.faults, made.outcome != Outcome::NotInjected);
    let series = |name: &str| set.get(name).filter(|_| ran);
    let cut = |name: &str, second| series(name).map_or([false; 3], |series| series.second_is_cut(second));
    let seconds = (0..10).filter(|_| ran).map(|second| Second {
        second,
        records: 1_000,
        acked: 1_000,
        arrived: Some(arrived(made, second)),
        publish_ns: series("publish").and_then(|series| series.second_ns(second as usize)),
        end_to_end_ns: series("end_to_end").and_then(|series| series.second_ns(second as usize)),
        publish_at_least: cut("publish", second as usize),
        end_to_end_at_least: cut("end_to_end", second as usize),
    });
    let caveat = made.caveat.map(|kind| Caveat {
        kind: kind.into(),
        what: "seen in this cell".into(),
        advice: "see bench-runner/docs/bias.md".into(),
    });
    CellResult {
        schema: SCHEMA_VERSION.into(),
        run: RUN.into(),
        outcome: made.outcome,
        reason: (made.outcome != Outcome::Finished).then(|| "as made up".into()),
        expectation: expectation(&cell, made.outcome),
        expectation_detail: cell
            .expect
            .iter()
            .map(|(name, count)| format!("{name}: expected {count}"))
            .collect(),
        expectation_unmet: Vec::new(),
        verdict: ran.then(|| verdict(made)),
        faults: faults.into_iter().filter(|_| ran).collect(),
        latencies: set
            .iter()
            .filter(|_| ran)
            .filter_map(|(name, series)| Some((name.to_owned(), series.summary(2..11)?)))
            .collect(),
        throughput_per_s: if ran { 998.5 } else { 0.0 },
        asked_per_s: Some(1_000.0),
        window_ns: 8 * SECOND_NS,
        window_records: 8_000,
        blocked_ns: 0,
        cost: Cost {
            client_cpu_ns_per_record: Some(2_340.0),
            broker_cpu_ns_per_record: Some(61_000.0),
            disk_bytes_per_record: Some(3_212.0),
            network_bytes_per_record: None,
        },
        seconds: seconds.collect(),
        recovery: faults::recovery(&cell.faults, made.outcome),
        partitions: faults::partitions(&cell.faults, made.outcome),
        failed_by_second: Default::default(),
        group: made.commit.filter(|_| ran).map(group::course),
        caveats: caveat.into_iter().collect(),
        client_settings: [("producer".to_owned(), [("acks".to_owned(), made.acks.as_str().into())].into())]
            .into(),
        topic_settings: [("min.insync.replicas".to_owned(), "2".to_owned())].into(),
        failed_sends: Default::default(),
        errors: Vec::new(),
        stages_ns: BTreeMap::new(),
        evidence: BTreeMap::new(),
        cell,
    }
}

fn expectation(cell: &Cell, outcome: Outcome) -> Expectation {
    match outcome {
        _ if cell.expect.is_empty() => Expectation::None,
        Outcome::Finished => Expectation::Met,
        _ => Expectation::Unmet,
    }
}

/// Reports stand still from second 4 to 6 under the fault and come in the second after it.
fn arrived(made: &Made, second: u32) -> u64 {
    match (made.profile, second) {
        ("l1", 4..=6) => 0,
        ("l1", 7) => 4_000,
        _ => 1_000,
    }
}

/// Writes the run below `results` and loads it.
pub fn stored(results: &Path, provider: &str) -> StoredRun {
    let run = RunDir::create(results, RUN).expect("a new directory");
    run.write_manifest(&manifest::of(provider)).expect("room for a manifest");
    for made in &CELLS {
        let set = latencies(made);
        let mut result = result(made, &set);
        let aside = run.cell_aside(&result.cell.id).expect("a new directory");
        if result.verdict.is_some() {
            std::fs::write(aside.path().join("latency.hlog"), set.to_text()).expect("room for histograms");
        }
        aside.commit(&mut result).expect("a cell is stored");
    }
    load(run.path()).expect("what was stored is loaded")
}
