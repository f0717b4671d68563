//! What a `[[fault]]` step at a proxy says beyond action and target: which requests it is about.

use super::problems::Problems;
use super::section::{Section, Wrong};
use super::values;
use crate::fault::{Action, Api, Refusal, Rule};

const DAY: u64 = 86_400_000_000_000;

/// Reads the keys of a rule; `None`: it is a step without one, or something is wrong and noted.
pub(super) fn rule(section: &mut Section<'_>, action: Option<Action>, problems: &Problems) -> Option<Rule> {
    let place = section.place().clone();
    let apis = Api::ALL.map(|api| (api.as_str(), api));
    let errors = Refusal::ALL.map(|error| (error.as_str(), error));
    let api = section.read("api", |node| values::named(node, "kind of request", &apis));
    let requests = section.read("requests", |node| values::number(node, 1..=1_000_000_000));
    let wait_ns = section.read("wait", |node| values::duration(node, 1..=DAY));
    let error = section.read("error", |node| values::named(node, "error", &errors));
    let offset = section.read("offset", |node| values::number(node, 0..=1_000_000_000_000));
    let action = action?;
    let has_rule = action.has_rule();
    for (key, of_action, whose) in [
        ("api", has_rule, "this action is not about requests of one kind"),
        ("requests", has_rule && action != Action::Truncate, "this action is not about so many requests"),
        ("wait", matches!(action, Action::Delay | Action::Refuse), "only delay and refuse wait"),
        ("error", action == Action::Refuse, "only a refusal has an error"),
        ("offset", action == Action::Truncate, "only truncate ends a log at an offset"),
    ] {
        if let (Some(entry), false) = (section.entry(key), of_action) {
            problems.add(&entry.key_place, whose, format!("remove {key}, or write another action"));
        }
    }
    if !has_rule {
        return None;
    }
    let wrong = if section.entry("api").is_none() {
        Some(Wrong::new("which requests is this step about?", "write api = \"produce\", or another kind"))
    } else if action == Action::Delay && section.entry("wait").is_none() {
        Some(Wrong::new("by how much is this step to delay?", "write wait = \"100 ms\""))
    } else if action == Action::Refuse && section.entry("error").is_none() {
        Some(Wrong::new("what is the answer to be?", "write error = \"not-enough-replicas\", or another one"))
    } else if action == Action::Truncate && section.entry("offset").is_none() {
        Some(Wrong::new("where is the log to seem to end?", "write offset = 10, where a batch begins"))
    } else if api.is_some_and(|api| !action.apis().contains(&api)) {
        let known: Vec<&str> = action.apis().into_iter().map(Api::as_str).collect();
        let message = format!("the proxy does not {} these requests", action.as_str());
        Some(Wrong::new(message, format!("write api = \"{}\"", known.join("\", or \""))))
    } else {
        None
    };
    if let Some(wrong) = wrong {
        problems.add(&place, wrong.message, wrong.help);
        return None;
    }
    Some(Rule { api: api?, requests, wait_ns, error, offset })
}
