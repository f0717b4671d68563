//! A stored run with one cell that tests make up, and what the real binary's `verify` says of it. Proves nothing by itself.
#![allow(dead_code, reason = "each test program uses a part of it")]

use bench_model::assess::{self, Statements};
use bench_model::effects::{self, Effects};
use bench_model::ids::{BookKey, BrokerId, Incarnation, PartitionId, ProducerId};
use bench_model::latency::{Series, Set};
use bench_model::ledger::{self, Ledger, LedgerMut, PartitionLedger, State, file_bytes};
use bench_model::message::{Decoded, Header};
use bench_model::plan::Cell;
use bench_model::processing::{self, Journal};
use bench_model::reading::{self, LogReading, PartitionReading, ReadingBuilder, Source};
use bench_model::result::CellResult;
use bench_model::settings::{
    Acks, Arrival, CellSettings, GroupSettings, Length, Load, ProducerSettings, TopicSettings,
};
use bench_model::transactions::{self, Transactions};
use bench_model::verdict::TallyKind;
use bench_model::wire::{Done, Progress};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Records of the one cell.
pub const RECORDS: u64 = 1000;
/// Its id.
pub const CELL: &str = "made-up.acks-all.r0";

fn settings(acks: Acks, partitions: u16) -> CellSettings {
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
    let topic = TopicSettings { partitions, replication_factor: 2, min_insync_replicas: 2, extra: [].into() };
    let load = Load {
        arrival: Arrival::Constant { per_second: RECORDS / 2 },
        record_bytes: 48,
        warmup_ns: 0,
        length: Length::Records(RECORDS),
        producers: 1,
        compressible_percent: 0,
        drain_ns: 0,
    };
    CellSettings { producer, topic, load, group: None }
}

/// A ledger whose records all ended alike.
pub fn made_up_ledger(state: State) -> Ledger {
    let partition = PartitionId(0);
    let mut bytes = vec![0; file_bytes(1, RECORDS)];
    let mut ledger = LedgerMut::create(&mut bytes, ProducerId(0), Incarnation(0), BookKey(1), 1, RECORDS);
    ledger.begin(partition, 0, RECORDS);
    (0..RECORDS).for_each(|sequence| ledger.settle(partition, sequence, state));
    ledger.close();
    ledger::read(&bytes).expect("a ledger")
}

fn made_up_reading(source: Source) -> LogReading {
    let mut builder = ReadingBuilder::new(PartitionId(0), 0);
    for sequence in 0..RECORDS {
        builder.entry(sequence as i64, Decoded::Copy(Header { sequence, ..Header::default() }));
    }
    let end = RECORDS as i64;
    LogReading { source, partitions: vec![builder.finish(end, end, end)] }
}

/// What a made-up cell left behind.
#[derive(Clone)]
pub struct Evidence {
    /// One for each life of each producer.
    pub ledgers: Vec<Ledger>,
    /// The reader and two replicas.
    pub readings: Vec<LogReading>,
    /// What its consumer group left behind, if it had one.
    pub group: Option<Group>,
    acks: Acks,
}

/// What a made-up group left behind.
#[derive(Clone)]
pub struct Group {
    /// Its settings.
    pub settings: GroupSettings,
    /// One for each life of each member.
    pub journals: Vec<Journal>,
    /// One for each life that commits in transactions.
    pub pipelines: Vec<Transactions>,
    /// What its sink holds.
    pub effects: Option<Effects>,
}

impl Evidence {
    /// Every record acknowledged by all replicas, and in the log once.
    pub fn clean() -> Self {
        Self::of(Acks::All)
    }

    /// Every record answered as these acks demand, and in the log once.
    pub fn of(acks: Acks) -> Self {
        let state = if acks == Acks::Zero { State::Sent } else { State::Acked };
        let sources = [Source::Reader, Source::Segments(BrokerId(1)), Source::Segments(BrokerId(2))];
        let (ledgers, readings) = (vec![made_up_ledger(state)], sources.map(made_up_reading).into());
        Evidence { ledgers, readings, group: None, acks }
    }

