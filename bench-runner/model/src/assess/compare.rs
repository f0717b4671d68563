//! A stored result beside what its evidence gives: where they differ, in words. It judges nothing.

use super::{Evidence, assess, blank, caveats, killed, named};
use crate::latency::Set;
use crate::ledger::State;
use crate::result::{Caveat, CellResult, Expectation, Outcome};
use crate::verdict::Verdict;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// At most this much of a value is shown.
const SHOWN: usize = 120;
/// Schemas that stored claims of void and inconclusive cells beside the outcome.
const CLAIMED_ANYWAY: [&str; 2] = ["1.0", "1.1"];

/// Schemas that held cells against `expect` alone, stored of no line whether it is met, and nothing of recovery.
const WITHOUT_TABLE: [&str; 3] = ["1.0", "1.1", "1.2"];

/// Where a stored result differs from what follows from its plan and evidence (`None`: it has none that could be
/// judged), one line each.
pub fn differences(stored: &CellResult, evidence: Option<Evidence<'_>>) -> Vec<String> {
    let mut again = blank(&stored.run, &stored.cell);
    again.faults = stored.faults.clone();
    let mut found = Vec::new();
    match evidence {
        Some(evidence) => {
            if evidence.statements.is_none() {
                keep_unproven(&mut again, stored);
            }
            assess(&mut again, evidence);
            if WITHOUT_TABLE.contains(&stored.schema.as_str()) {
                again.expectation_unmet.clear();
                again.recovery.clear();
                if stored.cell.expect.is_empty() {
                    again.expectation = Expectation::None;
                    again.expectation_detail.clear();
                }
            }
            keep_uncounted(&mut again, stored);
            if let (Some(stored), Some(judged)) = (&stored.verdict, &mut again.verdict) {
                named::forget_unless(stored, judged);
            }
            let claimed_anyway = CLAIMED_ANYWAY.contains(&stored.schema.as_str());
            if claimed_anyway && again.judged().is_none() {
                again.expectation_detail.clone_from(&stored.expectation_detail);
            }
            match (&stored.verdict, &again.verdict) {
                (Some(stored), Some(judged)) if claimed_anyway => {
                    found.extend(stored.clone().claiming_nothing_unless_given().differences(judged));
                }
                (Some(stored), Some(judged))
                    if stored.is_given() && judged.inconclusive.is_some() && !judged.is_void() =>
                {
                    found.extend(stored.differences(&uncounted(judged, stored)));
                }
                (Some(stored), Some(judged)) => found.extend(stored.differences(judged)),
                _ => found.push("verdict: none is stored, and the evidence for one is".to_owned()),
            }
            let planned: Vec<_> = stored.cell.faults.iter().collect();
            let carried_out: Vec<_> = stored.faults.iter().map(|fault| &fault.step).collect();
            differ(&mut found, "faults", &carried_out, &planned);
            found.extend(counts(&evidence));
            found.extend(untimed(stored, &evidence));
        }
        None => {
            // Nothing was observed, so nothing may be claimed but why.
            (again.outcome, again.reason) = (stored.outcome, stored.reason.clone());
            let unjudged = [Outcome::CouldNotStart, Outcome::Void, Outcome::Interrupted];
            if !unjudged.contains(&stored.outcome) {
                found.push(format!(
                    "outcome: stored {}, without evidence for it",
                    shown(&value(&stored.outcome))
                ));
            }
        }
    }
    found.extend(claims(stored, &as_stored(again)));
    found
}

/// Counts of what could not be read whole say nothing: why it could not is what differs.
fn uncounted(judged: &Verdict, stored: &Verdict) -> Verdict {
    Verdict {
        tallies: stored.tallies.clone(),
        classes: stored.classes.clone(),
        contingency: stored.contingency.clone(),
        ..judged.clone()
    }
}

/// What schema 1.0 stored without the statements it rests on.
fn keep_unproven(again: &mut CellResult, stored: &CellResult) {
    again.verdict = stored.verdict.clone();
    again.window_ns = stored.window_ns;
    again.throughput_per_s = stored.throughput_per_s;
    again.blocked_ns = stored.blocked_ns;
    again.cost = stored.cost.clone();
    again.caveats = stored.caveats.clone();
}

/// What was not counted of a group when the result was stored is not held against it.
fn keep_uncounted(again: &mut CellResult, stored: &CellResult) {
    let (Some(again), Some(stored)) = (&mut again.group, &stored.group) else { return };
    if stored.completed.is_none() {
        (again.completed, again.processed_per_s) = (None, None);
    }
    // Commits of transactions.
    if stored.completed.is_none() && stored.commits == 0 {
        again.commits = 0;
        again.unanswered_commits = 0;
        again.failed_commits.clear();
        again.commits_per_s = stored.commits_per_s;
        again.seconds.iter_mut().for_each(|second| second.commits = 0);
    }
}

