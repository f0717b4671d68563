//! A member of a consumer group: records in arrays, and rebalances and answers to commits as values that wait to be taken.
//!
//! All unsafe code of group consuming is here and in `group`. Invariants: `queue` and `answers` are released before the
//! client, and the client before `inbox` and `wake` (`Drop`); callbacks run only inside calls of the owning thread and only
//! push into `inbox`, which nobody has borrowed then; every message, event and list is destroyed right after it was read.

use super::group::Trouble;
pub use super::group::{Answer, At, Change};
use super::group::{
    ERROR_BYTES, Inbox, List, answer, assign, ok, on_error, on_own_commit, on_rebalance, parts, said, text,
    unassign,
};
use super::reader::Item;
use super::wake::Wake;
pub use super::wake::Waker;
use super::{KafkaError, as_asked, client_config, effective};
use rdkafka::bindings as rd;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{CString, c_int, c_void};
use std::ptr;
use std::rc::Rc;
use std::time::Duration;

/// Offsets as librdkafka writes "none".
const NO_OFFSET: i64 = -1001;

/// One librdkafka consumer, subscribed to one topic.
pub struct Member {
    client: *mut rd::rd_kafka_t,
    queue: *mut rd::rd_kafka_queue_t,
    answers: *mut rd::rd_kafka_queue_t,
    inbox: Rc<RefCell<Inbox>>,
    wake: Wake,
    messages: Vec<*mut rd::rd_kafka_message_t>,
    topic: CString,
    settings: BTreeMap<String, String>,
    paused: Vec<u16>,
}

impl Member {
    /// Connects with these properties and asks to join; batches hold at most `batch` records.
    pub fn join(
        properties: &BTreeMap<String, String>,
        topic: &str,
        batch: usize,
    ) -> Result<Self, KafkaError> {
        const ACT: &str = "could not create the group member";
        let topic = CString::new(topic).map_err(|error| KafkaError::new("bad topic name", error))?;
        let own_commits = properties.get("enable.auto.commit").is_some_and(|value| value == "true");
        let config =
            client_config(properties).create_native_config().map_err(|error| KafkaError::new(ACT, error))?;
        let inbox: Rc<RefCell<Inbox>> = Rc::default();
        let mut said = [0; ERROR_BYTES];
        // SAFETY: `conf` is a copy of our own; the client takes it unless the call fails. The inbox does not move, and
        // outlives the client.
        let client = unsafe {
            let conf = rd::rd_kafka_conf_dup(config.ptr());
            rd::rd_kafka_conf_set_opaque(conf, Rc::as_ptr(&inbox).cast_mut().cast());
            rd::rd_kafka_conf_set_rebalance_cb(conf, Some(on_rebalance));
            rd::rd_kafka_conf_set_error_cb(conf, Some(on_error));
            // With it set, the answers to commits that we call would come twice.
            if own_commits {
                rd::rd_kafka_conf_set_offset_commit_cb(conf, Some(on_own_commit));
            }
            let kind = rd::rd_kafka_type_t::RD_KAFKA_CONSUMER;
            let client = rd::rd_kafka_new(kind, conf, said.as_mut_ptr(), said.len());
            if client.is_null() {
                rd::rd_kafka_conf_destroy(conf);
                return Err(KafkaError::new(ACT, text(said.as_ptr())));
            }
            client
        };
        // SAFETY: the client is live.
        let (queue, answers, settings) = unsafe {
            (rd::rd_kafka_queue_get_consumer(client), rd::rd_kafka_queue_new(client), effective(client))
        };
        // SAFETY: both queues are live, and `Drop` destroys the client before the field `wake` is dropped.
        let wake = unsafe {
            Wake::attach(queue)
                .inspect(|wake| wake.also(answers))
                .map_err(|error| KafkaError::new(ACT, error))?
        };
        let messages = vec![ptr::null_mut(); batch];
        let member =
            Member { client, queue, answers, inbox, wake, messages, topic, settings, paused: Vec::new() };
        as_asked(properties, &member.settings)?;
        let list = member.list(&[(0, NO_OFFSET)]);
        // SAFETY: client and list are live. A subscription ignores partitions.
        let error = unsafe { rd::rd_kafka_subscribe(member.client, list.0) };
        ok(error).map_err(|name| KafkaError::new("could not subscribe", name))?;
        Ok(member)
    }

