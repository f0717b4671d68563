//! Evidence of consumer-group members: what each life of a member was given, began, completed and committed, in order.
//!
//! It judges nothing. Instants are nanoseconds of the host's CLOCK_MONOTONIC.

mod drain;
mod journal;
mod stored;

pub use drain::{begun, undrained};
pub use journal::{ENTRY_BYTES, JournalError, JournalMut, MARKS_BYTES, file_bytes, is_blank, marks, parse};
pub use stored::{from_jsonl, to_jsonl};

use crate::ids::{Incarnation, MemberId, PartitionId};
use crate::reading::CopyRun;
use serde::{Deserialize, Serialize};

/// Consecutive records of one partition that one life of a member processed one after the other.
///
/// `copies.count` is how many it began; at most the last of them is not completed. With a sink a batch is completed as a
/// whole, and its runs are its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processed {
    /// The partition they were read from.
    pub partition: PartitionId,
    /// Offsets and identities, as the records' headers say.
    pub copies: CopyRun,
    /// How many were completed.
    pub completed: u64,
    /// When the first was begun.
    pub begun_ns: u64,
    /// When the latest was completed; 0: none was.
    pub completed_ns: u64,
    /// What is not completed never will be by this life: the sink refused it, or it was left at an orderly end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub given_up: bool,
    /// The sink refused it: somebody else had taken the partition over, or its transaction had to be aborted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
}

/// How a commit was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommitAnswer {
    /// Not (yet).
    None,
    /// The group holds the offset.
    Ok,
    /// Refused, or the client gave up.
    Failed,
}

/// One partition's part of a commit call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The partition.
    pub partition: PartitionId,
    /// The next offset to process, as committed.
    pub offset: i64,
    /// When it was called.
    pub called_ns: u64,
    /// When it was answered; 0: not.
    pub answered_ns: u64,
    /// How.
    pub answer: CommitAnswer,
}

/// Partitions come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The partition.
    pub partition: PartitionId,
    /// Where processing begins (assigned), or would have gone on (revoked, lost); -1: not known.
    pub position: i64,
    /// When.
    pub at_ns: u64,
    /// The group's generation (of KIP-848 the member's epoch) then; `None`: the client did not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i32>,
}

/// One entry of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// The member was given a partition.
    Assigned(Move),
    /// It gave a partition back in order.
    Revoked(Move),
    /// It was told too late: somebody else may own the partition already.
    Lost(Move),
    /// Records were processed.
    Processed(Processed),
    /// Offsets were committed.
    Commit(Commit),
}

impl Entry {
    /// The last instant in it.
    pub fn last_ns(&self) -> u64 {
        match self {
            Entry::Assigned(moved) | Entry::Revoked(moved) | Entry::Lost(moved) => moved.at_ns,
            Entry::Processed(run) => run.begun_ns.max(run.completed_ns),
            Entry::Commit(commit) => commit.called_ns.max(commit.answered_ns),
        }
    }
}

/// Everything that one life of a member has noted, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// The member's place in the group, from 0.
    pub member: MemberId,
    /// Which life.
    pub incarnation: Incarnation,
    /// It ended in good order.
    pub closed: bool,
    /// Begin and complete marks, counted beside the entries.
    pub begun: u64,
    /// See `begun`.
    pub completed: u64,
    /// Rows that the sink was asked to write, and those that it said are durable, counted likewise; 0 without a sink.
    pub called: u64,
    /// See `called`.
    pub answered: u64,
    /// In order.
    pub entries: Vec<Entry>,
}
