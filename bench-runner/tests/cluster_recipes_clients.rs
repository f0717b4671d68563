//! The recipes in which members and producers die, stand still, join or come twice, as one set on one real local cluster: what
//! is lost and repeated is what arithmetic says, and not where a setting prevents it. Needs Java 17 (and Maven once).
//!
//! The first test runs the set; the others look at what it left.

use recipes::{Set, count, is_of_clients};
use serde_json::Value;
use std::sync::LazyLock;

mod recipes;

static SET: LazyLock<Set> = LazyLock::new(|| Set::run(is_of_clients));

fn continued(stated: &Value) -> bool {
    stated["deaths"][0]["continued_ns"].is_u64()
}

#[test]
fn no_death_of_a_client_breaks_a_promise() {
    let broken: Vec<&Value> = SET.cells.iter().filter(|cell| cell["promise"] == "violated").collect();
    assert_eq!(broken, [&Value::Null; 0]);
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
    ] {
        assert!(!SET.with(profile, tally, expected).is_empty(), "{profile}: the control that shows {tally}");
    }
    // Zombies went on when others had taken over.
    for (profile, zombies) in [("c5", 3), ("c5-sinks", 6), ("c5-consumer", 6)] {
        assert_eq!(
            SET.of(profile).iter().filter(|(_, stated)| continued(stated)).count(),
            zombies,
            "{profile}"
        );
    }
    let consumers = [SET.of("c5-consumer"), SET.of("c6-consumer")].concat();
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
        let cell = SET.labelled("c5-sinks", label);
        let found = (count(cell, "sink_duplicate"), count(cell, "sink_refused"));
        assert_eq!(found, (duplicates, refused), "{label}");
    }
    // The zombie itself says so.
    let refused_rows = |stated: &Value| -> u64 {
        let members = stated["members"].as_array().expect("members");
        members.iter().filter_map(|done| done["refused_rows"].as_u64()).sum()
    };
    let mut refused: Vec<u64> = SET.of("c5-sinks").iter().map(|(_, stated)| refused_rows(stated)).collect();
    refused.sort_unstable();
    assert_eq!(refused, [0, 0, 0, 0, 100, 100]);
}

#[test]
fn a_transaction_is_all_or_nothing_and_its_producer_fenced_when_its_time_or_its_id_is_gone() {
    assert_eq!(count(SET.labelled("t1", "transaction=100, abort-every=3"), "aborted_copies"), 200);
    assert_eq!(count(SET.labelled("c8", "commit=transaction"), "sink_duplicate"), 0);
    for (cell, _) in [SET.of("t1"), SET.of("c8")].concat() {
        let label = cell["label"].as_str().expect("a label");
        let is_counted = cell["verdict"]["tallies"].get("torn_transaction").is_some();
        assert_eq!(is_counted, label.contains("transaction"), "{label}");
        if is_counted {
            assert_eq!((count(cell, "torn_transaction"), count(cell, "aborted_read")), (0, 0), "{label}");
        }
    }
    // What a member had written before it was killed is timed, too.
    for (cell, _) in SET.of("c8") {
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
    for (cell, stated) in [SET.of("t2"), SET.of("t3")].concat() {
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
