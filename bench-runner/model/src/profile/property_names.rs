//! Properties of brokers, topics and the client that a profile passes on verbatim: which names there are, which of
//! them may not be set, and which values Kafka would refuse.
//!
//! Brokers ignore a name that they do not know, so a slip would change what is measured, and nobody would see it.

use super::property_values;
use super::section::nearest;

/// Of Kafka 4.3, by its own definitions (`KafkaConfig`).
const BROKER: &str = include_str!("broker-properties.txt");
/// Of Kafka 4.3 (`LogConfig`).
const TOPIC: &str = include_str!("topic-properties.txt");
/// Both.
#[cfg(test)]
pub(super) const LISTS: [&str; 2] = [BROKER, TOPIC];

/// What the client library says of its properties; this room does not know the library.
pub trait Client {
    /// Why it would not take this property; `None`: it does.
    fn refusal(&self, name: &str, value: &str) -> Option<ClientRefusal>;
    /// The names of all its properties.
    fn names(&self) -> Vec<String>;
}

/// What of a property the client library would not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientRefusal {
    /// It knows no such name.
    Name,
    /// The value, for this reason in its own words.
    Value(String),
}

/// No client at hand: every property is taken.
impl Client for () {
    fn refusal(&self, _: &str, _: &str) -> Option<ClientRefusal> {
        None
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What of `name = value` is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Name,
    Value,
}

/// Why a property cannot be passed on, and what to write instead.
#[derive(Debug)]
pub(super) struct Refusal {
    pub message: String,
    pub help: String,
    pub part: Part,
}

impl Refusal {
    fn name(message: String, help: impl Into<String>) -> Self {
        Refusal { message, help: help.into(), part: Part::Name }
    }
}

/// Refuses a name that is not in the list, or that `owned` gives a reason for, and a value that Kafka would not take.
fn by_list(
    name: &str,
    value: &str,
    whose: &str,
    list: &str,
    owned: impl Fn(&str) -> Option<String>,
) -> Option<Refusal> {
    if let Some(help) = owned(name) {
        return Some(Refusal::name(format!("{name} cannot be set here"), help));
    }
    let known: Vec<&str> = list.lines().filter_map(|line| line.split(' ').next()).collect();
    if !known.contains(&name) {
        return Some(unknown(name, whose, &known, owned));
    }
    let (message, help) = property_values::refusal(list, name, value)?;
    Some(Refusal { message, help, part: Part::Value })
}

fn unknown(name: &str, whose: &str, known: &[&str], owned: impl Fn(&str) -> Option<String>) -> Refusal {
    let help = match nearest(name, known) {
        Some(meant) => match owned(meant) {
            Some(instead) => format!("did you mean {meant}? {instead}"),
            None => format!("did you mean {meant}?"),
        },
        None => format!("write the name of a {whose} setting as its documentation spells it"),
    };
    Refusal::name(format!("{name} is no {whose} setting"), help)
}

/// Broker properties.
pub(super) fn broker(name: &str, value: &str) -> Option<Refusal> {
    by_list(name, value, "broker", BROKER, |name| {
        const IDENTITY: [&str; 7] =
            ["node.id", "broker.id", "process.roles", "listeners", "log.dir", "log.dirs", "metadata.log.dir"];
        const ADDRESSES: [&str; 7] = [
            "advertised.",
            "controller.listener.",
            "controller.quorum.voters",
            "controller.quorum.bootstrap.",
            "listener.",
            "inter.broker.listener",
            "early.start.listeners",
        ];
        if IDENTITY.contains(&name) || ADDRESSES.iter().any(|prefix| name.starts_with(prefix)) {
            let help = "remove it: the harness gives its brokers their identity, addresses and directories";
            return Some(help.into());
        }
        if ["security.", "ssl.", "sasl.", "authorizer."].iter().any(|prefix| name.starts_with(prefix)) {
            return Some("remove it: this version speaks plaintext only".into());
        }
        let expires =
            ["log.retention.", "log.local.retention."].iter().any(|prefix| name.starts_with(prefix));
        (name == "log.cleanup.policy" || expires && name != "log.retention.check.interval.ms").then(|| {
            "remove it: a log that expires data cannot be judged, absent records would look lost".into()
        })
    })
}

/// Topic properties.
pub(super) fn topic(name: &str, value: &str) -> Option<Refusal> {
    by_list(name, value, "topic", TOPIC, |name| match name {
        "min.insync.replicas" => Some("write min-insync-replicas = … in [topic]".into()),
        "cleanup.policy" if value != "delete" => {
            Some("remove it: a topic that compacts cannot be judged, absent records would look lost".into())
        }
        _ if name.starts_with("retention.") || name.starts_with("local.retention.") => Some(
            "remove it: a topic that expires data cannot be judged, absent records would look lost".into(),
        ),
        _ => None,
    })
}

/// Properties of producers and group members, by what the client itself says.
pub(super) fn client(name: &str, value: &str, client: &dyn Client) -> Option<Refusal> {
    if let Some(help) = client_owned(name) {
        return Some(Refusal::name(format!("{name} cannot be set here"), help));
    }
    match client.refusal(name, value)? {
        ClientRefusal::Name => {
            let names = client.names();
            let known: Vec<&str> =
                names.iter().map(String::as_str).chain(OWN.map(|(name, ..)| name)).collect();
            Some(unknown(name, "client", &known, client_owned))
        }
        ClientRefusal::Value(message) => {
            let help = "write a value that the client takes: librdkafka's CONFIGURATION.md lists them".into();
            Some(Refusal { message, help, part: Part::Value })
        }
    }
}

/// What has a key of its own, under every name that the client knows it by: name, section, key.
const OWN: [(&str, &str, &str); 32] = [
    ("acks", "producer", "acks"),
    ("request.required.acks", "producer", "acks"),
    ("retries", "producer", "retries"),
    ("message.send.max.retries", "producer", "retries"),
    ("enable.idempotence", "producer", "idempotence"),
    ("linger.ms", "producer", "linger"),
    ("queue.buffering.max.ms", "producer", "linger"),
    ("batch.size", "producer", "batch-size"),
    ("compression.type", "producer", "compression"),
    ("compression.codec", "producer", "compression"),
    ("max.in.flight", "producer", "max-in-flight"),
    ("max.in.flight.requests.per.connection", "producer", "max-in-flight"),
    ("queue.buffering.max.messages", "producer", "queue-records"),
    ("queue.buffering.max.kbytes", "producer", "queue-size"),
    ("request.timeout.ms", "producer", "request-timeout"),
    ("message.timeout.ms", "producer", "delivery-timeout"),
    ("delivery.timeout.ms", "producer", "delivery-timeout"),
    ("transactional.id", "producer", "transaction"),
    ("transaction.timeout.ms", "producer", "transaction-timeout"),
    ("enable.auto.commit", "consumer", "commit"),
    ("auto.commit.enable", "consumer", "commit"),
    ("enable.auto.offset.store", "consumer", "commit"),
    ("auto.commit.interval.ms", "consumer", "commit-interval"),
    ("partition.assignment.strategy", "consumer", "assignor"),
    ("group.remote.assignor", "consumer", "assignor"),
    ("group.protocol", "consumer", "protocol"),
    ("isolation.level", "consumer", "isolation"),
    ("session.timeout.ms", "consumer", "session-timeout"),
    ("fetch.min.bytes", "consumer", "fetch-min-size"),
    ("fetch.wait.max.ms", "consumer", "fetch-wait"),
    ("fetch.message.max.bytes", "consumer", "partition-fetch-size"),
    ("max.partition.fetch.bytes", "consumer", "partition-fetch-size"),
];

fn client_owned(name: &str) -> Option<String> {
    if let Some((_, section, own)) = OWN.iter().find(|(known, ..)| *known == name) {
        return Some(format!("write {own} = … in [{section}]"));
    }
    const HARNESS: [&str; 15] = [
        "bootstrap.servers",
        "metadata.broker.list",
        "client.id",
        "statistics.interval.ms",
        "enabled_events",
        "opaque",
        "log.queue",
        "delivery.report.only.error",
        "produce.offset.report",
        "plugin.library.paths",
        "partitioner",
        "group.id",
        "group.instance.id",
        "auto.offset.reset",
        "enable.partition.eof",
    ];
    if HARNESS.contains(&name) || name.starts_with("test.mock.") || name.ends_with("_cb") {
        return Some("remove it: the harness needs this property for itself".into());
    }
    if ["security.", "ssl.", "sasl.", "https."].iter().any(|prefix| name.starts_with(prefix)) {
        return Some("remove it: this version speaks plaintext only".into());
    }
    None
}
