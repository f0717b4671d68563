//! The sections `[topic]`, `[load]`, `[producer]` and `[cluster]`: their keys, defaults and single-value rules.

use super::axes::{Axis, FLUSH_MESSAGES, UNCLEAN_ELECTION};
use super::consumer;
use super::problems::Problems;
use super::property_names::{self, Client};
use super::section::{Section, Wrong};
use super::transaction;
use super::tree::{Node, Value};
use super::units;
use super::values::{self, MOST_RETRIES};
use crate::settings::{
    Acks, Arrival, Burst, CellSettings, ClusterAsk, GroupSettings, Length, Load, ProducerSettings,
    TopicSettings, TransactionSettings, TransactionSpan,
};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const DAY: u64 = 86_400 * SECOND;
const MIB: u64 = 1 << 20;

/// A cell's settings while axes are still applied to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    pub producer: ProducerSettings,
    pub topic: TopicSettings,
    pub load: Load,
    /// Rates become Poisson processes.
    pub poisson: bool,
    /// The consumer group, if there is one.
    pub group: Option<GroupSettings>,
    /// What transactions are like where a cell has them.
    pub transaction: TransactionSettings,
    /// Which fault timeline the cell has; `None`: the profile has but one.
    pub fault: Option<String>,
}

/// The name of the timeline without a step.
pub(super) const NO_FAULT: &str = "none";

impl Draft {
    /// Gives the producer transactions of this span, or none.
    pub fn transact(&mut self, span: Option<TransactionSpan>) {
        self.producer.transaction = span.map(|span| TransactionSettings { span, ..self.transaction.clone() });
    }

    /// The finished settings.
    pub fn settings(self) -> CellSettings {
        CellSettings { producer: self.producer, topic: self.topic, load: self.load, group: self.group }
    }
}

/// How a rate (`None`: max) arrives.
pub(super) fn arrival(rate: Option<u64>, poisson: bool) -> Arrival {
    match rate {
        None => Arrival::Max,
        Some(per_second) if poisson => Arrival::Poisson { per_second },
        Some(per_second) => Arrival::Constant { per_second },
    }
}

/// `[cluster]`.
pub(super) fn cluster(section: Option<Section<'_>>) -> ClusterAsk {
    let mut ask = ClusterAsk::default();
    let Some(mut section) = section else { return ask };
    if let Some(brokers) = section.read("brokers", |node| values::narrow(node, 1..=9)) {
        ask.brokers = brokers;
        ask.stated.brokers = true;
    }
    if let Some(bytes) = section.read("heap", |node| values::size(node, 128 * MIB..=64 << 30)) {
        ask.heap_bytes = bytes;
        ask.stated.heap = true;
    }
    if let Some(limit) = section.read("warm", |node| values::duration(node, 0..=600 * SECOND)) {
        ask.warm_limit_ns = limit;
    }
    if let Some(settings) = section.read("settings", |node| values::properties(node, property_names::broker))
    {
        ask.settings = settings;
    }
    section.finish();
    ask
}

/// `[topic]`.
pub(super) fn topic(section: Option<Section<'_>>, problems: &Problems) -> TopicSettings {
    let mut topic = TopicSettings {
        partitions: 6,
        replication_factor: 3,
        min_insync_replicas: 2,
        extra: Default::default(),
    };
    let Some(mut section) = section else { return topic };
    if let Some(partitions) = section.read("partitions", |node| values::narrow(node, 1..=1000)) {
        topic.partitions = partitions;
    }
    if let Some(replicas) = section.read("replication-factor", |node| values::narrow(node, 1..=100)) {
        topic.replication_factor = replicas;
    }
    if let Some(replicas) = section.read("min-insync-replicas", |node| values::narrow(node, 1..=100)) {
        topic.min_insync_replicas = replicas;
    }
    if let Some(extra) = section.read("settings", |node| values::properties(node, property_names::topic)) {
        topic.extra = extra;
    }
    let unclean = section.read("unclean-election", values::boolean).map(|unclean| unclean.to_string());
    let flush = section.read("flush-messages", values::flush_messages).flatten();
    let flush = flush.map(|count| count.to_string());
    for (key, name, value) in
        [("unclean-election", UNCLEAN_ELECTION, unclean), ("flush-messages", FLUSH_MESSAGES, flush)]
    {
        if let (Some(entry), true) = (section.entry(key), topic.extra.contains_key(name)) {
            let message = format!("{key} and {name} in settings are the same");
            problems.add(&entry.key_place, message, "remove one of them");
        }
        topic.extra.extend(value.map(|value| (name.to_owned(), value)));
    }
    section.finish();
    topic
}

