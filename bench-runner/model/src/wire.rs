//! Runner and worker: one JSON document in, JSON Lines both ways afterwards. Names no client library.
//!
//! Standard input of a worker: line 1 a [`WorkerSpec`], then [`Command`]s. Standard output: [`Event`]s.
//! Instants are nanoseconds of the host's CLOCK_MONOTONIC.

use crate::fault::Death;
use crate::ids::{BookKey, Incarnation, MemberId, ProducerId};
use crate::outage::Outage;
use crate::settings::{GroupSettings, Load, ProducerSettings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of this contract; a worker refuses another major version.
pub const WIRE_VERSION: u32 = 1;

/// What one worker has to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerSpec {
    /// [`WIRE_VERSION`].
    pub version: u32,
    /// Bootstrap servers, `host:port,host:port`.
    pub bootstrap: String,
    /// The cell's topic.
    pub topic: String,
    /// Number of partitions of the topic.
    pub partitions: u16,
    /// The book that the records belong to.
    pub book: BookKey,
    /// Directory for this worker's files (exists, empty).
    pub directory: String,
    /// The role.
    pub role: Role,
}

/// The role of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Produce by a schedule; writes `ledger.bin`, `latency.hlog` and, with transactions, `transactions.bin`.
    Produce(ProduceSpec),
    /// Read every partition while records are produced; writes `latency.hlog` and, with transactions, `visible.json`.
    Read(ReadSpec),
    /// Process records as a member of a consumer group; writes `journal.bin` and `latency.hlog`.
    Consume(Box<ConsumeSpec>),
}

/// A producer's part of the specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProduceSpec {
    /// This lane.
    pub producer: ProducerId,
    /// This life of the lane.
    pub incarnation: Incarnation,
    /// Seed of payload and arrival process.
    pub seed: u64,
    /// Effective producer settings.
    pub settings: ProducerSettings,
    /// The load of the whole cell; `load.producers` lanes share it.
    pub load: Load,
    /// Records that the ledger has room for in each partition; the worker stops sending (and says so) before it overflows.
    pub ledger_capacity: u64,
    /// Transactions that their evidence has room for; 0 without transactions.
    #[serde(default)]
    pub transaction_capacity: u64,
    /// Ledgers of the lane's earlier lives, the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predecessors: Vec<String>,
    /// Send again what the earlier lives left unknown.
    #[serde(default)]
    pub resend: bool,
    /// Where this life ends itself, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub death: Option<Death>,
}

/// A reader's part of the specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadSpec {
    /// Consumer properties, verbatim.
    pub properties: BTreeMap<String, String>,
    /// The load of the cell (for the number of producers and seconds).
    pub load: Load,
    /// The topic is a pipeline's output: latencies are called `output` and not `end_to_end`, and transactions are told by
    /// the lives of members that wrote them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub output: bool,
}

/// A group member's part of the specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumeSpec {
    /// This member.
    pub member: MemberId,
    /// This life of the member.
    pub incarnation: Incarnation,
    /// `group.id`.
    pub group: String,
    /// Effective group settings.
    pub settings: GroupSettings,
    /// The load of the cell (for the number of seconds).
    pub load: Load,
    /// Seed of the service times.
    #[serde(default)]
    pub seed: u64,
    /// Entries that the journal has room for; the worker stops processing (and says so) before it overflows.
    pub journal_entries: u64,
    /// Where this life ends itself, if it does.
    pub death: Option<Death>,
    /// By partition, the offset below which records were begun before, as far as the runner knows: they are handed over
    /// again. Missing ones are 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub begun: Vec<i64>,
    /// The sink's tables, where the settings have a sink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<SinkPlace>,
    /// The producer that writes to the sink, where that is a topic (`sink.table` is its name).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipe: Option<PipeSpec>,
}

/// A pipeline's producer: its sink is a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipeSpec {
    /// Producer settings; with commit = transaction they have transactions, of which only the time-out counts.
    pub settings: ProducerSettings,
    /// The book that output records belong to.
    pub book: BookKey,
    /// Size of an output record in bytes.
    pub record_bytes: u32,
    /// Transactions that `transactions.bin` has room for; 0 without.
    pub transaction_capacity: u64,
    /// The cell's producers have transactions, too: the timings of the pipeline's have names of their own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub beside_producers: bool,
}

