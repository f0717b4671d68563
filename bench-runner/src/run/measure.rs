//! From what workers and evidence say to the stored result of a cell: latencies, verdict, cost, doubts.

use super::caveats;
use super::cell::Observed;
use super::evidence::Evidence;
use bench_model::fault::FaultRecord;
use bench_model::latency::{Series, Set};
use bench_model::plan::Cell;
use bench_model::result::{CellResult, Cost, Expectation, Outcome, SCHEMA_VERSION, Second};
use bench_model::settings::{Acks, Arrival, Length};
use bench_model::verdict::{self, TallyKind, Verdict};
use bench_model::wire::{Done, Progress};
use std::path::Path;

const SECOND_NS: u64 = 1_000_000_000;

/// The result of a cell of which nothing is known yet.
pub fn blank(run: &str, cell: &Cell) -> CellResult {
    CellResult {
        schema: SCHEMA_VERSION.into(),
        run: run.into(),
        cell: cell.clone(),
        outcome: Outcome::CouldNotStart,
        reason: None,
        expectation: if cell.expect.is_empty() { Expectation::None } else { Expectation::Unmet },
        expectation_detail: Vec::new(),
        verdict: None,
        faults: Vec::new(),
        latencies: Default::default(),
        throughput_per_s: 0.0,
        asked_per_s: match cell.settings.load.arrival {
            Arrival::Constant { per_second } | Arrival::Poisson { per_second } => Some(per_second as f64),
            Arrival::Max | Arrival::Bursts(_) => None,
        },
        window_ns: 0,
        window_records: 0,
        blocked_ns: 0,
        cost: Cost::default(),
        seconds: Vec::new(),
        caveats: Vec::new(),
        client_settings: Default::default(),
        topic_settings: Default::default(),
        errors: Vec::new(),
        stages_ns: Default::default(),
        evidence: Default::default(),
    }
}

/// Fills in everything that was observed; the merged series are left in `directory`.
pub fn fill(
    result: &mut CellResult,
    cell: &Cell,
    observed: &Observed,
    evidence: &Evidence,
    drained: Result<(), String>,
    directory: &Path,
) -> Result<(), String> {
    let drained = drained.and_then(|()| undrained(observed));
    let verdict =
        verdict::judge(&cell.settings, &observed.faults, &evidence.ledgers, &evidence.readings, drained);
    (result.outcome, result.reason) = outcome(&verdict, &observed.faults);
    (result.expectation, result.expectation_detail) = expectation(cell, &verdict, result.outcome);
    result.faults = observed.faults.clone();
    result.client_settings = observed.client_settings.clone();
    result.errors.extend(observed.errors.iter().cloned());
    result.blocked_ns = observed.producers.iter().map(|done| done.total.blocked_ns).sum();
    let set = series(cell, observed, directory)?;
    latencies(result, cell, observed, &set);
    throughput_and_cost(result, cell, observed, &set);
    result.caveats = caveats::of_cell(cell, observed, result, &verdict);
    result.verdict = Some(verdict);
    let path = directory.join("latency.hlog");
    std::fs::write(&path, set.to_text()).map_err(|error| format!("{}: {error}", path.display()))
}

/// A reader that did not reach the ends leaves the latencies in doubt, not the books; they have a reader of their own.
fn undrained(observed: &Observed) -> Result<(), String> {
    match observed.reader.drained {
        true => Ok(()),
        false => Err("the end-to-end reader did not reach the end of every partition in time".to_owned()),
    }
}

fn outcome(verdict: &Verdict, faults: &[FaultRecord]) -> (Outcome, Option<String>) {
    if let Some(step) = faults.iter().find(|fault| !fault.is_proven()) {
        let what = format!("{:?} of the {:?} could not be proven", step.step.action, step.step.target)
            .to_lowercase();
        return (Outcome::NotInjected, Some(what));
    }
    if let Some(reason) = &verdict.inconclusive {
        return (Outcome::Inconclusive, Some(reason.clone()));
    }
    if verdict.is_void() {
        let broken: Vec<String> = verdict
            .identities
            .iter()
            .filter(|identity| !identity.holds)
            .map(|identity| format!("{}: {}", identity.name, identity.detail))
            .collect();
        return (Outcome::Void, Some(format!("the books do not balance: {}", broken.join("; "))));
    }
    (Outcome::Finished, None)
}

fn expectation(cell: &Cell, verdict: &Verdict, outcome: Outcome) -> (Expectation, Vec<String>) {
    if cell.expect.is_empty() {
        return (Expectation::None, Vec::new());
    }
    let mut met = outcome == Outcome::Finished;
    let lines = cell
        .expect
        .iter()
        .map(|(name, expected)| {
            let observed = name
                .parse::<TallyKind>()
                .ok()
                .and_then(|kind| verdict.tallies.get(&kind))
                .map(|tally| tally.count);
            met &= observed == Some(*expected);
            let observed = observed.map_or_else(|| "nothing".to_owned(), |count| count.to_string());
            format!("{name}: expected {expected}, observed {observed}")
        })
        .collect();
    (if met { Expectation::Met } else { Expectation::Unmet }, lines)
}

