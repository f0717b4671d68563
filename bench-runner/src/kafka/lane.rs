//! The producer's hot path: batch produce, delivery reports as event arrays, one thread, one handle.
//!
//! All unsafe code of the batch call and its reports is here (waking: `wake`; transactions: `transactor`). Invariants: `topic` and `queue` belong to the client inside `producer` and
//! are destroyed before it (`Drop`); messages are copied by the client during the call (F_COPY), so no buffer of ours is
//! referenced afterwards; opaques are slot numbers, never pointers; events are destroyed right after they were read.

use super::transactor::{self, Again, End, Ended, Refusal, Transactor};
use super::wake::Wake;
use super::{KafkaError, as_asked, client_config, effective};
use crate::clock;
use rdkafka::bindings as rd;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::types::RDKafkaRespErr;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_void};
use std::time::Duration;

/// Records of one `send` at most.
pub const CHUNK_RECORDS: usize = 512;
const REPORTS: usize = 1024;
const SECOND_NS: u64 = 1_000_000_000;

/// What the client says became of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// No error.
    Delivered,
    /// An error, and it is sure that nothing was written.
    NotPersisted,
    /// An error that says so of the last attempt. The client forgets an earlier one that was refused because the leader had
    /// moved, and which the old leader may have written all the same.
    NotPersistedAtLast,
    /// An error, and it may be written.
    Unknown,
}

/// What a poll brings besides delivery reports.
#[derive(Debug)]
pub enum Notice {
    /// librdkafka's statistics, a JSON document.
    Statistics(String),
    /// An error of the client as a whole.
    Error {
        /// The client's words.
        text: String,
        /// Nothing can be produced any more.
        fatal: bool,
    },
}

/// How many records of a chunk the client took, and why not more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// All.
    All,
    /// The first so many; its queue is full.
    QueueFull(usize),
    /// The first so many; the next one was refused for good.
    Refused(usize),
}

/// Reports with one error in one second.
#[derive(Debug)]
struct Failure {
    code: RDKafkaRespErr,
    fate: Fate,
    second: u64,
    count: u64,
}

impl Failure {
    fn name(&self) -> String {
        let status = if self.fate == Fate::Unknown { "possibly persisted" } else { "not persisted" };
        // SAFETY: the name is static.
        let name = unsafe { text(rd::rd_kafka_err2name(self.code)) };
        format!("{name}: {status}")
    }
}

/// One librdkafka producer with one topic.
pub struct Lane {
    /// Dropped before the client, on which its thread works.
    transactor: Option<Transactor>,
    producer: BaseProducer,
    topic: *mut rd::rd_kafka_topic_t,
    queue: *mut rd::rd_kafka_queue_t,
    wake: Wake,
    messages: Vec<rd::rd_kafka_message_t>,
    reports: Vec<*const rd::rd_kafka_message_t>,
    settings: BTreeMap<String, String>,
    /// Reports with an error, by code, fate and second after T0: of a handful of kinds.
    failures: Vec<Failure>,
    /// Nanoseconds of the monotonic clock.
    t0_ns: u64,
}

// SAFETY: librdkafka handles may be used from any thread; a `Lane` is used by one at a time, and what its arrays point to is
// looked at inside single calls only.
unsafe impl Send for Lane {}

/// Lets the allocator keep what the client frees: it copies every record into memory of its own and frees it after the
/// report, and giving that back to the kernel costs a sixth of the producer's CPU. For a process that does nothing else.
pub fn keep_freed_memory() {
    const KEEP_BYTES: libc::c_int = 512 << 20;
    const STEP_BYTES: libc::c_int = 16 << 20;
    // SAFETY: sets numbers of the C allocator; a value that it refuses changes nothing.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEEP_BYTES);
        libc::mallopt(libc::M_MMAP_THRESHOLD, STEP_BYTES);
        libc::mallopt(libc::M_TOP_PAD, STEP_BYTES);
    }
}

