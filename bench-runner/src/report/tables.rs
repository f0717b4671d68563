//! The tables of a report. Each takes the view and returns text; acks=0 never shares a publish column.

use super::durability::Trial;
use super::figures::{bytes, duration, share, three_digits, zero_bound_per_million, zero_trials_note};
use super::ordeals::is_disturbed;
use super::table::{PROFILE, Table};
use super::view::{Figure, Group, View};
use bench_model::profile::grouped;
use bench_model::result::CellResult;
use bench_model::settings::{Acks, Arrival};
use bench_model::verdict::{Class, TallyKind};
use std::collections::BTreeMap;

/// Everything a latency table shows of a series.
pub const LATENCY_FIGURES: [(&str, Figure); 5] = [
    ("p50", Figure::Percentile("50")),
    ("p90", Figure::Percentile("90")),
    ("p99", Figure::Percentile("99")),
    ("p99.9", Figure::Percentile("99.9")),
    ("max", Figure::Max),
];

pub(super) fn head<'a>(view: &View, columns: &[&'a str]) -> Vec<&'a str> {
    let profile: &[&str] = if view.profiles().len() > 1 { &[PROFILE] } else { &[] };
    profile.iter().chain(&["cell"]).chain(columns).copied().collect()
}

pub(super) fn line(view: &View, group: &Group, figures: Vec<String>) -> Vec<String> {
    let mut row = Vec::new();
    if view.profiles().len() > 1 {
        row.push(group.profile.to_owned());
    }
    row.push(group.name.clone());
    row.extend(figures);
    row
}

/// Books: what became of the records, judged four ways.
pub fn books(view: &View) -> Table {
    let mut table = Table::new(head(
        view,
        &[
            "outcome",
            "promise",
            "expectation",
            ">records",
            ">lost of acknowledged",
            ">never written",
            ">unknown",
            ">duplicates",
            ">reordered",
            "other findings",
        ],
    ));
    for group in &view.groups {
        table.row(line(view, group, book(view, group)));
    }
    let pairs = [
        (TallyKind::UnknownPresent, TallyKind::UnknownAbsent, "Unknown: present / absent."),
        (
            TallyKind::DuplicateSameAttempt,
            TallyKind::DuplicateCrossAttempt,
            "Duplicates: of one attempt / of resends by the application.",
        ),
    ];
    for (one, other, meaning) in pairs {
        let seen =
            |kind| view.groups.iter().any(|group| group.tally(kind).is_some_and(|(count, _)| count > 0));
        if seen(one) || seen(other) {
            table.note(meaning);
        }
    }
    failed_sends(view).into_iter().for_each(|line| table.note(line));
    view.controls
        .legend(view.groups.iter().map(|group| &group.first().cell))
        .into_iter()
        .for_each(|line| table.note(line));
    table.note(super::delivery::guarantees(view));
    if view.groups.iter().any(Group::is_acks0) {
        table.note("acks=0 acknowledges nothing: what is missing was dropped, not lost.");
    }
    if !view.groups.iter().all(|group| group.is_mock) {
        table.note("ppm: per million records. \"0 of n (< x ppm)\": nothing seen; the bound holds at 95 % where failures are independent.");
    }
    table.without_idle_columns(&["0", "0 / 0", "none", "n/a"])
}

