//! A lane's transactions, one after the other: begins them, counts records into them, ends them when they are full, and notes
//! every step before it is taken. It sends no record.

use crate::kafka::KafkaError;
use crate::kafka::lane::Lane;
use crate::kafka::transactor::{Again, End, Ended, Kind, Refusal};
use bench_model::latency::Series;
use bench_model::settings::{TransactionSettings, TransactionSpan};
use bench_model::transactions::{State, TransactionsMut};
use std::collections::BTreeMap;
use std::time::Duration;

const SECOND_NS: u64 = 1_000_000_000;

/// Where the lane stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Between transactions.
    Closed,
    /// Records may be sent.
    Open { begun_ns: u64, left: u64, ends_ns: u64 },
    /// Commit or abort is called and not answered.
    Ending { begun_ns: u64, called_ns: u64, end: End, after: After },
    /// No further transaction can be begun.
    Broken,
}

/// Why an end was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// It was the transaction's time.
    Due,
    /// Its commit gave up while it flushed.
    Unflushed,
    /// Its commit was answered with an error.
    FailedCommit,
}

/// The timings of transactions, by the second in which they began.
#[derive(Debug)]
struct Timings {
    /// Taking the transactional id; it has no second of its own, and the last one is always a part of the window.
    init: Series,
    /// Begin to commit answered.
    transaction: Series,
    /// Commit called (and flushed) to answered.
    commit_call: Series,
    /// Abort called (and flushed, if so) to answered.
    abort: Series,
    /// Of records whose transaction was never committed, by their own intended second: from its beginning until the abort was
    /// answered. Nobody waits for them to be delivered.
    withdrawn: Series,
}

/// See the file's purpose.
pub(super) struct Gate<'a> {
    log: TransactionsMut<'a>,
    settings: TransactionSettings,
    stage: Stage,
    ordinal: u32,
    t0_ns: u64,
    /// Records of the open transaction by intended second.
    due: Vec<(usize, u64)>,
    /// Another instance has the transactional id, or the cluster has ended the transaction by its time-out.
    fenced: bool,
    timings: Timings,
    /// Errors: the call, the client's judgement, its name, and what was done.
    pub(super) errors: BTreeMap<String, u64>,
}

/// A call's retriable errors as they are counted among all: the call, the client's judgement, its name, and what was done.
pub(super) fn asked_again(call: &str, again: Again) -> impl Iterator<Item = (String, u64)> {
    again.into_iter().map(move |(name, times)| (format!("{call}: retriable: {name}: asked again"), times))
}

impl<'a> Gate<'a> {
    /// Takes the lane's transactional id; `seconds` are those of the load.
    pub(super) fn open(
        lane: &mut Lane,
        log: TransactionsMut<'a>,
        settings: &TransactionSettings,
        seconds: usize,
        limit: Duration,
    ) -> Result<Self, KafkaError> {
        let series = || Series::new(seconds);
        let mut init = series();
        let (took_ns, again) = lane.open_transactions(limit)?;
        init.record(usize::MAX, took_ns);
        Ok(Gate {
            log,
            settings: settings.clone(),
            stage: Stage::Closed,
            ordinal: 0,
            t0_ns: 0,
            due: Vec::with_capacity(64),
            fenced: false,
            timings: Timings {
                init,
                transaction: series(),
                commit_call: series(),
                abort: series(),
                withdrawn: series(),
            },
            errors: asked_again("init", again).collect(),
        })
    }

    pub(super) fn start(&mut self, t0_ns: u64) {
        self.t0_ns = t0_ns;
    }

    /// The open transaction's ordinal.
    #[inline]
    pub(super) fn ordinal(&self) -> u32 {
        self.ordinal
    }

    /// How many records may be sent now; begins a transaction where there is none. 0: an end is under way.
    ///
    /// `first_sequences` are those that the next record of each partition will have.
    pub(super) fn admits(
        &mut self,
        lane: &mut Lane,
        first_sequences: impl Iterator<Item = u64>,
        now_ns: u64,
    ) -> Result<u64, String> {
        match self.stage {
            Stage::Open { left, ends_ns, .. } => Ok(if now_ns < ends_ns { left } else { 0 }),
            Stage::Ending { .. } => Ok(0),
            Stage::Broken => Err("no further transaction can be begun: see its error".to_owned()),
            Stage::Closed => {
                if self.log.room() == 0 {
                    self.stage = Stage::Broken;
                    return Err(
                        "the transactions file is full; shorten the cell or lengthen its transactions".into(),
                    );
                }
                let (left, ends_ns) = match self.settings.span {
                    TransactionSpan::Records(records) => (u64::from(records), u64::MAX),
                    TransactionSpan::Time(time_ns) => (u64::MAX, now_ns + time_ns),
                };
                if let Err(refused) = lane.begin() {
                    self.note("begin", refused.kind, &refused.name, "stopped");
                    self.stage = Stage::Broken;
                    return Err(format!("a transaction could not be begun: {}", refused.name));
                }
                self.ordinal = self.log.begin(first_sequences, now_ns);
                self.stage = Stage::Open { begun_ns: now_ns, left, ends_ns };
                Ok(left)
            }
        }
    }

    /// Counts records that are handed over next.
    #[inline]
    pub(super) fn took(&mut self, records: u64) {
        self.log.took(records);
        if let Stage::Open { left, .. } = &mut self.stage {
            *left -= records.min(*left);
        }
    }

    /// Notes when a record of the open transaction was due.
    #[inline]
    pub(super) fn due(&mut self, intended_ns: u64) {
        let second = ((intended_ns - self.t0_ns) / SECOND_NS) as usize;
        match self.due.last_mut() {
            Some((last, count)) if *last == second => *count += 1,
            _ => self.due.push((second, 1)),
        }
    }

