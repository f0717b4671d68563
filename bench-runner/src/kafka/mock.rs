//! Librdkafka's mock cluster, held in this process. For smoke tests: it keeps nothing and replicates nothing.

use super::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use std::time::Duration;

/// An answer to Produce requests that nothing was done for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ProduceError {
    /// The client takes it for "already there", so the records are acknowledged and lost.
    DuplicateSequenceNumber,
    /// Retriable; the client sends again, unless it has an answer to a later request of the partition: then the records are lost.
    NotEnoughReplicas,
}

// SAFETY: every call goes through librdkafka's own lock of the mock cluster.
unsafe impl Sync for Mock {}

/// A mock cluster; ends when dropped.
pub struct Mock {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl Mock {
    /// Starts so many brokers, with ids from 1.
    pub fn start(brokers: u16) -> Result<Self, KafkaError> {
        let cluster = MockCluster::new(i32::from(brokers))
            .map_err(|error| KafkaError::new("start the mock cluster", error))?;
        Ok(Mock { cluster })
    }

    /// `host:port,host:port`.
    pub fn bootstrap(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Creates a topic (the mock cluster does not speak the request for it).
    pub fn create_topic(
        &self,
        name: &str,
        partitions: u16,
        replication_factor: i32,
    ) -> Result<(), KafkaError> {
        self.cluster
            .create_topic(name, i32::from(partitions), replication_factor)
            .map_err(|error| KafkaError::new("create a topic on the mock cluster", error))
    }

    /// Answers the next Produce requests with this error, without looking at them.
    pub fn refuse_produce(&self, error: ProduceError, requests: usize) {
        let code = match error {
            ProduceError::DuplicateSequenceNumber => {
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER
            }
            ProduceError::NotEnoughReplicas => RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        };
        self.cluster.request_errors(RDKafkaApiKey::Produce, &vec![code; requests]);
    }

    /// Delays every answer of every broker.
    pub fn slow_down(&self, brokers: u16, round_trip: Duration) -> Result<(), KafkaError> {
        (1..=i32::from(brokers)).try_for_each(|broker| {
            self.cluster
                .broker_round_trip_time(broker, round_trip)
                .map_err(|error| KafkaError::new("slow a mock broker down", error))
        })
    }
}
