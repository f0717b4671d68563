//! Delivery semantics: what each pipeline guarantees, what was seen, and what it costs; to be pasted into a design document.

use super::controls::FIRED;
use super::durability::trials_of;
use super::figures::{duration, three_digits, zero_trials_note};
use super::lines::counted;
use super::ordeals::{is_disturbed, met_with};
use super::table::Table;
use super::tables::{head, line};
use super::view::{Figure, Group, View};
use bench_model::profile::{duration_text, grouped};
use bench_model::result::{CellResult, GroupCourse};
use bench_model::settings::{CellSettings, GroupSettings, SinkSettings};
use bench_model::verdict::{Delivery, TallyKind};
use std::collections::BTreeMap;

/// Columns of [`semantics`] that a terminal has no room for: cells are named by their settings, and the log has a table of its own.
const WIDE: [&str; 7] = [
    "settings",
    ">lost in the log",
    ">duplicates in the log",
    ">end-to-end p50",
    ">end-to-end p99",
    ">output visible p50",
    ">output visible p99",
];

/// Columns of [`course`] likewise: they stand in the report.
const WIDE_COURSE: [&str; 3] = [">rows refused", ">in hand p50", ">unanswered commits"];

/// As [`course`], without what a terminal has no room for.
pub fn course_terminal(view: &View) -> Option<Table> {
    course(view).map(|table| table.without_columns(&WIDE_COURSE))
}

/// As [`semantics`], without what a terminal has no room for.
pub fn semantics_terminal(view: &View) -> Option<Table> {
    semantics(view).map(|table| table.without_columns(&WIDE))
}

/// Settings, guarantee, what was seen of it, latency and throughput: one line for each cell with a group.
pub fn semantics(view: &View) -> Option<Table> {
    let groups = with_group(view);
    if groups.is_empty() {
        return None;
    }
    let columns = [
        "settings",
        "guarantee",
        "met with",
        ">lost in the log",
        ">never processed",
        ">duplicates in the log",
        ">processed again",
        ">sink duplicates",
        ">missing in the sink",
        ">end-to-end p50",
        ">end-to-end p99",
        ">effects timed",
        ">effect p50",
        ">effect p99",
        ">output visible p50",
        ">output visible p99",
        ">processed",
    ];
    let mut table = Table::new(head(view, &columns));
    for group in &groups {
        let settings = &group.first().cell.settings;
        let of_kind = |kind| seen(view, group, kind, group.tally(kind));
        let row = vec![
            pipeline(settings),
            group.guarantee().delivery.as_str().to_owned(),
            met_with(group),
            of_kind(TallyKind::LogLoss),
            of_kind(TallyKind::ProcessingLoss),
            seen(view, group, TallyKind::DuplicateSameAttempt, duplicates(group)),
            of_kind(TallyKind::Redelivery),
            of_kind(TallyKind::SinkDuplicate),
            of_kind(TallyKind::SinkLoss),
            group.latency_text("end_to_end", Figure::Percentile("50")),
            group.latency_text("end_to_end", Figure::Percentile("99")),
            timed(group),
            group.latency_text("effect", Figure::Percentile("50")),
            group.latency_text("effect", Figure::Percentile("99")),
            group.latency_text("output", Figure::Percentile("50")),
            group.latency_text("output", Figure::Percentile("99")),
            group
                .figure(|result| result.group.as_ref()?.processed_per_s)
                .map_or("n/a".into(), |spread| format!("{}/s", spread.text(three_digits))),
        ];
        table.row(line(view, group, row));
    }
    if groups.iter().any(|group| is_disturbed(&group.first().cell)) {
        table.note("After deaths, kills, joins and faults records are no independent trials: one trial is a fault, or all that befell the workers of a cell together. Zeros have no bound for each record there, but, where a control fired in more than three trials, one for each trial (3/n at 95 %).");
    }
    table.note("Effect: from the intended send to the end of the record's first processing (with a sink: until its row is durable). A record that was never processed never ends, and a member that is killed takes its latencies with it: both are cut off, and where they reach a percentile is ≥. Effects timed: how many are known, of those due in the window; what another member repeats without knowing is timed again, and is in the percentiles.");
    if groups.iter().any(|group| group.cells.iter().any(|cell| cell.result.latencies.contains_key("output")))
    {
        table.note("Output visible: from the intended send of the input until a reader at read_committed has its first output record.");
    }
    table.note("Processed again counts by position: a record that stands in the log twice is processed twice without it.");
    table.note("Processed: records whose first processing ended in the measured window, per second of it; what is caught up on afterwards does not count.");
    Some(table.without_idle_columns(&["n/a", "–", "nothing"]))
}

