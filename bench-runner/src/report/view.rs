//! Stored cells as a reader compares them: repeats together, doubts as marks, figures only where there is a verdict.

use super::controls::Controls;
use super::damage::{self, DAMAGED, Damage};
use super::figures::duration;
use super::lines::counted;
use crate::store::{StoredCell, StoredRun};
use bench_model::latency::{LatencySummary, Percentile};
pub use bench_model::result::word;
use bench_model::result::{CellResult, Expectation, Outcome};
use bench_model::settings::{Acks, Arrival};
use bench_model::verdict::{Guarantee, Promise, TallyKind, Verdict, Weight, guarantee};
use std::collections::{BTreeMap, BTreeSet};

const GENERATOR_BOUND: &str = "generator-bound";

/// A figure over the repeats of a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Median over the repeats.
    pub median: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Repeats.
    pub repeats: usize,
    /// At least one of them is only a lower bound.
    pub at_least: bool,
}

impl Spread {
    /// Of values and whether each is only a lower bound; `None` without values.
    pub fn of(values: impl IntoIterator<Item = (f64, bool)>) -> Option<Spread> {
        let (mut values, bounds): (Vec<f64>, Vec<bool>) = values.into_iter().unzip();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(Spread { median, min, max, repeats: values.len(), at_least: bounds.contains(&true) })
    }

    /// The median, and the extremes where there are repeats.
    pub fn text(&self, figure: impl Fn(f64) -> String) -> String {
        let bound = if self.at_least { "≥ " } else { "" };
        if self.repeats == 1 {
            return format!("{bound}{}", figure(self.median));
        }
        let [median, min, max] = [self.median, self.min, self.max].map(figure);
        if min == max {
            return format!("{bound}{median}");
        }
        match [&median, &min, &max].map(|text| text.split_once(' ')) {
            [Some((median, unit)), Some((min, of_min)), Some((max, of_max))]
                if unit == of_min && unit == of_max =>
            {
                format!("{bound}{median} ({min}–{max}) {unit}")
            }
            _ if min.contains(' ') || max.contains(' ') => format!("{bound}{median} ({min} – {max})"),
            _ => format!("{bound}{median} ({min}–{max})"),
        }
    }
}

/// A latency figure of a summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// A percentile by its key.
    Percentile(&'static str),
    /// The maximum; a bound as soon as one value was cut off.
    Max,
}

impl Figure {
    /// In nanoseconds, and whether it is only a lower bound; `None`: too few samples.
    pub fn of(self, summary: &LatencySummary) -> Option<(f64, bool)> {
        match self {
            Figure::Percentile(name) => match summary.percentiles.get(name)? {
                Percentile::Exactly(ns) => Some((*ns as f64, false)),
                Percentile::AtLeast(ns) => Some((*ns as f64, true)),
                Percentile::TooFew => None,
            },
            Figure::Max => Some((summary.max_ns.max(summary.max_cut_ns) as f64, summary.censored > 0)),
        }
    }
}

/// One line of the tables: all repeats of a cell.
#[derive(Debug)]
pub struct Group<'a> {
    /// The profile.
    pub profile: &'a str,
    /// The label, `(again)` behind it for the A/A copy, and the marks of its caveats: unique within the profile.
    pub name: String,
    /// The label as planned.
    pub label: &'a str,
    /// The A/A copy.
    pub again: bool,
    /// Mark that stands beside each percentile of a generator-bound cell; empty otherwise.
    pub doubt: String,
    /// On the mock cluster nothing is promised.
    pub is_mock: bool,
    /// Evidence of a repeat is not what was stored.
    pub damaged: bool,
    /// Its repeats.
    pub cells: Vec<&'a StoredCell>,
}

