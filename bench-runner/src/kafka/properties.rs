//! From settings to librdkafka's property names. Everything that matters is set explicitly; nothing is left to a default.

use bench_model::ids::{MemberId, ProducerId};
use bench_model::settings::{CommitStrategy, GroupSettings, ProducerSettings};
use std::collections::BTreeMap;

/// How long a producer's client waits for an answer, whatever was asked.
const SOCKET_NS: u64 = 60_000_000_000;
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
        ("socket.timeout.ms", milliseconds(SOCKET_NS)),
        ("statistics.interval.ms", STATISTICS_MS.to_string()),
    ];
    properties.extend(own.into_iter().map(|(key, value)| (key.to_owned(), value)));
    if let Some(transaction) = &settings.transaction {
        properties.insert("transactional.id".to_owned(), transactional_id.to_owned());
        properties.insert("transaction.timeout.ms".to_owned(), milliseconds(transaction.timeout_ns));
        // The client wants it to be no longer than that.
        let socket_ns = transaction.timeout_ns.min(SOCKET_NS);
        properties.insert("socket.timeout.ms".to_owned(), milliseconds(socket_ns));
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
        ("fetch.min.bytes", settings.fetch.min_bytes.to_string()),
        ("fetch.wait.max.ms", milliseconds(settings.fetch.wait_ns)),
        ("fetch.message.max.bytes", settings.fetch.partition_bytes.to_string()),
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

/// Names under which a live client shows what it was given under another.
const SHOWN_AS: [(&str, &str); 3] = [
    ("linger.ms", "queue.buffering.max.ms"),
    ("compression.type", "compression.codec"),
    ("bootstrap.servers", "metadata.broker.list"),
];
/// The binding sets it by itself, from the level of its own log.
const NOT_OURS: &str = "log_level";

/// The first property that a live client shows with another value than it was given. What it does not
/// show cannot be compared.
pub fn difference(asked: &BTreeMap<String, String>, effective: &BTreeMap<String, String>) -> Option<String> {
    asked.iter().filter(|(name, _)| *name != NOT_OURS).find_map(|(name, value)| {
        let shown =
            SHOWN_AS.iter().find(|(given, _)| given == name).map_or(name.as_str(), |(_, shown)| shown);
        let found = effective.get(shown)?;
        (!is_same(value, found)).then(|| format!("{name} was asked to be {value} and is {found}"))
    })
}

/// Equal, whatever the spelling.
fn is_same(asked: &str, found: &str) -> bool {
    let plain = |text: &str| match text.to_ascii_lowercase().as_str() {
        // acks=all, and what librdkafka takes for a yes or no.
        "all" => "-1".to_owned(),
        "true" | "t" => "1".to_owned(),
        "false" | "f" => "0".to_owned(),
        other => other.to_owned(),
    };
    let (asked, found) = (plain(asked), plain(found));
    let numbers = asked.parse::<f64>().ok().zip(found.parse::<f64>().ok());
    asked == found || numbers.is_some_and(|(asked, found)| asked == found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_model::settings::FetchSettings;

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
            fetch: Default::default(),
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
    fn a_member_fetches_as_it_is_told_and_by_default_as_a_reader_does() {
        let mut settings = group(CommitStrategy::SyncAfter, "classic", "range");
        let names = ["fetch.min.bytes", "fetch.wait.max.ms", "fetch.message.max.bytes"];
        let of = |properties: BTreeMap<String, String>| names.map(|name| properties[name].clone());
        assert_eq!(of(member("b", "c", "g", &settings)), of(reader("b", "c")));
        settings.fetch = FetchSettings { min_bytes: 10_000, wait_ns: 500_000_000, partition_bytes: 65_536 };
        assert_eq!(of(member("b", "c", "g", &settings)), ["10000", "500", "65536"]);
    }

    #[test]
    fn the_new_protocol_is_not_given_what_the_client_refuses() {
        let properties = member("b", "c", "g", &group(CommitStrategy::SyncAfter, "consumer", "range"));
        assert_eq!(properties["group.remote.assignor"], "range");
        for refused in ["partition.assignment.strategy", "session.timeout.ms", "heartbeat.interval.ms"] {
            assert!(!properties.contains_key(refused), "{refused}");
        }
    }

    #[test]
    fn what_a_client_does_not_use_as_asked_is_named() {
        let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let asked =
            pairs(&[("acks", "all"), ("linger.ms", "5"), ("enable.idempotence", "true"), ("log_level", "0")]);
        let shown = |acks, linger, idempotence| {
            pairs(&[
                ("acks", acks),
                ("queue.buffering.max.ms", linger),
                ("enable.idempotence", idempotence),
                ("log_level", "3"),
            ])
        };
        assert_eq!(difference(&asked, &shown("-1", "5.0", "true")), None);
        let told =
            |acks, linger, idempotence| difference(&asked, &shown(acks, linger, idempotence)).expect("told");
        assert_eq!(told("1", "5", "true"), "acks was asked to be all and is 1");
        assert_eq!(told("-1", "0.5", "true"), "linger.ms was asked to be 5 and is 0.5");
        assert_eq!(told("-1", "5", "false"), "enable.idempotence was asked to be true and is false");
    }
}
