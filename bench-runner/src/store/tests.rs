//! Whole or not at all; versions; old runs.

use super::*;
use std::path::Path;

/// The oldest stored run that must stay readable, as it was written by schema 1.0.
fn old_run() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stored-1.0")
}

fn a_result() -> CellResult {
    load(&old_run()).expect("a stored run").cells.remove(0).result
}

#[test]
fn a_run_stored_by_the_first_schema_still_loads() {
    let run = load(&old_run()).expect("an old run is readable for ever");
    assert_eq!(run.manifest.schema, "1.0");
    let ids: Vec<&str> = run.cells.iter().map(|cell| cell.result.cell.id.as_str()).collect();
    assert_eq!(ids, ["quickstart.acks-1.r0", "l1.acks-1.r0"], "in the order of the plan");
    assert_eq!(run.cells[1].altered_evidence().expect("readable"), Vec::<String>::new());
}

#[test]
fn a_cell_is_stored_whole_or_not_at_all() {
    let results = tempfile::tempdir().expect("a temporary directory");
    let run = RunDir::create(results.path(), "run").expect("a new run");
    run.write_manifest(&load(&old_run()).expect("a stored run").manifest).expect("a manifest");
    let ids = || -> Vec<String> {
        load(run.path()).expect("a run").cells.into_iter().map(|cell| cell.result.cell.id).collect()
    };

    let aside = run.cell_aside("cell").expect("a new cell");
    fs::create_dir(aside.path().join("logs")).expect("a directory");
    fs::write(aside.path().join("logs/broker.log"), "text").expect("evidence");
    assert_eq!(ids(), Vec::<String>::new(), "not there while it is written");
    drop(aside);
    assert_eq!(fs::read_dir(run.path().join(CELLS)).expect("cells").count(), 0, "gone when it is given up");

    let aside = run.cell_aside("cell").expect("a new cell");
    fs::create_dir(aside.path().join("logs")).expect("a directory");
    fs::write(aside.path().join("logs/broker.log"), "text").expect("evidence");
    let mut result = a_result();
    aside.commit(&mut result).expect("room for a cell");
    assert_eq!(ids(), [result.cell.id.clone()]);
    assert_eq!(result.evidence.keys().collect::<Vec<_>>(), ["logs/broker.log"]);

    let cell = load(run.path()).expect("a run").cells.remove(0);
    assert_eq!(cell.altered_evidence().expect("readable"), Vec::<String>::new());
    fs::write(cell.directory.join("logs/broker.log"), "tex!").expect("writable");
    fs::write(cell.directory.join("new"), "").expect("writable");
    assert_eq!(cell.altered_evidence().expect("readable"), ["logs/broker.log", "new"]);
}

#[test]
fn results_are_never_written_over() {
    let results = tempfile::tempdir().expect("a temporary directory");
    RunDir::create(results.path(), "run").expect("a new run");
    assert!(matches!(RunDir::create(results.path(), "run"), Err(StoreError::Exists { .. })));
}

#[test]
fn a_newer_minor_version_is_read_and_another_major_one_refused() {
    let results = tempfile::tempdir().expect("a temporary directory");
    let run = RunDir::create(results.path(), "run").expect("a new run");
    let manifest = run.path().join(MANIFEST);
    let text = fs::read_to_string(old_run().join(MANIFEST)).expect("a manifest");

    let newer = text.replacen("\"schema\": \"1.0\"", "\"schema\": \"1.9\", \"unheard_of\": [1]", 1);
    fs::write(&manifest, newer).expect("writable");
    assert_eq!(load(run.path()).expect("unknown fields are ignored").manifest.schema, "1.9");

    fs::write(&manifest, "{ \"schema\": \"2.0\" }").expect("writable");
    let error = load(run.path()).expect_err("another shape");
    assert!(matches!(&error, StoreError::Schema { found, .. } if found == "2.0"), "{error}");
    assert!(error.to_string().contains(MANIFEST));

    fs::write(&manifest, &text[..text.len() / 2]).expect("writable");
    assert!(matches!(load(run.path()), Err(StoreError::Malformed { .. })));
    fs::remove_file(&manifest).expect("removable");
    assert!(matches!(load(run.path()), Err(StoreError::NoRun { .. })));
}
