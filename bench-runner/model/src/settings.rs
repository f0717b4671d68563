//! What one cell is made of: producer, topic and load settings, all explicit, all stored.
//!
//! Durations are nanoseconds, sizes are bytes; the last word of a name is its unit.

mod fetch;
mod sink;

pub use fetch::FetchSettings;
pub use sink::{SinkKind, SinkSettings};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The `acks` setting of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Acks {
    /// No answer is asked for: a report means "handed to a socket".
    #[serde(rename = "0")]
    Zero,
    /// The leader has appended the record.
    #[serde(rename = "1")]
    One,
    /// Every in-sync replica has the record (not "min.insync.replicas of them").
    #[serde(rename = "all")]
    All,
}

impl Acks {
    /// As Kafka writes it: `0`, `1`, `all`.
    pub fn as_str(self) -> &'static str {
        match self {
            Acks::Zero => "0",
            Acks::One => "1",
            Acks::All => "all",
        }
    }
}

/// When a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransactionSpan {
    /// With its so many-th record.
    Records(u32),
    /// So many nanoseconds after its begin.
    Time(u64),
}

/// How a producer groups its records into transactions, one after the other, under a transactional id of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionSettings {
    /// When each ends; the last one ends with the load.
    pub span: TransactionSpan,
    /// Every so many-th is aborted on purpose; 0: none.
    pub abort_every: u32,
    /// Flush before such an abort: what was not sent by then would be purged, and leave no trace in the log.
    pub abort_flush: bool,
    /// `transaction.timeout.ms`, in nanoseconds.
    pub timeout_ns: u64,
}

impl TransactionSettings {
    /// Whether the transaction of this ordinal (from 1) is aborted on purpose.
    pub fn aborts(&self, ordinal: u32) -> bool {
        ordinal > 0 && ordinal.is_multiple_of(self.abort_every)
    }
}

/// Producer settings that the harness sets explicitly in every cell (librdkafka's defaults differ from Java's).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerSettings {
    /// `acks`.
    pub acks: Acks,
    /// `message.send.max.retries`.
    pub retries: u32,
    /// `enable.idempotence`.
    pub idempotence: bool,
    /// `linger.ms`, in nanoseconds.
    pub linger_ns: u64,
    /// `batch.size` in bytes.
    pub batch_bytes: u32,
    /// `compression.type`: none, gzip, snappy, lz4, zstd.
    pub compression: String,
    /// `max.in.flight.requests.per.connection`.
    pub max_in_flight: u32,
    /// `queue.buffering.max.messages`.
    pub queue_records: u32,
    /// `queue.buffering.max.kbytes`, in bytes (a multiple of 1 KiB).
    pub queue_bytes: u64,
    /// `request.timeout.ms`, in nanoseconds.
    pub request_timeout_ns: u64,
    /// `message.timeout.ms` (Java: `delivery.timeout.ms`), in nanoseconds.
    pub delivery_timeout_ns: u64,
    /// Any other librdkafka producer property, verbatim.
    pub extra: BTreeMap<String, String>,
    /// Transactions; `None`: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<TransactionSettings>,
}

impl ProducerSettings {
    /// How many bytes go to one partition before the next one's turn: a batch, but no more than its part of a transaction.
    pub fn in_a_row_bytes(&self, partitions: u16, record_bytes: u32) -> u32 {
        match self.transaction.as_ref().map(|transaction| transaction.span) {
            Some(TransactionSpan::Records(records)) => {
                let part = records.div_ceil(u32::from(partitions.max(1)));
                self.batch_bytes.min(part.saturating_mul(record_bytes))
            }
            Some(TransactionSpan::Time(_)) | None => self.batch_bytes,
        }
    }

    /// Whether the answer to a record promises something about it: with acks=0 there is none, and in a transaction only the
    /// commit's counts. Where it does not, throughput is counted by delivery.
    pub fn answers_count(&self) -> bool {
        self.acks != Acks::Zero && self.transaction.is_none()
    }
}

/// Settings of the cell's topic; all are set on the topic and read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicSettings {
    /// Number of partitions.
    pub partitions: u16,
    /// Replication factor.
    pub replication_factor: u16,
    /// `min.insync.replicas`.
    pub min_insync_replicas: u16,
    /// Other topic settings, verbatim.
    pub extra: BTreeMap<String, String>,
}

