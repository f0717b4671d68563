//! `plan`: what a run would do, before it does it: cells in order, every effective setting, topics, time and disk.

use super::check::minutes;
use super::exit::{Exit, Failure};
use super::{output, profiles};
use bench_model::plan::{Cell, Estimate, Limits, Plan};
use bench_model::profile::{Profile, counted, duration_text, rough_size, size_text};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use std::collections::BTreeSet;

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    profiles: profiles::Args,
    /// Prints the plan as one JSON document instead
    #[arg(long)]
    json: bool,
}

/// Prints the plan of a run.
pub fn plan(args: &Args) -> Result<Exit, Failure> {
    let (profiles, plan) = profiles::load(&args.profiles)?;
    if args.json {
        let text = serde_json::to_string_pretty(&plan).map_err(|error| {
            Failure::new(Exit::Failure, miette::miette!("could not write the plan: {error}"))
        })?;
        output::line(&text)?;
        return Ok(Exit::Ok);
    }
    let mut first = 1;
    for profile in &profiles {
        let cells: Vec<&Cell> = plan.cells.iter().filter(|cell| cell.profile == profile.name).collect();
        if !cells.is_empty() {
            output::line(&block(profile, &cells, first))?;
            first += cells.len();
        }
    }
    output::line(&closing(&plan))?;
    Ok(Exit::Ok)
}

/// One profile: what its cells have in common, and a row for each cell with what differs.
fn block(profile: &Profile, cells: &[&Cell], first: usize) -> String {
    let settings: Vec<Vec<(String, String)>> = cells.iter().map(|cell| cell.effective()).collect();
    let is_common = |pair: &&(String, String)| settings.iter().all(|cell| cell.contains(pair));
    let common: Vec<&(String, String)> = settings[0].iter().filter(is_common).collect();
    let mut seen = BTreeSet::new();
    let differing: Vec<&str> = settings
        .iter()
        .flatten()
        .filter(|pair| !common.contains(pair) && seen.insert(pair.0.as_str()))
        .map(|(key, _)| key.as_str())
        .collect();

    let mut shared = Table::new();
    shared.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    for (key, value) in common {
        shared.add_row([format!("  {key}"), value.clone()]);
    }
    let mut rows = Table::new();
    rows.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let heads = ["#", "cell"].into_iter().chain(differing.iter().map(|key| short(key)));
    rows.set_header(heads.chain(["takes", "records"]));
    for (index, (cell, settings)) in cells.iter().zip(&settings).enumerate() {
        let value = |key: &&str| {
            let pair = settings.iter().find(|(name, _)| name == key);
            pair.map_or_else(|| "-".to_string(), |(_, value)| value.clone())
        };
        let mut row = vec![(first + index).to_string(), cell.id.clone()];
        row.extend(differing.iter().map(value));
        row.extend([minutes(cell.duration_ns()), cell.records().to_string()]);
        rows.add_row(row);
    }
    for column in rows.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let overrides = match profile.overrides.as_slice() {
        [] => String::new(),
        overrides => format!("with --set {}\n", overrides.join(" --set ")),
    };
    let repeats = profile.repeats;
    let trimmed =
        |table: &Table| table.lines().map(|line| line.trim_end().to_string()).collect::<Vec<_>>().join("\n");
    format!(
        "{}: {}\n{overrides}seed {}, repeats {repeats}\n\nevery cell\n{}\n\ncells in order\n{}\n",
        profile.name,
        profile.why,
        profile.seed,
        trimmed(&shared),
        trimmed(&rows),
    )
}

/// The key without its section, where the section adds nothing.
fn short(key: &str) -> &str {
    match key.split_once('.') {
        Some(("producer" | "topic" | "load" | "consumer", rest)) if !rest.starts_with("settings.") => rest,
        _ => key,
    }
}

/// Skipped combinations, topics, cluster, estimate.
fn closing(plan: &Plan) -> String {
    let mut lines = Vec::new();
    if !plan.skipped.is_empty() {
        lines.push("skipped, because they cannot be".to_string());
        lines.extend(
            plan.skipped.iter().map(|cell| format!("  {}: {}  ({})", cell.profile, cell.label, cell.reason)),
        );
        lines.push(String::new());
    }
    let cluster = &plan.cluster;
    let extra: Vec<String> = cluster.settings.iter().map(|(key, value)| format!(", {key}={value}")).collect();
    lines.push(format!(
        "cluster: {}, {} heap each, warm-up of at most {}{}",
        counted(cluster.brokers, "broker"),
        size_text(cluster.heap_bytes),
        duration_text(cluster.warm_limit_ns),
        extra.concat(),
    ));
    let Estimate { duration_ns, cells_ns, disk_bytes, memory_bytes, records } = plan.estimate;
    let Limits { disk_bytes: most_disk, memory_bytes: most_memory, .. } = plan.limits;
    lines.push(format!(
        "topics: {}, one for each cell, named by run and cell, deleted after the run",
        plan.cells.len()
    ));
    lines.push(format!(
        "time: about {} for the cells, {} with start and full warm-up of the cluster",
        minutes(cells_ns),
        minutes(duration_ns)
    ));
    lines.push(format!("records: {records}"));
    lines.push(format!("disk: at most {} of {}", rough_size(disk_bytes), rough_size(most_disk)));
    lines.push(format!("memory: about {} of {}", rough_size(memory_bytes), rough_size(most_memory)));
    lines.join("\n")
}
