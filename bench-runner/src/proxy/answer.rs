//! Looks into requests that a rule is about, and writes answers in the broker's place.

use super::frame::{Head, LENGTH};
use bench_model::segment::cut::{HEAD, Head as BatchHead};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ApiKey, EndTxnResponse, HeartbeatResponse, InitProducerIdResponse, ProduceRequest, ProduceResponse,
    ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, decode_request_header_from_buffer};

/// A request that a rule is about.
pub struct Asked {
    head: Head,
    produce: Option<ProduceRequest>,
}

impl Asked {
    /// Reads what is needed of it.
    ///
    /// # Errors
    /// It does not follow the protocol, or is of a version that is not known here.
    pub fn read(head: Head, frame: &Bytes) -> Result<Asked, String> {
        let produce = (head.api == ApiKey::Produce as i16).then(|| {
            let mut content = frame.slice(LENGTH..);
            decode_request_header_from_buffer(&mut content)
                .and_then(|_| ProduceRequest::decode(&mut content, head.version))
                .map_err(|error| format!("a Produce request of version {}: {error}", head.version))
        });
        Ok(Asked { head, produce: produce.transpose()? })
    }

    /// The broker owes it an answer.
    pub fn is_answered(&self) -> bool {
        self.produce.as_ref().is_none_or(|produce| produce.acks != 0)
    }

    /// Records in it, by the headers of their batches.
    pub fn records(&self) -> u64 {
        let topics = self.produce.iter().flat_map(|produce| &produce.topic_data);
        topics
            .flat_map(|topic| &topic.partition_data)
            .filter_map(|data| data.records.as_ref())
            .map(records)
            .sum()
    }

    /// The frame of an answer with this error.
    ///
    /// # Errors
    /// None can be written to this kind of request, or in this version.
    pub fn refusal(&self, error: i16) -> Result<Bytes, String> {
        let unknown = |()| format!("requests with key {} are not refused here", self.head.api);
        match (ApiKey::try_from(self.head.api).map_err(unknown)?, &self.produce) {
            (key @ ApiKey::Produce, Some(produce)) => self.frame(key, &refused(produce, error)),
            (key @ ApiKey::EndTxn, _) => self.frame(key, &EndTxnResponse::default().with_error_code(error)),
            (key @ ApiKey::InitProducerId, _) => {
                self.frame(key, &InitProducerIdResponse::default().with_error_code(error))
            }
            (key @ ApiKey::Heartbeat, _) => {
                self.frame(key, &HeartbeatResponse::default().with_error_code(error))
            }
            _ => Err(unknown(())),
        }
    }

    fn frame(&self, key: ApiKey, answer: &impl Encodable) -> Result<Bytes, String> {
        let version = self.head.version;
        let header = ResponseHeader::default().with_correlation_id(self.head.correlation);
        let mut frame = BytesMut::zeroed(LENGTH);
        header
            .encode(&mut frame, key.response_header_version(version))
            .and_then(|()| answer.encode(&mut frame, version))
            .map_err(|error| format!("an answer to {key:?} of version {version}: {error}"))?;
        let length = (frame.len() - LENGTH) as i32;
        frame[..LENGTH].copy_from_slice(&length.to_be_bytes());
        Ok(frame.freeze())
    }
}

fn refused(produce: &ProduceRequest, error: i16) -> ProduceResponse {
    let topics = produce.topic_data.iter().map(|topic| {
        let partitions = topic.partition_data.iter().map(|data| {
            PartitionProduceResponse::default()
                .with_index(data.index)
                .with_error_code(error)
                .with_base_offset(-1)
                .with_log_append_time_ms(-1)
                .with_log_start_offset(-1)
        });
        TopicProduceResponse::default()
            .with_name(topic.name.clone())
            .with_topic_id(topic.topic_id)
            .with_partition_responses(partitions.collect())
    });
    ProduceResponse::default().with_responses(topics.collect())
}

