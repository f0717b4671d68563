//! `verify` through the real binary, on a run that this test makes up: what is stored agrees, and each mutation of the
//! evidence is found as exactly the predicted difference.

use bench_model::fault::FaultRecord;
use bench_model::ids::{BookKey, BrokerId, Incarnation, PartitionId, ProducerId};
use bench_model::ledger::{self, Ledger, LedgerMut, State, file_bytes};
use bench_model::message::{Decoded, Header};
use bench_model::plan::Cell;
use bench_model::reading::{self, CopyRun, LogReading, PartitionReading, ReadingBuilder, Source};
use bench_model::settings::{Acks, Arrival, CellSettings, Length, Load, ProducerSettings, TopicSettings};
use bench_model::verdict::{self, Verdict};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

const RECORDS: u64 = 1000;
const CELL: &str = "made-up.acks-all.r0";

fn settings() -> CellSettings {
    let producer = ProducerSettings {
        acks: Acks::All,
        retries: 3,
        idempotence: true,
        linger_ns: 0,
        batch_bytes: 1000,
        compression: "none".into(),
        max_in_flight: 5,
        queue_records: 1000,
        queue_bytes: 1 << 20,
        request_timeout_ns: 1,
        delivery_timeout_ns: 1,
        extra: [].into(),
    };
    let topic =
        TopicSettings { partitions: 1, replication_factor: 2, min_insync_replicas: 2, extra: [].into() };
    let load = Load {
        arrival: Arrival::Max,
        record_bytes: 48,
        warmup_ns: 0,
        length: Length::Records(RECORDS),
        producers: 1,
        compressible_percent: 0,
        drain_ns: 0,
    };
    CellSettings { producer, topic, load }
}

fn made_up_ledger() -> Ledger {
    let partition = PartitionId(0);
    let mut bytes = vec![0; file_bytes(1, RECORDS)];
    let mut ledger = LedgerMut::create(&mut bytes, ProducerId(0), Incarnation(0), BookKey(1), 1, RECORDS);
    ledger.begin(partition, 0, RECORDS);
    (0..RECORDS).for_each(|sequence| ledger.settle(partition, sequence, State::Acked));
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

struct Evidence {
    ledgers: Vec<Ledger>,
    readings: Vec<LogReading>,
}

impl Evidence {
    fn clean() -> Self {
        let sources = [Source::Reader, Source::Segments(BrokerId(1)), Source::Segments(BrokerId(2))];
        Evidence { ledgers: vec![made_up_ledger()], readings: sources.map(made_up_reading).into() }
    }

    fn judge(&self) -> Verdict {
        let faults: &[FaultRecord] = &[];
        verdict::judge(&settings(), faults, &self.ledgers, &self.readings, Ok(()))
    }

    /// Changes what every witness saw.
    fn everywhere(mut self, change: impl Fn(&mut PartitionReading)) -> Self {
        self.readings.iter_mut().flat_map(|reading| &mut reading.partitions).for_each(change);
        self
    }
}

/// A run with one cell whose stored verdict is `stored`, and whose evidence is `evidence`, checksums included.
fn write_run(run: &Path, stored: &Verdict, evidence: &Evidence) {
    let directory = run.join("cells").join(CELL);
    fs::create_dir_all(&directory).expect("directory");
    let mut sums = serde_json::Map::new();
    let files = [
        ("ledger.jsonl", ledger::to_jsonl(&evidence.ledgers)),
        ("reading.jsonl", reading::to_jsonl(&evidence.readings)),
    ];
    for (name, text) in files {
        sums.insert(name.into(), format!("{:08x}", crc32c::crc32c(text.as_bytes())).into());
        fs::write(directory.join(name), text).expect("evidence");
    }
    let cell = Cell {
        id: CELL.into(),
        profile: "made-up".into(),
        label: "acks=all".into(),
        axes: [].into(),
        repeat: 0,
        again: false,
        seed: 1,
        settings: settings(),
        faults: vec![],
        expect: [].into(),
    };
    let result = json!({
        "schema": "1.0", "run": "made-up", "cell": cell, "outcome": "finished", "reason": null,
        "expectation": "none", "expectation_detail": [], "verdict": stored, "faults": [], "latencies": {},
        "throughput_per_s": 0.0, "asked_per_s": null, "window_ns": 0, "window_records": 0, "blocked_ns": 0,
        "cost": {"client_cpu_ns_per_record": null, "broker_cpu_ns_per_record": null,
                 "disk_bytes_per_record": null, "network_bytes_per_record": null},
        "seconds": [], "caveats": [], "client_settings": {}, "topic_settings": {}, "errors": [],
        "stages_ns": {}, "evidence": Value::Object(sums),
    });
    fs::write(directory.join("result.json"), result.to_string()).expect("result");
    let manifest = json!({
        "schema": "1.0", "run": "made-up", "started": "", "ended": "", "command": [], "revision": "",
        "client": "", "profiles": [], "plan": [cell], "skipped": [],
        "cluster": {"provider": "local", "version": "", "brokers": 3, "features": {}, "settings": {},
                    "facts": {}, "start_s": null, "warm": null},
        "host": {"os": "", "cpu": "", "cores": 2, "memory_bytes": 0, "disk": ""},
        "caveats": [], "interrupted": false,
    });
    fs::write(run.join("manifest.json"), manifest.to_string()).expect("manifest");
}

fn verify(run: &Path) -> (i32, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_bench-runner")).arg("verify").arg(run).output().expect("starts");
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().expect("no signal"), text)
}

