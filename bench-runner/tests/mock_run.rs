//! `run` through the real binary on librdkafka's mock cluster: results on disk, exit codes, and a broker that is
//! known to be bad. Proves nothing about Kafka.

mod ending;
mod held;

use held::unfolded;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn smoke() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles/smoke.toml")
}

fn run(results: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-runner"));
    command.arg("run").arg("--mock").arg(smoke()).arg("--results").arg(results).args(arguments);
    command.env("BENCH_RUNNER_STATE", results.join("state"));
    command
}

fn code(output: &Output) -> Option<i32> {
    eprintln!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    output.status.code()
}

/// The only run's directory.
fn stored(results: &Path) -> PathBuf {
    let mut runs: Vec<PathBuf> = std::fs::read_dir(results)
        .expect("results")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.join("manifest.json").exists())
        .collect();
    assert_eq!(runs.len(), 1, "one run");
    runs.remove(0)
}

fn cell(results: &Path, id: &str) -> Value {
    let path = stored(results).join("cells").join(id).join("result.json");
    serde_json::from_str(&std::fs::read_to_string(&path).expect("a stored cell")).expect("JSON")
}

/// One idempotent cell of 6,000 records, with trouble when the mock holds 2,000 of them.
fn trouble(results: &Path, trouble: &[&str]) -> Value {
    let mut command = run(results, &["--set", "load.duration=5s", "--set", "matrix.acks=[\"all\"]"]);
    command.args([
        "--set",
        "matrix.idempotence=[true]",
        "--set",
        "producer.settings={\"socket.timeout.ms\"=\"1000\"}",
        "--set",
        "producer.linger=0 s",
    ]);
    command.arg("--mock-trouble=--after-records=2000");
    command.args(trouble.iter().map(|argument| format!("--mock-trouble={argument}")));
    let output = command.output().expect("the binary runs");
    assert_eq!(code(&output), Some(10), "a violation");
    cell(results, "smoke.acks-all-idempotence-true.r0")
}

#[test]
fn a_smoke_run_leaves_whole_results_and_says_that_it_is_a_mock() {
    let results = tempfile::tempdir().expect("a directory");
    let output = run(results.path(), &["--summary", "-"]).output().expect("the binary runs");
    ending::holds(&output);
    let summary: Value =
        serde_json::from_slice(&output.stdout).expect("standard output is the summary alone");
    assert_eq!(summary["cells"].as_array().map(Vec::len), Some(2));
    let run = stored(results.path());
    for file in ["report.md", "report.html"] {
        let text = std::fs::read_to_string(run.join(file)).expect(file);
        assert!(text.contains("mock: not Kafka; no durability claim"), "{file} carries the stamp");
    }
    for id in ["smoke.acks-1.r0", "smoke.acks-all.r0"] {
        let result = cell(results.path(), id);
        assert_eq!(result["outcome"], "finished");
        assert_eq!(result["verdict"]["classes"]["acked"]["records"], 4000);
        assert_eq!(result["latencies"]["publish"]["count"], 3000, "the three seconds after the warm-up");
        for file in ["ledger.jsonl", "reading.jsonl", "latency.hlog"] {
            assert!(run.join("cells").join(id).join(file).exists(), "{file}");
        }
    }
}

#[test]
fn a_cell_without_latencies_says_so() {
    let results = tempfile::tempdir().expect("a directory");
    let load = "load={ rate = \"1k/s\", warmup = \"200 ms\", records = 100, drain = \"10 s\" }";
    let output =
        run(results.path(), &["--set", load, "--only", "*acks-1*"]).output().expect("the binary runs");
    ending::holds(&output);
    let result = cell(results.path(), "smoke.acks-1.r0");
    assert_eq!(result["latencies"].as_object().map(|series| series.len()), Some(0));
    let caveats = result["caveats"].to_string();
    assert!(caveats.contains("few-samples") && caveats.contains("no latencies"), "{caveats}");
}

#[test]
fn an_acknowledged_record_that_the_mock_never_kept_is_found() {
    let results = tempfile::tempdir().expect("a directory");
    let result = trouble(results.path(), &["--produce-error=duplicate-sequence-number"]);
    assert_eq!(result["verdict"]["promise"], "violated");
    assert!(result["verdict"]["tallies"]["log_loss"]["count"].as_u64() > Some(0));
    assert_eq!(result["verdict"]["tallies"]["duplicate_same_attempt"]["count"], 0);
}

