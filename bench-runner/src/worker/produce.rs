//! The role `produce`: one thread that sends what is due and takes the reports. No allocation, lock, log line or
//! float per record.

mod again;
mod close;
mod doubt;

use super::control::Control;
use super::flight::{Flight, Latencies};
use super::notices::Notices;
use super::predecessor::{Again, Inheritance, inherit};
use super::transact::Gate;
use super::{WorkerError, emit, map, write_file};
use crate::clock;
use crate::kafka::lane::{CHUNK_RECORDS, Lane, Taken, keep_freed_memory};
use crate::kafka::{client_version, properties};
use again::Halt;
use bench_model::fault::{End, Point};
use bench_model::ids::{Attempt, PartitionId};
use bench_model::latency::{Series, Set};
use bench_model::ledger::{LedgerMut, RESEND_BYTES, file_bytes};
use bench_model::message::{Bodies, Header};
use bench_model::schedule::{Placement, Schedule};
use bench_model::settings::Arrival;
use bench_model::transactions::{self, TransactionsMut};
use bench_model::wire::{Done, Event, ProduceSpec, Progress, WorkerSpec};
use close::progress;
use std::time::Duration;

const SECOND_NS: u64 = 1_000_000_000;
/// Bytes of one call to the client at most.
const CHUNK_BYTES: usize = 1 << 20;
/// Above 10,000 records a second, due records are gathered for so long: lateness that is within the latencies.
const GATHER_NS: u64 = 100_000;
/// A generator that is no later than this has caught up.
const CAUGHT_UP_NS: u64 = 1_000_000;
const CONNECT: Duration = Duration::from_secs(30);

/// Plays the role; ends when everything due is sent and answered, or the drain is over.
pub(super) fn produce(spec: &WorkerSpec, role: &ProduceSpec, control: &Control) -> Result<(), WorkerError> {
    keep_freed_memory();
    let mut inheritance = inherit(spec, role)?;
    let resends = inheritance.again.len() * RESEND_BYTES;
    let mut mapping = map(spec, "ledger.bin", file_bytes(spec.partitions, role.ledger_capacity) + resends)?;
    let bytes = transactions::file_bytes(spec.partitions, role.transaction_capacity);
    let mut transactions = match role.settings.transaction {
        None => None,
        Some(_) => Some(map(spec, "transactions.bin", bytes)?),
    };
    let ledger = LedgerMut::create_after(
        &mut mapping,
        role.producer,
        role.incarnation,
        spec.book,
        role.ledger_capacity,
        &inheritance.firsts,
    );
    let client = format!("bench-runner-producer-{}", role.producer);
    let transactional_id = properties::transactional_id(&spec.topic, role.producer);
    let properties = properties::producer(&spec.bootstrap, &client, &transactional_id, &role.settings);
    let mut lane = Lane::open(&properties, &spec.topic, CONNECT)?;
    let gate = match (&role.settings.transaction, &mut transactions) {
        (Some(settings), Some(bytes)) => {
            let log = TransactionsMut::create(bytes, role.producer, role.incarnation, spec.partitions);
            Some(Gate::open(&mut lane, log, settings, role.load.seconds(), CONNECT)?)
        }
        _ => None,
    };
    if !inheritance.doubtful.is_empty() {
        let visible = doubt::visible(spec, role.producer, &inheritance.doubtful)?;
        inheritance.again.retain(|again| !visible.contains(&(again.partition(), again.due.sequence)));
    }
    let mut sender = Sender::new(spec, role, lane, ledger, gate, inheritance);
    clock::tighten_timers();
    if !sender.closed_loop {
        clock::prefer_this_thread();
    }
    emit(&Event::Ready { client: client_version(), settings: sender.lane.settings().clone() });
    let t0_ns = control.wait_for_start().ok_or(WorkerError::NoStart)?;
    sender.start(t0_ns);
    let done = sender.run();
    let Sender { flight, lane, gate, .. } = sender;
    let Latencies { publish, service, lateness } = flight.latencies;
    flight.ledger.close();
    let mut set = Set::default();
    set.insert("publish", publish);
    set.insert("service", service);
    set.insert("lateness", lateness);
    for (name, series) in gate.into_iter().flat_map(Gate::close) {
        set.insert(name, series);
    }
    for mapping in [Some(&mapping), transactions.as_ref()].into_iter().flatten() {
        mapping.flush().map_err(|error| WorkerError::File(spec.directory.clone(), error))?;
    }
    write_file(spec, "latency.hlog", set.to_text().as_bytes())?;
    emit(&Event::Done(Box::new(done)));
    if lane.is_ending() {
        // The client cannot be destroyed while one of its calls is unanswered, and nothing else is left to do.
        std::process::exit(0);
    }
    Ok(())
}

