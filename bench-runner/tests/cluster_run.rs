//! `run` through the real binary on a real local cluster: a second opinion by Kafka's own tools, and what two runs, an
//! interrupt and a kill leave behind. Needs Java 17 (and Maven once).

mod held;
mod runs;

use held::{Held, lives, survivors};
use runs::{cells, code, has_caveat, path, run};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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
    reads_back_otherwise(&bootstrap);
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

/// Brokers take `01000` and say `1000`: what a topic was asked to be and what it is differ, and nothing is measured on it.
fn reads_back_otherwise(bootstrap: &str) {
    let place = tempfile::tempdir().expect("a directory");
    let asked = ["--bootstrap-server", bootstrap, "--set", "topic.settings={\"flush.ms\"=\"01000\"}"];
    let output =
        run(place.path(), &["../profiles/smoke.toml"], &asked).args(["--only", "*acks-all*"]).output();
    assert_eq!(code(&output.expect("the binary runs")), Some(1));
    let cell = cells(place.path()).remove(0);
    assert_eq!(cell["outcome"], "could-not-start");
    let reason = cell["reason"].as_str().expect("a reason");
    assert!(reason.contains("flush.ms was asked to be 01000 and reads back as 1000"), "{reason}");
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
