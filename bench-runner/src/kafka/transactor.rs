//! A producer's transactions: calls that block go to a thread of their own, so that the lane can take delivery reports
//! meanwhile, without which no commit would ever be answered.
//!
//! All unsafe code of transactions is here. Invariants: the client outlives the thread (`Lane` drops the transactor before the
//! client, and a worker whose call is still unanswered ends its process without dropping either); one call at a time.

use super::KafkaError;
use super::wake::Waker;
use crate::clock;
use rdkafka::bindings as rd;
use rdkafka::types::RDKafkaRespErr;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_int};
use std::sync::mpsc;
use std::time::Duration;

/// How the client judges an error of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The same call may be made again.
    Retriable,
    /// The transaction has to be aborted; then another can begin.
    Abortable,
    /// Another instance has taken this transactional id, or the cluster has ended the transaction by its timeout.
    Fenced,
    /// The producer is of no use any more.
    Fatal,
    /// None of these.
    Other,
}

impl Kind {
    /// As in statistics.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Retriable => "retriable",
            Kind::Abortable => "abortable",
            Kind::Fenced => "fenced",
            Kind::Fatal => "fatal",
            Kind::Other => "other",
        }
    }
}

/// An error of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The client's judgement.
    pub kind: Kind,
    /// The client's name of the error.
    pub name: String,
    /// Nothing was sent to the coordinator: the call gave up while it flushed.
    pub unflushed: bool,
}

/// How to end the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Flush, then commit.
    Commit,
    /// Flush if asked to, then abort.
    Abort {
        /// What was not sent is purged otherwise.
        flush: bool,
    },
}

/// Retriable errors after which the client was asked again: how often, by the client's name.
pub type Again = BTreeMap<String, u64>;

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// When it was answered, nanoseconds of the monotonic clock.
    pub at_ns: u64,
    /// What came before the answer.
    pub again: Again,
    /// The answer.
    pub result: Result<(), Refusal>,
}

struct Handle(*mut rd::rd_kafka_t);

// SAFETY: librdkafka handles may be used from any thread.
unsafe impl Send for Handle {}

/// The thread that commits and aborts, and what it has to say.
#[derive(Debug)]
pub(super) struct Transactor {
    calls: Option<mpsc::Sender<End>>,
    answers: mpsc::Receiver<Ended>,
    thread: Option<std::thread::JoinHandle<()>>,
    busy: bool,
}

impl Transactor {
    /// Takes the transactional id (fencing whoever had it) and starts the thread; gives how long that took, in nanoseconds,
    /// and what came before the answer.
    ///
    /// # Safety
    /// `client` is a live transactional producer, and outlives the returned value.
    pub(super) unsafe fn open(
        client: *mut rd::rd_kafka_t,
        waker: Waker,
        limit: Duration,
    ) -> Result<(Self, u64, Again), KafkaError> {
        let begun_ns = clock::now_ns();
        let until_ns = begun_ns + limit.as_nanos() as u64;
        let limit_ms = limit.as_millis() as c_int;
        // SAFETY: the client is live; the error is read and destroyed in `refusal`.
        let init = || unsafe { refusal(rd::rd_kafka_init_transactions(client, limit_ms)) };
        let (again, answer) = insist(init, || clock::now_ns() < until_ns);
        answer.map_err(|refused| KafkaError::new("could not initialise transactions", refused.name))?;
        let took_ns = clock::now_ns() - begun_ns;
        let (calls, to_do) = mpsc::channel();
        let (done, answers) = mpsc::channel();
        let handle = Handle(client);
        let thread = std::thread::spawn(move || {
            let handle = handle;
            for end in to_do {
                // SAFETY: the client outlives this thread by the contract.
                let ended = unsafe { carry_out(handle.0, end) };
                let _ = done.send(ended);
                waker.wake();
            }
        });
        Ok((Transactor { calls: Some(calls), answers, thread: Some(thread), busy: false }, took_ns, again))
    }

    /// Asks for the end of the open transaction; the answer comes through `ended`.
    pub(super) fn end(&mut self, end: End) {
        self.busy = true;
        if let Some(calls) = &self.calls {
            let _ = calls.send(end);
        }
    }

    /// The answer, if it has come.
    pub(super) fn ended(&mut self) -> Option<Ended> {
        let ended = self.answers.try_recv().ok()?;
        self.busy = false;
        Some(ended)
    }

    /// A call is unanswered, so neither this nor the client can be dropped.
    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }
}

