//! Sinks through the real binary on a real local cluster: what a death between write and commit, and a zombie's late write, leave in
//! PostgreSQL is what arithmetic says, a sink that stands still does not keep a member from being polled, and members fetch as
//! told. Needs Java 17 (and Maven once), and PostgreSQL.

use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

mod ending;
#[path = "held/postgres.rs"]
mod server;

fn command(arguments: &[&str], place: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-runner"));
    command.args(arguments).env("BENCH_RUNNER_STATE", place.join("state"));
    command
}

fn shown(output: Output) -> Output {
    eprintln!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    output
}

fn profile(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    path.canonicalize().expect("a profile").display().to_string()
}

/// The cells of a run that has ended, and its directory.
fn told(summary: &Path, results: &str) -> (Vec<Value>, String) {
    let told: Value =
        serde_json::from_slice(&std::fs::read(summary).expect("a summary")).expect("a document");
    let run = format!("{results}/{}", told["run"].as_str().expect("a run"));
    (told["cells"].as_array().expect("cells").clone(), run)
}

fn count(cell: &Value, tally: &str) -> u64 {
    cell["verdict"]["tallies"][tally]["count"].as_u64().expect("a count")
}

fn all_as_expected(cells: &[Value]) {
    assert!(!cells.is_empty());
    for cell in cells {
        let why = format!("{}: {} {}", cell["id"], cell["reason"], cell["expectation_detail"]);
        assert_eq!(cell["outcome"], "finished", "{why}");
        assert_eq!(cell["expectation"], "met", "{why}");
    }
}

/// 256 B every 5 ms never are 1 MiB, so each answer takes the whole of 400 ms and its records have waited for 200 at the median, and for
/// what a busy machine adds; with 1 B none waits.
fn waits_for_bytes(cells: &[Value]) {
    let median_ns = |least: &str| {
        let of = |cell: &&Value| cell["id"].as_str().is_some_and(|id| id.contains(least));
        let cell = cells.iter().find(of).expect("a cell");
        cell["latencies"]["in_hand"]["percentiles"]["50"]["ns"].as_u64().expect("a median")
    };
    let (with_one, with_many) = (median_ns("min-size-1B"), median_ns("min-size-1MiB"));
    eprintln!("in hand at the median: {with_one} ns, waiting for 1 MiB or 400 ms: {with_many} ns");
    assert!(with_many > 150_000_000, "{with_many} ns");
    assert!(with_one < with_many / 2, "{with_one} ns without a wait, {with_many} ns with one");
}

#[test]
fn a_death_or_a_zombie_around_the_write_leaves_what_arithmetic_says_in_postgresql() {
    let place = tempfile::tempdir().expect("a directory");
    let server = server::Server::start();
    let results = place.path().join("results").display().to_string();
    let summary = place.path().join("summary.json");
    let url = |name: &str| format!("{name}:sink.url=\"{}\"", server.url());
    let urls = [url("c4-postgres"), url("c5-postgres")];
    let profiles =
        ["c4-postgres", "c5-postgres", "fetch"].map(|name| profile(&format!("tests/sinks/{name}.toml")));
    let cold = ["--set", "cluster.warm=0s", "--set", &urls[0], "--set", &urls[1]];
    let last = ["--results", &results, "--summary", summary.to_str().expect("a path")];
    let all = [&["run", &profiles[0], &profiles[1], &profiles[2]], &cold[..], &last].concat();
    let output = shown(command(&all, place.path()).output().expect("the binary runs"));
    let (cells, run) = told(&summary, &results);
    all_as_expected(&cells);
    let (fetch, cells): (Vec<_>, Vec<_>) =
        cells.into_iter().partition(|cell| cell["id"].as_str().is_some_and(|id| id.starts_with("fetch.")));
    waits_for_bytes(&fetch);
    assert!(cells.iter().any(|cell| count(cell, "sink_duplicate") > 0), "a control that doubles");
    assert!(cells.iter().any(|cell| count(cell, "sink_loss") > 0), "a control that loses");
    let refused: Vec<u64> =
        cells.iter().map(|cell| count(cell, "sink_refused")).filter(|count| *count > 0).collect();
    assert_eq!(refused, [100], "the zombie's batch, where PostgreSQL keeps the offsets");
    ending::holds(&output);
    // Nothing stays behind on the server, and stored rows give the stored verdicts.
    let tables = server.ask("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'bench_runner%'");
    assert_eq!(tables, "0");
    let verify = shown(command(&["verify", &run], place.path()).output().expect("the binary runs"));
    assert_eq!(verify.status.code(), Some(0));
}

