//! A proxy's rules and counters: what is to be done to the next request. It moves no bytes.

use bench_model::fault::{Action, Hits, Rule};
use kafka_protocol::messages::ApiKey;
use std::collections::BTreeMap;
use std::time::Duration;

/// What is done to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Passed on after a while.
    Delay(Duration),
    /// Passed on when the rules end.
    Hold,
    /// Not passed on.
    Discard,
    /// Not passed on, and answered with this error; behind a later answer, or after a while at the latest, or at once.
    Refuse(i16, Option<Duration>),
    /// Passed on, and the answer is not.
    Withhold,
    /// Not passed on, and answered as if it had been.
    Acknowledge,
    /// Passed on twice, and one of the answers.
    Duplicate,
    /// Passed on behind the next one of its kind.
    Swap,
    /// Passed on, and its answer shows nothing from this offset on.
    Truncate(i64),
}

/// A step that stands, and how many requests it is still about.
#[derive(Debug)]
struct Standing {
    step: usize,
    action: Action,
    rule: Rule,
    left: Option<u64>,
}

impl Standing {
    fn is_about(&self, api: i16) -> bool {
        // Who is to take a log for shorter must not be told of its end.
        let is_end = self.action == Action::Truncate && api == ApiKey::ListOffsets as i16;
        (self.rule.api.key() == api || is_end) && self.left != Some(0)
    }
}

/// Rules in the order of their steps, and what was counted of every step of the timeline.
#[derive(Debug, Default)]
pub struct Rules {
    standing: Vec<Standing>,
    hits: BTreeMap<usize, Hits>,
    /// The step that has ended all rules last.
    passes: Option<usize>,
}

impl Rules {
    /// A step's rule stands from now on; its counters begin with nothing.
    pub fn add(&mut self, step: usize, action: Action, rule: Rule) {
        self.hits.insert(step, Hits::default());
        self.standing.push(Standing { step, action, rule, left: rule.requests });
    }

    /// A step of the timeline ends all rules.
    pub fn pass(&mut self, step: usize) {
        let rules = self.standing.drain(..).count() as u64;
        self.hits.insert(step, Hits { rules, ..Hits::default() });
        self.passes = Some(step);
    }

    /// What is left of a timeline ends, but for what readers are shown; how many rules.
    pub fn heal(&mut self) -> u64 {
        self.passes = None;
        self.standing.extract_if(.., |one| one.action != Action::Truncate).count() as u64
    }

    /// Readers are shown everything again; how many rules that ends.
    pub fn show_all(&mut self) -> u64 {
        self.standing.extract_if(.., |one| one.action == Action::Truncate).count() as u64
    }

    /// A step has broken so many connections.
    pub fn broke(&mut self, step: usize, connections: u64) {
        self.hits.insert(step, Hits { connections, ..Hits::default() });
    }

    /// What the first rule that is about it does to a request of this kind, and whose step that is.
    pub fn of(&self, api: i16) -> Option<(usize, Deed)> {
        let Standing { step, action, rule, .. } = self.standing.iter().find(|one| one.is_about(api))?;
        let wait = rule.wait_ns.map(Duration::from_nanos);
        let deed = match action {
            Action::Delay => Deed::Delay(wait.unwrap_or_default()),
            Action::Hold => Deed::Hold,
            Action::Refuse => Deed::Refuse(rule.error?.code(), wait),
            Action::Withhold => Deed::Withhold,
            Action::Acknowledge => Deed::Acknowledge,
            Action::Duplicate => Deed::Duplicate,
            Action::Swap => Deed::Swap,
            Action::Truncate => Deed::Truncate(i64::try_from(rule.offset?).unwrap_or(i64::MAX)),
            _ => Deed::Discard,
        };
        Some((*step, deed))
    }

    /// A step's rule is about one request less.
    pub fn take(&mut self, step: usize) {
        let rule = self.standing.iter_mut().find(|one| one.step == step);
        if let Some(left) = rule.and_then(|one| one.left.as_mut()) {
            *left = left.saturating_sub(1);
        }
    }

