//! Faults of broker processes through the real binary on a real local cluster: the anomaly that theory predicts, with its
//! exact count, and the settings that prevent it. Needs Java 17 (and Maven once).

use recipes::{count, fine};
use serde_json::Value;

mod recipes;

fn of<'c>(cells: &'c [Value], profile: &'c str) -> impl Iterator<Item = &'c Value> {
    cells.iter().filter(move |cell| cell["profile"] == profile)
}

/// What is said to prove the first step of a cell's faults.
fn proof(cell: &Value) -> String {
    cell["faults"][0]["proof"].to_string()
}

#[test]
fn loss_duplicates_and_waiting_come_exactly_where_they_are_predicted() {
    let cold = ["l4", "d4", "s1", "p1"].map(|name| format!("{name}:cluster.warm=0s"));
    let mut arguments = vec!["recipes/l4.toml", "recipes/d4.toml", "recipes/s1.toml", "recipes/p1.toml"];
    for cold in &cold {
        arguments.extend(["--set", cold]);
    }
    let (cells, _) = fine(&arguments);
    assert_eq!(of(&cells, "l4").filter(|cell| count(cell, "log_loss") == 1_000).count(), 2);
    assert_eq!(of(&cells, "d4").filter(|cell| count(cell, "duplicate_same_attempt") == 100).count(), 1);
    assert_eq!(of(&cells, "s1").filter(|cell| count(cell, "unknown_present") == 100).count(), 1);
    let lost: Vec<&Value> = of(&cells, "p1").filter(|cell| count(cell, "log_loss") == 1_010).collect();
    assert_eq!(lost.len(), 1);
    // What was computed before the restart is what was lost, and Kafka went on from there.
    for cut in lost[0]["faults"][0]["cuts"].as_array().expect("cuts") {
        assert_eq!(cut["partitions"][0]["records"], 1_010);
    }
    assert!(proof(lost[0]).contains("leads from offset 0, as computed"), "{}", proof(lost[0]));
    let flushed = of(&cells, "p1")
        .find(|cell| cell["label"].as_str().is_some_and(|label| label.contains("flush-messages=1")));
    let flushed = flushed.expect("the control that flushes");
    assert!(proof(flushed).contains("flushed to 1010, end 1010 -> 1010, 0 records"), "{}", proof(flushed));
}