    /// The client's effective settings.
    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }

    /// Something with which another thread can end a wait of `poll_until` or `rest_until`.
    pub fn waker(&self) -> Result<Waker, KafkaError> {
        self.wake.waker().map_err(|error| KafkaError::new("could not make a waker", error))
    }

    /// Waits as `poll_until` does, and takes nothing.
    pub fn rest_until(&mut self, instant_ns: u64) {
        self.wake.wait_until(instant_ns);
    }

    /// Lets the client fetch nothing for these partitions, and go on with others that were paused; what has arrived of them is
    /// fetched again. A partition that is given up is paused no more.
    pub fn pause(&mut self, partitions: &[u16]) -> Result<(), KafkaError> {
        self.resume(|paused| !partitions.contains(&paused))?;
        let list = self.list(&without_offsets(partitions));
        // SAFETY: client and list are live.
        let error = unsafe { rd::rd_kafka_pause_partitions(self.client, list.0) };
        ok(error).map_err(|name| KafkaError::new("could not pause partitions", name))?;
        self.paused = partitions.to_vec();
        Ok(())
    }

    /// Lets the client go on where it was with those of the paused partitions.
    pub fn resume(&mut self, which: impl Fn(u16) -> bool) -> Result<(), KafkaError> {
        let (going, staying): (Vec<u16>, Vec<u16>) = self.paused.iter().partition(|at| which(**at));
        if going.is_empty() {
            return Ok(());
        }
        self.paused = staying;
        let list = self.list(&without_offsets(&going));
        // SAFETY: client and list are live.
        let error = unsafe { rd::rd_kafka_resume_partitions(self.client, list.0) };
        ok(error).map_err(|name| KafkaError::new("could not resume partitions", name))
    }

    /// The partitions that nothing is fetched for.
    pub fn paused(&self) -> &[u16] {
        &self.paused
    }

    /// Hands at most `most` records that have arrived to the callback and says how many items that was; waits until the
    /// instant, or until something else has come, if there is none.
    #[inline]
    pub fn poll_until(&mut self, most: usize, instant_ns: u64, mut item: impl FnMut(Item<'_>)) -> usize {
        let mut count = self.take(most);
        if count == 0 && self.inbox.borrow().changes.is_empty() {
            self.wake.wait_until(instant_ns);
            count = self.take(most);
        }
        for message in &self.messages[..count] {
            // SAFETY: the message is ours until destroyed at the end of this block; payload and length belong together.
            unsafe {
                let record = &**message;
                let partition = record.partition;
                if record.err == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                    let payload = if record.payload.is_null() {
                        &[][..]
                    } else {
                        std::slice::from_raw_parts(record.payload.cast::<u8>(), record.len)
                    };
                    item(Item::Record { partition: partition as u16, offset: record.offset, payload });
                } else {
                    item(Item::Error {
                        partition,
                        text: RDKafkaErrorCode::from(record.err).to_string(),
                        stranded: false,
                    });
                }
                rd::rd_kafka_message_destroy(*message);
            }
        }
        count
    }

    fn take(&mut self, most: usize) -> usize {
        let most = most.min(self.messages.len());
        // SAFETY: the queue is live and the array has room for `most` messages; callbacks find `inbox` not borrowed.
        let count =
            unsafe { rd::rd_kafka_consume_batch_queue(self.queue, 0, self.messages.as_mut_ptr(), most) };
        usize::try_from(count).unwrap_or(0)
    }

    /// The oldest change that was not taken yet; the partitions stay as they are until it is answered.
    pub fn next_change(&mut self) -> Option<Change> {
        self.inbox.borrow_mut().changes.pop_front()
    }

    /// Partitions that a waiting change says are lost.
    pub fn lost(&self) -> Vec<u16> {
        let lost = |change: &Change| match change {
            Change::Taken { partitions, lost: true } => partitions.clone(),
            _ => Vec::new(),
        };
        self.inbox.borrow().changes.iter().flat_map(lost).collect()
    }

    /// Whether the group waits for us.
    pub fn has_changes(&self) -> bool {
        !self.inbox.borrow().changes.is_empty()
    }

    /// Errors of the client since the last call.
    pub fn troubles(&mut self) -> Vec<Trouble> {
        std::mem::take(&mut self.inbox.borrow_mut().troubles)
    }

    /// The offsets that the group holds, in the order asked; `None`: nothing was committed. Blocks.
    pub fn committed(&self, partitions: &[u16], timeout: Duration) -> Result<Vec<Option<i64>>, KafkaError> {
        let list = self.list(&without_offsets(partitions));
        // SAFETY: client and list are live; the client writes into the list.
        let error = unsafe { rd::rd_kafka_committed(self.client, list.0, timeout.as_millis() as c_int) };
        let act = "could not read the committed offsets";
        ok(error).map_err(|name| KafkaError::new(act, name))?;
        // SAFETY: the list is live.
        let parts = unsafe { parts(list.0) };
        parts
            .into_iter()
            .map(|((_, offset), error)| match ok(error) {
                Ok(()) => Ok((offset >= 0).then_some(offset)),
                Err(name) => Err(KafkaError::new(act, name)),
            })
            .collect()
    }

    /// Answers `Given`: reads these from these offsets on (negative: from where the client finds).
    pub fn assign(&mut self, partitions: &[At]) -> Result<(), KafkaError> {
        let known = |(partition, offset): &At| (*partition, if *offset < 0 { NO_OFFSET } else { *offset });
        let list = self.list(&partitions.iter().map(known).collect::<Vec<_>>());
        // SAFETY: client and list are live.
        let answer = unsafe { assign(self.client, list.0) };
        answer.map_err(|error| KafkaError::new("could not assign partitions", error))
    }

    /// Answers `Taken`. With auto commit the client first commits what is stored.
    pub fn unassign(&mut self, partitions: &[u16]) -> Result<(), KafkaError> {
        // The client would keep them paused, and give none of their records when they come back.
        let resumed = self.resume(|paused| partitions.contains(&paused));
        let list = self.list(&without_offsets(partitions));
        // SAFETY: client and list are live.
        let answer = unsafe { unassign(self.client, list.0) };
        answer.map_err(|error| KafkaError::new("could not give partitions up", error)).and(resumed)
    }

    /// Goes back to these offsets. Blocks.
    pub fn seek(&mut self, offsets: &[At], timeout: Duration) -> Result<(), KafkaError> {
        let list = self.list(offsets);
        // SAFETY: client and list are live; the error is destroyed in `said`.
        unsafe {
            said(rd::rd_kafka_seek_partitions(self.client, list.0, timeout.as_millis() as c_int))
                .map_err(|error| KafkaError::new("could not seek", error))
        }
    }

    /// Lets the next auto commit take these offsets (the next to process).
    pub fn store(&mut self, offsets: &[At]) -> Result<(), KafkaError> {
        let list = self.list(offsets);
        // SAFETY: client and list are live.
        let error = unsafe { rd::rd_kafka_offsets_store(self.client, list.0) };
        ok(error).map_err(|name| KafkaError::new("could not store offsets", name))
    }

    /// Asks the group to hold these offsets; the answer comes through `answer` under this number (above 0).
    pub fn commit(&mut self, offsets: &[At], number: usize) -> Result<(), KafkaError> {
        let list = self.list(offsets);
        // SAFETY: client, list and queue are live; the client copies the list; the opaque is a number.
        let error = unsafe {
            rd::rd_kafka_commit_queue(self.client, list.0, self.answers, None, number as *mut c_void)
        };
        ok(error).map_err(|name| KafkaError::new("could not commit", name))
    }

    /// The next answer to a commit; waits a little for it, or returns at once. Takes no records, so it may be called while
    /// a batch is in hand: the main queue, which holds what the client has to say, is not a part of the consumer's here.
    pub fn answer(&mut self, wait: bool) -> Option<Answer> {
        // SAFETY: the client is live; callbacks find `inbox` not borrowed.
        unsafe { rd::rd_kafka_poll(self.client, 0) };
        if let Some(answer) = self.inbox.borrow_mut().own.pop_front() {
            return Some(answer);
        }
        // SAFETY: the queue is live; the event is ours until destroyed, and what is read of it is copied before.
        unsafe {
            let event = rd::rd_kafka_queue_poll(self.answers, if wait { 100 } else { 0 });
            if event.is_null() {
                return None;
            }
            let number = rd::rd_kafka_event_opaque(event) as usize;
            let list = rd::rd_kafka_event_topic_partition_list(event);
            let answer = answer(number, rd::rd_kafka_event_error(event), list);
            rd::rd_kafka_event_destroy(event);
            Some(answer)
        }
    }

    /// How the group's coordinator knows this member now, for a producer that commits its offsets; `None`: not at all. Then the
    /// words of the last assignment have to do: the coordinator refuses them, and would take none at all for those of a
    /// client that needs no membership.
    pub fn membership(&self) -> Option<Vec<u8>> {
        self.generation()?;
        let (mut buffer, mut size) = (ptr::null_mut(), 0_usize);
        // SAFETY: the client is live; the words are copied before the C allocator, which made them, frees them.
        unsafe {
            let group = rd::rd_kafka_consumer_group_metadata(self.client);
            if group.is_null() {
                return None;
            }
            let written = rd::rd_kafka_consumer_group_metadata_write(group, &raw mut buffer, &raw mut size);
            rd::rd_kafka_consumer_group_metadata_destroy(group);
            if said(written).is_err() || buffer.is_null() {
                return None;
            }
            let words = std::slice::from_raw_parts(buffer.cast::<u8>(), size).to_vec();
            libc::free(buffer);
            Some(words)
        }
    }

    /// The group's generation (of the consumer protocol the member's epoch); `None`: not known.
    pub fn generation(&self) -> Option<i32> {
        // SAFETY: the client is live; what it gives is destroyed here.
        unsafe {
            let group = rd::rd_kafka_consumer_group_metadata(self.client);
            if group.is_null() {
                return None;
            }
            let generation = rd::rd_kafka_consumer_group_metadata_generation_id(group);
            rd::rd_kafka_consumer_group_metadata_destroy(group);
            (generation >= 0).then_some(generation)
        }
    }

    /// Leaves the group as librdkafka does by itself: with auto commit it first commits what is stored. Gives what was
    /// taken away and committed on the way. Blocks.
    pub fn close(mut self) -> (Vec<Change>, Vec<Answer>) {
        self.inbox.borrow_mut().closing = true;
        // SAFETY: the client is live; callbacks answer for us from here on.
        unsafe { rd::rd_kafka_consumer_close(self.client) };
        let answers = std::iter::from_fn(|| self.answer(false)).collect();
        (self.inbox.borrow_mut().changes.drain(..).collect(), answers)
    }

    fn list(&self, offsets: &[At]) -> List {
        // SAFETY: the list is ours until `List` is dropped; the topic's name outlives the call, which copies it.
        unsafe {
            let list = rd::rd_kafka_topic_partition_list_new(offsets.len() as c_int);
            for (partition, offset) in offsets {
                let added =
                    rd::rd_kafka_topic_partition_list_add(list, self.topic.as_ptr(), i32::from(*partition));
                (*added).offset = *offset;
            }
            List(list)
        }
    }
}

