//! `run` through the real binary on a real local cluster: the known answer of a stall, a second opinion by Kafka's own
//! tools, and what two runs, an interrupt and a kill leave behind. Needs Java 17 (and Maven once).

mod held;

use bench_model::latency::Set;
use held::{Held, lives, survivors};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn run(place: &Path, profiles: &[&str], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-runner"));
    command.arg("run").args(profiles.iter().map(|profile| path(profile))).args(arguments);
    command.arg("--results").arg(place).env("BENCH_RUNNER_STATE", place.join("state"));
    command
}

fn code(output: &Output) -> Option<i32> {
    eprintln!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    output.status.code()
}

/// All stored cells of all runs below a directory.
fn cells(place: &Path) -> Vec<Value> {
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

fn has_caveat(cell: &Value, kind: &str) -> bool {
    cell["caveats"].as_array().expect("caveats").iter().any(|caveat| caveat["kind"] == kind)
}

/// A percentile in milliseconds, exact or a bound.
fn percentile_ms(cell: &Value, latency: &str, percentile: &str) -> f64 {
    let value = &cell["latencies"][latency]["percentiles"][percentile];
    value.as_object().and_then(|value| value.values().next()).and_then(Value::as_f64).expect("a value") / 1e6
}

/// p98.9 of the measured window of a stall in milliseconds, from the stored histograms.
fn p989_ms(place: &Path, cell: &Value, latency: &str) -> f64 {
    const NINES: f64 = 1.96;
    let (run, id) = (cell["run"].as_str().expect("a run"), cell["cell"]["id"].as_str().expect("an id"));
    let path = place.join(run).join("cells").join(id).join("latency.hlog");
    let text = std::fs::read_to_string(path).expect("histograms");
    let series = Set::from_text(&text).expect("a latency log");
    let curve = series.get(latency).expect("a series").curve(2..23);
    curve.iter().find(|point| point.nines >= NINES).expect("enough records").value_ns as f64 / 1e6
}

/// How late the generator says that it was by itself (p99); 0: not worth a caveat.
fn own_lateness_ms(cell: &Value) -> f64 {
    let mut caveats = cell["caveats"].as_array().expect("caveats").iter();
    let Some(caveat) = caveats.find(|caveat| caveat["kind"] == "generator-bound") else { return 0.0 };
    let what = caveat["what"].as_str().expect("words");
    what.split(' ').find_map(|word| word.parse().ok()).expect(what)
}

#[test]
fn a_stall_of_two_seconds_is_reported_as_arithmetic_says_also_behind_a_full_queue() {
    // A broker let go answers some 10 ms later where idle cores are kept awake, up to 40 where they sleep, and other work on
    // the machine moves the last percentiles by as much: the bands of arithmetic leave it 30. A clock at the actual send, or one that skips what was not sent in
    // time, is wrong by more than a second every time.
    const ROUNDS: usize = 6;
    let mut left = vec!["tests/stall/roomy.toml", "tests/stall/small-queue.toml"];
    let mut told = String::new();
    for round in 1..=ROUNDS {
        let place = tempfile::tempdir().expect("a directory");
        code(&run(place.path(), &left, &["--repeat", "3"]).output().expect("the binary runs"));
        for cell in &cells(place.path()) {
            let (lines, fits) = stall(place.path(), cell);
            let id = cell["cell"]["id"].as_str().expect("an id");
            let verdict = if fits { "fits" } else { "does not fit" };
            writeln!(told, "known answer of a stall, {id}, round {round}: {verdict}\n{lines}")
                .expect("a string");
            left.retain(|profile| !(fits && profile.ends_with(&cell_file(cell))));
        }
        if left.is_empty() {
            break;
        }
    }
    // Written past the test program, which keeps what a good test prints: how often the first try fits is a figure too.
    std::io::stderr().write_all(told.as_bytes()).expect("standard error");
    assert!(left.is_empty(), "{told}");
}

/// The file of a cell's profile, `stall-NAME`.
fn cell_file(cell: &Value) -> String {
    let name = cell["cell"]["profile"].as_str().and_then(|name| name.strip_prefix("stall-"));
    format!("/{}.toml", name.expect("a stall"))
}

/// What a cell says of its stall, and whether that is what arithmetic says.
fn stall(place: &Path, cell: &Value) -> (String, bool) {
    assert_eq!(cell["outcome"], "finished");
    let small = cell["cell"]["profile"] == "stall-small-queue";
    let mut lines = String::new();
    let mut fits = true;
    for latency in ["publish", "end_to_end"] {
        let p99 = percentile_ms(cell, latency, "99");
        let p999 = percentile_ms(cell, latency, "99.9");
        let max = cell["latencies"][latency]["max_ns"].as_f64().expect("a maximum") / 1e6;
        writeln!(lines, "  {latency}: p99 {p99}, p99.9 {p999}, maximum {max} ms").expect("a string");
        fits &= (1780.0..=1890.0).contains(&p99) && (1960.0..=2010.0).contains(&p999) && max >= 1990.0;
    }
    // 1 MiB of 1 KiB records are 1.02 % of the window: p99 just still sees those that waited in the queue, p98.9 does not.
    let [publish, service] = ["publish", "service"].map(|latency| p989_ms(place, cell, latency));
    writeln!(lines, "  p98.9: {publish} ms from the intended instant, {service} ms from the actual send")
        .expect("a string");
    fits &= publish > 1700.0 && (service < 100.0) == small;
    // A full queue is the cluster speaking, not the generator. A busy machine's few milliseconds are seen in the other cell, too.
    let own_ms = own_lateness_ms(cell);
    fits &= has_caveat(cell, "backpressured") == small && own_ms <= if small { 0.0 } else { 10.0 };
    writeln!(lines, "  {}", cell["caveats"]).expect("a string");
    (lines, fits)
}

/// Runs one of Kafka's own tools with the Java and the very jars of the brokers.
fn tool(held: &Held, class: &str, arguments: &[&str]) -> String {
    let (java, class_path) = held.java();
    let output =
        Command::new(java).args(["-cp", &class_path, class]).args(arguments).output().expect("java runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn kafkas_own_tools_count_what_the_verdict_counts_on_every_replica() {
    let place = tempfile::tempdir().expect("a directory");
    let state = place.path().join("held");
    std::fs::create_dir(&state).expect("made");
    let held = Held::start(&state, &[]);
    let bootstrap = held.bootstrap().to_owned();
    for (asked, reason) in [
        ("cluster.brokers=5", "3 brokers are registered, the profile asks for 5"),
        ("cluster.settings={\"num.io.threads\"=3}", "num.io.threads is 8, the profile asks for 3"),
    ] {
        let arguments = ["--bootstrap-server", &bootstrap, "--set", asked];
        let refused = run(place.path(), &["../profiles/smoke.toml"], &arguments).output();
        let refused = refused.expect("the binary runs");
        assert_eq!(code(&refused), Some(4));
        let said = held::unfolded(&String::from_utf8_lossy(&refused.stderr));
        assert!(said.contains(reason), "{said}");
    }
    let output =
        run(place.path(), &["../profiles/smoke.toml"], &["--bootstrap-server", &bootstrap, "--keep-topics"])
            .args(["--set", "cluster.settings={\"num.io.threads\"=8}", "--set", "cluster.brokers=3"])
            .args(["--only", "*acks-all*", "--set", "cluster.warm=0s", "--set", "producer.compression=lz4"])
            .output();
    code(&output.expect("the binary runs"));
    let cell = cells(place.path()).remove(0);
    assert_eq!(cell["outcome"], "finished");
    let topic = format!(
        "bench-runner-{}-{}",
        cell["run"].as_str().expect("run"),
        cell["cell"]["id"].as_str().expect("id")
    );
    let offsets = tool(
        &held,
        "org.apache.kafka.tools.GetOffsetShell",
        &["--bootstrap-server", &bootstrap, "--topic", &topic, "--time", "-1"],
    );
    let total: u64 = offsets
        .lines()
        .map(|line| line.rsplit(':').next().and_then(|n| n.parse::<u64>().ok()).expect(line))
        .sum();
    assert_eq!(total, cell["verdict"]["copies"].as_u64().expect("copies"), "{offsets}");
    for broker in held.ready["log_directories"].as_array().expect("directories") {
        let dumped: usize = (0..2)
            .map(|partition| {
                let log = format!(
                    "{}/{topic}-{partition}/00000000000000000000.log",
                    broker[1].as_str().expect("a path")
                );
                let dump = tool(
                    &held,
                    "org.apache.kafka.tools.DumpLogSegments",
                    &["--print-data-log", "--files", &log],
                );
                dump.lines().filter(|line| line.starts_with("| offset:")).count()
            })
            .sum();
        assert_eq!(dumped as u64, total, "replica on broker {}", broker[0]);
    }
    let again = tempfile::tempdir().expect("a directory");
    let arguments = ["--bootstrap-server", &bootstrap, "--only", "*acks-all*", "--set", "load.duration=1s"];
    let output = run(again.path(), &["../profiles/smoke.toml"], &arguments).output();
    code(&output.expect("the binary runs"));
    let finished = cells(again.path()).remove(0);
    assert_eq!(finished["outcome"], "finished");
    let list = tool(
        &held,
        "org.apache.kafka.tools.TopicCommand",
        &["--bootstrap-server", &bootstrap, "--list", "--exclude-internal"],
    );
    assert_eq!(list.split_whitespace().collect::<Vec<_>>(), [topic], "only what was to be kept is left");
    held.end(true);
}

/// A run in the background; its own children (brokers and workers) once there are so many.
#[allow(clippy::zombie_processes, reason = "the caller waits for it")]
fn background(place: &Path, children: usize) -> (Child, Vec<u32>) {
    let mut command =
        run(place, &["../profiles/smoke.toml"], &["--set", "load.duration=60s", "--set", "cluster.warm=0s"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts");
    let began = Instant::now();
    loop {
        let list =
            std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap_or_default();
        let pids: Vec<u32> = list.split_whitespace().map(|pid| pid.parse().expect("a number")).collect();
        if pids.len() >= children {
            return (child, pids);
        }
        if began.elapsed() > Duration::from_secs(90) {
            let _ = child.kill().and_then(|()| child.wait());
            panic!("{} children: {list}", children);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn neither_sigkill_of_the_harness_nor_ctrl_c_leaves_a_broker_or_worker_behind() {
    for (signal, expected) in [(libc::SIGKILL, None), (libc::SIGINT, Some(130))] {
        let place = tempfile::tempdir().expect("a directory");
        // Three brokers, one controller, a producer and a reader.
        let (mut child, pids) = background(place.path(), 6);
        assert!(pids.iter().all(|pid| lives(*pid)));
        // SAFETY: takes no pointers; the child has not been reaped.
        assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
        assert_eq!(child.wait().expect("it ends").code(), expected);
        assert_eq!(survivors(&pids, Duration::from_secs(5)), Vec::<u32>::new());
    }
}

#[test]
fn two_runs_at_once_both_balance_their_books_and_say_that_they_shared_the_machine() {
    let (one, other) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let start = |place: &Path| {
        let arguments = ["--set", "cluster.warm=0s", "--set", "load.duration=12s", "--only", "*acks-all*"];
        run(place, &["../profiles/smoke.toml"], &arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts")
    };
    let runs = [start(one.path()), start(other.path())];
    for run in runs {
        code(&run.wait_with_output().expect("it ends"));
    }
    for place in [&one, &other] {
        let cell = cells(place.path()).remove(0);
        assert_eq!(cell["outcome"], "finished");
        assert!(
            cell["verdict"]["identities"]
                .as_array()
                .expect("identities")
                .iter()
                .all(|identity| identity["holds"] == true)
        );
        let run = place.path().join(cell["run"].as_str().expect("a run"));
        let manifest = std::fs::read_to_string(run.join("manifest.json")).expect("a manifest");
        assert!(has_caveat(&serde_json::from_str(&manifest).expect("JSON"), "shared-machine"));
    }
}

#[test]
fn a_fault_that_cannot_be_proven_is_not_injected_and_ends_with_7() {
    let place = tempfile::tempdir().expect("a directory");
    let profile = place.path().join("idle.toml");
    let text = std::fs::read_to_string(path("../profiles/smoke.toml")).expect("the profile");
    // The leader stands still for less than its session, so no new leader appears.
    let fault = "
[[fault]]
at = \"300 ms\"
action = \"stop\"
target = \"leader\"

[[fault]]
at = \"800 ms\"
action = \"continue\"
target = \"leader\"

[[fault]]
when = \"new-leader\"
action = \"stop\"
target = \"followers\"
";
    std::fs::write(&profile, text + fault).expect("written");
    let mut command = run(place.path(), &[], &["--set", "cluster.warm=0s", "--only", "*acks-all*"]);
    let output = command.arg(&profile).output().expect("the binary runs");
    assert_eq!(code(&output), Some(7));
    let cell = &cells(place.path())[0];
    assert_eq!(cell["outcome"], "not-injected");
    let run = place.path().join(cell["run"].as_str().expect("a run"));
    let logs = run.join("cells").join(cell["cell"]["id"].as_str().expect("an id")).join("logs");
    let log = std::fs::read_to_string(logs.join("broker-1.server.log")).expect("the broker's log is kept");
    assert!(log.contains("INFO"), "{log}");
}