struct Sender<'a> {
    lane: Lane,
    flight: Flight<'a>,
    /// Transactions, if the settings have any.
    gate: Option<Gate<'a>>,
    schedule: Schedule,
    placement: Placement,
    bodies: Bodies,
    header: Header,
    records: Vec<u8>,
    record_bytes: usize,
    chunk: Vec<u32>,
    /// Records of `chunk` that the client has taken.
    taken: usize,
    chunk_partition: usize,
    capacity: u64,
    t0_ns: u64,
    closed_loop: bool,
    /// Records are due one by one, so lateness is the generator's own; a burst takes the time that it takes.
    paced: bool,
    gather_ns: u64,
    blocked_since_ns: Option<u64>,
    blocked_ns: u64,
    /// The queue was full, and the schedule has not been caught up with since.
    behind: bool,
    /// Lateness in the measured window while not behind: the generator's own fault.
    own_lateness: Series,
    stopped_early: Option<String>,
    notices: Notices,
    window: [Option<Progress>; 2],
    window_ns: [u64; 2],
    drain_ns: u64,
    next_progress_ns: u64,
    /// What an earlier life left unknown, to be sent first.
    again: Vec<Again>,
    /// Handed over so many, this life kills itself.
    dies_at: u64,
    /// Or where it ends or stands still with a transaction open.
    halt: Option<Halt>,
    /// It stands still at some time, so the next life may have to go on.
    stands_still: bool,
    /// The next life has begun while it stood still.
    is_succeeded: bool,
}

impl<'a> Sender<'a> {
    fn new(
        spec: &WorkerSpec,
        role: &ProduceSpec,
        lane: Lane,
        ledger: LedgerMut<'a>,
        gate: Option<Gate<'a>>,
        inheritance: Inheritance,
    ) -> Self {
        let record_bytes = role.load.record_bytes as usize;
        let by_bytes = role.settings.queue_bytes / u64::from(role.load.record_bytes);
        let slots = by_bytes.min(u64::from(role.settings.queue_records)).max(1) as usize;
        let chunk = CHUNK_RECORDS.min(CHUNK_BYTES / record_bytes).max(1);
        let rate = match role.load.arrival {
            Arrival::Constant { per_second } | Arrival::Poisson { per_second } => per_second,
            Arrival::Max | Arrival::Bursts(_) => 0,
        };
        let first_resend_ns = lane.first_resend_ns();
        Sender {
            lane,
            flight: Flight::new(
                slots,
                ledger,
                spec.partitions,
                role.load.seconds(),
                role.settings.acks,
                first_resend_ns,
            ),
            gate,
            schedule: inheritance.course.schedule,
            placement: inheritance.course.placement,
            bodies: Bodies::new(role.seed, role.load.record_bytes, role.load.compressible_percent),
            header: Header {
                book: spec.book,
                producer: role.producer,
                attempt: Attempt(0),
                incarnation: role.incarnation,
                ..Header::default()
            },
            records: vec![0; chunk * record_bytes],
            record_bytes,
            chunk: Vec::with_capacity(chunk),
            taken: 0,
            chunk_partition: 0,
            capacity: role.ledger_capacity,
            t0_ns: 0,
            closed_loop: matches!(role.load.arrival, Arrival::Max),
            paced: rate > 0,
            gather_ns: if rate / u64::from(role.load.producers.max(1)) > 10_000 { GATHER_NS } else { 0 },
            blocked_since_ns: None,
            blocked_ns: 0,
            // What was due while nobody lived is late by no fault of the generator.
            behind: role.incarnation.0 > 0,
            own_lateness: Series::stocked(0),
            stopped_early: None,
            notices: Notices::default(),
            window: [None; 2],
            window_ns: [role.load.warmup_ns, role.load.window_end_ns().unwrap_or(u64::MAX)],
            drain_ns: role.load.drain_ns,
            next_progress_ns: 0,
            again: inheritance.again,
            dies_at: match role.death {
                Some(death) if death.point == Point::AfterSend => death.record,
                _ => u64::MAX,
            },
            halt: Halt::of(role.death.as_ref()),
            stands_still: role.death.is_some_and(|death| death.end == End::Stop),
            is_succeeded: false,
        }
    }

    fn start(&mut self, t0_ns: u64) {
        self.t0_ns = t0_ns;
        self.flight.start(t0_ns);
        self.lane.start(t0_ns);
        if let Some(gate) = &mut self.gate {
            gate.start(t0_ns);
        }
        self.window_ns = self.window_ns.map(|instant_ns| instant_ns.saturating_add(t0_ns));
        self.next_progress_ns = t0_ns.max(clock::now_ns()) + SECOND_NS;
    }

