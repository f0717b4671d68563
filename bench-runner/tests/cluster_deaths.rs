//! Workers that stand still, join late, die and are killed, through the real binary on a real local cluster: exactly what
//! arithmetic predicts comes again, and whatever the instant of a kill, books balance and promises hold. Needs Java 17
//! (and Maven once).

use recipes::{count, fine};
use serde_json::Value;

mod recipes;

#[test]
fn a_zombie_a_newcomer_and_a_restarted_producer_repeat_what_arithmetic_says() {
    let cold = ["c5", "c6", "d3"].map(|name| format!("{name}:cluster.warm=0s"));
    let [c5, c6, d3] = &cold;
    let (cells, stated) = fine(&[
        "recipes/c5.toml",
        "recipes/c6.toml",
        "recipes/d3.toml",
        "--set",
        c5,
        "--set",
        c6,
        "--set",
        d3,
    ]);
    assert!(cells.iter().any(|cell| count(cell, "redelivery") == 100), "the zombie's batch");
    assert!(cells.iter().any(|cell| count(cell, "duplicate_cross_attempt") == 100), "sent again");
    let continued = |stated: &Value| stated["deaths"][0]["continued_ns"].is_u64();
    assert_eq!(stated.iter().filter(|stated| continued(stated)).count(), 3);
}

#[test]
fn a_zombies_late_write_is_refused_where_the_sink_or_a_transaction_fences_it() {
    let (cells, stated) = fine(&["recipes/c5-sinks.toml", "--set", "cluster.warm=0s"]);
    let of = |label: &str| cells.iter().find(|cell| cell["label"] == label).expect("a cell");
    for (label, duplicates, refused) in [
        ("commit=sync-after, sink=sqlite-append", 100, 0),
        ("commit=sync-after, sink=sqlite-upsert", 0, 0),
        ("commit=in-sink, sink=sqlite-append", 0, 100),
        ("commit=sync-before, sink=sqlite-append", 0, 0),
        ("commit=transaction, sink=topic", 0, 100),
        ("commit=sync-after, sink=topic", 100, 0),
    ] {
        let cell = of(label);
        assert_eq!(
            (count(cell, "sink_duplicate"), count(cell, "sink_refused")),
            (duplicates, refused),
            "{label}"
        );
    }
    // The zombie itself says so.
    let refused_rows = |stated: &Value| -> u64 {
        stated["members"]
            .as_array()
            .expect("members")
            .iter()
            .filter_map(|done| done["refused_rows"].as_u64())
            .sum()
    };
    let mut refused: Vec<u64> = stated.iter().map(refused_rows).collect();
    refused.sort_unstable();
    assert_eq!(refused, [0, 0, 0, 0, 100, 100]);
    assert!(stated.iter().all(|stated| stated["deaths"][0]["continued_ns"].is_u64()));
}

#[test]
fn the_consumer_protocol_repeats_and_refuses_what_arithmetic_says() {
    let profiles = ["recipes/c5-consumer.toml", "recipes/c6-consumer.toml"];
    let (cells, stated) = fine(&[&profiles[..], &["--set", "cluster.warm=0s"]].concat());
    assert_eq!(cells.len(), 9);
    let known = |cell: &Value| cell["settings"]["consumer.protocol"] == "consumer";
    assert!(cells.iter().all(known), "{}", cells[0]["settings"]);
    let continued = stated.iter().filter(|stated| stated["deaths"][0]["continued_ns"].is_u64()).count();
    assert_eq!(continued, 6);
    assert!(cells.iter().any(|cell| count(cell, "redelivery") == 200), "the partition that moved");
}

#[test]
fn ten_kills_at_random_instants_leave_balanced_books_and_kept_promises() {
    let (cells, stated) =
        fine(&["kill-workers.toml", "--only", "*commit=sync-after", "--only", "*sink=topic"]);
    assert_eq!(cells.len(), 2);
    for stated in &stated {
        let kills = stated["kills"].as_array().expect("kills");
        assert_eq!(kills.len(), 10);
        assert!(kills.iter().all(|kill| kill["as_planned"] == true && kill["exit"] == "signal: 9 (SIGKILL)"));
    }
    for cell in &cells {
        assert_eq!((count(cell, "log_loss"), count(cell, "processing_loss")), (0, 0), "{}", cell["id"]);
    }
    let piped = cells.iter().find(|cell| cell["settings"]["consumer.sink"] == "topic").expect("a pipeline");
    assert_eq!((count(piped, "sink_loss"), count(piped, "sink_duplicate")), (0, 0), "each record once");
}
