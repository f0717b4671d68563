//! Faults as stretches of time: from an act to its undoing.

use super::{Action, FaultRecord, Target};
use crate::ids::BrokerId;

/// From an act to its undoing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// What was done.
    pub action: Action,
    /// To whom.
    pub target: Target,
    /// The brokers that it resolved to.
    pub brokers: Vec<BrokerId>,
    /// The act, nanoseconds after T0.
    pub from_ns: u64,
    /// Its undoing, nanoseconds after T0; `None`: never undone.
    pub to_ns: Option<u64>,
}

impl Span {
    /// It was active at this instant after T0.
    pub fn holds_at(&self, instant_ns: u64) -> bool {
        self.from_ns <= instant_ns && self.to_ns.is_none_or(|to_ns| instant_ns < to_ns)
    }

    /// E.g. `followers stopped`.
    pub fn words(&self) -> String {
        let act = match self.action {
            Action::Stop => "stopped",
            Action::Kill => "killed",
            Action::Terminate => "terminated",
            Action::PowerCut => "without power",
            Action::Continue => "continued",
            Action::Start => "started",
            Action::Elect => "elected",
            Action::Isolate => "isolated",
            Action::IsolateFully => "fully isolated",
            Action::Reconnect => "connected",
            Action::Delay => "behind a proxy that delays",
            Action::Hold => "behind a proxy that holds",
            Action::Discard => "behind a proxy that discards",
            Action::Refuse => "behind a proxy that refuses",
            Action::Withhold => "behind a proxy that withholds answers",
            Action::Acknowledge => "behind a proxy that acknowledges what it keeps",
            Action::Duplicate => "behind a proxy that passes requests on twice",
            Action::Swap => "behind a proxy that swaps requests",
            Action::Truncate => "behind a proxy that shows less of the log",
            Action::Reset => "cut off from clients",
            Action::Pass => "behind a proxy",
            Action::Reassign => "without its replicas",
            Action::SetMinIsr => "with another min.insync.replicas",
            Action::Restore => "restored",
            Action::Delete => "deleted",
            Action::FillDisk => "with a full disk",
            Action::WriteProtect => "with a read-only log directory",
        };
        format!("{} {act}", self.target.as_str())
    }
}

/// The acts that were carried out, in their order, each up to the undoing of the last of its brokers.
pub fn spans(faults: &[FaultRecord]) -> Vec<Span> {
    let mut spans = Vec::new();
    for (at, fault) in faults.iter().enumerate() {
        let action = fault.step.action;
        let (target, brokers) = (fault.step.target, fault.brokers.clone());
        let Some(from_ns) = fault.done_ns.filter(|_| action.undo().is_some() || action == Action::Delete)
        else {
            continue;
        };
        let undone_ns = |undoes: &dyn Fn(&FaultRecord) -> bool| {
            let later = |later: &&FaultRecord| Some(later.step.action) == action.undo() && undoes(later);
            faults[at + 1..].iter().find(later).and_then(|later| later.done_ns)
        };
        let to_ns = match target {
            Target::Topic => undone_ns(&|later| later.step.target == target),
            _ => {
                let of = |broker: &BrokerId| undone_ns(&|later| later.brokers.contains(broker));
                let all: Option<Vec<u64>> = brokers.iter().map(of).collect();
                all.and_then(|instants| instants.into_iter().max())
            }
        };
        spans.push(Span { action, target, brokers, from_ns, to_ns });
    }
    spans
}

/// How many faults are trials of their own: acts at whose begin everything before was undone.
pub fn trials(spans: &[Span]) -> u64 {
    let is_over = |before: &Span, at_ns: u64| before.to_ns.is_some_and(|to_ns| to_ns <= at_ns);
    let fresh =
        spans.iter().enumerate().filter(|(at, span)| spans[..*at].iter().all(|it| is_over(it, span.from_ns)));
    fresh.count() as u64
}

#[cfg(test)]
mod tests {
    use super::super::{FaultStep, When};
    use super::*;

    #[test]
    fn a_stretch_ends_when_the_last_of_its_brokers_is_back() {
        let record = |action, brokers: &[i32], done_ns| FaultRecord {
            brokers: brokers.iter().copied().map(BrokerId).collect(),
            done_ns,
            ..FaultRecord::planned(FaultStep::new(When::At(0), action, Target::All))
        };
        let killed = record(Action::Kill, &[1, 2], Some(5));
        let (one, other) = (record(Action::Start, &[1], Some(7)), record(Action::Start, &[2], Some(9)));
        let ends = |faults: &[FaultRecord]| -> Vec<(u64, Option<u64>)> {
            spans(faults).iter().map(|span| (span.from_ns, span.to_ns)).collect()
        };
        assert_eq!(ends(&[killed.clone(), one.clone(), other.clone()]), [(5, Some(9))]);
        assert_eq!(ends(&[killed.clone(), one.clone()]), [(5, None)]);
        assert_eq!(ends(&[killed.clone(), one, record(Action::Start, &[2], None)]), [(5, None)]);
        assert_eq!(ends(&[record(Action::Kill, &[1, 2], None), other]), []);
        let twice =
            [killed.clone(), record(Action::Start, &[1, 2], Some(7)), record(Action::Kill, &[1, 2], Some(7))];
        assert_eq!(trials(&spans(&twice)), 2);
        let inside =
            [killed.clone(), record(Action::Kill, &[3], Some(6)), record(Action::Start, &[1, 2], Some(7))];
        assert_eq!(trials(&spans(&inside)), 1);
        let ruled =
            [Action::Discard, Action::Reset, Action::Pass].map(|action| record(action, &[1], Some(6)));
        assert_eq!(ends(&ruled), [(6, Some(6))]);
        let of_topic = |action, done_ns| FaultRecord {
            done_ns: Some(done_ns),
            ..FaultRecord::planned(FaultStep::new(When::At(0), action, Target::Topic))
        };
        let raised = of_topic(Action::SetMinIsr, 5);
        assert_eq!(ends(&[raised.clone(), record(Action::Restore, &[1], Some(6))]), [(5, None)]);
        assert_eq!(ends(&[raised, of_topic(Action::Restore, 7)]), [(5, Some(7))]);
        assert_eq!(ends(&[of_topic(Action::Delete, 5)]), [(5, None)]);
        let span = &spans(&[killed])[0];
        assert_eq!(span.words(), "all killed");
        assert!(!span.holds_at(4) && span.holds_at(5) && span.holds_at(u64::MAX));
    }
}
