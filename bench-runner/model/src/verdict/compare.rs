//! Two verdicts of the same cell, side by side: where they differ, in words. It judges nothing.

use super::{Contingency, Identity, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// The identity of what schema 1.1 did not keep.
const MARGINS: &str = "margins";
/// At most this much of a value is shown.
const SHOWN: usize = 120;

fn shown(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    if text.len() <= SHOWN { text } else { text.chars().take(SHOWN).chain(['…']).collect() }
}

fn differ<T: PartialEq + Debug>(found: &mut Vec<String>, name: &str, stored: &T, judged: &T) {
    if stored != judged {
        found.push(format!("{name}: stored {}, judged {}", shown(stored), shown(judged)));
    }
}

fn by_name(identities: &[Identity]) -> BTreeMap<&str, &Identity> {
    identities.iter().map(|identity| (identity.name.as_str(), identity)).collect()
}

impl Verdict {
    /// The table with as much detail as ours has: schema 1.1 knew copies only.
    fn as_detailed(&self, judged: &[Contingency]) -> Vec<Contingency> {
        let mut judged = judged.to_vec();
        if self.contingency.iter().all(|row| row.alike.is_empty()) {
            judged.iter_mut().for_each(|row| row.alike.clear());
        }
        judged
    }

    /// Where a second judgement differs from this stored one, one line each; empty: they agree.
    pub fn differences(&self, judged: &Verdict) -> Vec<String> {
        let mut found = Vec::new();
        differ(&mut found, "records", &self.records, &judged.records);
        differ(&mut found, "attempts", &self.attempts, &judged.attempts);
        differ(&mut found, "copies", &self.copies, &judged.copies);
        let kinds: BTreeSet<_> = self.tallies.keys().chain(judged.tallies.keys()).collect();
        for kind in kinds {
            match (self.tallies.get(kind), judged.tallies.get(kind)) {
                (Some(stored), Some(judged)) if stored.count == judged.count => {
                    differ(&mut found, kind.as_str(), stored, judged);
                }
                (stored, judged) => {
                    let count = |tally: Option<&super::Tally>| {
                        tally.map_or_else(|| "nothing".to_owned(), |tally| tally.count.to_string())
                    };
                    found.push(format!("{kind}: stored {}, judged {}", count(stored), count(judged)));
                }
            }
        }
        let (stored, again) = (by_name(&self.identities), by_name(&judged.identities));
        let detailed = self.contingency.iter().any(|row| !row.alike.is_empty());
        let names: BTreeSet<_> =
            stored.keys().chain(again.keys()).filter(|name| detailed || **name != MARGINS).collect();
        for name in names {
            differ(&mut found, name, &stored.get(name), &again.get(name));
        }
        differ(&mut found, "classes", &self.classes, &judged.classes);
        differ(&mut found, "contingency", &self.contingency, &self.as_detailed(&judged.contingency));
        differ(&mut found, "inconclusive", &self.inconclusive, &judged.inconclusive);
        differ(&mut found, "undrained", &self.undrained, &judged.undrained);
        differ(&mut found, "promise", &self.promise, &judged.promise);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::{Identity, MARGINS, shown};
    use crate::ledger::State;
    use crate::verdict::history::{clean, verdict};
    use crate::verdict::{Alike, Promise, TallyKind, Weight};

    #[test]
    fn nothing_is_claimed_of_an_incomplete_reading_or_broken_books() {
        let history = clean(10, State::Acked);
        let (mut unread, mut miscounted) = (history.readings(), history.ledgers());
        unread.iter_mut().flat_map(|reading| &mut reading.partitions).for_each(|part| part.reached = 0);
        miscounted[0].settled[State::Acked as usize] += 1;
        let unread = verdict(&history, &history.ledgers(), &unread);
        let miscounted = verdict(&history, &miscounted, &history.readings());
        for verdict in [unread, miscounted] {
            assert!(!verdict.is_given());
            assert_eq!(verdict.promise, Promise::Unjudged);
            for tally in verdict.tallies.values() {
                assert!(tally.weight == Weight::Reported && tally.not_checked.is_some(), "{tally:?}");
            }
        }
        assert!(clean(10, State::Acked).verdict().is_given());
    }

    #[test]
    fn what_differs_is_named_and_nothing_else() {
        let stored = clean(10, State::Acked).verdict();
        assert_eq!(stored.differences(&stored), [""; 0]);
        let mut judged = stored.clone();
        judged.promise = Promise::Violated;
        judged.identities[3].holds = false;
        let found = stored.differences(&judged);
        assert_eq!(found.len(), 2);
        assert!(found[0].starts_with("I4: ") && found[1].starts_with("promise: "), "{found:?}");
        let mut judged = stored.clone();
        judged.tallies.get_mut(&TallyKind::LogLoss).expect("a tally").count = 3;
        judged.records += 1;
        assert_eq!(
            stored.differences(&judged),
            ["records: stored 10, judged 11", "log_loss: stored 0, judged 3"]
        );
    }

    #[test]
    fn what_an_older_schema_did_not_keep_is_no_difference() {
        let stored = clean(10, State::Acked).verdict();
        let mut judged = stored.clone();
        let (copies, processed, effects) = (1, 1, 0);
        let alike = Alike {
            copies,
            processed,
            effects,
            records: 10,
            sum_copies: 10,
            sum_processed: 10,
            sum_effects: 0,
        };
        judged.contingency[0].alike.push(alike);
        judged.identities.push(Identity { name: MARGINS.into(), holds: true, detail: String::new() });
        assert_eq!(stored.differences(&judged), [""; 0]);
        let mut newer = judged.clone();
        newer.identities.pop();
        assert_eq!(newer.differences(&judged).len(), 1);
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(shown(&"x".repeat(118)), format!("\"{}\"", "x".repeat(118)));
        assert_eq!(shown(&"x".repeat(119)), format!("\"{}…", "x".repeat(119)));
    }
}
