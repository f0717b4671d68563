//! Answers to readers, cut so that a log seems to end at an offset. Whole batches only; nothing in them is touched.

use super::answer::{batches, framed, read};
use super::frame::Head;
use bytes::Bytes;
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{ApiKey, FetchResponse, ListOffsetsResponse};

/// An answer without what is behind an offset.
#[derive(Debug)]
pub struct Shortened {
    /// The frame to pass on.
    pub frame: Bytes,
    /// Records are missing in it: who has asked for them will ask again at once.
    pub lacks_records: bool,
}

/// Cuts the answer to a Fetch or ListOffsets request; `None`: nothing in it is behind the offset.
///
/// # Errors
/// It does not follow the protocol, is the answer to another request, or of a version that is not known here.
pub fn shorten(head: Head, frame: &Bytes, offset: i64) -> Result<Option<Shortened>, String> {
    let strange = |()| format!("answers to requests with key {} are not cut here", head.api);
    match ApiKey::try_from(head.api).map_err(strange)? {
        ApiKey::Fetch => fetched(head, frame, offset),
        ApiKey::ListOffsets => listed(head, frame, offset),
        _ => Err(strange(())),
    }
}

fn fetched(head: Head, frame: &Bytes, offset: i64) -> Result<Option<Shortened>, String> {
    let (header, mut answer) = read::<FetchResponse>(ApiKey::Fetch, head.version, frame)?;
    let (mut is_cut, mut lacks_records) = (false, false);
    for part in answer.responses.iter_mut().flat_map(|topic| &mut topic.partitions) {
        lacks_records |= without_records(part, offset);
        for end in [&mut part.high_watermark, &mut part.last_stable_offset] {
            is_cut |= *end > offset;
            *end = (*end).min(offset);
        }
    }
    let frame = || framed(ApiKey::Fetch, head.version, &header, &answer);
    (is_cut || lacks_records).then(|| Ok(Shortened { frame: frame()?, lacks_records })).transpose()
}

/// Takes the batches that go on behind the offset; whether there were any.
fn without_records(part: &mut PartitionData, offset: i64) -> bool {
    let Some(records) = &mut part.records else { return false };
    let left = batches(records).take_while(|batch| batch.next_offset <= offset);
    let left = left.map(|batch| batch.size as usize).sum::<usize>().min(records.len());
    let is_less = left < records.len();
    records.truncate(left);
    is_less
}

fn listed(head: Head, frame: &Bytes, offset: i64) -> Result<Option<Shortened>, String> {
    let (header, mut answer) = read::<ListOffsetsResponse>(ApiKey::ListOffsets, head.version, frame)?;
    let mut is_cut = false;
    for part in answer.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        is_cut |= part.offset > offset;
        part.offset = part.offset.min(offset);
    }
    let frame = || framed(ApiKey::ListOffsets, head.version, &header, &answer);
    is_cut.then(|| Ok(Shortened { frame: frame()?, lacks_records: false })).transpose()
}

#[cfg(test)]
mod tests {
    use super::super::answer::tests::batches;
    use super::*;
    use kafka_protocol::messages::ResponseHeader;
    use kafka_protocol::messages::fetch_response::FetchableTopicResponse;
    use kafka_protocol::messages::list_offsets_response::{
        ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
    };

    fn head(key: ApiKey, version: i16) -> Head {
        Head { api: key as i16, version, correlation: 9 }
    }

    /// Offsets 0 to 9 and 10 to 14 of a partition that ends at 20.
    fn fetch(version: i16) -> Bytes {
        let records = batches(&[10, 5]);
        let part = PartitionData::default()
            .with_high_watermark(20)
            .with_last_stable_offset(20)
            .with_records(Some(records));
        let answer = FetchResponse::default()
            .with_responses(vec![FetchableTopicResponse::default().with_partitions(vec![part])]);
        framed(ApiKey::Fetch, version, &ResponseHeader::default().with_correlation_id(9), &answer)
            .expect("an answer")
    }

    #[test]
    fn a_fetched_log_ends_at_the_offset_in_every_version() {
        for version in [4, 11, 12, 13, 16] {
            let head = head(ApiKey::Fetch, version);
            let cut = |offset| shorten(head, &fetch(version), offset).expect("an answer");
            for (offset, left, lacks) in
                [(20, 15, false), (15, 15, false), (12, 10, true), (10, 10, true), (4, 0, true)]
            {
                let Some(shown) = cut(offset) else {
                    assert_eq!(offset, 20, "version {version}");
                    continue;
                };
                assert_eq!(super::super::frame::correlation(&shown.frame), Some(9));
                let (_, answer) =
                    read::<FetchResponse>(ApiKey::Fetch, version, &shown.frame).expect("an answer");
                let part = &answer.responses[0].partitions[0];
                assert_eq!((part.high_watermark, part.last_stable_offset), (offset, offset));
                let last = super::batches(part.records.as_ref().expect("records")).last();
                assert_eq!(last.map_or(0, |batch| batch.next_offset), left, "{offset} in version {version}");
                assert_eq!(shown.lacks_records, lacks, "{offset} in version {version}");
            }
        }
    }

    #[test]
    fn an_end_that_is_asked_for_is_told_as_the_offset() {
        for version in [1, 5, 6, 9] {
            let part = |index, offset| {
                ListOffsetsPartitionResponse::default().with_partition_index(index).with_offset(offset)
            };
            let topic = ListOffsetsTopicResponse::default().with_partitions(vec![part(0, 0), part(1, 20)]);
            let answer = ListOffsetsResponse::default().with_topics(vec![topic]);
            let header = ResponseHeader::default().with_correlation_id(9);
            let frame = framed(ApiKey::ListOffsets, version, &header, &answer).expect("an answer");
            let head = head(ApiKey::ListOffsets, version);
            assert!(shorten(head, &frame, 20).expect("an answer").is_none());
            let shown = shorten(head, &frame, 7).expect("an answer").expect("it is cut");
            let (_, answer) =
                read::<ListOffsetsResponse>(ApiKey::ListOffsets, version, &shown.frame).expect("an answer");
            let told: Vec<i64> = answer.topics[0].partitions.iter().map(|part| part.offset).collect();
            assert_eq!((told, shown.lacks_records), (vec![0, 7], false), "version {version}");
        }
    }

    #[test]
    fn what_is_no_such_answer_is_an_error() {
        let frame = fetch(12);
        assert!(shorten(head(ApiKey::Fetch, 12), &frame.slice(..frame.len() - 1), 5).is_err(), "cut off");
        assert!(shorten(head(ApiKey::Fetch, 99), &frame, 5).is_err());
        assert!(shorten(head(ApiKey::Produce, 9), &frame, 5).is_err());
    }
}
