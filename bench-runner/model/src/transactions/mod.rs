//! Evidence of a producer's transactions: begun, ended by which call, answered how, and which records went into each. It
//! judges no log, and owns neither file nor mapping.
//!
//! Instants are nanoseconds of the host's CLOCK_MONOTONIC.

mod legacy;
mod mapping;
mod stored;

pub use legacy::{Record, Uncommitted};
pub use mapping::{TransactionsError, TransactionsMut, file_bytes, is_blank, read};
pub use stored::{from_jsonl, to_jsonl};

use crate::ids::{Incarnation, ProducerId};
use serde::{Deserialize, Serialize};

/// How far a transaction got; the byte in the file is the discriminant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum State {
    /// Begun; neither commit nor abort was called.
    Open = 1,
    /// Commit was called and not answered.
    CommitCalled = 2,
    /// Commit answered Ok.
    Committed = 3,
    /// Commit answered something else, so the end may or may not have reached the coordinator.
    CommitFailed = 4,
    /// Commit gave up while it flushed: the client says that EndTxn was never sent. Not aborted yet.
    Unflushed = 5,
    /// Abort was called (and commit was not, or never sent anything) and not answered.
    AbortCalled = 6,
    /// Abort answered Ok.
    Aborted = 7,
    /// Abort answered something else.
    AbortFailed = 8,
    /// Still open, and the offsets of what it has read were added to it: of a pipeline. Commit was not called.
    OffsetsSent = 9,
}

/// What a transaction promises about every record that was handed over in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// All are visible at read_committed.
    Committed,
    /// All or none.
    CommitUnknown,
    /// None, ever.
    NeverCommitted,
}

impl State {
    /// Every state, by its byte, from 1.
    pub const ALL: [State; 9] = [
        State::Open,
        State::CommitCalled,
        State::Committed,
        State::CommitFailed,
        State::Unflushed,
        State::AbortCalled,
        State::Aborted,
        State::AbortFailed,
        State::OffsetsSent,
    ];

    /// The state that a byte stands for.
    pub fn from_byte(byte: u8) -> Option<Self> {
        State::ALL.get(usize::from(byte).checked_sub(1)?).copied()
    }

    /// The claim of a transaction that got so far and no further.
    pub fn claim(self) -> Claim {
        match self {
            State::Committed => Claim::Committed,
            State::CommitCalled | State::CommitFailed | State::Unflushed => Claim::CommitUnknown,
            State::Open | State::OffsetsSent | State::AbortCalled | State::Aborted | State::AbortFailed => {
                Claim::NeverCommitted
            }
        }
    }

    /// The counter beside the entries in which an answered transaction is counted, if it was answered.
    fn counter(self) -> Option<usize> {
        match self {
            State::Committed => Some(0),
            State::CommitFailed => Some(1),
            State::Aborted => Some(2),
            State::AbortFailed => Some(3),
            State::Open
            | State::OffsetsSent
            | State::CommitCalled
            | State::Unflushed
            | State::AbortCalled => None,
        }
    }
}

/// One transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// Dense from 1 in each life of a producer.
    pub ordinal: u32,
    /// How far it got.
    pub state: State,
    /// When begin was called.
    pub begun_ns: u64,
    /// When commit or abort was called (the last of such calls); 0: not.
    pub called_ns: u64,
    /// When it was answered; 0: not.
    pub answered_ns: u64,
    /// Records that went into it, refused ones too, counted beside the ledger.
    pub records: u64,
    /// By partition, the sequence that its first record there has (or would have had).
    pub first_sequences: Vec<u64>,
}

/// All transactions of one life of one producer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transactions {
    /// Whose.
    pub producer: ProducerId,
    /// Which life.
    pub incarnation: Incarnation,
    /// It ended in good order.
    pub closed: bool,
    /// Answers, counted beside the entries: committed, commit failed, aborted, abort failed.
    pub answers: [u64; 4],
    /// In order.
    pub transactions: Vec<Transaction>,
}

impl Transactions {
    /// Those of a life that was killed before it could begin one.
    pub fn none(producer: ProducerId, incarnation: Incarnation) -> Self {
        Transactions { producer, incarnation, closed: false, answers: [0; 4], transactions: Vec::new() }
    }

    /// Answers by the entries, to be held against `answers`.
    pub fn answers_by_entries(&self) -> [u64; 4] {
        let mut answers = [0; 4];
        for index in self.transactions.iter().filter_map(|transaction| transaction.state.counter()) {
            answers[index] += 1;
        }
        answers
    }
}
