//! Workers that are killed at any instant, deaths in a group whose input is written in transactions, and the death of a group's
//! coordinator, through the real binary on a real local cluster: books balance and promises hold. Needs Java 17 (and Maven once).

use recipes::{count, fine};
use serde_json::Value;

mod recipes;

#[test]
fn kills_at_random_instants_aborted_input_and_a_dead_coordinator_leave_balanced_books_and_kept_promises() {
    let profiles = [
        "kill-workers.toml",
        "kill-transactions.toml",
        "../bench-runner/tests/sinks/transactional-input.toml",
        "../bench-runner/tests/faults/coordinator.toml",
    ];
    let some =
        ["kill-workers.*commit-sync-after*", "kill-transactions.*", "transactional-input.*", "coordinator.*"];
    let some: Vec<&str> = some.into_iter().flat_map(|pattern| ["--only", pattern]).collect();
    let short =
        ["--set", "kill-transactions:load.duration=6s", "--set", "kill-transactions:topic.partitions=2"];
    let cold = ["--set", "cluster.warm=0s"];
    let (cells, stated) = fine(&[&profiles[..], &some, &short, &cold].concat());
    let of = |profile: &str| -> Vec<(&Value, &Value)> {
        cells.iter().zip(&stated).filter(|(cell, _)| cell["profile"] == profile).collect()
    };
    let kills = |stated: &Value| stated["kills"].as_array().expect("kills").clone();
    let [(cell, stated)] = of("kill-workers")[..] else { panic!("one cell") };
    assert_eq!(kills(stated).len(), 10);
    let sigkill = |kill: &Value| kill["as_planned"] == true && kill["exit"] == "signal: 9 (SIGKILL)";
    assert!(kills(stated).iter().all(sigkill));
    assert_eq!((count(cell, "log_loss"), count(cell, "processing_loss")), (0, 0));

    assert_eq!(of("kill-transactions").iter().map(|(_, stated)| kills(stated).len()).sum::<usize>(), 40);

    let input = of("transactional-input");
    assert_eq!(input.len(), 4);
    assert!(input.iter().any(|(cell, _)| count(cell, "redelivery") == 100), "the control that repeats");
    for (cell, _) in input {
        let records = cell["verdict"]["records"].as_u64();
        assert_eq!((records, count(cell, "aborted_copies")), (Some(600), 200), "{}", cell["id"]);
    }

    let [(cell, _)] = of("coordinator")[..] else { panic!("one cell") };
    let killed = cell["faults"][0]["brokers"][0].as_i64().expect("a broker");
    let proof = cell["faults"][0]["proof"].to_string();
    assert!(proof.contains(&format!(": coordinator {killed} -> ")), "{proof}");
}
