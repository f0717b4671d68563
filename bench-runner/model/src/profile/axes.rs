//! What a matrix can vary: one axis for each setting that makes cells differ.

use super::draft::Draft;
use super::group_axes::{GroupAxis, GroupChoice};
use super::section::Wrong;
use super::transaction;
use super::tree::Node;
use super::units;
use super::values;
use crate::settings::{Acks, Arrival, TransactionSpan};

/// Topic settings that are axes of their own; both are kept among the verbatim ones.
pub(super) const UNCLEAN_ELECTION: &str = "unclean.leader.election.enable";
pub(super) const FLUSH_MESSAGES: &str = "flush.messages";

/// A setting that cells may differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Axis {
    Acks,
    Retries,
    Idempotence,
    Partitions,
    MinInsyncReplicas,
    ReplicationFactor,
    RecordSize,
    Rate,
    Producers,
    Linger,
    BatchSize,
    Compression,
    MaxInFlight,
    Transaction,
    AbortEvery,
    AbortFlush,
    DeliveryTimeout,
    UncleanElection,
    FlushMessages,
    Fault,
    TransactionTimeout,
    Group(GroupAxis),
}

/// A value on an axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    Acks(Acks),
    Retries(u32),
    Idempotence(bool),
    Partitions(u16),
    MinInsyncReplicas(u16),
    ReplicationFactor(u16),
    RecordSize(u32),
    /// `None`: as fast as possible.
    Rate(Option<u64>),
    /// Of a cell without this setting: one whose load is bursts has no rate; never chosen.
    Absent,
    Producers(u16),
    Linger(u64),
    BatchSize(u32),
    Compression(String),
    MaxInFlight(u32),
    /// `None`: no transactions.
    Transaction(Option<TransactionSpan>),
    AbortEvery(u32),
    AbortFlush(bool),
    DeliveryTimeout(u64),
    UncleanElection(bool),
    /// `None`: never by count.
    FlushMessages(Option<u64>),
    /// The name of a fault timeline; `None`: the profile has but one.
    Fault(Option<String>),
    TransactionTimeout(u64),
    Group(GroupChoice),
}

impl Axis {
    /// All, in the order of labels.
    pub const ALL: [Axis; 38] = [
        Axis::Acks,
        Axis::Retries,
        Axis::Idempotence,
        Axis::Partitions,
        Axis::MinInsyncReplicas,
        Axis::ReplicationFactor,
        Axis::RecordSize,
        Axis::Rate,
        Axis::Producers,
        Axis::Linger,
        Axis::BatchSize,
        Axis::Compression,
        Axis::MaxInFlight,
        Axis::Transaction,
        Axis::AbortEvery,
        Axis::AbortFlush,
        Axis::DeliveryTimeout,
        Axis::UncleanElection,
        Axis::FlushMessages,
        Axis::Fault,
        Axis::TransactionTimeout,
        Axis::Group(GroupAxis::Members),
        Axis::Group(GroupAxis::Commit),
        Axis::Group(GroupAxis::CommitInterval),
        Axis::Group(GroupAxis::CommitOnRevoke),
        Axis::Group(GroupAxis::Batch),
        Axis::Group(GroupAxis::ServiceTime),
        Axis::Group(GroupAxis::Assignor),
        Axis::Group(GroupAxis::Protocol),
        Axis::Group(GroupAxis::Isolation),
        Axis::Group(GroupAxis::SessionTimeout),
        Axis::Group(GroupAxis::FetchMin),
        Axis::Group(GroupAxis::FetchWait),
        Axis::Group(GroupAxis::PartitionFetch),
        Axis::Group(GroupAxis::Sink),
        Axis::Group(GroupAxis::JournalMode),
        Axis::Group(GroupAxis::Synchronous),
        Axis::Group(GroupAxis::SynchronousCommit),
    ];

