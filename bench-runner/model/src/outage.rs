//! Times in which a partition gave no success although something was asked of it: noted while records are sent or read.

use crate::ids::PartitionId;
use serde::{Deserialize, Serialize};

/// What is shorter is no outage.
pub const SHORTEST_NS: u64 = 100_000_000;
/// So many are kept of one worker; of a longer list nothing could be concluded.
pub const MOST: usize = 4096;

/// From the last success before to the first one after, or from the instant at which something was due again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// The partition.
    pub partition: PartitionId,
    /// Its begin, nanoseconds of the monotonic clock.
    pub from_ns: u64,
    /// The first error in it, nanoseconds of the monotonic clock; `None`: everybody waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_ns: Option<u64>,
    /// The first success after it, nanoseconds of the monotonic clock; `None`: there was none.
    pub to_ns: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Lane {
    last_ns: u64,
    /// The oldest instant at which something was due that has failed since.
    asked_ns: Option<u64>,
    error_ns: Option<u64>,
}

impl Lane {
    /// Something that was due at this instant has had no success.
    fn ask(&mut self, intended_ns: u64) {
        self.asked_ns = Some(self.asked_ns.map_or(intended_ns, |asked_ns| asked_ns.min(intended_ns)));
    }
}

/// Notes outages of all partitions of a topic, as one worker sees them.
#[derive(Debug)]
pub struct Outages {
    lanes: Vec<Lane>,
    found: Vec<Outage>,
}

impl Outages {
    /// Of so many partitions; allocates once.
    pub fn new(partitions: u16) -> Self {
        Outages { lanes: vec![Lane::default(); usize::from(partitions)], found: Vec::with_capacity(MOST) }
    }

    /// Begins at T0.
    pub fn start(&mut self, t0_ns: u64) {
        self.lanes.fill(Lane { last_ns: t0_ns, ..Lane::default() });
    }

    /// A record that was due at `intended_ns` succeeded.
    #[inline]
    pub fn success(&mut self, partition: PartitionId, intended_ns: u64, now_ns: u64) {
        let lane = &mut self.lanes[usize::from(partition.0)];
        let since_ns =
            lane.asked_ns.map_or(intended_ns, |asked_ns| asked_ns.min(intended_ns)).max(lane.last_ns);
        if now_ns.saturating_sub(since_ns) >= SHORTEST_NS && self.found.len() < MOST {
            self.found.push(Outage {
                partition,
                from_ns: since_ns,
                error_ns: lane.error_ns,
                to_ns: Some(now_ns),
            });
        }
        *lane = Lane { last_ns: now_ns, ..Lane::default() };
    }

    /// A record that was due at `intended_ns` has failed.
    #[inline]
    pub fn failure(&mut self, partition: PartitionId, intended_ns: u64, now_ns: u64) {
        let lane = &mut self.lanes[usize::from(partition.0)];
        lane.ask(intended_ns);
        lane.error_ns.get_or_insert(now_ns);
    }

    /// All of it, in the order of their ends; those that were not over at `now_ns` come last. `waiting`: partition and
    /// intended instant of each record that had no answer.
    pub fn finish(&mut self, waiting: impl Iterator<Item = (PartitionId, u64)>, now_ns: u64) -> Vec<Outage> {
        for (partition, intended_ns) in waiting {
            self.lanes[usize::from(partition.0)].ask(intended_ns);
        }
        for (partition, lane) in (0..).zip(&self.lanes) {
            let Some(asked_ns) = lane.asked_ns else { continue };
            let from_ns = asked_ns.max(lane.last_ns);
            if now_ns.saturating_sub(from_ns) >= SHORTEST_NS && self.found.len() < MOST {
                let partition = PartitionId(partition);
                self.found.push(Outage { partition, from_ns, error_ns: lane.error_ns, to_ns: None });
            }
        }
        std::mem::take(&mut self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const P: [PartitionId; 2] = [PartitionId(0), PartitionId(1)];

    fn outages() -> Outages {
        let mut outages = Outages::new(2);
        outages.start(1_000 * MS);
        outages
    }

    fn spans(found: &[Outage]) -> Vec<(u16, u64, Option<u64>, Option<u64>)> {
        let ms = |ns: u64| ns / MS;
        found
            .iter()
            .map(|it| (it.partition.0, ms(it.from_ns), it.error_ns.map(ms), it.to_ns.map(ms)))
            .collect()
    }

    #[test]
    fn an_outage_goes_from_the_last_success_to_the_next() {
        let mut outages = outages();
        outages.success(P[0], 1_100 * MS, 1_105 * MS);
        outages.success(P[1], 1_100 * MS, 1_106 * MS);
        // Due before the last success, so the partition has been silent since then.
        outages.success(P[0], 1_104 * MS, 3_000 * MS);
        outages.success(P[1], 1_110 * MS, 1_200 * MS);
        assert_eq!(spans(&outages.finish([].into_iter(), 9_000 * MS)), [(0, 1_105, None, Some(3_000))]);
    }

    #[test]
    fn nobody_waits_while_nothing_is_due() {
        let mut outages = outages();
        outages.success(P[0], 1_000 * MS, 1_005 * MS);
        outages.success(P[0], 5_000 * MS, 5_007 * MS);
        outages.success(P[0], 6_000 * MS, 6_300 * MS);
        assert_eq!(spans(&outages.finish([].into_iter(), 9_000 * MS)), [(0, 6_000, None, Some(6_300))]);
    }

    #[test]
    fn what_failed_was_asked_for() {
        let mut outages = outages();
        outages.success(P[0], 1_000 * MS, 1_005 * MS);
        outages.failure(P[0], 2_000 * MS, 2_400 * MS);
        outages.failure(P[0], 2_100 * MS, 2_500 * MS);
        outages.success(P[0], 2_600 * MS, 2_601 * MS);
        assert_eq!(
            spans(&outages.finish([].into_iter(), 9_000 * MS)),
            [(0, 2_000, Some(2_400), Some(2_601))]
        );
    }

    #[test]
    fn an_outage_may_have_no_end() {
        let mut outages = outages();
        outages.success(P[0], 1_000 * MS, 1_005 * MS);
        outages.failure(P[0], 2_000 * MS, 2_400 * MS);
        let waiting = [(P[1], 3_000 * MS), (P[1], 2_000 * MS)];
        assert_eq!(
            spans(&outages.finish(waiting.into_iter(), 9_000 * MS)),
            [(0, 2_000, Some(2_400), None), (1, 2_000, None, None)]
        );
    }
}
