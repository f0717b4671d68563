//! Matrix, include, exclude and expect: from axes to the combinations that can be, and those that cannot.

use super::axes::{Axis, Choice};
use super::consumer;
use super::draft::{Draft, Pace, impossible};
use super::ordeals::{Ordeals, Planned};
use super::problems::{Place, Problems};
use super::section::{Section, Wrong, nearest};
use super::transaction;
use super::tree::{Node, Value};
use super::{Combination, Impossible, sink, values};
use crate::settings::{ClusterAsk, CommitStrategy};
use std::collections::BTreeMap;

/// The names of tallies that `expect` knows: those of `verdict::TallyKind` (held equal by a test).
pub const TALLIES: [&str; 28] = [
    "log_loss",
    "acks0_drop",
    "unknown_present",
    "unknown_absent",
    "phantom",
    "duplicate_same_attempt",
    "duplicate_cross_attempt",
    "reorder",
    "rewritten_log",
    "offset_gap",
    "misplaced",
    "alien",
    "corrupt",
    "unledgered",
    "aborted_copies",
    "aborted_read",
    "torn_transaction",
    "processing_loss",
    "begun_only",
    "vanished",
    "redelivery",
    "commit_ahead",
    "poll_skip",
    "non_monotonic_poll",
    "consumer_aborted_read",
    "sink_duplicate",
    "sink_loss",
    "sink_refused",
];
/// From here on they count what a group does.
const FIRST_OF_GROUP: &str = "processing_loss";

/// They count what becomes of transactions.
const OF_TRANSACTIONS: [&str; 4] =
    ["aborted_copies", "aborted_read", "torn_transaction", "consumer_aborted_read"];

/// Of these, what a group's transactions may do to its output.
const OF_PIPELINES: [&str; 2] = ["aborted_read", "torn_transaction"];

/// They count what a group has left in its sink.
const OF_SINKS: [&str; 3] = ["sink_duplicate", "sink_loss", "sink_refused"];

/// Above this a matrix is a slip of the pen, and expanding it would only cost memory.
const MOST_COMBINATIONS: usize = 10_000;
const EXPECT_HELP: &str = "write the count of a tally, like log_loss = 0";

/// Values allowed on each axis; an axis that is not listed is free (in a pattern) or the profile's (in a matrix).
pub(super) type Grid = Vec<(Axis, Vec<Choice>)>;

struct Expect {
    place: Place,
    cells: Grid,
    counts: BTreeMap<String, u64>,
    used: bool,
}

/// What sections outside this file contribute.
pub(super) struct Base<'a> {
    pub draft: Draft,
    pub pace: Pace,
    pub cluster: &'a ClusterAsk,
    pub sink: &'a sink::Keys,
    /// Where to point when the profile as a whole is at fault.
    pub place: Place,
}

/// Reads the five sections of `root` and expands them.
pub(super) fn expand(
    root: &mut Section<'_>,
    base: &Base<'_>,
    problems: &Problems,
) -> (Vec<Combination>, Vec<Impossible>) {
    let section = root.table("matrix");
    let place = section.as_ref().map_or(&base.place, Section::place).clone();
    let matrix = section.map(|section| grid(section, problems)).unwrap_or_default();
    let include: Vec<(Place, Grid)> = root
        .tables("include")
        .into_iter()
        .map(|section| (section.place().clone(), grid(section, problems)))
        .collect();
    let exclude: Vec<(Place, Grid)> = root
        .tables("exclude")
        .into_iter()
        .map(|section| (section.place().clone(), grid(section, problems)))
        .collect();
    let group = base.draft.group.is_some();
    let mut expect: Vec<Expect> =
        root.tables("expect").into_iter().map(|section| expectation(section, group, problems)).collect();
    let mut ordeals = Planned::read(root, group, problems);
    if !problems.is_empty() {
        return Default::default();
    }
    let mut found = Expansion { base, problems, ordeals: &ordeals, drafts: Vec::new() };
    if !matrix.is_empty() || include.is_empty() {
        let mut matched = vec![false; exclude.len()];
        for choices in product(&matrix, &place, problems) {
            let draft = found.draft(&choices);
            let hit = exclude.iter().position(|(_, pattern)| matches(pattern, &draft));
            match hit {
                Some(index) => matched[index] = true,
                None => found.add(&place, choices, draft),
            }
        }
        for ((place, _), matched) in exclude.iter().zip(matched) {
            if !matched {
                problems.add(
                    place,
                    "this exclude matches no cell of the matrix",
                    "correct its values, or remove it",
                );
            }
        }
    }
    for (place, grid) in &include {
        for choices in product(grid, place, problems) {
            let draft = found.draft(&choices);
            found.add(place, choices, draft);
        }
    }
    let mut drafts = found.drafts;
    // One that is written as "none" was thought of.
    let has_transactions = drafts.iter().any(|one| one.draft.producer.transaction.is_some())
        || written(root, "transaction").is_some();
    if let Some(place) = written(root, transaction::KEYS)
        && !has_transactions
        && problems.is_empty()
    {
        let help = "write transaction = 100 (records) or \"50 ms\" in [producer], or remove the key";
        problems.add(&place, "this key says what transactions are like, and no cell has any", help);
    }
    overruled(root, &drafts, problems);
    for one in drafts.iter_mut().filter(|one| one.place == base.place) {
        let reason = one.reason.as_deref().unwrap_or_default();
        one.place = written(root, reason).unwrap_or_else(|| base.place.clone());
    }
    judge(drafts, &mut expect, &mut ordeals, base, problems)
}

