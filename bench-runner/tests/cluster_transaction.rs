//! Transactions through the real binary on a real local cluster: what is aborted is shown to nobody, a producer that outstays
//! its time or is replaced is fenced, and a pipeline whose member dies inside of a transaction has every record once, where its
//! control repeats a batch. Needs Java 17 (and Maven once).

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

#[test]
fn a_producer_is_fenced_when_its_time_is_over_or_its_id_is_taken_and_killed_ones_leave_every_record_once() {
    let profiles = ["recipes/t2.toml", "recipes/t3.toml", "kill-transactions.toml"];
    let cold = ["--set", "t2:cluster.warm=0s", "--set", "t3:cluster.warm=0s"];
    let short =
        ["--set", "kill-transactions:load.duration=6s", "--set", "kill-transactions:topic.partitions=2"];
    let (cells, stated) = fine(&[&profiles[..], &cold, &short].concat());
    let mut fenced = 0;
    for (cell, stated) in cells.iter().zip(&stated) {
        let Some(death) = stated["deaths"].get(0) else { continue };
        assert!(death["continued_ns"].is_u64(), "{}: it stood still", cell["id"]);
        let errors = &death["transaction_errors"];
        let was_fenced = errors["commit: fenced: _FENCED: stopped"] == 1;
        assert_eq!(was_fenced, count(cell, "aborted_copies") > 0, "{}: {errors}", cell["id"]);
        assert_eq!(death["taken_ns"].is_u64(), was_fenced && cell["profile"] == "t3", "{}", cell["id"]);
        fenced += u32::from(was_fenced);
    }
    assert_eq!(fenced, 4);
    let kills: usize = stated.iter().map(|stated| stated["kills"].as_array().map_or(0, Vec::len)).sum();
    assert_eq!(kills, 40);
}

#[test]
fn books_of_group_and_sink_balance_where_the_input_is_written_in_transactions() {
    let profile = "../bench-runner/tests/sinks/transactional-input.toml";
    let (cells, stated) = fine(&[profile, "--set", "cluster.warm=0s", "--oracle"]);
    assert_eq!(cells.len(), 4);
    for (cell, stated) in cells.iter().zip(&stated) {
        let identities = cell["verdict"]["identities"].as_array().expect("identities");
        let dump = identities.iter().find(|identity| identity["name"] == "dump").expect("Kafka's dump");
        assert_eq!(dump["holds"], true, "{}: {dump}", cell["id"]);
        let dumps = stated["dumps"].as_array().expect("dumps");
        let sum = |field: &str| dumps.iter().map(|dump| dump[field].as_u64().expect("a count")).sum::<u64>();
        // All three replicas hold every copy, and the markers that end each transaction in each of its partitions.
        let copies = cell["verdict"]["copies"].as_u64().expect("copies");
        assert_eq!((sum("records"), sum("invalid_batches")), (3 * copies, 0), "{}", cell["id"]);
        assert!(sum("control_records") >= 3, "{}", cell["id"]);
    }
    assert!(cells.iter().any(|cell| count(cell, "redelivery") == 100), "the control that repeats");
    for cell in &cells {
        let records = cell["verdict"]["records"].as_u64();
        assert_eq!((records, count(cell, "aborted_copies")), (Some(600), 200), "{}", cell["id"]);
    }
}

#[test]
fn a_pipeline_owes_an_output_for_what_was_committed_in_its_input_and_writes_what_it_is_shown() {
    let profile = "../bench-runner/tests/sinks/transactional-pipeline.toml";
    let (cells, _) = fine(&[profile, "--set", "cluster.warm=0s"]);
    assert_eq!(cells.len(), 4);
    assert!(cells.iter().any(|cell| count(cell, "redelivery") == 100), "the control that repeats");
    let of = |cell: &serde_json::Value, tally: &str| {
        cell["verdict"]["tallies"][tally]["of"].as_u64().expect("a denominator")
    };
    for cell in &cells {
        let settings = |key: &str| cell["settings"][key].as_str().expect("a setting");
        let rows = match (settings("consumer.isolation"), settings("consumer.commit")) {
            ("read_uncommitted", _) => 600,
            (_, "transaction") => 400,
            (_, _) => 500,
        };
        let owed = of(cell, "sink_loss");
        assert_eq!((owed, of(cell, "sink_duplicate")), (400, rows), "{}", cell["id"]);
        let timed = |series: &str| cell["latencies"][series]["count"].as_u64().unwrap_or(0);
        assert_eq!(timed("transaction"), 4, "{}: the producer's alone", cell["id"]);
        let in_transactions = settings("consumer.commit") == "transaction";
        assert_eq!(timed("output_transaction") > 0, in_transactions, "{}", cell["id"]);
    }
}