    fn run(&mut self) -> Done {
        clock::sleep_until(self.t0_ns);
        self.send_again();
        let mut deadline_ns = u64::MAX;
        loop {
            let now_ns = clock::now_ns();
            self.tick(now_ns);
            let more = self.stopped_early.is_none() && !self.is_over() && self.send_due(now_ns);
            self.turn_transaction(!more);
            if self.is_over() {
                break;
            }
            if !more && deadline_ns == u64::MAX {
                deadline_ns = now_ns.saturating_add(self.drain_ns);
            }
            let closed = self.gate.as_ref().is_none_or(Gate::is_closed);
            let idle = self.chunk.is_empty() && self.flight.in_flight() == 0 && closed;
            if (!more && idle && !self.due_now(now_ns)) || now_ns >= deadline_ns {
                break;
            }
            self.lane.wait_until(self.next_wake_ns(now_ns).min(deadline_ns));
            self.poll();
        }
        self.finish()
    }

    /// Something of the schedule is still unsent (only possible when the drain is over or sending stopped early).
    fn due_now(&self, now_ns: u64) -> bool {
        self.stopped_early.is_none()
            && self.schedule.peek().is_some_and(|due_ns| self.t0_ns + due_ns <= now_ns)
    }

    fn poll(&mut self) {
        let Sender { lane, flight, gate, notices, .. } = self;
        lane.poll(|slot, fate, now_ns| flight.report(slot, fate, now_ns), |notice| notices.take(notice));
        if let Some(gate) = gate {
            gate.serve(lane);
        }
    }

    /// Ends the open transaction when it is full, over, or the last, and everything of it has been handed over.
    fn turn_transaction(&mut self, last: bool) {
        let ends = |gate: &Gate<'_>| gate.to_end(last, clock::now_ns()).is_some();
        if !self.chunk.is_empty() || !self.gate.as_ref().is_some_and(ends) || !self.halt() {
            return;
        }
        let Sender { lane, gate, .. } = self;
        if let Some(gate) = gate {
            gate.turn(lane, last, clock::now_ns());
        }
    }

    /// When to look again: the next due instant (gathered), the next second, or earlier if a report comes.
    fn next_wake_ns(&self, now_ns: u64) -> u64 {
        let waits = self.gate.as_ref().is_some_and(Gate::is_ending);
        let due_ns =
            if self.flight.free() == 0 || !self.chunk.is_empty() || self.stopped_early.is_some() || waits {
                u64::MAX
            } else {
                match self.schedule.peek() {
                    Some(_) if self.closed_loop => now_ns,
                    Some(due_ns) => (self.t0_ns + due_ns).max(now_ns + self.gather_ns),
                    None => u64::MAX,
                }
            };
        let retry_ns = if self.chunk.is_empty() { u64::MAX } else { now_ns + SECOND_NS / 1000 };
        let turn_ns = self.gate.as_ref().map_or(u64::MAX, Gate::ends_ns);
        due_ns.min(retry_ns).min(turn_ns).min(self.next_progress_ns)
    }

    /// Sends everything that is due and fits; `false` once the schedule is exhausted.
    fn send_due(&mut self, mut now_ns: u64) -> bool {
        loop {
            if !self.chunk.is_empty() {
                if !self.hand_over(now_ns) {
                    return true;
                }
                now_ns = clock::now_ns();
            }
            let since_t0_ns = now_ns.saturating_sub(self.t0_ns);
            self.schedule.at(since_t0_ns);
            match self.schedule.peek() {
                None => {
                    self.unblock(now_ns);
                    return false;
                }
                Some(due_ns) if due_ns > since_t0_ns || now_ns < self.t0_ns => {
                    self.unblock(now_ns);
                    return true;
                }
                Some(_) if self.flight.free() == 0 => {
                    self.behind = true;
                    self.blocked_since_ns.get_or_insert(now_ns);
                    return true;
                }
                Some(_) => self.unblock(now_ns),
            }
            let admitted = match self.admitted(now_ns) {
                Ok(admitted) => admitted,
                Err(why) => {
                    self.stopped_early = Some(why);
                    return false;
                }
            };
            if admitted == 0 {
                // The cluster has to answer first: what waits is late by its doing, not by ours.
                self.behind = true;
                self.turn_transaction(false);
                return true;
            }
            if !self.fill(now_ns, admitted) {
                return false;
            }
            // At full speed the reports must not wait for the queue to be full.
            if self.closed_loop && !self.hand_over(now_ns) {
                return true;
            }
            if self.closed_loop {
                self.poll();
                now_ns = clock::now_ns();
                self.tick(now_ns);
            }
        }
    }