/// When a group member commits the offsets of what it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommitStrategy {
    /// librdkafka's defaults: whatever was handed out is stored, and committed every interval and at the close.
    Auto,
    /// Committed every interval and at the close, stored only after processing.
    AutoStored,
    /// A batch is committed, the answer awaited, then it is processed (at most once).
    SyncBefore,
    /// A batch is processed, then committed, and the answer awaited (at least once).
    SyncAfter,
    /// Each record is processed, then committed, and the answer awaited.
    SyncEach,
    /// A batch is processed, then committed without waiting.
    AsyncAfter,
    /// Processed offsets are committed every interval without waiting, and once with waiting at the close.
    Interval,
    /// Never.
    None,
    /// The offset is kept by the sink, in the transaction that writes a batch's rows; processing goes on from there.
    InSink,
    /// In the transaction that writes the batch to the sink, which is a topic.
    Transaction,
}

impl CommitStrategy {
    /// Every strategy.
    pub const ALL: [CommitStrategy; 10] = [
        CommitStrategy::Auto,
        CommitStrategy::AutoStored,
        CommitStrategy::SyncBefore,
        CommitStrategy::SyncAfter,
        CommitStrategy::SyncEach,
        CommitStrategy::AsyncAfter,
        CommitStrategy::Interval,
        CommitStrategy::None,
        CommitStrategy::InSink,
        CommitStrategy::Transaction,
    ];

    /// As profiles write it.
    pub fn as_str(self) -> &'static str {
        match self {
            CommitStrategy::Auto => "auto",
            CommitStrategy::AutoStored => "auto-stored",
            CommitStrategy::SyncBefore => "sync-before",
            CommitStrategy::SyncAfter => "sync-after",
            CommitStrategy::SyncEach => "sync-each",
            CommitStrategy::AsyncAfter => "async-after",
            CommitStrategy::Interval => "interval",
            CommitStrategy::None => "none",
            CommitStrategy::InSink => "in-sink",
            CommitStrategy::Transaction => "transaction",
        }
    }

    /// Whether a death can leave records that nobody ever processes: their offsets may be committed before.
    pub fn may_lose(self) -> bool {
        matches!(self, CommitStrategy::Auto | CommitStrategy::SyncBefore)
    }

    /// Whether a death can make records be processed again: their offsets may be committed after.
    pub fn may_repeat(self) -> bool {
        !matches!(self, CommitStrategy::SyncBefore | CommitStrategy::InSink | CommitStrategy::Transaction)
    }
}

/// How the modelled service times of records are distributed; drawn by the cell's seed, partition and offset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceSpread {
    /// All alike.
    #[default]
    Constant,
    /// Exponential.
    Exponential,
    /// Any time of a range, equally likely.
    Uniform {
        /// The shortest, in nanoseconds.
        least_ns: u64,
        /// The longest, in nanoseconds.
        most_ns: u64,
    },
}

impl ServiceSpread {
    /// All alike.
    pub fn is_constant(&self) -> bool {
        *self == ServiceSpread::Constant
    }
}

/// `group.protocol` of groups whose sessions and assignments are the brokers' (KIP-848).
pub const CONSUMER_PROTOCOL: &str = "consumer";

/// A cell's consumer group; every member has the same settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSettings {
    /// Members that start with the cell.
    pub members: u16,
    /// When offsets are committed.
    pub commit: CommitStrategy,
    /// Interval of `auto`, `auto-stored` and `interval`, in nanoseconds.
    pub commit_interval_ns: u64,
    /// Commit what was processed when a partition is taken away.
    pub commit_on_revoke: bool,
    /// Most records of one batch: taken together, then processed one after the other.
    pub batch_records: u32,
    /// How long a batch may wait to be full, in nanoseconds.
    pub batch_wait_ns: u64,
    /// How long processing one record takes, in nanoseconds; with a spread, on average.
    pub service_ns: u64,
    /// How service times differ from record to record.
    #[serde(default, skip_serializing_if = "ServiceSpread::is_constant")]
    pub service_spread: ServiceSpread,
    /// `partition.assignment.strategy`: range, roundrobin, cooperative-sticky (classic protocol).
    pub assignor: String,
    /// `group.protocol`: classic, consumer.
    pub protocol: String,
    /// `isolation.level`: read_committed, read_uncommitted.
    pub isolation: String,
    /// `session.timeout.ms` (classic protocol), in nanoseconds.
    pub session_timeout_ns: u64,
    /// What it asks of brokers with each fetch.
    #[serde(default)]
    pub fetch: FetchSettings,
    /// Any other librdkafka consumer property, verbatim.
    pub extra: BTreeMap<String, String>,
    /// Where processing leaves its effects; `None`: nowhere, it only takes its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<SinkSettings>,
}

