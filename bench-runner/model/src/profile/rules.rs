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
    let action = action?;
    let has_rule = action.has_rule();
    for (key, of_action, whose) in [
        ("api", has_rule, "only delay, hold, discard, refuse and withhold are about requests"),
        ("requests", has_rule, "only delay, hold, discard, refuse and withhold are about requests"),
        ("wait", matches!(action, Action::Delay | Action::Refuse), "only delay and refuse wait"),
        ("error", action == Action::Refuse, "only a refusal has an error"),
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
    } else if action == Action::Refuse && api.is_some_and(|api| !api.is_refusable()) {
        let known: Vec<&str> =
            Api::ALL.into_iter().filter(|api| api.is_refusable()).map(Api::as_str).collect();
        let message = "the proxy cannot write answers to these requests";
        Some(Wrong::new(message, format!("refuse one of {}, or discard these", known.join(", "))))
    } else {
        None
    };
    if let Some(wrong) = wrong {
        problems.add(&place, wrong.message, wrong.help);
        return None;
    }
    Some(Rule { api: api?, requests, wait_ns, error })
}
