//! Faults as carried out: as a table with proof, and as stretches of time.

use super::figures::duration;
use super::page::Block;
use super::table::Table;
use super::view::{View, word};
use bench_model::fault::{Action, FaultRecord};
use bench_model::ids::BrokerId;
use bench_model::result::CellResult;

/// From an act to its undoing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The act, nanoseconds after T0.
    pub from_ns: u64,
    /// Its undoing; `None`: never undone.
    pub to_ns: Option<u64>,
    /// E.g. `followers stopped`.
    pub what: String,
}

impl Span {
    /// It was active at this instant after T0.
    pub fn holds_at(&self, instant_ns: u64) -> bool {
        self.from_ns <= instant_ns && self.to_ns.is_none_or(|to_ns| instant_ns < to_ns)
    }
}

/// The faults of a cell as stretches of time, in the order of their acts.
pub fn spans(result: &CellResult) -> Vec<Span> {
    let mut spans = Vec::new();
    for (at, fault) in result.faults.iter().enumerate() {
        let (undo, act) = match fault.step.action {
            Action::Stop => (Action::Continue, "stopped"),
            Action::Kill => (Action::Start, "killed"),
            Action::Terminate => (Action::Start, "terminated"),
            Action::PowerCut => (Action::Start, "without power"),
            Action::Continue | Action::Start => continue,
        };
        let Some(from_ns) = fault.done_ns else { continue };
        let undone_ns = |broker: &BrokerId| {
            let undoes = |later: &&FaultRecord| later.step.action == undo && later.brokers.contains(broker);
            result.faults[at + 1..].iter().find(undoes).and_then(|later| later.done_ns)
        };
        // Brokers may be started one after the other: the stretch ends with the last of them.
        let all: Option<Vec<u64>> = fault.brokers.iter().map(undone_ns).collect();
        let to_ns = all.and_then(|instants| instants.into_iter().max());
        spans.push(Span { from_ns, to_ns, what: format!("{} {act}", word(&fault.step.target)) });
    }
    spans
}

pub fn describe(view: &View, blocks: &mut Vec<Block>) {
    let mut table = Table::new(["cell", "step", "brokers", ">done after T0", "proof"]);
    for cell in &view.run.cells {
        for FaultRecord { step, brokers, done_ns, proof, .. } in &cell.result.faults {
            let brokers: Vec<String> = brokers.iter().map(ToString::to_string).collect();
            table.row([
                cell.result.cell.id.clone(),
                super::durability::timeline(&[*step]),
                brokers.join(", "),
                done_ns.map_or("never".into(), |ns| duration(ns as f64)),
                if proof.is_empty() { "NOT PROVEN".into() } else { proof.join("; ") },
            ]);
        }
    }
    if !table.is_empty() {
        blocks.push(Block::Heading(2, "Faults as carried out".into()));
        blocks.push(Block::Table(table));
    }
}
