//! Recipes through the real binary: every cell is finished and as expected, and `verify` agrees. Needs Java 17 (and Maven once).
#![allow(dead_code, reason = "each test program uses a part of it")]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

#[path = "../ending/mod.rs"]
mod ending;

fn bench_runner(arguments: &[&str], place: &Path) -> Output {
    let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-runner"));
    command.args(arguments).current_dir(profiles).env("BENCH_RUNNER_STATE", place.join("state"));
    let output = command.output().expect("the binary runs");
    eprintln!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    output
}

/// Runs it, expects every cell to be finished (where the topic was deleted: inconclusive) and as expected and `verify` to agree;
/// the summary's cells, and the results of the cells with what was stated beside them.
pub fn fine(arguments: &[&str]) -> (Vec<Value>, Vec<Value>) {
    let (output, cells, stated) = ran(arguments);
    for cell in &cells {
        is_as_expected(cell);
    }
    // A violation that no cell expects would end it with 10.
    ending::holds(&output);
    (cells, stated)
}

/// A cell is finished (where the topic was deleted: inconclusive), and what it was to show was observed exactly.
pub fn is_as_expected(cell: &Value) {
    let why = format!("{}: {} {}", cell["id"], cell["reason"], cell["expectation_detail"]);
    let steps = cell["faults"].as_array().map_or(&[][..], Vec::as_slice);
    let is_deleted = steps.iter().any(|step| step["step"]["action"] == "delete");
    assert_eq!(cell["outcome"], if is_deleted { "inconclusive" } else { "finished" }, "{why}");
    assert_eq!(cell["expectation"], "met", "{why}");
}

/// Runs it, and expects `verify` to agree; how it ended, the summary's cells, and what was stated beside each.
pub fn ran(arguments: &[&str]) -> (Output, Vec<Value>, Vec<Value>) {
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
    let run = format!("{results}/{}", told["run"].as_str().expect("a run"));
    let verify = bench_runner(&["verify", &run], place.path());
    assert_eq!(verify.status.code(), Some(0), "stored evidence gives the stored verdicts");
    let stated = cells.iter().map(|cell| {
        let path = format!("{run}/cells/{}/statements.json", cell["id"].as_str().expect("an id"));
        serde_json::from_slice(&std::fs::read(path).expect("statements")).expect("a document")
    });
    let stated = stated.collect();
    (output, cells, stated)
}

/// A tally of a cell.
pub fn count(cell: &Value, tally: &str) -> u64 {
    cell["verdict"]["tallies"][tally]["count"].as_u64().expect("a count")
}

/// The recipes in which it is members and producers that die, stand still, join or come twice; in all others it is brokers and answers.
pub fn is_of_clients(recipe: &str) -> bool {
    recipe.starts_with('c') || ["t1", "t2", "t3"].contains(&recipe)
}

/// What a set of recipes showed on one cluster: the summary's cells, and the results of each with what was stated beside it.
pub struct Set {
    pub cells: Vec<Value>,
    stated: Vec<Value>,
}

impl Set {
    /// Runs those of the recipes that ship whose names are chosen; each has a cell, and each step of a fault is proven.
    pub fn run(is_chosen: impl Fn(&str) -> bool) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles/recipes");
        let files = std::fs::read_dir(folder).expect("recipes").map(|entry| entry.expect("a file").path());
        let stems = files.map(|file| file.file_stem().expect("a name").to_string_lossy().into_owned());
        let mut names: Vec<String> = stems.filter(|name| is_chosen(name)).collect();
        names.sort();
        let profiles: Vec<String> = names.iter().map(|name| format!("recipes/{name}.toml")).collect();
        let mut arguments: Vec<&str> = profiles.iter().map(String::as_str).collect();
        arguments.extend(["--set", "cluster.warm=0s"]);
        let began = Instant::now();
        let (cells, stated) = fine(&arguments);
        eprintln!("{} cells of {} recipes took {:.0?}", cells.len(), names.len(), began.elapsed());
        let set = Set { cells, stated };
        names.retain(|name| set.of(name).is_empty());
        assert_eq!(names, [""; 0], "recipes without a cell");
        for cell in &set.cells {
            let steps = cell["faults"].as_array().map_or(&[][..], Vec::as_slice);
            let is_proven = |step: &Value| step["proof"].as_array().is_some_and(|proof| !proof.is_empty());
            assert!(steps.iter().all(is_proven), "{}", cell["id"]);
        }
        set
    }

    /// The cells of a recipe, each with what was stated beside it.
    pub fn of(&self, profile: &str) -> Vec<(&Value, &Value)> {
        let cells = self.cells.iter().zip(&self.stated).filter(|(cell, _)| cell["profile"] == profile);
        cells.collect()
    }

    /// The cells of a recipe that show so much.
    pub fn with(&self, profile: &str, tally: &str, expected: u64) -> Vec<&Value> {
        let cells = self.of(profile).into_iter().map(|(cell, _)| cell);
        cells.filter(|cell| count(cell, tally) == expected).collect()
    }

    /// The one cell of a recipe with this label.
    pub fn labelled(&self, profile: &str, label: &str) -> &Value {
        let mut cells = self.of(profile).into_iter().map(|(cell, _)| cell);
        cells.find(|cell| cell["label"] == label).expect(label)
    }
}
