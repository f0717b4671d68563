//! Consumer groups through the real binary on a real local cluster: members die where their recipes say, and exactly what
//! arithmetic predicts is lost or processed again. Needs Java 17 (and Maven once).

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn bench_runner(arguments: &[&str], place: &Path) -> Output {
    let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles/recipes");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-runner"));
    command.args(arguments).current_dir(profiles).env("BENCH_RUNNER_STATE", place.join("state"));
    let output = command.output().expect("the binary runs");
    eprintln!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn members_that_die_at_a_record_lose_and_repeat_what_arithmetic_says_and_verify_agrees() {
    let place = tempfile::tempdir().expect("a directory");
    let results = place.path().join("results");
    let results = results.to_str().expect("a path");
    let run = ["run", "c1.toml", "c2.toml", "c3.toml", "c7.toml", "--set", "c1:cluster.warm=0s"];
    let cold = ["--set", "c2:cluster.warm=0s", "--set", "c3:cluster.warm=0s", "--set", "c7:cluster.warm=0s"];
    let summary = place.path().join("summary.json");
    let last = ["--results", results, "--summary", summary.to_str().expect("a path")];
    let output = bench_runner(&[&run[..], &cold, &last].concat(), place.path());
    let told: Value =
        serde_json::from_slice(&std::fs::read(&summary).expect("a summary")).expect("a document");
    let cells = told["cells"].as_array().expect("cells");
    assert!(!cells.is_empty());
    for cell in cells {
        let why = format!("{}: {} {}", cell["id"], cell["reason"], cell["expectation_detail"]);
        assert_eq!(cell["outcome"], "finished", "{why}");
        assert_eq!(cell["expectation"], "met", "{why}");
    }
    let counts = |tally: &str| -> Vec<u64> {
        let count = |cell: &Value| cell["verdict"]["tallies"][tally]["count"].as_u64().expect("a count");
        cells.iter().map(count).collect()
    };
    assert!(counts("processing_loss").iter().any(|lost| *lost > 0), "a control that loses");
    assert!(counts("redelivery").iter().any(|again| *again > 0), "a control that repeats");
    assert_eq!(output.status.code(), Some(0));
    let run = told["run"].as_str().expect("a run");
    let verify = bench_runner(&["verify", &format!("{results}/{run}")], place.path());
    assert_eq!(verify.status.code(), Some(0), "stored evidence gives the stored verdicts");
}
