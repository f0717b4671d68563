//! A topic that is administered while it is written to, and disks that break, through the real binary on one real local
//! cluster: each fault is proven and undone, and costs what is expected. Needs Java 17 (and Maven once), and root for the disks.

use recipes::{count, fine};
use serde_json::Value;

mod mounting;
mod recipes;

/// The proof of a cell's step, in its order.
fn proof(cell: &Value, step: usize) -> String {
    cell["faults"][step]["proof"].to_string()
}

/// How long the worst partition was silent over a cell's act, in seconds.
fn unavailable_s(cell: &Value, act: usize) -> f64 {
    let unavailable = &cell["recovery"][act]["unavailable"];
    unavailable["ns"].as_f64().unwrap_or_else(|| panic!("{unavailable}")) / 1e9
}

#[test]
fn topics_are_administered_and_disks_break_under_load_and_every_promise_is_kept() {
    let mut faults = vec![
        "leader-moves",
        "followers-move",
        "follower-stopped-raised",
        "followers-stopped-lowered",
        "topic-deleted",
    ];
    let of_disks = [("disk-full", "No space left on device"), ("read-only", "Read-only file system")];
    let of_disks = if mounting::is_wanted() { &of_disks[..] } else { &[] };
    faults.extend(of_disks.iter().map(|(fault, _)| *fault));
    let named = faults.iter().map(|fault| format!("*idempotence-true-fault-{fault}.*"));
    let only: Vec<String> = named.chain(["left-lowered.*".to_owned()]).collect();
    let only: Vec<&str> = only.iter().flat_map(|pattern| ["--only", pattern]).collect();
    let short = [
        "load.rate=1k/s",
        "load.warmup=1s",
        "load.duration=7s",
        "disk:cluster.brokers=4",
        "left-lowered:cluster.brokers=4",
        "cluster.warm=0s",
        // So long librdkafka waits before it believes that a topic is gone.
        "administration:producer.settings={\"topic.metadata.propagation.max.ms\"=3000}",
    ];
    let short: Vec<&str> = short.into_iter().flat_map(|setting| ["--set", setting]).collect();
    let profiles = ["administration.toml", "disk.toml", "../bench-runner/tests/faults/left-lowered.toml"];
    let (cells, stated) = fine(&[&profiles, &only[..], &short].concat());
    assert_eq!(cells.len(), faults.len() + 1);
    let of = |fault: &str| {
        let named = format!("fault-{fault}.");
        let is_of = |cell: &&Value| cell["id"].as_str().is_some_and(|id| id.contains(&named));
        cells.iter().find(is_of).unwrap_or_else(|| panic!("{fault}"))
    };

    let moved = of("leader-moves");
    assert!(proof(moved, 0).contains("replicas [1, 2, 3] -> [4, 2, 3], all in sync, leader "), "{moved}");
    assert!(proof(moved, 1).contains("replicas [4, 2, 3] -> [1, 2, 3], all in sync"), "{}", proof(moved, 1));
    assert_eq!(count(moved, "log_loss"), 0);

    let moved = of("followers-move");
    assert!(proof(moved, 0).contains("replicas [1, 2, 3] -> [") && proof(moved, 0).contains("4"), "{moved}");
    assert!(proof(moved, 1).contains("-> [1, 2, 3], all in sync"), "{}", proof(moved, 1));

    let lowered = of("followers-stopped-lowered");
    let told = "4 brokers read min.insync.replicas back: 2 -> 1";
    assert!(proof(lowered, 0).contains(told), "{}", proof(lowered, 0));
    assert!(proof(lowered, 3).contains("min.insync.replicas back: again 2"), "{}", proof(lowered, 3));
    // Nobody undid these two steps but the end of the load.
    let at = cells.iter().position(|cell| cell["profile"] == "left-lowered").expect("a cell");
    let healed = stated[at]["healed"].to_string();
    assert!(proof(&cells[at], 0).contains(told), "{}", cells[at]["faults"]);
    assert!(healed.contains("set min.insync.replicas of ") && healed.contains(" to 2 again"), "{healed}");
    assert!(healed.contains("started broker-") && healed.contains(" again"), "{healed}");

    let raised = of("follower-stopped-raised");
    assert!(
        proof(raised, 0).contains("4 brokers read min.insync.replicas back: 2 -> 3"),
        "{}",
        proof(raised, 0)
    );
    assert!(proof(raised, 3).contains("min.insync.replicas back: again 2"), "{}", proof(raised, 3));
    // Two in sync would have been enough once the follower was out, 3 s after its stop.
    assert!(unavailable_s(raised, 1) > 5.5, "{}", raised["recovery"]);

    let deleted = of("topic-deleted");
    assert!(proof(deleted, 0).contains("none of 4 brokers knows the topic"), "{}", proof(deleted, 0));
    let reason = deleted["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("the topic was deleted under way") && reason.contains("neither loss nor no loss")
    );
    assert!(deleted["promise"].is_null(), "{}", deleted["promise"]);

    for (fault, said) in of_disks {
        let cell = of(fault);
        let proof = proof(cell, 0);
        assert!(proof.contains(said) && proof.contains("has ended (exit status: 1)"), "{proof}");
        assert!(proof.contains("leader epoch 0 -> "), "somebody else leads: {proof}");
        assert_eq!((count(cell, "log_loss"), &cell["promise"]), (0, &Value::from("kept")), "{fault}");
    }
}
