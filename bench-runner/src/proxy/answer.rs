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
            .flat_map(batches)
            .map(|batch| batch.records)
            .sum()
    }

    /// The frame of an answer as if everything had been appended, at the beginning of the log: what offset it tells proves
    /// nothing.
    ///
    /// # Errors
    /// It is no Produce request, or of a version that is not known here.
    pub fn acknowledgement(&self) -> Result<Bytes, String> {
        let produce = self.produce.as_ref().ok_or("only Produce requests are acknowledged here")?;
        self.frame(ApiKey::Produce, &answer(produce, 0, 0))
    }

    /// The frame of an answer with this error.
    ///
    /// # Errors
    /// None can be written to this kind of request, or in this version.
    pub fn refusal(&self, error: i16) -> Result<Bytes, String> {
        let unknown = |()| format!("requests with key {} are not refused here", self.head.api);
        match (ApiKey::try_from(self.head.api).map_err(unknown)?, &self.produce) {
            (key @ ApiKey::Produce, Some(produce)) => self.frame(key, &answer(produce, error, -1)),
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
        let header = ResponseHeader::default().with_correlation_id(self.head.correlation);
        framed(key, self.head.version, &header, answer)
    }
}

/// The frame of an answer in this version.
///
/// # Errors
/// The version is not known here.
pub(super) fn framed(
    key: ApiKey,
    version: i16,
    header: &ResponseHeader,
    answer: &impl Encodable,
) -> Result<Bytes, String> {
    let mut frame = BytesMut::zeroed(LENGTH);
    header
        .encode(&mut frame, key.response_header_version(version))
        .and_then(|()| answer.encode(&mut frame, version))
        .map_err(|error| format!("an answer to {key:?} of version {version}: {error}"))?;
    let length = (frame.len() - LENGTH) as i32;
    frame[..LENGTH].copy_from_slice(&length.to_be_bytes());
    Ok(frame.freeze())
}

/// Header and content of an answer in this version.
///
/// # Errors
/// It does not follow the protocol, or the version is not known here.
pub(super) fn read<T: Decodable>(
    key: ApiKey,
    version: i16,
    frame: &Bytes,
) -> Result<(ResponseHeader, T), String> {
    let mut content = frame.slice(LENGTH..);
    ResponseHeader::decode(&mut content, key.response_header_version(version))
        .and_then(|header| Ok((header, T::decode(&mut content, version)?)))
        .map_err(|error| format!("an answer to {key:?} of version {version}: {error}"))
}

/// The same answer for every partition.
fn answer(produce: &ProduceRequest, error: i16, base_offset: i64) -> ProduceResponse {
    let topics = produce.topic_data.iter().map(|topic| {
        let partitions = topic.partition_data.iter().map(|data| {
            PartitionProduceResponse::default()
                .with_index(data.index)
                .with_error_code(error)
                .with_base_offset(base_offset)
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

/// The heads of batches that stand one behind the other, as far as they can be read; the last batch may be cut off.
pub(super) fn batches(bytes: &Bytes) -> impl Iterator<Item = BatchHead> {
    let mut rest = bytes.as_ref();
    std::iter::from_fn(move || {
        let head = BatchHead::parse(0, 0, rest.first_chunk::<HEAD>()?).ok()?;
        rest = rest.get(head.size as usize..).unwrap_or_default();
        Some(head)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use bytes::Buf;
    use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
    use kafka_protocol::messages::{RequestHeader, TopicName};
    use kafka_protocol::protocol::StrBytes;

    /// Batches with so many records by their headers, the first at offset 0.
    pub fn batches(counts: &[i32]) -> Bytes {
        let mut next = 0;
        let batch = |count: i32| {
            let mut bytes = vec![0; HEAD + 10];
            let length = bytes.len() as i32 - 12;
            bytes[8..12].copy_from_slice(&length.to_be_bytes());
            bytes[16] = 2;
            bytes[23..27].copy_from_slice(&(count - 1).to_be_bytes());
            bytes[57..61].copy_from_slice(&count.to_be_bytes());
            bytes[..8].copy_from_slice(&i64::from(next).to_be_bytes());
            next += count;
            bytes
        };
        counts.iter().copied().flat_map(batch).collect::<Vec<u8>>().into()
    }

    /// A request with sixteen records in two partitions, and correlation id 77.
    pub fn produce(version: i16, acks: i16) -> (Head, Bytes) {
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
        let length = (frame.len() - LENGTH) as i32;
        frame[..LENGTH].copy_from_slice(&length.to_be_bytes());
        let frame = frame.freeze();
        (Head::of(&frame).expect("a head"), frame)
    }

    #[test]
    fn a_produce_is_refused_or_acknowledged_for_every_partition_in_its_own_version() {
        // What librdkafka 2.12.1 speaks: old arrays and headers up to 8, compact ones from 9.
        for version in [3, 7, 8, 9, 10] {
            let (head, frame) = produce(version, -1);
            let asked = Asked::read(head, &frame).expect("a request");
            assert_eq!((asked.records(), asked.is_answered()), (16, true), "version {version}");
            let told = |mut answer: Bytes| -> Vec<(i32, i16, i64)> {
                assert_eq!(super::super::frame::correlation(&answer), Some(77));
                assert_eq!(answer.get_i32() as usize, answer.len());
                ResponseHeader::decode(&mut answer, ApiKey::Produce.response_header_version(version))
                    .expect("a header");
                let answer = ProduceResponse::decode(&mut answer, version).expect("an answer");
                let partitions = answer.responses[0].partition_responses.iter();
                partitions.map(|one| (one.index, one.error_code, one.base_offset)).collect()
            };
            let refused = told(asked.refusal(19).expect("an answer"));
            assert_eq!(refused, [(4, 19, -1), (7, 19, -1)], "version {version}");
            let acknowledged = told(asked.acknowledgement().expect("an answer"));
            assert_eq!(acknowledged, [(4, 0, 0), (7, 0, 0)], "version {version}");
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
        assert!(fetch.refusal(19).is_err() && fetch.acknowledgement().is_err());
    }
}