/// Records whose effect has a known latency, of those due in the window.
fn timed(group: &Group) -> String {
    let of_cell = |result: &CellResult| {
        let effect = result.latencies.get("effect")?;
        Some((effect.count - effect.censored, effect.count.max(result.window_records)))
    };
    let known: Vec<(u64, u64)> = group.finished().filter_map(|cell| of_cell(&cell.result)).collect();
    if known.is_empty() {
        return "n/a".into();
    }
    let (timed, due) = known.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    format!("{} of {}", grouped(timed), grouped(due))
}

/// Latencies of the group's own work, its commits and its rebalances.
pub fn course(view: &View) -> Option<Table> {
    let groups = with_group(view);
    if groups.is_empty() {
        return None;
    }
    let columns = [
        "commit",
        ">begun only",
        ">rows refused",
        ">in hand p50",
        ">in hand p99",
        ">processing p99",
        ">commit p50",
        ">commit p99",
        ">sink write p50",
        ">sink write p99",
        ">commits/s",
        ">failed commits",
        ">unanswered commits",
        ">greatest lag",
        ">rebalances",
        ">longest pause",
    ];
    let mut table = Table::new(head(view, &columns));
    let groups_refused =
        groups.iter().any(|group| group.tally(TallyKind::SinkRefused).is_some_and(|(count, _)| count > 0));
    for group in groups {
        let p = |series, name| group.latency_text(series, Figure::Percentile(name));
        let sum = |figure: fn(&GroupCourse) -> u64| courses(group).map(figure).sum::<u64>();
        let known = courses(group).next().is_some();
        let shown = |text: String| if known { text } else { "n/a".into() };
        let most = |figure: fn(&GroupCourse) -> u64| courses(group).map(figure).max().unwrap_or(0);
        let row = vec![
            settings(group).map_or("–", |settings| settings.commit.as_str()).to_owned(),
            group.tally(TallyKind::BegunOnly).map_or("n/a".into(), |(count, _)| grouped(count)),
            group.tally(TallyKind::SinkRefused).map_or("n/a".into(), |(count, _)| grouped(count)),
            p("in_hand", "50"),
            p("in_hand", "99"),
            p("processing", "99"),
            p("commit", "50"),
            p("commit", "99"),
            p("sink_write", "50"),
            p("sink_write", "99"),
            group
                .figure(|result| result.group.as_ref()?.commits_per_s)
                .map_or("n/a".into(), |spread| spread.text(three_digits)),
            shown(failed_commits(group)),
            shown(grouped(sum(|course| course.unanswered_commits))),
            shown(lag(
                most(|course| course.seconds.iter().map(|second| second.lag_records).max().unwrap_or(0)),
                most(|course| course.seconds.iter().map(|second| second.lag_ns).max().unwrap_or(0)),
            )),
            shown(grouped(sum(|course| course.rebalances.len() as u64))),
            shown(duration(most(|course| {
                course.rebalances.iter().map(|rebalance| rebalance.pause_ns).max().unwrap_or(0)
            }) as f64)),
        ];
        table.row(line(view, group, row));
    }
    table.note("In hand: from the intended send until a member has the record, first deliveries. Commit: from the call to its answer; commits that the client makes by itself have no call.");
    table.note("Lag: of the group behind an independent reader, in records and in the time since that reader was as far, at the end of the worst second. Pause: how long a partition had no owner.");
    if groups_refused {
        table.note("Rows refused: a member wanted to write them, and the sink did not let it: somebody else had their partition, or the transaction had to be aborted.");
    }
    Some(table.without_idle_columns(&["0", "n/a", "0 ns"]))
}

/// How many, and by the client's name for the error.
fn failed_commits(group: &Group) -> String {
    let mut by_error: BTreeMap<&str, u64> = BTreeMap::new();
    for (error, count) in courses(group).flat_map(|course| &course.failed_commits) {
        *by_error.entry(error).or_default() += count;
    }
    let all = grouped(by_error.values().sum());
    let named: Vec<String> =
        by_error.iter().map(|(error, count)| format!("{error} {}", grouped(*count))).collect();
    if named.is_empty() { all } else { format!("{all} ({})", named.join(", ")) }
}

/// Records and time.
pub fn lag(records: u64, ns: u64) -> String {
    if records == 0 { "0".into() } else { format!("{} ({})", grouped(records), duration(ns as f64)) }
}