impl<'a> Group<'a> {
    /// The first repeat: what all repeats have in common is read from it.
    pub fn first(&self) -> &'a CellResult {
        &self.cells[0].result
    }

    /// Repeats whose figures may be shown.
    pub fn finished(&self) -> impl Iterator<Item = &'a StoredCell> + '_ {
        self.cells.iter().copied().filter(|cell| cell.result.outcome == Outcome::Finished)
    }

    /// A report of this cell means "handed to a socket".
    pub fn is_acks0(&self) -> bool {
        self.first().cell.settings.producer.acks == Acks::Zero
    }

    /// This cell is one of the repeats.
    pub fn has(&self, cell: &StoredCell) -> bool {
        self.cells.iter().any(|own| own.result.cell.id == cell.result.cell.id)
    }

    /// Any repeat carries this caveat.
    pub fn has_caveat(&self, kind: &str) -> bool {
        (self.damaged && kind == DAMAGED)
            || self.cells.iter().any(|cell| cell.result.caveats.iter().any(|caveat| caveat.kind == kind))
    }

    /// Fit for comparisons: a verdict, and a generator that kept its schedule.
    pub fn is_comparable(&self) -> bool {
        self.finished().next().is_some() && !self.has_caveat(GENERATOR_BOUND)
    }

    /// A fault was carried out and proven in any repeat.
    pub fn has_fault(&self) -> bool {
        !self.first().cell.faults.is_empty()
    }

    /// A latency figure over the finished repeats, in nanoseconds.
    pub fn latency(&self, series: &str, figure: Figure) -> Option<Spread> {
        Spread::of(
            self.finished()
                .filter(|cell| is_whole(&cell.result, series))
                .filter_map(|cell| figure.of(cell.result.latencies.get(series)?)),
        )
    }

    /// A latency figure as text; publish latency of acks=0 is none.
    pub fn latency_text(&self, series: &str, figure: Figure) -> String {
        if ["publish", "service"].contains(&series) && self.is_acks0() {
            return "(handed over)".into();
        }
        match self.latency(series, figure) {
            None => "n/a".into(),
            // "≥ 0" would say nothing.
            Some(spread) if spread.at_least && spread.max <= 0.0 => "cut off".into(),
            Some(spread) => spread.text(duration) + &self.doubt,
        }
    }

    /// A plain figure over the finished repeats.
    pub fn figure(&self, figure: impl Fn(&CellResult) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.finished().filter_map(|cell| Some((figure(&cell.result)?, false))))
    }

    /// Its records come in bursts, with pauses that are not the client's doing.
    pub fn is_bursts(&self) -> bool {
        self.first().cell.settings.load.arrival.is_bursts()
    }

    /// Records per second; bursts have no rate.
    pub fn throughput(&self) -> Option<Spread> {
        self.figure(|result| (!self.is_bursts()).then_some(result.throughput_per_s))
    }

    /// Sum of a tally and of its denominator over the finished repeats; `None` where it was not checked.
    pub fn tally(&self, kind: TallyKind) -> Option<(u64, u64)> {
        let mut sum = None;
        for cell in self.finished() {
            let tally = cell.result.verdict.as_ref()?.tallies.get(&kind)?;
            if tally.not_checked.is_some() {
                return None;
            }
            let (count, of) = sum.unwrap_or((0, 0));
            sum = Some((count + tally.count, of + tally.of));
        }
        sum
    }

    /// Violations and reports that have no column of their own, as `name count`.
    pub fn other_findings(&self) -> String {
        const OWN: [TallyKind; 13] = [
            TallyKind::LogLoss,
            TallyKind::Acks0Drop,
            TallyKind::UnknownPresent,
            TallyKind::UnknownAbsent,
            TallyKind::DuplicateSameAttempt,
            TallyKind::DuplicateCrossAttempt,
            TallyKind::Reorder,
            // In the tables of groups.
            TallyKind::ProcessingLoss,
            TallyKind::BegunOnly,
            TallyKind::Redelivery,
            TallyKind::SinkDuplicate,
            TallyKind::SinkLoss,
            TallyKind::SinkRefused,
        ];
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for verdict in self.finished().filter_map(|cell| cell.result.verdict.as_ref()) {
            for (kind, tally) in &verdict.tallies {
                if !OWN.contains(kind) && tally.count > 0 {
                    *found.entry(word(kind)).or_default() += tally.count;
                }
            }
        }
        let list: Vec<String> = found.iter().map(|(name, count)| format!("{name} {count}")).collect();
        if list.is_empty() { "none".into() } else { list.join(", ") }
    }

    /// How the repeats ended, e.g. `finished` or `2 finished, 1 void`.
    pub fn outcome(&self) -> String {
        tell(self.cells.iter().map(|cell| word(&cell.result.outcome)))
    }

    /// What the settings guarantee, and why.
    pub fn guarantee(&self) -> Guarantee {
        let cell = &self.first().cell;
        guarantee(&cell.settings, cell.resends())
    }

    /// The promise of the finished repeats.
    pub fn promise(&self) -> String {
        let verdicts = self.finished().filter_map(|cell| cell.result.verdict.as_ref());
        tell(verdicts.map(|verdict| self.promise_of(verdict)))
    }

    /// The promise of one repeat: acks=0 makes none, and the mock cluster can keep none. A violation is one anywhere.
    pub fn promise_of(&self, verdict: &Verdict) -> String {
        let broken =
            verdict.tallies.values().any(|tally| tally.count > 0 && tally.weight == Weight::Violation);
        match verdict.promise {
            Promise::Violated if broken && self.is_mock => "VIOLATED (mock)".into(),
            Promise::Violated if broken => "VIOLATED".into(),
            Promise::Violated | Promise::Unjudged => word(&verdict.promise),
            Promise::Kept | Promise::Allowed if self.is_mock => "no claim (mock)".into(),
            Promise::Kept | Promise::Allowed if self.is_acks0() => "none made".into(),
            Promise::Kept | Promise::Allowed => word(&verdict.promise),
        }
    }

    /// The expectation of every repeat.
    pub fn expectation(&self) -> String {
        tell(self.cells.iter().map(|cell| match cell.result.expectation {
            Expectation::Unmet => "UNMET".to_owned(),
            other => word(&other),
        }))
    }
}

