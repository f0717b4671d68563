//! The report as a list of blocks: what is said and in which order; how it looks is the renderers' business.

use super::plots::{Chart, Place};
use super::table::Table;
use super::view::{Figure, Group, View, word};
use super::{figures, tables};
use crate::store::StoredCell;
use bench_model::fault::FaultRecord;
use bench_model::result::{Expectation, Outcome};
use std::collections::{BTreeMap, BTreeSet};

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
}

/// A page.
#[derive(Debug)]
pub struct Page {
    /// Its title.
    pub title: String,
    /// Its parts.
    pub blocks: Vec<Block>,
}

/// The whole report of a run.
pub fn compose(view: &View, charts: Vec<Chart>) -> Page {
    let manifest = &view.run.manifest;
    let mut blocks: Vec<Block> = view.stamp().map(|stamp| Block::Stamp(stamp.into())).into_iter().collect();
    if manifest.interrupted {
        blocks.push(Block::Stamp("interrupted: only the cells that were finished are shown".into()));
    }
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
    blocks.push(Block::Heading(2, "Throughput and latency".into()));
    blocks.push(Block::Table(tables::speed(view)));
    blocks.push(Block::Heading(2, "What a record cost".into()));
    blocks.push(Block::Table(tables::cost(view)));
    notes(view, &mut blocks);
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
    let mut headed = Place::Durability;
    for chart in main {
        if chart.place != headed {
            headed = chart.place;
            blocks.push(Block::Heading(2, headed.heading().into()));
        }
        figure(chart, &mut blocks);
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
    faults(view, &mut blocks);
    settings(view, &mut blocks);
    method(view, &mut blocks);
    environment(view, &mut blocks);
    Page { title: manifest.run.clone(), blocks }
}

fn figure(mut chart: Chart, blocks: &mut Vec<Block>) {
    let table = std::mem::take(&mut chart.table);
    if chart.title != chart.place.heading() {
        blocks.push(Block::Heading(3, chart.title.clone()));
    }
    blocks.push(Block::Chart(chart));
    blocks.push(Block::Table(table));
}

fn notes(view: &View, blocks: &mut Vec<Block>) {
    let lists = [
        ("Doubts", doubts(view)),
        ("Cells without a verdict, and expectations that were not met", without_verdict(view)),
        ("Noise floor", noise(view)),
        ("Evidence that was changed after it was stored", altered(view)),
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

/// What each mark means, with advice, and where it was seen.
pub fn doubts(view: &View) -> Vec<String> {
    let mut list: Vec<String> = view
        .run
        .manifest
        .caveats
        .iter()
        .map(|doubt| format!("{}: {}; {}", doubt.kind, doubt.what, doubt.advice))
        .collect();
    for (mark, kind) in &view.marks {
        let mut seen: Vec<String> = Vec::new();
        let mut advice = String::new();
        for cell in &view.run.cells {
            for caveat in cell.result.caveats.iter().filter(|caveat| caveat.kind == *kind) {
                seen.push(format!("{}: {}", cell.result.cell.id, caveat.what));
                advice.clone_from(&caveat.advice);
            }
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
            let broken = result.verdict.iter().flat_map(|verdict| &verdict.identities).filter(|it| !it.holds);
            list.extend(
                broken.map(|it| format!("{}: {} does not hold: {}", result.cell.id, it.name, it.detail)),
            );
        }
        if result.expectation == Expectation::Unmet {
            list.push(format!(
                "{}: expectation unmet: {}",
                result.cell.id,
                result.expectation_detail.join("; ")
            ));
        }
    }
    let done: BTreeSet<&str> = view.run.cells.iter().map(|cell| cell.result.cell.id.as_str()).collect();
    let missing = view.run.manifest.plan.iter().filter(|cell| !done.contains(cell.id.as_str()));
    list.extend(missing.map(|cell| format!("{}: planned, not run", cell.id)));
    list
}

/// How far a profile's first cell and its A/A copy differ: smaller differences are not claims.
pub fn noise(view: &View) -> Vec<String> {
    let mut list = Vec::new();
    for again in view.groups.iter().filter(|group| group.again && group.is_comparable()) {
        let is_first =
            |group: &&Group| !group.again && group.profile == again.profile && group.label == again.label;
        let Some(first) = view.groups.iter().find(is_first).filter(|group| group.is_comparable()) else {
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
        list.push(format!(
            "{} · {}, measured again at the end: throughput {}, {} p50 {}, p99 {}. Differences between cells below this are not claims.",
            again.profile,
            again.label,
            differ(rate(first), rate(again)),
            word(&series),
            differ(p(first, "50"), p(again, "50")),
            differ(p(first, "99"), p(again, "99")),
        ));
    }
    list
}

fn altered(view: &View) -> Vec<String> {
    let told = view.run.cells.iter().filter_map(|cell| match cell.altered_evidence() {
        Ok(names) if names.is_empty() => None,
        Ok(names) => Some(format!("{}: {}", cell.result.cell.id, names.join(", "))),
        Err(error) => Some(format!("{}: {error}", cell.result.cell.id)),
    });
    told.collect()
}

fn faults(view: &View, blocks: &mut Vec<Block>) {
    let mut table = Table::new(["cell", "step", "brokers", ">done after T0", "proof"]);
    for cell in &view.run.cells {
        for FaultRecord { step, brokers, done_ns, proof } in &cell.result.faults {
            let brokers: Vec<String> = brokers.iter().map(ToString::to_string).collect();
            table.row([
                cell.result.cell.id.clone(),
                super::durability::timeline(&[*step]),
                brokers.join(", "),
                done_ns.map_or("never".into(), |ns| figures::duration(ns as f64)),
                if proof.is_empty() { "NOT PROVEN".into() } else { proof.join("; ") },
            ]);
        }
    }
    if !table.is_empty() {
        blocks.push(Block::Heading(2, "Faults as carried out".into()));
        blocks.push(Block::Table(table));
    }
}

/// First what differs between the cells, then everything.
fn settings(view: &View, blocks: &mut Vec<Block>) {
    let all: Vec<(&Group, BTreeMap<String, String>)> = view
        .groups
        .iter()
        .map(|group| (group, group.first().cell.effective().into_iter().collect()))
        .collect();
    let keys: BTreeSet<&String> = all.iter().flat_map(|(_, settings)| settings.keys()).collect();
    let values = |key: &String| -> BTreeSet<Option<&String>> {
        all.iter().map(|(_, settings)| settings.get(key)).collect()
    };
    let (differing, equal): (Vec<&String>, Vec<&String>) =
        keys.into_iter().partition(|key| values(key).len() > 1);
    if !differing.is_empty() {
        let heads = ["profile", "cell"].into_iter().chain(differing.iter().map(|key| key.as_str()));
        let mut table = Table::new(heads);
        for (group, settings) in &all {
            let cells = differing.iter().map(|key| settings.get(*key).cloned().unwrap_or("–".into()));
            table.row([group.profile.to_owned(), group.name.clone()].into_iter().chain(cells));
        }
        blocks.push(Block::Heading(2, "Settings that differ between the cells".into()));
        blocks.push(Block::Table(table));
    }
    let mut inner = Vec::new();
    if let Some((_, settings)) = all.first() {
        let pairs = equal.iter().filter_map(|key| Some(((*key).clone(), settings.get(*key)?.clone())));
        inner.push(Block::Heading(3, "The same in every cell".into()));
        inner.push(Block::Table(pairs_table(pairs)));
    }
    read_back(view, &mut inner);
    let brokers = &view.run.manifest.cluster.settings;
    if !brokers.is_empty() {
        let pairs = brokers.iter().map(|(key, value)| (key.clone(), value.clone()));
        inner.push(Block::Details(
            "Broker settings as read back".into(),
            vec![Block::Table(pairs_table(pairs))],
        ));
    }
    blocks.push(Block::Details("All settings".into(), inner));
}

/// Client and topic settings as read back: once what all cells share, then the rest of each.
fn read_back(view: &View, blocks: &mut Vec<Block>) {
    let of_cell = |cell: &StoredCell| -> BTreeSet<(String, String)> {
        let result = &cell.result;
        let of_roles = result.client_settings.iter().flat_map(|(role, settings)| {
            settings.iter().map(move |(key, value)| (format!("{role}: {key}"), value.clone()))
        });
        let of_topic =
            result.topic_settings.iter().map(|(key, value)| (format!("topic: {key}"), value.clone()));
        of_roles.chain(of_topic).collect()
    };
    let all: Vec<(&str, BTreeSet<(String, String)>)> = view
        .run
        .cells
        .iter()
        .map(|cell| (cell.result.cell.id.as_str(), of_cell(cell)))
        .filter(|(_, settings)| !settings.is_empty())
        .collect();
    let Some((_, first)) = all.first() else { return };
    let shared: BTreeSet<(String, String)> = first
        .iter()
        .filter(|pair| all.iter().all(|(_, settings)| settings.contains(*pair)))
        .cloned()
        .collect();
    let title = "Client and topic settings as read back, the same in every cell that ran".to_owned();
    blocks.push(Block::Details(title, vec![Block::Table(pairs_table(shared.clone()))]));
    for (id, settings) in all {
        let own: Vec<(String, String)> = settings.difference(&shared).cloned().collect();
        if !own.is_empty() {
            let title = format!("{id}: client and topic settings as read back that are not shared by all");
            blocks.push(Block::Details(title, vec![Block::Table(pairs_table(own))]));
        }
    }
}

fn pairs_table(pairs: impl IntoIterator<Item = (String, String)>) -> Table {
    let mut table = Table::new(["setting", "value"]);
    for (key, value) in pairs {
        table.row([key, value]);
    }
    table
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

fn environment(view: &View, blocks: &mut Vec<Block>) {
    let manifest = &view.run.manifest;
    let host = &manifest.host;
    let cluster = &manifest.cluster;
    let mut pairs = vec![
        ("client".to_owned(), manifest.client.clone()),
        ("cluster".into(), format!("{}: {}, {} brokers", cluster.provider, cluster.version, cluster.brokers)),
        ("bench-runner".into(), manifest.revision.clone()),
        ("system".into(), host.os.clone()),
        ("CPU".into(), format!("{}, {} logical", host.cpu, host.cores)),
        ("memory".into(), figures::bytes(host.memory_bytes as f64)),
        ("disk".into(), host.disk.clone()),
        ("started, ended".into(), format!("{}, {}", manifest.started, manifest.ended)),
    ];
    pairs.extend(cluster.start_s.map(|start_s| ("cluster start".into(), format!("{start_s:.1} s"))));
    pairs.extend(cluster.warm.as_ref().map(|warm| {
        let windows: Vec<String> =
            warm.cpu_ns_per_record.iter().map(|ns| figures::three_digits(ns / 1e3)).collect();
        let stable = if warm.stable { "stable" } else { "NOT stable" };
        let text = format!(
            "{stable} after {:.1} s; broker CPU per record by window, µs: {}",
            warm.took_s,
            windows.join(" ")
        );
        ("broker warm-up".into(), text)
    }));
    pairs.extend(cluster.facts.iter().map(|(key, value)| (key.clone(), value.clone())));
    pairs.extend(cluster.features.iter().map(|(key, value)| (key.clone(), value.clone())));
    let mut table = Table::new(["what", "value"]);
    for (what, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
        table.row([what, value]);
    }
    blocks.push(Block::Heading(2, "Environment".into()));
    blocks.push(Block::Table(table));
    blocks.push(Block::Heading(2, "To do it again".into()));
    blocks.push(Block::Code(manifest.command.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")));
    for profile in &manifest.profiles {
        let mut inner = vec![Block::Code(profile.text.clone())];
        if !profile.overrides.is_empty() {
            inner.push(Block::Text(format!("overridden: {}", profile.overrides.join(", "))));
        }
        blocks.push(Block::Details(format!("Profile {}", profile.name), inner));
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
