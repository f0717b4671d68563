//! Where a partition begins and ends, at both isolation levels.

use super::{KafkaError, client_config, properties};
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);

/// The ends of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Log start offset.
    pub start: i64,
    /// High watermark.
    pub high: i64,
    /// Last stable offset.
    pub last_stable: i64,
}

/// Two idle consumers, one for each isolation level.
pub struct Offsets {
    uncommitted: BaseConsumer,
    committed: BaseConsumer,
}

impl Offsets {
    /// Connects (lazily).
    pub fn open(bootstrap: &str) -> Result<Self, KafkaError> {
        let consumer = |isolation: &str| {
            let mut properties = properties::reader(bootstrap, "bench-runner-offsets");
            properties.insert("isolation.level".to_owned(), isolation.to_owned());
            client_config(&properties)
                .create()
                .map_err(|error| KafkaError::new("could not create a client for offsets", error))
        };
        Ok(Offsets { uncommitted: consumer("read_uncommitted")?, committed: consumer("read_committed")? })
    }

    /// The ends of the first `partitions` partitions, as their leaders say now. Blocks.
    pub fn read(&self, topic: &str, partitions: u16) -> Result<Vec<Ends>, KafkaError> {
        let watermarks = |consumer: &BaseConsumer, partition: u16| {
            consumer.fetch_watermarks(topic, i32::from(partition), TIMEOUT).map_err(|error| {
                KafkaError::new(
                    format!("could not read the offsets of partition {partition} of {topic}"),
                    error,
                )
            })
        };
        (0..partitions)
            .map(|partition| {
                let (start, high) = watermarks(&self.uncommitted, partition)?;
                let (_, last_stable) = watermarks(&self.committed, partition)?;
                Ok(Ends { start, high, last_stable })
            })
            .collect()
    }
}