/// Where a key stands that these words name: the only cell of a profile is nowhere else.
fn written(root: &mut Section<'_>, words: &str) -> Option<Place> {
    let words = words.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let names = |key: &str| words.clone().any(|word| word == key);
    ["consumer", "sink", "producer", "topic", "load", "cluster"].into_iter().find_map(|section| {
        let Value::Table(entries) = &root.entry(section)?.node.value else { return None };
        entries.iter().find(|entry| names(&entry.key)).map(|entry| entry.key_place.clone())
    })
}

/// Notes what is set outside the cells although each of them sets it itself: whoever wrote it believes that it holds.
fn overruled(root: &mut Section<'_>, drafts: &[Candidate], problems: &Problems) {
    let chosen = |one: &Candidate, axis| one.choices.iter().any(|choice| choice.axis() == Some(axis));
    for axis in Axis::ALL.into_iter().filter(|axis| drafts.iter().all(|one| chosen(one, *axis))) {
        let key = axis.key();
        if let (Some(place), false) = (written(root, key), drafts.is_empty()) {
            let message = format!("no cell has this {key}: each takes its own from [matrix] or [[include]]");
            let help =
                format!("remove it; matrix.{key} is what cells vary over, and --only picks some of them");
            problems.add(&place, message, help);
        }
    }
}

/// What a tally counts of and a cell does not have, and how to leave the cell out.
fn lacks(draft: &Draft, tally: &str) -> Option<(&'static str, &'static str)> {
    let group = draft.group.as_ref();
    let pipeline = OF_PIPELINES.contains(&tally)
        && group.is_some_and(|group| group.commit == CommitStrategy::Transaction);
    if OF_TRANSACTIONS.contains(&tally) && draft.producer.transaction.is_none() && !pipeline {
        return Some(("transactions", "narrow it by cells = { transaction = … }"));
    }
    let has_sink = group.is_some_and(|group| group.sink.is_some());
    (OF_SINKS.contains(&tally) && !has_sink).then_some(("sink", "narrow it by cells = { sink = … }"))
}

/// Sorts the possible from the impossible and hands out expectations.
fn judge(
    drafts: Vec<Candidate>,
    expect: &mut [Expect],
    ordeals: &mut Planned,
    base: &Base<'_>,
    problems: &Problems,
) -> (Vec<Combination>, Vec<Impossible>) {
    let (mut combinations, mut cannot) = (Vec::new(), Vec::new());
    let mut places: Vec<Place> = Vec::new();
    let mut timelines: Vec<(String, Place)> = Vec::new();
    for Candidate { place, choices, draft, suffers, reason } in drafts {
        let axes: Vec<(&str, String)> =
            choices.iter().filter_map(|choice| Some((choice.axis()?.key(), choice.text()))).collect();
        let label = label(&axes);
        timelines.extend(draft.fault.clone().map(|name| (name, place.clone())));
        if let Some(reason) = reason {
            cannot.push(Impossible { label, reason });
            places.push(place);
            continue;
        }
        ordeals.check(&draft, base.cluster, &label, problems);
        let mut counts = BTreeMap::new();
        for expect in expect.iter_mut().filter(|expect| matches(&expect.cells, &draft)) {
            expect.used = true;
            for (tally, count) in &expect.counts {
                if let Some((what, help)) = lacks(&draft, tally) {
                    let message = format!("cell \"{label}\" has no {what} for {tally} to count");
                    problems.add(&expect.place, message, help);
                }
                let before = counts.insert(tally.clone(), *count);
                if before.is_some_and(|before| before != *count) {
                    let message = format!("{tally} of cell \"{label}\" has two expected counts");
                    problems.add(&expect.place, message, "narrow one of them by cells = { … }");
                }
            }
        }
        let axes = axes.into_iter().map(|(key, text)| (key.to_string(), text)).collect();
        combinations.push(Combination {
            label,
            axes,
            settings: draft.settings(),
            deaths: suffers.deaths,
            kills: suffers.kills,
            joins: suffers.joins,
            faults: suffers.faults,
            expect: counts,
        });
    }
    if combinations.is_empty() && problems.is_empty() {
        nothing_left(&cannot, &places, base, problems);
    }
    for expect in expect.iter().filter(|expect| !expect.used && problems.is_empty()) {
        problems.add(&expect.place, "this expect matches no cell that can run", "correct its cells = { … }");
    }
    ordeals.check_used(&timelines, problems);
    (combinations, cannot)
}

