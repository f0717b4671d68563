//! What each producer setting lost under which fault, joined over the profiles of one run.
//!
//! A zero counts only where the fault is known to be able to lose something: a control fired.

use super::ordeals::{is_disturbed, planned};
use super::view::{Figure, Group, Spread, View, word};
use bench_model::fault::{Action, FaultStep, Target, When, spans};
use bench_model::plan::Cell;
use bench_model::profile::span_text;
use bench_model::result::{CellResult, Expectation, Outcome};
use bench_model::settings::{Acks, Arrival, CellSettings};
use bench_model::verdict::{Class, TallyKind};
use std::collections::{BTreeMap, BTreeSet};

/// The settings that decide about durability, and those that cells of one profile differ in besides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Setting {
    /// `acks`.
    pub acks: Acks,
    /// Retries.
    pub retries: u32,
    /// Idempotence.
    pub idempotence: bool,
    /// When a transaction ends, as a profile writes it; `None`: without transactions.
    pub transaction: Option<String>,
    /// `min.insync.replicas` of a topic that allows an unclean election.
    pub unclean: Option<u16>,
    /// `flush.messages`, where the topic has it.
    pub flush: Option<u64>,
    /// Further axes of a profile of this run: key and value.
    pub others: Vec<(String, String)>,
}

/// Axes that [`Setting`] has fields for, or that are no setting.
const OWN_AXES: [&str; 7] =
    ["acks", "retries", "idempotence", "transaction", "unclean-election", "flush-messages", "fault"];

/// The other axes, on which a profile of the run has cells with different values.
fn other_axes(results: &[&CellResult]) -> BTreeSet<String> {
    let mut axes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for cell in results.iter().map(|result| &result.cell) {
        let others = cell.axes.keys().map(String::as_str).filter(|axis| !OWN_AXES.contains(axis));
        axes.entry(&cell.profile).or_default().extend(others);
    }
    let mut values: BTreeMap<(&str, &str), BTreeSet<Option<&String>>> = BTreeMap::new();
    for cell in results.iter().map(|result| &result.cell) {
        for axis in axes.get(cell.profile.as_str()).into_iter().flatten() {
            // Without the axis a cell has the profile's own value, which differs.
            values.entry((&cell.profile, axis)).or_default().insert(cell.axes.get(*axis));
        }
    }
    values.into_iter().filter(|(_, values)| values.len() > 1).map(|((_, axis), _)| axis.to_owned()).collect()
}

impl Setting {
    /// Those of a cell's producer and topic.
    pub fn of(settings: &CellSettings) -> Self {
        let CellSettings { producer, topic, .. } = settings;
        let stated = |key: &str| topic.extra.get(key).map(String::as_str);
        let unclean = stated("unclean.leader.election.enable") == Some("true");
        Setting {
            acks: producer.acks,
            retries: producer.retries,
            idempotence: producer.idempotence,
            transaction: producer.transaction.as_ref().map(|one| span_text(Some(one.span))),
            unclean: unclean.then_some(topic.min_insync_replicas),
            flush: stated("flush.messages").and_then(|count| count.parse().ok()),
            others: Vec::new(),
        }
    }

    /// The same with a cell's values on these axes, whatever profile it comes from.
    fn of_cell(cell: &Cell, axes: &BTreeSet<String>) -> Self {
        let effective = if axes.is_empty() { Vec::new() } else { cell.effective() };
        let value = |axis: &String| {
            let here = effective.iter().find(|(key, _)| key.rsplit('.').next() == Some(axis));
            cell.axes.get(axis).or(here.map(|(_, value)| value)).cloned()
        };
        let others = axes.iter().filter_map(|axis| Some((axis.clone(), value(axis)?))).collect();
        Setting { others, ..Setting::of(&cell.settings) }
    }

    /// In the words of the cells' labels, e.g. `acks=all, idempotence=true`; a client that may retry for ever is the rule.
    pub fn name(&self) -> String {
        let mut name = self.producer();
        if let Some(span) = &self.transaction {
            name.push_str(&format!(", transaction={span}"));
        }
        if let Some(replicas) = self.unclean {
            name.push_str(&format!(", unclean election, min.insync.replicas={replicas}"));
        }
        if let Some(count) = self.flush {
            name.push_str(&format!(", flush.messages={count}"));
        }
        name.extend(self.others.iter().map(|(axis, value)| format!(", {axis}={value}")));
        name
    }

    fn producer(&self) -> String {
        let acks = self.acks.as_str();
        let endless = self.retries >= i32::MAX as u32;
        match (self.idempotence, self.retries, self.acks) {
            (true, ..) if endless => format!("acks={acks}, idempotence=true"),
            (true, retries, _) => format!("acks={acks}, idempotence=true, retries={retries}"),
            (_, _, Acks::Zero) => "acks=0".into(),
            _ if endless => format!("acks={acks}"),
            (_, retries, _) => format!("acks={acks}, retries={retries}"),
        }
    }
}