/// What the settings of each cell guarantee, in one sentence.
pub fn guarantees(view: &View) -> String {
    let mut kinds: Vec<(Delivery, Vec<String>)> = Vec::new();
    for group in &view.groups {
        let delivery = group.guarantee().delivery;
        let name = view.in_full(group, group.label);
        match kinds.iter_mut().find(|(known, _)| *known == delivery) {
            Some((_, names)) if names.contains(&name) => {}
            Some((_, names)) => names.push(name),
            None => kinds.push((delivery, vec![name])),
        }
    }
    if kinds.is_empty() {
        return "No cell has a result.".to_owned();
    }
    kinds.sort_by_key(|(delivery, _)| *delivery);
    let of_kind = |(delivery, names): &(Delivery, Vec<String>)| {
        format!("{} ({})", delivery.as_str(), names.join(" · "))
    };
    format!("The settings guarantee: {}.", kinds.iter().map(of_kind).collect::<Vec<_>>().join("; "))
}

/// What the guarantees of these cells rest on, one line each; cells of one guarantee and reason together.
pub fn reasons(view: &View) -> Vec<String> {
    let mut reasons: Vec<(String, Delivery, Vec<String>)> = Vec::new();
    for group in &view.groups {
        let guarantee = group.guarantee();
        let name = view.in_full(group, group.label);
        match reasons.iter_mut().find(|(why, ..)| *why == guarantee.why) {
            Some((.., names)) if names.contains(&name) => {}
            Some((.., names)) => names.push(name),
            None => reasons.push((guarantee.why, guarantee.delivery, vec![name])),
        }
    }
    let line = |(why, delivery, names): &(String, Delivery, Vec<String>)| {
        format!("{} ({}): {why}.", delivery.as_str(), names.join(" · "))
    };
    reasons.iter().map(line).collect()
}

fn with_group<'v, 'a>(view: &'v View<'a>) -> Vec<&'v Group<'a>> {
    view.groups.iter().filter(|group| settings(group).is_some()).collect()
}

fn settings<'a>(group: &Group<'a>) -> Option<&'a GroupSettings> {
    group.first().cell.settings.group.as_ref()
}

fn courses<'g>(group: &'g Group<'_>) -> impl Iterator<Item = &'g GroupCourse> {
    group.finished().filter_map(|cell| cell.result.group.as_ref())
}

/// The settings that decide about delivery, in the order of a record's way.
fn pipeline(settings: &CellSettings) -> String {
    let producer = super::durability::Setting::of(settings).name();
    let group = settings.group.as_ref().map(|group| {
        let interval = duration_text(group.commit_interval_ns);
        let commit = match group.commit.as_str() {
            commit @ ("auto" | "auto-stored" | "interval") => format!("commit {commit} every {interval}"),
            commit @ ("sync-each" | "none") => format!("commit {commit}"),
            commit => format!("commit {commit}, batch {}", group.batch_records),
        };
        let members = counted(group.members.into(), "member");
        let session = duration_text(group.session_timeout_ns);
        format!("{commit}; {members}, {}, session {session}", group.isolation)
    });
    let sink = settings.group.as_ref().and_then(|group| group.sink.as_ref()).map(sink);
    [Some(producer), group, sink].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// E.g. `sink sqlite-append (journal_mode wal, synchronous full)`: which, and how durable a write to it is.
fn sink(settings: &SinkSettings) -> String {
    let SinkSettings { kind, journal_mode, synchronous, synchronous_commit, url: _ } = settings;
    let durability = [
        ("journal_mode", journal_mode),
        ("synchronous", synchronous),
        ("synchronous_commit", synchronous_commit),
    ];
    let stated: Vec<String> =
        durability.iter().filter_map(|(key, value)| Some(format!("{key} {}", value.as_ref()?))).collect();
    let kind = kind.as_str();
    if stated.is_empty() { format!("sink {kind}") } else { format!("sink {kind} ({})", stated.join(", ")) }
}

/// A count with its denominator, and the bound of a zero by what is the independent trial: the record, or what the cell met with.
fn seen(view: &View, group: &Group, kind: TallyKind, counts: Option<(u64, u64)>) -> String {
    let Some(counts) = counts else { return "n/a".into() };
    let cell = &group.first().cell;
    let text = view.controls.share(group, kind, counts, !group.is_mock && !is_disturbed(cell));
    if counts.0 > 0 || !is_disturbed(cell) || view.controls.reading(cell, kind) != Some(FIRED) {
        return text;
    }
    let trials: u64 = group.finished().map(|cell| trials_of(&cell.result)).sum();
    format!("{text} in {}{}", counted_of(trials), zero_trials_note(trials))
}

/// E.g. `1 trial`.
fn counted_of(trials: u64) -> String {
    counted(usize::try_from(trials).unwrap_or(usize::MAX), "trial")
}

/// Surplus copies in the log, whoever sent them again: the client, or the application.
fn duplicates(group: &Group) -> Option<(u64, u64)> {
    let (by_client, copies) = group.tally(TallyKind::DuplicateSameAttempt)?;
    let (by_application, _) = group.tally(TallyKind::DuplicateCrossAttempt)?;
    Some((by_client + by_application, copies))
}
