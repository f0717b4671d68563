//! The ends of a producer's life: what an earlier one left unknown or uncommitted is sent again first, and a life may end
//! itself behind a record, or stand still before a commit. Nothing here is on the hot path but one comparison per chunk.

use super::{Gate, Sender};
use crate::clock;
use crate::kafka::lane::Taken;
use bench_model::fault::{Death, End, Point};
use bench_model::message::Header;

/// How long a full queue is left alone.
const RETRY_NS: u64 = 1_000_000;

/// Where a life ends or stands still with a transaction open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Halt {
    /// The transaction is the one that has this record of the life.
    record: u64,
    end: End,
    /// The next life begins meanwhile, so that this one has nothing more to do afterwards.
    is_succeeded: bool,
}

impl Halt {
    /// As the specification says; `None`: this life has no such end.
    pub(super) fn of(death: Option<&Death>) -> Option<Self> {
        let death = death.filter(|death| death.point == Point::BeforeCommit)?;
        let is_succeeded = death.end == End::Stop && death.continue_after_ns.is_none();
        Some(Halt { record: death.record, end: death.end, is_succeeded })
    }
}

impl Sender<'_> {
    /// Sends what an earlier life left unknown, one by one: a few records of a cell whose producers die.
    pub(super) fn send_again(&mut self) {
        for record in std::mem::take(&mut self.again) {
            if let Err(why) = self.wait_for_room() {
                self.stopped_early = Some(why);
                return;
            }
            let now_ns = clock::now_ns();
            let intended_ns = self.t0_ns + record.due.due_ns;
            let transaction = self.gate.as_ref().map_or(0, Gate::ordinal);
            if let Some(gate) = &mut self.gate {
                gate.due(intended_ns);
                gate.took(1);
            }
            let slot = self.flight.take_again(&record, transaction, intended_ns, now_ns);
            let Some(slot) = slot else { return };
            let header = Header {
                partition: record.partition(),
                sequence: record.due.sequence,
                attempt: record.attempt,
                transaction,
                intended_ns,
                actual_ns: now_ns,
                ..self.header
            };
            let bytes = &mut self.records[..self.record_bytes];
            self.bodies.write(bytes, &header);
            let partition = usize::from(record.partition().0);
            loop {
                match self.lane.send(partition, &mut self.records, self.record_bytes, &[slot]) {
                    Taken::All => break,
                    Taken::Refused(_) => {
                        self.flight.refuse(slot, clock::now_ns());
                        break;
                    }
                    Taken::QueueFull(_) => {
                        self.lane.wait_until(clock::now_ns() + RETRY_NS);
                        self.poll();
                    }
                }
            }
        }
    }

    /// Waits until one more record may be sent: there is a slot for it, and an open transaction takes it.
    fn wait_for_room(&mut self) -> Result<(), String> {
        loop {
            let now_ns = clock::now_ns();
            if self.flight.free() > 0 {
                if self.admitted(now_ns)? > 0 {
                    return Ok(());
                }
                self.turn_transaction(false);
            }
            self.lane.wait_until(now_ns + RETRY_NS);
            self.poll();
        }
    }

    /// Ends this life or lets it stand still, if its specification says so of the transaction that is about to end; `false`:
    /// not everything in that transaction is answered yet.
    pub(super) fn halt(&mut self) -> bool {
        let Some(halt) = self.halt.filter(|halt| self.flight.sent >= halt.record) else { return true };
        if self.flight.in_flight() > 0 {
            return false;
        }
        self.halt = None;
        self.is_succeeded = halt.is_succeeded;
        let signal = if halt.end == End::Stop { libc::SIGSTOP } else { libc::SIGKILL };
        // SAFETY: takes no pointers; returns when somebody continues the process, or never.
        unsafe { libc::raise(signal) };
        true
    }

    /// The next life goes on in place of this one: it has the transactional id, or will have it soon.
    pub(super) fn is_over(&self) -> bool {
        let Some(gate) = &self.gate else { return false };
        gate.is_closed() && (self.is_succeeded || self.stands_still && gate.is_fenced())
    }

    /// Ends this life, if its specification says that it ends behind the last record that was handed over.
    #[inline]
    pub(super) fn die(&self) {
        if self.flight.sent >= self.dies_at {
            // SAFETY: takes no pointers; does not return.
            unsafe { libc::raise(libc::SIGKILL) };
        }
    }
}