/// Points at everything that asks for cells, with the reasons why none of them can be.
fn nothing_left(cannot: &[Impossible], places: &[Place], base: &Base<'_>, problems: &Problems) {
    let message = "no cell of this profile can be run";
    if cannot.is_empty() {
        problems.add(&base.place, message, "every cell is excluded: remove an [[exclude]]");
    }
    for (index, place) in places.iter().enumerate().filter(|(index, place)| !places[..*index].contains(place))
    {
        let here = cannot[index..].iter().zip(&places[index..]).filter(|(_, other)| *other == place);
        let reasons: Vec<String> = here.map(|(cell, _)| format!("{}: {}", cell.label, cell.reason)).collect();
        problems.add(place, message, reasons.join("\n"));
    }
}

fn label(axes: &[(&str, String)]) -> String {
    if axes.is_empty() {
        return "base".into();
    }
    axes.iter().map(|(key, text)| format!("{key}={text}")).collect::<Vec<_>>().join(", ")
}

struct Expansion<'a> {
    base: &'a Base<'a>,
    problems: &'a Problems,
    ordeals: &'a Planned,
    drafts: Vec<Candidate>,
}

/// A combination, and why it cannot be, if so.
struct Candidate {
    place: Place,
    choices: Vec<Choice>,
    draft: Draft,
    suffers: Ordeals,
    reason: Option<String>,
}

impl Expansion<'_> {
    fn draft(&self, choices: &[Choice]) -> Draft {
        let mut draft = self.base.draft.clone();
        choices.iter().for_each(|choice| choice.apply(&mut draft));
        if draft.producer.transaction.is_none() {
            // Cells that only would have different transactions are the same cell.
            draft.transaction = transaction::DEFAULTS;
        }
        if let Some(group) = &mut draft.group {
            consumer::settle(group, self.base.cluster);
            sink::settle(group, self.base.sink);
        }
        draft
    }

    fn add(&mut self, place: &Place, choices: Vec<Choice>, draft: Draft) {
        let rate = choices.iter().any(|choice| matches!(choice, Choice::Rate(_)));
        let group = choices.iter().find(|choice| matches!(choice, Choice::Group(_))).and_then(Choice::axis);
        if let (Some(axis), None) = (group, &draft.group) {
            let message = format!("{} is of a consumer group, and there is none", axis.key());
            self.problems.add(place, message, "write [consumer], which may be empty");
        } else if rate && self.base.pace == Pace::Bursts {
            let help = "remove rate here, or bursts in [load]";
            self.problems.add(place, "bursts say when every record is due: a rate cannot vary", help);
        } else if !rate && self.base.pace == Pace::Missing {
            let help =
                "write rate = \"20k/s\" (or \"max\") in [load], or bursts = [{ at = \"0 s\", records = 10 }]";
            self.problems.add(&self.base.place, "the profile does not say when records are due", help);
        } else if let Some(reason) = without_database(&choices, &draft) {
            let suffers = Ordeals::default();
            self.drafts.push(Candidate {
                place: place.clone(),
                choices,
                draft,
                suffers,
                reason: Some(reason),
            });
        } else if self.drafts.iter().any(|other| other.draft == draft) {
            let help = "remove one: repeats give more of the same cell";
            self.problems.add(place, "this cell is there already, with the same effective settings", help);
        } else {
            let suffers = self.ordeals.of(&draft);
            let reason = impossible(&draft, self.base.cluster).or_else(|| suffers.impossible(&draft));
            self.drafts.push(Candidate { place: place.clone(), choices, draft, suffers, reason });
        }
    }
}

