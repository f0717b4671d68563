//! How a group's members fetch.

use serde::{Deserialize, Serialize};

/// What a member asks of brokers with each fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct FetchSettings {
    /// `fetch.min.bytes`: a broker answers once it has as many.
    pub min_bytes: u32,
    /// `fetch.wait.max.ms` (Java: `fetch.max.wait.ms`), in nanoseconds: or once so long has passed.
    pub wait_ns: u64,
    /// `fetch.message.max.bytes` (Java: `max.partition.fetch.bytes`): at most so many of each partition.
    pub partition_bytes: u32,
}

impl Default for FetchSettings {
    /// Every byte at once, as a reader that adds little to the latency; up to 4 MiB of a partition.
    fn default() -> Self {
        FetchSettings { min_bytes: 1, wait_ns: 100_000_000, partition_bytes: 4 << 20 }
    }
}
