//! What a number of seconds says together: percentiles computed twice, censored values at their cut and at infinity.

use super::{Bin, Counts, HIGHEST_NS, empty_counts};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A percentile with fewer samples beyond it is not shown.
const SAMPLES_BEYOND: u64 = 10;

/// Per mille of a per cent, so that no float decides which sample a percentile is.
const PERCENTILES: [(&str, u64); 5] =
    [("50", 50_000), ("90", 90_000), ("99", 99_000), ("99.9", 99_900), ("99.99", 99_990)];

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

/// The percentiles of one latency over the measured window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LatencySummary {
    /// Values, censored and failed ones included.
    pub count: u64,
    /// Of these, cut off before they ended, or failed for good.
    pub censored: u64,
    /// Of the censored, definite failures: they count as infinite.
    #[serde(default)]
    pub failed: u64,
    /// Smallest that ended, in nanoseconds; 0 if none did.
    pub min_ns: u64,
    /// Largest that ended, in nanoseconds.
    pub max_ns: u64,
    /// Greatest age at which a value was cut off or failed, in nanoseconds; 0 if none was.
    #[serde(default)]
    pub max_cut_ns: u64,
    /// Mean of those that ended, in nanoseconds.
    pub mean_ns: f64,
    /// Values above one hour: exact in the figures above, in the highest bucket of the histogram.
    #[serde(default)]
    pub overflow: u64,
    /// Keyed `50`, `90`, `99`, `99.9`, `99.99`.
    pub percentiles: BTreeMap<String, Percentile>,
}

/// One point of a percentile curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// log10(1 / (1 - q)): 2 is p99, 3 is p99.9.
    pub nines: f64,
    /// The value, in nanoseconds.
    pub value_ns: u64,
    /// Censored values reach into it.
    pub at_least: bool,
}

/// Several seconds as one distribution.
pub(super) struct Distribution {
    ended: Counts,
    /// Ended, and censored ones at their cut.
    at_cut: Counts,
    /// Ended, censored and failed at their cut: for figures that must be finite.
    finite: Counts,
    count: u64,
    ended_count: u64,
    failed: u64,
    sum_ns: u128,
    min_ns: u64,
    max_ns: u64,
    max_cut_ns: u64,
    overflow: u64,
}

impl Distribution {
    pub(super) fn of(bins: &[Bin]) -> Self {
        let mut all = Distribution {
            ended: empty_counts(),
            at_cut: empty_counts(),
            finite: empty_counts(),
            count: 0,
            ended_count: 0,
            failed: 0,
            sum_ns: 0,
            min_ns: u64::MAX,
            max_ns: 0,
            max_cut_ns: 0,
            overflow: 0,
        };
        for ended in bins.iter().filter_map(|bin| bin.ended.as_ref()) {
            // Equal bounds: the additions cannot fail.
            all.ended.add(&ended.counts).expect("equal bounds");
            all.ended_count += ended.count;
            all.sum_ns += ended.sum_ns;
            all.min_ns = all.min_ns.min(ended.min_ns);
            all.max_ns = all.max_ns.max(ended.max_ns);
            all.overflow += ended.overflow;
        }
        all.count = all.ended_count;
        all.at_cut.add(&all.ended).expect("equal bounds");
        all.finite.add(&all.ended).expect("equal bounds");
        for bin in bins {
            for (cut, is_failure) in [(&bin.censored, false), (&bin.failed, true)] {
                let Some(cut) = cut else { continue };
                all.count += cut.count;
                all.max_cut_ns = all.max_cut_ns.max(cut.max_ns);
                all.overflow += cut.overflow;
                all.finite.add(&cut.counts).expect("equal bounds");
                if is_failure {
                    all.failed += cut.count;
                } else {
                    all.at_cut.add(&cut.counts).expect("equal bounds");
                }
            }
        }
        all
    }

