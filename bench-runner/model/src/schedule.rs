//! When and where record k is due: a pure function of load and seed, never reset, skipped or re-based.
//!
//! No record costs a division, an allocation or a float: gaps are added up as whole nanoseconds and remainders.

use crate::ids::{PartitionId, ProducerId};
use crate::settings::{Arrival, Length, Load};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

const SECOND_NS: u64 = 1_000_000_000;
const GAPS: usize = 4096;

#[derive(Debug)]
enum Kind {
    /// Adds `step_ns + step_rest / rate` each time.
    Constant { step_ns: u64, step_rest: u64, rest: u64, rate: u64 },
    /// Gaps in 1/1024 ns, drawn from a table of exponential quantiles.
    Poisson { gaps: Vec<u64>, generator: Box<ChaCha8Rng>, due_1024: u64 },
    /// Due at once, always.
    Max,
    /// (instant, records of this producer left).
    Bursts { bursts: Vec<(u64, u64)>, at: usize },
}

/// The intended send instants of one producer, in nanoseconds after T0.
#[derive(Debug)]
pub struct Schedule {
    kind: Kind,
    due_ns: u64,
    warmup_ns: u64,
    /// First instant that is no longer due.
    end_ns: u64,
    /// Records left after the warm-up.
    left: u64,
}

impl Schedule {
    /// The part of `producer` in the load of a cell: of n producers, number i takes records i, i + n, i + 2n, ...
    /// (Poisson: an independent process of 1/n of the rate).
    pub fn new(load: &Load, seed: u64, producer: ProducerId) -> Self {
        let producers = u64::from(load.producers.max(1));
        let index = u64::from(producer.0);
        let share = |total: u64| total / producers + u64::from(index < total % producers);
        let kind = match &load.arrival {
            Arrival::Constant { per_second } => Self::constant(*per_second, producers),
            Arrival::Poisson { per_second } => Self::poisson(*per_second, producers, seed ^ (index << 32)),
            Arrival::Max => Kind::Max,
            Arrival::Bursts(bursts) => Kind::Bursts {
                bursts: bursts.iter().map(|burst| (burst.at_ns, share(burst.records))).collect(),
                at: 0,
            },
        };
        let (end_ns, left) = match load.length {
            _ if matches!(kind, Kind::Bursts { .. }) => (u64::MAX, u64::MAX),
            Length::Time(window_ns) => (load.warmup_ns + window_ns, u64::MAX),
            Length::Records(records) => (u64::MAX, share(records)),
        };
        let mut schedule = Schedule { kind, due_ns: 0, warmup_ns: load.warmup_ns, end_ns, left };
        match &mut schedule.kind {
            Kind::Constant { rest, rate, .. } => {
                let numerator = index * SECOND_NS;
                schedule.due_ns = numerator / *rate;
                *rest = numerator % *rate;
            }
            Kind::Poisson { .. } | Kind::Bursts { .. } => schedule.step(),
            Kind::Max => {}
        }
        schedule
    }

    fn constant(rate: u64, producers: u64) -> Kind {
        let step = producers * SECOND_NS;
        Kind::Constant { step_ns: step / rate, step_rest: step % rate, rest: 0, rate }
    }

    fn poisson(rate: u64, producers: u64, seed: u64) -> Kind {
        let quantiles: Vec<f64> = (0..GAPS).map(|i| -(1.0 - (i as f64 + 0.5) / GAPS as f64).ln()).collect();
        let mean = quantiles.iter().sum::<f64>() / GAPS as f64;
        let gap_1024 = SECOND_NS as f64 * producers as f64 / rate as f64 * 1024.0 / mean;
        let gaps = quantiles.iter().map(|quantile| (quantile * gap_1024) as u64).collect();
        Kind::Poisson { gaps, generator: Box::new(ChaCha8Rng::seed_from_u64(seed)), due_1024: 0 }
    }