fn without_offsets(partitions: &[u16]) -> Vec<At> {
    partitions.iter().map(|partition| (*partition, NO_OFFSET)).collect()
}

impl Drop for Member {
    fn drop(&mut self) {
        self.inbox.borrow_mut().closing = true;
        // SAFETY: opened in `join`, released once. The flag keeps a member that was not closed from committing now.
        unsafe {
            for queue in [self.queue, self.answers] {
                rd::rd_kafka_queue_io_event_enable(queue, -1, ptr::null(), 0);
                rd::rd_kafka_queue_destroy(queue);
            }
            rd::rd_kafka_destroy_flags(self.client, rd::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{mock::Mock, properties};
    use super::*;
    use crate::clock;
    use bench_model::settings::{CommitStrategy, GroupSettings};
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

    const TOPIC: &str = "paused";
    const SECOND_NS: u64 = 1_000_000_000;

    fn group() -> GroupSettings {
        GroupSettings {
            members: 1,
            commit: CommitStrategy::None,
            commit_interval_ns: SECOND_NS,
            commit_on_revoke: false,
            batch_records: 10,
            batch_wait_ns: 0,
            service_ns: 0,
            service_spread: Default::default(),
            assignor: "range".into(),
            protocol: "classic".into(),
            isolation: "read_uncommitted".into(),
            session_timeout_ns: 10 * SECOND_NS,
            fetch: Default::default(),
            extra: BTreeMap::new(),
            sink: None,
        }
    }

    /// The offsets that come within a time, or until there are so many.
    fn fetched(member: &mut Member, most: usize, time_ns: u64) -> Vec<i64> {
        let until_ns = clock::now_ns() + time_ns;
        let mut offsets = Vec::new();
        while offsets.len() < most && clock::now_ns() < until_ns {
            member.poll_until(most, until_ns, |item| {
                if let Item::Record { offset, .. } = item {
                    offsets.push(offset);
                }
            });
        }
        offsets
    }

    #[test]
    fn a_partition_that_is_given_up_while_it_is_paused_is_read_when_it_comes_back() {
        let mock = Mock::start(1).expect("a mock cluster");
        mock.create_topic(TOPIC, 1, 1).expect("a topic");
        let mut config = rdkafka::ClientConfig::new();
        let producer: BaseProducer =
            config.set("bootstrap.servers", mock.bootstrap()).create().expect("a producer");
        let record = BaseRecord::<(), [u8]>::to(TOPIC).payload(b"x").partition(0);
        producer.send(record).expect("room in the queue");
        producer.flush(Duration::from_secs(30)).expect("delivered");

        let properties = properties::member(&mock.bootstrap(), "paused", "paused", &group());
        let mut member = Member::join(&properties, TOPIC, 10).expect("a member");
        let until_ns = clock::now_ns() + 30 * SECOND_NS;
        let given = loop {
            assert!(clock::now_ns() < until_ns, "nothing was assigned");
            member.poll_until(1, clock::now_ns() + SECOND_NS / 10, |_| ());
            if let Some(change) = member.next_change() {
                break change;
            }
        };
        assert_eq!(given, Change::Given(vec![0]));
        member.assign(&[(0, 0)]).expect("assigned");
        assert_eq!(fetched(&mut member, 1, 30 * SECOND_NS), [0]);

        member.pause(&[0]).expect("paused");
        member.seek(&[(0, 0)], Duration::from_secs(10)).expect("gone back");
        assert_eq!(fetched(&mut member, 1, SECOND_NS), [0_i64; 0], "it is paused");
        member.unassign(&[0]).expect("given up");
        // As a member does whose hand is free again, in the partition's absence.
        member.resume(|_| true).expect("nothing to resume");
        member.assign(&[(0, 0)]).expect("assigned again");
        assert_eq!(fetched(&mut member, 1, 30 * SECOND_NS), [0], "it came back");
    }
}
