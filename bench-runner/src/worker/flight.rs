//! Records in flight: fixed slots and a free list, so that reports find their record without allocation.

use super::predecessor::Again;
use crate::kafka::lane::Fate;
use bench_model::ids::PartitionId;
use bench_model::latency::Series;
use bench_model::ledger::{LedgerMut, State};
use bench_model::outage::{Outage, Outages};
use bench_model::schedule::Due;
use bench_model::settings::Acks;

const SECOND_NS: u64 = 1_000_000_000;

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    sequence: u64,
    intended_ns: u64,
    actual_ns: u64,
    partition: PartitionId,
    used: bool,
    /// Place of a resend in the ledger; `None`: a first attempt.
    resend: Option<u32>,
}

/// The three latencies of a producer, by second of the intended instant.
#[derive(Debug)]
pub(super) struct Latencies {
    pub(super) publish: Series,
    pub(super) service: Series,
    pub(super) lateness: Series,
}

/// Everything that a delivery report touches.
pub(super) struct Flight<'a> {
    slots: Vec<Slot>,
    free: Vec<u32>,
    pub(super) ledger: LedgerMut<'a>,
    pub(super) latencies: Latencies,
    t0_ns: u64,
    success: State,
    outages: Outages,
    /// A report this long after its record was handed over may be about another attempt than the first.
    resent_after_ns: u64,
    pub(super) sent: u64,
    pub(super) acked: u64,
    pub(super) failed: u64,
}

impl<'a> Flight<'a> {
    /// Room for `slots` records in flight; the client sends nothing again sooner than `first_resend_ns`.
    pub(super) fn new(
        slots: usize,
        ledger: LedgerMut<'a>,
        partitions: u16,
        seconds: usize,
        acks: Acks,
        first_resend_ns: u64,
    ) -> Self {
        let series = || Series::stocked(seconds);
        Flight {
            slots: vec![Slot::default(); slots],
            free: (0..slots as u32).rev().collect(),
            ledger,
            latencies: Latencies { publish: series(), service: series(), lateness: series() },
            t0_ns: 0,
            outages: Outages::new(partitions),
            success: if acks == Acks::Zero { State::Sent } else { State::Acked },
            // Only an answer that waits for the followers can be overtaken by a change of the leader.
            resent_after_ns: if acks == Acks::All { first_resend_ns } else { u64::MAX },
            sent: 0,
            acked: 0,
            failed: 0,
        }
    }

    /// Says when T0 is; before that, nothing may be taken.
    pub(super) fn start(&mut self, t0_ns: u64) {
        self.t0_ns = t0_ns;
        self.outages.start(t0_ns);
    }

    /// Free slots.
    #[inline]
    pub(super) fn free(&self) -> usize {
        self.free.len()
    }

    /// Records handed over and not yet answered.
    #[inline]
    pub(super) fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Takes a slot for a record; there must be a free one.
    #[inline]
    pub(super) fn take(
        &mut self,
        partition: PartitionId,
        sequence: u64,
        intended_ns: u64,
        actual_ns: u64,
    ) -> u32 {
        let index = self.free.pop().expect("the caller looked at `free`");
        self.slots[index as usize] =
            Slot { sequence, intended_ns, actual_ns, partition, used: true, resend: None };
        let second = self.second(intended_ns);
        self.latencies.lateness.record(second, actual_ns - intended_ns);
        index
    }

    /// Takes a slot for a record that is sent again in this transaction (0: none), and notes the attempt; `None`: the ledger
    /// has no room for it.
    pub(super) fn take_again(
        &mut self,
        record: &Again,
        transaction: u32,
        intended_ns: u64,
        actual_ns: u64,
    ) -> Option<u32> {
        let Due { partition, sequence, .. } = record.due;
        let place = self.ledger.begin_resend_in(partition, sequence, record.attempt, transaction)?;
        let index = self.take(record.partition(), record.due.sequence, intended_ns, actual_ns);
        self.slots[index as usize].resend = u32::try_from(place).ok();
        Some(index)
    }