#[test]
fn records_that_were_never_written_are_counted_with_the_error_that_their_sends_ended_with() {
    let results = tempfile::tempdir().expect("a directory");
    let matrix = "matrix={ acks = [\"all\"], retries = [0] }";
    let mut command = run(results.path(), &["--set", matrix, "--set", "load.duration=5s"]);
    command.args(
        ["--after-records=2000", "--produce-error=not-enough-replicas", "--produce-errors=3"]
            .map(|trouble| format!("--mock-trouble={trouble}")),
    );
    let output = command.output().expect("the binary runs");
    ending::holds(&output);
    let result = cell(results.path(), "smoke.acks-all-retries-0.r0");
    let never = result["verdict"]["classes"]["not_persisted"]["absent"].as_u64().expect("records");
    assert!(never > 0);
    assert_eq!(result["failed_sends"], serde_json::json!({ "NOT_ENOUGH_REPLICAS: not persisted": never }));
    let report = std::fs::read_to_string(stored(results.path()).join("report.md")).expect("a report");
    assert!(report.contains(&format!("{never} NOT_ENOUGH_REPLICAS: not persisted")), "{report}");
}

#[test]
fn a_record_lost_after_a_retriable_error_is_found() {
    let results = tempfile::tempdir().expect("a directory");
    // The mock refuses one request of several under way and takes the later ones: it knows no sequence numbers. The client
    // takes the answer to a later one for an answer to the refused one, too, and does not send that again.
    let result = trouble(results.path(), &["--produce-error=not-enough-replicas", "--round-trip-ms=400"]);
    assert_eq!(result["verdict"]["promise"], "violated");
    assert!(result["verdict"]["tallies"]["log_loss"]["count"].as_u64() > Some(0));
    assert_eq!(result["verdict"]["tallies"]["duplicate_same_attempt"]["count"], 0);
}

#[test]
fn aborted_records_that_the_mock_shows_to_readers_of_committed_ones_are_found() {
    let results = tempfile::tempdir().expect("a directory");
    let matrix = "matrix={ acks = [\"all\"], idempotence = [true], transaction = [50], abort-every = [3] }";
    let output = run(results.path(), &["--set", matrix]).output().expect("the binary runs");
    assert_eq!(code(&output), Some(10), "a violation");
    let result = cell(results.path(), "smoke.acks-all-idempotence-true-transaction-50-abort-every-3.r0");
    let tallies = &result["verdict"]["tallies"];
    // 4,000 records are 80 transactions, of which 26 are aborted.
    assert_eq!((&tallies["aborted_read"]["count"], &tallies["log_loss"]["count"]), (&1300.into(), &0.into()));
}

#[test]
fn duplicates_of_an_idempotent_producer_on_the_mock_are_found() {
    let results = tempfile::tempdir().expect("a directory");
    // Longer than the client's time-out of one second, which it looks at once a second, on the busiest machine.
    let result = trouble(results.path(), &["--round-trip-ms=4000"]);
    assert_eq!(result["verdict"]["promise"], "violated");
    assert!(result["verdict"]["tallies"]["duplicate_same_attempt"]["count"].as_u64() > Some(0));
    assert_eq!(result["verdict"]["tallies"]["log_loss"]["count"], 0);
}

#[test]
fn a_log_that_has_lost_its_beginning_is_inconclusive_and_nobody_speaks_of_loss() {
    let results = tempfile::tempdir().expect("a directory");
    // The mock keeps 5 MiB of a partition; this is more.
    let load = "load={ rate = \"2k/s\", record-size = \"20 KiB\", duration = \"2 s\", drain = \"10 s\" }";
    let output = run(results.path(), &["--set", load, "--only", "*acks-1*", "--summary", "-"]).output();
    let output = output.expect("the binary runs");
    assert_eq!(code(&output), Some(7));
    let result = cell(results.path(), "smoke.acks-1.r0");
    assert_eq!(
        (&result["outcome"], &result["verdict"]["promise"]),
        (&"inconclusive".into(), &"unjudged".into())
    );
    let report = std::fs::read_to_string(stored(results.path()).join("report.md")).expect("a report");
    let summary = String::from_utf8_lossy(&output.stdout).into_owned();
    for text in [report, summary, result.to_string(), String::from_utf8_lossy(&output.stderr).into_owned()] {
        for claim in ["iolat", "VIOLAT", "Offending", "observed"] {
            assert!(!text.contains(claim), "{claim}: {text}");
        }
    }
}