impl Lane {
    /// Connects with these properties and waits for the topic's metadata.
    pub fn open(
        properties: &BTreeMap<String, String>,
        topic: &str,
        timeout: Duration,
    ) -> Result<Self, KafkaError> {
        let config = client_config(properties);
        let producer: BaseProducer =
            config.create().map_err(|error| KafkaError::new("could not create the producer", error))?;
        producer.client().fetch_metadata(Some(topic), timeout).map_err(|error| {
            KafkaError::new(format!("could not read the metadata of topic {topic}"), error)
        })?;
        let name = CString::new(topic).map_err(|error| KafkaError::new("bad topic name", error))?;
        let client = producer.client().native_ptr();
        // SAFETY: the client lives in `producer`.
        let settings = unsafe { effective(client) };
        as_asked(properties, &settings)?;
        // SAFETY: `client` is live, `name` outlives the call, a null configuration means the client's defaults.
        let (topic, queue) = unsafe {
            (
                rd::rd_kafka_topic_new(client, name.as_ptr(), std::ptr::null_mut()),
                rd::rd_kafka_queue_get_main(client),
            )
        };
        if topic.is_null() || queue.is_null() {
            return Err(KafkaError::new("could not open the topic", name.to_string_lossy()));
        }
        // SAFETY: the queue is live, and `Drop` releases it before the field `wake` is dropped.
        let wake = unsafe { Wake::attach(queue) }
            .map_err(|error| KafkaError::new("could not open an event descriptor", error))?;
        // SAFETY: an all-zero message is a valid one without payload, key or opaque.
        let messages = vec![unsafe { std::mem::zeroed() }; CHUNK_RECORDS];
        Ok(Lane {
            transactor: None,
            producer,
            topic,
            queue,
            wake,
            messages,
            reports: vec![std::ptr::null(); REPORTS],
            settings,
            failures: Vec::new(),
            t0_ns: 0,
        })
    }

    /// Takes the transactional id of the settings; gives how long that took, in nanoseconds.
    pub fn open_transactions(&mut self, limit: Duration) -> Result<(u64, Again), KafkaError> {
        let waker = self
            .wake
            .waker()
            .map_err(|error| KafkaError::new("could not share an event descriptor", error))?;
        // SAFETY: the client lives in `producer`, which is dropped after the transactor.
        let (transactor, took_ns, again) =
            unsafe { Transactor::open(self.producer.client().native_ptr(), waker, limit) }?;
        self.transactor = Some(transactor);
        Ok((took_ns, again))
    }

    /// Begins a transaction; a local call.
    pub fn begin(&mut self) -> Result<(), Refusal> {
        // SAFETY: the client is live.
        unsafe { transactor::begin(self.producer.client().native_ptr()) }
    }

    /// Adds the offsets that a group's member has processed to the open transaction. Blocks.
    pub fn add_offsets(
        &mut self,
        topic: &CStr,
        offsets: &[(u16, i64)],
        membership: &[u8],
    ) -> (Again, Result<(), Refusal>) {
        // SAFETY: the client is live.
        unsafe { transactor::add_offsets(self.producer.client().native_ptr(), topic, offsets, membership) }
    }

    /// Asks for the end of the open transaction; until the answer, reports have to be taken and nothing can be sent.
    pub fn end(&mut self, end: End) {
        if let Some(transactor) = &mut self.transactor {
            transactor.end(end);
        }
    }

    /// The answer to `end`, once.
    pub fn ended(&mut self) -> Option<Ended> {
        self.transactor.as_mut()?.ended()
    }

    /// A call to the coordinator is unanswered: this value must not be dropped.
    pub fn is_ending(&self) -> bool {
        self.transactor.as_ref().is_some_and(Transactor::is_busy)
    }

