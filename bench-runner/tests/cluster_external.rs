//! A cluster that is not ours, behind proxies of ours: its brokers advertise their own addresses, and its clients meet a proxy
//! at each of them all the same. Needs Java 17 (and Maven once).

use held::Held;
use recipes::{count, fine};
use serde_json::Value;

mod held;
mod recipes;

/// What the proxies have counted of one step, over all brokers.
fn counted(cell: &Value, step: usize, what: &str) -> u64 {
    let hits = cell["faults"][step]["hits"].as_array().expect("hits");
    hits.iter().map(|hit| hit[what].as_u64().expect("a count")).sum()
}

#[test]
fn faults_at_proxies_reach_the_clients_of_a_cluster_that_is_not_ours() {
    let state = tempfile::tempdir().expect("a directory");
    let held = Held::start(state.path(), &[]);
    let profiles = ["recipes/d1.toml", "../bench-runner/tests/held/behind-proxies.toml"];
    let (cells, _) = fine(&[&profiles[..], &["--bootstrap-server", held.bootstrap()]].concat());
    let (of_proxies, d1): (Vec<&Value>, Vec<&Value>) =
        cells.iter().partition(|cell| cell["profile"] == "behind-proxies");
    // The same counts as on a cluster of ours, whose brokers advertise the proxies.
    let doubled = d1.iter().filter(|cell| count(cell, "duplicate_same_attempt") == 100).count();
    let unanswered = d1.iter().filter(|cell| count(cell, "unknown_present") == 100).count();
    assert_eq!((d1.len(), doubled, unanswered), (4, 2, 1));
    for cell in &d1 {
        assert_eq!(counted(cell, 0, "records"), 100, "{}", cell["id"]);
    }
    // Every record of the second burst, and every request to a coordinator, came by a proxy.
    let cell = of_proxies[0];
    assert_eq!(counted(cell, 0, "records"), 90);
    assert!(counted(cell, 1, "requests") >= 3, "one end for each transaction");
    let is_met = |step| counted(cell, step, "requests") > 0;
    assert!(is_met(2) && is_met(3), "{}", cell["faults"]);
}
