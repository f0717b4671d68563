//! Faults: what a profile asks for, and the record of what was really done, with its proof.

use crate::ids::{BrokerId, Incarnation, MemberId};
use serde::{Deserialize, Serialize};

/// What is done to a broker process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// SIGSTOP; undone by `continue`.
    Stop,
    /// SIGCONT.
    Continue,
    /// SIGKILL; undone by `start`.
    Kill,
    /// Start a killed broker again.
    Start,
}

/// Which brokers; resolved once, when the cell's topic is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The leader of partition 0.
    Leader,
    /// The other replicas of partition 0.
    Followers,
}

/// When a step is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Nanoseconds after T0.
    At(u64),
    /// As soon as partition 0 has a leader with a higher epoch than at the start of the cell.
    NewLeader,
}

impl When {
    /// The planned instant, nanoseconds after T0; `None`: not known before.
    pub fn at_ns(self) -> Option<u64> {
        match self {
            When::At(at_ns) => Some(at_ns),
            When::NewLeader => None,
        }
    }
}

/// One step of a cell's fault timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FaultStep {
    /// When.
    pub when: When,
    /// What.
    pub action: Action,
    /// To whom.
    pub target: Target,
}

/// Where in its loop a group member dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Point {
    /// Records are in hand, this one was not begun.
    AfterPoll,
    /// This record was completed, its offset was not committed by its own strategy yet.
    AfterProcessing,
    /// A commit was answered, what it covers was not processed (strategies that commit before).
    AfterCommit,
}

/// How a group member ends there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// SIGKILL, by its own hand.
    Kill,
    /// It closes the consumer in good order and ends.
    Close,
}

/// A death of member 0 that stands in its specification: the only fault that a worker knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Death {
    /// At which record of this life, from 1 (as begun).
    pub record: u64,
    /// Where in its loop.
    pub point: Point,
    /// How.
    pub end: End,
    /// The next life of the member starts as soon as this one has ended; otherwise the others take over.
    pub restart: bool,
}

/// A death as it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeathRecord {
    /// As planned.
    pub death: Death,
    /// Whose.
    pub member: MemberId,
    /// Which life ended.
    pub incarnation: Incarnation,
    /// When its end was seen, nanoseconds after T0.
    pub seen_ns: u64,
    /// How the process ended, e.g. `signal: 9 (SIGKILL)`.
    pub exit: String,
    /// It ended so as planned: by SIGKILL, or in good order before it was told to.
    pub as_planned: bool,
}

/// One step as it was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// The step.
    pub step: FaultStep,
    /// The brokers it resolved to.
    pub brokers: Vec<BrokerId>,
    /// When it was carried out, nanoseconds after T0; `None`: never.
    pub done_ns: Option<u64>,
    /// What proves that it happened (process state, epoch, ISR); empty: not proven, hence "not injected".
    pub proof: Vec<String>,
}

impl FaultRecord {
    /// Carried out and proven.
    pub fn is_proven(&self) -> bool {
        self.done_ns.is_some() && !self.proof.is_empty()
    }
}
