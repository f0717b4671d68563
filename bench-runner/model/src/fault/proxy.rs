//! Steps at the proxies in front of the brokers: which requests they are about, and what the proxies counted.

use super::{Action, FaultStep, Target};
use crate::ids::BrokerId;
use serde::{Deserialize, Serialize};

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    /// Records to append.
    Produce,
    /// Records to read.
    Fetch,
    /// Offsets of a group.
    OffsetCommit,
    /// Sign of life of a member (classic protocol).
    Heartbeat,
    /// A producer takes its id, or its transactional id.
    InitProducerId,
    /// Partitions join a transaction.
    AddPartitionsToTxn,
    /// A group's offsets join a transaction.
    AddOffsetsToTxn,
    /// Commit or abort.
    EndTxn,
    /// Offsets of a group within a transaction.
    TxnOffsetCommit,
}

impl Api {
    /// All, in the order of their names in messages.
    pub const ALL: [Api; 9] = [
        Api::Produce,
        Api::Fetch,
        Api::OffsetCommit,
        Api::Heartbeat,
        Api::InitProducerId,
        Api::AddPartitionsToTxn,
        Api::AddOffsetsToTxn,
        Api::EndTxn,
        Api::TxnOffsetCommit,
    ];

    /// As profiles write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Api::Produce => "produce",
            Api::Fetch => "fetch",
            Api::OffsetCommit => "offset-commit",
            Api::Heartbeat => "heartbeat",
            Api::InitProducerId => "init-producer-id",
            Api::AddPartitionsToTxn => "add-partitions-to-txn",
            Api::AddOffsetsToTxn => "add-offsets-to-txn",
            Api::EndTxn => "end-txn",
            Api::TxnOffsetCommit => "txn-offset-commit",
        }
    }

    /// Its number on the wire.
    pub fn key(self) -> i16 {
        match self {
            Api::Produce => 0,
            Api::Fetch => 1,
            Api::OffsetCommit => 8,
            Api::Heartbeat => 12,
            Api::InitProducerId => 22,
            Api::AddPartitionsToTxn => 24,
            Api::AddOffsetsToTxn => 25,
            Api::EndTxn => 26,
            Api::TxnOffsetCommit => 28,
        }
    }

    /// A proxy can refuse it in the broker's place.
    pub fn is_refusable(self) -> bool {
        matches!(self, Api::Produce | Api::Heartbeat | Api::InitProducerId | Api::EndTxn)
    }
}

/// An error of Kafka's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// Somebody else leads.
    NotLeader,
    /// The broker has waited for too long.
    RequestTimedOut,
    /// The coordinator is not ready.
    CoordinatorNotAvailable,
    /// Somebody else coordinates.
    NotCoordinator,
    /// Too few replicas, nothing was appended.
    NotEnoughReplicas,
    /// Too few replicas, and it was appended.
    NotEnoughReplicasAfterAppend,
}

impl Refusal {
    /// All, in the order of their numbers.
    pub const ALL: [Refusal; 6] = [
        Refusal::NotLeader,
        Refusal::RequestTimedOut,
        Refusal::CoordinatorNotAvailable,
        Refusal::NotCoordinator,
        Refusal::NotEnoughReplicas,
        Refusal::NotEnoughReplicasAfterAppend,
    ];

    /// As profiles write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::NotLeader => "not-leader",
            Refusal::RequestTimedOut => "request-timed-out",
            Refusal::CoordinatorNotAvailable => "coordinator-not-available",
            Refusal::NotCoordinator => "not-coordinator",
            Refusal::NotEnoughReplicas => "not-enough-replicas",
            Refusal::NotEnoughReplicasAfterAppend => "not-enough-replicas-after-append",
        }
    }

    /// Its number on the wire.
    pub fn code(self) -> i16 {
        match self {
            Refusal::NotLeader => 6,
            Refusal::RequestTimedOut => 7,
            Refusal::CoordinatorNotAvailable => 15,
            Refusal::NotCoordinator => 16,
            Refusal::NotEnoughReplicas => 19,
            Refusal::NotEnoughReplicasAfterAppend => 20,
        }
    }
}

/// Which requests a step is about, and what is done to them beyond its action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rule {
    /// Their kind.
    pub api: Api,
    /// Only the first so many at each proxy; `None`: all until they pass again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Of `delay`: for how long, in nanoseconds. Of `refuse`: the refusal comes behind the answer to a later request of this
    /// kind on the connection, after so long at the latest; `None`: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ns: Option<u64>,
    /// Of `refuse`: the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Refusal>,
    /// Of `truncate`: where the log seems to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
}

/// What one proxy counted of one step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hits {
    /// The broker behind it.
    pub broker: BrokerId,
    /// Requests that the step was about (of `swap` those that were overtaken); of `pass` those that passed since.
    pub requests: u64,
    /// Of `withhold` the broker's answers to them that went no further, of `duplicate` its second ones, of `refuse` and
    /// `acknowledge` those written in its place, of `truncate` those that were cut short, else the answers passed on.
    pub answers: u64,
    /// Records in those requests; of `truncate` none.
    pub records: u64,
    /// Of `reset`: connections of clients that were broken.
    pub connections: u64,
    /// Of `pass`: rules that ended with it.
    pub rules: u64,
}

