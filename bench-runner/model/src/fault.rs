//! Faults: what a profile asks for, and the record of what was really done, with its proof.

mod action;
mod cut;
mod proxy;
mod span;
mod standing;

pub use action::Action;
pub use cut::{Cut, Lose, PartitionCut};
pub use proxy::{Api, Hits, Refusal, Rule};
pub use span::{Span, spans, trials};
pub use standing::{Role, Standing, is_altered, left, standing};

use crate::ids::{BrokerId, Incarnation, MemberId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which processes; resolved once, when the cell's topic is ready, but for the current leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The leader of partition 0.
    Leader,
    /// The other replicas of partition 0.
    Followers,
    /// The first of them.
    Follower,
    /// The rest of them.
    OtherFollowers,
    /// Every broker.
    All,
    /// The controller.
    Controller,
    /// The coordinator of the cell's group, or without one of the first producer's transactions.
    Coordinator,
    /// A broker drawn by the cell's seed.
    Random,
    /// Whoever leads partition 0 when the step is due; of an undo: whom the act before it hit.
    CurrentLeader,
    /// The cell's topic: no process.
    Topic,
}

/// When a step is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Nanoseconds after T0.
    At(u64),
    /// As soon as partition 0 has a leader with a higher epoch than at the start of the cell.
    NewLeader,
    /// So many nanoseconds after the step above was carried out.
    After(u64),
    /// As soon as producers have told of so many acknowledged records (they tell once a second).
    Acked(u64),
    /// As soon as the proxies have met so much by the rule above, see [`FaultStep::met`].
    Met(u64),
    /// As soon as every partition of the cell's topic has a leader and all of its replicas in sync.
    InSync,
}

impl When {
    /// The planned instant, nanoseconds after T0; `None`: not known before.
    pub fn at_ns(self) -> Option<u64> {
        match self {
            When::At(at_ns) => Some(at_ns),
            _ => None,
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
    /// Of a power cut: how much of what was not flushed is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lose: Option<Lose>,
    /// At proxies: which requests it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// Of a change of `min.insync.replicas`: the new value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_insync_replicas: Option<u16>,
}

impl FaultStep {
    /// A step without a rule; a power cut loses all.
    pub fn new(when: When, action: Action, target: Target) -> Self {
        let lose = (action == Action::PowerCut).then_some(Lose::All);
        FaultStep { when, action, target, lose, rule: None, min_insync_replicas: None }
    }
}

/// Where in its loop a worker dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Point {
    /// Records are in hand, this one was not begun.
    AfterPoll,
    /// This record was completed, its offset was not committed by its own strategy yet.
    AfterProcessing,
    /// A commit was answered, what it covers was not processed (strategies that commit before).
    AfterCommit,
    /// This record was handed to the client, and nothing of its chunk was waited for (producers).
    AfterSend,
    /// The transaction that has this record is full and acknowledged, and its end was not called yet (producers).
    BeforeCommit,
    /// This record's batch is begun as a whole, and the sink was not asked for it yet.
    BeforeWrite,
    /// The sink has this record's batch, durably; its offsets were not committed yet.
    BetweenWriteAndCommit,
    /// The transaction has this record's batch and its offsets; its end was not called yet.
    BetweenOffsetsAndCommit,
}

/// How a worker ends there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// SIGKILL, by its own hand.
    Kill,
    /// It closes the consumer in good order and ends.
    Close,
    /// SIGSTOP, by its own hand, with its batch in hand or its transaction open; the supervisor continues it when the group
    /// has given it up, or when its next life has its transactional id.
    Stop,
}

/// Which workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Victim {
    /// Group members.
    #[default]
    Member,
    /// Producers.
    Producer,
}

impl Victim {
    /// What it is when nothing is said.
    fn is_member(&self) -> bool {
        *self == Victim::Member
    }
}

