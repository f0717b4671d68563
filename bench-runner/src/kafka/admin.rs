//! Topics of the harness's own: created with explicit settings, read back, deleted. No other topic is ever touched.

use super::{KafkaError, client_config};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(15);

/// A connection for administration; clones share it.
#[derive(Clone)]
pub struct Admin {
    client: Arc<AdminClient<DefaultClientContext>>,
}

/// One partition as the brokers describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionState {
    /// Partition number.
    pub partition: i32,
    /// Leader, -1 if there is none.
    pub leader: i32,
    /// Replicas, the preferred one first.
    pub replicas: Vec<i32>,
    /// In-sync replicas.
    pub isr: Vec<i32>,
}

impl Admin {
    /// Connects (lazily: the first request tells whether it works).
    pub fn open(bootstrap: &str) -> Result<Self, KafkaError> {
        let properties = BTreeMap::from([
            ("bootstrap.servers".to_owned(), bootstrap.to_owned()),
            ("log_level".to_owned(), "0".to_owned()),
            ("client.id".to_owned(), "bench-runner-admin".to_owned()),
        ]);
        let client = client_config(&properties)
            .create()
            .map_err(|error| KafkaError::new("could not create the admin client", error))?;
        Ok(Admin { client: Arc::new(client) })
    }

    /// Creates a topic; replicas are placed in turn over `brokers`, so that leaders are known beforehand.
    pub async fn create_topic(
        &self,
        topic: &str,
        partitions: u16,
        replication_factor: u16,
        brokers: &[i32],
        settings: &BTreeMap<String, String>,
    ) -> Result<(), KafkaError> {
        let placement: Vec<Vec<i32>> = (0..usize::from(partitions))
            .map(|first| {
                (0..usize::from(replication_factor))
                    .map(|next| brokers[(first + next) % brokers.len()])
                    .collect()
            })
            .collect();
        let slices: Vec<&[i32]> = placement.iter().map(Vec::as_slice).collect();
        let mut new = NewTopic::new(topic, i32::from(partitions), TopicReplication::Variable(&slices));
        for (key, value) in settings {
            new = new.set(key, value);
        }
        let answer = self
            .client
            .create_topics([&new], &AdminOptions::new().operation_timeout(Some(TIMEOUT)))
            .await
            .map_err(|error| KafkaError::new(format!("could not create topic {topic}"), error))?;
        match answer.into_iter().next() {
            Some(Ok(_)) => Ok(()),
            Some(Err((_, code))) => Err(KafkaError::new(format!("could not create topic {topic}"), code)),
            None => Err(KafkaError::new(format!("could not create topic {topic}"), "no answer")),
        }
    }

    /// The effective settings of a topic.
    pub async fn topic_settings(&self, topic: &str) -> Result<BTreeMap<String, String>, KafkaError> {
        self.settings_of(ResourceSpecifier::Topic(topic), &format!("topic {topic}")).await
    }

    /// The effective settings of a broker.
    pub async fn broker_settings(&self, broker: i32) -> Result<BTreeMap<String, String>, KafkaError> {
        self.settings_of(ResourceSpecifier::Broker(broker), &format!("broker {broker}")).await
    }

    async fn settings_of(
        &self,
        resource: ResourceSpecifier<'_>,
        name: &str,
    ) -> Result<BTreeMap<String, String>, KafkaError> {
        let act = || format!("could not read the settings of {name}");
        let answer = self
            .client
            .describe_configs([&resource], &AdminOptions::new().request_timeout(Some(TIMEOUT)))
            .await
            .map_err(|error| KafkaError::new(act(), error))?;
        match answer.into_iter().next() {
            Some(Ok(resource)) => Ok(resource
                .entries
                .into_iter()
                .filter_map(|entry| entry.value.map(|value| (entry.name, value)))
                .collect()),
            Some(Err(code)) => Err(KafkaError::new(act(), code)),
            None => Err(KafkaError::new(act(), "no answer")),
        }
    }

    /// Deletes a topic that this run created, if it is there.
    pub async fn delete_topic(&self, topic: &str) -> Result<(), KafkaError> {
        let answer = self
            .client
            .delete_topics(&[topic], &AdminOptions::new().operation_timeout(Some(TIMEOUT)))
            .await
            .map_err(|error| KafkaError::new(format!("could not delete topic {topic}"), error))?;
        match answer.into_iter().next() {
            Some(Err((_, code))) if code != RDKafkaErrorCode::UnknownTopicOrPartition => {
                Err(KafkaError::new(format!("could not delete topic {topic}"), code))
            }
            _ => Ok(()),
        }
    }

    /// Ids of the brokers that the cluster knows, in order.
    pub fn brokers(&self, timeout: Duration) -> Result<Vec<i32>, KafkaError> {
        let metadata = self
            .client
            .inner()
            .fetch_metadata(Some("__none"), timeout)
            .map_err(|error| KafkaError::new("could not reach the brokers", error))?;
        let mut brokers: Vec<i32> = metadata.brokers().iter().map(|broker| broker.id()).collect();
        brokers.sort_unstable();
        Ok(brokers)
    }

    /// Leader, replicas and ISR of each partition, as one broker sees them.
    pub fn partitions(&self, topic: &str, timeout: Duration) -> Result<Vec<PartitionState>, KafkaError> {
        let metadata = self
            .client
            .inner()
            .fetch_metadata(Some(topic), timeout)
            .map_err(|error| KafkaError::new(format!("could not describe topic {topic}"), error))?;
        let mut partitions: Vec<PartitionState> = metadata
            .topics()
            .iter()
            .filter(|described| described.name() == topic)
            .flat_map(|described| described.partitions())
            .map(|partition| PartitionState {
                partition: partition.id(),
                leader: partition.leader(),
                replicas: partition.replicas().to_vec(),
                isr: partition.isr().to_vec(),
            })
            .collect();
        partitions.sort_unstable_by_key(|partition| partition.partition);
        Ok(partitions)
    }
}