/// Why a cell cannot vary a setting of a database: it has another sink.
fn without_database(choices: &[Choice], draft: &Draft) -> Option<String> {
    let of_a_database =
        |choice: &&Choice| matches!(choice, Choice::Group(one) if one.axis().is_of_a_database());
    let lost = |choice: &&Choice| choice.axis().is_some_and(|axis| axis.of(draft) != **choice);
    let axis = choices.iter().filter(of_a_database).find(lost)?.axis()?;
    let sink = draft.group.as_ref()?.sink.as_ref().map_or("none", |sink| sink.kind.as_str());
    Some(format!("sink={sink} has no {}", axis.key()))
}

/// Every axis free or on one of its values.
pub(super) fn matches(pattern: &Grid, draft: &Draft) -> bool {
    pattern.iter().all(|(axis, choices)| choices.contains(&axis.of(draft)))
}

/// All combinations, the last axis fastest.
fn product(grid: &Grid, place: &Place, problems: &Problems) -> Vec<Vec<Choice>> {
    let size = grid.iter().try_fold(1usize, |size, (_, choices)| size.checked_mul(choices.len()));
    if size.is_none_or(|size| size > MOST_COMBINATIONS) {
        let message = format!("more than {MOST_COMBINATIONS} combinations");
        problems.add(place, message, "vary fewer axes at once; [[include]] adds single cells");
        return Vec::new();
    }
    grid.iter().fold(vec![Vec::new()], |rows, (_, choices)| {
        rows.iter()
            .flat_map(|row| {
                choices.iter().map(move |choice| [row.as_slice(), std::slice::from_ref(choice)].concat())
            })
            .collect()
    })
}

/// Reads axes with one value or a list of values each.
pub(super) fn grid(mut section: Section<'_>, problems: &Problems) -> Grid {
    let grid = Axis::ALL
        .into_iter()
        .filter_map(|axis| Some((axis, choices(axis, &section.entry(axis.key())?.node, problems))))
        .collect();
    section.finish();
    grid
}

fn choices(axis: Axis, node: &Node, problems: &Problems) -> Vec<Choice> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    if items.is_empty() {
        problems.add(
            &node.place,
            format!("{} has no values", axis.key()),
            "list at least one, or remove the axis",
        );
    }
    let mut choices = Vec::new();
    for item in items {
        match axis.parse(item) {
            Ok(choice) if choices.contains(&choice) => {
                let message = format!("{} = {} is listed twice", axis.key(), choice.text());
                problems.add(&item.place, message, "remove one: repeats give more of the same cell");
            }
            Ok(choice) => choices.push(choice),
            Err(Wrong { message, help, .. }) => {
                problems.add(&item.place, format!("{}: {message}", axis.key()), help)
            }
        }
    }
    choices
}

fn of_group(tally: &str) -> bool {
    TALLIES.iter().skip_while(|name| **name != FIRST_OF_GROUP).any(|name| *name == tally)
}

fn expectation(mut section: Section<'_>, group: bool, problems: &Problems) -> Expect {
    let place = section.place().clone();
    let cells = section.table("cells").map(|cells| grid(cells, problems)).unwrap_or_default();
    let mut counts = BTreeMap::new();
    let others = section.others();
    if others.is_empty() {
        problems.add(&place, "this expect expects nothing", EXPECT_HELP);
    }
    for entry in others {
        if !TALLIES.contains(&entry.key.as_str()) {
            let help = match nearest(&entry.key.replace('-', "_"), &TALLIES) {
                Some(tally) => format!("did you mean {tally}?"),
                None => format!("known: cells, {}", TALLIES.join(", ")),
            };
            problems.add(&entry.key_place, format!("{} is no tally", entry.key), help);
            continue;
        }
        if !group && of_group(&entry.key) {
            let message = format!("{} counts what a consumer group does, and there is none", entry.key);
            problems.add(&entry.key_place, message, "write [consumer], or remove the line");
        }
        match values::number(&entry.node, 0..=1_000_000_000_000) {
            Ok(count) => {
                counts.insert(entry.key.clone(), count);
            }
            Err(wrong) => {
                problems.add(&entry.node.place, format!("{}: {}", entry.key, wrong.message), wrong.help)
            }
        }
    }
    Expect { place, cells, counts, used: false }
}