/// One line of [`books`].
fn book(view: &View, group: &Group) -> Vec<String> {
    let count = |kind| group.tally(kind).map_or("n/a".into(), |(count, _)| grouped(count));
    let tested = |kind| view.controls.count(group, kind);
    let (lost, verb) =
        if group.is_acks0() { (TallyKind::Acks0Drop, "dropped ") } else { (TallyKind::LogLoss, "") };
    let fate = group.tally(lost).map_or("n/a".into(), |(count, of)| match group.is_mock {
        // A bound would be a claim.
        true => format!("{verb}{} of {}", grouped(count), grouped(of)),
        false => format!(
            "{verb}{}",
            view.controls.share(group, lost, (count, of), !is_disturbed(&group.first().cell))
        ),
    });
    let judged = group.finished().next().is_some();
    let shown = |text: String| if judged { text } else { "n/a".into() };
    let records: u64 = group.finished().filter_map(|cell| Some(cell.result.verdict.as_ref()?.records)).sum();
    vec![
        group.outcome(),
        shown(group.promise()),
        group.expectation(),
        shown(grouped(records)),
        fate,
        shown(grouped(group.finished().map(|cell| never_written(&cell.result)).sum())),
        shown(format!("{} / {}", count(TallyKind::UnknownPresent), count(TallyKind::UnknownAbsent))),
        shown(format!(
            "{} / {}",
            tested(TallyKind::DuplicateSameAttempt),
            count(TallyKind::DuplicateCrossAttempt)
        )),
        tested(TallyKind::Reorder),
        shown(other_findings(view, group)),
    ]
}

/// What has no column of its own; with controls also what was not found where it could have been.
fn other_findings(view: &View, group: &Group) -> String {
    let aborted = TallyKind::AbortedRead;
    match group.tally(aborted) {
        Some((0, of)) if of > 0 && view.controls.are_carried() => {
            format!("{}; aborted read {}", group.other_findings(), view.controls.count(group, aborted))
        }
        _ => group.other_findings(),
    }
}

/// Records of which it is sure that they are not in the log: the client gave up on them, or would not take them.
pub(super) fn never_written(result: &CellResult) -> u64 {
    let classes = result.verdict.iter().flat_map(|verdict| &verdict.classes);
    let refused = classes.filter(|(class, _)| matches!(class, Class::NotPersisted | Class::Rejected));
    refused.map(|(_, count)| count.absent).sum()
}

/// Which errors the sends ended with that failed, a line for each cell that has any.
fn failed_sends(view: &View) -> Vec<String> {
    let mut lines = Vec::new();
    for group in &view.groups {
        let mut errors: BTreeMap<&str, u64> = BTreeMap::new();
        for (error, count) in group.finished().flat_map(|cell| &cell.result.failed_sends) {
            *errors.entry(error).or_default() += count;
        }
        if !errors.is_empty() {
            let list: Vec<String> =
                errors.iter().map(|(error, count)| format!("{} {error}", grouped(*count))).collect();
            lines.push(format!("Failed sends of {}: {}.", view.in_full(group, &group.name), list.join("; ")));
        }
    }
    lines
}

const PUBLISH: [&str; 4] = [">publish p50", ">publish p99", ">publish p99.9", ">publish max"];
const BESIDE_PUBLISH: [&str; 4] = [">throughput", ">asked", ">end-to-end p50", ">end-to-end p99"];

/// [`speed`] for a terminal: two tables where the ranges of repeats do not fit into the lines of one.
pub fn speed_terminal(view: &View) -> Vec<Table> {
    let whole = speed(view);
    if view.groups.iter().all(|group| group.cells.len() == 1) {
        return vec![whole];
    }
    vec![whole.clone().without_columns(&PUBLISH), whole.without_columns(&BESIDE_PUBLISH)]
}

/// Throughput and the primary latencies.
pub fn speed(view: &View) -> Table {
    let [throughput_head, asked_head, end_to_end @ ..] = BESIDE_PUBLISH;
    let mut table =
        Table::new(head(view, &[&[throughput_head, asked_head][..], &PUBLISH, &end_to_end].concat()));
    for group in &view.groups {
        let p = |series, name| group.latency_text(series, Figure::Percentile(name));
        let row = vec![
            throughput(group),
            asked(group.first()),
            p("publish", "50"),
            p("publish", "99"),
            p("publish", "99.9"),
            group.latency_text("publish", Figure::Max),
            p("end_to_end", "50"),
            p("end_to_end", "99"),
        ];
        table.row(line(view, group, row));
    }
    table
}

