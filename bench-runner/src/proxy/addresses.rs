//! Answers that name brokers, rewritten so that clients find each of them at its proxy: for brokers that advertise other
//! addresses.

use super::answer::{framed, read};
use super::frame::Head;
use bytes::Bytes;
use kafka_protocol::messages::{
    ApiKey, BrokerId, DescribeClusterResponse, FetchResponse, FindCoordinatorResponse, MetadataResponse,
    ProduceResponse, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// From these versions on a leader that is none any more names the next one and its address.
const PRODUCE_NAMES: i16 = 10;
const FETCH_NAMES: i16 = 16;

/// Where clients are to reach each broker, by its node id.
#[derive(Debug, Clone)]
pub struct Directory(BTreeMap<i32, SocketAddr>);

/// Places of brokers in an answer.
type Places<'a> = Vec<(BrokerId, &'a mut StrBytes, &'a mut i32)>;

impl Directory {
    /// That of these brokers.
    pub fn of(places: impl IntoIterator<Item = (i32, SocketAddr)>) -> Self {
        Directory(places.into_iter().collect())
    }

    /// The answer with every broker in its place; `None`: it names none, or is of a kind that never does.
    ///
    /// # Errors
    /// It does not follow the protocol, is of a version that is not known here, or names a broker without a place.
    pub(super) fn rewrite(&self, head: Head, frame: &Bytes) -> Result<Option<Bytes>, String> {
        match ApiKey::try_from(head.api) {
            Ok(key @ ApiKey::Metadata) => self.place(key, head, frame, |answer: &mut MetadataResponse| {
                let brokers = answer.brokers.iter_mut();
                brokers.map(|one| (one.node_id, &mut one.host, &mut one.port)).collect()
            }),
            Ok(key @ ApiKey::DescribeCluster) => {
                self.place(key, head, frame, |answer: &mut DescribeClusterResponse| {
                    let brokers = answer.brokers.iter_mut();
                    brokers.map(|one| (one.broker_id, &mut one.host, &mut one.port)).collect()
                })
            }
            Ok(key @ ApiKey::FindCoordinator) => {
                self.place(key, head, frame, |answer: &mut FindCoordinatorResponse| {
                    let first = (answer.node_id, &mut answer.host, &mut answer.port);
                    let others = answer.coordinators.iter_mut();
                    let others = others.map(|one| (one.node_id, &mut one.host, &mut one.port));
                    std::iter::once(first).chain(others).collect()
                })
            }
            Ok(key @ ApiKey::Produce) if head.version >= PRODUCE_NAMES => {
                self.place(key, head, frame, |answer: &mut ProduceResponse| {
                    let named = answer.node_endpoints.iter_mut();
                    named.map(|one| (one.node_id, &mut one.host, &mut one.port)).collect()
                })
            }
            Ok(key @ ApiKey::Fetch) if head.version >= FETCH_NAMES => {
                self.place(key, head, frame, |answer: &mut FetchResponse| {
                    let named = answer.node_endpoints.iter_mut();
                    named.map(|one| (one.node_id, &mut one.host, &mut one.port)).collect()
                })
            }
            _ => Ok(None),
        }
    }

    fn place<T: Decodable + Encodable>(
        &self,
        key: ApiKey,
        head: Head,
        frame: &Bytes,
        named: impl Fn(&mut T) -> Places<'_>,
    ) -> Result<Option<Bytes>, String> {
        let (header, mut answer): (ResponseHeader, T) = read(key, head.version, frame)?;
        // Who is not known, or not there, has no address.
        let there: Places<'_> =
            named(&mut answer).into_iter().filter(|(_, host, _)| !host.is_empty()).collect();
        if there.is_empty() {
            return Ok(None);
        }
        for (id, host, port) in there {
            let place = self.0.get(&id.0);
            let place = place.ok_or_else(|| format!("broker {} has joined since, and has no proxy", id.0))?;
            *host = StrBytes::from_string(place.ip().to_string());
            *port = i32::from(place.port());
        }
        framed(key, head.version, &header, &answer).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
    use kafka_protocol::messages::find_coordinator_response::Coordinator;
    use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
    use kafka_protocol::messages::{fetch_response, produce_response};

    fn directory() -> Directory {
        Directory::of([1, 2].map(|id| (id, SocketAddr::from(([127, 0, 0, 1], 7000 + id as u16)))))
    }

    fn host() -> StrBytes {
        StrBytes::from_static_str("broker.example")
    }

    /// The answer as its client gets it; `None`: untouched.
    fn rewritten<T: Decodable + Encodable>(key: ApiKey, version: i16, answer: &T) -> Option<T> {
        let head = Head { api: key as i16, version, correlation: 9 };
        let header = ResponseHeader::default().with_correlation_id(9);
        let frame = framed(key, version, &header, answer).expect("an answer");
        let frame = directory().rewrite(head, &frame).expect("brokers with places")?;
        assert_eq!(super::super::frame::correlation(&frame), Some(9));
        Some(read(key, version, &frame).expect("an answer").1)
    }

    #[test]
    fn every_broker_is_named_at_its_proxy_in_every_version() {
        let at = |id: i32| format!("127.0.0.1:{}", 7000 + id);
        for version in [1, 4, 8, 9, 12] {
            let broker = |id| {
                let broker = MetadataResponseBroker::default().with_node_id(BrokerId(id));
                broker.with_host(host()).with_port(9092)
            };
            let answer = MetadataResponse::default().with_brokers(vec![broker(1), broker(2)]);
            let answer = rewritten(ApiKey::Metadata, version, &answer).expect("it names two");
            let told: Vec<String> =
                answer.brokers.iter().map(|one| format!("{}:{}", one.host, one.port)).collect();
            assert_eq!(told, [at(1), at(2)], "version {version}");
        }
        for version in [0, 2, 3] {
            let answer = FindCoordinatorResponse::default().with_node_id(BrokerId(2)).with_host(host());
            let answer = rewritten(ApiKey::FindCoordinator, version, &answer).expect("it names one");
            assert_eq!(format!("{}:{}", answer.host, answer.port), at(2), "version {version}");
        }
        let one = Coordinator::default().with_node_id(BrokerId(1)).with_host(host());
        let answer = FindCoordinatorResponse::default().with_coordinators(vec![one]);
        let answer = rewritten(ApiKey::FindCoordinator, 4, &answer).expect("it names one");
        assert_eq!(format!("{}:{}", answer.coordinators[0].host, answer.coordinators[0].port), at(1));
        let one = DescribeClusterBroker::default().with_broker_id(BrokerId(1)).with_host(host());
        let answer = DescribeClusterResponse::default().with_brokers(vec![one]);
        let answer = rewritten(ApiKey::DescribeCluster, 0, &answer).expect("it names one");
        assert_eq!(answer.brokers[0].port, 7001);
    }

    #[test]
    fn who_names_the_next_leader_names_its_proxy() {
        let one = produce_response::NodeEndpoint::default().with_node_id(BrokerId(2)).with_host(host());
        let answer = ProduceResponse::default().with_node_endpoints(vec![one]);
        let answer = rewritten(ApiKey::Produce, 10, &answer).expect("it names one");
        assert_eq!(answer.node_endpoints[0].port, 7002);
        let one = fetch_response::NodeEndpoint::default().with_node_id(BrokerId(2)).with_host(host());
        let answer = FetchResponse::default().with_node_endpoints(vec![one]);
        let answer = rewritten(ApiKey::Fetch, 16, &answer).expect("it names one");
        assert_eq!(answer.node_endpoints[0].port, 7002);
    }

    #[test]
    fn what_names_nobody_is_untouched_and_who_has_no_place_is_an_error() {
        assert!(rewritten(ApiKey::Produce, 10, &ProduceResponse::default()).is_none());
        assert!(rewritten(ApiKey::Fetch, 12, &FetchResponse::default()).is_none());
        let nobody = FindCoordinatorResponse::default().with_node_id(BrokerId(-1)).with_error_code(15);
        assert!(rewritten(ApiKey::FindCoordinator, 2, &nobody).is_none());
        let third = MetadataResponseBroker::default().with_node_id(BrokerId(3)).with_host(host());
        let answer = MetadataResponse::default().with_brokers(vec![third]);
        let frame = framed(ApiKey::Metadata, 9, &ResponseHeader::default(), &answer).expect("an answer");
        let head = Head { api: ApiKey::Metadata as i16, version: 9, correlation: 0 };
        assert!(directory().rewrite(head, &frame).expect_err("unknown").contains("broker 3"));
        assert!(directory().rewrite(Head { version: 99, ..head }, &frame).is_err());
    }
}
