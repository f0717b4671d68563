//! From settings to librdkafka's property names. Everything that matters is set explicitly; nothing is left to a default.

use bench_model::ids::{MemberId, ProducerId};
use bench_model::settings::{CommitStrategy, GroupSettings, ProducerSettings};
use std::collections::BTreeMap;

/// How often the client writes its statistics, in milliseconds.
const STATISTICS_MS: u64 = 1000;

fn common(bootstrap: &str, client_id: &str) -> BTreeMap<String, String> {
    [
        ("bootstrap.servers", bootstrap),
        ("client.id", client_id),
        ("log_level", "0"),
        ("topic.metadata.refresh.interval.ms", "5000"),
        ("allow.auto.create.topics", "false"),
        ("security.protocol", "plaintext"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

/// The transactional id of a lane of a cell.
pub fn transactional_id(topic: &str, producer: ProducerId) -> String {
    format!("{topic}-{producer}")
}

/// The transactional id of a pipeline's member: every life of it has the same, so that the next one fences the last.
pub fn pipeline_id(topic: &str, member: MemberId) -> String {
    format!("{topic}-member-{member}")
}

/// The properties of a producer.
///
/// `transactional_id` counts where the settings have transactions.
pub fn producer(
    bootstrap: &str,
    client_id: &str,
    transactional_id: &str,
    settings: &ProducerSettings,
) -> BTreeMap<String, String> {
    let milliseconds = |ns: u64| (ns / 1_000_000).to_string();
    let mut properties = common(bootstrap, client_id);
    let own = [
        ("acks", settings.acks.as_str().to_owned()),
        ("message.send.max.retries", settings.retries.to_string()),
        ("enable.idempotence", settings.idempotence.to_string()),
        ("linger.ms", (settings.linger_ns as f64 / 1e6).to_string()),
        ("batch.size", settings.batch_bytes.to_string()),
        ("batch.num.messages", "1000000".to_owned()),
        ("compression.type", settings.compression.clone()),
        ("max.in.flight.requests.per.connection", settings.max_in_flight.to_string()),
        ("queue.buffering.max.messages", settings.queue_records.to_string()),
        ("queue.buffering.max.kbytes", (settings.queue_bytes / 1024).to_string()),
        ("request.timeout.ms", milliseconds(settings.request_timeout_ns)),
        ("message.timeout.ms", milliseconds(settings.delivery_timeout_ns)),
        (
            "message.max.bytes",
            u64::from(settings.batch_bytes).max(1_000_000).saturating_add(65_536).to_string(),
        ),
        ("socket.timeout.ms", "60000".to_owned()),
        ("statistics.interval.ms", STATISTICS_MS.to_string()),
    ];
    properties.extend(own.into_iter().map(|(key, value)| (key.to_owned(), value)));
    if let Some(transaction) = &settings.transaction {
        properties.insert("transactional.id".to_owned(), transactional_id.to_owned());
        properties.insert("transaction.timeout.ms".to_owned(), milliseconds(transaction.timeout_ns));
    }
    properties.extend(settings.extra.clone());
    properties
}

/// The properties of a reader of assigned partitions that sees everything, tuned so that it adds little to end-to-end
/// latency.
pub fn reader(bootstrap: &str, client_id: &str) -> BTreeMap<String, String> {
    let mut properties = common(bootstrap, client_id);
    let own = [
        ("group.id", "bench-runner-unused"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "error"),
        ("isolation.level", "read_uncommitted"),
        ("enable.partition.eof", "true"),
        ("check.crcs", "false"),
        ("fetch.min.bytes", "1"),
        ("fetch.wait.max.ms", "100"),
        ("fetch.queue.backoff.ms", "5"),
        ("fetch.error.backoff.ms", "50"),
        ("fetch.message.max.bytes", "4194304"),
        ("queued.min.messages", "100000"),
        ("queued.max.messages.kbytes", "65536"),
    ];
    properties.extend(own.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())));
    properties
}

/// The properties of a group member. A property that the asked group protocol does not know is left out, as the client
/// refuses it.
pub fn member(
    bootstrap: &str,
    client_id: &str,
    group: &str,
    settings: &GroupSettings,
) -> BTreeMap<String, String> {
    let milliseconds = |ns: u64| (ns / 1_000_000).max(1).to_string();
    let mut properties = reader(bootstrap, client_id);
    let auto = matches!(settings.commit, CommitStrategy::Auto | CommitStrategy::AutoStored);
    let session_ms = (settings.session_timeout_ns / 1_000_000).max(1);
    let own = [
        ("group.id", group.to_owned()),
        ("group.protocol", settings.protocol.clone()),
        ("isolation.level", settings.isolation.clone()),
        ("enable.auto.commit", auto.to_string()),
        ("enable.auto.offset.store", (settings.commit == CommitStrategy::Auto).to_string()),
        ("auto.commit.interval.ms", milliseconds(settings.commit_interval_ns)),
        ("auto.offset.reset", "earliest".to_owned()),
        ("enable.partition.eof", "false".to_owned()),
        // The client wants it to be no shorter than the session.
        ("max.poll.interval.ms", session_ms.max(300_000).to_string()),
    ];
    properties.extend(own.into_iter().map(|(key, value)| (key.to_owned(), value)));
    let by_protocol = if settings.protocol == "consumer" {
        vec![("group.remote.assignor", settings.assignor.clone())]
    } else {
        vec![
            ("partition.assignment.strategy", settings.assignor.clone()),
            ("session.timeout.ms", session_ms.to_string()),
            // A dead member is noticed by its session, a rebalance by the next heartbeat: a quarter of the one, at most Kafka's 3 s.
            ("heartbeat.interval.ms", (session_ms / 4).clamp(1, 3000).to_string()),
        ]
    };
    // The broker chooses when the asked assignor is none of its own.
    let known = |value: &str| settings.protocol != "consumer" || ["range", "uniform"].contains(&value);
    let by_protocol = by_protocol.into_iter().filter(|(_, value)| known(value));
    properties.extend(by_protocol.map(|(key, value)| (key.to_owned(), value)));
    properties.extend(settings.extra.clone());
    properties
}

/// As [`reader`], but it is shown committed transactions only.
pub fn committed_reader(bootstrap: &str, client_id: &str) -> BTreeMap<String, String> {
    let mut properties = reader(bootstrap, client_id);
    properties.insert("isolation.level".to_owned(), "read_committed".to_owned());
    properties
}

/// The properties of the independent reader: as `reader`, with the brokers' batch checksums verified.
pub fn independent_reader(bootstrap: &str, client_id: &str, committed: bool) -> BTreeMap<String, String> {
    let kind = if committed { committed_reader } else { reader };
    let mut properties = kind(bootstrap, client_id);
    properties.insert("check.crcs".to_owned(), "true".to_owned());
    properties
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(commit: CommitStrategy, protocol: &str, assignor: &str) -> GroupSettings {
        GroupSettings {
            members: 1,
            commit,
            commit_interval_ns: 200_000_000,
            commit_on_revoke: true,
            batch_records: 1,
            batch_wait_ns: 0,
            service_ns: 0,
            service_spread: Default::default(),
            assignor: assignor.into(),
            protocol: protocol.into(),
            isolation: "read_committed".into(),
            session_timeout_ns: 2_000_000_000,
            extra: BTreeMap::new(),
            sink: None,
        }
    }

    #[test]
    fn a_strategy_says_who_stores_and_who_commits() {
        for (commit, commits, stores) in [
            (CommitStrategy::Auto, "true", "true"),
            (CommitStrategy::AutoStored, "true", "false"),
            (CommitStrategy::SyncAfter, "false", "false"),
            (CommitStrategy::None, "false", "false"),
        ] {
            let properties = member("b", "c", "g", &group(commit, "classic", "range"));
            assert_eq!(properties["enable.auto.commit"], commits, "{commit:?}");
            assert_eq!(properties["enable.auto.offset.store"], stores, "{commit:?}");
            assert_eq!(properties["heartbeat.interval.ms"], "500");
        }
    }

    #[test]
    fn the_new_protocol_is_not_given_what_the_client_refuses() {
        let properties = member("b", "c", "g", &group(CommitStrategy::SyncAfter, "consumer", "range"));
        assert_eq!(properties["group.remote.assignor"], "range");
        for refused in ["partition.assignment.strategy", "session.timeout.ms", "heartbeat.interval.ms"] {
            assert!(!properties.contains_key(refused), "{refused}");
        }
    }
}