/// What is known about one setting under one fault timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The setting.
    pub setting: Setting,
    /// Faults and what happened to workers, in words; empty: no cell of this setting met with anything.
    pub fault: String,
    /// Acknowledged records in cells with this fault (acks=0: sent).
    pub claimed: u64,
    /// Of these, absent from the log.
    pub lost: u64,
    /// Faults in cells with this timeline, proven and with a verdict: a cell may repeat its fault.
    pub faults: u64,
    /// Of these, with a loss; one for each cell that lost something.
    pub faults_with_loss: u64,
    /// A cell with several faults lost something: in how many of them nobody knows.
    pub faults_with_loss_at_least: bool,
    /// Some cell of the run lost acknowledged records under the same timeline.
    pub control_fired: bool,
    /// p99 of the end-to-end latency in nanoseconds, over the repeats.
    pub p99: Option<Spread>,
    /// That latency comes from a cell with a fault, for want of one without: it is not comparable with the others.
    pub p99_under_fault: bool,
    /// The cell that the latency is from.
    pub p99_from: Option<String>,
    /// Kinds of caveats of the cells that the figures are from.
    pub caveats: BTreeSet<String>,
    /// Cells with this fault that give no figures, by state.
    pub left_out: Vec<String>,
}

impl Trial {
    /// Nothing may be said: there was no fault that is known to lose records.
    pub fn is_untested(&self) -> bool {
        self.faults == 0 || !self.control_fired
    }
}

/// A fault that is undone and done again, in words, e.g. `6.00 s kill current leader for 5.00 s, 5 times, every 20.0 s`.
fn repeated(steps: &[FaultStep]) -> Option<String> {
    let pairs = steps.chunks_exact(2).map(|pair| match pair {
        [act, undo] => match (act.when, undo.when) {
            (When::At(at_ns), When::After(lasts_ns)) => {
                Some((at_ns, lasts_ns, act.action, act.target, undo.action))
            }
            _ => None,
        },
        _ => None,
    });
    let pairs: Vec<_> = pairs.collect::<Option<_>>()?;
    let [(first_ns, lasts_ns, action, target, undo), (second_ns, ..), ..] = pairs[..] else { return None };
    let every_ns = second_ns.checked_sub(first_ns)?;
    let same = |(number, pair): (u64, &(u64, u64, Action, Target, Action))| {
        *pair == (first_ns + number * every_ns, lasts_ns, action, target, undo)
    };
    let [first, lasts, every] = [first_ns, lasts_ns, every_ns].map(|ns| super::figures::duration(ns as f64));
    (steps.len().is_multiple_of(2) && (0..).zip(&pairs).all(same)).then(|| {
        let what = format!("{} {}", word(&action), word(&target));
        format!("{first} {what} for {lasts}, {} times, every {every}", pairs.len())
    })
}

/// The timeline in words, e.g. `1.2 s stop followers; new leader: start leader`.
pub fn timeline(steps: &[FaultStep]) -> String {
    if let Some(words) = repeated(steps) {
        return words;
    }
    let words = steps.iter().map(|step| {
        let what = step.phrase(&word(&step.action), &word(&step.target));
        match step.when {
            When::At(ns) => format!("{} {what}", super::figures::duration(ns as f64)),
            When::NewLeader => format!("new leader: {what}"),
            When::After(ns) => format!("{} later {what}", super::figures::duration(ns as f64)),
            When::Acked(records) => format!("{records} acknowledged: {what}"),
            When::Met(least) => format!("{least} met: {what}"),
            When::InSync => format!("all in sync: {what}"),
        }
    });
    words.collect::<Vec<_>>().join("; ")
}

fn lost_of(result: &CellResult) -> (u64, u64) {
    let Some(verdict) = &result.verdict else { return (0, 0) };
    let class = if result.cell.settings.producer.acks == Acks::Zero { Class::Sent } else { Class::Acked };
    verdict.classes.get(&class).map_or((0, 0), |count| (count.absent, count.records))
}

pub(super) fn is_proven(result: &CellResult) -> bool {
    result.outcome == Outcome::Finished
        && is_disturbed(&result.cell)
        && result.faults.iter().all(|fault| fault.is_proven())
}

/// A loss was seen, or a profile that knew of it found exactly what it expected.
pub(super) fn fired(result: &CellResult) -> bool {
    let acknowledged = result.cell.settings.producer.acks != Acks::Zero;
    let expected = [TallyKind::LogLoss, TallyKind::Acks0Drop]
        .iter()
        .any(|kind| result.cell.expect.get(&word(kind).replace(' ', "_")).is_some_and(|count| *count > 0));
    is_proven(result)
        && ((acknowledged && lost_of(result).0 > 0) || (expected && result.expectation == Expectation::Met))
}