/// Records in batches that stand one behind the other, as far as they can be read.
fn records(batches: &Bytes) -> u64 {
    let (mut rest, mut count) = (batches.as_ref(), 0);
    while let Some(Ok(head)) = rest.first_chunk::<HEAD>().map(|head| BatchHead::parse(0, 0, head)) {
        count += head.records;
        rest = rest.get(head.size as usize..).unwrap_or_default();
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf;
    use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
    use kafka_protocol::messages::{RequestHeader, TopicName};
    use kafka_protocol::protocol::StrBytes;

    /// Two batches as a producer writes them, with so many records by their headers.
    fn batches(counts: &[i32]) -> Bytes {
        let batch = |count: i32| {
            let mut bytes = vec![0; HEAD + 10];
            let length = bytes.len() as i32 - 12;
            bytes[8..12].copy_from_slice(&length.to_be_bytes());
            bytes[16] = 2;
            bytes[23..27].copy_from_slice(&(count - 1).to_be_bytes());
            bytes[57..61].copy_from_slice(&count.to_be_bytes());
            bytes
        };
        counts.iter().flat_map(|count| batch(*count)).collect::<Vec<u8>>().into()
    }

    fn produce(version: i16, acks: i16) -> (Head, Bytes) {
        let data = |index, counts: &[i32]| {
            PartitionProduceData::default().with_index(index).with_records(Some(batches(counts)))
        };
        let topic = TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_static_str("t")))
            .with_partition_data(vec![data(4, &[10, 5]), data(7, &[1])]);
        let request = ProduceRequest::default().with_acks(acks).with_topic_data(vec![topic]);
        let header = RequestHeader::default()
            .with_request_api_key(0)
            .with_request_api_version(version)
            .with_correlation_id(77)
            .with_client_id(Some(StrBytes::from_static_str("c")));
        let mut frame = BytesMut::zeroed(LENGTH);
        header.encode(&mut frame, ApiKey::Produce.request_header_version(version)).expect("a header");
        request.encode(&mut frame, version).expect("a request");
        let frame = frame.freeze();
        (Head::of(&frame).expect("a head"), frame)
    }

    #[test]
    fn a_refused_produce_gets_its_error_for_every_partition_in_its_own_version() {
        // What librdkafka 2.12.1 speaks: old arrays and headers up to 8, compact ones from 9.
        for version in [3, 7, 8, 9, 10] {
            let (head, frame) = produce(version, -1);
            let asked = Asked::read(head, &frame).expect("a request");
            assert_eq!((asked.records(), asked.is_answered()), (16, true), "version {version}");
            let mut answer = asked.refusal(19).expect("an answer");
            assert_eq!(super::super::frame::correlation(&answer), Some(77));
            assert_eq!(answer.get_i32() as usize, answer.len());
            ResponseHeader::decode(&mut answer, ApiKey::Produce.response_header_version(version))
                .expect("a header");
            let answer = ProduceResponse::decode(&mut answer, version).expect("an answer");
            let told: Vec<(i32, i16)> = answer.responses[0]
                .partition_responses
                .iter()
                .map(|partition| (partition.index, partition.error_code))
                .collect();
            assert_eq!(told, [(4, 19), (7, 19)], "version {version}");
        }
    }

    #[test]
    fn who_wants_no_answer_gets_none() {
        let (head, frame) = produce(9, 0);
        assert!(!Asked::read(head, &frame).expect("a request").is_answered());
        let (head, frame) = produce(9, 1);
        assert!(Asked::read(head, &frame).expect("a request").is_answered());
    }

    #[test]
    fn what_is_not_known_here_is_an_error() {
        let (head, frame) = produce(9, 1);
        assert!(Asked::read(head, &frame.slice(..frame.len() - 1)).is_err(), "cut off");
        assert!(Asked::read(Head { version: 99, ..head }, &frame).is_err());
        let fetch = Asked { head: Head { api: 1, ..head }, produce: None };
        assert!(fetch.refusal(19).is_err());
    }
}