impl Action {
    /// It is done by proxies, not to processes.
    pub fn is_at_proxy(self) -> bool {
        use Action::{Delay, Discard, Hold, Pass, Refuse, Reset, Withhold};
        self.is_lie() || matches!(self, Delay | Hold | Discard | Refuse | Withhold | Reset | Pass)
    }

    /// The proxy says what no broker in its place would: a check of the checker, no fault of a network.
    pub fn is_lie(self) -> bool {
        matches!(self, Action::Acknowledge | Action::Duplicate | Action::Swap | Action::Truncate)
    }

    /// The kinds of requests that it can be about.
    pub fn apis(self) -> Vec<Api> {
        let fits = |api: &Api| match self {
            Action::Refuse => api.is_refusable(),
            Action::Acknowledge | Action::Duplicate | Action::Swap => *api == Api::Produce,
            Action::Truncate => *api == Api::Fetch,
            _ => self.has_rule(),
        };
        Api::ALL.into_iter().filter(fits).collect()
    }

    /// It is done by gates between processes of the cluster.
    pub fn is_at_gate(self) -> bool {
        self.isolates() || self == Action::Reconnect
    }

    /// It is about requests of one kind.
    pub fn has_rule(self) -> bool {
        self.is_at_proxy() && !matches!(self, Action::Reset | Action::Pass)
    }
}

impl FaultStep {
    /// What is done to whom, e.g. `stop followers` or `discard produce at the proxy of leader`, in the caller's words for
    /// action and target.
    pub fn phrase(&self, action: &str, target: &str) -> String {
        let Some(rule) = self.rule else {
            return match self.action {
                Action::Reset => format!("reset connections at the proxy of {target}"),
                Action::Pass => format!("pass all at the proxy of {target}"),
                Action::FillDisk => format!("fill the disk of {target}"),
                Action::WriteProtect => format!("{action} the log directory of {target}"),
                Action::Reassign => format!("{action} replicas of {target}"),
                Action::Restore if self.target != Target::Topic => format!("{action} replicas of {target}"),
                Action::SetMinIsr => {
                    let value = self.min_insync_replicas.unwrap_or_default();
                    format!("set min.insync.replicas of {target} to {value}")
                }
                _ => format!("{action} {target}"),
            };
        };
        let first = match rule.requests {
            None => String::new(),
            Some(1) => "the first ".to_owned(),
            Some(many) => format!("the first {many} "),
        };
        let error = rule.error.map(|error| format!(" with {}", error.as_str())).unwrap_or_default();
        format!("{action} {first}{}{error} at the proxy of {target}", rule.api.as_str())
    }

    /// What the proxies' counters prove, one line each; nothing: the step met no request.
    pub fn proof(&self, hits: &[Hits]) -> Vec<String> {
        let told = |hit: &Hits| {
            let Hits { broker, requests, answers, records, connections, rules } = hit;
            let api = self.rule.map_or("", |rule| rule.api.as_str());
            let inside = match self.rule {
                Some(Rule { api: Api::Produce, .. }) => format!(", records in them: {records}"),
                _ => String::new(),
            };
            let what = match self.action {
                Action::Reset => format!("connections reset: {connections}"),
                Action::Pass => format!("rules ended: {rules}, requests passed since: {requests}"),
                Action::Discard => format!("{api} requests discarded: {requests}{inside}"),
                Action::Refuse => format!("{api} requests kept: {requests}{inside}, refused: {answers}"),
                Action::Withhold => {
                    format!("{api} requests passed on: {requests}{inside}, answers withheld: {answers}")
                }
                Action::Hold => format!("{api} requests held: {requests}, answered afterwards: {answers}"),
                Action::Acknowledge => {
                    format!("{api} requests kept: {requests}{inside}, acknowledged all the same: {answers}")
                }
                Action::Duplicate => {
                    format!("{api} requests passed on twice: {requests}{inside}, second answers: {answers}")
                }
                Action::Swap => format!("{api} requests overtaken by the next one: {requests}{inside}"),
                Action::Truncate => {
                    format!("{api} and end offset requests: {requests}, answers cut short: {answers}")
                }
                _ => format!("{api} requests delayed: {requests}"),
            };
            format!("proxy of broker {broker}: {what}")
        };
        hits.iter().filter(|hit| self.is_met_by(hit)).map(told).collect()
    }

    /// How much the rule of this step has met by these counters: records in Produce requests, requests of other kinds. Where it
    /// is about answers, only what was answered (or refused) counts; of `truncate` the answers that were cut short.
    pub fn met(&self, hits: &[Hits]) -> u64 {
        if self.action == Action::Truncate {
            return hits.iter().map(|hit| hit.answers).sum();
        }
        let of_answers = self.is_about_answers();
        let by_records = self.rule.is_some_and(|rule| rule.api == Api::Produce);
        let over = hits.iter().filter(|hit| !of_answers || hit.answers >= hit.requests);
        over.map(|hit| if by_records { hit.records } else { hit.requests }).sum()
    }

