//! Faults: what a profile asks for, and the record of what was really done, with its proof.

use crate::ids::BrokerId;
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
