//! The profile: what the author asks, validated. The file's shape is private to this room.
//!
//! Parses text; reads no file and changes no setting quietly.

mod administration;
mod axes;
mod cells;
mod consumer;
mod deaths;
mod draft;
mod faults;
mod group_axes;
mod kills;
mod ordeals;
mod problems;
mod property_names;
mod property_values;
mod rules;
mod section;
mod sink;
mod transaction;
mod tree;
mod units;
mod values;

pub use cells::TALLIES;
pub use consumer::service_text;
pub use faults::lose_text;
pub use problems::{Problem, ProfileErrors};
pub use property_names::{Client, ClientRefusal};
pub use transaction::span_text;
pub use units::{counted, duration_text, grouped, rate_text, rough_size, size_text};
pub use values::retries_text;

use crate::fault::{Death, FaultStep, Join, KillAsk};
use crate::settings::{CellSettings, ClusterAsk};
use problems::{OVERRIDE, Place, Problems};
use section::{Section, Wrong};
use std::collections::BTreeMap;
use tree::Node;

/// A valid profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name: lower-case letters, digits and dashes.
    pub name: String,
    /// Why it exists.
    pub why: String,
    /// Decides payloads, arrivals and the order of cells.
    pub seed: u64,
    /// How often each cell is run, at least once.
    pub repeats: u16,
    /// The first cell is run once more at the end (A/A).
    pub again: bool,
    /// The run carries controls: recipes that prove that it can find what it does not find.
    pub controls: bool,
    /// What is asked of the cluster.
    pub cluster: ClusterAsk,
    /// The cells to run, at least one, all different.
    pub combinations: Vec<Combination>,
    /// Those that cannot be.
    pub impossible: Vec<Impossible>,
    /// The text as it was given.
    pub text: String,
    /// The overrides applied to it.
    pub overrides: Vec<String>,
}

/// One combination of axis values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Combination {
    /// E.g. `acks=1, retries=0`; unique in the profile; `base` where nothing varies.
    pub label: String,
    /// The axis values behind the label.
    pub axes: BTreeMap<String, String>,
    /// Effective settings.
    pub settings: CellSettings,
    /// The fault timeline; empty: no fault.
    pub faults: Vec<FaultStep>,
    /// Where member 0 of the group and producer 0 end themselves, one entry for each of their lives.
    pub deaths: Vec<Death>,
    /// Kills of workers by the supervisor.
    pub kills: Vec<KillAsk>,
    /// Members that join while the group works.
    pub joins: Vec<Join>,
    /// What must be observed, exactly: tally name to count.
    pub expect: BTreeMap<String, u64>,
}

/// A combination that cannot be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impossible {
    /// What it would have been.
    pub label: String,
    /// Why not.
    pub reason: String,
}

/// Validates a profile's text after applying `overrides` (`load.rate=5k/s`); `file` is its name in messages, `client`
/// is asked about client properties that have no key of their own.
///
/// # Errors
/// Every problem that could be found, each with its place and what to write instead.
pub fn parse(
    file: &str,
    text: &str,
    overrides: &[String],
    client: &dyn Client,
) -> Result<Profile, ProfileErrors> {
    let mut sources = vec![(file.to_string(), text.to_string())];
    sources.extend(overrides.iter().map(|text| (OVERRIDE.to_string(), text.clone())));
    let problems = Problems::default();
    let profile = tree::parse(text, &problems).and_then(|mut root| {
        for (index, text) in overrides.iter().enumerate() {
            tree::graft(&mut root, index + 1, text, &problems);
        }
        read(&root, text, overrides, client, &problems)
    });
    problems.into_result(&sources)?;
    // Without a problem every required part was there: `read` notes one wherever it returns `None`.
    Ok(profile.expect("a profile without problems is complete"))
}

fn read(
    root: &Node,
    text: &str,
    overrides: &[String],
    client: &dyn Client,
    problems: &Problems,
) -> Option<Profile> {
    let start = Place { source: 0, span: 0..text.lines().next().map_or(0, str::len) };
    let mut root = Section::new("", &start, root, problems);
    let name = root.require("name", "write name = \"quickstart\" in the first line", name);
    let why = root.require("why", "say in a sentence which question the profile answers", |node| {
        values::text(node, "what does acks=all cost?")
    });
    // Below 2^53, so that the number survives every reader of JSON.
    let seed = root.read("seed", |node| values::number(node, 0..=(1 << 53) - 1)).unwrap_or(1);
    let repeats = root.read("repeats", |node| values::narrow(node, 1..=1000)).unwrap_or(1);
    let again = root.read("again", values::boolean).unwrap_or(false);
    let controls = root.read("controls", values::boolean).unwrap_or(false);
    let cluster = draft::cluster(root.table("cluster"));
    let topic = draft::topic(root.table("topic"), problems);
    let (load, poisson, pace) = draft::load(root.table("load"), problems);
    let (producer, transaction) = draft::producer(root.table("producer"), client);
    let group = consumer::consumer(root.table("consumer"), client);
    let section = root.table("sink");
    if let (Some(section), None) = (&section, &group) {
        let help = "write [consumer] with a sink, or remove the section";
        problems.add(section.place(), "a sink is of a consumer group, and there is none", help);
    }
    let sink = sink::keys(section);
    let place = root.entry("name").map_or(start, |entry| entry.node.place.clone());
    let draft = draft::Draft { producer, topic, load, poisson, group, transaction, fault: None };
    let base = cells::Base { draft, pace, cluster: &cluster, sink: &sink, place: place.clone() };
    let (combinations, impossible) = cells::expand(&mut root, &base, problems);
    root.finish();
    Some(Profile {
        name: name?,
        why: why?,
        seed,
        repeats,
        again,
        controls,
        cluster,
        combinations,
        impossible,
        text: text.into(),
        overrides: overrides.to_vec(),
    })
}

fn name(node: &Node) -> Result<String, Wrong> {
    let name = values::text(node, "quickstart")?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.len() <= 40 && name.chars().all(fits) && !name.starts_with('-') {
        return Ok(name);
    }
    Err(Wrong::new(
        format!("\"{name}\" cannot name topics and directories"),
        "use at most 40 lower-case letters, digits and dashes",
    ))
}
