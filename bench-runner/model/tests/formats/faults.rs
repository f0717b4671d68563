//! Documents of faults of brokers, for the test that holds every stored field against the page.

use super::words;
use bench_model::fault::{Action, Cut, FaultRecord, FaultStep, Lose, PartitionCut, Target, When};
use bench_model::ids::{BrokerId, PartitionId};

pub fn step() -> FaultStep {
    FaultStep::new(When::At(1), Action::PowerCut, Target::All)
}

pub fn record() -> FaultRecord {
    let partition = PartitionId(0);
    let lost = PartitionCut { partition, flushed: 0, end_before: 1, end_after: 0, records: 1 };
    let cut = Cut { broker: BrokerId(0), logs: 1, bytes: 1, partitions: vec![lost] };
    FaultRecord { brokers: vec![BrokerId(0)], cuts: vec![cut], ..FaultRecord::planned(step()) }
}

pub fn all_words() -> Vec<String> {
    let actions = words(&[
        Action::Stop,
        Action::Continue,
        Action::Kill,
        Action::Terminate,
        Action::PowerCut,
        Action::Start,
    ]);
    let whens = words(&[When::At(0), When::NewLeader, When::After(0), When::Acked(1)]);
    let losses = words(&[Lose::All, Lose::Time(1), Lose::Bytes(1)]);
    [actions, words(&Target::ALL), whens, losses].concat()
}
