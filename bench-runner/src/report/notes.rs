//! What a reader must know before believing a figure: doubts, missing verdicts, the noise floor, damaged evidence.

use super::damage::{self, DAMAGED};
use super::view::{Figure, Group, View, word};
use bench_model::result::{CellResult, Expectation, Outcome};
use std::collections::BTreeSet;

/// What each mark means, with advice, and where it was seen.
pub fn doubts(view: &View) -> Vec<String> {
    let mut list: Vec<String> = view
        .run
        .manifest
        .caveats
        .iter()
        .map(|doubt| {
            // The mock's own stamp begins with its kind.
            let what = doubt.what.strip_prefix(&format!("{}: ", doubt.kind)).unwrap_or(&doubt.what);
            format!("{}: {what}; {}", doubt.kind, doubt.advice)
        })
        .collect();
    for (mark, kind) in &view.marks {
        // Cells that say the same stand together.
        let mut said: Vec<(&str, Vec<&str>)> = Vec::new();
        let mut advice = String::new();
        for cell in &view.run.cells {
            for caveat in cell.result.caveats.iter().filter(|caveat| caveat.kind == *kind) {
                let id = cell.result.cell.id.as_str();
                match said.iter_mut().find(|(what, _)| *what == caveat.what) {
                    Some((_, ids)) => ids.push(id),
                    None => said.push((&caveat.what, vec![id])),
                }
                advice.clone_from(&caveat.advice);
            }
        }
        let mut seen: Vec<String> =
            said.iter().map(|(what, ids)| format!("{}: {what}", ids.join(", "))).collect();
        if kind == DAMAGED {
            advice = damage::ADVICE.into();
            seen = view.damage.iter().map(damage::Damage::line).collect();
        }
        list.push(format!("[{mark}] {kind}: {advice} ({})", seen.join("; ")));
    }
    list
}

/// Cells that give no figures, and expectations that were not met, with the reason.
pub fn without_verdict(view: &View) -> Vec<String> {
    let mut list = Vec::new();
    for cell in &view.run.cells {
        let result = &cell.result;
        if result.outcome != Outcome::Finished {
            let reason = result.reason.as_deref().unwrap_or("no reason stored");
            list.push(format!("{}: {}: {reason}", result.cell.id, word(&result.outcome)));
        }
        // Where there is no verdict at all, what does not hold follows from the reason above.
        if result.outcome == Outcome::Void {
            let broken = result.verdict.iter().flat_map(|verdict| &verdict.identities).filter(|it| !it.holds);
            list.extend(
                broken.map(|it| format!("{}: {} does not hold: {}", result.cell.id, it.name, it.detail)),
            );
        }
        if result.outcome == Outcome::NotInjected && result.has_unexpected_violation() {
            let what = "the promise was broken all the same; see the offending records";
            list.push(format!("{}: {what}", result.cell.id));
        }
        if result.expectation == Expectation::Unmet {
            list.push(format!("{}: expectation unmet: {}", result.cell.id, unmet(result).join("; ")));
        }
    }
    let done: BTreeSet<&str> = view.run.cells.iter().map(|cell| cell.result.cell.id.as_str()).collect();
    let missing = view.run.manifest.plan.iter().filter(|cell| !done.contains(cell.id.as_str()));
    // Cells run in the order of the plan, and what is not finished is not kept.
    let manifest = &view.run.manifest;
    let mut cut = manifest.interrupted || manifest.ended.is_empty();
    list.extend(missing.map(|cell| {
        let what =
            if std::mem::take(&mut cut) { "cut off with the run, or not begun" } else { "planned, not run" };
        format!("{}: {what}", cell.id)
    }));
    list
}

/// What was expected of each cell and observed, by its profile or the table for faults; without an entry there, why.
pub fn expected(view: &View) -> Vec<String> {
    let results = view.run.cells.iter().map(|cell| &cell.result);
    let told = results.filter(|result| !result.expectation_detail.is_empty());
    told.map(|result| {
        let (id, judged) = (&result.cell.id, word(&result.expectation));
        format!("{id}: {judged}: {}", result.expectation_detail.join("; "))
    })
    .collect()
}

/// Those lines of the expectation that are not met; all of them where it fails as a whole, or where that was not stored.
fn unmet(result: &CellResult) -> &[String] {
    match result.expectation_unmet.as_slice() {
        [] => &result.expectation_detail,
        unmet => unmet,
    }
}

/// Why a measurement is compared with nothing, if so.
fn incomparable(group: Option<&Group>) -> Option<String> {
    match group {
        None => Some("is missing".to_owned()),
        Some(group) if group.finished().next().is_none() => {
            Some(format!("has no verdict ({})", group.outcome()))
        }
        Some(group) if !group.is_comparable() => Some("is generator-bound".to_owned()),
        Some(_) => None,
    }
}

/// How far a profile's first cell and its A/A copy differ: smaller differences are not claims.
pub fn noise(view: &View) -> Vec<String> {
    let mut list = Vec::new();
    for again in view.groups.iter().filter(|group| group.again) {
        let is_first =
            |group: &&Group| !group.again && group.profile == again.profile && group.label == again.label;
        let first = view.groups.iter().find(is_first);
        let whys = [("the first measurement", first), ("the one at the end", Some(again))]
            .into_iter()
            .filter_map(|(which, group)| Some(format!("{which} {}", incomparable(group)?)));
        let whys: Vec<String> = whys.collect();
        let (Some(first), true) = (first, whys.is_empty()) else {
            list.push(format!(
                "{} · {}, measured again at the end: not compared, because {}. How small a difference between cells is a claim, this run does not say.",
                again.profile,
                again.label,
                whys.join(", and "),
            ));
            continue;
        };
        let differ = |one: Option<f64>, other: Option<f64>| match (one, other) {
            (Some(one), Some(other)) if one > 0.0 => format!("{:+.1} %", (other / one - 1.0) * 100.0),
            _ => "n/a".into(),
        };
        let series = if again.is_acks0() { "end_to_end" } else { "publish" };
        let p =
            |group: &Group, name| group.latency(series, Figure::Percentile(name)).map(|spread| spread.median);
        let rate = |group: &Group| group.throughput().map(|spread| spread.median);
        let cpu = |group: &Group| {
            group.figure(|result| result.cost.broker_cpu_ns_per_record).map(|spread| spread.median)
        };
        let or_range = if first.cells.len() > 1 { ", and those within the repeats' ranges," } else { "" };
        list.push(format!(
            "{} · {}, measured again at the end: throughput {}, {} p50 {}, p99 {}, broker CPU per record {}. Differences between cells below this{or_range} are not claims.",
            again.profile,
            again.label,
            differ(rate(first), rate(again)),
            word(&series),
            differ(p(first, "50"), p(again, "50")),
            differ(p(first, "99"), p(again, "99")),
            differ(cpu(first), cpu(again)),
        ));
    }
    list
}