    /// The intended instant of the next record; `None`: nothing more is due, ever.
    #[inline]
    pub fn peek(&self) -> Option<u64> {
        // A producer whose share of the window is nothing takes part in the warm-up all the same.
        let wanted = self.left > 0 || self.due_ns < self.warmup_ns;
        (wanted && self.due_ns < self.end_ns).then_some(self.due_ns)
    }

    /// Goes on to the record after the next one.
    #[inline]
    pub fn advance(&mut self) {
        if self.due_ns >= self.warmup_ns {
            self.left -= 1;
        }
        self.step();
    }

    /// Closed loop: the caller says that it is `now_ns` (the schedule itself knows no clock).
    #[inline]
    pub fn at(&mut self, now_ns: u64) {
        if matches!(self.kind, Kind::Max) {
            self.due_ns = now_ns;
        }
    }

    #[inline]
    fn step(&mut self) {
        match &mut self.kind {
            Kind::Constant { step_ns, step_rest, rest, rate } => {
                self.due_ns += *step_ns;
                *rest += *step_rest;
                if *rest >= *rate {
                    *rest -= *rate;
                    self.due_ns += 1;
                }
            }
            Kind::Poisson { gaps, generator, due_1024 } => {
                *due_1024 += gaps[generator.next_u32() as usize % GAPS];
                self.due_ns = *due_1024 >> 10;
            }
            Kind::Max => {}
            Kind::Bursts { bursts, at } => {
                while *at < bursts.len() && bursts[*at].1 == 0 {
                    *at += 1;
                }
                match bursts.get_mut(*at) {
                    Some((at_ns, records)) => {
                        *records -= 1;
                        self.due_ns = *at_ns;
                    }
                    None => self.end_ns = 0,
                }
            }
        }
    }
}

/// Which partition the next record goes to: a batch's worth to one, then the next one's turn.
#[derive(Debug)]
pub struct Placement {
    next_sequence: Vec<u64>,
    partition: usize,
    chunk: u64,
    left: u64,
}

impl Placement {
    /// Chunks of as many records as fit into a batch; producers begin at different partitions.
    pub fn new(partitions: u16, producer: ProducerId, batch_bytes: u32, record_bytes: u32) -> Self {
        let chunk = u64::from(batch_bytes / record_bytes.max(1)).max(1);
        Placement {
            next_sequence: vec![0; usize::from(partitions)],
            partition: usize::from(producer.0 % partitions.max(1)),
            chunk,
            left: chunk,
        }
    }

    /// How many partitions there are.
    pub fn partitions(&self) -> u16 {
        self.next_sequence.len() as u16
    }

    /// By partition, the sequence that comes next.
    pub fn next_sequences(&self) -> &[u64] {
        &self.next_sequence
    }

    /// Partition and sequence of the next record, and how many more follow it there in a row.
    #[inline]
    pub fn peek(&self) -> (usize, u64, u64) {
        (self.partition, self.next_sequence[self.partition], self.left)
    }

    /// Goes on by `count` records, at most as many as `peek` said.
    #[inline]
    pub fn advance(&mut self, count: u64) {
        self.next_sequence[self.partition] += count;
        self.left -= count;
        if self.left == 0 {
            self.left = self.chunk;
            self.partition =
                if self.partition + 1 == self.next_sequence.len() { 0 } else { self.partition + 1 };
        }
    }
}

/// All records of one producer in order: where and when each is due. A pure function of the cell, so that a later life
/// can go on where an earlier one was killed.
#[derive(Debug)]
pub struct Course {
    /// When.
    pub schedule: Schedule,
    /// Where.
    pub placement: Placement,
}

/// One record of a course.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Its partition.
    pub partition: PartitionId,
    /// Its sequence there.
    pub sequence: u64,
    /// When it is due, nanoseconds after T0.
    pub due_ns: u64,
}