/// When records are due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrival {
    /// Open loop: record k is due at k / rate.
    Constant {
        /// Records per second over all producers of the cell.
        per_second: u64,
    },
    /// Open loop: a seeded Poisson process of this rate.
    Poisson {
        /// Mean records per second over all producers of the cell.
        per_second: u64,
    },
    /// Closed loop at full speed: no intended instant; windows go by the actual send.
    Max,
    /// Open loop: groups of records due at one instant each.
    Bursts(Vec<Burst>),
}

impl Arrival {
    /// Groups with pauses that are nobody's doing: there is no rate.
    pub fn is_bursts(&self) -> bool {
        matches!(self, Arrival::Bursts(_))
    }
}

/// Records that are all due at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burst {
    /// Nanoseconds after T0.
    pub at_ns: u64,
    /// How many.
    pub records: u64,
}

/// How long the measured window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Length {
    /// This many nanoseconds after the warm-up.
    Time(u64),
    /// This many records after the warm-up, over all producers.
    Records(u64),
}

/// The load of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// When records are due.
    pub arrival: Arrival,
    /// Payload size in bytes, header included (at least 48).
    pub record_bytes: u32,
    /// Unmeasured lead-in, in nanoseconds; its records are in the books, not in the percentiles.
    pub warmup_ns: u64,
    /// The measured window.
    pub length: Length,
    /// Producer processes that share the load.
    pub producers: u16,
    /// Share of the body, in percent, that is one repeated byte (0: incompressible).
    pub compressible_percent: u8,
    /// How long after the last due instant reports and records are waited for, in nanoseconds.
    pub drain_ns: u64,
}

/// What a profile asks of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterAsk {
    /// Number of brokers.
    pub brokers: u16,
    /// Java heap of each broker, in bytes.
    pub heap_bytes: u64,
    /// Extra broker settings, verbatim.
    pub settings: BTreeMap<String, String>,
    /// The brokers' warm-up ends after this time at the latest, in nanoseconds.
    pub warm_limit_ns: u64,
    /// What a profile says in so many words: a default may give way to the cluster that is there, this may not.
    #[serde(skip)]
    pub stated: Stated,
}

/// Which of the brokers' properties are asked for, and not only taken for granted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stated {
    /// Their number.
    pub brokers: bool,
    /// Their heap.
    pub heap: bool,
}

impl Default for ClusterAsk {
    /// Three brokers with 512 MiB, warmed for at most 30 s.
    fn default() -> Self {
        ClusterAsk {
            brokers: 3,
            heap_bytes: 512 << 20,
            settings: BTreeMap::new(),
            warm_limit_ns: 30_000_000_000,
            stated: Stated::default(),
        }
    }
}

/// Everything that makes one cell what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellSettings {
    /// The producer.
    pub producer: ProducerSettings,
    /// The topic.
    pub topic: TopicSettings,
    /// The load.
    pub load: Load,
    /// The consumer group; `None`: nobody processes, the log alone is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupSettings>,
}

impl Load {
    /// The instant after T0 at which the measured window ends, in nanoseconds; `None`: when the last record is answered.
    pub fn window_end_ns(&self) -> Option<u64> {
        match (&self.arrival, self.length) {
            (Arrival::Bursts(_), _) | (Arrival::Max | Arrival::Poisson { .. }, Length::Records(_)) => None,
            (_, Length::Time(window_ns)) => Some(self.warmup_ns + window_ns),
            (Arrival::Constant { per_second }, Length::Records(records)) => {
                Some(self.warmup_ns + records * 1_000_000_000 / (*per_second).max(1))
            }
        }
    }

    /// How many one-second series the load needs; what comes later is kept in an overflow second.
    pub fn seconds(&self) -> usize {
        const UNKNOWN_S: u64 = 600;
        let end_ns = match &self.arrival {
            Arrival::Bursts(bursts) => bursts.iter().map(|burst| burst.at_ns + 1).max(),
            _ => self.window_end_ns(),
        };
        usize::try_from(end_ns.map_or(UNKNOWN_S, |end_ns| end_ns.div_ceil(1_000_000_000)))
            .unwrap_or(usize::MAX)
    }
}
