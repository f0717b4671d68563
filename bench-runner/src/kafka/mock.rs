//! Librdkafka's mock cluster, held in this process. For smoke tests: it keeps nothing and replicates nothing.

use super::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

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
}