impl Iterator for Course {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        let due_ns = self.schedule.peek()?;
        let (partition, sequence, _) = self.placement.peek();
        self.schedule.advance();
        self.placement.advance(1);
        Some(Due { partition: PartitionId(partition as u16), sequence, due_ns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Burst;
    use proptest::prelude::*;

    fn load(arrival: Arrival, length: Length, producers: u16) -> Load {
        Load {
            arrival,
            record_bytes: 100,
            warmup_ns: SECOND_NS,
            length,
            producers,
            compressible_percent: 0,
            drain_ns: 0,
        }
    }

    fn all(load: &Load, producer: u16) -> Vec<u64> {
        let mut schedule = Schedule::new(load, 42, ProducerId(producer));
        let mut due = Vec::new();
        while let Some(due_ns) = schedule.peek() {
            due.push(due_ns);
            schedule.advance();
        }
        due
    }

    proptest! {
        #[test]
        fn record_k_of_a_constant_rate_is_due_at_k_over_rate(rate in 1_u64..50_000, producers in 1_u16..5) {
            let load = load(Arrival::Constant { per_second: rate }, Length::Time(SECOND_NS / 2), producers);
            let mut due: Vec<u64> = (0..producers).flat_map(|producer| all(&load, producer)).collect();
            due.sort_unstable();
            let expected: Vec<u64> = (0..).map(|k| k * SECOND_NS / rate).take_while(|due| *due < SECOND_NS * 3 / 2).collect();
            prop_assert_eq!(due, expected);
        }

        #[test]
        fn records_are_counted_after_the_warm_up(rate in 1_u64..5_000, records in 0_u64..500, producers in 1_u16..4) {
            let load = load(Arrival::Constant { per_second: rate }, Length::Records(records), producers);
            let after = (0..producers).flat_map(|p| all(&load, p)).filter(|due| *due >= SECOND_NS).count();
            prop_assert_eq!(after as u64, records);
        }

        #[test]
        fn placement_is_dense_in_every_partition(partitions in 1_u16..9, chunk in 1_u32..9, steps in 1_usize..200) {
            let mut placement = Placement::new(partitions, ProducerId(1), chunk * 10, 10);
            let mut next = vec![0; usize::from(partitions)];
            for _ in 0..steps {
                let (partition, sequence, left) = placement.peek();
                prop_assert_eq!(sequence, next[partition]);
                prop_assert!(left >= 1 && left <= u64::from(chunk));
                next[partition] += 1;
                placement.advance(1);
            }
            prop_assert!(next.iter().max().unwrap() - next.iter().min().unwrap() <= u64::from(chunk));
        }
    }

    #[test]
    fn a_poisson_process_has_its_rate_and_the_spread_of_one() {
        let load = load(Arrival::Poisson { per_second: 10_000 }, Length::Time(20 * SECOND_NS), 1);
        let due = all(&load, 0);
        assert!((due.len() as f64 / 210_000.0 - 1.0).abs() < 0.01, "{}", due.len());
        let mut counts = vec![0_f64; 2100];
        due.iter().for_each(|due| counts[(due / 10_000_000) as usize] += 1.0);
        let mean = counts.iter().sum::<f64>() / counts.len() as f64;
        let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / counts.len() as f64;
        assert!((variance / mean - 1.0).abs() < 0.15, "index of dispersion {}", variance / mean);
        assert_eq!(due, all(&load, 0));
    }

    #[test]
    fn bursts_are_due_together_and_shared() {
        let bursts = vec![
            Burst { at_ns: 0, records: 3 },
            Burst { at_ns: 7, records: 0 },
            Burst { at_ns: 9, records: 2 },
        ];
        let load = load(Arrival::Bursts(bursts), Length::Time(0), 2);
        assert_eq!(all(&load, 0), [0, 0, 9]);
        assert_eq!(all(&load, 1), [0, 9]);
    }

    #[test]
    fn a_closed_loop_is_due_whenever_it_is_asked_until_the_window_ends() {
        let mut schedule = Schedule::new(&load(Arrival::Max, Length::Time(5), 1), 1, ProducerId(0));
        schedule.at(SECOND_NS + 4);
        assert_eq!(schedule.peek(), Some(SECOND_NS + 4));
        schedule.at(SECOND_NS + 5);
        assert_eq!(schedule.peek(), None);
    }
}
