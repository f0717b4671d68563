//! How long processing one record takes: a pure function of seed, partition and offset, so that a record that comes again
//! takes as long again.
//!
//! No record costs a division, an allocation or a float: a hash picks from a table of quantiles, or scales a range.

use crate::ids::PartitionId;
use crate::settings::ServiceSpread;

/// Quantiles of the exponential distribution.
const QUANTILES: usize = 4096;

/// The modelled service times of a group.
#[derive(Debug)]
pub struct ServiceTimes {
    kind: Kind,
    seed: u64,
}

#[derive(Debug)]
enum Kind {
    Constant(u64),
    /// The least, and how many nanoseconds there are to choose from.
    Range(u64, u64),
    Table(Box<[u64; QUANTILES]>),
}

impl ServiceTimes {
    /// Those of this mean and spread.
    pub fn new(mean_ns: u64, spread: ServiceSpread, seed: u64) -> Self {
        let kind = match spread {
            ServiceSpread::Constant => Kind::Constant(mean_ns),
            ServiceSpread::Uniform { least_ns, most_ns } => {
                Kind::Range(least_ns, most_ns.saturating_sub(least_ns).saturating_add(1))
            }
            ServiceSpread::Exponential => Kind::Table(exponential(mean_ns)),
        };
        ServiceTimes { kind, seed }
    }

    /// No record takes any time.
    pub fn is_none(&self) -> bool {
        matches!(self.kind, Kind::Constant(0))
    }

    /// How long the record at this offset takes, in nanoseconds.
    #[inline]
    pub fn of(&self, partition: PartitionId, offset: i64) -> u64 {
        match &self.kind {
            Kind::Constant(service_ns) => *service_ns,
            Kind::Range(least_ns, choice) => {
                let drawn = (u128::from(self.drawn(partition, offset)) * u128::from(*choice)) >> 64;
                least_ns + drawn as u64
            }
            Kind::Table(quantiles) => quantiles[(self.drawn(partition, offset) >> 52) as usize],
        }
    }

    /// 64 bits that look random: the finalizer of SplitMix64 over what names the position.
    #[inline]
    fn drawn(&self, partition: PartitionId, offset: i64) -> u64 {
        let mut bits = self.seed ^ (u64::from(partition.0) << 48) ^ offset as u64;
        for _ in 0..2 {
            bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
            bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            bits ^= bits >> 31;
        }
        bits
    }
}

/// Scaled so that the table's mean is exact to the nanosecond.
fn exponential(mean_ns: u64) -> Box<[u64; QUANTILES]> {
    let quantile = |at: usize| -(1.0 - (at as f64 + 0.5) / QUANTILES as f64).ln();
    let mean = (0..QUANTILES).map(quantile).sum::<f64>() / QUANTILES as f64;
    let mut table = Box::new([0; QUANTILES]);
    for (at, service_ns) in table.iter_mut().enumerate() {
        *service_ns = (quantile(at) / mean * mean_ns as f64) as u64;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn drawn(times: &ServiceTimes, records: i64) -> Vec<u64> {
        (0..records).map(|offset| times.of(PartitionId(3), offset)).collect()
    }

    fn moments(values: &[u64]) -> (f64, f64) {
        let mean = values.iter().sum::<u64>() as f64 / values.len() as f64;
        let variance = values.iter().map(|value| (*value as f64 - mean).powi(2)).sum::<f64>();
        (mean, (variance / values.len() as f64).sqrt())
    }

    #[test]
    fn a_record_that_comes_again_takes_as_long_again_and_another_seed_gives_other_times() {
        let spreads = [ServiceSpread::Exponential, ServiceSpread::Uniform { least_ns: MS, most_ns: 5 * MS }];
        for spread in spreads {
            let first = drawn(&ServiceTimes::new(2 * MS, spread, 1), 1_000);
            assert_eq!(first, drawn(&ServiceTimes::new(2 * MS, spread, 1), 1_000));
            assert_ne!(first, drawn(&ServiceTimes::new(2 * MS, spread, 2), 1_000));
            let partition = ServiceTimes::new(2 * MS, spread, 1);
            assert_ne!(first[0], partition.of(PartitionId(4), 0));
        }
    }

    #[test]
    fn an_exponential_time_has_its_mean_and_as_much_spread() {
        let (mean, deviation) =
            moments(&drawn(&ServiceTimes::new(2 * MS, ServiceSpread::Exponential, 7), 200_000));
        assert!((mean / 2e6 - 1.0).abs() < 0.01, "{mean}");
        assert!((deviation / 2e6 - 1.0).abs() < 0.02, "{deviation}");
    }

    #[test]
    fn a_uniform_time_stays_in_its_range_and_fills_it() {
        let values = drawn(
            &ServiceTimes::new(3 * MS, ServiceSpread::Uniform { least_ns: MS, most_ns: 5 * MS }, 7),
            100_000,
        );
        let (mean, deviation) = moments(&values);
        assert!((mean / 3e6 - 1.0).abs() < 0.01, "{mean}");
        assert!((deviation / (4e6 / 12_f64.sqrt()) - 1.0).abs() < 0.02, "{deviation}");
        assert!(values.iter().all(|value| (MS..=5 * MS).contains(value)));
        let narrow =
            drawn(&ServiceTimes::new(2, ServiceSpread::Uniform { least_ns: 1, most_ns: 3 }, 7), 1_000);
        assert!((1..=3).all(|value| narrow.contains(&value)));
    }

    #[test]
    fn a_constant_time_is_constant() {
        assert!(ServiceTimes::new(0, ServiceSpread::Constant, 1).is_none());
        assert_eq!(drawn(&ServiceTimes::new(9, ServiceSpread::Constant, 1), 3), [9, 9, 9]);
    }
}
