//! From settings to librdkafka's property names. Everything that matters is set explicitly; nothing is left to a default.

use bench_model::settings::ProducerSettings;
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

/// The properties of a producer.
pub fn producer(bootstrap: &str, client_id: &str, settings: &ProducerSettings) -> BTreeMap<String, String> {
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
    properties.extend(settings.extra.clone());
    properties
}

/// The properties of a reader of assigned partitions, tuned so that it adds little to end-to-end latency.
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

/// The properties of the independent reader: as `reader`, with the brokers' batch checksums verified.
pub fn independent_reader(bootstrap: &str, client_id: &str) -> BTreeMap<String, String> {
    let mut properties = reader(bootstrap, client_id);
    properties.insert("check.crcs".to_owned(), "true".to_owned());
    properties
}