    /// The bucket (by its largest value) of the sample with this rank (from 1).
    fn bucket_at(counts: &Counts, rank: u64) -> Option<u64> {
        let mut seen = 0;
        counts.iter_recorded().find_map(|step| {
            seen += step.count_since_last_iteration();
            (seen >= rank).then(|| counts.highest_equivalent(step.value_iterated_to()))
        })
    }

    /// A bucket's largest value; the last bucket also holds what is longer than an hour, so its edge says too little.
    fn upper_ns(bucket_ns: u64, longest_ns: u64) -> u64 {
        if bucket_ns >= HIGHEST_NS { longest_ns } else { bucket_ns.min(longest_ns) }
    }

    fn percentile(&self, rank: u64) -> Percentile {
        if self.count < rank + SAMPLES_BEYOND {
            return Percentile::TooFew;
        }
        let longest_ns = self.max_ns.max(self.max_cut_ns);
        let at_infinity = Self::bucket_at(&self.ended, rank);
        match (Self::bucket_at(&self.at_cut, rank), at_infinity) {
            (Some(low), Some(high)) if low == high => Percentile::Exactly(Self::upper_ns(low, longest_ns)),
            (Some(low), _) => Percentile::AtLeast(self.at_cut.lowest_equivalent(low)),
            // Definite failures alone reach so far: infinite, hence longer than anything seen.
            (None, _) => Percentile::AtLeast(longest_ns),
        }
    }

    pub(super) fn summary(&self) -> Option<LatencySummary> {
        if self.count == 0 {
            return None;
        }
        let rank = |per_100k: u64| {
            let rank = (u128::from(self.count) * u128::from(per_100k)).div_ceil(100_000);
            u64::try_from(rank).unwrap_or(u64::MAX).max(1)
        };
        Some(LatencySummary {
            count: self.count,
            censored: self.count - self.ended_count,
            failed: self.failed,
            min_ns: if self.ended_count == 0 { 0 } else { self.min_ns },
            max_ns: self.max_ns,
            max_cut_ns: self.max_cut_ns,
            mean_ns: if self.ended_count == 0 { 0.0 } else { self.sum_ns as f64 / self.ended_count as f64 },
            overflow: self.overflow,
            percentiles: PERCENTILES
                .iter()
                .map(|(name, per_100k)| ((*name).to_owned(), self.percentile(rank(*per_100k))))
                .collect(),
        })
    }

    pub(super) fn curve(&self) -> Vec<CurvePoint> {
        const STEPS_PER_NINE: u32 = 25;
        let rank_of = |nines: f64| (self.count as f64 * (1.0 - 10_f64.powf(-nines))).ceil().max(1.0) as u64;
        (0..=12 * STEPS_PER_NINE)
            .map(|step| f64::from(step) / f64::from(STEPS_PER_NINE))
            .map_while(|nines| match self.percentile(rank_of(nines)) {
                Percentile::Exactly(value_ns) => Some(CurvePoint { nines, value_ns, at_least: false }),
                Percentile::AtLeast(value_ns) => Some(CurvePoint { nines, value_ns, at_least: true }),
                Percentile::TooFew => None,
            })
            .collect()
    }

    pub(super) fn quantile_at_cut_ns(&self, quantile: f64) -> Option<u64> {
        let rank = (self.count as f64 * quantile).ceil().max(1.0) as u64;
        let bucket_ns = Self::bucket_at(&self.finite, rank)?;
        Some(Self::upper_ns(bucket_ns, self.max_ns.max(self.max_cut_ns)))
    }

    /// What was cut off or failed reaches into this quantile: it is a lower bound.
    pub(super) fn is_cut_at(&self, quantile: f64) -> bool {
        let rank = (self.count as f64 * quantile).ceil().max(1.0) as u64;
        Self::bucket_at(&self.ended, rank) != Self::bucket_at(&self.finite, rank)
    }

    /// Anything was cut off or failed.
    pub(super) fn is_cut(&self) -> bool {
        self.count > self.ended_count
    }

    pub(super) fn max_at_cut_ns(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max_ns.max(self.max_cut_ns))
    }
}