#[test]
fn settings_of_brokers_that_the_mock_does_not_have_are_refused_with_4() {
    for asked in ["cluster.settings={\"num.io.threads\"=3}", "cluster.heap=1 GiB"] {
        let results = tempfile::tempdir().expect("a directory");
        let output = run(results.path(), &["--set", asked]).output().expect("the binary runs");
        assert_eq!(code(&output), Some(4), "{asked}");
        let said = unfolded(&String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("help: leave it out of [cluster]"), "{said}");
    }
}

#[test]
fn a_heap_of_somebody_elses_brokers_is_refused_with_4() {
    let results = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-runner"));
    command.args(["run", "--bootstrap-server", "127.0.0.1:1", "--set", "cluster.heap=1 GiB", "--results"]);
    command.arg(results.path()).arg(smoke()).env("BENCH_RUNNER_STATE", results.path().join("state"));
    let output = command.output().expect("the binary runs");
    assert_eq!(code(&output), Some(4));
    assert!(unfolded(&String::from_utf8_lossy(&output.stderr)).contains("leave heap out of [cluster]"));
}

/// The writing end of a pipe that nobody reads.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

#[test]
fn a_reader_who_is_gone_changes_no_exit_code() {
    let results = tempfile::tempdir().expect("a directory");
    let run_of = |verb: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench-runner"));
        command.arg(verb).stdout(unread()).stderr(unread());
        command
    };
    for verb in ["check", "plan"] {
        assert_eq!(run_of(verb).arg(smoke()).status().expect("it runs").code(), Some(0), "{verb}");
    }
    assert_eq!(run_of("plan").args(["--json"]).arg(smoke()).status().expect("it runs").code(), Some(0));
    assert_eq!(run_of("check").arg("no-such-file").status().expect("it runs").code(), Some(3));
    let mut command = run(results.path(), &["--only", "*acks-1*", "--set", "load.duration=1s"]);
    // 6: a busy machine, see `ending`.
    let status = command.stdout(unread()).stderr(unread()).status().expect("it runs");
    assert!(matches!(status.code(), Some(0 | 6)), "{status}");
    let stored = stored(results.path());
    for verb in ["report", "verify"] {
        assert_eq!(run_of(verb).arg(&stored).status().expect("it runs").code(), Some(0), "{verb}");
    }
}

#[test]
fn several_producers_and_acks_0_balance_their_books() {
    let results = tempfile::tempdir().expect("a directory");
    let arguments = ["--set", "load.producers=3", "--set", "matrix.acks=[0, \"all\"]"];
    let output = run(results.path(), &arguments).output().expect("the binary runs");
    ending::holds(&output);
    for (id, class) in [("smoke.acks-0.r0", "sent"), ("smoke.acks-all.r0", "acked")] {
        let result = cell(results.path(), id);
        // Whatever offsets the mock's reports of acks=0 give: the log alone says what is there.
        let count = &result["verdict"]["classes"][class];
        assert_eq!((count["records"].as_u64(), count["absent"].as_u64()), (Some(4000), Some(0)), "{count}");
        let ledger = stored(results.path()).join("cells").join(id).join("ledger.jsonl");
        let ledger = std::fs::read_to_string(ledger).expect("ledgers");
        assert_eq!(ledger.matches("{\"ledger\":").count(), 3, "one ledger for each producer");
    }
    let verify =
        Command::new(env!("CARGO_BIN_EXE_bench-runner")).arg("verify").arg(stored(results.path())).output();
    assert_eq!(code(&verify.expect("the binary runs")), Some(0));
}

#[test]
fn a_kill_is_named_and_shaded_in_the_charts_by_second() {
    let results = tempfile::tempdir().expect("a directory");
    let kill = "kill=[{ worker = \"producer\", at = \"2 s\", resend = true }]";
    let output =
        run(results.path(), &["--set", kill, "--only", "*acks-1*"]).output().expect("the binary runs");
    ending::holds(&output);
    let chart = stored(results.path()).join("plots/seconds-smoke.acks-1.r0.svg");
    let chart = std::fs::read_to_string(chart).expect("a chart");
    assert!(chart.contains("producer 0 killed"), "{chart}");
    // The warm-up and the kill.
    assert!(chart.contains("2 shaded bands"), "{chart}");
}

