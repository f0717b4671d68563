//! The stored schema of a run: a manifest, and one result for each cell. Versioned; see `docs/formats.md`.

mod recovery;

pub use recovery::{PartitionChange, PartitionRecovery, Recovery, Stretch};

use crate::fault::FaultRecord;
use crate::latency::LatencySummary;
use crate::plan::{Cell, Skipped};
use crate::verdict::{Verdict, Weight};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Major.minor of the stored schema: a reader refuses another major, and ignores unknown fields of a newer minor.
pub const SCHEMA_VERSION: &str = "1.3";

/// `manifest.json`: what was asked, of what, on what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA_VERSION`].
    pub schema: String,
    /// Run id, also the directory's name.
    pub run: String,
    /// UTC, RFC 3339.
    pub started: String,
    /// UTC, RFC 3339; empty while the run goes on.
    pub ended: String,
    /// The exact command line.
    pub command: Vec<String>,
    /// Our version and git revision (`-dirty` if so).
    pub revision: String,
    /// Client library and version, e.g. `librdkafka 2.12.1`.
    pub client: String,
    /// The profiles: name, why, and the source text.
    pub profiles: Vec<ProfileSource>,
    /// All planned cells, in the order of execution.
    pub plan: Vec<Cell>,
    /// Combinations that cannot be: label and reason.
    pub skipped: Vec<Skipped>,
    /// The cluster.
    pub cluster: ClusterFacts,
    /// The host.
    pub host: HostFacts,
    /// Doubts about the run as a whole.
    pub caveats: Vec<Caveat>,
    /// The run carries controls: its zeros say whether a recipe of the same run found such a thing (stored since 1.3).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub controls: bool,
    /// Ended by an interrupt.
    pub interrupted: bool,
}

/// A profile as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileSource {
    /// Its name.
    pub name: String,
    /// Why it exists.
    pub why: String,
    /// Its text.
    pub text: String,
    /// `--set` overrides applied to it.
    pub overrides: Vec<String>,
}

/// The cluster under test.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClusterFacts {
    /// `local`, `external` or `mock`.
    pub provider: String,
    /// Product and version, e.g. `Apache Kafka 4.3.1`; `mock: not Kafka; no durability claim` for the mock.
    pub version: String,
    /// Number of brokers.
    pub brokers: u16,
    /// Feature levels, e.g. metadata.version.
    pub features: BTreeMap<String, String>,
    /// Effective broker settings (read back).
    pub settings: BTreeMap<String, String>,
    /// JVM flags, Java version, heap (local).
    pub facts: BTreeMap<String, String>,
    /// Seconds from the start command until the probe was accepted.
    pub start_s: Option<f64>,
    /// The warm-up of the brokers.
    pub warm: Option<Warm>,
}

/// How warm the brokers were before the first cell.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Warm {
    /// Brokers' CPU per record of each 2 s window, in nanoseconds.
    pub cpu_ns_per_record: Vec<f64>,
    /// Share of the machine's CPU that was idle in each window: where there is none, CPU per record says nothing.
    #[serde(default)]
    pub idle: Vec<f64>,
    /// Share of the brokers' CPU that their compilers took in each window: it is in the figure above, and ends some day.
    #[serde(default)]
    pub compiling: Vec<f64>,
    /// Three windows in a row within 10 %, none of them on a saturated machine or with compilers at work.
    pub stable: bool,
    /// How long it took.
    pub took_s: f64,
}

/// The host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Operating system and kernel.
    pub os: String,
    /// CPU model.
    pub cpu: String,
    /// Logical CPUs.
    pub cores: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// File system of the data directory, where known.
    pub disk: String,
}

/// A stored reason to doubt a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caveat {
    /// Stable name: `generator-bound`, `stolen-cpu`, `backpressured`, `transaction-bound`, `cold-brokers`, `unsettled-brokers`, `client-spinning`, `few-samples`, `drift`, `stopped-early`, `clock`, `unknown-fates`, `moved-leaders`, `untimed-answers`, `lied-to`, `proxied`, `gates`, `shared-machine`, `leftovers`,
    /// `replicas-not-compared`, `mock`.
    pub kind: String,
    /// What was seen, with values.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