    /// Takes back records that were counted and never handed over.
    pub(super) fn gave_back(&mut self, records: u64) {
        if self.ordinal > 0 {
            self.log.gave_back(records);
        }
    }

    /// When the open transaction has to end by the clock.
    #[inline]
    pub(super) fn ends_ns(&self) -> u64 {
        match self.stage {
            Stage::Open { ends_ns, .. } => ends_ns,
            _ => u64::MAX,
        }
    }

    /// An end is called and not answered: what is due has to wait.
    #[inline]
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.stage, Stage::Ending { .. })
    }

    /// Nothing is open.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.stage, Stage::Closed | Stage::Broken)
    }

    /// See the field.
    pub(super) fn is_fenced(&self) -> bool {
        self.fenced
    }

    /// When the open transaction began, if it has to end now: it is full, over, or the last.
    pub(super) fn to_end(&self, last: bool, now_ns: u64) -> Option<u64> {
        match self.stage {
            Stage::Open { begun_ns, left, ends_ns } if left == 0 || now_ns >= ends_ns || last => {
                Some(begun_ns)
            }
            _ => None,
        }
    }

    /// Ends the open transaction if it has to end. Everything in it must have been handed over.
    pub(super) fn turn(&mut self, lane: &mut Lane, last: bool, now_ns: u64) {
        if let Some(begun_ns) = self.to_end(last, now_ns) {
            let end = if self.settings.aborts(self.ordinal) {
                End::Abort { flush: self.settings.abort_flush }
            } else {
                End::Commit
            };
            self.call(lane, end, After::Due, begun_ns, now_ns);
        }
    }

    fn call(&mut self, lane: &mut Lane, end: End, after: After, begun_ns: u64, now_ns: u64) {
        match (end, after) {
            (End::Commit, _) => self.log.called(State::CommitCalled, now_ns),
            (End::Abort { .. }, After::Due | After::Unflushed) => {
                self.log.called(State::AbortCalled, now_ns);
            }
            // What was called and failed is unknown whatever the abort says.
            (End::Abort { .. }, After::FailedCommit) => {}
        }
        self.stage = Stage::Ending { begun_ns, called_ns: now_ns, end, after };
        lane.end(end);
    }

    /// Takes the answer to an end, and does what it asks for.
    pub(super) fn serve(&mut self, lane: &mut Lane) {
        let Stage::Ending { begun_ns, called_ns, end, after } = self.stage else { return };
        let Some(Ended { at_ns, again, result }) = lane.ended() else { return };
        for (error, times) in asked_again(if end == End::Commit { "commit" } else { "abort" }, again) {
            *self.errors.entry(error).or_default() += times;
        }
        let second = (begun_ns.saturating_sub(self.t0_ns) / SECOND_NS) as usize;
        let (whole, call_ns) = (at_ns - begun_ns, at_ns - called_ns);
        self.stage = Stage::Closed;
        match (end, result) {
            (End::Commit, Ok(())) => {
                self.log.answered(State::Committed, at_ns);
                self.timings.transaction.record(second, whole);
                self.timings.commit_call.record(second, call_ns);
                self.due.clear();
            }
            (End::Commit, Err(refused)) => {
                self.timings.transaction.fail(second, whole);
                self.timings.commit_call.fail(second, call_ns);
                let state = if refused.unflushed { State::Unflushed } else { State::CommitFailed };
                self.log.answered(state, at_ns);
                let lost = matches!(refused.kind, Kind::Fenced | Kind::Fatal);
                self.note("commit", refused.kind, &refused.name, if lost { "stopped" } else { "aborted" });
                if lost {
                    self.stage = Stage::Broken;
                } else {
                    let after = if refused.unflushed { After::Unflushed } else { After::FailedCommit };
                    self.call(lane, End::Abort { flush: false }, after, begun_ns, at_ns);
                }
            }
            (End::Abort { .. }, result) => {
                self.aborted(after, second, (at_ns, call_ns), result.err().as_ref())
            }
        }
    }

    fn aborted(
        &mut self,
        after: After,
        second: usize,
        (at_ns, call_ns): (u64, u64),
        refused: Option<&Refusal>,
    ) {
        if after != After::FailedCommit {
            let state = if refused.is_none() { State::Aborted } else { State::AbortFailed };
            self.log.answered(state, at_ns);
            for (second, count) in self.due.drain(..) {
                let age_ns = at_ns.saturating_sub(self.t0_ns + second as u64 * SECOND_NS);
                (0..count).for_each(|_| self.timings.withdrawn.record(second, age_ns));
            }
        }
        self.due.clear();
        match refused {
            None => self.timings.abort.record(second, call_ns),
            Some(refused) => {
                self.timings.abort.fail(second, call_ns);
                self.note("abort", refused.kind, &refused.name, "stopped");
                self.stage = Stage::Broken;
            }
        }
    }

    fn note(&mut self, call: &str, kind: Kind, name: &str, done: &str) {
        self.fenced |= kind == Kind::Fenced;
        *self.errors.entry(format!("{call}: {}: {name}: {done}", kind.as_str())).or_default() += 1;
    }

    /// Marks the evidence complete and gives the timings by name.
    pub(super) fn close(self) -> [(&'static str, Series); 5] {
        self.log.close();
        let Timings { init, transaction, commit_call, abort, withdrawn } = self.timings;
        [
            ("init", init),
            ("transaction", transaction),
            ("commit_call", commit_call),
            ("abort", abort),
            ("withdrawn", withdrawn),
        ]
    }
}
