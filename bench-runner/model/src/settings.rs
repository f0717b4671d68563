//! What one cell is made of: producer, topic and load settings, all explicit, all stored.
//!
//! Durations are nanoseconds, sizes are bytes; the last word of a name is its unit.

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
}

impl Default for ClusterAsk {
    /// Three brokers with 512 MiB, warmed for at most 30 s.
    fn default() -> Self {
        ClusterAsk {
            brokers: 3,
            heap_bytes: 512 << 20,
            settings: BTreeMap::new(),
            warm_limit_ns: 30_000_000_000,
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
