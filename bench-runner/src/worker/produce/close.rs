//! What a producer's life states when it is over. It sends nothing.

use super::{Flight, Sender};
use crate::clock;
use bench_model::wire::{Done, Progress};

impl Sender<'_> {
    /// Cuts off what was never answered or never sent, and says how far this life came.
    pub(super) fn finish(&mut self) -> Done {
        let now_ns = clock::now_ns();
        self.unblock(now_ns);
        let drained = self.chunk.is_empty() && self.flight.in_flight() == 0;
        for slot in self.chunk.drain(self.taken..) {
            let (partition, sequence) = self.flight.give_back(slot);
            self.flight.ledger.retract(partition, sequence, 1);
            if let Some(gate) = &mut self.gate {
                gate.gave_back(1);
            }
        }
        let outages = self.flight.outages(now_ns);
        self.flight.cut_off(now_ns);
        let mut never_sent = 0_u64;
        // What the next life sends is late, not missing.
        let is_over = self.is_over();
        if is_over {
            self.stopped_early = None;
        }
        while let Some(due_ns) = self.schedule.peek()
            && !self.closed_loop
            && !is_over
            && self.t0_ns + due_ns <= now_ns
        {
            self.flight.never_sent(self.t0_ns + due_ns, now_ns);
            self.schedule.advance();
            never_sent += 1;
        }
        if never_sent > 0 {
            self.stopped_early.get_or_insert_with(|| format!("{never_sent} records were due and never sent"));
        }
        let total = progress(&self.flight, self.blocked_ns, now_ns);
        let [begin, end] = self.window;
        Done {
            total,
            window: begin.map(|begin| (begin, end.unwrap_or(total))),
            drained,
            ended_ns: now_ns,
            stopped_early: self.stopped_early.take(),
            lateness_p99_ns: self.own_lateness.quantile_ns(0.99),
            wakeups_per_request: self.notices.wakeups_per_request(),
            client_bytes: self.notices.client_bytes(),
            failed_sends: self.lane.failed_sends(),
            failed_by_second: self.lane.failed_by_second(),
            outages: Some(outages),
            transaction_errors: self
                .gate
                .as_mut()
                .map(|gate| std::mem::take(&mut gate.errors))
                .unwrap_or_default(),
            ..Done::default()
        }
    }
}

/// Totals of now.
pub(super) fn progress(flight: &Flight<'_>, blocked_ns: u64, now_ns: u64) -> Progress {
    Progress {
        at_ns: now_ns,
        records: flight.sent,
        acked: flight.acked,
        failed: flight.failed,
        cpu_ns: clock::process_cpu_ns(),
        blocked_ns,
    }
}
