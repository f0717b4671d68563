//! Workers that stand still, join late, die and are killed, through the real binary on a real local cluster: exactly what
//! arithmetic predicts comes again, and whatever the instant of a kill, books balance and promises hold. Needs Java 17
//! (and Maven once).

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn bench_runner(arguments: &[&str], place: &Path) -> Output {
    let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-runner"));
    command.args(arguments).current_dir(profiles).env("BENCH_RUNNER_STATE", place.join("state"));
    let output = command.output().expect("the binary runs");
    eprintln!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    output
}

/// Runs it, expects every cell to be finished and as expected and `verify` to agree; the summary's cells, and the results of
/// the cells with what was stated beside them.
fn fine(arguments: &[&str]) -> (Vec<Value>, Vec<Value>) {
    let place = tempfile::tempdir().expect("a directory");
    let results = place.path().join("results");
    let results = results.to_str().expect("a path");
    let summary = place.path().join("summary.json");
    let last = ["--results", results, "--summary", summary.to_str().expect("a path")];
    let output = bench_runner(&[&["run"], arguments, &last].concat(), place.path());
    let told: Value =
        serde_json::from_slice(&std::fs::read(&summary).expect("a summary")).expect("a document");
    let cells = told["cells"].as_array().expect("cells").clone();
    assert!(!cells.is_empty());
    for cell in &cells {
        let why = format!("{}: {} {}", cell["id"], cell["reason"], cell["expectation_detail"]);
        assert_eq!(cell["outcome"], "finished", "{why}");
        assert_eq!(cell["expectation"], "met", "{why}");
        assert_ne!(cell["promise"], "violated", "{why}");
    }
    assert_eq!(output.status.code(), Some(0));
    let run = format!("{results}/{}", told["run"].as_str().expect("a run"));
    let verify = bench_runner(&["verify", &run], place.path());
    assert_eq!(verify.status.code(), Some(0), "stored evidence gives the stored verdicts");
    let stated = cells.iter().map(|cell| {
        let path = format!("{run}/cells/{}/statements.json", cell["id"].as_str().expect("an id"));
        serde_json::from_slice(&std::fs::read(path).expect("statements")).expect("a document")
    });
    let stated = stated.collect();
    (cells, stated)
}

fn count(cell: &Value, tally: &str) -> u64 {
    cell["verdict"]["tallies"][tally]["count"].as_u64().expect("a count")
}

#[test]
fn a_zombie_a_newcomer_and_a_restarted_producer_repeat_what_arithmetic_says() {
    let cold = ["c5", "c6", "d3"].map(|name| format!("{name}:cluster.warm=0s"));
    let [c5, c6, d3] = &cold;
    let (cells, stated) = fine(&[
        "recipes/c5.toml",
        "recipes/c6.toml",
        "recipes/d3.toml",
        "--set",
        c5,
        "--set",
        c6,
        "--set",
        d3,
    ]);
    assert!(cells.iter().any(|cell| count(cell, "redelivery") == 100), "the zombie's batch");
    assert!(cells.iter().any(|cell| count(cell, "duplicate_cross_attempt") == 100), "sent again");
    let continued = |stated: &Value| stated["deaths"][0]["continued_ns"].is_u64();
    assert_eq!(stated.iter().filter(|stated| continued(stated)).count(), 3);
}

#[test]
fn ten_kills_at_random_instants_leave_balanced_books_and_kept_promises() {
    let (cells, stated) = fine(&["kill-workers.toml", "--only", "commit=sync-after"]);
    assert_eq!(cells.len(), 1);
    let kills = stated[0]["kills"].as_array().expect("kills");
    assert_eq!(kills.len(), 10);
    assert!(kills.iter().all(|kill| kill["as_planned"] == true && kill["exit"] == "signal: 9 (SIGKILL)"));
    assert_eq!((count(&cells[0], "log_loss"), count(&cells[0], "processing_loss")), (0, 0));
}
