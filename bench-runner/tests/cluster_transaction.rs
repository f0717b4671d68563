//! Transactions through the real binary on a real local cluster: what is aborted is shown to nobody, and a pipeline whose
//! member dies inside of a transaction has every record once, where its control repeats a batch. Needs Java 17 (and Maven
//! once).

use recipes::{count, fine};

mod recipes;

#[test]
fn a_transaction_is_all_or_nothing_in_the_log_and_in_a_pipelines_output() {
    let profiles = ["recipes/t1.toml", "recipes/c8.toml"];
    let cold = ["--set", "t1:cluster.warm=0s", "--set", "c8:cluster.warm=0s"];
    let (cells, _) = fine(&[&profiles[..], &cold].concat());
    let of = |profile: &str, label: &str| {
        let fits = |cell: &&serde_json::Value| cell["profile"] == profile && cell["label"] == label;
        cells.iter().find(fits).expect("a cell")
    };
    assert_eq!(
        count(of("t1", "transaction=100, abort-every=3"), "aborted_copies"),
        200,
        "the control that leaves copies"
    );
    assert_eq!(count(of("c8", "commit=sync-after"), "sink_duplicate"), 100, "the control that repeats");
    assert_eq!(count(of("c8", "commit=transaction"), "sink_duplicate"), 0);
    for cell in cells.iter().filter(|cell| cell["verdict"]["tallies"].get("torn_transaction").is_some()) {
        assert_eq!((count(cell, "torn_transaction"), count(cell, "aborted_read")), (0, 0), "{}", cell["id"]);
    }
}