    fn cell(&self) -> Cell {
        let mut cell = cell(CELL, self.acks, self.ledgers[0].partitions.len() as u16);
        cell.settings.group = self.group.as_ref().map(|group| group.settings.clone());
        cell
    }

    /// Gives the topic so many partitions; the new ones hold no record.
    pub fn partitions(&mut self, count: u16) {
        for ledger in &mut self.ledgers {
            for partition in ledger.partitions.len() as u16..count {
                let partition = PartitionId(partition);
                ledger.partitions.push(PartitionLedger {
                    partition,
                    first_sequence: 0,
                    next_sequence: 0,
                    runs: Vec::new(),
                });
            }
        }
    }

    /// Changes what every witness saw.
    pub fn everywhere(mut self, change: impl Fn(&mut PartitionReading)) -> Self {
        self.readings.iter_mut().flat_map(|reading| &mut reading.partitions).for_each(change);
        self
    }
}

/// Latencies that fit the ledgers: every report took half a millisecond, of which the last took longer.
pub fn made_up_series(ledgers: &[Ledger]) -> Set {
    let settled = |state: State| -> u64 { ledgers.iter().map(|ledger| ledger.settled[state as usize]).sum() };
    let (mut publish, mut end_to_end) = (Series::new(1), Series::new(1));
    for record in 0..settled(State::Acked) + settled(State::Sent) {
        publish.record(0, 500_000 + record * 1_000);
        end_to_end.record(0, 700_000 + record * 1_000);
    }
    publish.censor_many(0, 90_000_000, settled(State::Unknown));
    publish.censor_many(0, 80_000_000, settled(State::NotPersisted));
    let mut set = Set::default();
    set.insert("publish", publish);
    set.insert("end_to_end", end_to_end);
    set
}

fn statements_of(evidence: &Evidence) -> Statements {
    let unread = evidence.group.as_ref().is_some_and(|group| group.effects.is_none());
    Statements { unread_sink: unread.then(|| "as made up".to_owned()), ..made_up_statements() }
}

fn made_up_statements() -> Statements {
    let at = |at_ns, records| Progress {
        at_ns,
        records,
        acked: records,
        cpu_ns: records * 900,
        ..Progress::default()
    };
    let producer = Done {
        window: Some((at(1_000, 0), at(2_000_001_000, RECORDS))),
        total: Progress { blocked_ns: 7, ..at(2_000_001_000, RECORDS) },
        ended_ns: 2_000_001_000,
        drained: true,
        lateness_p99_ns: Some(2_500_000),
        ..Done::default()
    };
    let reader = Done { drained: true, ended_ns: 2_100_000_000, ..Done::default() };
    Statements { t0_ns: 1_000, producers: vec![producer], reader, ..Statements::default() }
}

fn cell(id: &str, acks: Acks, partitions: u16) -> Cell {
    Cell {
        id: id.into(),
        profile: "made-up".into(),
        label: "acks=all".into(),
        axes: [].into(),
        repeat: 0,
        again: false,
        seed: 1,
        settings: settings(acks, partitions),
        deaths: Vec::new(),
        kills: Vec::new(),
        joins: Vec::new(),
        faults: vec![],
        expect: [("acks0_drop".to_owned(), 0)].into(),
    }
}

/// The manifest of a run that plans these cells, all like the clean one.
pub fn manifest(plan: &[&str]) -> Value {
    manifest_of(plan.iter().map(|id| cell(id, Acks::All, 1)).collect())
}

fn manifest_of(plan: Vec<Cell>) -> Value {
    json!({
        "schema": "1.1", "run": "made-up", "started": "", "ended": "now", "command": [], "revision": "",
        "client": "", "profiles": [], "plan": plan, "skipped": [],
        "cluster": {"provider": "local", "version": "", "brokers": 3, "features": {}, "settings": {},
                    "facts": {}, "start_s": null, "warm": null},
        "host": {"os": "", "cpu": "", "cores": 2, "memory_bytes": 0, "disk": ""},
        "caveats": [], "interrupted": false,
    })
}