    /// The client's effective settings.
    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }

    /// How soon the client sends a refused record again, at the earliest, in nanoseconds: it spreads `retry.backoff.ms` by a
    /// fifth to both sides.
    pub fn first_resend_ns(&self) -> u64 {
        let backoff_ms = self.settings.get("retry.backoff.ms").and_then(|value| value.parse::<u64>().ok());
        backoff_ms.unwrap_or(0) * 1_000_000 / 2
    }

    /// Reports with an error so far: `CODE: not persisted` or `CODE: possibly persisted`, as the client says.
    pub fn failed_sends(&self) -> BTreeMap<String, u64> {
        let mut named = BTreeMap::new();
        for failure in &self.failures {
            *named.entry(failure.name()).or_default() += failure.count;
        }
        named
    }

    /// The same by second after T0: pairs of second and count.
    pub fn failed_by_second(&self) -> BTreeMap<String, Vec<[u64; 2]>> {
        let mut named: BTreeMap<String, Vec<[u64; 2]>> = BTreeMap::new();
        for failure in &self.failures {
            named.entry(failure.name()).or_default().push([failure.second, failure.count]);
        }
        named.values_mut().for_each(|seconds| seconds.sort_unstable());
        named
    }

    /// Says when T0 is.
    pub fn start(&mut self, t0_ns: u64) {
        self.t0_ns = t0_ns;
    }

    /// Hands over records to one partition: `records` holds them back to back, one for each slot.
    #[inline]
    pub fn send(
        &mut self,
        partition: usize,
        records: &mut [u8],
        record_bytes: usize,
        slots: &[u32],
    ) -> Taken {
        let count = slots.len();
        assert!(
            count <= CHUNK_RECORDS && records.len() >= count * record_bytes,
            "a chunk must fit its buffers"
        );
        for (index, slot) in slots.iter().enumerate() {
            let message = &mut self.messages[index];
            message.payload = records[index * record_bytes..].as_mut_ptr().cast();
            message.len = record_bytes;
            message._private = *slot as usize as *mut c_void;
        }
        // SAFETY: the first `count` messages point into `records`, which outlives the call; F_COPY makes the client copy.
        let good = unsafe {
            rd::rd_kafka_produce_batch(
                self.topic,
                partition as i32,
                rd::RD_KAFKA_MSG_F_COPY,
                self.messages.as_mut_ptr(),
                count as i32,
            )
        } as usize;
        if good == count {
            return Taken::All;
        }
        // After the first "queue full" the client refuses the rest of the call, so what it took is a prefix.
        match self.messages[..count]
            .iter()
            .position(|message| message.err != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR)
        {
            Some(first) if self.messages[first].err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__QUEUE_FULL => {
                Taken::QueueFull(first)
            }
            Some(first) => Taken::Refused(first),
            None => Taken::All,
        }
    }

    /// Hands everything that waits to the callbacks, reports with slot, fate and instant; never blocks.
    #[inline]
    pub fn poll(&mut self, mut report: impl FnMut(u32, Fate, u64), mut notice: impl FnMut(Notice)) {
        loop {
            // SAFETY: the queue is live; a null event means that there is none.
            let event = unsafe { rd::rd_kafka_queue_poll(self.queue, 0) };
            if event.is_null() {
                return;
            }
            // SAFETY: `event` is ours until destroyed below; messages are read before that.
            unsafe {
                match rd::rd_kafka_event_type(event) {
                    rd::RD_KAFKA_EVENT_DR => loop {
                        let now_ns = clock::now_ns();
                        let count = rd::rd_kafka_event_message_array(
                            event,
                            self.reports.as_mut_ptr(),
                            self.reports.len(),
                        );
                        if count == 0 {
                            break;
                        }
                        for message in &self.reports[..count] {
                            let fate = fate(*message);
                            if fate != Fate::Delivered {
                                let second = now_ns.saturating_sub(self.t0_ns) / SECOND_NS;
                                count_failure(&mut self.failures, (**message).err, fate, second);
                            }
                            report((**message)._private as usize as u32, fate, now_ns);
                        }
                    },
                    rd::RD_KAFKA_EVENT_STATS => {
                        notice(Notice::Statistics(text(rd::rd_kafka_event_stats(event))));
                    }
                    rd::RD_KAFKA_EVENT_ERROR => notice(Notice::Error {
                        text: text(rd::rd_kafka_event_error_string(event)),
                        fatal: rd::rd_kafka_event_error_is_fatal(event) != 0,
                    }),
                    _ => {}
                }
                rd::rd_kafka_event_destroy(event);
            }
        }
    }

    /// Returns when reports may have come, or at the instant (nanoseconds of the monotonic clock).
    pub fn wait_until(&self, instant_ns: u64) {
        self.wake.wait_until(instant_ns);
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // Nobody asks any more what becomes of the rest; without the purge the client would go on sending it while it is dropped.
        self.producer.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
        // SAFETY: both handles were opened in `open`, are released once, and before the client.
        unsafe {
            rd::rd_kafka_queue_io_event_enable(self.queue, -1, std::ptr::null(), 0);
            rd::rd_kafka_queue_destroy(self.queue);
            rd::rd_kafka_topic_destroy(self.topic);
        }
    }
}

/// # Safety
/// `message` belongs to a live delivery-report event.
#[inline]
unsafe fn fate(message: *const rd::rd_kafka_message_t) -> Fate {
    // SAFETY: by the contract above.
    unsafe {
        let error = (*message).err;
        if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Fate::Delivered;
        }
        // A broker can send these three after it has appended (KAFKA-13574), whatever the client believes.
        let after_append = matches!(
            error,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION
                | RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN
                | RDKafkaRespErr::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR
        );
        match rd::rd_kafka_message_status(message) {
            rd::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED if !after_append => match error {
                // Our own doing: an abort, or the end.
                RDKafkaRespErr::RD_KAFKA_RESP_ERR__PURGE_QUEUE => Fate::NotPersisted,
                _ => Fate::NotPersistedAtLast,
            },
            _ => Fate::Unknown,
        }
    }
}

fn count_failure(failures: &mut Vec<Failure>, code: RDKafkaRespErr, fate: Fate, second: u64) {
    // What fails together is reported together: the entry is among the last.
    let same = |known: &&mut Failure| (known.code, known.fate, known.second) == (code, fate, second);
    match failures.iter_mut().rev().find(same) {
        Some(known) => known.count += 1,
        None => failures.push(Failure { code, fate, second, count: 1 }),
    }
}

/// # Safety
/// `pointer` is null or a string that lives through the call.
unsafe fn text(pointer: *const std::ffi::c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: by the contract above.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}