/// Where a cell's sink is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkPlace {
    /// The database's file (SQLite; empty for PostgreSQL, whose address is a setting).
    pub file: String,
    /// Name of the table of rows, that of offsets is the same with `_offsets` behind it; or of the output topic.
    pub table: String,
}

/// Runner to worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "command")]
pub enum Command {
    /// Begin; the first record is due at T0 plus its offset in the schedule.
    Start {
        /// T0.
        t0_ns: u64,
    },
    /// To a reader: stop once these offsets are reached, or the instant has passed. To a group member: everything is
    /// processed, commit by the strategy, leave the group and end.
    Finish {
        /// Give up at this instant.
        deadline_ns: u64,
        /// By partition, the offset at which reading ends.
        end_offsets: Vec<i64>,
    },
}

/// Worker to runner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// Connected, metadata known, memory populated (a group member: partitions assigned, positions known); waits for
    /// `Start`. A group member that starts later than T0 is told the old T0.
    Ready {
        /// Client library and version, e.g. `librdkafka 2.12.1`.
        client: String,
        /// Effective client settings.
        settings: BTreeMap<String, String>,
    },
    /// About once a second.
    Progress(Progress),
    /// The client reported an error that is not about one record.
    ClientError {
        /// When.
        at_ns: u64,
        /// What the client said.
        text: String,
        /// No further record can be sent or read.
        fatal: bool,
    },
    /// Everything is written; the process ends next.
    Done(Box<Done>),
}

/// Running totals of a worker since T0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// When.
    pub at_ns: u64,
    /// Records handed to the client (producer) or by it (reader), or completed (group member).
    pub records: u64,
    /// Delivery reports without error (producer).
    pub acked: u64,
    /// Delivery reports with an error (producer).
    pub failed: u64,
    /// CPU time of the process, user and system.
    pub cpu_ns: u64,
    /// Time during which the client's queue refused records.
    pub blocked_ns: u64,
}

/// A worker's closing statement.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Totals at the end.
    pub total: Progress,
    /// Totals when the measured window began and ended (producer).
    pub window: Option<(Progress, Progress)>,
    /// Reached everything that was asked: all reports in (producer), all end offsets reached (reader).
    pub drained: bool,
    /// When the drain ended.
    pub ended_ns: u64,
    /// Why sending stopped early, if it did.
    pub stopped_early: Option<String>,
    /// Lateness p99 of the measured window outside times in which the client's queue was full, in nanoseconds (producer,
    /// open loop).
    pub lateness_p99_ns: Option<u64>,
    /// Wake-ups of the client's broker threads per request, from its statistics (producer).
    pub wakeups_per_request: Option<f64>,
    /// Bytes that the client sent and received, from its statistics.
    pub client_bytes: Option<(u64, u64)>,
    /// Copies seen by the reader beyond the first of a record (left out of the latencies).
    pub duplicates: u64,
    /// End-to-end latencies below zero (counted, never hidden).
    pub negative: u64,
    /// Commit calls that were answered Ok (group member).
    #[serde(default)]
    pub commits: u64,
    /// Commit calls that failed, by the client's error code (group member).
    #[serde(default)]
    pub failed_commits: BTreeMap<String, u64>,
    /// Delivery reports with an error: its code, and what the client says of the record (producer).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failed_sends: BTreeMap<String, u64>,
    /// The same by second after T0: pairs of second and count (producer).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failed_by_second: BTreeMap<String, Vec<[u64; 2]>>,
    /// Times in which a partition gave no success although something was asked of it (producer, reader). `None`: stored before
    /// this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outages: Option<Vec<Outage>>,
    /// Errors of transactions: the call, the client's judgement of the error, its code, and what was done (producer; group
    /// member that commits in transactions).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub transaction_errors: BTreeMap<String, u64>,
    /// By partition, the offset behind the last record that was handed over (reader): control records may follow it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ends_of_records: Vec<i64>,
    /// Rows that the sink refused because their partition was assigned anew (group member with offsets in the sink).
    #[serde(default)]
    pub refused_rows: u64,
    /// The longest time between two polls of the client, in nanoseconds (group member with a sink).
    #[serde(default)]
    pub longest_unpolled_ns: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_survives_the_wire() {
        for command in
            [Command::Start { t0_ns: 7 }, Command::Finish { deadline_ns: 8, end_offsets: vec![3, 4] }]
        {
            let line = serde_json::to_string(&command).expect("plain data");
            assert_eq!(serde_json::from_str::<Command>(&line).expect(&line), command);
        }
    }
}