/// The series has a value for each record that was due, known or cut off. Earlier versions left out what a group never
/// processed, and what killed members had: of the rest alone no percentile may be told.
pub fn is_whole(result: &CellResult, series: &str) -> bool {
    let of_records = ["in_hand", "effect"].contains(&series);
    let withdrawn = result.cell.settings.producer.transaction.as_ref().is_some_and(|one| one.abort_every > 0);
    let values = result.latencies.get(series).map_or(0, |summary| summary.count);
    !of_records || withdrawn || values >= result.window_records
}

fn tell(words: impl Iterator<Item = String>) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for word in words {
        match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => counts.push((word, 1)),
        }
    }
    match counts.as_slice() {
        [] => "n/a".into(),
        [(word, _)] => word.clone(),
        several => {
            several.iter().map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
        }
    }
}

/// A run as it is reported.
#[derive(Debug)]
pub struct View<'a> {
    /// The run.
    pub run: &'a StoredRun,
    /// Its cells, repeats together, in the order of the plan.
    pub groups: Vec<Group<'a>>,
    /// Kinds of caveats of cells, by mark.
    pub marks: Vec<(char, String)>,
    /// Evidence that is not what was stored.
    pub damage: Vec<Damage>,
    /// What zeros are worth.
    pub controls: Controls,
}