    /// As in the file and in labels.
    pub fn key(self) -> &'static str {
        match self {
            Axis::Acks => "acks",
            Axis::Retries => "retries",
            Axis::Idempotence => "idempotence",
            Axis::Partitions => "partitions",
            Axis::MinInsyncReplicas => "min-insync-replicas",
            Axis::ReplicationFactor => "replication-factor",
            Axis::RecordSize => "record-size",
            Axis::Rate => "rate",
            Axis::Producers => "producers",
            Axis::Linger => "linger",
            Axis::BatchSize => "batch-size",
            Axis::Compression => "compression",
            Axis::MaxInFlight => "max-in-flight",
            Axis::Transaction => "transaction",
            Axis::AbortEvery => "abort-every",
            Axis::AbortFlush => "abort-flush",
            Axis::DeliveryTimeout => "delivery-timeout",
            Axis::UncleanElection => "unclean-election",
            Axis::FlushMessages => "flush-messages",
            Axis::Fault => "fault",
            Axis::TransactionTimeout => "transaction-timeout",
            Axis::Group(axis) => axis.key(),
        }
    }

    /// Reads a value of this axis.
    pub fn parse(self, node: &Node) -> Result<Choice, Wrong> {
        Ok(match self {
            Axis::Acks => Choice::Acks(values::acks(node)?),
            Axis::Retries => Choice::Retries(values::retries(node)?),
            Axis::Idempotence => Choice::Idempotence(values::boolean(node)?),
            Axis::Partitions => Choice::Partitions(values::narrow(node, 1..=1000)?),
            Axis::MinInsyncReplicas => Choice::MinInsyncReplicas(values::narrow(node, 1..=100)?),
            Axis::ReplicationFactor => Choice::ReplicationFactor(values::narrow(node, 1..=100)?),
            Axis::RecordSize => Choice::RecordSize(values::size32(node, 48..=1 << 30)?),
            Axis::Rate => Choice::Rate(values::rate(node)?),
            Axis::Producers => Choice::Producers(values::narrow(node, 1..=64)?),
            Axis::Linger => Choice::Linger(values::duration(node, 0..=900_000_000_000)?),
            Axis::BatchSize => Choice::BatchSize(values::size32(node, 1..=i32::MAX as u32)?),
            Axis::Compression => Choice::Compression(values::compression(node)?),
            Axis::MaxInFlight => Choice::MaxInFlight(values::narrow(node, 1..=1_000_000)?),
            Axis::Transaction => Choice::Transaction(transaction::span(node)?),
            Axis::AbortEvery => Choice::AbortEvery(transaction::abort_every(node)?),
            Axis::AbortFlush => Choice::AbortFlush(values::boolean(node)?),
            Axis::DeliveryTimeout => Choice::DeliveryTimeout(values::millis(node, 3_600_000)?),
            Axis::UncleanElection => Choice::UncleanElection(values::boolean(node)?),
            Axis::FlushMessages => Choice::FlushMessages(values::flush_messages(node)?),
            Axis::Fault => Choice::Fault(Some(values::text(node, "none")?)),
            Axis::TransactionTimeout => Choice::TransactionTimeout(transaction::timeout(node)?),
            Axis::Group(axis) => Choice::Group(axis.parse(node)?),
        })
    }

    /// What a cell has on this axis.
    pub fn of(self, draft: &Draft) -> Choice {
        let Draft { producer, topic, load, group, .. } = draft;
        let transaction = producer.transaction.as_ref();
        match self {
            Axis::Acks => Choice::Acks(producer.acks),
            Axis::Retries => Choice::Retries(producer.retries),
            Axis::Idempotence => Choice::Idempotence(producer.idempotence),
            Axis::Partitions => Choice::Partitions(topic.partitions),
            Axis::MinInsyncReplicas => Choice::MinInsyncReplicas(topic.min_insync_replicas),
            Axis::ReplicationFactor => Choice::ReplicationFactor(topic.replication_factor),
            Axis::RecordSize => Choice::RecordSize(load.record_bytes),
            Axis::Rate => match load.arrival {
                Arrival::Constant { per_second } | Arrival::Poisson { per_second } => {
                    Choice::Rate(Some(per_second))
                }
                Arrival::Max => Choice::Rate(None),
                Arrival::Bursts(_) => Choice::Absent,
            },
            Axis::Producers => Choice::Producers(load.producers),
            Axis::Linger => Choice::Linger(producer.linger_ns),
            Axis::BatchSize => Choice::BatchSize(producer.batch_bytes),
            Axis::Compression => Choice::Compression(producer.compression.clone()),
            Axis::MaxInFlight => Choice::MaxInFlight(producer.max_in_flight),
            Axis::Transaction => Choice::Transaction(transaction.map(|one| one.span)),
            Axis::AbortEvery => transaction.map_or(Choice::Absent, |one| Choice::AbortEvery(one.abort_every)),
            Axis::AbortFlush => transaction.map_or(Choice::Absent, |one| Choice::AbortFlush(one.abort_flush)),
            Axis::DeliveryTimeout => Choice::DeliveryTimeout(producer.delivery_timeout_ns),
            Axis::UncleanElection => Choice::UncleanElection(
                topic.extra.get(UNCLEAN_ELECTION).is_some_and(|value| value == "true"),
            ),
            Axis::FlushMessages => {
                Choice::FlushMessages(topic.extra.get(FLUSH_MESSAGES).and_then(|value| value.parse().ok()))
            }
            Axis::Fault => Choice::Fault(draft.fault.clone()),
            Axis::TransactionTimeout => {
                transaction.map_or(Choice::Absent, |one| Choice::TransactionTimeout(one.timeout_ns))
            }
            Axis::Group(axis) => group.as_ref().map_or(Choice::Absent, |group| Choice::Group(axis.of(group))),
        }
    }
}

