//! The recipes in which brokers die and answers are lost, as one set on one real local cluster: every anomaly that theory
//! predicts comes with its exact count, and not where a setting prevents it. Needs Java 17 (and Maven once).
//!
//! The first test runs the set; the others look at what it left.

use recipes::{Set, count, is_of_clients};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::LazyLock;

mod recipes;

static SET: LazyLock<Set> = LazyLock::new(|| Set::run(|name| !is_of_clients(name)));

/// What is said to prove the first step of a cell's faults.
fn proof(cell: &Value) -> String {
    cell["faults"][0]["proof"].to_string()
}

/// What the proxies have counted of a cell's first step.
fn counted(cell: &Value, what: &str) -> u64 {
    let hits = cell["faults"][0]["hits"].as_array().expect("hits");
    hits.iter().map(|hit| hit[what].as_u64().expect("a count")).sum()
}

#[test]
fn no_recipe_breaks_a_promise_but_one() {
    // A late end of one transaction ends the next: nothing but that breaks a promise here.
    let visible = [SET.with("t4", "aborted_read", 20), SET.with("t4-torn", "aborted_read", 10)].concat();
    assert_eq!(visible.iter().map(|cell| count(cell, "torn_transaction")).collect::<Vec<_>>(), [0, 1]);
    let broken: Vec<&Value> = SET.cells.iter().filter(|cell| cell["promise"] == "violated").collect();
    let ids = |cells: &[&Value]| cells.iter().map(|cell| cell["id"].to_string()).collect::<BTreeSet<_>>();
    assert_eq!(ids(&broken), ids(&visible));
    assert!(broken.iter().all(|cell| counted(cell, "answers") == 1));
}

#[test]
fn acknowledged_records_are_lost_where_a_leader_alone_or_nobody_has_them() {
    for (cell, _) in SET.of("l1") {
        let is_lost = cell["label"] == "acks=1";
        assert_eq!(count(cell, "log_loss"), if is_lost { 1_000 } else { 0 }, "{}", cell["id"]);
        assert_eq!(cell["promise"], if is_lost { "allowed" } else { "kept" }, "{}", cell["id"]);
        assert_eq!(cell["faults"].as_array().map(Vec::len), Some(4));
    }
    assert_eq!(SET.of("l1").len(), 3);
    assert_eq!([SET.with("l2", "log_loss", 500).len(), SET.with("l2", "acks0_drop", 500).len()], [1, 1]);
    // Who cannot learn of the election goes on acknowledging behind it.
    assert_eq!(
        [SET.with("l2-full", "log_loss", 1_000).len(), SET.with("l2-full", "acks0_drop", 1_000).len()],
        [1, 1]
    );
    assert_eq!(SET.with("l4", "log_loss", 1_000).len(), 2);
    let lost = SET.with("p1", "log_loss", 1_010);
    assert_eq!(lost.len(), 1);
    // What was computed before the restart is what was lost, and Kafka went on from there.
    for cut in lost[0]["faults"][0]["cuts"].as_array().expect("cuts") {
        assert_eq!(cut["partitions"][0]["records"], 1_010);
    }
    assert!(proof(lost[0]).contains("leads from offset 0, as computed"), "{}", proof(lost[0]));
    let is_flushed = |cell: &&Value| cell["label"].as_str().is_some_and(|it| it.contains("flush-messages=1"));
    let flushed =
        SET.with("p1", "log_loss", 0).into_iter().find(is_flushed).expect("the control that flushes");
    assert!(proof(flushed).contains("flushed to 1010, end 1010 -> 1010, 0 records"), "{}", proof(flushed));
}

#[test]
fn slow_followers_make_answers_late_and_records_double() {
    assert_eq!(SET.with("s1", "unknown_present", 100).len(), 1);
    assert_eq!(SET.with("d4", "duplicate_same_attempt", 100).len(), 1);
    let handed_over = SET.with("d2", "duplicate_same_attempt", 100);
    assert_eq!(handed_over.len(), 2);
    assert!(handed_over.iter().all(|cell| count(cell, "unknown_present") == 0), "every report is a success");
}

#[test]
fn drops_duplicates_and_reordering_are_what_the_proxies_counted() {
    // What is gone is what the proxy has counted, and no more.
    let dropped = SET.with("l3", "acks0_drop", 1_000);
    assert_eq!(dropped.len(), 1);
    assert_eq!(counted(dropped[0], "records"), 1_000);
    assert!(
        !SET.with("d3", "duplicate_cross_attempt", 100).is_empty(),
        "who sends again under a new identity"
    );
    let (doubled, unanswered) =
        (SET.with("d1", "duplicate_same_attempt", 100), SET.with("d1", "unknown_present", 100));
    assert_eq!((doubled.len(), unanswered.len()), (2, 1));
    for cell in doubled.into_iter().chain(unanswered) {
        assert_eq!((counted(cell, "records"), counted(cell, "requests")), (100, counted(cell, "answers")));
    }
    let late = SET.with("o1", "reorder", 1);
    assert_eq!(late.len(), 2);
    for cell in late {
        assert_eq!(["requests", "answers", "records"].map(|what| counted(cell, what)), [1, 1, 1]);
    }
    assert_eq!(
        [SET.with("t5", "unknown_absent", 20).len(), SET.with("t5", "unknown_present", 20).len()],
        [1, 1]
    );
    // The controls met the same fault.
    for (profile, tally, controls) in [
        ("l3", "acks0_drop", 2),
        ("d1", "duplicate_same_attempt", 2),
        ("o1", "reorder", 1),
        ("t4", "aborted_read", 2),
    ] {
        let calm = SET.with(profile, tally, 0);
        assert_eq!(calm.len(), controls, "{profile}");
        assert!(calm.iter().all(|cell| counted(cell, "requests") > 0), "{profile}");
    }
}