/// What `run` would store of this evidence.
pub fn assessed(evidence: &Evidence) -> CellResult {
    let mut result = assess::blank("made-up", &evidence.cell());
    let Evidence { ledgers, readings, group, .. } = evidence;
    let (series, statements) = (&made_up_series(ledgers), &statements_of(evidence));
    let group = group.as_ref();
    let pipelines = group.map_or(&[][..], |group| &group.pipelines);
    let journals = group.map_or(&[][..], |group| &group.journals);
    let effects = group.and_then(|group| group.effects.as_ref());
    let (transactions, statements) = (&[][..], Some(statements));
    let evidence = assess::Evidence {
        ledgers,
        readings,
        output: &[],
        transactions,
        pipelines,
        journals,
        effects,
        series,
        statements,
    };
    assess::assess(&mut result, evidence);
    result
}

/// A run with one cell that claims `stored`, and whose evidence is `evidence`, checksums included.
pub fn write_run(run: &Path, mut stored: CellResult, evidence: &Evidence) {
    let directory = run.join("cells").join(CELL);
    fs::create_dir_all(&directory).expect("directory");
    let mut files = vec![
        ("ledger.jsonl", ledger::to_jsonl(&evidence.ledgers)),
        ("reading.jsonl", reading::to_jsonl(&evidence.readings)),
        ("latency.hlog", made_up_series(&evidence.ledgers).to_text()),
        ("statements.json", statements_of(evidence).to_json()),
    ];
    if let Some(group) = &evidence.group {
        files.push(("processing.jsonl", processing::to_jsonl(&group.journals)));
        files.push(("pipelines.jsonl", transactions::to_jsonl(&group.pipelines)));
        files.extend(group.effects.as_ref().map(|effects| ("effects.jsonl", effects::to_jsonl(effects))));
    }
    for (name, text) in files {
        stored.evidence.insert(name.into(), format!("{:08x}", crc32c::crc32c(text.as_bytes())));
        fs::write(directory.join(name), text).expect("evidence");
    }
    fs::write(directory.join("result.json"), serde_json::to_vec(&stored).expect("plain data"))
        .expect("result");
    fs::write(run.join("manifest.json"), manifest_of(vec![evidence.cell()]).to_string()).expect("manifest");
}

/// What `verify` says of a run: exit code and text.
pub fn verify(run: &Path) -> (i32, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_bench-runner")).arg("verify").arg(run).output().expect("starts");
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().expect("no signal"), text)
}

/// Verifies a run whose evidence was changed (checksums made good again) after the clean one was judged.
#[track_caller]
pub fn differs(evidence: &Evidence, tallies: &[&str]) -> String {
    differs_from(&Evidence::of(evidence.acks), evidence, tallies)
}

/// As [`differs`], with what the evidence was before it was changed.
#[track_caller]
pub fn differs_from(clean: &Evidence, evidence: &Evidence, tallies: &[&str]) -> String {
    let run = tempfile::tempdir().expect("directory");
    let clean = CellResult { cell: evidence.cell(), ..assessed(clean) };
    write_run(run.path(), clean, evidence);
    let (code, text) = verify(run.path());
    assert_eq!(code, 1, "{text}");
    let kinds = TallyKind::ALL.map(TallyKind::as_str);
    let line = |line: &&str| kinds.iter().any(|kind| line.contains(&format!("{kind}: ")));
    let mut found: Vec<String> = Vec::new();
    for line in text.lines().filter(line) {
        let words: Vec<&str> = line.split_whitespace().collect();
        // Other claims may speak of tallies as well, in quotes.
        let Some(at) = words.iter().position(|word| kinds.contains(&word.trim_end_matches(':'))) else {
            continue;
        };
        // A tally whose count is the same differs in its denominator: shown by its debug form.
        if !words[at + 2].starts_with("Tally") {
            found.push(words[at..].join(" "));
        }
    }
    assert_eq!(found, tallies, "{text}");
    // Nothing but the evidence decides: stored with its own verdict, the changed evidence agrees.
    agrees(evidence);
    text
}

/// Stored with its own verdict, this evidence agrees with it.
#[track_caller]
pub fn agrees(evidence: &Evidence) {
    let run = tempfile::tempdir().expect("directory");
    write_run(run.path(), assessed(evidence), evidence);
    let (code, text) = verify(run.path());
    assert_eq!(code, 0, "{text}");
}
