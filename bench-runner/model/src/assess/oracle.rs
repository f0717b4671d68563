//! Kafka's own dump of every replica beside our reading of the same files.

use crate::ids::{BrokerId, PartitionId};
use crate::reading::{LogReading, Oddity, Source};
use crate::segment::dump::{Counts, Dump};
use crate::verdict::Identity;
use std::collections::BTreeMap;

/// The identity `dump`; `None`: nothing was dumped.
pub(super) fn identity(dumps: &[Dump], readings: &[LogReading]) -> Option<Identity> {
    let found = disagreements(dumps, readings);
    let records: u64 = dumps.iter().map(|dump| dump.counts.records).sum();
    let detail = match found.as_slice() {
        [] => {
            format!("Kafka's own dump of {} replicas: {records} records, as our reading of them", dumps.len())
        }
        _ => found.join("; "),
    };
    (!dumps.is_empty()).then(|| Identity { name: "dump".into(), holds: found.is_empty(), detail })
}

/// Where the dumps say something else than our reading of the same replicas, in words.
fn disagreements(dumps: &[Dump], readings: &[LogReading]) -> Vec<String> {
    let mut found = Vec::new();
    let ours: BTreeMap<(BrokerId, PartitionId), Counts> = readings
        .iter()
        .filter_map(|reading| match reading.source {
            Source::Segments(broker) => Some((broker, reading)),
            _ => None,
        })
        .flat_map(|(broker, reading)| {
            reading.partitions.iter().map(move |partition| {
                let control =
                    partition.oddities.iter().filter(|(_, oddity)| *oddity == Oddity::Control).count();
                let others = partition.oddities.len() - control;
                let records = partition.runs.iter().map(|run| run.count).sum::<u64>() + others as u64;
                let counts = Counts {
                    records,
                    control_records: control as u64,
                    invalid_batches: 0,
                    end: partition.reached,
                };
                ((broker, partition.partition), counts)
            })
        })
        .collect();
    for dump in dumps {
        let whose = format!("broker {}, partition {}", dump.broker.0, dump.partition.0);
        match ours.get(&(dump.broker, dump.partition)) {
            Some(counts) if *counts == dump.counts => {}
            Some(counts) => {
                found.push(format!("{whose}: Kafka's dump {:?}, our reading {counts:?}", dump.counts))
            }
            None => found.push(format!("{whose}: dumped by Kafka and not read by us")),
        }
    }
    let dumped =
        |key: &(BrokerId, PartitionId)| dumps.iter().any(|dump| (dump.broker, dump.partition) == *key);
    let missing = ours.keys().filter(|key| !dumped(key));
    found.extend(missing.map(|(broker, partition)| {
        format!("broker {}, partition {}: read by us and not dumped by Kafka", broker.0, partition.0)
    }));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::State;
    use crate::reading::PartitionReading;
    use crate::verdict::history::clean;

    #[test]
    fn a_replica_that_kafka_dumps_otherwise_or_only_one_of_both_knows_is_named() {
        let readings = clean(10, State::Acked).readings();
        let replicas: Vec<(BrokerId, &PartitionReading)> = readings
            .iter()
            .filter_map(|reading| match reading.source {
                Source::Segments(broker) => Some((broker, &reading.partitions)),
                _ => None,
            })
            .flat_map(|(broker, partitions)| partitions.iter().map(move |partition| (broker, partition)))
            .collect();
        let dumps: Vec<Dump> = replicas
            .iter()
            .map(|(broker, partition)| {
                let records = partition.runs.iter().map(|run| run.count).sum();
                let counts = Counts { records, end: partition.reached, ..Counts::default() };
                Dump { broker: *broker, partition: partition.partition, counts }
            })
            .collect();
        assert!(!dumps.is_empty());
        assert_eq!(disagreements(&dumps, &readings), Vec::<String>::new());
        let mut lost = dumps.clone();
        lost[0].counts.records -= 1;
        assert_eq!(disagreements(&lost, &readings).len(), 1);
        assert!(disagreements(&dumps[1..], &readings)[0].ends_with("read by us and not dumped by Kafka"));
        let strange = Dump { broker: BrokerId(99), ..dumps[0].clone() };
        assert!(disagreements(&[dumps, vec![strange]].concat(), &readings)[0].contains("broker 99"));
    }
}
