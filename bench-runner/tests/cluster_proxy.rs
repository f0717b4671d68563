//! What proxies do to requests and answers, through the real binary on a real local cluster: the anomaly that theory predicts, with
//! its exact count, and the settings that prevent it. Needs Java 17 (and Maven once).

use recipes::{count, fine};
use serde_json::Value;

mod recipes;

/// What the proxies have counted of a cell's first step.
fn counted(cell: &Value, what: &str) -> u64 {
    let hits = cell["faults"][0]["hits"].as_array().expect("hits");
    hits.iter().map(|hit| hit[what].as_u64().expect("a count")).sum()
}

#[test]
fn drops_duplicates_and_reordering_come_exactly_where_they_are_predicted() {
    let recipes = ["l3", "d1", "o1", "t4", "t4-torn", "t5"].map(|name| format!("recipes/{name}.toml"));
    let mut arguments: Vec<&str> = recipes.iter().map(String::as_str).collect();
    arguments.extend(["--set", "cluster.warm=0s"]);
    let (cells, _) = fine(&arguments);
    let of = |profile: &str, tally: &str, expected: u64| -> Vec<&Value> {
        let fits = |cell: &&Value| cell["profile"] == profile && count(cell, tally) == expected;
        cells.iter().filter(fits).collect()
    };
    // What is gone is what the proxy has counted, and no more.
    let dropped = of("l3", "acks0_drop", 1_000);
    assert_eq!(dropped.len(), 1);
    assert_eq!(counted(dropped[0], "records"), 1_000);
    let doubled = of("d1", "duplicate_same_attempt", 100);
    assert_eq!(doubled.len(), 2);
    for cell in doubled.into_iter().chain(of("d1", "unknown_present", 100)) {
        assert_eq!((counted(cell, "records"), counted(cell, "requests")), (100, counted(cell, "answers")));
    }
    assert_eq!(of("d1", "unknown_present", 100).len(), 1);
    let late = of("o1", "reorder", 1);
    assert_eq!(late.len(), 2);
    for cell in late {
        assert_eq!(["requests", "answers", "records"].map(|what| counted(cell, what)), [1, 1, 1]);
    }
    // A late end of one transaction ends the next: nothing but that breaks a promise here.
    let visible = [of("t4", "aborted_read", 20), of("t4-torn", "aborted_read", 10)].concat();
    assert_eq!(visible.iter().map(|cell| count(cell, "torn_transaction")).collect::<Vec<_>>(), [0, 1]);
    let broken: Vec<&Value> = cells.iter().filter(|cell| cell["promise"] == "violated").collect();
    assert_eq!(broken, visible);
    assert!(broken.iter().all(|cell| counted(cell, "answers") == 1));
    assert_eq!([of("t5", "unknown_absent", 20).len(), of("t5", "unknown_present", 20).len()], [1, 1]);
    // The controls met the same fault.
    for (profile, tally, controls) in [
        ("l3", "acks0_drop", 2),
        ("d1", "duplicate_same_attempt", 2),
        ("o1", "reorder", 1),
        ("t4", "aborted_read", 2),
    ] {
        let calm = of(profile, tally, 0);
        assert_eq!(calm.len(), controls, "{profile}");
        assert!(calm.iter().all(|cell| counted(cell, "requests") > 0), "{profile}");
    }
}