/// All series of the cell: producers merged, and records never delivered cut off in the end-to-end latency.
fn series(cell: &Cell, observed: &Observed, directory: &Path) -> Result<Set, String> {
    let workers = directory.join("workers");
    let read = |name: &str| {
        let path = workers.join(name).join("latency.hlog");
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Set::from_text(&text).map_err(|error| format!("{}: {error}", path.display()))
    };
    let mut set = read("reader")?;
    for producer in 0..cell.settings.load.producers {
        set.merge(&read(&format!("producer-{producer}"))?);
    }
    censor_undelivered(&mut set, observed);
    Ok(set)
}

/// A record that was due and never delivered waits still when the reader ends: no setting may look fast by losing its
/// slow records. Its second is known, so its age is at least that of the second's end.
fn censor_undelivered(set: &mut Set, observed: &Observed) {
    let Some(publish) = set.get("publish") else { return };
    let due: Vec<u64> = (0..=publish.seconds()).map(|second| publish.count(second)).collect();
    let ended_ns = observed.reader.ended_ns.saturating_sub(observed.t0_ns);
    let Some(end_to_end) = set.get_mut("end_to_end") else { return };
    for (second, due) in due.into_iter().enumerate() {
        let missing = due.saturating_sub(end_to_end.count(second));
        let cut_ns = ended_ns.saturating_sub((second as u64 + 1) * SECOND_NS);
        end_to_end.censor_many(second, cut_ns, missing);
    }
}

/// Seconds of the measured window, for series that are kept by second.
fn window_seconds(cell: &Cell, set: &Set) -> std::ops::Range<usize> {
    let load = &cell.settings.load;
    let all = set.get("publish").map_or(0, Series::seconds);
    let first = usize::try_from(load.warmup_ns.div_ceil(SECOND_NS)).unwrap_or(0).min(all);
    // Nothing is due after the window, so its end needs no cut; the overflow second belongs to it.
    first..all + 1
}

fn latencies(result: &mut CellResult, cell: &Cell, observed: &Observed, set: &Set) {
    let window = window_seconds(cell, set);
    for name in ["publish", "service", "lateness", "end_to_end"] {
        if let Some(summary) = set.get(name).and_then(|series| series.summary(window.clone())) {
            result.latencies.insert(name.to_owned(), summary);
        }
    }
    let (publish, end_to_end) = (set.get("publish"), set.get("end_to_end"));
    let seconds = publish.map_or(0, Series::seconds);
    result.seconds = (0..seconds)
        .map(|second| Second {
            second: u32::try_from(second).unwrap_or(u32::MAX),
            records: publish.map_or(0, |series| series.count(second)),
            acked: publish.map_or(0, |series| series.ended(second)),
            publish_ns: publish.and_then(|series| series.second_ns(second)),
            end_to_end_ns: end_to_end.and_then(|series| series.second_ns(second)),
        })
        .collect();
    while result.seconds.last().is_some_and(|second| second.records == 0) {
        result.seconds.pop();
    }
    result.window_records =
        publish.map_or(0, |series| window.clone().map(|second| series.count(second)).sum());
    result.window_ns = window_ns(cell, observed);
}

fn window_ns(cell: &Cell, observed: &Observed) -> u64 {
    match (cell.settings.load.length, cell.settings.load.window_end_ns()) {
        (Length::Time(window_ns), Some(_)) => window_ns,
        (_, Some(end_ns)) => end_ns - cell.settings.load.warmup_ns,
        (_, None) => {
            let last_ns = observed.producers.iter().map(|done| done.ended_ns).max().unwrap_or(0);
            last_ns.saturating_sub(observed.t0_ns + cell.settings.load.warmup_ns)
        }
    }
}

fn throughput_and_cost(result: &mut CellResult, cell: &Cell, observed: &Observed, set: &Set) {
    let windows: Vec<(Progress, Progress)> =
        observed.producers.iter().filter_map(|done: &Done| done.window).collect();
    let grown = |field: fn(&Progress) -> u64| -> u64 {
        windows.iter().map(|(begin, end)| field(end).saturating_sub(field(begin))).sum()
    };
    let seconds = result.window_ns as f64 / 1e9;
    let (records, cpu_ns) = (grown(|progress| progress.records), grown(|progress| progress.cpu_ns));
    let delivered = match cell.settings.producer.acks {
        Acks::Zero => {
            set.get("end_to_end").map_or(0, |series| window_seconds(cell, set).map(|s| series.ended(s)).sum())
        }
        Acks::One | Acks::All => grown(|progress| progress.acked),
    };
    if seconds > 0.0 {
        result.throughput_per_s = delivered as f64 / seconds;
    }
    let per_record = |total: u64| (records > 0).then(|| total as f64 / records as f64);
    result.cost.client_cpu_ns_per_record = per_record(cpu_ns);
    if let [Some(begin), Some(end)] = &observed.usage {
        result.cost.broker_cpu_ns_per_record = per_record(end.cpu_ns.saturating_sub(begin.cpu_ns));
        result.cost.disk_bytes_per_record =
            per_record(end.disk_write_bytes.saturating_sub(begin.disk_write_bytes));
        result.cost.network_bytes_per_record =
            per_record(end.network_bytes.saturating_sub(begin.network_bytes));
    }
}
