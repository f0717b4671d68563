//! Reading assigned partitions in arrays of records, for the end-to-end reader and for the independent one.
//!
//! All unsafe code of consuming is here. Invariants: `queue` belongs to the client inside `consumer` and is released
//! before it (`Drop`); every message is destroyed right after the callback, and no payload outlives it.

use super::wake::Wake;
use super::{KafkaError, as_asked, client_config, effective};
use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use std::collections::BTreeMap;
use std::time::Duration;

const BATCH: usize = 2048;

/// What reading brings.
#[derive(Debug)]
pub enum Item<'a> {
    /// A record.
    Record {
        /// Partition that it was read from.
        partition: u16,
        /// Its offset there.
        offset: i64,
        /// Its value (empty if it has none).
        payload: &'a [u8],
    },
    /// The end of the partition was reached for now.
    End {
        /// Which partition.
        partition: u16,
        /// The offset that the next record will have or exceed.
        offset: i64,
    },
    /// An error in place of a record.
    Error {
        /// Partition, -1 if none.
        partition: i32,
        /// The client's words.
        text: String,
        /// The partition is read no further: its log ends before the place that was read, part of it is gone.
        stranded: bool,
    },
}

/// A consumer with fixed partitions.
pub struct Reader {
    _consumer: BaseConsumer,
    queue: *mut rd::rd_kafka_queue_t,
    wake: Wake,
    messages: Vec<*mut rd::rd_kafka_message_t>,
    settings: BTreeMap<String, String>,
}

// SAFETY: librdkafka handles may be used from any thread; `Reader` is used by one at a time.
unsafe impl Send for Reader {}

impl Reader {
    /// Connects and assigns the partitions at the given offsets.
    pub fn open(
        properties: &BTreeMap<String, String>,
        topic: &str,
        starts: &BTreeMap<u16, i64>,
        timeout: Duration,
    ) -> Result<Self, KafkaError> {
        let config = client_config(properties);
        let consumer: BaseConsumer =
            config.create().map_err(|error| KafkaError::new("could not create the reader", error))?;
        consumer.fetch_metadata(Some(topic), timeout).map_err(|error| {
            KafkaError::new(format!("could not read the metadata of topic {topic}"), error)
        })?;
        let mut assignment = TopicPartitionList::new();
        for (partition, offset) in starts {
            assignment
                .add_partition_offset(topic, i32::from(*partition), Offset::Offset(*offset))
                .map_err(|error| KafkaError::new("could not name the partitions", error))?;
        }
        consumer
            .assign(&assignment)
            .map_err(|error| KafkaError::new(format!("could not assign the partitions of {topic}"), error))?;
        let client = consumer.client().native_ptr();
        // SAFETY: the client lives in `consumer`.
        let settings = unsafe { effective(client) };
        as_asked(properties, &settings)?;
        // SAFETY: as above.
        let queue = unsafe { rd::rd_kafka_queue_get_consumer(client) };
        // SAFETY: the queue is live, and `Drop` releases it before the field `wake` is dropped.
        let wake = unsafe { Wake::attach(queue) }
            .map_err(|error| KafkaError::new("could not open an event descriptor", error))?;
        Ok(Reader { _consumer: consumer, queue, wake, messages: vec![std::ptr::null_mut(); BATCH], settings })
    }

    /// The client's effective settings.
    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }

    /// Hands what has arrived to the callback and says how many items that was; waits until the instant if there is nothing.
    #[inline]
    pub fn poll_until(&mut self, instant_ns: u64, mut item: impl FnMut(Item<'_>)) -> usize {
        let mut count = self.take();
        if count == 0 {
            self.wake.wait_until(instant_ns);
            count = self.take();
        }
        for message in &self.messages[..count] {
            // SAFETY: the message is ours until destroyed at the end of this block; payload and length belong together.
            unsafe {
                let message_ref = &**message;
                if message_ref.err == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                    let payload = if message_ref.payload.is_null() {
                        &[][..]
                    } else {
                        std::slice::from_raw_parts(message_ref.payload.cast::<u8>(), message_ref.len)
                    };
                    item(Item::Record {
                        partition: message_ref.partition as u16,
                        offset: message_ref.offset,
                        payload,
                    });
                } else if message_ref.err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF {
                    item(Item::End { partition: message_ref.partition as u16, offset: message_ref.offset });
                } else {
                    let error = rdkafka::types::RDKafkaErrorCode::from(message_ref.err);
                    let stranded = message_ref.err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET;
                    item(Item::Error { partition: message_ref.partition, text: error.to_string(), stranded });
                }
                rd::rd_kafka_message_destroy(*message);
            }
        }
        count
    }

    fn take(&mut self) -> usize {
        // SAFETY: the queue is live and the array has room for as many messages as it says.
        let count = unsafe {
            rd::rd_kafka_consume_batch_queue(self.queue, 0, self.messages.as_mut_ptr(), self.messages.len())
        };
        usize::try_from(count).unwrap_or(0)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // SAFETY: opened in `open`, released once, and before the client.
        unsafe {
            rd::rd_kafka_queue_io_event_enable(self.queue, -1, std::ptr::null(), 0);
            rd::rd_kafka_queue_destroy(self.queue);
        }
    }
}