/// A death of member 0 or producer 0 that stands in its specification: the only fault that a worker knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Death {
    /// Whose.
    #[serde(default, skip_serializing_if = "Victim::is_member")]
    pub worker: Victim,
    /// At which record of this life, from 1 (as begun, or handed over).
    pub record: u64,
    /// Where in its loop.
    pub point: Point,
    /// How.
    pub end: End,
    /// The next life of the worker starts as soon as this one has ended; otherwise the others take over.
    pub restart: bool,
    /// Who stands still is continued so long after its stop, in nanoseconds; `None`: once another one has its partitions, or
    /// its transactional id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continue_after_ns: Option<u64>,
    /// The next life of a producer sends again what this one left unknown.
    #[serde(default, skip_serializing_if = "is_false")]
    pub resend: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// A SIGKILL of a worker by the supervisor; its next life starts as soon as this one has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Kill {
    /// A member or a producer.
    pub worker: Victim,
    /// Which of them.
    pub index: u16,
    /// When, nanoseconds after T0.
    pub at_ns: u64,
    /// The next life of a producer sends again what this one left unknown.
    #[serde(default, skip_serializing_if = "is_false")]
    pub resend: bool,
}

/// Kills as a profile asks for them; each cell draws its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KillAsk {
    /// Members or producers.
    pub worker: Victim,
    /// When, nanoseconds after T0; `None`: at random instants of the load.
    pub at_ns: Option<u64>,
    /// How many.
    pub times: u16,
    /// See [`Kill::resend`].
    pub resend: bool,
}

/// One more member joins the group while it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Join {
    /// As soon as member 0 has completed so many records.
    pub after: u64,
}

/// How far a member was when it stood still, by its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// Records begun.
    pub begun: u64,
    /// Records completed.
    pub completed: u64,
    /// The last instant in it, nanoseconds after T0.
    pub last_ns: u64,
}

/// A death as it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeathRecord {
    /// As planned.
    pub death: Death,
    /// Which member (of a producer: its number, too).
    pub member: MemberId,
    /// Which life ended.
    pub incarnation: Incarnation,
    /// When its end was seen, nanoseconds after T0.
    pub seen_ns: u64,
    /// How the process ended, e.g. `signal: 9 (SIGKILL)`; of a stopped one its state, `T (stopped)`.
    pub exit: String,
    /// It ended so as planned: by SIGKILL, in good order before it was told to, or it stands still.
    pub as_planned: bool,
    /// What its journal said while it stood still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marks: Option<Marks>,
    /// When it was continued, nanoseconds after T0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continued_ns: Option<u64>,
    /// When its next life had taken its transactional id while it stood still, nanoseconds after T0 (producer).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_ns: Option<u64>,
    /// Errors of transactions in its closing statement, if it made one (producer).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub transaction_errors: BTreeMap<String, u64>,
}

impl DeathRecord {
    /// Its own closing statement says that it was fenced.
    pub fn was_fenced(&self) -> bool {
        self.transaction_errors.keys().any(|error| error.contains(FENCED))
    }
}

/// In an error of a transaction: another instance has the transactional id, or the cluster has ended the transaction.
const FENCED: &str = ": fenced: ";

/// A kill as it was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillRecord {
    /// As planned.
    pub kill: Kill,
    /// Which life it hit.
    pub incarnation: Incarnation,
    /// When the signal was sent, nanoseconds after T0.
    pub done_ns: u64,
    /// How the process ended, e.g. `signal: 9 (SIGKILL)`; empty: it was not seen to end.
    pub exit: String,
    /// By SIGKILL, after the signal was sent.
    pub as_planned: bool,
}

/// A join as it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRecord {
    /// As planned.
    pub join: Join,
    /// The new member.
    pub member: MemberId,
    /// What member 0 had completed then.
    pub completed: u64,
    /// When the new member was started, nanoseconds after T0.
    pub started_ns: u64,
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
    /// Of a power cut: what each broker lost, known before it was started again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cuts: Vec<Cut>,
    /// Of a step at proxies: what each of them counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hits: Vec<Hits>,
}

impl FaultRecord {
    /// A step that was not carried out yet.
    pub fn planned(step: FaultStep) -> Self {
        FaultRecord {
            step,
            brokers: Vec::new(),
            done_ns: None,
            proof: Vec::new(),
            cuts: Vec::new(),
            hits: Vec::new(),
        }
    }

    /// Carried out and proven.
    pub fn is_proven(&self) -> bool {
        self.done_ns.is_some() && !self.proof.is_empty()
    }
}
