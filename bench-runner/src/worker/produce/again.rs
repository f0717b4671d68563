//! The ends of a producer's life: what an earlier one left unknown is sent again first, and a life may end itself behind a
//! record. Nothing here is on the hot path but one comparison per chunk.

use super::Sender;
use crate::clock;
use crate::kafka::lane::Taken;
use bench_model::message::Header;

/// How long a full queue is left alone.
const RETRY_NS: u64 = 1_000_000;

impl Sender<'_> {
    /// Sends what an earlier life left unknown, one by one: a few records of a cell whose producers die.
    pub(super) fn send_again(&mut self) {
        for record in std::mem::take(&mut self.again) {
            while self.flight.free() == 0 {
                self.lane.wait_until(clock::now_ns() + RETRY_NS);
                self.poll();
            }
            let now_ns = clock::now_ns();
            let intended_ns = self.t0_ns + record.due.due_ns;
            let Some(slot) = self.flight.take_again(&record, intended_ns, now_ns) else { return };
            let header = Header {
                partition: record.partition(),
                sequence: record.due.sequence,
                attempt: record.attempt,
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

    /// Ends this life, if its specification says that it ends behind the last record that was handed over.
    #[inline]
    pub(super) fn die(&self) {
        if self.flight.sent >= self.dies_at {
            // SAFETY: takes no pointers; does not return.
            unsafe { libc::raise(libc::SIGKILL) };
        }
    }
}
