//! Which records of a transaction whose commit was not answered are in the log: nothing else tells the next life. It comes
//! after the transactional id was taken over, which has ended that transaction one way or the other; it sends nothing.

use super::WorkerError;
use crate::clock;
use crate::kafka::offsets::Offsets;
use crate::kafka::properties;
use crate::kafka::reader::{Item, Reader};
use bench_model::ids::ProducerId;
use bench_model::message;
use bench_model::transactions::Record;
use bench_model::wire::WorkerSpec;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const CLIENT: &str = "bench-runner-doubt";
const LIMIT: Duration = Duration::from_secs(30);
const STEP_NS: u64 = 100_000_000;

/// Those of the producer's records that a reader at read_committed is shown. Reads their partitions from the beginning to
/// where they end now, transactions of other producers included, for whose ends it has to wait.
pub(super) fn visible(
    spec: &WorkerSpec,
    producer: ProducerId,
    doubtful: &BTreeSet<Record>,
) -> Result<BTreeSet<Record>, WorkerError> {
    let ends = Offsets::open(&spec.bootstrap)?.read(&spec.topic, spec.partitions)?;
    let wanted: BTreeSet<u16> = doubtful.iter().map(|record| record.0.0).collect();
    let of_wanted = (0_u16..).zip(&ends).filter(|(partition, _)| wanted.contains(partition));
    let mut left: BTreeMap<u16, i64> =
        of_wanted.clone().filter(|(_, end)| end.start < end.high).map(|(p, end)| (p, end.high)).collect();
    let starts = of_wanted.map(|(partition, end)| (partition, end.start)).collect();
    let properties = properties::committed_reader(&spec.bootstrap, CLIENT);
    let mut reader = Reader::open(&properties, &spec.topic, &starts, LIMIT)?;
    let mut found = BTreeSet::new();
    let deadline_ns = clock::now_ns() + LIMIT.as_nanos() as u64;
    while !left.is_empty() {
        let now_ns = clock::now_ns();
        if now_ns > deadline_ns {
            let act = format!("reading {} for what an earlier life may have committed", spec.topic);
            return Err(WorkerError::File(act, std::io::ErrorKind::TimedOut.into()));
        }
        reader.poll_until(now_ns + STEP_NS, |item| {
            let (partition, next) = match item {
                Item::Record { partition, offset, payload } => {
                    if let Some(header) = message::peek(payload, spec.book) {
                        let record = (header.partition, header.sequence);
                        if header.producer == producer && doubtful.contains(&record) {
                            found.insert(record);
                        }
                    }
                    (partition, offset + 1)
                }
                Item::End { partition, offset } => (partition, offset),
                Item::Error { .. } => return,
            };
            if left.get(&partition).is_some_and(|end| next >= *end) {
                left.remove(&partition);
            }
        });
    }
    Ok(found)
}
