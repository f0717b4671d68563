//! The checker, checked on a real cluster: what proxies lie stands in the books with its exact count, and no loss is called
//! Kafka's that is none. Needs Java 17 (and Maven once).

use recipes::{count, is_as_expected, ran};
use serde_json::Value;

mod recipes;

const TRUNCATED: &str = "../bench-runner/tests/liars/truncated.toml";

/// What the proxies have counted of a cell's lie.
fn counted(cell: &Value, what: &str) -> u64 {
    let hits = cell["faults"][0]["hits"].as_array().expect("hits");
    hits.iter().map(|hit| hit[what].as_u64().expect("a count")).sum()
}

fn text<'a>(cell: &'a Value, field: &str) -> &'a str {
    cell[field].as_str().expect("a text")
}

#[test]
fn the_verdict_names_every_lie_and_believes_no_reader_against_the_segments() {
    let (output, cells, _) = ran(&["liars.toml", TRUNCATED, "--set", "cluster.warm=0s"]);
    assert_eq!(output.status.code(), Some(1), "a cell is void");
    let (liars, truncated): (Vec<&Value>, Vec<&Value>) =
        cells.iter().partition(|cell| cell["profile"] == "liars");
    assert_eq!((liars.len(), truncated.len()), (6, 1));
    for cell in &cells {
        assert!(cell["faults"][0]["proof"] != serde_json::json!([]), "{}", cell["id"]);
        let caveats = cell["caveats"].as_array().expect("caveats");
        assert!(caveats.iter().any(|caveat| caveat["kind"] == "lied-to"), "{}", cell["id"]);
    }
    for cell in liars {
        is_as_expected(cell);
        let label = text(cell, "label");
        let (tally, promise) = match label {
            _ if label.contains("acknowledge") => ("log_loss", "violated"),
            _ if label.contains("duplicate") => ("duplicate_same_attempt", "allowed"),
            _ => ("reorder", "allowed"),
        };
        let is_control = label.contains("idempotence=true") && tally != "log_loss";
        assert_eq!(text(cell, "promise"), if is_control { "kept" } else { promise }, "{label}");
        // The books find what the proxy has counted, and no more.
        assert!(counted(cell, "records") > 0, "{label}");
        let found = if is_control { 0 } else { counted(cell, "records") };
        assert_eq!(count(cell, tally), found, "{label}");
    }
    let cell = truncated[0];
    assert_eq!(text(cell, "outcome"), "void");
    let reason = text(cell, "reason");
    assert!(reason.contains("told that it ends at offset 10, and it goes on to 110"), "{reason}");
    assert!(cell["promise"].is_null(), "nothing is claimed: {}", cell["promise"]);
    assert!(counted(cell, "answers") > 0);
}
