//! Clusters that cannot be had: refused with the reason, advice and exit code 4. Needs no Java.

mod held;

use held::outcome;
use std::net::TcpListener;

#[test]
fn a_cluster_that_does_not_answer_is_unfit() {
    let state = tempfile::tempdir().expect("a directory");
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("an address").to_string()
    };
    let (code, said) = outcome(state.path(), &["--bootstrap-server", &address]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains(&address) && said.contains("does not answer"), "{said}");
    assert!(said.contains("help:"), "{said}");
}

#[test]
fn a_kafka_home_without_jars_is_unfit() {
    let state = tempfile::tempdir().expect("a directory");
    let home = state.path().to_string_lossy().into_owned();
    let (code, said) = outcome(state.path(), &["--kafka-home", &home]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("--kafka-home") || said.contains("libs"), "{said}");
}

#[test]
fn more_replicas_than_brokers_are_refused_before_anything_starts() {
    let state = tempfile::tempdir().expect("a directory");
    let (code, said) = outcome(state.path(), &["--brokers", "2", "--replication-factor", "3"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("2 brokers cannot hold 3 replicas"), "{said}");
}
