//! How a fault was got over, as it is stored.

use crate::ids::{BrokerId, PartitionId};
use serde::{Deserialize, Serialize};

/// A length of time, or what is known instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stretch {
    /// Nanoseconds.
    Ns(u64),
    /// Not over when nobody looked any more: at least so many nanoseconds.
    AtLeast(u64),
    /// None that is as long as this, in nanoseconds: shorter ones are not seen.
    Below(u64),
    /// Not known, or there is none; why.
    Unknown(String),
}

/// One fault of a cell, from the act to the last of its traces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// E.g. `leader killed`.
    pub fault: String,
    /// The act, nanoseconds after T0.
    pub from_ns: u64,
    /// Its undoing, nanoseconds after T0; `None`: never undone.
    pub to_ns: Option<u64>,
    /// From the last success before to the first after, in the partition where that was longest.
    pub unavailable: Stretch,
    /// From the act to that first success after.
    pub first_success: Stretch,
    /// The p99 of a second before the first fault: the median of these seconds, in nanoseconds.
    pub baseline_p99_ns: Option<u64>,
    /// From the act until the p99 of a second was within 10 % of that again.
    pub p99_back: Stretch,
    /// From the act until every partition had all replicas in sync again.
    pub isr_full: Stretch,
    /// From the act until no more records waited for an answer than before it.
    pub drained: Stretch,
    /// Partition by partition.
    pub partitions: Vec<PartitionRecovery>,
}

/// What one partition went through; instants are nanoseconds after T0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionRecovery {
    /// The partition.
    pub partition: PartitionId,
    /// As in [`Recovery::unavailable`].
    pub unavailable: Stretch,
    /// The last success before, or when something was due again.
    pub last_success_ns: Option<u64>,
    /// The first error in between.
    pub first_error_ns: Option<u64>,
    /// The first success after.
    pub first_success_ns: Option<u64>,
}

/// A partition as brokers told of it when it had changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionChange {
    /// When it was first seen so, nanoseconds after T0 (0: at the start or before).
    pub at_ns: u64,
    /// The partition.
    pub partition: PartitionId,
    /// `None`: nobody leads.
    pub leader: Option<BrokerId>,
    /// Rises with each election.
    pub leader_epoch: i32,
    /// In-sync replicas, ascending.
    pub isr: Vec<BrokerId>,
}