impl Drop for Transactor {
    fn drop(&mut self) {
        self.calls = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Makes a call again for as long as the client says that it may be and `may_go_on`; gives what came before the answer.
fn insist(
    call: impl Fn() -> Result<(), Refusal>,
    may_go_on: impl Fn() -> bool,
) -> (Again, Result<(), Refusal>) {
    let mut again = Again::new();
    loop {
        match call() {
            Err(refused) if refused.kind == Kind::Retriable && may_go_on() => {
                *again.entry(refused.name).or_default() += 1;
            }
            answer => return (again, answer),
        }
    }
}

/// Begins a transaction; a local call.
///
/// # Safety
/// `client` is a live transactional producer.
pub(super) unsafe fn begin(client: *mut rd::rd_kafka_t) -> Result<(), Refusal> {
    // SAFETY: by the contract; the error is read and destroyed in `refusal`.
    unsafe { refusal(rd::rd_kafka_begin_transaction(client)) }
}

/// Adds offsets of a consumer group to the open transaction; `membership` is how the group's coordinator knows the member.
/// Blocks.
///
/// # Safety
/// `client` is a live transactional producer.
pub(super) unsafe fn add_offsets(
    client: *mut rd::rd_kafka_t,
    topic: &CStr,
    offsets: &[(u16, i64)],
    membership: &[u8],
) -> (Again, Result<(), Refusal>) {
    // SAFETY: by the contract; the list and the member's words are destroyed below, after the call that borrows them.
    unsafe {
        let mut group = std::ptr::null_mut();
        let words = membership.as_ptr().cast();
        let read =
            refusal(rd::rd_kafka_consumer_group_metadata_read(&raw mut group, words, membership.len()));
        if read.is_err() {
            return (Again::new(), read);
        }
        let list = rd::rd_kafka_topic_partition_list_new(offsets.len() as c_int);
        for (partition, offset) in offsets {
            let added = rd::rd_kafka_topic_partition_list_add(list, topic.as_ptr(), i32::from(*partition));
            (*added).offset = *offset;
        }
        // The cluster ends a transaction that is open for too long, and then the answer is another.
        let send = || refusal(rd::rd_kafka_send_offsets_to_transaction(client, list, group, -1));
        let answer = insist(send, || true);
        rd::rd_kafka_topic_partition_list_destroy(list);
        rd::rd_kafka_consumer_group_metadata_destroy(group);
        answer
    }
}

/// # Safety
/// `client` is live.
unsafe fn carry_out(client: *mut rd::rd_kafka_t, end: End) -> Ended {
    let flushed = match end {
        End::Abort { flush: false } => Ok(()),
        // SAFETY: by the contract. No limit of our own: records expire by their own timeout.
        End::Commit | End::Abort { flush: true } => match unsafe { rd::rd_kafka_flush(client, -1) } {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            error => {
                // SAFETY: names are static strings.
                let name = unsafe { CStr::from_ptr(rd::rd_kafka_err2name(error)) };
                let name = name.to_string_lossy().into_owned();
                Err(Refusal { kind: Kind::Abortable, name, unflushed: true })
            }
        },
    };
    // SAFETY: by the contract; -1 is what the client advises: as long as the transaction may live.
    let call = || unsafe {
        refusal(match end {
            End::Commit => rd::rd_kafka_commit_transaction(client, -1),
            End::Abort { .. } => rd::rd_kafka_abort_transaction(client, -1),
        })
    };
    let (again, result) = match flushed {
        Ok(()) => insist(call, || true),
        unflushed => (Again::new(), unflushed),
    };
    Ended { at_ns: clock::now_ns(), again, result }
}

/// # Safety
/// `error` is null or an error of ours, destroyed here.
unsafe fn refusal(error: *mut rd::rd_kafka_error_t) -> Result<(), Refusal> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: by the contract; the name is a static string.
    unsafe {
        let code = rd::rd_kafka_error_code(error);
        let fenced = matches!(
            code,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__FENCED
                | RDKafkaRespErr::RD_KAFKA_RESP_ERR_PRODUCER_FENCED
                | RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH
        );
        let kind = if fenced {
            Kind::Fenced
        } else if rd::rd_kafka_error_is_fatal(error) != 0 {
            Kind::Fatal
        } else if rd::rd_kafka_error_txn_requires_abort(error) != 0 {
            Kind::Abortable
        } else if rd::rd_kafka_error_is_retriable(error) != 0 {
            Kind::Retriable
        } else {
            Kind::Other
        };
        let name = CStr::from_ptr(rd::rd_kafka_error_name(error)).to_string_lossy().into_owned();
        rd::rd_kafka_error_destroy(error);
        Err(Refusal { kind, name, unflushed: false })
    }
}