/// How many independent trials of its fault a cell was; workers that end are one together.
pub(super) fn trials_of(result: &CellResult) -> u64 {
    match result.cell.faults.is_empty() {
        true => 1,
        false => bench_model::fault::trials(&spans(&result.faults)),
    }
}

/// Every setting of the run under every fault that it met.
pub fn trials(view: &View) -> Vec<Trial> {
    let results: Vec<&CellResult> = view.run.cells.iter().map(|cell| &cell.result).collect();
    let axes = other_axes(&results);
    let mut settings: Vec<Setting> =
        results.iter().map(|result| Setting::of_cell(&result.cell, &axes)).collect();
    settings.sort();
    settings.dedup();
    let mut ordeals: Vec<String> = Vec::new();
    for result in &results {
        let words = planned(&result.cell);
        if !words.is_empty() && !ordeals.contains(&words) {
            ordeals.push(words);
        }
    }
    let mut trials = Vec::new();
    for setting in &settings {
        let of_setting = |result: &&&CellResult| Setting::of_cell(&result.cell, &axes) == *setting;
        let untested = || untested(setting, &axes, view);
        let before = trials.len();
        for ordeal in &ordeals {
            let met = |result: &CellResult| planned(&result.cell) == *ordeal;
            let with_fault: Vec<&CellResult> =
                results.iter().filter(of_setting).copied().filter(|result| met(result)).collect();
            if with_fault.is_empty() {
                continue;
            }
            let control_fired = results.iter().any(|result| met(result) && fired(result));
            let mut trial = Trial { fault: ordeal.clone(), control_fired, ..untested() };
            trial.caveats.extend(kinds(&with_fault));
            for result in with_fault {
                if !is_proven(result) {
                    trial.left_out.push(word(&result.outcome));
                    continue;
                }
                let (lost, claimed) = lost_of(result);
                trial.lost += lost;
                trial.claimed += claimed;
                let faults = trials_of(result);
                trial.faults += faults;
                trial.faults_with_loss += u64::from(lost > 0);
                trial.faults_with_loss_at_least |= lost > 0 && faults > 1;
            }
            trials.push(trial);
        }
        trials.extend(lost_without_a_fault(results.iter().filter(of_setting).copied(), untested));
        if trials.len() == before {
            trials.push(untested());
        }
    }
    trials
}

/// What the setting lost in cells where nobody injected anything, if it lost something: that needs no control.
fn lost_without_a_fault<'r>(
    results: impl Iterator<Item = &'r CellResult>,
    alone: impl Fn() -> Trial,
) -> Option<Trial> {
    let calm = results
        .filter(|result| !is_disturbed(&result.cell) && result.judged().is_some())
        .filter(|result| result.cell.settings.producer.acks != Acks::Zero);
    let mut trial = Trial { fault: "none was injected".into(), control_fired: true, ..alone() };
    for result in calm {
        let (lost, claimed) = lost_of(result);
        trial.lost += lost;
        trial.claimed += claimed;
        trial.faults += 1;
        trial.faults_with_loss += u64::from(lost > 0);
    }
    (trial.lost > 0).then_some(trial)
}

fn kinds<'r>(results: &'r [&CellResult]) -> impl Iterator<Item = String> + 'r {
    results.iter().flat_map(|result| &result.caveats).map(|caveat| caveat.kind.clone())
}

/// The setting alone: its latency, and no fault.
fn untested(setting: &Setting, axes: &BTreeSet<String>, view: &View) -> Trial {
    let groups: Vec<_> = view
        .groups
        .iter()
        .filter(|group| Setting::of_cell(&group.first().cell, axes) == *setting && group.is_comparable())
        .filter(|group| group.first().cell.settings.load.arrival != Arrival::Max)
        .collect();
    let has_p99 = |group: &&&Group| group.latency("end_to_end", Figure::Percentile("99")).is_some();
    let calm = groups.iter().filter(|group| !is_disturbed(&group.first().cell)).find(has_p99);
    let source = calm.or(groups.iter().find(has_p99));
    let p99 = source.and_then(|group| group.latency("end_to_end", Figure::Percentile("99")));
    let cells: Vec<&CellResult> =
        source.iter().flat_map(|group| &group.cells).map(|cell| &cell.result).collect();
    Trial {
        setting: setting.clone(),
        fault: String::new(),
        claimed: 0,
        lost: 0,
        faults: 0,
        faults_with_loss: 0,
        faults_with_loss_at_least: false,
        control_fired: false,
        p99,
        p99_under_fault: p99.is_some() && calm.is_none(),
        p99_from: source.map(|group| {
            let again = if group.again { " (again)" } else { "" };
            format!("{} · {}{again}", group.profile, group.label)
        }),
        caveats: kinds(&cells).collect(),
        left_out: Vec::new(),
    }
}