impl Choice {
    /// Where it lies.
    pub fn axis(&self) -> Option<Axis> {
        Some(match self {
            Choice::Acks(_) => Axis::Acks,
            Choice::Retries(_) => Axis::Retries,
            Choice::Idempotence(_) => Axis::Idempotence,
            Choice::Partitions(_) => Axis::Partitions,
            Choice::MinInsyncReplicas(_) => Axis::MinInsyncReplicas,
            Choice::ReplicationFactor(_) => Axis::ReplicationFactor,
            Choice::RecordSize(_) => Axis::RecordSize,
            Choice::Rate(_) => Axis::Rate,
            Choice::Absent => return None,
            Choice::Producers(_) => Axis::Producers,
            Choice::Linger(_) => Axis::Linger,
            Choice::BatchSize(_) => Axis::BatchSize,
            Choice::Compression(_) => Axis::Compression,
            Choice::MaxInFlight(_) => Axis::MaxInFlight,
            Choice::Transaction(_) => Axis::Transaction,
            Choice::AbortEvery(_) => Axis::AbortEvery,
            Choice::AbortFlush(_) => Axis::AbortFlush,
            Choice::DeliveryTimeout(_) => Axis::DeliveryTimeout,
            Choice::UncleanElection(_) => Axis::UncleanElection,
            Choice::FlushMessages(_) => Axis::FlushMessages,
            Choice::Fault(_) => Axis::Fault,
            Choice::TransactionTimeout(_) => Axis::TransactionTimeout,
            Choice::Group(choice) => Axis::Group(choice.axis()),
        })
    }

