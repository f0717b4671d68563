//! `verify` through the real binary, on a run that this test makes up: what is stored agrees, and each mutation of the
//! evidence is found as exactly the predicted difference.

mod held;
mod made_up;

use bench_model::ledger::State;
use bench_model::reading::{CopyRun, PartitionReading};
use held::unfolded;
use made_up::{CELL, Evidence, RECORDS, assessed, differs, made_up_series, manifest, verify, write_run};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

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
    write_run(run.path(), assessed(&evidence), &evidence);
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
        write_run(run.path(), assessed(&evidence), &evidence);
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
    // Counts of what was not read would be no finding.
    let text = differs(&unread, &[]);
    assert!(text.contains("read to offset 0 of 1000"), "{text}");
    let stored = serde_json::to_string(&assessed(&unread)).expect("plain data");
    assert!(stored.contains("\"promise\":\"unjudged\"") && !stored.contains("violation"), "{stored}");
    assert!(stored.contains("acks0_drop: expected 0, not judged"), "{stored}");
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

/// Changes one file of a good run and verifies it: the first line that names what is wrong, with exit code 1.
#[track_caller]
fn found(change: impl Fn(&Path)) -> String {
    let run = tempfile::tempdir().expect("directory");
    let evidence = Evidence::clean();
    write_run(run.path(), assessed(&evidence), &evidence);
    assert_eq!(verify(run.path()).0, 0, "{}", verify(run.path()).1);
    change(run.path());
    let (code, text) = verify(run.path());
    assert_eq!(code, 1, "{text}");
    text
}

fn edit(path: &Path, change: impl Fn(&mut Value)) {
    let mut document = serde_json::from_slice(&fs::read(path).expect("a document")).expect("JSON");
    change(&mut document);
    fs::write(path, document.to_string()).expect("a document");
}

/// Changes one claim of the result: exactly one line may name it.
#[track_caller]
fn claim(pointer: &str, value: Value, line: &str) {
    let text = found(|run| {
        edit(&run.join("cells").join(CELL).join("result.json"), |result| {
            *result.pointer_mut(pointer).expect(pointer) = value.clone();
        });
    });
    assert!(text.contains(line), "{text}");
    assert_eq!(text.matches(": stored ").count(), 1, "{text}");
}

#[test]
fn every_changed_claim_is_named() {
    claim("/latencies/publish/percentiles/99", json!({"exactly": 1}), "latencies.publish.percentiles.99");
    claim(
        "/latencies/publish/percentiles/50",
        json!({"exactly": 999_424}),
        "latencies.publish.percentiles.50",
    );
    claim("/latencies/end_to_end/count", json!(999), "latencies.end_to_end.count: stored 999, judged 1000");
    claim("/latencies/publish/censored", json!(1), "latencies.publish.censored: stored 1, judged 0");
    claim("/outcome", json!("inconclusive"), "outcome: stored \"inconclusive\", judged \"finished\"");
    claim("/reason", json!("why not"), "reason: stored \"why not\", judged null");
    claim("/expectation", json!("unmet"), "expectation: stored \"unmet\", judged \"met\"");
    claim("/expectation_detail/0", json!("acks0_drop: 5"), "expectation_detail[0]");
    claim("/verdict/promise", json!("violated"), "promise: stored Violated, judged Kept");
    claim("/verdict/tallies/log_loss/count", json!(3), "log_loss: stored 3, judged 0");
    claim("/throughput_per_s", json!(501.0), "throughput_per_s: stored 501.0, judged 500.0");
    claim("/asked_per_s", json!(1.0), "asked_per_s: stored 1.0, judged 500.0");
    claim("/window_ns", json!(1), "window_ns: stored 1, judged 2000000000");
    claim("/window_records", json!(1), "window_records: stored 1, judged 1000");
    claim("/blocked_ns", json!(8), "blocked_ns: stored 8, judged 7");
    claim("/cost/client_cpu_ns_per_record", json!(1.0), "cost.client_cpu_ns_per_record: stored 1.0");
    claim("/seconds/0/acked", json!(5), "seconds[0].acked: stored 5, judged 1000");
    claim("/caveats/0/what", json!("nothing"), "caveats[0].what: stored \"nothing\"");
    claim("/caveats", json!([]), "caveats: stored []");
}

#[test]
fn a_cell_may_not_claim_anything_without_evidence() {
    let text = found(|run| {
        let directory = run.join("cells").join(CELL);
        for name in ["ledger.jsonl", "reading.jsonl", "latency.hlog", "statements.json"] {
            fs::remove_file(directory.join(name)).expect("evidence");
        }
        edit(&directory.join("result.json"), |result| {
            result["verdict"] = Value::Null;
            result["evidence"] = json!({});
        });
    });
    assert!(text.contains("outcome: stored \"finished\", without evidence for it"), "{text}");
    assert!(text.contains("expectation: stored \"met\", judged \"unmet\""), "{text}");
    assert!(text.contains("latencies.publish: stored {") && text.contains("judged null"), "{text}");
}

