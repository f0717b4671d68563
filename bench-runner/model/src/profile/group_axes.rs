//! What a matrix can vary of a consumer group: one axis for each setting that makes groups differ.

use super::consumer;
use super::section::Wrong;
use super::sink;
use super::tree::Node;
use super::units;
use super::values;
use crate::settings::{CommitStrategy, GroupSettings, ServiceSpread, SinkKind};

/// A setting that groups may differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum GroupAxis {
    Members,
    Commit,
    CommitInterval,
    CommitOnRevoke,
    Batch,
    ServiceTime,
    Assignor,
    Protocol,
    Isolation,
    SessionTimeout,
    FetchMin,
    FetchWait,
    PartitionFetch,
    Sink,
    JournalMode,
    Synchronous,
    SynchronousCommit,
}

/// A value on such an axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GroupChoice {
    Members(u16),
    Commit(CommitStrategy),
    CommitInterval(u64),
    CommitOnRevoke(bool),
    Batch(u32),
    ServiceTime(u64, ServiceSpread),
    Assignor(String),
    Protocol(String),
    Isolation(String),
    SessionTimeout(u64),
    FetchMin(u32),
    FetchWait(u64),
    PartitionFetch(u32),
    Sink(Option<SinkKind>),
    /// This and the next two, `None`: the cell's sink has no such setting; never chosen.
    JournalMode(Option<String>),
    Synchronous(Option<String>),
    SynchronousCommit(Option<String>),
}

impl GroupAxis {
    /// As in the file and in labels.
    pub fn key(self) -> &'static str {
        match self {
            GroupAxis::Members => "members",
            GroupAxis::Commit => "commit",
            GroupAxis::CommitInterval => "commit-interval",
            GroupAxis::CommitOnRevoke => "commit-on-revoke",
            GroupAxis::Batch => "batch",
            GroupAxis::ServiceTime => "service-time",
            GroupAxis::Assignor => "assignor",
            GroupAxis::Protocol => "protocol",
            GroupAxis::Isolation => "isolation",
            GroupAxis::SessionTimeout => "session-timeout",
            GroupAxis::FetchMin => "fetch-min-size",
            GroupAxis::FetchWait => "fetch-wait",
            GroupAxis::PartitionFetch => "partition-fetch-size",
            GroupAxis::Sink => "sink",
            GroupAxis::JournalMode => sink::JOURNAL_MODE,
            GroupAxis::Synchronous => sink::SYNCHRONOUS,
            GroupAxis::SynchronousCommit => sink::SYNCHRONOUS_COMMIT,
        }
    }

    /// A setting of one kind of database, which a cell with another sink does not have.
    pub fn is_of_a_database(self) -> bool {
        matches!(self, GroupAxis::JournalMode | GroupAxis::Synchronous | GroupAxis::SynchronousCommit)
    }

    /// Reads a value of this axis.
    pub fn parse(self, node: &Node) -> Result<GroupChoice, Wrong> {
        Ok(match self {
            GroupAxis::Members => GroupChoice::Members(consumer::members(node)?),
            GroupAxis::Commit => GroupChoice::Commit(consumer::commit(node)?),
            GroupAxis::CommitInterval => GroupChoice::CommitInterval(consumer::commit_interval(node)?),
            GroupAxis::CommitOnRevoke => GroupChoice::CommitOnRevoke(values::boolean(node)?),
            GroupAxis::Batch => GroupChoice::Batch(consumer::batch(node)?),
            GroupAxis::ServiceTime => {
                let (mean_ns, spread) = consumer::service_time(node)?;
                GroupChoice::ServiceTime(mean_ns, spread)
            }
            GroupAxis::Assignor => GroupChoice::Assignor(consumer::assignor(node)?),
            GroupAxis::Protocol => GroupChoice::Protocol(consumer::protocol(node)?),
            GroupAxis::Isolation => GroupChoice::Isolation(consumer::isolation(node)?),
            GroupAxis::SessionTimeout => GroupChoice::SessionTimeout(consumer::session(node)?),
            GroupAxis::FetchMin => GroupChoice::FetchMin(consumer::fetch_size(node)?),
            GroupAxis::FetchWait => GroupChoice::FetchWait(consumer::fetch_wait(node)?),
            GroupAxis::PartitionFetch => GroupChoice::PartitionFetch(consumer::fetch_size(node)?),
            GroupAxis::Sink => GroupChoice::Sink(sink::kind(node)?),
            GroupAxis::JournalMode => GroupChoice::JournalMode(Some(sink::journal_mode(node)?)),
            GroupAxis::Synchronous => GroupChoice::Synchronous(Some(sink::synchronous(node)?)),
            GroupAxis::SynchronousCommit => {
                GroupChoice::SynchronousCommit(Some(sink::synchronous_commit(node)?))
            }
        })
    }

    /// What a group has on this axis.
    pub fn of(self, group: &GroupSettings) -> GroupChoice {
        let sink = group.sink.as_ref();
        match self {
            GroupAxis::Members => GroupChoice::Members(group.members),
            GroupAxis::Commit => GroupChoice::Commit(group.commit),
            GroupAxis::CommitInterval => GroupChoice::CommitInterval(group.commit_interval_ns),
            GroupAxis::CommitOnRevoke => GroupChoice::CommitOnRevoke(group.commit_on_revoke),
            GroupAxis::Batch => GroupChoice::Batch(group.batch_records),
            GroupAxis::ServiceTime => GroupChoice::ServiceTime(group.service_ns, group.service_spread),
            GroupAxis::Assignor => GroupChoice::Assignor(group.assignor.clone()),
            GroupAxis::Protocol => GroupChoice::Protocol(group.protocol.clone()),
            GroupAxis::Isolation => GroupChoice::Isolation(group.isolation.clone()),
            GroupAxis::SessionTimeout => GroupChoice::SessionTimeout(group.session_timeout_ns),
            GroupAxis::FetchMin => GroupChoice::FetchMin(group.fetch.min_bytes),
            GroupAxis::FetchWait => GroupChoice::FetchWait(group.fetch.wait_ns),
            GroupAxis::PartitionFetch => GroupChoice::PartitionFetch(group.fetch.partition_bytes),
            GroupAxis::Sink => GroupChoice::Sink(sink.map(|sink| sink.kind)),
            GroupAxis::JournalMode => {
                GroupChoice::JournalMode(sink.and_then(|sink| sink.journal_mode.clone()))
            }
            GroupAxis::Synchronous => {
                GroupChoice::Synchronous(sink.and_then(|sink| sink.synchronous.clone()))
            }
            GroupAxis::SynchronousCommit => {
                GroupChoice::SynchronousCommit(sink.and_then(|sink| sink.synchronous_commit.clone()))
            }
        }
    }
}

