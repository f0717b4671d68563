//! Documents of faults of brokers, for the test that holds every stored field against the page.

use super::words;
use bench_model::fault::{
    Action, Api, Cut, FaultRecord, FaultStep, Hits, Lose, PartitionCut, Refusal, Rule, Target, When,
};
use bench_model::ids::{BrokerId, PartitionId};
use bench_model::outage::Outage;
use bench_model::result::{PartitionChange, PartitionRecovery, Recovery, Stretch};
use serde_json::{Value, json};

pub fn step() -> FaultStep {
    let rule = Rule {
        api: Api::Produce,
        requests: Some(1),
        wait_ns: Some(1),
        error: Some(Refusal::NotLeader),
        offset: Some(1),
    };
    let step = FaultStep::new(When::At(1), Action::PowerCut, Target::All);
    FaultStep { rule: Some(rule), min_insync_replicas: Some(3), ..step }
}

/// How a fault was got over, and what tells of it.
pub fn recovered() -> Value {
    let all = [Stretch::Ns(1), Stretch::AtLeast(1), Stretch::Below(1), Stretch::Unknown(String::new())];
    let [first_success, unavailable, drained, p99_back] = all;
    let partition = PartitionRecovery {
        partition: PartitionId(0),
        unavailable: Stretch::Ns(1),
        last_success_ns: Some(0),
        first_error_ns: Some(0),
        first_success_ns: Some(0),
    };
    let recovery = Recovery {
        fault: String::new(),
        from_ns: 0,
        to_ns: Some(0),
        unavailable,
        first_success,
        baseline_p99_ns: Some(0),
        p99_back,
        isr_full: Stretch::Ns(1),
        drained,
        partitions: vec![partition],
    };
    let change = PartitionChange {
        at_ns: 0,
        partition: PartitionId(0),
        leader: Some(BrokerId(0)),
        leader_epoch: 0,
        isr: vec![BrokerId(0)],
    };
    let outage = Outage { partition: PartitionId(0), from_ns: 0, error_ns: Some(0), to_ns: Some(0) };
    json!({ "recovery": [recovery], "partitions": [change], "outages": [outage], "failed_by_second": {} })
}

pub fn record() -> FaultRecord {
    let partition = PartitionId(0);
    let lost = PartitionCut { partition, flushed: 0, end_before: 1, end_after: 0, records: 1 };
    let cut = Cut { broker: BrokerId(0), logs: 1, bytes: 1, partitions: vec![lost] };
    let (brokers, hits) = (vec![BrokerId(0)], vec![Hits::default()]);
    FaultRecord { brokers, cuts: vec![cut], hits, ..FaultRecord::planned(step()) }
}

pub fn all_words() -> Vec<String> {
    let whens =
        words(&[When::At(0), When::NewLeader, When::After(0), When::Acked(1), When::Met(1), When::InSync]);
    let losses = words(&[Lose::All, Lose::Time(1), Lose::Bytes(1)]);
    let rules = [words(&Api::ALL), words(&Refusal::ALL)].concat();
    [words(&Action::ALL), words(&Target::ALL), whens, losses, rules].concat()
}
