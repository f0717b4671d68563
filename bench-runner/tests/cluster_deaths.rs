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
fn ten_kills_at_random_instants_leave_balanced_books_and_kept_promises() {
    let (cells, stated) = fine(&["kill-workers.toml", "--only", "commit=sync-after"]);
    assert_eq!(cells.len(), 1);
    let kills = stated[0]["kills"].as_array().expect("kills");
    assert_eq!(kills.len(), 10);
    assert!(kills.iter().all(|kill| kill["as_planned"] == true && kill["exit"] == "signal: 9 (SIGKILL)"));
    assert_eq!((count(&cells[0], "log_loss"), count(&cells[0], "processing_loss")), (0, 0));
}