impl GroupChoice {
    /// Where it lies.
    pub fn axis(&self) -> GroupAxis {
        match self {
            GroupChoice::Members(_) => GroupAxis::Members,
            GroupChoice::Commit(_) => GroupAxis::Commit,
            GroupChoice::CommitInterval(_) => GroupAxis::CommitInterval,
            GroupChoice::CommitOnRevoke(_) => GroupAxis::CommitOnRevoke,
            GroupChoice::Batch(_) => GroupAxis::Batch,
            GroupChoice::ServiceTime(..) => GroupAxis::ServiceTime,
            GroupChoice::Assignor(_) => GroupAxis::Assignor,
            GroupChoice::Protocol(_) => GroupAxis::Protocol,
            GroupChoice::Isolation(_) => GroupAxis::Isolation,
            GroupChoice::SessionTimeout(_) => GroupAxis::SessionTimeout,
            GroupChoice::FetchMin(_) => GroupAxis::FetchMin,
            GroupChoice::FetchWait(_) => GroupAxis::FetchWait,
            GroupChoice::PartitionFetch(_) => GroupAxis::PartitionFetch,
            GroupChoice::Sink(_) => GroupAxis::Sink,
            GroupChoice::JournalMode(_) => GroupAxis::JournalMode,
            GroupChoice::Synchronous(_) => GroupAxis::Synchronous,
            GroupChoice::SynchronousCommit(_) => GroupAxis::SynchronousCommit,
        }
    }

    /// Makes it the group's. What its sink has no such setting for, [`sink::settle`] takes away again.
    pub fn apply(&self, group: &mut GroupSettings) {
        let sink = group.sink.as_mut();
        match self {
            GroupChoice::Members(members) => group.members = *members,
            GroupChoice::Commit(commit) => group.commit = *commit,
            GroupChoice::CommitInterval(interval_ns) => group.commit_interval_ns = *interval_ns,
            GroupChoice::CommitOnRevoke(value) => group.commit_on_revoke = *value,
            GroupChoice::Batch(records) => group.batch_records = *records,
            GroupChoice::ServiceTime(mean_ns, spread) => {
                (group.service_ns, group.service_spread) = (*mean_ns, *spread);
            }
            GroupChoice::Assignor(assignor) => group.assignor.clone_from(assignor),
            GroupChoice::Protocol(protocol) => group.protocol.clone_from(protocol),
            GroupChoice::Isolation(isolation) => group.isolation.clone_from(isolation),
            GroupChoice::SessionTimeout(timeout_ns) => group.session_timeout_ns = *timeout_ns,
            GroupChoice::FetchMin(bytes) => group.fetch.min_bytes = *bytes,
            GroupChoice::FetchWait(wait_ns) => group.fetch.wait_ns = *wait_ns,
            GroupChoice::PartitionFetch(bytes) => group.fetch.partition_bytes = *bytes,
            GroupChoice::Sink(kind) => group.sink = sink::bare(*kind),
            GroupChoice::JournalMode(word) => {
                sink.into_iter().for_each(|sink| sink.journal_mode.clone_from(word))
            }
            GroupChoice::Synchronous(word) => {
                sink.into_iter().for_each(|sink| sink.synchronous.clone_from(word))
            }
            GroupChoice::SynchronousCommit(word) => {
                sink.into_iter().for_each(|sink| sink.synchronous_commit.clone_from(word));
            }
        }
    }

    /// As a profile would write it, without quotes.
    pub fn text(&self) -> String {
        match self {
            GroupChoice::Members(number) => number.to_string(),
            GroupChoice::Commit(commit) => commit.as_str().into(),
            GroupChoice::CommitInterval(time_ns)
            | GroupChoice::SessionTimeout(time_ns)
            | GroupChoice::FetchWait(time_ns) => units::duration_text(*time_ns),
            GroupChoice::FetchMin(bytes) | GroupChoice::PartitionFetch(bytes) => {
                units::size_text(u64::from(*bytes))
            }
            GroupChoice::ServiceTime(mean_ns, spread) => consumer::service_text(*mean_ns, *spread),
            GroupChoice::CommitOnRevoke(value) => value.to_string(),
            GroupChoice::Batch(records) => records.to_string(),
            GroupChoice::Assignor(word) | GroupChoice::Protocol(word) | GroupChoice::Isolation(word) => {
                word.clone()
            }
            GroupChoice::Sink(kind) => kind.map_or("none", SinkKind::as_str).into(),
            GroupChoice::JournalMode(word)
            | GroupChoice::Synchronous(word)
            | GroupChoice::SynchronousCommit(word) => word.clone().unwrap_or_default(),
        }
    }
}
