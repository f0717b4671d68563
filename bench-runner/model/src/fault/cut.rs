//! What a power cut takes from the logs of a broker: how much is asked for, and what was taken.

use crate::ids::{BrokerId, PartitionId};
use serde::{Deserialize, Serialize};

/// How much of what was not flushed is lost; never anything before that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lose {
    /// All of it.
    All,
    /// What was produced in the last so many nanoseconds.
    Time(u64),
    /// The last so many bytes of each log.
    Bytes(u64),
}

/// What one broker lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// The broker.
    pub broker: BrokerId,
    /// Its logs that became shorter, internal topics' too.
    pub logs: u64,
    /// Bytes cut from all of them.
    pub bytes: u64,
    /// The partitions of the cell's topic that it has a replica of.
    pub partitions: Vec<PartitionCut>,
}

/// What one replica of the cell's topic lost, by its batch headers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionCut {
    /// The partition.
    pub partition: PartitionId,
    /// Everything below this offset was flushed by Kafka.
    pub flushed: i64,
    /// Log end offset before the cut.
    pub end_before: i64,
    /// Log end offset after it: of the last batch that is still whole.
    pub end_after: i64,
    /// Records in the batches that are gone.
    pub records: u64,
}
