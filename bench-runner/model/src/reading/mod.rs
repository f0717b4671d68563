//! What a log says: runs of offsets to runs of sequences, plus everything that does not fit a run.
//!
//! The same shape holds the independent reader's view and that of a replica's segment files. It judges nothing.

mod builder;
mod stored;

pub use builder::ReadingBuilder;
pub use stored::{from_jsonl, to_jsonl};

use crate::ids::{Attempt, BrokerId, Incarnation, PartitionId, ProducerId};
use serde::{Deserialize, Serialize};

/// Who read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The independent reader, through the client.
    Reader,
    /// A second, independent reading (where there are no segment files).
    SecondReader,
    /// The segment files of one broker.
    Segments(BrokerId),
    /// The independent reader at read_committed (transactional cells, where the others see everything).
    CommittedReader,
}

/// `count` copies at consecutive offsets with consecutive sequences and otherwise equal identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CopyRun {
    /// Offset of the first copy.
    pub offset: i64,
    /// How many.
    pub count: u64,
    /// From the records' headers.
    pub producer: ProducerId,
    /// From the records' headers.
    pub incarnation: Incarnation,
    /// From the records' headers.
    pub attempt: Attempt,
    /// The home partition, from the records' headers (another than the one read: misplaced).
    pub home: PartitionId,
    /// Sequence of the first copy.
    pub sequence: u64,
    /// The transaction's ordinal, from the records' headers; 0: outside transactions (and in journals of group members).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub transaction: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A log entry that is no copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Oddity {
    /// The header does not decode, or names another book.
    Alien,
    /// The CRC over body and header is wrong.
    Corrupt,
    /// A control record (only segment files show them).
    Control,
}

/// One partition as one source saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionReading {
    /// The partition.
    pub partition: PartitionId,
    /// Log start offset when the reading began.
    pub start: i64,
    /// The captured end offset (high watermark once the cluster is quiet).
    pub end: i64,
    /// Last stable offset at the same time.
    pub last_stable: i64,
    /// The next offset that the reading would have got: `end` if it was complete; of segments where their whole batches end.
    pub reached: i64,
    /// Copies in offset order.
    pub runs: Vec<CopyRun>,
    /// Everything else, in offset order.
    pub oddities: Vec<(i64, Oddity)>,
    /// Digest of the raw batches (segments only): equal on all replicas.
    pub batches_digest: Option<String>,
    /// Offsets `start..end` of records whose transaction was aborted or has no end, by the markers (segments only): what
    /// read_committed does not show. In order, disjoint.
    #[serde(default)]
    pub invisible: Vec<(i64, i64)>,
}

/// All partitions as one source saw them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogReading {
    /// Who read.
    pub source: Source,
    /// One entry per partition, in order.
    pub partitions: Vec<PartitionReading>,
}