    /// Counts a request to which a step's rule was applied.
    pub fn hit(&mut self, step: usize, records: u64) {
        if let Some(hits) = self.hits.get_mut(&step) {
            hits.requests += 1;
            hits.records += records;
        }
    }

    /// Counts a request that no rule is about.
    pub fn passed(&mut self) {
        if let Some(hits) = self.passes.and_then(|step| self.hits.get_mut(&step)) {
            hits.requests += 1;
        }
    }

    /// Counts an answer to a request that a step's rule was about.
    pub fn answered(&mut self, step: usize) {
        if let Some(hits) = self.hits.get_mut(&step) {
            hits.answers += 1;
        }
    }

    /// What was counted of a step.
    pub fn hits(&self, step: usize) -> Hits {
        self.hits.get(&step).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_model::fault::{Api, Refusal};

    fn rule(api: Api, requests: Option<u64>) -> Rule {
        let error = Some(Refusal::NotEnoughReplicas);
        Rule { api, requests, wait_ns: Some(5_000_000), error, offset: None }
    }

    #[test]
    fn the_first_rule_for_a_kind_of_request_counts_until_it_is_used_up() {
        let mut rules = Rules::default();
        rules.add(3, Action::Refuse, rule(Api::Produce, Some(2)));
        rules.add(4, Action::Withhold, rule(Api::Produce, None));
        let refused = Deed::Refuse(19, Some(Duration::from_millis(5)));
        for left in [2, 1] {
            assert_eq!(rules.of(0), Some((3, refused)), "{left} left");
            rules.take(3);
            rules.hit(3, 7);
        }
        rules.answered(3);
        assert_eq!(rules.of(0), Some((4, Deed::Withhold)));
        assert_eq!(rules.of(26), None);
        let hits = rules.hits(3);
        assert_eq!((hits.requests, hits.records, hits.answers), (2, 14, 1));
        assert_eq!(rules.hits(4), Hits::default());
    }

    #[test]
    fn whoever_ends_all_rules_counts_them_and_what_passes_since() {
        let mut rules = Rules::default();
        rules.passed();
        rules.add(0, Action::Hold, rule(Api::EndTxn, None));
        assert_eq!(rules.of(26), Some((0, Deed::Hold)));
        rules.pass(1);
        assert_eq!(rules.of(26), None);
        rules.passed();
        let hits = rules.hits(1);
        assert_eq!((hits.rules, hits.requests), (1, 1));
        assert_eq!(rules.heal(), 0);
        rules.passed();
        assert_eq!(rules.hits(1).requests, 1, "healing is no step");
    }

    #[test]
    fn what_readers_are_shown_outlives_healing_and_ends_with_the_reading() {
        let mut rules = Rules::default();
        rules.add(0, Action::Truncate, Rule { offset: Some(10), ..rule(Api::Fetch, None) });
        rules.add(1, Action::Discard, rule(Api::Produce, None));
        assert_eq!(rules.heal(), 1);
        for of_readers in [ApiKey::Fetch, ApiKey::ListOffsets] {
            assert_eq!(rules.of(of_readers as i16), Some((0, Deed::Truncate(10))));
        }
        assert_eq!(rules.of(0), None);
        assert_eq!((rules.show_all(), rules.of(ApiKey::Fetch as i16)), (1, None));
        rules.add(2, Action::Delay, rule(Api::Fetch, None));
        assert_eq!(rules.of(ApiKey::ListOffsets as i16), None, "only who lies of the log lies of its end");
    }

    #[test]
    fn counters_of_a_step_begin_anew_with_the_next_cell() {
        let mut rules = Rules::default();
        rules.add(0, Action::Discard, rule(Api::Produce, None));
        rules.hit(0, 1);
        rules.heal();
        rules.add(0, Action::Delay, rule(Api::Produce, None));
        assert_eq!(rules.hits(0), Hits::default());
        assert_eq!(rules.of(0), Some((0, Deed::Delay(Duration::from_millis(5)))));
        rules.broke(1, 4);
        assert_eq!(rules.hits(1).connections, 4);
    }
}