impl<'a> View<'a> {
    /// Groups the cells and gives each kind of caveat a mark.
    pub fn of(run: &'a StoredRun) -> Self {
        let damage: Vec<Damage> = run.cells.iter().flat_map(damage::of).collect();
        let is_damaged = |id: &str| damage.iter().any(|damage| damage.cell == id);
        let is_mock = run.manifest.cluster.provider == "mock";
        let kinds: BTreeSet<&str> = run
            .cells
            .iter()
            .flat_map(|cell| &cell.result.caveats)
            .map(|caveat| caveat.kind.as_str())
            .chain((!damage.is_empty()).then_some(DAMAGED))
            .collect();
        let marks: Vec<(char, String)> = ('a'..='z').zip(kinds.into_iter().map(str::to_owned)).collect();
        let mut groups: Vec<Group<'a>> = Vec::new();
        for cell in &run.cells {
            let planned = &cell.result.cell;
            let same = |group: &&mut Group<'a>| {
                group.profile == planned.profile
                    && group.label == planned.label
                    && group.again == planned.again
            };
            if let Some(group) = groups.iter_mut().find(same) {
                group.damaged |= is_damaged(&planned.id);
                group.cells.push(cell);
            } else {
                let again = if planned.again { " (again)" } else { "" };
                // Its latency is service time under a full queue, and no open-loop latency of any rate.
                let closed =
                    if planned.settings.load.arrival == Arrival::Max { " (closed loop)" } else { "" };
                let name = format!("{}{closed}{again}", planned.label);
                groups.push(Group {
                    profile: &planned.profile,
                    name,
                    label: &planned.label,
                    again: planned.again,
                    doubt: String::new(),
                    is_mock,
                    damaged: is_damaged(&planned.id),
                    cells: vec![cell],
                });
            }
        }
        // Profiles as given, weak settings first whatever the order of execution was; the A/A copy last.
        let order: Vec<&str> = run.manifest.plan.iter().map(|cell| cell.profile.as_str()).collect();
        let place = |profile: &str| order.iter().position(|name| *name == profile);
        groups.sort_by_key(|group| {
            let producer = &group.first().cell.settings.producer;
            let strength = (producer.acks, producer.idempotence, producer.retries);
            (place(group.profile), group.again, strength)
        });
        for group in &mut groups {
            let own =
                marks.iter().filter(|(_, kind)| group.has_caveat(kind)).map(|(mark, _)| format!(" [{mark}]"));
            let suffix: String = own.collect();
            let bound = marks.iter().find(|(_, kind)| kind == GENERATOR_BOUND && group.has_caveat(kind));
            group.doubt = bound.map_or(String::new(), |(mark, _)| format!(" [{mark}]"));
            group.name.push_str(&suffix);
        }
        View { run, groups, marks, damage, controls: Controls::of(run, is_mock) }
    }

    /// The profiles that have cells, in order.
    pub fn profiles(&self) -> Vec<&'a str> {
        let mut names: Vec<&'a str> = self.groups.iter().map(|group| group.profile).collect();
        names.dedup();
        names
    }

    /// A name of one of its groups, outside of tables: with the profile where there are several.
    pub fn in_full(&self, group: &Group, name: &str) -> String {
        if self.profiles().len() > 1 { format!("{} {name}", group.profile) } else { name.to_owned() }
    }

    /// What stands under every chart: who measured what, where.
    pub fn credit(&self) -> String {
        let manifest = &self.run.manifest;
        let cluster = &manifest.cluster;
        match cluster.provider.as_str() {
            "mock" => format!("client: {}; mock: not Kafka; no durability claim", manifest.client),
            "local" => format!(
                "client: {}; {}; {} on one machine",
                manifest.client,
                cluster.version,
                counted(cluster.brokers.into(), "local broker")
            ),
            _ => format!(
                "client: {}; {}; {}, external",
                manifest.client,
                cluster.version,
                counted(cluster.brokers.into(), "broker")
            ),
        }
    }

    /// The stamp of a run that says nothing about Kafka.
    pub fn stamp(&self) -> Option<&'static str> {
        (self.run.manifest.cluster.provider == "mock").then_some("mock: not Kafka; no durability claim")
    }

    /// Kinds of caveats of the run as a whole, in one line; empty without any. The mock's own is in the credit.
    pub fn doubts_of_run(&self) -> String {
        let caveats = self.run.manifest.caveats.iter().filter(|caveat| caveat.kind != "mock");
        let kinds: Vec<&str> = caveats.map(|caveat| caveat.kind.as_str()).collect();
        if kinds.is_empty() { String::new() } else { format!("all of the run: {}", kinds.join("; ")) }
    }

    /// What the marks of these kinds mean, in one line; empty without any.
    pub fn legend_of_marks(&self, is_shown: impl Fn(&str) -> bool) -> String {
        let shown = self.marks.iter().filter(|(_, kind)| is_shown(kind));
        shown.map(|(mark, kind)| format!("[{mark}] {kind}")).collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn repeats_show_their_median_and_extremes() {
        let text = |values: &[(f64, bool)]| {
            Spread::of(values.to_vec()).expect("values").text(|value| value.to_string())
        };
        assert_eq!(text(&[(3.0, false)]), "3");
        assert_eq!(text(&[(9.0, false), (1.0, true), (3.0, false)]), "≥ 3 (1–9)");
        assert_eq!(text(&[(2.0, false), (1.0, false)]), "1.5 (1–2)");
        let spread = Spread::of([(1.0, false), (2.0, false)]).expect("values");
        assert_eq!(spread.text(|value| format!("{value} ms")), "1.5 (1–2) ms");
        assert_eq!(Spread::of([]), None);
    }
}