/// What became of a cell as an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Ran, and the books balance.
    Finished,
    /// An identity is broken.
    Void,
    /// No verdict is possible.
    Inconclusive,
    /// A fault of the profile could not be proven.
    NotInjected,
    /// The cell could not start (or a setting read back differs).
    CouldNotStart,
    /// Ended by an interrupt.
    Interrupted,
}

/// Whether what is expected was observed: by the profile, or where it says nothing by the table for faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expectation {
    /// Nothing is expected of this cell: no fault, or no verdict.
    None,
    /// The profile expects nothing, and the table has no column for the fault.
    NoEntry,
    /// Exactly what the profile expects, or what the table does.
    Met,
    /// Nothing of what the table allows under the fault.
    BetterThanRequired,
    /// Something else.
    Unmet,
}

/// What the cell cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Client (producer processes) CPU per record, in nanoseconds.
    pub client_cpu_ns_per_record: Option<f64>,
    /// Brokers' CPU per record, in nanoseconds (local clusters).
    pub broker_cpu_ns_per_record: Option<f64>,
    /// Bytes that the brokers caused to be written to disk, per record (local clusters).
    pub disk_bytes_per_record: Option<f64>,
    /// Bytes over the loopback interface per record, everything included (local clusters).
    pub network_bytes_per_record: Option<f64>,
}

/// One second of a cell, for time series; all counts but `arrived` by intended second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Second since T0.
    pub second: u32,
    /// Records due (max load: sent).
    pub records: u64,
    /// Of these, reported without error.
    pub acked: u64,
    /// Reports without error that came in during this second, whenever their records were due (acks=0: records that
    /// the reader was handed). `None`: stored before this was kept.
    #[serde(default)]
    pub arrived: Option<u64>,
    /// Publish latency p50, p99 and maximum of the records due in it, in nanoseconds.
    pub publish_ns: Option<[u64; 3]>,
    /// The same for end-to-end latency.
    pub end_to_end_ns: Option<[u64; 3]>,
    /// Which publish latencies are lower bounds, because what was cut off or failed stands at its age.
    #[serde(default)]
    pub publish_at_least: [bool; 3],
    /// The same for end-to-end latency.
    #[serde(default)]
    pub end_to_end_at_least: [bool; 3],
}

/// What a consumer group did over time, from its members' journals and the end-to-end reader's course.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupCourse {
    /// Records that were completed at least once, caught up on after the window too. `None`: stored before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<u64>,
    /// Of these, per second of the measured window those that were completed for the first time in it; `None`: bursts have no
    /// rate, or stored before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processed_per_s: Option<f64>,
    /// Commit calls of all lives, the clients' own included, and commits of transactions that have a batch's offsets.
    pub commits: u64,
    /// Of these, without an answer: the member was killed before, or its client never sent them.
    pub unanswered_commits: u64,
    /// Of these, refused: by the client's name of the error; `killed` for those of lives that could not tell it any more.
    pub failed_commits: BTreeMap<String, u64>,
    /// Commits that were answered Ok and called in the measured window, per second; `None`: bursts have no rate.
    pub commits_per_s: Option<f64>,
    /// By second after T0.
    pub seconds: Vec<GroupSecond>,
    /// In order; those that had ended before T0 left out.
    pub rebalances: Vec<Rebalance>,
}

/// One second of a consumer group; lag is that of its last instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSecond {
    /// Second since T0.
    pub second: u32,
    /// Commit calls answered Ok, by the second of the call.
    pub commits: u64,
    /// Records that the end-to-end reader was handed and the group has not got past.
    pub lag_records: u64,
    /// How long ago the end-to-end reader had been handed just as many as the group has got past, in nanoseconds.
    pub lag_ns: u64,
}

/// What began a rebalance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RebalanceCause {
    /// Partitions were given back in order.
    Revoked,
    /// A member was told too late, or not at all, that it had lost a partition.
    Lost,
    /// A life ended without giving its partitions back.
    Death,
}