    /// Makes it the cell's.
    pub fn apply(&self, draft: &mut Draft) {
        if let Choice::Transaction(span) = self {
            return draft.transact(*span);
        }
        let Draft { producer, topic, load, poisson, group, transaction, fault } = draft;
        match self {
            Choice::Acks(acks) => producer.acks = *acks,
            Choice::Retries(retries) => producer.retries = *retries,
            Choice::Idempotence(idempotence) => producer.idempotence = *idempotence,
            Choice::Partitions(partitions) => topic.partitions = *partitions,
            Choice::MinInsyncReplicas(replicas) => topic.min_insync_replicas = *replicas,
            Choice::ReplicationFactor(replicas) => topic.replication_factor = *replicas,
            Choice::RecordSize(bytes) => load.record_bytes = *bytes,
            Choice::Rate(rate) => load.arrival = super::draft::arrival(*rate, *poisson),
            Choice::Absent | Choice::Transaction(_) => {}
            Choice::Producers(producers) => load.producers = *producers,
            Choice::Linger(linger_ns) => producer.linger_ns = *linger_ns,
            Choice::BatchSize(bytes) => producer.batch_bytes = *bytes,
            Choice::Compression(compression) => producer.compression.clone_from(compression),
            Choice::MaxInFlight(requests) => producer.max_in_flight = *requests,
            Choice::AbortEvery(every) => {
                [Some(transaction), producer.transaction.as_mut()]
                    .into_iter()
                    .flatten()
                    .for_each(|one| one.abort_every = *every);
            }
            Choice::AbortFlush(flush) => {
                [Some(transaction), producer.transaction.as_mut()]
                    .into_iter()
                    .flatten()
                    .for_each(|one| one.abort_flush = *flush);
            }
            Choice::DeliveryTimeout(timeout_ns) => producer.delivery_timeout_ns = *timeout_ns,
            Choice::UncleanElection(unclean) => {
                topic.extra.remove(UNCLEAN_ELECTION);
                topic.extra.extend(unclean.then(|| (UNCLEAN_ELECTION.to_owned(), "true".to_owned())));
            }
            Choice::FlushMessages(messages) => {
                topic.extra.remove(FLUSH_MESSAGES);
                topic.extra.extend(messages.map(|count| (FLUSH_MESSAGES.to_owned(), count.to_string())));
            }
            Choice::Fault(name) => fault.clone_from(name),
            Choice::TransactionTimeout(timeout_ns) => {
                [Some(transaction), producer.transaction.as_mut()]
                    .into_iter()
                    .flatten()
                    .for_each(|one| one.timeout_ns = *timeout_ns);
            }
            Choice::Group(choice) => {
                if let Some(group) = group {
                    choice.apply(group);
                }
            }
        }
    }

    /// The fault timeline that it names.
    pub fn timeline(&self) -> Option<&str> {
        match self {
            Choice::Fault(name) => name.as_deref(),
            _ => None,
        }
    }

    /// As a profile would write it, without quotes.
    pub fn text(&self) -> String {
        match self {
            Choice::Acks(acks) => acks.as_str().into(),
            Choice::Retries(number) => values::retries_text(*number),
            Choice::MaxInFlight(number) | Choice::AbortEvery(number) => number.to_string(),
            Choice::Transaction(span) => transaction::span_text(*span),
            Choice::Idempotence(value) | Choice::AbortFlush(value) | Choice::UncleanElection(value) => {
                value.to_string()
            }
            Choice::FlushMessages(messages) => messages.map_or("never".into(), |count| count.to_string()),
            Choice::Fault(name) => name.clone().unwrap_or_else(|| "-".into()),
            Choice::Partitions(number)
            | Choice::Producers(number)
            | Choice::MinInsyncReplicas(number)
            | Choice::ReplicationFactor(number) => number.to_string(),
            Choice::RecordSize(bytes) | Choice::BatchSize(bytes) => units::size_text(u64::from(*bytes)),
            Choice::Rate(Some(per_second)) => units::rate_text(*per_second),
            Choice::Rate(None) => "max".into(),
            Choice::Absent => "-".into(),
            Choice::Linger(time_ns)
            | Choice::DeliveryTimeout(time_ns)
            | Choice::TransactionTimeout(time_ns) => units::duration_text(*time_ns),
            Choice::Compression(compression) => compression.clone(),
            Choice::Group(choice) => choice.text(),
        }
    }
}