    /// How many records the open transaction still takes; begins one where there is none.
    fn admitted(&mut self, now_ns: u64) -> Result<u64, String> {
        let Sender { lane, gate, flight, placement, .. } = self;
        let Some(gate) = gate else { return Ok(u64::MAX) };
        let ledger = &flight.ledger;
        let first = (0..placement.partitions()).map(|index| ledger.next_sequence(PartitionId(index)));
        gate.admits(lane, first, now_ns)
    }

    fn unblock(&mut self, now_ns: u64) {
        if let Some(since_ns) = self.blocked_since_ns.take() {
            self.blocked_ns += now_ns - since_ns;
        }
    }

    /// Builds the next chunk: due records in a row for one partition, noted in the ledger before the client sees them.
    fn fill(&mut self, now_ns: u64, admitted: u64) -> bool {
        let (partition, first_sequence, left) = self.placement.peek();
        let room = self.capacity.saturating_sub(first_sequence);
        if room == 0 {
            self.stopped_early = Some(format!(
                "the ledger is full: {} records in partition {partition}; shorten the cell or give it a record count",
                self.capacity
            ));
            return false;
        }
        let most =
            left.min(room).min(admitted).min(self.flight.free() as u64).min(self.chunk.capacity() as u64);
        // A chunk ends where this life does.
        let most = most.min(self.dies_at.saturating_sub(self.flight.sent));
        let id = PartitionId(partition as u16);
        self.header.partition = id;
        self.header.actual_ns = now_ns;
        self.header.transaction = self.gate.as_ref().map_or(0, Gate::ordinal);
        let since_t0_ns = now_ns - self.t0_ns;
        let mut sequence = first_sequence;
        while sequence - first_sequence < most
            && let Some(due_ns) = self.schedule.peek()
            && due_ns <= since_t0_ns
        {
            let intended_ns = self.t0_ns + due_ns;
            self.judge_lateness(intended_ns, now_ns - intended_ns);
            self.header.sequence = sequence;
            self.header.intended_ns = intended_ns;
            let at = self.chunk.len() * self.record_bytes;
            self.bodies.write(&mut self.records[at..at + self.record_bytes], &self.header);
            self.chunk.push(self.flight.take(id, sequence, intended_ns, now_ns));
            if let Some(gate) = &mut self.gate {
                gate.due(intended_ns);
            }
            self.schedule.advance();
            sequence += 1;
        }
        let count = sequence - first_sequence;
        if let Some(gate) = &mut self.gate {
            gate.took(count);
        }
        self.flight.ledger.begin(id, first_sequence, count);
        self.placement.advance(count);
        self.chunk_partition = partition;
        true
    }

    #[inline]
    fn judge_lateness(&mut self, intended_ns: u64, lateness_ns: u64) {
        if !self.paced {
            return;
        }
        if self.behind {
            self.behind = lateness_ns > CAUGHT_UP_NS;
        } else if (self.window_ns[0]..self.window_ns[1]).contains(&intended_ns) {
            self.own_lateness.record(0, lateness_ns);
        }
    }

    /// Gives the chunk to the client; `false` while its queue is full.
    fn hand_over(&mut self, now_ns: u64) -> bool {
        while self.taken < self.chunk.len() {
            let records = &mut self.records[self.taken * self.record_bytes..];
            let slots = &self.chunk[self.taken..];
            match self.lane.send(self.chunk_partition, records, self.record_bytes, slots) {
                Taken::All => {
                    self.flight.sent += slots.len() as u64;
                    self.taken = self.chunk.len();
                    self.die();
                }
                Taken::QueueFull(count) => {
                    self.flight.sent += count as u64;
                    self.taken += count;
                    self.die();
                    self.behind = true;
                    self.blocked_since_ns.get_or_insert(now_ns);
                    return false;
                }
                Taken::Refused(count) => {
                    self.flight.sent += count as u64;
                    self.flight.refuse(slots[count], now_ns);
                    self.taken += count + 1;
                }
            }
        }
        self.chunk.clear();
        self.taken = 0;
        true
    }

    /// Once a second: progress. Once each: the snapshots at both ends of the measured window.
    fn tick(&mut self, now_ns: u64) {
        for (instant_ns, snapshot) in self.window_ns.iter().zip(&mut self.window) {
            if now_ns >= *instant_ns && snapshot.is_none() {
                *snapshot = Some(progress(&self.flight, self.blocked_ns, now_ns));
            }
        }
        if now_ns >= self.next_progress_ns {
            self.next_progress_ns += SECOND_NS;
            emit(&Event::Progress(progress(&self.flight, self.blocked_ns, now_ns)));
        }
    }
}
