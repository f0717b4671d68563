//! A topic of this run: created with explicit settings, read back and compared, deleted at the end.

use super::quiet::in_sync;
use crate::cluster::Cluster;
use crate::kafka::admin::Admin;
use bench_model::settings::TopicSettings;
use std::collections::BTreeMap;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(20);

/// A topic that exists, with every replica in sync.
pub struct Topic {
    name: String,
    /// It vanishes with its cluster.
    mock: bool,
    settings: BTreeMap<String, String>,
}

/// What the harness puts on every topic: nothing may vanish or be rewritten under a judged cell.
fn asked(settings: &TopicSettings) -> BTreeMap<String, String> {
    let mut asked: BTreeMap<String, String> = [
        ("cleanup.policy", "delete".to_owned()),
        ("retention.ms", "-1".to_owned()),
        ("retention.bytes", "-1".to_owned()),
        ("unclean.leader.election.enable", "false".to_owned()),
        ("message.timestamp.type", "CreateTime".to_owned()),
        ("compression.type", "producer".to_owned()),
        ("min.insync.replicas", settings.min_insync_replicas.to_string()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect();
    asked.extend(settings.extra.clone());
    asked
}

impl Topic {
    /// Creates the topic, waits for full ISR, reads its settings back; a difference is an error.
    pub async fn create(
        cluster: &mut Cluster,
        admin: &Admin,
        name: &str,
        settings: &TopicSettings,
    ) -> Result<Self, String> {
        let asked = asked(settings);
        let (partitions, replicas) = (settings.partitions, settings.replication_factor);
        let mock =
            cluster.create_topic(name, partitions, replicas).await.map_err(|error| error.to_string())?;
        if !mock {
            let brokers: Vec<i32> = cluster.broker_ids().iter().map(|broker| broker.0).collect();
            admin
                .create_topic(name, partitions, replicas, &brokers, &asked)
                .await
                .map_err(|error| error.to_string())?;
        }
        let deadline = tokio::time::Instant::now() + LIMIT;
        while let Err(reason) = in_sync(cluster, admin, name, settings).await {
            if tokio::time::Instant::now() > deadline {
                return Err(format!("topic {name} did not get its replicas in sync: {reason}"));
            }
            tokio::time::sleep(STEP).await;
        }
        if mock {
            return Ok(Topic { name: name.to_owned(), mock, settings: BTreeMap::new() });
        }
        // Any broker answers, also one that has not heard of a new topic's settings yet.
        let settings = loop {
            match read_back(admin, name, &asked).await {
                Err(_) if tokio::time::Instant::now() < deadline => tokio::time::sleep(STEP).await,
                settings => break settings?,
            }
        };
        Ok(Topic { name: name.to_owned(), mock, settings })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its settings as read back (nothing on a mock cluster, which has none).
    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }

    /// Deletes it.
    pub async fn delete(self, admin: &Admin) -> Result<(), String> {
        if self.mock {
            return Ok(());
        }
        admin.delete_topic(&self.name).await.map_err(|error| error.to_string())
    }
}

async fn read_back(
    admin: &Admin,
    name: &str,
    asked: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, String> {
    let found = admin.topic_settings(name).await.map_err(|error| error.to_string())?;
    for (key, value) in asked {
        if found.get(key) != Some(value) {
            let found = found.get(key).map_or("nothing", String::as_str);
            return Err(format!("topic setting {key} was asked to be {value} and reads back as {found}"));
        }
    }
    Ok(found)
}
