//! Named latency series: one HDR histogram a second, censored values kept, percentiles that say when they are a bound.

use serde::{Deserialize, Serialize};

/// A percentile of a distribution that may hold censored values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Percentile {
    /// Known, in nanoseconds.
    Exactly(u64),
    /// Censored values reach into it: at least so many nanoseconds.
    AtLeast(u64),
    /// Fewer than 10 samples beyond it.
    TooFew,
}
