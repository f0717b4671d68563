//! Workers that are killed at any instant, deaths in a group whose input is written in transactions, and the death of a group's
//! coordinator, through the real binary on a real local cluster: books balance and promises hold. Needs Java 17 (and Maven once).

use recipes::{count, fine};
use serde_json::Value;

mod recipes;

#[test]
fn kills_at_random_instants_transactional_input_and_a_dead_coordinator_leave_balanced_books_and_kept_promises()
 {
    let profiles = [
        "kill-workers.toml",
        "kill-transactions.toml",
        "../bench-runner/tests/sinks/transactional-input.toml",
        "../bench-runner/tests/sinks/transactional-pipeline.toml",
        "../bench-runner/tests/faults/coordinator.toml",
    ];
    let some = [
        "kill-workers.*commit-sync-after.*",
        "kill-workers.*commit-transaction*",
        "kill-transactions.*",
        "transactional-input.*",
        "transactional-pipeline.*",
        "coordinator.*",
    ];
    let some: Vec<&str> = some.into_iter().flat_map(|pattern| ["--only", pattern]).collect();
    let short =
        ["--set", "kill-transactions:load.duration=6s", "--set", "kill-transactions:topic.partitions=2"];
    let others = ["--set", "cluster.warm=0s", "--oracle"];
    let (cells, stated) = fine(&[&profiles[..], &some, &short, &others].concat());
    cells.iter().zip(&stated).for_each(dumped_alike);
    let of = |profile: &str| -> Vec<(&Value, &Value)> {
        cells.iter().zip(&stated).filter(|(cell, _)| cell["profile"] == profile).collect()
    };
    let kills = |stated: &Value| stated["kills"].as_array().expect("kills").clone();
    let workers = of("kill-workers");
    assert_eq!(workers.len(), 2);
    let sigkill = |kill: &Value| kill["as_planned"] == true && kill["exit"] == "signal: 9 (SIGKILL)";
    for (cell, stated) in &workers {
        assert_eq!(kills(stated).len(), 10);
        assert!(kills(stated).iter().all(sigkill));
        assert_eq!((count(cell, "log_loss"), count(cell, "processing_loss")), (0, 0), "{}", cell["id"]);
    }
    let piped = workers.iter().find(|(cell, _)| cell["settings"]["consumer.sink"] == "topic");
    let (piped, _) = piped.expect("a pipeline");
    assert_eq!((count(piped, "sink_loss"), count(piped, "sink_duplicate")), (0, 0), "each record once");

    assert_eq!(of("kill-transactions").iter().map(|(_, stated)| kills(stated).len()).sum::<usize>(), 40);

    let input = of("transactional-input");
    assert_eq!(input.len(), 4);
    assert!(input.iter().any(|(cell, _)| count(cell, "redelivery") == 100), "the control that repeats");
    for (cell, _) in input {
        let records = cell["verdict"]["records"].as_u64();
        assert_eq!((records, count(cell, "aborted_copies")), (Some(600), 200), "{}", cell["id"]);
    }

    let pipelines = of("transactional-pipeline");
    assert_eq!(pipelines.len(), 4);
    assert!(pipelines.iter().any(|(cell, _)| count(cell, "redelivery") == 100), "the control that repeats");
    pipelines.iter().for_each(|(cell, _)| owes_what_was_committed(cell));

    let [(cell, _)] = of("coordinator")[..] else { panic!("one cell") };
    let killed = cell["faults"][0]["brokers"][0].as_i64().expect("a broker");
    let proof = cell["faults"][0]["proof"].to_string();
    assert!(proof.contains(&format!(": coordinator {killed} -> ")), "{proof}");
}

/// Kafka's own log dump counts what our reading does, on all three replicas.
fn dumped_alike((cell, stated): (&Value, &Value)) {
    let identities = cell["verdict"]["identities"].as_array().expect("identities");
    let dump = identities.iter().find(|identity| identity["name"] == "dump").expect("Kafka's dump");
    assert_eq!(dump["holds"], true, "{}: {dump}", cell["id"]);
    let dumps = stated["dumps"].as_array().expect("dumps");
    let sum = |field: &str| dumps.iter().map(|dump| dump[field].as_u64().expect("a count")).sum::<u64>();
    let copies = cell["verdict"]["copies"].as_u64().expect("copies");
    assert_eq!((sum("records"), sum("invalid_batches")), (3 * copies, 0), "{}", cell["id"]);
    let in_transactions = cell["settings"]["producer.transaction"].is_string();
    assert_eq!(sum("control_records") > 0, in_transactions, "{}", cell["id"]);
}

/// A pipeline owes an output for what was committed in its input, and writes what it is shown.
fn owes_what_was_committed(cell: &Value) {
    let of = |tally: &str| cell["verdict"]["tallies"][tally]["of"].as_u64().expect("a denominator");
    let settings = |key: &str| cell["settings"][key].as_str().expect("a setting");
    let rows = match (settings("consumer.isolation"), settings("consumer.commit")) {
        ("read_uncommitted", _) => 600,
        (_, "transaction") => 400,
        (_, _) => 500,
    };
    assert_eq!((of("sink_loss"), of("sink_duplicate")), (400, rows), "{}", cell["id"]);
    let timed = |series: &str| cell["latencies"][series]["count"].as_u64().unwrap_or(0);
    assert_eq!(timed("transaction"), 4, "{}: the producer's alone", cell["id"]);
    let in_transactions = settings("consumer.commit") == "transaction";
    assert_eq!(timed("output_transaction") > 0, in_transactions, "{}", cell["id"]);
}
