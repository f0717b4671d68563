//! Named latency series: one HDR histogram a second, censored values kept, percentiles that say when they are a bound.
//!
//! Nothing is clamped, averaged or dropped: what ended late, was cut off or failed is in the distribution.

mod distribution;
mod text;

pub use distribution::{CurvePoint, LatencySummary, Percentile};
pub use text::TextError;

use distribution::Distribution;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::ops::Range;

/// Largest value that a bucket exists for: one hour. Larger ones are counted there, and as overflow.
pub const HIGHEST_NS: u64 = 3_600_000_000_000;

/// Seconds whose counters [`Series::stocked`] makes beforehand, at most: 16 MiB.
const STOCK: usize = 120;

pub(crate) type Counts = Histogram<u32>;

/// Counters of fixed size, 135 KiB.
pub(crate) fn empty_counts() -> Counts {
    // The bounds are constants that the crate accepts, so this cannot fail.
    Counts::new_with_bounds(1, HIGHEST_NS, 3).expect("constant bounds are valid")
}

/// Values of one kind and second: a histogram, and the exact figures beside it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tallied {
    pub(crate) counts: Counts,
    pub(crate) count: u64,
    pub(crate) sum_ns: u128,
    pub(crate) min_ns: u64,
    pub(crate) max_ns: u64,
    pub(crate) overflow: u64,
}

impl Tallied {
    pub(crate) fn new() -> Self {
        Tallied { counts: empty_counts(), count: 0, sum_ns: 0, min_ns: u64::MAX, max_ns: 0, overflow: 0 }
    }

    #[inline]
    fn record(&mut self, value_ns: u64) {
        self.record_many(value_ns, 1);
    }

    #[inline]
    fn record_many(&mut self, value_ns: u64, count: u64) {
        // A second holds fewer values than a 32-bit counter; more would saturate it, and contradict the exact count.
        self.counts.saturating_record_n(value_ns.min(HIGHEST_NS), u32::try_from(count).unwrap_or(u32::MAX));
        self.count += count;
        self.sum_ns += u128::from(value_ns) * u128::from(count);
        self.min_ns = self.min_ns.min(value_ns);
        self.max_ns = self.max_ns.max(value_ns);
        self.overflow += if value_ns > HIGHEST_NS { count } else { 0 };
    }

    pub(crate) fn merge(&mut self, other: &Tallied) {
        // Equal bounds: the addition cannot fail.
        self.counts.add(&other.counts).expect("equal bounds");
        self.count += other.count;
        self.sum_ns += other.sum_ns;
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        self.overflow += other.overflow;
    }
}

/// One second of intended time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bin {
    /// Taken out of the stock or made by the first value; none for seconds that never come.
    pub(crate) ended: Option<Box<Tallied>>,
    /// Cut off before they ended: known to be at least so long.
    pub(crate) censored: Option<Box<Tallied>>,
    /// Failed for good at this age: they will never end.
    pub(crate) failed: Option<Box<Tallied>>,
}

impl Bin {
    fn new() -> Self {
        Bin { ended: None, censored: None, failed: None }
    }

    fn merge(&mut self, other: &Bin) {
        for (mine, theirs) in [
            (&mut self.ended, &other.ended),
            (&mut self.censored, &other.censored),
            (&mut self.failed, &other.failed),
        ] {
            if let Some(theirs) = theirs {
                mine.get_or_insert_with(|| Box::new(Tallied::new())).merge(theirs);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.ended.is_none() && self.censored.is_none() && self.failed.is_none()
    }
}

/// One latency of one cell, by second of intended time; the last second holds everything later.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub(crate) bins: Vec<Bin>,
    /// For the first values of seconds to come. Each has its pages: to make one takes 0.1 ms of whoever has a record in hand.
    #[expect(clippy::vec_box, reason = "a bin takes the box as it is, without an allocation")]
    stock: Vec<Box<Tallied>>,
}

impl Series {
    /// Room for `seconds` seconds and the overflow second behind them.
    pub fn new(seconds: usize) -> Self {
        Series { bins: (0..=seconds).map(|_| Bin::new()).collect(), stock: Vec::new() }
    }

    /// The same for a thread that must not allocate: the counters of the first [`STOCK`] seconds that have values are there.
    pub fn stocked(seconds: usize) -> Self {
        let stock = (0..=seconds).take(STOCK).map(|_| Box::new(Tallied::new())).collect();
        Series { stock, ..Series::new(seconds) }
    }

    /// Seconds, without the overflow second.
    pub fn seconds(&self) -> usize {
        self.bins.len() - 1
    }

    /// A value that ended. No lock, no float, and no allocation while there is stock; without, one for the first value of a
    /// second.
    #[inline]
    pub fn record(&mut self, second: usize, value_ns: u64) {
        self.ended_in(second).record(value_ns);
    }

    /// The same value, ended so many times.
    pub fn record_many(&mut self, second: usize, value_ns: u64, count: u64) {
        if count > 0 {
            self.ended_in(second).record_many(value_ns, count);
        }
    }