/// Every claim beside the verdict.
fn claims(stored: &CellResult, again: &CellResult) -> Vec<String> {
    let mut found = Vec::new();
    differ(&mut found, "outcome", &stored.outcome, &again.outcome);
    differ(&mut found, "reason", &stored.reason, &again.reason);
    differ(&mut found, "expectation", &stored.expectation, &again.expectation);
    differ(&mut found, "expectation_detail", &stored.expectation_detail, &again.expectation_detail);
    differ(&mut found, "expectation_unmet", &stored.expectation_unmet, &again.expectation_unmet);
    differ(&mut found, "latencies", &stored.latencies, &again.latencies);
    differ(&mut found, "failed_sends", &stored.failed_sends, &again.failed_sends);
    differ(&mut found, "throughput_per_s", &stored.throughput_per_s, &again.throughput_per_s);
    differ(&mut found, "asked_per_s", &stored.asked_per_s, &again.asked_per_s);
    differ(&mut found, "window_ns", &stored.window_ns, &again.window_ns);
    differ(&mut found, "window_records", &stored.window_records, &again.window_records);
    differ(&mut found, "blocked_ns", &stored.blocked_ns, &again.blocked_ns);
    differ(&mut found, "cost", &stored.cost, &again.cost);
    differ(&mut found, "seconds", &stored.seconds, &again.seconds);
    differ(&mut found, "group", &stored.group, &again.group);
    differ(&mut found, "recovery", &stored.recovery, &again.recovery);
    differ(&mut found, "partitions", &stored.partitions, &again.partitions);
    differ(&mut found, "failed_by_second", &stored.failed_by_second, &again.failed_by_second);
    let own = |result: &CellResult| -> Vec<Caveat> {
        let is_own = |caveat: &&Caveat| caveats::KINDS.contains(&caveat.kind.as_str());
        result.caveats.iter().filter(is_own).cloned().collect()
    };
    differ(&mut found, "caveats", &own(stored), &own(again));
    found
}

/// Two witnesses of one producer: its series and its ledger count the same reports. A killed life leaves no series.
fn counts(evidence: &Evidence<'_>) -> Vec<String> {
    let Some(publish) = evidence.series.get("publish") else {
        return vec!["latency.hlog: no series `publish`".to_owned()];
    };
    let closed = || evidence.ledgers.iter().filter(|ledger| ledger.closed);
    let settled = |state: State| -> u64 { closed().map(|ledger| ledger.settled[state as usize]).sum() };
    let ended: u64 = (0..=publish.seconds()).map(|second| publish.ended(second)).sum();
    let reported = settled(State::Acked) + settled(State::Sent);
    let differs =
        format!("latency.hlog: {ended} publish latencies ended, the ledgers count {reported} such reports");
    (ended != reported).then_some(differs).into_iter().collect()
}

/// What killed producers took with them, as their ledgers say it.
fn untimed(stored: &CellResult, evidence: &Evidence<'_>) -> Option<String> {
    let statements = evidence.statements?;
    let counted = killed::cut_off(&mut Set::default(), &stored.cell, evidence.ledgers, statements);
    let stated = statements.untimed;
    (counted != stated).then(|| {
        format!(
            "statements.json: {stated} answers without a latency, the ledgers of killed lives give {counted}"
        )
    })
}

/// As it would be stored and read: the parser may miss a float by its last bit, on both sides alike.
fn as_stored(result: CellResult) -> CellResult {
    let text = serde_json::to_string(&result);
    text.and_then(|text| serde_json::from_str(&text)).unwrap_or(result)
}

fn value(claim: &impl Serialize) -> Value {
    serde_json::to_value(claim).unwrap_or_default()
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= SHOWN { text } else { text.chars().take(SHOWN).chain(['…']).collect() }
}

fn differ<S: Serialize, A: Serialize>(found: &mut Vec<String>, name: &str, stored: &S, again: &A) {
    leaves(found, name, &value(stored), &value(again));
}

/// Goes down as far as both sides have the same shape, so that the one figure that differs is named.
fn leaves(found: &mut Vec<String>, name: &str, stored: &Value, again: &Value) {
    match (stored, again) {
        _ if stored == again => {}
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                let side =
                    |object: &serde_json::Map<String, Value>| object.get(key).cloned().unwrap_or_default();
                leaves(found, &format!("{name}.{key}"), &side(one), &side(other));
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (stored, again)) in one.iter().zip(other).enumerate() {
                leaves(found, &format!("{name}[{index}]"), stored, again);
            }
        }
        _ => found.push(format!("{name}: stored {}, judged {}", shown(stored), shown(again))),
    }
}
