//! The report as a list of blocks: what is said and in which order; how it looks is the renderers' business.

use super::damage::Damage;
use super::plots::{self, Chart, Place};
use super::table::Table;
use super::view::View;
use super::{
    contingency, delivery, environment, faults, notes, offenders, recovery, settings, tables, transactions,
};

/// A part of a page.
#[derive(Debug)]
pub enum Block {
    /// A heading of this level (2 or 3).
    Heading(u8, String),
    /// A paragraph.
    Text(String),
    /// A warning that must not be overlooked.
    Stamp(String),
    /// Text to copy.
    Code(String),
    /// A list.
    List(Vec<String>),
    /// A table.
    Table(Table),
    /// A chart; its table follows as a block of its own.
    Chart(Chart),
    /// Folded away until it is asked for.
    Details(String, Vec<Block>),
    /// Too long to be read as plain text: folded away, or only said where it is.
    Bulk {
        /// What it is.
        title: String,
        /// Where else it is.
        elsewhere: String,
        /// The parts.
        inner: Vec<Block>,
    },
}

/// A page.
#[derive(Debug)]
pub struct Page {
    /// Its title.
    pub title: String,
    /// Its parts.
    pub blocks: Vec<Block>,
}

/// What must be seen before anything else.
fn stamps(view: &View) -> Vec<Block> {
    let manifest = &view.run.manifest;
    let mut blocks: Vec<Block> = view.stamp().map(|stamp| Block::Stamp(stamp.into())).into_iter().collect();
    if manifest.interrupted {
        blocks.push(Block::Stamp("interrupted: only the cells that were finished are shown".into()));
    } else if manifest.ended.is_empty() {
        let stamp = "not ended: the run was killed, or goes on; only the cells that were finished are shown";
        blocks.push(Block::Stamp(stamp.into()));
    }
    blocks
}

/// The whole report of a run.
pub fn compose(view: &View, charts: Vec<Chart>) -> Page {
    let manifest = &view.run.manifest;
    let mut blocks = stamps(view);
    blocks.extend(
        manifest.profiles.iter().map(|profile| Block::Text(format!("{}: {}", profile.name, profile.why))),
    );
    blocks.push(Block::Text(format!(
        "{}; bench-runner {}; started {}.",
        view.credit(),
        manifest.revision,
        manifest.started
    )));
    blocks.push(Block::Heading(2, "What became of the records".into()));
    blocks.push(Block::Table(tables::books(view)));
    let expected = notes::expected(view);
    if !expected.is_empty() {
        blocks.push(Block::Details("What was expected, and what came".into(), vec![Block::List(expected)]));
    }
    section("Delivery semantics", delivery::semantics(view), &mut blocks);
    blocks.push(Block::Details(
        "What each guarantee rests on".into(),
        vec![Block::List(delivery::reasons(view))],
    ));
    section("What the consumer group did", delivery::course(view), &mut blocks);
    section("Transactions", transactions::timings(view), &mut blocks);
    if let Some(table) = contingency::table(view) {
        let heading = "Every record by class, copies, processings and effects".into();
        blocks.push(Block::Details(heading, vec![Block::Table(table)]));
    }
    blocks.push(Block::Heading(2, "Throughput and latency".into()));
    blocks.push(Block::Table(tables::speed(view)));
    blocks.push(Block::Heading(2, "What a record cost".into()));
    blocks.push(Block::Table(tables::cost(view)));
    lists(view, &mut blocks);
    pictures(view, charts, &mut blocks);
    section("How faults were got over", recovery::table(view), &mut blocks);
    section("Errors over time", recovery::errors(view), &mut blocks);
    faults::describe(view, &mut blocks);
    offenders::describe(view, &mut blocks);
    settings::describe(view, &mut blocks);
    method(view, &mut blocks);
    environment::describe(view, &mut blocks);
    Page { title: manifest.run.clone(), blocks }
}

