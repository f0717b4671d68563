//! A topic as a sink: a batch becomes records of another topic, alone or together with the offsets it came from in one
//! transaction. Runs on the sink's thread; knows nothing of the group but the words by which the coordinator knows it.

use super::timings::{Call, Note, Notes};
use crate::clock;
use crate::kafka::lane::{CHUNK_RECORDS, Fate, Lane, Taken};
use crate::kafka::properties;
use crate::kafka::transactor::{Again, End, Kind, Refusal};
use crate::sink::{Sink, SinkError, SinkRow};
use crate::worker::transact::asked_again;
use crate::worker::{WorkerError, map};
use bench_model::effects::{Held, output};
use bench_model::fault::{Death, Point};
use bench_model::ids::{BookKey, ProducerId};
use bench_model::message::{Header, sign};
use bench_model::transactions::{State, TransactionsMut, file_bytes};
use bench_model::wire::{ConsumeSpec, PipeSpec, SinkPlace, WorkerSpec};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Between two looks at what has come.
const LOOK_NS: u64 = 5_000_000;
const CONNECT: Duration = Duration::from_secs(30);

/// How the coordinator of the group knows the member just now; written by the thread that serves the client.
pub(super) type Membership = Arc<Mutex<Vec<u8>>>;

/// Errors of transactions as producers state theirs: the call, the client's judgement, its name, and what was done.
pub(super) type Errors = Arc<Mutex<BTreeMap<String, u64>>>;

/// What a pipeline with transactions and the thread that serves the client share.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared {
    pub(super) membership: Membership,
    pub(super) notes: Notes,
    pub(super) errors: Errors,
}

/// What a transaction of the pipeline needs besides rows.
struct Transactional {
    /// Evidence of every transaction.
    log: TransactionsMut<'static>,
    /// The topic that the group reads.
    source: CString,
    shared: Shared,
    /// When the open transaction began.
    begun_ns: u64,
    /// The processing at which this life ends itself between its offsets and EndTxn, if it does.
    dies_at: Option<u64>,
}

/// See the file's purpose.
pub(super) struct Pipeline {
    lane: Lane,
    book: BookKey,
    record_bytes: usize,
    transactional: Option<Transactional>,
    effective: BTreeMap<String, String>,
    /// Records of one call to the client.
    records: Vec<u8>,
    /// Handed over, answered, and failed, of this batch.
    sent: u64,
    answered: u64,
    failed: u64,
}

/// What was done about an error.
const ABORTED: &str = "aborted";
const STOPPED: &str = "stopped";

/// The producer is of no use any more.
fn is_over(refused: &Refusal) -> bool {
    matches!(refused.kind, Kind::Fenced | Kind::Fatal)
}

fn act(act: &'static str) -> impl Fn(String) -> SinkError {
    move |cause| SinkError::Act { act, cause }
}

impl Sink for Pipeline {
    fn effective(&self) -> &BTreeMap<String, String> {
        &self.effective
    }

    fn take(&mut self, partitions: &[u16]) -> Result<Vec<Held>, SinkError> {
        // The group holds the offsets, not the topic.
        Err(act("keep offsets")(format!("a topic keeps none, asked for {partitions:?}")))
    }

    fn write(&mut self, rows: &[SinkRow], marks: &[Held]) -> Result<Vec<u16>, SinkError> {
        (self.sent, self.answered, self.failed) = (0, 0, 0);
        let ordinal = match &mut self.transactional {
            None => 0,
            Some(one) => {
                if one.log.room() == 0 {
                    return Err(act("note a transaction")(
                        "the transactions file is full; shorten the cell".into(),
                    ));
                }
                let now_ns = clock::now_ns();
                self.lane.begin().map_err(|refused| act("begin a transaction")(refused.name))?;
                one.begun_ns = now_ns;
                let ordinal = one.log.begin(std::iter::empty(), now_ns);
                one.log.took(rows.len() as u64);
                ordinal
            }
        };
        for part in rows.chunk_by(|one, other| one.effect.partition == other.effect.partition) {
            for chunk in part.chunks(CHUNK_RECORDS) {
                self.send(chunk, ordinal)?;
            }
        }
        if self.transactional.is_some() {
            return self.end(rows, marks);
        }
        while self.answered < self.sent {
            self.poll();
            self.lane.wait_until(clock::now_ns() + LOOK_NS);
        }
        match self.failed {
            0 => Ok(Vec::new()),
            failed => Err(act("write")(format!("{failed} of {} records were not acknowledged", self.sent))),
        }
    }
}

