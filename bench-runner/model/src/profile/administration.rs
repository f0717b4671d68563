//! What `[[fault]]` steps at the cell's topic say beyond action and target, and which of them cannot be.

use super::draft::Draft;
use super::problems::Problems;
use super::section::{Section, Wrong};
use super::values;
use crate::fault::{Action, FaultStep, Target, is_altered};
use crate::settings::ClusterAsk;

const KEY: &str = "min-insync-replicas";
/// Roles whose brokers are known before the load starts, and are not all.
const MOVABLE: [Target; 4] = [Target::Leader, Target::Follower, Target::Followers, Target::OtherFollowers];

/// Reads `min-insync-replicas`; `None`: it is a step without, or something is wrong and noted.
pub(super) fn min_isr(section: &mut Section<'_>, action: Option<Action>, problems: &Problems) -> Option<u16> {
    let place = section.place().clone();
    let replicas = section.read(KEY, |node| values::narrow(node, 1..=100));
    let is_changed = action? == Action::SetMinIsr;
    match (section.entry(KEY), is_changed) {
        (Some(entry), false) => {
            let message = "only set-min-isr changes min.insync.replicas";
            problems.add(&entry.key_place, message, "remove it, or write action = \"set-min-isr\"");
        }
        (None, true) => {
            problems.add(&place, "to what is it to be set?", "write min-insync-replicas = 3");
        }
        _ => {}
    }
    replicas
}

/// Why `step` cannot come after the steps that are `done`.
pub(super) fn misplaced(step: &FaultStep, done: &[FaultStep]) -> Option<Wrong> {
    if done.iter().any(|earlier| earlier.action == Action::Delete) {
        return Some(Wrong::new(
            "the topic is deleted before: nothing is left to which this could be done",
            "let delete be the last step of its timeline",
        ));
    }
    let fits = match step.action {
        Action::Reassign => MOVABLE.contains(&step.target),
        Action::SetMinIsr | Action::Delete => step.target == Target::Topic,
        Action::Restore => step.target == Target::Topic || MOVABLE.contains(&step.target),
        _ => step.target != Target::Topic,
    };
    if !fits {
        return Some(Wrong::new(
            format!("{} is nothing that can be done to {}", step.action.as_str(), step.target.as_str()),
            "target = \"topic\" is for set-min-isr, delete and restore; reassign is for leader, follower, followers or other-followers",
        ));
    }
    let moved = MOVABLE.into_iter().find(|target| is_altered(done, *target));
    match (step.action, moved) {
        (Action::Reassign, Some(_)) => Some(Wrong::new(
            "replicas have moved already",
            "restore those first: write when = \"in-sync\", action = \"restore\" and their target",
        )),
        (Action::Elect, Some(_)) => Some(Wrong::new(
            "replicas have moved: who the first follower was may have none",
            "restore them first, or elect in another timeline",
        )),
        (Action::Restore, _) if !is_altered(done, step.target) => Some(Wrong::new(
            format!("nothing above has changed anything of {}", step.target.as_str()),
            "restore the target of a reassign or set-min-isr above",
        )),
        _ => None,
    }
}

/// Why a cell cannot have the step.
pub(super) fn unfit(step: &FaultStep, draft: &Draft, cluster: &ClusterAsk, label: &str) -> Option<Wrong> {
    let replicas = draft.topic.replication_factor;
    match (step.action, step.min_insync_replicas) {
        (Action::Reassign, _) => {
            let moved = match step.target {
                Target::Followers => replicas.saturating_sub(1),
                Target::OtherFollowers => replicas.saturating_sub(2),
                _ => 1,
            };
            let needed = replicas + moved;
            (needed > cluster.brokers).then(|| {
                let message = format!(
                    "cell \"{label}\" has no brokers to move to: {replicas} replicas, {moved} of them to move, and {} brokers",
                    cluster.brokers
                );
                Wrong::new(message, format!("write brokers = {needed} in [cluster]"))
            })
        }
        (Action::SetMinIsr, Some(value)) if value > replicas => {
            let message =
                format!("cell \"{label}\" has {replicas} replicas, and {value} can never be in sync");
            Some(Wrong::new(message, format!("write min-insync-replicas = {replicas} or less")))
        }
        (Action::Delete, _) if draft.group.is_some() => {
            let message =
                format!("cell \"{label}\" has a group, which could never end with a topic that is gone");
            Some(Wrong::new(message, "take [consumer] out, or the step"))
        }
        (Action::Delete, _) if draft.producer.transaction.is_some() => {
            let message = format!(
                "cell \"{label}\" has transactions, whose end nobody could look up in a topic that is gone"
            );
            Some(Wrong::new(message, "write transaction = \"none\" for it, or take the step out"))
        }
        _ => None,
    }
}