/// `[producer]`.
pub(super) fn producer(
    section: Option<Section<'_>>,
    client: &dyn Client,
) -> (ProducerSettings, TransactionSettings) {
    let mut settings = ProducerSettings {
        acks: Acks::All,
        retries: MOST_RETRIES,
        idempotence: false,
        linger_ns: 5 * MS,
        batch_bytes: 64 << 10,
        compression: "none".into(),
        max_in_flight: 5,
        queue_records: 50_000,
        queue_bytes: 32 * MIB,
        request_timeout_ns: 30 * SECOND,
        delivery_timeout_ns: 120 * SECOND,
        extra: Default::default(),
        transaction: None,
    };
    let Some(mut section) = section else { return (settings, transaction::DEFAULTS) };
    let read = &mut section;
    settings.acks = read.read("acks", values::acks).unwrap_or(settings.acks);
    settings.retries = read.read("retries", values::retries).unwrap_or(settings.retries);
    settings.idempotence = read.read("idempotence", values::boolean).unwrap_or(settings.idempotence);
    if let Some(linger_ns) = read.read("linger", |node| values::duration(node, 0..=900 * SECOND)) {
        settings.linger_ns = linger_ns;
    }
    if let Some(bytes) = read.read("batch-size", |node| values::size32(node, 1..=i32::MAX as u32)) {
        settings.batch_bytes = bytes;
    }
    settings.compression = read.read("compression", values::compression).unwrap_or(settings.compression);
    if let Some(requests) = read.read("max-in-flight", |node| values::narrow(node, 1..=1_000_000)) {
        settings.max_in_flight = requests;
    }
    if let Some(records) = read.read("queue-records", |node| values::narrow(node, 1..=10_000_000)) {
        settings.queue_records = records;
    }
    if let Some(bytes) = read.read("queue-size", |node| values::kibibytes(node, 1024..=16 << 30)) {
        settings.queue_bytes = bytes;
    }
    if let Some(timeout_ns) = read.read("request-timeout", |node| values::millis(node, 900_000)) {
        settings.request_timeout_ns = timeout_ns;
    }
    if let Some(timeout_ns) = read.read("delivery-timeout", |node| values::millis(node, 3_600_000)) {
        settings.delivery_timeout_ns = timeout_ns;
    }
    let refused = |key: &str, value: &str| property_names::client(key, value, client);
    if let Some(extra) = read.read("settings", |node| values::properties(node, refused)) {
        settings.extra = extra;
    }
    let (like, span) = transaction::keys(&mut section);
    settings.transaction = span.map(|span| TransactionSettings { span, ..like.clone() });
    section.finish();
    (settings, like)
}

/// `[load]`; whether a rate or bursts were given is the second part.
pub(super) fn load(section: Option<Section<'_>>, problems: &Problems) -> (Load, bool, Pace) {
    let mut load = Load {
        arrival: Arrival::Max,
        record_bytes: 1024,
        warmup_ns: 3 * SECOND,
        length: Length::Time(15 * SECOND),
        producers: 1,
        compressible_percent: 0,
        drain_ns: 60 * SECOND,
    };
    let Some(mut section) = section else { return (load, false, Pace::Missing) };
    if let Some(bytes) = section.read("record-size", |node| values::size32(node, 48..=1 << 30)) {
        load.record_bytes = bytes;
    }
    if let Some(producers) = section.read("producers", |node| values::narrow(node, 1..=64)) {
        load.producers = producers;
    }
    load.compressible_percent = section.read("compressible", values::percent).unwrap_or(0);
    if let Some(drain_ns) = section.read("drain", |node| values::duration(node, SECOND..=3600 * SECOND)) {
        load.drain_ns = drain_ns;
    }
    let poisson = section.read("arrival", arrival_kind);
    let rate = section.read("rate", values::rate);
    let bursts = section.read("bursts", bursts);
    let warmup = section.read("warmup", |node| values::duration(node, 0..=DAY));
    let time = section.read("duration", |node| values::duration(node, MS..=DAY));
    let records = section.read("records", |node| values::number(node, 1..=1_000_000_000_000));
    let pace = if section.entry("bursts").is_some() {
        for key in ["rate", "arrival", "warmup", "duration", "records"] {
            if let Some(entry) = section.entry(key) {
                let message = format!("{key} and bursts exclude each other");
                problems.add(&entry.key_place, message, "remove one: bursts say when every record is due");
            }
        }
        let bursts = bursts.unwrap_or_default();
        load.warmup_ns = 0;
        load.length = Length::Records(bursts.iter().map(|burst| burst.records).sum());
        load.arrival = Arrival::Bursts(bursts);
        Pace::Bursts
    } else {
        load.warmup_ns = warmup.unwrap_or(load.warmup_ns);
        load.length = match (records, time) {
            (Some(records), _) => Length::Records(records),
            (None, Some(time_ns)) => Length::Time(time_ns),
            (None, None) => load.length,
        };
        windowless(&mut section, &load, problems);
        if let (true, Some(entry)) = (section.entry("duration").is_some(), section.entry("records")) {
            let message = "records and duration exclude each other";
            problems.add(&entry.key_place, message, "remove one: either ends the measured window");
        }
        if let Some(rate) = rate {
            load.arrival = arrival(rate, poisson == Some(true));
        }
        if section.entry("rate").is_some() { Pace::Rate } else { Pace::Missing }
    };
    section.finish();
    (load, poisson == Some(true), pace)
}

