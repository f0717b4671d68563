//! The ledger: one producer's evidence, one byte for each record, written before the send and after the report.
//!
//! `mapping` lays out the file, `stored` is its text form beside a result, `frame` closes such texts so that a torn
//! tail shows. It judges nothing, and owns neither file nor mapping.

pub mod frame;
mod legacy;
mod mapping;
mod stored;

use crate::ids::{Attempt, BookKey, Incarnation, PartitionId, ProducerId};
pub use frame::TextError;
pub use legacy::Legacy;
pub use mapping::{LedgerError, LedgerMut, RESEND_BYTES, file_bytes, is_blank, read};
use serde::{Deserialize, Serialize};
pub use stored::{from_jsonl, to_jsonl};

/// Number of [`State`]s.
pub const STATES: usize = 7;

/// What became of an attempt; the byte in the file is the discriminant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum State {
    /// Never begun.
    Empty = 0,
    /// Begun, no report yet (U once the process has ended).
    Unreported = 1,
    /// Refused for good by the client (R).
    Rejected = 2,
    /// Delivery report without error, acks = 1 or all (K).
    Acked = 3,
    /// Delivery report without error, acks = 0 (K0).
    Sent = 4,
    /// Error, and surely not written (N).
    NotPersisted = 5,
    /// Error or time-out, may be written (P).
    Unknown = 6,
}

impl State {
    /// Every state, by its byte.
    pub const ALL: [State; STATES] = [
        State::Empty,
        State::Unreported,
        State::Rejected,
        State::Acked,
        State::Sent,
        State::NotPersisted,
        State::Unknown,
    ];

    /// The state that a byte stands for.
    pub fn from_byte(byte: u8) -> Option<Self> {
        State::ALL.get(usize::from(byte)).copied()
    }
}

/// `count` first attempts of consecutive sequences that ended alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StateRun {
    /// Sequence of the first.
    pub first_sequence: u64,
    /// How many.
    pub count: u64,
    /// How they ended.
    pub state: State,
}

/// One partition of a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionLedger {
    /// The partition.
    pub partition: PartitionId,
    /// The first sequence that this incarnation could use.
    pub first_sequence: u64,
    /// The sequence after the last one begun, counted beside the entries.
    pub next_sequence: u64,
    /// The entries, in sequence order.
    pub runs: Vec<StateRun>,
}

/// One attempt after the first, made by this ledger's incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Resend {
    /// Home partition of the record.
    pub partition: PartitionId,
    /// Sequence of the record.
    pub sequence: u64,
    /// Which attempt, from 1.
    pub attempt: Attempt,
    /// How it ended.
    pub state: State,
    /// The transaction of this life that it went into; 0: none.
    #[serde(default)]
    pub transaction: u32,
}

/// The evidence of one incarnation of one producer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Whose.
    pub producer: ProducerId,
    /// Which life.
    pub incarnation: Incarnation,
    /// The book that it belongs to.
    pub book: BookKey,
    /// Closed in good order; `false`: the process was killed, and what is unreported stays so.
    pub closed: bool,
    /// Calls of `settle` by state, counted beside the entries; indexed by [`State`].
    pub settled: [u64; STATES],
    /// Every partition of the topic, in order.
    pub partitions: Vec<PartitionLedger>,
    /// Attempts after the first, in the order they were begun.
    pub resends: Vec<Resend>,
}

/// Adds equal neighbours to runs.
pub(crate) fn push_run(runs: &mut Vec<StateRun>, next: StateRun) {
    match runs.last_mut() {
        Some(run) if run.state == next.state && run.first_sequence + run.count == next.first_sequence => {
            run.count += next.count;
        }
        _ => runs.push(next),
    }
}

#[cfg(test)]
mod tests {
    use super::{State, StateRun, push_run};

    #[test]
    fn only_neighbours_that_ended_alike_are_one_run() {
        let run = |first_sequence, count, state| StateRun { first_sequence, count, state };
        let mut runs = Vec::new();
        for (sequence, state) in
            [(5, State::Acked), (6, State::Acked), (7, State::Acked), (9, State::Acked), (10, State::Unknown)]
        {
            push_run(&mut runs, run(sequence, 1, state));
        }
        assert_eq!(runs, [run(5, 3, State::Acked), run(9, 1, State::Acked), run(10, 1, State::Unknown)]);
    }
}
