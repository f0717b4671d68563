//! A topic of this run: created with explicit settings, read back and compared, deleted at the end.

use super::interrupt::Interrupt;
use super::quiet::in_sync;
use crate::cluster::Cluster;
use crate::kafka::admin::Admin;
use bench_model::settings::TopicSettings;
use std::collections::BTreeMap;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);
/// How long the deletion of a topic may take once the user wants to stop.
const LAST_WORDS: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(20);

/// A topic that exists, with every replica in sync.
pub struct Topic {
    name: String,
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
            return Ok(Topic { name: name.to_owned(), settings: BTreeMap::new() });
        }
        // Any broker answers, also one that has not heard of a new topic's settings yet.
        let settings = loop {
            match read_back(admin, name, &asked).await {
                Err(_) if tokio::time::Instant::now() < deadline => tokio::time::sleep(STEP).await,
                settings => break settings?,
            }
        };
        Ok(Topic { name: name.to_owned(), settings })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its settings as read back (nothing on a mock cluster, which has none).
    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }
}

/// Deletes a topic of this run, also one that was half created; after an interrupt only what would outlive the run.
pub async fn discard(
    cluster: &Cluster,
    admin: &Admin,
    name: &str,
    interrupt: &Interrupt,
) -> Result<(), String> {
    let hurried = interrupt.is_raised();
    // The mock speaks no request for it.
    if cluster.is_mock() || (hurried && cluster.ends_with_the_run()) {
        return Ok(());
    }
    let limit = if hurried { LAST_WORDS } else { LIMIT };
    match tokio::time::timeout(limit, admin.delete_topic(name)).await {
        Ok(deleted) => deleted.map_err(|error| error.to_string()),
        Err(_) => Err(format!("topic {name} was not deleted within {} s", limit.as_secs())),
    }
}

async fn read_back(
    admin: &Admin,
    name: &str,
    asked: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, String> {
    let found = admin.topic_settings(name).await.map_err(|error| error.to_string())?;
    match difference(asked, &found) {
        Some(difference) => Err(difference),
        None => Ok(found),
    }
}

/// The first setting that reads back as another value than was asked for.
fn difference(asked: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> Option<String> {
    let (key, value) = asked.iter().find(|(key, value)| found.get(*key) != Some(*value))?;
    let found = found.get(key).map_or("nothing", String::as_str);
    Some(format!("topic setting {key} was asked to be {value} and reads back as {found}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_setting_that_reads_back_otherwise_is_named() {
        let extra = [("segment.bytes".to_owned(), "1048576".to_owned())].into();
        let settings = TopicSettings { partitions: 1, replication_factor: 3, min_insync_replicas: 2, extra };
        let asked = asked(&settings);
        let mut found = asked.clone();
        found.insert("flush.ms".to_owned(), "1".to_owned());
        assert_eq!(difference(&asked, &found), None, "what nobody asked for may be anything");
        found.insert("min.insync.replicas".to_owned(), "1".to_owned());
        let told = difference(&asked, &found).expect("a difference");
        assert_eq!(told, "topic setting min.insync.replicas was asked to be 2 and reads back as 1");
        found = asked.clone();
        found.remove("segment.bytes");
        assert!(difference(&asked, &found).is_some_and(|told| told.ends_with("reads back as nothing")));
    }
}