    fn is_met_by(&self, hit: &Hits) -> bool {
        match self.action {
            Action::Reset => hit.connections > 0,
            Action::Pass => hit.rules > 0 || hit.requests > 0,
            _ if self.is_about_answers() => hit.answers > 0,
            _ => hit.requests > 0,
        }
    }

    /// What it does is done when an answer was written, or kept.
    fn is_about_answers(&self) -> bool {
        matches!(self.action, Action::Refuse | Action::Withhold | Action::Acknowledge | Action::Truncate)
    }
}

#[cfg(test)]
mod tests {
    use super::super::When;
    use super::*;

    fn step(action: Action, requests: Option<u64>, error: Option<Refusal>) -> FaultStep {
        let rule = action.has_rule().then_some(Rule {
            api: Api::Produce,
            requests,
            wait_ns: None,
            error,
            offset: None,
        });
        FaultStep { rule, ..FaultStep::new(When::At(0), action, Target::Leader) }
    }

    #[test]
    fn a_step_says_what_it_does_at_which_proxy() {
        let told = |action, word, requests, error| step(action, requests, error).phrase(word, "leader");
        assert_eq!(told(Action::Discard, "discard", None, None), "discard produce at the proxy of leader");
        assert_eq!(
            told(Action::Refuse, "refuse", Some(1), Some(Refusal::NotLeader)),
            "refuse the first produce with not-leader at the proxy of leader"
        );
        assert_eq!(told(Action::Pass, "pass", None, None), "pass all at the proxy of leader");
        assert_eq!(told(Action::Kill, "kill", None, None), "kill leader");
        assert_eq!(told(Action::Reassign, "reassign", None, None), "reassign replicas of leader");
        assert_eq!(told(Action::Restore, "restore", None, None), "restore replicas of leader");
        let of_topic = |action| FaultStep::new(When::At(0), action, Target::Topic);
        let raised = FaultStep { min_insync_replicas: Some(3), ..of_topic(Action::SetMinIsr) };
        assert_eq!(raised.phrase("set min isr", "topic"), "set min.insync.replicas of topic to 3");
        assert_eq!(of_topic(Action::Restore).phrase("restore", "topic"), "restore topic");
    }

    #[test]
    fn a_step_is_proven_by_what_it_met_and_by_nothing_else() {
        let hit = |requests, answers, connections, rules| {
            let broker = BrokerId(2);
            Hits { broker, requests, answers, records: 10 * requests, connections, rules }
        };
        let told = |action, hits: &[Hits]| step(action, None, None).proof(hits);
        for action in [Action::Delay, Action::Hold, Action::Discard, Action::Duplicate, Action::Swap] {
            assert_eq!(told(action, &[hit(0, 1, 1, 1)]), [""; 0], "{action:?}");
            assert_eq!(told(action, &[hit(0, 0, 0, 0), hit(1, 0, 0, 0)]).len(), 1, "{action:?}");
        }
        for action in [Action::Refuse, Action::Withhold, Action::Acknowledge, Action::Truncate] {
            assert_eq!(told(action, &[hit(1, 0, 1, 1)]), [""; 0], "{action:?}: the broker has not answered");
            assert_eq!(told(action, &[hit(1, 1, 0, 0)]).len(), 1, "{action:?}");
        }
        let met = |action, hits: &[Hits]| step(action, None, None).met(hits);
        assert_eq!(met(Action::Discard, &[hit(2, 0, 0, 0), hit(1, 0, 0, 0)]), 30);
        assert_eq!(met(Action::Withhold, &[hit(2, 1, 0, 0), hit(1, 1, 0, 0)]), 10, "one is not answered");
        assert_eq!(met(Action::Acknowledge, &[hit(2, 1, 0, 0), hit(1, 1, 0, 0)]), 10);
        assert_eq!(
            met(Action::Duplicate, &[hit(2, 0, 0, 0)]),
            20,
            "who wants no answer is appended twice, too"
        );
        assert_eq!(met(Action::Truncate, &[hit(5, 2, 0, 0), hit(3, 1, 0, 0)]), 3);
        assert_eq!(told(Action::Reset, &[hit(1, 1, 0, 1)]), [""; 0]);
        assert_eq!(told(Action::Reset, &[hit(0, 0, 2, 0)]), ["proxy of broker 2: connections reset: 2"]);
        assert_eq!(told(Action::Pass, &[hit(0, 1, 1, 0)]), [""; 0]);
        assert_eq!(told(Action::Pass, &[hit(0, 0, 0, 1)]).len(), 1);
        assert_eq!(
            told(Action::Discard, &[hit(2, 0, 0, 0)]),
            ["proxy of broker 2: produce requests discarded: 2, records in them: 20"]
        );
    }
}
