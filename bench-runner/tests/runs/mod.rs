//! Runs of the real binary, and the cells that they stored.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A file of this package.
pub fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// `run` of these profiles into a directory that is its own.
pub fn run(place: &Path, profiles: &[&str], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-runner"));
    command.arg("run").args(profiles.iter().map(|profile| path(profile))).args(arguments);
    command.arg("--results").arg(place).env("BENCH_RUNNER_STATE", place.join("state"));
    command
}

/// How it ended; what it said is told.
pub fn code(output: &Output) -> Option<i32> {
    eprintln!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    output.status.code()
}

/// All stored cells of all runs below a directory.
pub fn cells(place: &Path) -> Vec<Value> {
    let mut cells = Vec::new();
    for run in std::fs::read_dir(place).expect("results").map(|entry| entry.expect("entry").path()) {
        let Ok(stored) = std::fs::read_dir(run.join("cells")) else { continue };
        for cell in
            stored.map(|entry| entry.expect("entry").path()).filter(|cell| cell.join("result.json").exists())
        {
            let text = std::fs::read_to_string(cell.join("result.json")).expect("readable");
            cells.push(serde_json::from_str(&text).expect("JSON"));
        }
    }
    cells
}

/// The manifests of all runs below a directory.
#[allow(dead_code, reason = "not every test looks at them")]
pub fn manifests(place: &Path) -> Vec<Value> {
    let runs = std::fs::read_dir(place).expect("results").map(|entry| entry.expect("entry").path());
    let texts = runs.filter_map(|run| std::fs::read_to_string(run.join("manifest.json")).ok());
    texts.map(|text| serde_json::from_str(&text).expect("JSON")).collect()
}

/// Whether a stored document carries a caveat of this kind.
pub fn has_caveat(cell: &Value, kind: &str) -> bool {
    cell["caveats"].as_array().expect("caveats").iter().any(|caveat| caveat["kind"] == kind)
}