impl Transactional {
    fn note(&mut self, call: Call, (called_ns, answered_ns): (u64, u64), fine: bool) {
        if let Ok(mut notes) = self.shared.notes.lock() {
            notes.push(Note { call, begun_ns: self.begun_ns, called_ns, answered_ns, fine });
        }
    }

    /// Counts what came before an answer.
    fn count(&self, call: Call, again: Again) {
        let Ok(mut errors) = self.shared.errors.lock() else { return };
        for (error, times) in asked_again(call.as_str(), again) {
            *errors.entry(error).or_default() += times;
        }
    }

    /// Counts an error; gives it back.
    fn tell(&self, call: Call, refused: Refusal, done: &str) -> Refusal {
        let Refusal { kind, name, .. } = &refused;
        if let Ok(mut errors) = self.shared.errors.lock() {
            let error = format!("{}: {}: {name}: {done}", call.as_str(), kind.as_str());
            *errors.entry(error).or_default() += 1;
        }
        refused
    }
}

impl Pipeline {
    /// Connects as the member's producer; with transactions it takes the member's id, which ends what its last life left open.
    pub(super) fn open(
        spec: &WorkerSpec,
        role: &ConsumeSpec,
        pipe: &PipeSpec,
        place: &SinkPlace,
        shared: Option<Shared>,
    ) -> Result<Self, WorkerError> {
        let client = format!("bench-runner-pipe-{}-{}", role.member, role.incarnation);
        let id = properties::pipeline_id(&spec.topic, role.member);
        let properties = properties::producer(&spec.bootstrap, &client, &id, &pipe.settings);
        let mut lane = Lane::open(&properties, &place.table, CONNECT)?;
        let transactional = match shared {
            None => None,
            Some(shared) => {
                let bytes = file_bytes(0, pipe.transaction_capacity);
                // Written by the sink's thread until the process ends.
                let mapping: &'static mut [u8] =
                    &mut Box::leak(Box::new(map(spec, "transactions.bin", bytes)?))[..];
                let producer = ProducerId(role.member.0);
                let log = TransactionsMut::create(mapping, producer, role.incarnation, 0);
                let (took_ns, again) = lane.open_transactions(CONNECT)?;
                let here = |death: &Death| death.point == Point::BetweenOffsetsAndCommit;
                let mut one = Transactional {
                    log,
                    source: CString::new(spec.topic.as_str()).unwrap_or_default(),
                    shared,
                    begun_ns: 0,
                    dies_at: role.death.filter(here).map(|death| death.record),
                };
                one.note(Call::Init, (0, took_ns), true);
                one.count(Call::Init, again);
                Some(one)
            }
        };
        Ok(Pipeline {
            effective: lane.settings().clone(),
            lane,
            book: pipe.book,
            record_bytes: pipe.record_bytes as usize,
            transactional,
            records: Vec::new(),
            sent: 0,
            answered: 0,
            failed: 0,
        })
    }

    /// Hands a row's record over, in its order; waits while the client's queue is full.
    fn send(&mut self, rows: &[SinkRow], transaction: u32) -> Result<(), SinkError> {
        self.records.resize(rows.len() * self.record_bytes, 0);
        let actual_ns = clock::now_ns();
        for (SinkRow { effect, intended_ns }, record) in
            rows.iter().zip(self.records.chunks_exact_mut(self.record_bytes))
        {
            let header = Header {
                book: self.book,
                producer: effect.copies.producer,
                partition: effect.copies.home,
                sequence: effect.copies.sequence,
                attempt: effect.copies.attempt,
                incarnation: effect.copies.incarnation,
                transaction,
                intended_ns: *intended_ns,
                actual_ns,
            };
            output::write(record, effect);
            sign(record, &header);
        }
        let (mut taken, slots) = (0, [0_u32; CHUNK_RECORDS]);
        let partition = rows.first().map_or(0, |row| usize::from(row.effect.partition.0));
        while taken < rows.len() {
            let left = &mut self.records[taken * self.record_bytes..];
            match self.lane.send(partition, left, self.record_bytes, &slots[taken..rows.len()]) {
                Taken::All => {
                    self.sent += (rows.len() - taken) as u64;
                    taken = rows.len();
                }
                Taken::QueueFull(count) => {
                    self.sent += count as u64;
                    taken += count;
                    self.poll();
                    self.lane.wait_until(clock::now_ns() + LOOK_NS);
                }
                Taken::Refused(_) => return Err(act("write")("the client refused a record for good".into())),
            }
        }
        self.poll();
        Ok(())
    }

