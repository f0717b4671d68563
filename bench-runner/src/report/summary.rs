//! The outcome of a run as one versioned JSON document; every count with its denominator, every zero with its bound.

use super::damage::Damage;
use super::durability::{timeline, trials};
use super::figures::zero_bound_per_million;
use super::view::{View, word};
use super::workers;
use crate::store::{StoredCell, StoredRun};
use bench_model::latency::Percentile;
use bench_model::plan::Cell;
use bench_model::result::{CellResult, Cost};
use bench_model::settings::Acks;
use bench_model::verdict::{Promise, Tally, TallyKind, guarantee};
use serde_json::{Map, Value, json};

/// Major.minor of the document.
const SUMMARY_VERSION: &str = "1.3";

/// The whole document.
pub fn summary(run: &StoredRun) -> Value {
    let view = View::of(run);
    let manifest = &run.manifest;
    let durability: Vec<Value> = trials(&view)
        .iter()
        .map(|trial| {
            json!({
                "setting": trial.setting.name(),
                "fault": trial.fault,
                "untested": trial.is_untested(),
                "control_fired": trial.control_fired,
                "claimed": if trial.setting.acks == Acks::Zero { "sent" } else { "acked" },
                "of": trial.claimed,
                "lost": trial.lost,
                "lost_bound_per_million_95": bound(&view, trial.lost, trial.claimed),
                "faults": trial.faults,
                "faults_with_loss": trial.faults_with_loss,
                "faults_with_loss_is_lower_bound": trial.faults_with_loss_at_least,
                "faults_bound_per_million_95": bound(&view, trial.faults_with_loss, trial.faults),
                "end_to_end_p99_ns": trial.p99.map(|p99| p99.median),
                "end_to_end_p99_is_lower_bound": trial.p99.map(|p99| p99.at_least),
                "end_to_end_p99_under_fault": trial.p99_under_fault,
            })
        })
        .collect();
    json!({
        "schema": SUMMARY_VERSION,
        "run": manifest.run,
        "revision": manifest.revision,
        "command": manifest.command,
        "client": manifest.client,
        "started": manifest.started,
        "ended": manifest.ended,
        "cluster": {
            "provider": manifest.cluster.provider, "version": manifest.cluster.version, "brokers": manifest.cluster.brokers,
            "start_s": manifest.cluster.start_s, "warm": manifest.cluster.warm,
        },
        "stamp": view.stamp(),
        "interrupted": manifest.interrupted,
        "caveats": manifest.caveats,
        "damaged_evidence": view.damage.iter().map(Damage::line).collect::<Vec<_>>(),
        "skipped": manifest.skipped,
        "durability": durability,
        "cells": run.cells.iter().map(|it| cell(&view, it)).collect::<Vec<_>>(),
    })
}

/// What nothing seen is worth; on the mock cluster it is worth nothing.
fn bound(view: &View, count: u64, of: u64) -> Option<f64> {
    if count == 0 && view.stamp().is_none() { zero_bound_per_million(of) } else { None }
}

fn tally(view: &View, planned: &Cell, kind: TallyKind, tally: &Tally) -> Value {
    let is_zero = tally.count == 0 && tally.of > 0 && tally.not_checked.is_none();
    json!({
        "count": tally.count,
        "of": tally.of,
        "weight": word(&tally.weight),
        "bound_per_million_95": if tally.not_checked.is_none() { bound(view, tally.count, tally.of) } else { None },
        "not_checked": tally.not_checked,
        "zero": view.controls.reading(planned, kind).filter(|_| is_zero),
    })
}

/// As stored, unless nothing was promised.
fn promise(view: &View, cell: &StoredCell) -> Option<String> {
    let verdict = cell.result.judged()?;
    let group = view.groups.iter().find(|group| group.has(cell))?;
    Some(match verdict.promise {
        Promise::Violated => word(&verdict.promise),
        Promise::Kept | Promise::Allowed | Promise::Unjudged => group.promise_of(verdict),
    })
}