#[test]
fn a_worker_that_dies_under_load_voids_its_cell_and_ends_with_1() {
    let results = tempfile::tempdir().expect("a directory");
    let (child, workers) = background(results.path(), &["--only", "*acks-1*"]);
    std::thread::sleep(Duration::from_millis(2500));
    signal(workers[0], libc::SIGKILL);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(code(&output), Some(1));
    assert!(unfolded(&String::from_utf8_lossy(&output.stderr)).contains("exit code 1 (smoke.acks-1.r0)"));
    let result = cell(results.path(), "smoke.acks-1.r0");
    assert_eq!(result["outcome"], "void");
    let reason = result["reason"].as_str().expect("a reason");
    assert!(reason.contains("producer-0") && reason.contains("ended early"), "{reason}");
    assert!(result["verdict"].is_null());
}

#[test]
fn evidence_that_is_damaged_before_it_is_judged_voids_the_cell_and_ends_with_1() {
    let results = tempfile::tempdir().expect("a directory");
    let (child, workers) = background(results.path(), &["--only", "*acks-1*", "--set", "load.duration=1s"]);
    let run = stored(results.path());
    // The producer has closed its ledger; it is read once the cluster has been quiet for a second.
    while held::lives(workers[0] as u32) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let ledger = find(&run, "ledger.bin").expect("a ledger");
    let mut bytes = std::fs::read(&ledger).expect("a ledger");
    // Behind the header and the table of two partitions: a record that was acknowledged becomes one of unknown fate.
    let acked = (128 + 2 * 16..bytes.len()).find(|at| bytes[*at] == 3).expect("an acknowledged record");
    bytes[acked] = 6;
    std::fs::write(&ledger, bytes).expect("written");
    assert_eq!(code(&child.wait_with_output().expect("it ends")), Some(1));
    let result = cell(results.path(), "smoke.acks-1.r0");
    assert_eq!(result["outcome"], "void", "{}", result["reason"]);
    assert!(result["reason"].as_str().is_some_and(|why| why.contains("checksum")), "{}", result["reason"]);
    assert!(result["verdict"].is_null(), "nothing is judged by it");
}

/// The first file of this name below a directory.
fn find(place: &Path, name: &str) -> Option<PathBuf> {
    let entries: Vec<PathBuf> =
        std::fs::read_dir(place).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let here = entries.iter().find(|path| path.ends_with(name)).cloned();
    here.or_else(|| entries.iter().filter(|path| path.is_dir()).find_map(|path| find(path, name)))
}

#[test]
fn an_unmet_expectation_ends_with_10() {
    let results = tempfile::tempdir().expect("a directory");
    let profile = results.path().join("unmet.toml");
    let text = std::fs::read_to_string(smoke()).expect("the profile").replace("log_loss = 0", "log_loss = 5");
    std::fs::write(&profile, text).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-runner"));
    command
        .args(["run", "--mock", "--results"])
        .arg(results.path())
        .arg(&profile)
        .args(["--only", "*acks-1*"]);
    let output =
        command.env("BENCH_RUNNER_STATE", results.path().join("state")).output().expect("the binary runs");
    assert_eq!(code(&output), Some(10));
    assert_eq!(cell(results.path(), "smoke.acks-1.r0")["expectation"], "unmet");
}

#[test]
fn faults_on_a_cluster_without_processes_are_refused_with_4() {
    let results = tempfile::tempdir().expect("a directory");
    let l1 = smoke().with_file_name("recipes").join("l1.toml");
    let output = run(results.path(), &[]).arg(l1).output().expect("the binary runs");
    assert_eq!(code(&output), Some(4));
    let said = unfolded(&String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("run it on the local cluster"), "says what to do: {said}");
}

#[test]
fn places_that_cannot_be_written_are_found_before_the_cluster_starts() {
    let results = tempfile::tempdir().expect("a directory");
    let file = results.path().join("file");
    std::fs::write(&file, "in the way").expect("written");
    let refused = |arguments: &[&std::ffi::OsStr]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench-runner"));
        command.args(["run", "--mock"]).arg(smoke()).args(arguments);
        let output = command
            .env("BENCH_RUNNER_STATE", results.path().join("state"))
            .output()
            .expect("the binary runs");
        assert_eq!(code(&output), Some(2));
        let said = unfolded(&String::from_utf8_lossy(&output.stderr));
        assert!(!said.contains("stopping the cluster"), "nothing was started: {said}");
        said
    };
    let said = refused(&["--results".as_ref(), file.as_os_str()]);
    assert!(said.contains("results cannot be written to") && said.contains("--results DIR"), "{said}");
    let summary = results.path().join("missing/summary.json");
    let said = refused(&[
        "--results".as_ref(),
        results.path().as_os_str(),
        "--summary".as_ref(),
        summary.as_os_str(),
    ]);
    assert!(said.contains("the summary cannot be written to"), "{said}");
}

