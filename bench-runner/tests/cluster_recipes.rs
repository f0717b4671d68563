//! All recipes that ship, as one set on one real local cluster: every anomaly that theory predicts comes with its exact count,
//! and not where a setting prevents it. Needs Java 17 (and Maven once).
//!
//! The first test runs the set; the others look at what it left.

use recipes::{count, fine};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Instant;

mod recipes;

/// The summary's cells, and the results of each with what was stated beside it.
static SET: LazyLock<(Vec<Value>, Vec<Value>)> = LazyLock::new(|| {
    let names = names();
    let mut arguments: Vec<&str> = names.iter().map(String::as_str).collect();
    arguments.extend(["--set", "cluster.warm=0s"]);
    let began = Instant::now();
    let set = fine(&arguments);
    eprintln!("{} cells of {} recipes took {:.0?}", set.0.len(), names.len(), began.elapsed());
    set
});

/// `recipes/c1.toml` and so on.
fn names() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles/recipes");
    let files = std::fs::read_dir(folder).expect("recipes").map(|entry| entry.expect("a file").file_name());
    let mut names: Vec<String> = files.map(|name| format!("recipes/{}", name.to_string_lossy())).collect();
    names.sort();
    names
}

/// The cells of a recipe, each with what was stated beside it.
fn of(profile: &str) -> Vec<(&'static Value, &'static Value)> {
    let cells = SET.0.iter().zip(&SET.1).filter(|(cell, _)| cell["profile"] == profile);
    cells.collect()
}

/// The cells of a recipe that show so much.
fn with(profile: &str, tally: &str, expected: u64) -> Vec<&'static Value> {
    of(profile).into_iter().map(|(cell, _)| cell).filter(|cell| count(cell, tally) == expected).collect()
}

fn labelled(profile: &str, label: &str) -> &'static Value {
    let cells = of(profile);
    cells.into_iter().map(|(cell, _)| cell).find(|cell| cell["label"] == label).expect(label)
}

/// What is said to prove the first step of a cell's faults.
fn proof(cell: &Value) -> String {
    cell["faults"][0]["proof"].to_string()
}

/// What the proxies have counted of a cell's first step.
fn counted(cell: &Value, what: &str) -> u64 {
    let hits = cell["faults"][0]["hits"].as_array().expect("hits");
    hits.iter().map(|hit| hit[what].as_u64().expect("a count")).sum()
}

fn continued(stated: &Value) -> bool {
    stated["deaths"][0]["continued_ns"].is_u64()
}

#[test]
fn every_recipe_shows_what_it_expects_and_breaks_no_promise_but_one() {
    let missing: Vec<String> = names()
        .into_iter()
        .filter(|name| {
            let stem = name.trim_start_matches("recipes/").trim_end_matches(".toml");
            of(stem).is_empty()
        })
        .collect();
    assert_eq!(missing, [""; 0], "recipes without a cell");
    for cell in &SET.0 {
        let steps = cell["faults"].as_array().map_or(&[][..], Vec::as_slice);
        let is_proven = |step: &Value| step["proof"].as_array().is_some_and(|proof| !proof.is_empty());
        assert!(steps.iter().all(is_proven), "{}", cell["id"]);
    }
    // A late end of one transaction ends the next: nothing but that breaks a promise here.
    let visible = [with("t4", "aborted_read", 20), with("t4-torn", "aborted_read", 10)].concat();
    assert_eq!(visible.iter().map(|cell| count(cell, "torn_transaction")).collect::<Vec<_>>(), [0, 1]);
    let broken: Vec<&Value> = SET.0.iter().filter(|cell| cell["promise"] == "violated").collect();
    let ids = |cells: &[&Value]| cells.iter().map(|cell| cell["id"].to_string()).collect::<BTreeSet<_>>();
    assert_eq!(ids(&broken), ids(&visible));
    assert!(broken.iter().all(|cell| counted(cell, "answers") == 1));
}