/// By series, each percentile with whether it is only a bound.
fn latencies(result: &CellResult) -> Map<String, Value> {
    result
        .latencies
        .iter()
        .map(|(series, summary)| {
            let percentiles: Map<String, Value> = summary
                .percentiles
                .iter()
                .map(|(name, percentile)| {
                    let value = match percentile {
                        Percentile::Exactly(ns) => json!({ "ns": ns, "is_lower_bound": false }),
                        Percentile::AtLeast(ns) => json!({ "ns": ns, "is_lower_bound": true }),
                        Percentile::TooFew => Value::Null,
                    };
                    (name.clone(), value)
                })
                .collect();
            let value = json!({
                "count": summary.count, "censored": summary.censored, "failed": summary.failed,
                "min_ns": summary.min_ns, "max_ns": summary.max_ns, "max_cut_ns": summary.max_cut_ns,
                "mean_ns": summary.mean_ns, "percentiles": percentiles,
            });
            // A report of acks=0 is a hand-over; under another name nobody compares it by accident.
            let of_producer = ["publish", "service", "lateness"].contains(&series.as_str());
            let handed_over = result.cell.settings.producer.acks == Acks::Zero && of_producer;
            (if handed_over { format!("handover_{series}") } else { series.clone() }, value)
        })
        .collect()
}

fn cell(view: &View, cell: &StoredCell) -> Value {
    let result = &cell.result;
    let planned = &result.cell;
    let rate = !planned.settings.load.arrival.is_bursts();
    let guarantee = guarantee(&planned.settings, planned.resends());
    let stated = workers::statements(cell);
    let errors: Vec<Value> = stated
        .iter()
        .flat_map(workers::transaction_errors)
        .map(|((whose, error), count)| json!({ "whose": whose, "error": error, "count": count }))
        .collect();
    let books = result.verdict.as_ref().map(|books| {
        let judged = result.judged();
        let tallies: Map<String, Value> = judged
            .iter()
            .flat_map(|verdict| &verdict.tallies)
            .map(|(kind, it)| (word(kind).replace(' ', "_"), tally(view, planned, *kind, it)))
            .collect();
        json!({
            "records": books.records, "attempts": books.attempts, "copies": books.copies,
            "classes": judged.map(|verdict| &verdict.classes), "tallies": tallies, "identities": books.identities,
        })
    });
    json!({
        "id": planned.id,
        "profile": planned.profile,
        "label": planned.label,
        "repeat": planned.repeat,
        "again": planned.again,
        "outcome": result.outcome,
        "reason": result.reason,
        "guarantee": guarantee.delivery.as_str(),
        "guarantee_rests_on": guarantee.why,
        "promise": promise(view, cell),
        "expectation": result.expectation,
        "expectation_detail": result.expectation_detail,
        "expectation_unmet": result.expectation_unmet,
        "failed_sends": result.failed_sends,
        "caveats": result.caveats,
        "settings": planned.effective().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "fault": timeline(&planned.faults),
        "faults": result.faults,
        "recovery": result.recovery,
        "partitions": result.partitions,
        "failed_by_second": result.failed_by_second,
        "deaths": stated.as_ref().map(|stated| &stated.deaths),
        "kills": stated.as_ref().map(|stated| &stated.kills),
        "joins": stated.as_ref().map(|stated| &stated.joins),
        "transaction_errors": errors,
        "verdict": books,
        "throughput_per_s": rate.then_some(result.throughput_per_s),
        "asked_per_s": result.asked_per_s,
        "window_ns": result.window_ns,
        "window_records": result.window_records,
        "blocked_ns": result.blocked_ns,
        "stages_ns": result.stages_ns,
        "latencies": latencies(result),
        "group": result.group,
        "cost": Cost { client_cpu_ns_per_record: result.cost.client_cpu_ns_per_record.filter(|_| rate), ..result.cost.clone() },
    })
}