pub(super) fn throughput(group: &Group) -> String {
    group.throughput().map_or("n/a".into(), |spread| format!("{}/s", spread.text(three_digits)))
}

fn asked(result: &CellResult) -> String {
    match (&result.cell.settings.load.arrival, result.asked_per_s) {
        (Arrival::Bursts(_), _) => "bursts".into(),
        (_, Some(rate)) => format!("{}/s", three_digits(rate)),
        (_, None) => "max".into(),
    }
}

/// What a record cost.
pub fn cost(view: &View) -> Table {
    let mut table = Table::new(head(
        view,
        &[
            ">client CPU/record",
            ">broker CPU/record",
            ">disk/record",
            ">network/record",
            ">client queue full",
        ],
    ));
    for group in &view.groups {
        let text = |spread: Option<super::view::Spread>, figure: fn(f64) -> String| {
            spread.map_or("n/a".into(), |spread| spread.text(figure))
        };
        let microseconds: fn(f64) -> String = |ns| format!("{} µs", three_digits(ns / 1e3));
        let row = vec![
            text(
                group.figure(|result| result.cost.client_cpu_ns_per_record.filter(|_| !group.is_bursts())),
                microseconds,
            ),
            text(group.figure(|result| result.cost.broker_cpu_ns_per_record), microseconds),
            text(group.figure(|result| result.cost.disk_bytes_per_record), bytes),
            text(group.figure(|result| result.cost.network_bytes_per_record), bytes),
            text(group.figure(|result| Some(result.blocked_ns as f64)), duration),
        ];
        table.row(line(view, group, row));
    }
    costs_not_measured(view).into_iter().for_each(|why| table.note(why));
    table
}

/// Why brokers' cost is n/a in finished cells.
fn costs_not_measured(view: &View) -> Vec<&'static str> {
    let without = |group: &&Group| group.figure(|result| result.cost.broker_cpu_ns_per_record).is_none();
    let mut why = Vec::new();
    let mut finished = view.groups.iter().filter(|group| group.finished().next().is_some()).filter(without);
    match view.run.manifest.cluster.provider.as_str() {
        "local" if finished.any(Group::has_fault) => why.push(
            "Broker CPU, disk and network are n/a in cells with a fault: they are read from the brokers' processes, which a fault may end or stop.",
        ),
        "local" => {}
        _ if finished.next().is_some() => {
            why.push("Broker CPU, disk and network are n/a: brokers' processes can be seen on a local cluster only.");
        }
        _ => {}
    }
    if view.groups.iter().any(Group::is_bursts) {
        why.push("Client CPU is n/a with bursts: most of it is spent in the pauses between them.");
    }
    if view.groups.iter().any(|group| group.finished().next().is_none()) {
        why.push("A cell without a verdict shows no figures.");
    }
    why
}

/// Percentiles of one series for the given groups.
pub fn latency(view: &View, groups: &[&Group], series: &str) -> Table {
    let columns: Vec<String> = LATENCY_FIGURES.iter().map(|(name, _)| format!(">{name}")).collect();
    let mut columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    columns.insert(0, ">values");
    columns.insert(1, ">cut off or failed");
    let mut table = Table::new(head(view, &columns));
    for group in groups {
        let sum = |figure: fn(&bench_model::latency::LatencySummary) -> u64| {
            let summaries = group.finished().filter_map(|cell| cell.result.latencies.get(series));
            grouped(summaries.map(figure).sum())
        };
        let mut row = vec![sum(|summary| summary.count), sum(|summary| summary.censored)];
        row.extend(LATENCY_FIGURES.iter().map(|(_, figure)| group.latency_text(series, *figure)));
        table.row(line(view, group, row));
    }
    table
}

/// Throughput of the given groups.
pub fn throughputs(view: &View, groups: &[&Group]) -> Table {
    let mut table = Table::new(head(view, &[">throughput", ">asked", ">repeats"]));
    for group in groups {
        let row = vec![throughput(group), asked(group.first()), group.finished().count().to_string()];
        table.row(line(view, group, row));
    }
    table
}