/// Does something to the table of a run as soon as more than so many rows are in it.
fn when_filled(server: &server::Server, run: &mut Child, rows: u32, act: impl Fn(&str)) -> bool {
    let began = Instant::now();
    let find = "SELECT tablename FROM pg_tables WHERE tablename LIKE 'bench_runner%' AND tablename NOT LIKE '%_offsets'";
    while began.elapsed() < Duration::from_secs(120) && run.try_wait().expect("it runs").is_none() {
        let table = server.ask(find);
        if !table.is_empty() && server.ask(&format!("SELECT count(*) > {rows} FROM {table}")) == "t" {
            act(&table);
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Keeps a table of the server locked for a while, from the moment that more than so many rows are in it.
fn lock(server: &server::Server, run: &mut Child, rows: u32, time: Duration) -> bool {
    let seconds = time.as_secs_f64();
    when_filled(server, run, rows, |table| {
        server.ask(&format!("BEGIN; LOCK TABLE {table} IN SHARE MODE; SELECT pg_sleep({seconds}); COMMIT"));
    })
}

#[test]
fn a_sink_that_stands_still_is_waited_for_while_the_client_is_polled() {
    let place = tempfile::tempdir().expect("a directory");
    let server = server::Server::start();
    let results = place.path().join("results").display().to_string();
    let summary = place.path().join("summary.json");
    let url = format!("sink.url=\"{}\"", server.url());
    let profile = profile("tests/sinks/stall.toml");
    let all = [
        "run",
        &profile,
        "--set",
        &url,
        "--results",
        &results,
        "--summary",
        summary.to_str().expect("a path"),
    ];
    let mut run =
        command(&all, place.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    // After the warm-up, which enters no latencies. Longer than the member may go without a poll: it would be put out of the group.
    let locked = lock(&server, &mut run, 1000, Duration::from_secs(9));
    let status = run.wait().expect("it ends");
    let (cells, run) = told(&summary, &results);
    assert!(locked, "no rows came within two minutes");
    all_as_expected(&cells);
    // 6: a busy machine, see `ending`.
    assert!(matches!(status.code(), Some(0 | 6)), "{status}");
    let cell = cells[0]["id"].as_str().expect("an id");
    let statements = std::fs::read(format!("{run}/cells/{cell}/statements.json")).expect("statements");
    let statements: Value = serde_json::from_slice(&statements).expect("a document");
    let unpolled_ns = statements["members"][0]["longest_unpolled_ns"].as_u64().expect("a time");
    eprintln!("longest time without a poll: {} ms", unpolled_ns / 1_000_000);
    assert!(unpolled_ns < 1_500_000_000, "{unpolled_ns} ns without a poll");
    // The stall is in the latencies of the write, of processing and of the effect, where it belongs.
    let max_ns = |series: &str| cells[0]["latencies"][series]["max_ns"].as_u64().expect("a maximum");
    for series in ["sink_write", "processing", "effect"] {
        assert!(max_ns(series) > 8_000_000_000, "{series}: at most {} ns", max_ns(series));
    }
    assert!(max_ns("end_to_end") < 8_000_000_000, "the log itself stood still");
    // The group fell behind by what came in the meantime.
    let seconds = cells[0]["group"]["seconds"].as_array().expect("seconds");
    let most = |figure: &str| seconds.iter().filter_map(|second| second[figure].as_u64()).max();
    let (behind, behind_ns) = (most("lag_records").expect("a lag"), most("lag_ns").expect("a lag"));
    eprintln!("lag: {behind} records, {behind_ns} ns");
    assert!(behind > 3_500, "500/s for 9 s, seen once a second: at most {behind} records behind");
    assert!(behind_ns > 7_000_000_000, "at most {behind_ns} ns behind");
}

#[test]
fn a_database_that_cannot_be_read_claims_nothing() {
    let place = tempfile::tempdir().expect("a directory");
    let server = server::Server::start();
    let results = place.path().join("results").display().to_string();
    let summary = place.path().join("summary.json");
    let url = format!("sink.url=\"{}\"", server.url());
    let profile = profile("tests/sinks/unread.toml");
    let last = ["--results", &results, "--summary", summary.to_str().expect("a path")];
    let all = [&["run", &profile, "--set", &url][..], &last].concat();
    let mut run =
        command(&all, place.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    // All rows are written, and the cluster's rest takes a second more: then somebody takes the table away.
    let hidden = when_filled(&server, &mut run, 199, |table| {
        server.ask(&format!("ALTER TABLE {table} RENAME TO hidden"));
    });
    let status = run.wait().expect("it ends");
    assert!(hidden, "no rows came within two minutes");
    let (cells, run) = told(&summary, &results);
    let reason = cells[0]["reason"].as_str().expect("a reason");
    assert_eq!(cells[0]["outcome"], "inconclusive", "{reason}");
    let expected = "the sink's rows were not read (the sink could not read its rows: relation ";
    assert!(reason.starts_with(expected), "{reason}");
    assert_eq!(cells[0]["expectation"], "unmet");
    assert_eq!(cells[0]["verdict"]["tallies"].as_object().map(serde_json::Map::len), Some(0), "no claims");
    assert_ne!(status.code(), Some(0));
    let verify = shown(command(&["verify", &run], place.path()).output().expect("the binary runs"));
    assert_eq!(verify.status.code(), Some(0), "what was not read is not missed");
}