/// A run in the background, and its worker processes once they exist.
#[allow(clippy::zombie_processes, reason = "the caller waits for it")]
fn background(results: &Path, arguments: &[&str]) -> (Child, Vec<i32>) {
    let mut command = run(results, arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let began = Instant::now();
    loop {
        let list =
            std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap_or_default();
        let workers: Vec<i32> = list
            .split_whitespace()
            .filter(|pid| {
                std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
                    .is_ok_and(|line| line.contains("\0worker"))
            })
            .map(|pid| pid.parse().expect("a number"))
            .collect();
        if workers.len() == 2 {
            return (child, workers);
        }
        if began.elapsed() > Duration::from_secs(30) {
            let _ = child.kill().and_then(|()| child.wait());
            panic!("workers appear");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(pid: i32, signal: i32) {
    // SAFETY: takes no pointers; the process is a child of the run that this test started.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

#[test]
fn a_generator_that_stood_still_is_called_generator_bound_and_ends_with_6() {
    let results = tempfile::tempdir().expect("a directory");
    let (child, workers) = background(results.path(), &["--set", "load.duration=4s", "--only", "*acks-1*"]);
    std::thread::sleep(Duration::from_millis(2500));
    workers.iter().for_each(|pid| signal(*pid, libc::SIGSTOP));
    std::thread::sleep(Duration::from_millis(700));
    workers.iter().for_each(|pid| signal(*pid, libc::SIGCONT));
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(code(&output), Some(6));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("exit code 6 (smoke.acks-1.r0)") && said.contains("lower load.rate"), "{said}");
    let caveats = cell(results.path(), "smoke.acks-1.r0")["caveats"].to_string();
    assert!(caveats.contains("generator-bound"), "{caveats}");
}

#[test]
fn an_interrupt_keeps_what_is_finished_and_stops_everything() {
    let results = tempfile::tempdir().expect("a directory");
    let (child, first) = background(results.path(), &["--set", "load.duration=3s"]);
    let pid = i32::try_from(child.id()).expect("a pid");
    while first.iter().any(|worker| Path::new(&format!("/proc/{worker}")).exists()) {
        std::thread::sleep(Duration::from_millis(20));
    }
    // The first cell is over; the second one is cut short.
    std::thread::sleep(Duration::from_millis(2500));
    let began = Instant::now();
    signal(pid, libc::SIGINT);
    assert_eq!(code(&child.wait_with_output().expect("it ends")), Some(130));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let run = stored(results.path());
    let kept: Vec<_> = std::fs::read_dir(run.join("cells"))
        .expect("cells")
        .map(|entry| entry.expect("entry").file_name())
        .collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(run.join("report.md").exists());
    let manifest: Value =
        serde_json::from_str(&std::fs::read_to_string(run.join("manifest.json")).expect("kept"))
            .expect("JSON");
    assert_eq!(manifest["interrupted"], true);
}

#[test]
fn an_interrupt_is_heard_after_the_load_although_no_broker_answers_any_more() {
    let results = tempfile::tempdir().expect("a directory");
    let (child, workers) = background(results.path(), &["--set", "load.duration=1s", "--only", "*acks-1*"]);
    let pid = i32::try_from(child.id()).expect("a pid");
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("children");
    let is_mock = |pid: &&str| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.contains("mock-cluster"))
    };
    let mock: i32 = list.split_whitespace().find(is_mock).and_then(|pid| pid.parse().ok()).expect("a mock");
    // The producer, spawned first, ends by itself once its reports are in; then the cluster has to become quiet.
    while held::lives(workers[0] as u32) {
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(mock, libc::SIGSTOP);
    std::thread::sleep(Duration::from_millis(2500));
    let began = Instant::now();
    signal(pid, libc::SIGINT);
    let pids: Vec<u32> = workers.iter().chain([&mock]).map(|pid| *pid as u32).collect();
    assert_eq!(code(&child.wait_with_output().expect("it ends")), Some(130));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(held::survivors(&pids, Duration::from_secs(5)), Vec::<u32>::new());
}