/// Verifies a run whose evidence was changed (checksums made good again) after the clean one was judged.
#[track_caller]
fn differs(evidence: &Evidence, tallies: &[&str]) -> String {
    let run = tempfile::tempdir().expect("directory");
    write_run(run.path(), &Evidence::clean().judge(), evidence);
    let (code, text) = verify(run.path());
    assert_eq!(code, 1, "{text}");
    let kinds = verdict::TallyKind::ALL.map(verdict::TallyKind::as_str);
    let line = |line: &&str| kinds.iter().any(|kind| line.contains(&format!("{kind}: ")));
    let mut found: Vec<String> = Vec::new();
    for line in text.lines().filter(line) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| kinds.contains(&word.trim_end_matches(':'))).expect("a tally");
        // A tally whose count is the same differs in its denominator: shown by its debug form.
        if !words[at + 2].starts_with("Tally") {
            found.push(words[at..].join(" "));
        }
    }
    assert_eq!(found, tallies, "{text}");
    // Nothing but the evidence decides: stored with its own verdict, the changed evidence agrees.
    write_run(run.path(), &evidence.judge(), evidence);
    assert_eq!(verify(run.path()).0, 0, "{}", verify(run.path()).1);
    text
}

fn runs(part: &mut PartitionReading, pieces: &[(u64, u64)]) {
    let run = part.runs[0];
    let mut offset = 0;
    part.runs.clear();
    for &(sequence, count) in pieces {
        part.runs.push(CopyRun { offset, sequence, count, ..run });
        offset += count as i64;
    }
    (part.end, part.last_stable, part.reached) = (offset, offset, offset);
}

#[test]
fn stored_evidence_agrees_with_its_verdict() {
    let run = tempfile::tempdir().expect("directory");
    let evidence = Evidence::clean();
    write_run(run.path(), &evidence.judge(), &evidence);
    let (code, text) = verify(run.path());
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("agrees") && text.contains("1000 records, 1000 copies"), "{text}");
    assert!(text.contains("1 of 1 cells agree"), "{text}");
}