#[test]
fn acknowledged_records_are_lost_where_a_leader_alone_or_nobody_has_them() {
    for (cell, _) in of("l1") {
        let is_lost = cell["label"] == "acks=1";
        assert_eq!(count(cell, "log_loss"), if is_lost { 1_000 } else { 0 }, "{}", cell["id"]);
        assert_eq!(cell["promise"], if is_lost { "allowed" } else { "kept" }, "{}", cell["id"]);
        assert_eq!(cell["faults"].as_array().map(Vec::len), Some(4));
    }
    assert_eq!(of("l1").len(), 3);
    assert_eq!([with("l2", "log_loss", 500).len(), with("l2", "acks0_drop", 500).len()], [1, 1]);
    // Who cannot learn of the election goes on acknowledging behind it.
    assert_eq!(
        [with("l2-full", "log_loss", 1_000).len(), with("l2-full", "acks0_drop", 1_000).len()],
        [1, 1]
    );
    assert_eq!(with("l4", "log_loss", 1_000).len(), 2);
    let lost = with("p1", "log_loss", 1_010);
    assert_eq!(lost.len(), 1);
    // What was computed before the restart is what was lost, and Kafka went on from there.
    for cut in lost[0]["faults"][0]["cuts"].as_array().expect("cuts") {
        assert_eq!(cut["partitions"][0]["records"], 1_010);
    }
    assert!(proof(lost[0]).contains("leads from offset 0, as computed"), "{}", proof(lost[0]));
    let is_flushed = |cell: &&Value| cell["label"].as_str().is_some_and(|it| it.contains("flush-messages=1"));
    let flushed = with("p1", "log_loss", 0).into_iter().find(is_flushed).expect("the control that flushes");
    assert!(proof(flushed).contains("flushed to 1010, end 1010 -> 1010, 0 records"), "{}", proof(flushed));
}

#[test]
fn slow_followers_make_answers_late_and_records_double() {
    assert_eq!(with("s1", "unknown_present", 100).len(), 1);
    assert_eq!(with("d4", "duplicate_same_attempt", 100).len(), 1);
    let handed_over = with("d2", "duplicate_same_attempt", 100);
    assert_eq!(handed_over.len(), 2);
    assert!(handed_over.iter().all(|cell| count(cell, "unknown_present") == 0), "every report is a success");
}

#[test]
fn drops_duplicates_and_reordering_are_what_the_proxies_counted() {
    // What is gone is what the proxy has counted, and no more.
    let dropped = with("l3", "acks0_drop", 1_000);
    assert_eq!(dropped.len(), 1);
    assert_eq!(counted(dropped[0], "records"), 1_000);
    let (doubled, unanswered) =
        (with("d1", "duplicate_same_attempt", 100), with("d1", "unknown_present", 100));
    assert_eq!((doubled.len(), unanswered.len()), (2, 1));
    for cell in doubled.into_iter().chain(unanswered) {
        assert_eq!((counted(cell, "records"), counted(cell, "requests")), (100, counted(cell, "answers")));
    }
    let late = with("o1", "reorder", 1);
    assert_eq!(late.len(), 2);
    for cell in late {
        assert_eq!(["requests", "answers", "records"].map(|what| counted(cell, what)), [1, 1, 1]);
    }
    assert_eq!([with("t5", "unknown_absent", 20).len(), with("t5", "unknown_present", 20).len()], [1, 1]);
    // The controls met the same fault.
    for (profile, tally, controls) in [
        ("l3", "acks0_drop", 2),
        ("d1", "duplicate_same_attempt", 2),
        ("o1", "reorder", 1),
        ("t4", "aborted_read", 2),
    ] {
        let calm = with(profile, tally, 0);
        assert_eq!(calm.len(), controls, "{profile}");
        assert!(calm.iter().all(|cell| counted(cell, "requests") > 0), "{profile}");
    }
}

