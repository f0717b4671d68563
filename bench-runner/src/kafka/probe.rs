//! Proofs that a cluster works: one record written through a topic of the probe's own. Touches no other topic.

use super::admin::Admin;
use super::{KafkaError, client_config};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(20);

fn properties(bootstrap: &str) -> BTreeMap<String, String> {
    [
        ("bootstrap.servers", bootstrap),
        ("log_level", "0"),
        ("client.id", "bench-runner-probe"),
        ("acks", "all"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

fn topic_name() -> String {
    format!("bench-runner-probe-{}", std::process::id())
}

/// Creates a topic with its replicas on `brokers`, waits until all are in sync, has one record accepted by all of
/// them, and deletes the topic.
pub async fn write_once(bootstrap: &str, brokers: &[i32]) -> Result<(), KafkaError> {
    let topic = topic_name();
    let admin = Admin::open(bootstrap)?;
    admin.create_topic(&topic, 1, brokers.len() as u16, brokers, &BTreeMap::new()).await?;
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let known = admin.partitions(&topic, TIMEOUT).unwrap_or_default();
        if known.iter().any(|partition| partition.leader >= 0 && partition.isr.len() == brokers.len()) {
            break;
        }
        if Instant::now() > deadline {
            return Err(KafkaError::new("wait for all replicas of the probe's topic", format!("{known:?}")));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let producer: FutureProducer = client_config(&properties(bootstrap))
        .create()
        .map_err(|error| KafkaError::new("create the probe's producer", error))?;
    let record: FutureRecord<'_, (), str> = FutureRecord::to(&topic).partition(0).payload("probe");
    producer
        .send(record, TIMEOUT)
        .await
        .map_err(|(error, _)| KafkaError::new("write the probe's record", error))?;
    admin.delete_topic(&topic).await
}

/// Asks whether a topic with so many replicas could be created; creates nothing.
pub async fn can_create(bootstrap: &str, replication_factor: u16) -> Result<(), KafkaError> {
    let act = "ask whether a topic could be created";
    let client: AdminClient<DefaultClientContext> =
        client_config(&properties(bootstrap)).create().map_err(|error| KafkaError::new(act, error))?;
    let topic = topic_name();
    let new = NewTopic::new(&topic, 1, TopicReplication::Fixed(i32::from(replication_factor)));
    let options = AdminOptions::new().validate_only(true).request_timeout(Some(TIMEOUT));
    let answers =
        client.create_topics([&new], &options).await.map_err(|error| KafkaError::new(act, error))?;
    match answers.into_iter().next() {
        Some(Ok(_)) => Ok(()),
        Some(Err((_, code))) => Err(KafkaError::new(act, code)),
        None => Err(KafkaError::new(act, "no answer")),
    }
}