    fn poll(&mut self) {
        let Pipeline { lane, answered, failed, .. } = self;
        lane.poll(
            |_, fate, _| {
                *answered += 1;
                *failed += u64::from(fate != Fate::Delivered);
            },
            |_| {},
        );
    }

    /// Sends the offsets and commits; a transaction that has to be aborted is, and then nothing of it is written.
    fn end(&mut self, rows: &[SinkRow], marks: &[Held]) -> Result<Vec<u16>, SinkError> {
        let Some(one) = &mut self.transactional else { return Ok(Vec::new()) };
        let offsets: Vec<(u16, i64)> = marks.iter().map(|mark| (mark.partition.0, mark.next)).collect();
        let membership = one.shared.membership.lock().map(|words| words.clone()).unwrap_or_default();
        let called_ns = clock::now_ns();
        let (again, added) = self.lane.add_offsets(&one.source, &offsets, &membership);
        one.count(Call::Offsets, again);
        one.note(Call::Offsets, (called_ns, clock::now_ns()), added.is_ok());
        if let Err(refused) = added {
            let done = if is_over(&refused) { STOPPED } else { ABORTED };
            let refused = one.tell(Call::Offsets, refused, done);
            return self.abort(refused, marks, false);
        }
        one.log.sent_offsets();
        let dies = |row: &SinkRow| one.dies_at == Some(row.effect.processing);
        if rows.iter().any(dies) {
            // SAFETY: takes no pointers; does not return.
            unsafe { libc::raise(libc::SIGKILL) };
        }
        let called_ns = clock::now_ns();
        one.log.called(State::CommitCalled, called_ns);
        let (answer, answered_ns) = self.call(End::Commit);
        let Some(one) = &mut self.transactional else { return Ok(Vec::new()) };
        one.note(Call::Commit, (called_ns, answered_ns), answer.is_ok());
        match answer {
            Ok(()) => {
                one.log.answered(State::Committed, answered_ns);
                Ok(Vec::new())
            }
            Err(refused) => {
                let state = if refused.unflushed { State::Unflushed } else { State::CommitFailed };
                one.log.answered(state, answered_ns);
                let known = !refused.unflushed;
                let done = if is_over(&refused) { STOPPED } else { ABORTED };
                let refused = one.tell(Call::Commit, refused, done);
                self.abort(refused, marks, known)
            }
        }
    }

    /// Aborts what the client says has to be aborted; `called`: a commit was, so nobody knows whether it took place.
    fn abort(&mut self, refused: Refusal, marks: &[Held], called: bool) -> Result<Vec<u16>, SinkError> {
        if is_over(&refused) {
            return Err(act("commit a transaction")(format!("{} ({})", refused.name, refused.kind.as_str())));
        }
        let called_ns = clock::now_ns();
        if let (Some(one), false) = (&mut self.transactional, called) {
            one.log.called(State::AbortCalled, called_ns);
        }
        let (mut answer, answered_ns) = self.call(End::Abort { flush: false });
        if let Some(one) = &mut self.transactional {
            one.note(Call::Abort, (called_ns, answered_ns), answer.is_ok());
            answer = answer.map_err(|refused| one.tell(Call::Abort, refused, STOPPED));
            if !called {
                let state = if answer.is_ok() { State::Aborted } else { State::AbortFailed };
                one.log.answered(state, answered_ns);
            }
        }
        answer.map_err(|refused| act("abort a transaction")(refused.name))?;
        Ok(marks.iter().map(|mark| mark.partition.0).collect())
    }

    /// Ends the open transaction and takes reports until that is answered; gives the answer and when it came.
    fn call(&mut self, end: End) -> (Result<(), Refusal>, u64) {
        self.lane.end(end);
        loop {
            self.poll();
            if let Some(ended) = self.lane.ended() {
                if let Some(one) = &self.transactional {
                    let call = if end == End::Commit { Call::Commit } else { Call::Abort };
                    one.count(call, ended.again);
                }
                return (ended.result, ended.at_ns);
            }
            self.lane.wait_until(clock::now_ns() + LOOK_NS);
        }
    }
}