#[test]
fn evidence_that_is_torn_or_gone_is_named_even_if_its_checksum_is_good() {
    for (name, torn) in [
        ("latency.hlog", "latency.hlog: "),
        ("statements.json", "statements.json: no statements of workers: EOF"),
        ("ledger.jsonl", "ledger.jsonl: "),
        ("reading.jsonl", "reading.jsonl: "),
    ] {
        for cut in [false, true] {
            let text = found(|run| {
                let directory = run.join("cells").join(CELL);
                let path = directory.join(name);
                let text = fs::read_to_string(&path).expect("evidence");
                fs::remove_file(&path).expect("evidence");
                edit(&directory.join("result.json"), |result| {
                    drop(result["evidence"].as_object_mut().expect("sums").remove(name))
                });
                if cut {
                    let text = &text[..text.len() * 2 / 3];
                    fs::write(&path, text).expect("evidence");
                    let sum = format!("{:08x}", crc32c::crc32c(text.as_bytes()));
                    edit(&directory.join("result.json"), |result| {
                        result["evidence"][name] = sum.clone().into()
                    });
                }
            });
            let expected = if cut { torn.to_owned() } else { format!("{name}: No such file") };
            assert!(text.contains(&expected), "{name}: {text}");
            assert!(!text.contains("not the file that was stored"), "{name}: {text}");
        }
    }
}

#[test]
fn latencies_and_ledger_must_count_the_same_reports() {
    let text = found(|run| {
        let mut one_more = Evidence::clean();
        one_more.ledgers[0].settled[State::Acked as usize] += 1;
        let directory = run.join("cells").join(CELL);
        let text = made_up_series(&one_more.ledgers).to_text();
        fs::write(directory.join("latency.hlog"), &text).expect("evidence");
        let sum = format!("{:08x}", crc32c::crc32c(text.as_bytes()));
        edit(&directory.join("result.json"), |result| {
            result["evidence"]["latency.hlog"] = sum.clone().into()
        });
    });
    assert!(text.contains("latency.hlog: 1001 publish latencies ended, the ledgers count 1000"), "{text}");
}

#[test]
fn cells_that_are_missing_unplanned_or_half_built_are_named() {
    let cells = |run: &Path| run.join("cells");
    let gone = found(|run| fs::remove_dir_all(cells(run).join(CELL)).expect("a cell"));
    assert!(gone.contains(CELL) && gone.contains("planned and not stored"), "{gone}");
    let renamed = found(|run| fs::rename(cells(run).join(CELL), cells(run).join("other")).expect("a cell"));
    assert!(renamed.contains(&format!("result.json is of cell {CELL}")), "{renamed}");
    let unplanned =
        found(|run| fs::write(run.join("manifest.json"), manifest(&[]).to_string()).expect("plan"));
    assert!(unplanned.contains("manifest.json plans no such cell"), "{unplanned}");
    let half = found(|run| fs::create_dir(cells(run).join(".made-up.x")).expect("a directory"));
    assert!(half.contains(".made-up.x") && half.contains("half a cell"), "{half}");
    let other_seed =
        found(|run| edit(&run.join("manifest.json"), |manifest| manifest["plan"][0]["seed"] = json!(2)));
    assert!(other_seed.contains("not the one that manifest.json plans"), "{other_seed}");
    let no_result =
        found(|run| fs::remove_file(cells(run).join(CELL).join("result.json")).expect("a result"));
    assert!(no_result.contains("result.json"), "{no_result}");
}

#[test]
fn only_the_end_of_a_plan_may_be_missing_and_only_after_an_interrupt() {
    let with = |plan: &[&str], interrupted: bool, ended: &str| {
        let run = tempfile::tempdir().expect("directory");
        write_run(run.path(), assessed(&Evidence::clean()), &Evidence::clean());
        let mut manifest = manifest(plan);
        manifest["interrupted"] = json!(interrupted);
        manifest["ended"] = json!(ended);
        fs::write(run.path().join("manifest.json"), manifest.to_string()).expect("manifest");
        verify(run.path())
    };
    let (code, text) = with(&[CELL, "made-up.b.r0"], true, "now");
    assert!(code == 0 && text.contains("not run  the run was interrupted before it"), "{text}");
    assert!(text.contains("1 of 1 cells agree, 2 were planned"), "{text}");
    let (code, text) = with(&["made-up.b.r0", CELL], true, "now");
    assert!(code == 1 && text.contains("missing  planned and not stored"), "{text}");
    let (code, text) = with(&[CELL, "made-up.b.r0"], false, "now");
    assert!(code == 1 && text.contains("missing  planned and not stored"), "{text}");
    let (code, text) = with(&[CELL, "made-up.b.r0"], false, "");
    assert!(code == 1 && text.contains("missing  the run never ended"), "{text}");
}

#[test]
fn what_is_no_run_is_refused() {
    let refused = |run: &Path| {
        let (code, text) = verify(run);
        assert_eq!(code, 2, "{text}");
        unfolded(&text)
    };
    let text = refused(Path::new("/nonexistent"));
    assert!(text.contains("/nonexistent does not exist") && text.contains("help: give"), "{text}");
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let text = refused(&stored);
    assert!(text.contains("is no run: it has no") && text.contains("its latest run is"), "{text}");
    let text = refused(&stored.join("cli_verify.rs"));
    assert!(text.contains("it is a file"), "{text}");
}

#[test]
fn what_is_said_of_a_path_is_found_however_long_the_path_is() {
    let place = tempfile::tempdir().expect("directory");
    for length in 1..80 {
        let path = place.path().join("x".repeat(length));
        fs::write(&path, "").expect("a file");
        let (code, text) = verify(&path);
        assert!(code == 2 && unfolded(&text).contains("it is a file"), "{text}");
    }
}