/// Seconds of one cell.
pub fn seconds(result: &CellResult) -> Table {
    let acks0 = result.cell.settings.producer.acks == Acks::Zero;
    let mut table = Table::new([
        ">second",
        ">due",
        if acks0 { ">handed over, of those due" } else { ">acknowledged, of those due" },
        if acks0 { ">delivered in this second" } else { ">acknowledged in this second" },
        ">publish p50",
        ">publish p99",
        ">publish max",
        ">end-to-end p50",
        ">end-to-end p99",
        ">end-to-end max",
    ]);
    for second in &result.seconds {
        let mut row = vec![
            second.second.to_string(),
            grouped(second.records),
            grouped(second.acked),
            second.arrived.map_or("not stored".into(), grouped),
        ];
        for (figures, at_least, handed_over) in [
            (second.publish_ns, second.publish_at_least, acks0),
            (second.end_to_end_ns, second.end_to_end_at_least, false),
        ] {
            row.extend((0..3).map(|at| match figures {
                _ if handed_over => "(handed over)".into(),
                Some(figures) if at_least[at] => format!("≥ {}", duration(figures[at] as f64)),
                Some(figures) => duration(figures[at] as f64),
                None => "–".to_owned(),
            }));
        }
        table.row(row);
    }
    table.without_columns_of_only(&["(handed over)", "not stored"])
}

/// In how many faults something was lost; of none in more than three the 95 % bound 3/n, the fault being the trial.
fn faults_with_loss(trial: &Trial, bounded: bool) -> String {
    let Trial { faults, faults_with_loss: with_loss, faults_with_loss_at_least: at_least, .. } = trial;
    let bound = if *at_least { "≥ " } else { "" };
    match faults {
        0 => "–".into(),
        _ if *with_loss == 0 && bounded => format!("0 of {faults}{}", zero_trials_note(*faults)),
        _ => format!("{bound}{with_loss} of {faults}"),
    }
}

/// Latency against durability, with both ways to read a zero.
pub fn durability(trials: &[Trial], is_mock: bool) -> Table {
    let mut table = Table::new([
        "setting",
        "fault",
        ">end-to-end p99",
        "p99 from",
        ">lost of acknowledged",
        ">per million",
        ">faults with loss",
        "reading",
    ]);
    for trial in trials {
        let acks0 = trial.setting.acks == Acks::Zero;
        let p99 = trial.p99.map_or("n/a".into(), |p99| {
            let where_from = if trial.p99_under_fault { " (under the fault)" } else { "" };
            p99.text(duration) + where_from
        });
        let tested = !trial.is_untested() && !acks0;
        let per_million = match (tested, trial.lost, zero_bound_per_million(trial.claimed)) {
            (false, ..) | (_, _, None) => "–".into(),
            (_, 0, Some(bound)) => format!("< {}", three_digits(bound)),
            (_, lost, _) => three_digits(lost as f64 / trial.claimed as f64 * 1e6),
        };
        let reading = if is_mock {
            "no claim (mock)".into()
        } else if acks0 {
            "no claim: acks=0 acknowledges nothing".into()
        } else if trial.fault.is_empty() {
            "untested: no fault".into()
        } else if trial.faults == 0 {
            format!("untested: {}", trial.left_out.join(", "))
        } else if !trial.control_fired {
            "untested: no control fired".into()
        } else if trial.lost > 0 {
            "lost".into()
        } else {
            "nothing lost where a control fired".to_owned()
        };
        table.row([
            trial.setting.name(),
            if trial.fault.is_empty() { "none".into() } else { trial.fault.clone() },
            p99,
            trial.p99_from.clone().unwrap_or("–".into()),
            if trial.faults == 0 || acks0 { "–".into() } else { share(trial.lost, trial.claimed) },
            per_million,
            faults_with_loss(trial, tested && !is_mock),
            reading,
        ]);
    }
    table
}