#[test]
fn a_changed_byte_and_a_torn_tail_are_found_by_their_checksums() {
    let run = tempfile::tempdir().expect("directory");
    let evidence = Evidence::clean();
    for cut in [false, true] {
        write_run(run.path(), &evidence.judge(), &evidence);
        let path = run.path().join("cells").join(CELL).join("reading.jsonl");
        let text = fs::read_to_string(&path).expect("evidence");
        let changed = if cut { text[..text.len() - 9].to_owned() } else { text.replace("1000", "1001") };
        fs::write(&path, changed).expect("evidence");
        let (code, text) = verify(run.path());
        assert_eq!(code, 1, "{text}");
        assert!(text.contains("reading.jsonl: not the file that was stored"), "{text}");
        assert!(text.contains(if cut { "torn" } else { "changed" }), "{text}");
    }
}

#[test]
fn one_copy_deleted_is_one_lost() {
    let evidence = Evidence::clean().everywhere(|part| runs(part, &[(0, 500), (501, 499)]));
    differs(&evidence, &["log_loss: stored 0, judged 1"]);
}

#[test]
fn the_tail_deleted_is_lost() {
    let evidence = Evidence::clean().everywhere(|part| runs(part, &[(0, 900)]));
    differs(&evidence, &["log_loss: stored 0, judged 100"]);
}

#[test]
fn everything_deleted_is_inconclusive_unless_the_end_offset_is_0() {
    differs(&Evidence::clean().everywhere(|part| runs(part, &[])), &["log_loss: stored 0, judged 1000"]);
    let unread = Evidence::clean().everywhere(|part| {
        part.runs.clear();
        part.reached = 0;
    });
    let text = differs(&unread, &["log_loss: stored 0, judged 1000", "offset_gap: stored 0, judged 1000"]);
    assert!(text.contains("read to offset 0 of 1000"), "{text}");
}

#[test]
fn copies_twice_and_three_times_are_one_and_two_duplicates() {
    let twice = Evidence::clean().everywhere(|part| runs(part, &[(0, 1000), (7, 1)]));
    differs(&twice, &["duplicate_same_attempt: stored 0, judged 1"]);
    let thrice = Evidence::clean().everywhere(|part| runs(part, &[(0, 1000), (7, 1), (7, 1)]));
    differs(&thrice, &["duplicate_same_attempt: stored 0, judged 2"]);
}

#[test]
fn a_swap_of_i_and_j_makes_j_less_i_late() {
    let swapped =
        Evidence::clean().everywhere(|part| runs(part, &[(0, 10), (30, 1), (11, 19), (10, 1), (31, 969)]));
    differs(&swapped, &["reorder: stored 0, judged 20"]);
}

#[test]
fn other_classes_move_their_records_to_other_tallies() {
    for (state, expected) in [
        (State::Unknown, "unknown_present: stored 0, judged 1000"),
        (State::NotPersisted, "phantom: stored 0, judged 1000"),
    ] {
        let mut evidence = Evidence::clean();
        evidence.ledgers[0].partitions[0].runs[0].state = state;
        evidence.ledgers[0].settled = [0; 7];
        evidence.ledgers[0].settled[state as usize] = RECORDS;
        differs(&evidence, &[expected]);
    }
}

#[test]
fn errors_of_book_keeping_break_an_identity() {
    let mut counter = Evidence::clean();
    counter.ledgers[0].settled[State::Acked as usize] -= 1;
    assert!(differs(&counter, &[]).contains("I11"));
    let mut replica = Evidence::clean();
    runs(&mut replica.readings[2].partitions[0], &[(0, 999)]);
    assert!(differs(&replica, &[]).contains("I12"));
    let mut skipped = Evidence::clean();
    skipped.readings[0].partitions[0].runs[0].count -= 1;
    assert!(differs(&skipped, &["log_loss: stored 0, judged 1"]).contains("I2"));
}

#[test]
fn what_is_no_run_is_refused() {
    let (code, text) = verify(Path::new("/nonexistent"));
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("is no run"), "{text}");
}