    /// Notes what became of the attempt in a slot.
    #[inline]
    fn settle(&mut self, slot: Slot, state: State) {
        match slot.resend {
            None => self.ledger.settle(slot.partition, slot.sequence, state),
            Some(place) => self.ledger.settle_resend(u64::from(place), state),
        }
    }

    /// Gives a slot back without a report and says which partition and sequence it held.
    pub(super) fn give_back(&mut self, index: u32) -> (PartitionId, u64) {
        let slot = &mut self.slots[index as usize];
        slot.used = false;
        self.free.push(index);
        (slot.partition, slot.sequence)
    }

    #[inline]
    fn second(&self, intended_ns: u64) -> usize {
        ((intended_ns - self.t0_ns) / SECOND_NS) as usize
    }

    /// A delivery report.
    #[inline]
    pub(super) fn report(&mut self, index: u32, fate: Fate, now_ns: u64) {
        let slot = &mut self.slots[index as usize];
        slot.used = false;
        let slot = *slot;
        let Slot { intended_ns, actual_ns, .. } = slot;
        self.free.push(index);
        let second = self.second(intended_ns);
        let (publish, service) = (now_ns.saturating_sub(intended_ns), now_ns.saturating_sub(actual_ns));
        let fate = match fate {
            Fate::NotPersistedAtLast if service >= self.resent_after_ns => Fate::Unknown,
            Fate::NotPersistedAtLast => Fate::NotPersisted,
            sure => sure,
        };
        let state = match fate {
            Fate::Delivered => {
                self.acked += 1;
                self.outages.success(slot.partition, intended_ns, now_ns);
                self.latencies.publish.record(second, publish);
                self.latencies.service.record(second, service);
                self.success
            }
            Fate::NotPersisted | Fate::NotPersistedAtLast => {
                self.failed += 1;
                self.outages.failure(slot.partition, intended_ns, now_ns);
                self.latencies.publish.fail(second, publish);
                self.latencies.service.fail(second, service);
                State::NotPersisted
            }
            Fate::Unknown => {
                self.failed += 1;
                self.outages.failure(slot.partition, intended_ns, now_ns);
                self.latencies.publish.censor(second, publish);
                self.latencies.service.censor(second, service);
                State::Unknown
            }
        };
        self.settle(slot, state);
    }

    /// The client refused this record for good.
    pub(super) fn refuse(&mut self, index: u32, now_ns: u64) {
        let slot = self.slots[index as usize];
        let second = self.second(slot.intended_ns);
        self.give_back(index);
        self.failed += 1;
        self.latencies.publish.fail(second, now_ns - slot.intended_ns);
        self.settle(slot, State::Rejected);
    }

    /// The outages of all partitions, what was never answered included; before the records are cut off.
    pub(super) fn outages(&mut self, now_ns: u64) -> Vec<Outage> {
        let waiting = self.slots.iter().filter(|slot| slot.used);
        self.outages.finish(waiting.map(|slot| (slot.partition, slot.intended_ns)), now_ns)
    }

    /// Cuts off everything that was never answered; the ledger keeps it as unreported.
    pub(super) fn cut_off(&mut self, now_ns: u64) {
        for index in 0..self.slots.len() {
            let slot = self.slots[index];
            if slot.used {
                let second = self.second(slot.intended_ns);
                self.latencies.publish.censor(second, now_ns.saturating_sub(slot.intended_ns));
                self.latencies.service.censor(second, now_ns.saturating_sub(slot.actual_ns));
            }
        }
    }

    /// Cuts off a record that was due and never handed over.
    pub(super) fn never_sent(&mut self, intended_ns: u64, now_ns: u64) {
        let second = self.second(intended_ns);
        self.latencies.publish.censor(second, now_ns.saturating_sub(intended_ns));
    }
}
