//! `[[fault]]`: the steps of a cell's fault timeline, and the orders that make no sense.

use super::problems::{Place, Problems};
use super::section::{Section, Wrong};
use super::tree::{Node, Value};
use super::values;
use crate::fault::{Action, FaultStep, Target, When};

const DAY: u64 = 86_400_000_000_000;

/// Reads all steps, in the order of the file.
pub(super) fn faults(root: &mut Section<'_>, problems: &Problems) -> Vec<FaultStep> {
    let steps: Vec<(Place, Option<FaultStep>)> = root
        .tables("fault")
        .into_iter()
        .map(|section| (section.place().clone(), step(section, problems)))
        .collect();
    let mut done: Vec<FaultStep> = Vec::new();
    for (place, step) in steps {
        let Some(step) = step else { continue };
        if let Some(wrong) = misplaced(&step, &done) {
            problems.add(&place, wrong.message, wrong.help);
        }
        done.push(step);
    }
    done
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
