//! Kafka's own log dump (`kafka-dump-log`, `kafka.tools.DumpLogSegments`) of replicas, a third witness of the log beside the
//! reader and the parser here, which share their author.

use crate::ids::{BrokerId, PartitionId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One replica as Kafka dumps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dump {
    /// Whose replica.
    pub broker: BrokerId,
    /// The partition.
    pub partition: PartitionId,
    /// What it holds.
    #[serde(flatten)]
    pub counts: Counts,
}

/// What Kafka counts in a replica's segment files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Records in batches that are no control batches.
    pub records: u64,
    /// Records in control batches.
    pub control_records: u64,
    /// Batches that Kafka calls invalid.
    pub invalid_batches: u64,
    /// One more than the last offset; 0 of an empty log.
    pub end: i64,
}

/// Reads a dump of segment files without their records: counts by file name. Files without a batch have an entry, too.
///
/// # Errors
/// A batch whose line says less than it does in Kafka 4.3.
pub fn counts(text: &str) -> Result<BTreeMap<String, Counts>, String> {
    let mut files = BTreeMap::new();
    let mut file = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("Dumping ") {
            file = Some(files.entry(name.to_owned()).or_insert_with(Counts::default));
        } else if line.starts_with("baseOffset: ") {
            let counts = file.as_mut().ok_or_else(|| format!("a batch of no file: {line}"))?;
            add(counts, line).ok_or_else(|| format!("not a batch: {line}"))?;
        }
    }
    Ok(files)
}

/// Adds one batch; `None`: a field is missing, or is no number.
fn add(counts: &mut Counts, line: &str) -> Option<()> {
    let words: Vec<&str> = line.split(' ').collect();
    let field = |name: &str| words.windows(2).find(|pair| pair[0] == name).map(|pair| pair[1]);
    let records: u64 = field("count:")?.parse().ok()?;
    match field("isControl:")? {
        "true" => counts.control_records += records,
        _ => counts.records += records,
    }
    counts.invalid_batches += u64::from(field("isvalid:")? != "true");
    counts.end = counts.end.max(field("lastOffset:")?.parse::<i64>().ok()? + 1);
    Some(())
}

impl Counts {
    /// All segments of one replica together.
    #[must_use]
    pub fn and(self, other: Counts) -> Counts {
        Counts {
            records: self.records + other.records,
            control_records: self.control_records + other.control_records,
            invalid_batches: self.invalid_batches + other.invalid_batches,
            end: self.end.max(other.end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Dumping /data/t-0/00000000000000000000.log
Log starting offset: 0
baseOffset: 0 lastOffset: 9 count: 10 baseSequence: 0 lastSequence: 9 producerId: 0 producerEpoch: 0 partitionLeaderEpoch: 0 isTransactional: true isControl: false deleteHorizonMs: OptionalLong.empty position: 0 CreateTime: 1 size: 900 magic: 2 compresscodec: none crc: 1 isvalid: true
baseOffset: 10 lastOffset: 10 count: 1 baseSequence: -1 lastSequence: -1 producerId: 0 producerEpoch: 0 partitionLeaderEpoch: 0 isTransactional: true isControl: true deleteHorizonMs: OptionalLong.empty position: 900 CreateTime: 1 size: 78 magic: 2 compresscodec: none crc: 2 isvalid: true
Dumping /data/t-1/00000000000000000000.log
Log starting offset: 0
";

    #[test]
    fn batches_are_counted_by_file_and_empty_files_are_there() {
        let found = counts(TEXT).expect("a dump");
        let whole = Counts { records: 10, control_records: 1, invalid_batches: 0, end: 11 };
        assert_eq!(found["/data/t-0/00000000000000000000.log"], whole);
        assert_eq!(found["/data/t-1/00000000000000000000.log"], Counts::default());
        let torn = counts(&TEXT.replacen("isvalid: true", "isvalid: false", 1)).expect("a dump");
        assert_eq!(torn["/data/t-0/00000000000000000000.log"].invalid_batches, 1);
        assert!(counts(&TEXT.replacen("count: 10", "", 1)).is_err());
        assert!(counts("baseOffset: 0").is_err(), "of no file");
    }
}