/// Partitions that changed hands together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebalance {
    /// The gravest of its causes.
    pub cause: RebalanceCause,
    /// When the first partition was given up, or its owner gave its last sign of life, nanoseconds after T0.
    pub start_ns: u64,
    /// When the last of them was assigned, nanoseconds after T0.
    pub end_ns: u64,
    /// The longest time that one of them had no owner, in nanoseconds.
    pub pause_ns: u64,
    /// How many changed hands.
    pub partitions: u16,
}

/// `cells/<id>/result.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellResult {
    /// [`SCHEMA_VERSION`].
    pub schema: String,
    /// The run.
    pub run: String,
    /// The cell as planned.
    pub cell: Cell,
    /// As an experiment.
    pub outcome: Outcome,
    /// Why, unless finished.
    pub reason: Option<String>,
    /// Judged by `expect`, or where that is empty by the table for faults.
    pub expectation: Expectation,
    /// What was expected and observed, one line each; of a cell without an entry, why.
    pub expectation_detail: Vec<String>,
    /// Those of these lines that are not met (stored since 1.3).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expectation_unmet: Vec<String>,
    /// The books; none if the cell could not start.
    pub verdict: Option<Verdict>,
    /// Fault steps as carried out.
    pub faults: Vec<FaultRecord>,
    /// `publish`, `service`, `lateness`, `end_to_end`.
    pub latencies: BTreeMap<String, LatencySummary>,
    /// Records per second of the window, by acknowledgement (acks=0: by end-to-end delivery).
    pub throughput_per_s: f64,
    /// Records per second that were asked for; `None`: as fast as possible.
    pub asked_per_s: Option<f64>,
    /// Length of the measured window, in nanoseconds.
    pub window_ns: u64,
    /// Records due in the measured window.
    pub window_records: u64,
    /// Time during which the client's queue refused records, in nanoseconds.
    pub blocked_ns: u64,
    /// What it cost.
    pub cost: Cost,
    /// Per second.
    pub seconds: Vec<Second>,
    /// The consumer group's commits, lag and rebalances; `None`: no group, or stored before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupCourse>,
    /// How each fault was got over, in the order of the acts (stored since 1.3).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recovery: Vec<Recovery>,
    /// Partitions as they changed under faults (stored since 1.3; local clusters).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<PartitionChange>,
    /// Doubts.
    pub caveats: Vec<Caveat>,
    /// Effective client settings, by role (`producer`, `reader`).
    pub client_settings: BTreeMap<String, BTreeMap<String, String>>,
    /// Topic settings as read back.
    pub topic_settings: BTreeMap<String, String>,
    /// Delivery reports with an error, by `CODE: not persisted` or `CODE: possibly persisted`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failed_sends: BTreeMap<String, u64>,
    /// The same by second after T0: pairs of second and count (stored since 1.3).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failed_by_second: BTreeMap<String, Vec<[u64; 2]>>,
    /// Librdkafka's and our own errors, the first 32.
    pub errors: Vec<String>,
    /// Where the time went, by stage, in nanoseconds.
    pub stages_ns: BTreeMap<String, u64>,
    /// CRC-32C of each evidence file, in hexadecimal.
    pub evidence: BTreeMap<String, String>,
}

impl CellResult {
    /// The books, if they claim anything; what is void or inconclusive shows no tally anywhere.
    pub fn judged(&self) -> Option<&Verdict> {
        self.verdict.as_ref().filter(|verdict| verdict.is_given())
    }

    /// A promise is broken in a way that `expect` does not name: what the profile asks for is no defect.
    pub fn has_unexpected_violation(&self) -> bool {
        self.judged().is_some_and(|verdict| {
            verdict.tallies.iter().any(|(kind, tally)| {
                tally.count > 0
                    && tally.weight == Weight::Violation
                    && !self.cell.expect.contains_key(kind.as_str())
            })
        })
    }
}

/// A value of a stored enumeration as its word in the stored form, with spaces, e.g. `not injected`.
pub fn word(value: &impl Serialize) -> String {
    let text = serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned));
    text.unwrap_or_default().replace(['_', '-'], " ")
}