#[test]
fn members_that_die_stand_still_or_join_repeat_and_lose_what_arithmetic_says() {
    for (profile, tally, expected) in [
        ("c1", "processing_loss", 64),
        ("c2", "redelivery", 37),
        ("c3", "processing_loss", 63),
        ("c7", "processing_loss", 63),
        ("c4", "sink_duplicate", 100),
        ("c4", "sink_loss", 100),
        ("c5", "redelivery", 100),
        ("c6", "redelivery", 400),
        ("c6-consumer", "redelivery", 200),
        ("c8", "sink_duplicate", 100),
        ("d3", "duplicate_cross_attempt", 100),
    ] {
        assert!(!with(profile, tally, expected).is_empty(), "{profile}: the control that shows {tally}");
    }
    // Zombies went on when others had taken over.
    for (profile, zombies) in [("c5", 3), ("c5-sinks", 6), ("c5-consumer", 6)] {
        assert_eq!(of(profile).iter().filter(|(_, stated)| continued(stated)).count(), zombies, "{profile}");
    }
    let consumers = [of("c5-consumer"), of("c6-consumer")].concat();
    assert_eq!(consumers.len(), 9);
    let known = |cell: &Value| cell["settings"]["consumer.protocol"] == "consumer";
    assert!(consumers.iter().all(|(cell, _)| known(cell)), "{}", consumers[0].0["settings"]);
}

#[test]
fn a_zombies_late_write_is_refused_where_the_sink_or_a_transaction_fences_it() {
    for (label, duplicates, refused) in [
        ("commit=sync-after, sink=sqlite-append", 100, 0),
        ("commit=sync-after, sink=sqlite-upsert", 0, 0),
        ("commit=in-sink, sink=sqlite-append", 0, 100),
        ("commit=sync-before, sink=sqlite-append", 0, 0),
        ("commit=transaction, sink=topic", 0, 100),
        ("commit=sync-after, sink=topic", 100, 0),
    ] {
        let cell = labelled("c5-sinks", label);
        let found = (count(cell, "sink_duplicate"), count(cell, "sink_refused"));
        assert_eq!(found, (duplicates, refused), "{label}");
    }
    // The zombie itself says so.
    let refused_rows = |stated: &Value| -> u64 {
        let members = stated["members"].as_array().expect("members");
        members.iter().filter_map(|done| done["refused_rows"].as_u64()).sum()
    };
    let mut refused: Vec<u64> = of("c5-sinks").iter().map(|(_, stated)| refused_rows(stated)).collect();
    refused.sort_unstable();
    assert_eq!(refused, [0, 0, 0, 0, 100, 100]);
}

#[test]
fn a_transaction_is_all_or_nothing_and_its_producer_fenced_when_its_time_or_its_id_is_gone() {
    assert_eq!(count(labelled("t1", "transaction=100, abort-every=3"), "aborted_copies"), 200);
    assert_eq!(count(labelled("c8", "commit=transaction"), "sink_duplicate"), 0);
    for (cell, _) in [of("t1"), of("c8")].concat() {
        let label = cell["label"].as_str().expect("a label");
        let is_counted = cell["verdict"]["tallies"].get("torn_transaction").is_some();
        assert_eq!(is_counted, label.contains("transaction"), "{label}");
        if is_counted {
            assert_eq!((count(cell, "torn_transaction"), count(cell, "aborted_read")), (0, 0), "{label}");
        }
    }
    // What a member had written before it was killed is timed, too.
    for (cell, _) in of("c8") {
        let seen = &cell["latencies"]["output"];
        assert_eq!(
            (&seen["count"], &seen["censored"]),
            (&cell["verdict"]["records"], &0.into()),
            "{}: {seen}",
            cell["id"]
        );
        let transactions = &cell["latencies"]["output_visible"]["count"];
        assert_eq!(transactions.as_u64() > Some(0), cell["label"] == "commit=transaction", "{transactions}");
    }
    let mut fenced = 0;
    for (cell, stated) in [of("t2"), of("t3")].concat() {
        assert!(continued(stated), "{}: it stood still", cell["id"]);
        let death = &stated["deaths"][0];
        let errors = &death["transaction_errors"];
        let was_fenced = errors["commit: fenced: _FENCED: stopped"] == 1;
        assert_eq!(was_fenced, count(cell, "aborted_copies") > 0, "{}: {errors}", cell["id"]);
        assert_eq!(death["taken_ns"].is_u64(), was_fenced && cell["profile"] == "t3", "{}", cell["id"]);
        fenced += u32::from(was_fenced);
    }
    assert_eq!(fenced, 4);
}