/// Notes a window without a whole second: percentiles are of seconds, and one that begins in the warm-up is left out.
fn windowless(section: &mut Section<'_>, load: &Load, problems: &Problems) {
    let Length::Time(time_ns) = load.length else { return };
    let first_ns = load.warmup_ns.next_multiple_of(SECOND);
    let Some(entry) = section.entry("duration") else { return };
    if first_ns + SECOND > load.warmup_ns + time_ns {
        let [from, to] = [load.warmup_ns, load.warmup_ns + time_ns].map(units::duration_text);
        let message = format!("duration: no whole second lies between {from} and {to}");
        let [warmup, least] = [first_ns, SECOND].map(units::duration_text);
        let help = format!(
            "percentiles are of whole seconds: write warmup = \"{warmup}\" and duration = \"{least}\" or more"
        );
        problems.add(&entry.node.place, message, help);
    }
}

/// What `[load]` says about when records are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Nothing: an axis must.
    Missing,
    /// `rate`.
    Rate,
    /// `bursts`.
    Bursts,
}

fn arrival_kind(node: &Node) -> Result<bool, Wrong> {
    match &node.value {
        Value::Text(text) if text == "constant" => Ok(false),
        Value::Text(text) if text == "poisson" => Ok(true),
        _ => Err(Wrong::new(
            format!("{} is no arrival process", node.describe()),
            "write \"constant\" or \"poisson\"",
        )),
    }
}

fn bursts(node: &Node) -> Result<Vec<Burst>, Wrong> {
    let help = "write [{ at = \"0 s\", records = 10 }, { at = \"2 s\", records = 1000 }]";
    let Value::List(items) = &node.value else {
        return Err(Wrong::new(format!("expected a list, found {}", node.describe()), help));
    };
    let mut bursts: Vec<Burst> = Vec::new();
    for item in items {
        let Value::Table(entries) = &item.value else {
            return Err(Wrong::new(format!("{} is no burst", item.describe()), help).at(&item.place));
        };
        let of = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node);
        let (Some(at), Some(records), 2) = (of("at"), of("records"), entries.len()) else {
            return Err(Wrong::new("a burst has exactly the keys at and records", help).at(&item.place));
        };
        let burst = Burst {
            at_ns: values::duration(at, 0..=DAY).map_err(|wrong| wrong.at(&at.place))?,
            records: values::number(records, 1..=1_000_000_000).map_err(|wrong| wrong.at(&records.place))?,
        };
        if bursts.last().is_some_and(|last| last.at_ns >= burst.at_ns) {
            let message = "bursts are not in the order of their instants";
            return Err(Wrong::new(message, "sort them by at, each instant once").at(&at.place));
        }
        bursts.push(burst);
    }
    if bursts.is_empty() {
        return Err(Wrong::new("an empty list sends nothing", help));
    }
    Ok(bursts)
}

/// Why this combination of settings cannot be, if so.
pub(super) fn impossible(draft: &Draft, cluster: &ClusterAsk) -> Option<String> {
    let Draft { producer, topic, load, poisson, group, .. } = draft;
    if producer.idempotence && producer.acks != Acks::All {
        return Some(format!("idempotence needs acks=all, not acks={}", producer.acks.as_str()));
    }
    if producer.idempotence && producer.retries == 0 {
        return Some("idempotence needs retries > 0".into());
    }
    if producer.idempotence && producer.max_in_flight > 5 {
        return Some(format!("idempotence needs max-in-flight <= 5, not {}", producer.max_in_flight));
    }
    if let Some(reason) = transaction::impossible(producer) {
        return Some(reason);
    }
    if topic.replication_factor > cluster.brokers {
        return Some(format!(
            "{} replicas (replication-factor) do not fit on {}",
            topic.replication_factor,
            units::counted(cluster.brokers, "broker")
        ));
    }
    if topic.min_insync_replicas > topic.replication_factor {
        return Some(format!(
            "min-insync-replicas={} can never be reached with {}",
            topic.min_insync_replicas,
            units::counted(topic.replication_factor, "replica")
        ));
    }
    if *poisson && load.arrival == Arrival::Max {
        return Some("a poisson process needs a rate; \"max\" has no intended instants".into());
    }
    if producer.linger_ns >= producer.delivery_timeout_ns {
        return Some("linger is not below delivery-timeout: records would expire while they wait".into());
    }
    let (axis, bytes) = (Axis::RecordSize.key(), u64::from(load.record_bytes));
    if bytes > producer.queue_bytes {
        return Some(format!(
            "{axis} of {bytes} B does not fit into queue-size of {} B",
            producer.queue_bytes
        ));
    }
    let stated = |extra: &std::collections::BTreeMap<String, String>, key: &str, default: u64| {
        extra.get(key).and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    // 512: more than the frame around a single record in a batch (61 + 21 bytes, and the request's own header).
    let most = stated(&producer.extra, "message.max.bytes", 1_000_000).min(stated(
        &topic.extra,
        "max.message.bytes",
        stated(&cluster.settings, "message.max.bytes", 1_048_588),
    ));
    if bytes + 512 > most {
        return Some(format!(
            "{axis} of {bytes} B does not fit into the largest message of {most} B (message.max.bytes, max.message.bytes)"
        ));
    }
    group.as_ref().and_then(|group| consumer::impossible(group, producer, cluster))
}