    #[inline]
    fn ended_in(&mut self, second: usize) -> &mut Tallied {
        let last = self.bins.len() - 1;
        let Series { bins, stock } = self;
        let make = || stock.pop().unwrap_or_else(|| Box::new(Tallied::new()));
        bins[second.min(last)].ended.get_or_insert_with(make)
    }

    /// A value that was cut off at this age: unfinished, expired, or of unknown fate.
    pub fn censor(&mut self, second: usize, cut_ns: u64) {
        self.censor_many(second, cut_ns, 1);
    }

    /// A definite failure at this age: it never ends, hence counts as infinite.
    pub fn fail(&mut self, second: usize, cut_ns: u64) {
        let last = self.bins.len() - 1;
        let failed = &mut self.bins[second.min(last)].failed;
        failed.get_or_insert_with(|| Box::new(Tallied::new())).record(cut_ns);
    }

    /// The same for many values of one age (records of a second that never arrived).
    pub fn censor_many(&mut self, second: usize, cut_ns: u64, count: u64) {
        if count == 0 {
            return;
        }
        let last = self.bins.len() - 1;
        let censored = &mut self.bins[second.min(last)].censored;
        censored.get_or_insert_with(|| Box::new(Tallied::new())).record_many(cut_ns, count);
    }

    /// Values of one second: ended, cut off and failed.
    pub fn count(&self, second: usize) -> u64 {
        self.bins.get(second).map_or(0, |bin| {
            [&bin.ended, &bin.censored, &bin.failed].into_iter().flatten().map(|tallied| tallied.count).sum()
        })
    }

    /// Values of one second that ended.
    pub fn ended(&self, second: usize) -> u64 {
        self.bins.get(second).and_then(|bin| bin.ended.as_ref()).map_or(0, |ended| ended.count)
    }

    /// Adds another series; the longer one's seconds remain, overflow goes to overflow.
    pub fn merge(&mut self, other: &Series) {
        let seconds = self.seconds().max(other.seconds());
        if self.seconds() < seconds {
            let at = self.bins.len() - 1;
            self.bins.splice(at..at, (at..seconds).map(|_| Bin::new()));
        }
        for (second, bin) in other.bins.iter().enumerate().filter(|(_, bin)| !bin.is_empty()) {
            let into = if second == other.seconds() { seconds } else { second };
            self.bins[into].merge(bin);
        }
    }

    /// Percentiles and exact figures of the intended seconds in `range`; an end behind the last second takes the
    /// overflow second in. `None`: no value.
    pub fn summary(&self, range: Range<usize>) -> Option<LatencySummary> {
        self.distribution(range).summary()
    }

    /// Points of the percentile curve, up to the last with 10 samples beyond it.
    pub fn curve(&self, range: Range<usize>) -> Vec<CurvePoint> {
        self.distribution(range).curve()
    }

    /// The quantile over everything, censored values at their cut; `None`: no value. For judging the harness
    /// itself, not for results: it never says that it is a bound.
    pub fn quantile_ns(&self, quantile: f64) -> Option<u64> {
        self.distribution(0..self.bins.len()).quantile_at_cut_ns(quantile)
    }

    /// Median, p99 and maximum of one second, censored values at their cut, in nanoseconds; `None`: no value.
    pub fn second_ns(&self, second: usize) -> Option<[u64; 3]> {
        let distribution = self.distribution(second..second + 1);
        Some([
            distribution.quantile_at_cut_ns(0.5)?,
            distribution.quantile_at_cut_ns(0.99)?,
            distribution.max_at_cut_ns()?,
        ])
    }

    /// Which of [`Series::second_ns`] are lower bounds.
    pub fn second_is_cut(&self, second: usize) -> [bool; 3] {
        let distribution = self.distribution(second..second + 1);
        [distribution.is_cut_at(0.5), distribution.is_cut_at(0.99), distribution.is_cut()]
    }

    fn distribution(&self, range: Range<usize>) -> Distribution {
        let end = range.end.min(self.bins.len());
        let start = range.start.min(end);
        Distribution::of(&self.bins[start..end])
    }
}

/// The series of a worker or a cell by name: `publish`, `service`, `lateness`, `end_to_end`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Set {
    pub(crate) series: BTreeMap<String, Series>,
}

impl Set {
    /// Adds a series, or merges it into the one of the same name. Names are words of `a-z`, `0-9` and `_`.
    pub fn insert(&mut self, name: impl Into<String>, series: Series) {
        match self.series.entry(name.into()) {
            std::collections::btree_map::Entry::Vacant(entry) => drop(entry.insert(series)),
            std::collections::btree_map::Entry::Occupied(mut entry) => entry.get_mut().merge(&series),
        }
    }

    /// The series of that name.
    pub fn get(&self, name: &str) -> Option<&Series> {
        self.series.get(name)
    }

    /// The series of that name, to add to it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Series> {
        self.series.get_mut(name)
    }

    /// Names and series, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Series)> {
        self.series.iter().map(|(name, series)| (name.as_str(), series))
    }

    /// Adds every series of another set.
    pub fn merge(&mut self, other: &Set) {
        for (name, series) in &other.series {
            self.insert(name.clone(), series.clone());
        }
    }
}

#[cfg(test)]
mod tests;
