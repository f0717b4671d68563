//! `[[fault]]`: the steps of a cell's fault timeline, and the orders that make no sense.

use super::problems::Problems;
use super::section::{Section, Wrong};
use super::tree::{Node, Value};
use super::units::duration_text;
use super::values;
use crate::fault::{Action, FaultStep, Target, When};
use crate::settings::{Arrival, Length, Load};

const DAY: u64 = 86_400_000_000_000;

/// Until when steps make sense, in nanoseconds after T0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    /// The last instant at which something may be broken: nothing is due later.
    pub load_ns: u64,
    /// The last instant for anything: nobody waits for a record any more.
    pub drain_ns: u64,
}

impl Ends {
    /// The latest ends of these loads; `None`: a load ends when its records are sent, whenever that is.
    pub fn of<'a>(loads: impl Iterator<Item = &'a Load>) -> Option<Ends> {
        let mut latest = Ends { load_ns: 0, drain_ns: 0 };
        for load in loads {
            let drained_ns = load.span_ns().saturating_add(load.drain_ns);
            let end_ns = match (&load.arrival, load.length) {
                (Arrival::Max, Length::Records(_)) => return None,
                // What a burst left behind may be broken after the last one: that is what bursts are for.
                (Arrival::Bursts(_), _) => drained_ns,
                _ => load.span_ns(),
            };
            latest.load_ns = latest.load_ns.max(end_ns);
            latest.drain_ns = latest.drain_ns.max(drained_ns);
        }
        Some(latest)
    }
}

/// Reads all steps, in the order of the file; `ends` are those of the cells, if they are known.
pub(super) fn faults(root: &mut Section<'_>, ends: Option<Ends>, problems: &Problems) -> Vec<FaultStep> {
    let mut done: Vec<FaultStep> = Vec::new();
    for mut section in root.tables("fault") {
        let place = section.place().clone();
        let at_place = section.entry("at").map(|entry| entry.node.place.clone());
        let Some(step) = step(section, problems) else { continue };
        if let Some(wrong) = misplaced(&step, &done) {
            problems.add(&place, wrong.message, wrong.help);
        } else if let Some(wrong) = ends.and_then(|ends| too_late(&step, ends)) {
            problems.add(at_place.as_ref().unwrap_or(&place), wrong.message, wrong.help);
        }
        done.push(step);
    }
    done
}

fn too_late(step: &FaultStep, ends: Ends) -> Option<Wrong> {
    let (what, end_ns) = match step.action {
        Action::Stop | Action::Kill => ("the load ends at", ends.load_ns),
        Action::Continue | Action::Start => ("the cell is over at", ends.drain_ns),
    };
    let at_ns = step.when.at_ns().filter(|at_ns| *at_ns > end_ns)?;
    let end = duration_text(end_ns);
    let message = format!("{} is too late: {what} {end}", duration_text(at_ns));
    Some(Wrong::new(message, format!("write an instant up to \"{end}\", or lengthen the load")))
}

fn step(mut section: Section<'_>, problems: &Problems) -> Option<FaultStep> {
    let place = section.place().clone();
    let at = section.read("at", |node| values::duration(node, 0..=DAY)).map(When::At);
    let event = section.read("when", |node| one_of(node, &[("new-leader", When::NewLeader)]));
    let both = (section.entry("at").is_some(), section.entry("when").is_some());
    let action =
        section.require("action", "write action = \"stop\", \"continue\", \"kill\" or \"start\"", |node| {
            let actions = [
                ("stop", Action::Stop),
                ("continue", Action::Continue),
                ("kill", Action::Kill),
                ("start", Action::Start),
            ];
            one_of(node, &actions)
        });
    let target = section.require("target", "write target = \"leader\" or \"followers\"", |node| {
        one_of(node, &[("leader", Target::Leader), ("followers", Target::Followers)])
    });
    section.finish();
    if both == (true, true) || both == (false, false) {
        let message = "a fault step happens at an instant or when something is seen: one of both";
        problems.add(&place, message, "write at = \"1.2 s\", or when = \"new-leader\"");
        return None;
    }
    Some(FaultStep { when: at.or(event)?, action: action?, target: target? })
}

fn one_of<T: Copy>(node: &Node, known: &[(&str, T)]) -> Result<T, Wrong> {
    let found = match &node.value {
        Value::Text(text) => known.iter().find(|(name, _)| name == text),
        _ => None,
    };
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<String> = known.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        Wrong::new(format!("{} is not known here", node.describe()), format!("write {}", names.join(", ")))
    })
}

/// Why `step` cannot come after the steps that are `done`.
fn misplaced(step: &FaultStep, done: &[FaultStep]) -> Option<Wrong> {
    if let When::At(at) = step.when
        && done.iter().any(|earlier| matches!(earlier.when, When::At(before) if before > at))
    {
        return Some(Wrong::new(
            "this step is due before one that stands above it",
            "steps are carried out as they stand: sort them by at",
        ));
    }
    let state = done.iter().rev().find(|earlier| earlier.target == step.target).map(|earlier| earlier.action);
    let fits = match step.action {
        Action::Stop | Action::Kill => {
            matches!(state, None | Some(Action::Continue | Action::Start))
                || (state, step.action) == (Some(Action::Stop), Action::Kill)
        }
        Action::Continue => state == Some(Action::Stop),
        Action::Start => state == Some(Action::Kill),
    };
    if !fits {
        let help = "stop, then continue; kill, then start (each for the same target)";
        return Some(Wrong::new("the target is not in the state that this step needs", help));
    }
    let moved = done.iter().any(|earlier| {
        earlier.target == Target::Leader && matches!(earlier.action, Action::Stop | Action::Kill)
    });
    (step.when == When::NewLeader && !moved).then(|| {
        Wrong::new("nothing above makes the leader move", "stop or kill the leader in an earlier step")
    })
}