/// Every chart under the heading of its place; those of cells that nothing disturbed are folded.
fn pictures(view: &View, charts: Vec<Chart>, blocks: &mut Vec<Block>) {
    let (mut main, mut folded) = (Vec::new(), Vec::new());
    for chart in charts {
        if chart.place == Place::Folded { folded.push(chart) } else { main.push(chart) }
    }
    blocks.push(Block::Heading(2, "Latency against durability".into()));
    blocks.push(Block::Text(
        "Each producer setting once for each fault that it met in this run, over all profiles. Latency is from its cell \
         without a fault where there is one. A zero counts only where a control fired: under the same fault another cell \
         lost acknowledged records, or found exactly the loss its profile expects. Losses come in runs, so the \
         independent trial is the fault; the bound for each record is shown beside it."
            .into(),
    ));
    main.sort_by_key(|chart| chart.place);
    let (against_durability, others): (Vec<_>, Vec<_>) =
        main.into_iter().partition(|chart| chart.place == Place::Durability);
    against_durability.into_iter().for_each(|chart| figure(chart, blocks));
    let mut headed = Place::Durability;
    let missing = plots::incomparable(view);
    if !missing.is_empty() {
        headed = Place::ByCell;
        blocks.push(Block::Heading(2, headed.heading().into()));
        blocks.extend(missing.into_iter().map(Block::Text));
    }
    for chart in others {
        if chart.place != headed {
            headed = chart.place;
            blocks.push(Block::Heading(2, headed.heading().into()));
        }
        figure(chart, blocks);
    }
    if !folded.is_empty() {
        blocks.push(Block::Heading(2, Place::Folded.heading().into()));
    }
    for chart in folded {
        let mut inner = Vec::new();
        let title = chart.title.clone();
        figure(chart, &mut inner);
        blocks.push(Block::Details(title, inner));
    }
}

/// A table under its heading, if any cell has something to show there.
fn section(heading: &str, table: Option<Table>, blocks: &mut Vec<Block>) {
    if let Some(table) = table {
        blocks.push(Block::Heading(2, heading.into()));
        blocks.push(Block::Table(table));
    }
}

fn figure(mut chart: Chart, blocks: &mut Vec<Block>) {
    let table = std::mem::take(&mut chart.table);
    if chart.title != chart.place.heading() {
        blocks.push(Block::Heading(3, chart.title.clone()));
    }
    blocks.push(Block::Chart(chart));
    blocks.push(Block::Table(table));
}

fn lists(view: &View, blocks: &mut Vec<Block>) {
    let lists = [
        ("Doubts", notes::doubts(view)),
        ("Evidence that is missing, torn or changed", view.damage.iter().map(Damage::line).collect()),
        ("Cells without a verdict, and expectations that were not met", notes::without_verdict(view)),
        ("Noise floor", notes::noise(view)),
        (
            "Skipped combinations",
            view.run
                .manifest
                .skipped
                .iter()
                .map(|skipped| format!("{} · {}: {}", skipped.profile, skipped.label, skipped.reason))
                .collect(),
        ),
    ];
    for (heading, list) in lists {
        if !list.is_empty() {
            blocks.push(Block::Heading(2, heading.into()));
            blocks.push(Block::List(list));
        }
    }
}

fn method(view: &View, blocks: &mut Vec<Block>) {
    blocks.push(Block::Heading(2, "Method in short".into()));
    blocks.push(Block::List(
        [
            "Open loop: every record has an intended instant that is never moved; publish latency is from there to the \
             delivery report, end-to-end latency from there to the independent reader. Waiting in a full client queue is \
             inside both. \"max\" cells have no intended instant: their latency is service time.",
            "Histograms are kept by second; percentiles cover the measured window, the books cover everything sent, \
             warm-up included. Records that failed or never arrived stay in: where they reach, a percentile is printed ≥. \
             Fewer than 10 samples beyond a percentile: n/a.",
            "acks=0: a delivery report means \"handed to a socket\", so its publish latency is not compared; its \
             end-to-end latency is.",
            "Every record carries its identity. After the drain and once the cluster is quiet, the log is read from \
             the beginning and compared with the producers' ledgers; the books must balance to the record, else the cell \
             is void. Zero is never a share but a bound: fewer than 3/n at 95 %.",
            "Outcome (did the experiment work), promise (did the settings keep what they guarantee), expectation (did \
             the profile's prediction come true) and caveats are four judgements, kept apart.",
            "SIGKILL of a broker loses no byte that it has written: the page cache survives. It tests elections, \
             truncation and retries, not power cuts.",
        ]
        .map(str::to_owned)
        .to_vec(),
    ));
    if view.groups.iter().any(|group| group.cells.len() > 1) {
        blocks.push(Block::Text(
            "Repeats: figures are the median over the repeats, with the smallest and largest in parentheses; counts are \
             sums; percentile curves are of all repeats together."
                .into(),
        ));
    }
}
