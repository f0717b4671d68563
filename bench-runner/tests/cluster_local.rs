//! The local cluster through the real binary: it starts, it shares the machine, and nothing survives its harness.

mod held;

use held::{Held, outcome, survivors};
use std::time::Duration;

const GONE: Duration = Duration::from_secs(5);

#[test]
fn a_cluster_starts_says_what_it_is_and_leaves_nothing_behind() {
    let state = tempfile::tempdir().expect("a directory");
    let held = Held::start(state.path(), &[]);
    let facts = &held.ready["facts"];
    assert_eq!(facts["version"], "Apache Kafka 4.3.1");
    assert_eq!(facts["features"]["eligible.leader.replicas.version"], "1");
    assert_eq!(facts["settings"]["broker.session.timeout.ms"], "3000");
    assert!(facts["start_s"].as_f64().expect("seconds") < 60.0, "{}", facts["start_s"]);
    let (processes, directory) = (held.children(), held.directory());
    assert_eq!(processes.len(), 4, "three brokers and a controller");
    assert!(directory.join("broker-3/data/meta.properties").exists());

    let seen = outcome(state.path(), &["--bootstrap-server", held.bootstrap()]);
    assert_eq!(seen.0, Some(0), "as an external cluster it is fit: {}", seen.1);
    let unfit = outcome(state.path(), &["--bootstrap-server", held.bootstrap(), "--replication-factor", "4"]);
    assert_eq!(unfit.0, Some(4), "{}", unfit.1);
    assert!(unfit.1.contains("3 brokers are registered, the plan needs 4 replicas"), "{}", unfit.1);

    let (status, _) = held.end(true);
    assert_eq!(status.code(), Some(0));
    assert_eq!(survivors(&processes, Duration::ZERO), Vec::<u32>::new());
    assert!(!directory.exists());
}

#[test]
fn nothing_survives_a_killed_harness_and_the_next_start_clears_up() {
    let state = tempfile::tempdir().expect("a directory");
    let held = Held::start(state.path(), &["--brokers", "1"]);
    let (processes, directory, pid) = (held.children(), held.directory(), held.pid());
    held.signal(libc::SIGKILL);
    held.end(false);
    assert_eq!(survivors(&processes, GONE), Vec::<u32>::new());
    assert!(directory.exists(), "a killed harness cannot remove its data");

    let next = Held::start(state.path(), &["--brokers", "1"]);
    let leftovers = next.ready["leftovers"].to_string();
    assert!(leftovers.contains(&format!("dead run {pid}")), "{leftovers}");
    assert!(!directory.exists());
    next.end(true);
}

#[test]
fn ctrl_c_ends_everything_at_once_even_while_the_cluster_starts() {
    let state = tempfile::tempdir().expect("a directory");
    let held = Held::start(state.path(), &["--brokers", "1"]);
    let (processes, directory) = (held.children(), held.directory());
    held.signal(libc::SIGINT);
    let (status, took) = held.end(false);
    assert_eq!(status.code(), Some(130));
    assert!(took < GONE, "{took:?}");
    assert_eq!(survivors(&processes, GONE), Vec::<u32>::new());
    assert!(!directory.exists());

    let starting = Held::begin(state.path(), &["--brokers", "1"]);
    while starting.children().len() < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let processes = starting.children();
    starting.signal(libc::SIGINT);
    let (status, took) = starting.end(false);
    assert_eq!(status.code(), Some(130));
    assert!(took < GONE, "{took:?}");
    assert_eq!(survivors(&processes, GONE), Vec::<u32>::new());
}

#[test]
fn two_clusters_at_once_both_come_up_and_know_of_each_other() {
    let state = tempfile::tempdir().expect("a directory");
    let one = Held::begin(state.path(), &["--brokers", "1"]);
    let other = Held::begin(state.path(), &["--brokers", "1"]);
    let (one, other) = (one.wait_ready(), other.wait_ready());
    assert_ne!(one.bootstrap(), other.bootstrap());
    let sharer = format!("pid {}", other.pid());
    assert!(one.ready["sharers"].as_array().expect("a list").iter().any(|pid| *pid == *sharer));
    assert_eq!(one.ready["leftovers"].as_array().map(Vec::len), Some(0), "a living run is no leftover");
    one.end(true);
    other.end(true);
}
