//! The tables of a report. Each takes the view and returns text; acks=0 never shares a publish column.

use super::durability::Trial;
use super::figures::{bytes, duration, grouped, share, three_digits, zero_bound_per_million};
use super::table::Table;
use super::view::{Figure, Group, View};
use bench_model::result::CellResult;
use bench_model::settings::{Acks, Arrival};
use bench_model::verdict::{Class, TallyKind};

/// Everything a latency table shows of a series.
pub const LATENCY_FIGURES: [(&str, Figure); 5] = [
    ("p50", Figure::Percentile("50")),
    ("p90", Figure::Percentile("90")),
    ("p99", Figure::Percentile("99")),
    ("p99.9", Figure::Percentile("99.9")),
    ("max", Figure::Max),
];

fn head<'a>(view: &View, columns: &[&'a str]) -> Vec<&'a str> {
    let profile: &[&str] = if view.profiles().len() > 1 { &["profile"] } else { &[] };
    profile.iter().chain(&["cell"]).chain(columns).copied().collect()
}

fn line(view: &View, group: &Group, figures: Vec<String>) -> Vec<String> {
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
            ">lost of acked (acks=0: dropped of sent)",
            ">unknown present/absent",
            ">duplicates same/cross attempt",
            ">reordered",
            "other findings",
        ],
    ));
    for group in &view.groups {
        let count = |kind| group.tally(kind).map_or("n/a".into(), |(count, _)| grouped(count));
        let (fate, verb) =
            if group.is_acks0() { (TallyKind::Acks0Drop, "dropped ") } else { (TallyKind::LogLoss, "") };
        let fate =
            group.tally(fate).map_or("n/a".into(), |(count, of)| format!("{verb}{}", share(count, of)));
        let pair = |one, other| format!("{} / {}", count(one), count(other));
        let judged = group.finished().next().is_some();
        let shown = |text: String| if judged { text } else { "n/a".into() };
        let records: u64 =
            group.finished().filter_map(|cell| Some(cell.result.verdict.as_ref()?.records)).sum();
        let row = vec![
            group.outcome(),
            shown(group.promise()),
            group.expectation(),
            shown(grouped(records)),
            fate,
            shown(pair(TallyKind::UnknownPresent, TallyKind::UnknownAbsent)),
            shown(pair(TallyKind::DuplicateSameAttempt, TallyKind::DuplicateCrossAttempt)),
            count(TallyKind::Reorder),
            shown(group.other_findings()),
        ];
        table.row(line(view, group, row));
    }
    table.without_idle_columns(&["none", "n/a"])
}

/// Throughput and the primary latencies.
pub fn speed(view: &View) -> Table {
    let mut table = Table::new(head(
        view,
        &[">throughput", ">asked", ">publish p50", ">p99", ">p99.9", ">max", ">end-to-end p50", ">p99"],
    ));
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

fn throughput(group: &Group) -> String {
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
            text(group.figure(|result| result.cost.client_cpu_ns_per_record), microseconds),
            text(group.figure(|result| result.cost.broker_cpu_ns_per_record), microseconds),
            text(group.figure(|result| result.cost.disk_bytes_per_record), bytes),
            text(group.figure(|result| result.cost.network_bytes_per_record), bytes),
            text(group.figure(|result| Some(result.blocked_ns as f64)), duration),
        ];
        table.row(line(view, group, row));
    }
    table
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
    let mut table = Table::new([
        ">second",
        ">due",
        ">acked",
        ">publish p50",
        ">p99",
        ">max",
        ">end-to-end p50",
        ">p99",
        ">max",
    ]);
    let acks0 = result.cell.settings.producer.acks == Acks::Zero;
    for second in &result.seconds {
        let mut row = vec![second.second.to_string(), grouped(second.records), grouped(second.acked)];
        for (figures, handed_over) in [(second.publish_ns, acks0), (second.end_to_end_ns, false)] {
            row.extend((0..3).map(|at| match figures {
                _ if handed_over => "(handed over)".into(),
                Some(figures) => duration(figures[at] as f64),
                None => "–".to_owned(),
            }));
        }
        table.row(row);
    }
    table.without_idle_columns(&["(handed over)"])
}

/// Latency against durability, with both ways to read a zero.
pub fn durability(trials: &[Trial]) -> Table {
    let mut table = Table::new([
        "setting",
        "fault",
        ">end-to-end p99",
        ">lost of acked, per record",
        ">per million",
        ">faults with loss",
        "reading",
    ]);
    for trial in trials {
        let acks0 = trial.setting.acks == Acks::Zero;
        let p99 = trial.p99.map_or("n/a".into(), |(ns, at_least)| {
            let where_from = if trial.p99_under_fault { " (under the fault)" } else { "" };
            format!("{}{}{where_from}", if at_least { "≥ " } else { "" }, duration(ns))
        });
        let tested = !trial.is_untested() && !acks0;
        let per_million = match (tested, trial.lost, zero_bound_per_million(trial.claimed)) {
            (false, ..) | (_, _, None) => "–".into(),
            (_, 0, Some(bound)) => format!("< {}", three_digits(bound)),
            (_, lost, _) => three_digits(lost as f64 / trial.claimed as f64 * 1e6),
        };
        let reading = if acks0 {
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
            if trial.faults == 0 || acks0 { "–".into() } else { share(trial.lost, trial.claimed) },
            per_million,
            if trial.faults == 0 {
                "–".into()
            } else {
                format!("{} of {}", trial.faults_with_loss, trial.faults)
            },
            reading,
        ]);
    }
    table
}

/// One line for each cell, unrounded, outcome before every figure.
pub fn every_cell(view: &View) -> Table {
    const SERIES: [(&str, &str); 3] =
        [("publish", "publish"), ("handover", "publish"), ("end_to_end", "end_to_end")];
    let mut columns: Vec<String> = [
        "run",
        "profile",
        "cell",
        "label",
        "repeat",
        "again",
        "acks",
        "retries",
        "idempotence",
        "outcome",
        "promise",
        "expectation",
        "caveats",
        "records",
        "acked",
        "lost",
        "lost_bound_per_million_95",
        "sent_acks0",
        "dropped_acks0",
        "unknown_present",
        "unknown_absent",
        "duplicates_same_attempt",
        "duplicates_cross_attempt",
        "reordered",
        "throughput_per_s",
        "asked_per_s",
        "client_cpu_ns_per_record",
        "broker_cpu_ns_per_record",
        "disk_bytes_per_record",
        "network_bytes_per_record",
        "blocked_ns",
    ]
    .map(str::to_owned)
    .to_vec();
    for (name, _) in SERIES {
        for (figure, _) in LATENCY_FIGURES {
            columns.push(format!("{name}_{figure}_ns"));
            columns.push(format!("{name}_{figure}_is_lower_bound"));
        }
    }
    let mut table = Table::new(columns);
    for group in &view.groups {
        for cell in &group.cells {
            let mut row = facts(group, &cell.result);
            for (name, series) in SERIES {
                let shown = name == "end_to_end" || (name == "handover") == group.is_acks0();
                for (_, figure) in LATENCY_FIGURES {
                    let value =
                        cell.result.latencies.get(series).filter(|_| shown).and_then(|it| figure.of(it));
                    row.push(value.map_or(String::new(), |(ns, _)| ns.to_string()));
                    row.push(value.map_or(String::new(), |(_, at_least)| at_least.to_string()));
                }
            }
            table.row(row);
        }
    }
    table
}

fn facts(group: &Group, result: &CellResult) -> Vec<String> {
    let producer = &result.cell.settings.producer;
    let verdict = result.verdict.as_ref();
    let class = |class: Class| verdict.and_then(|verdict| verdict.classes.get(&class)).copied();
    let number = |value: Option<u64>| value.map_or(String::new(), |value| value.to_string());
    let real = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    let tally =
        |kind| number(verdict.and_then(|verdict| verdict.tallies.get(&kind)).map(|tally| tally.count));
    let (acked, sent) = (class(Class::Acked), class(Class::Sent));
    let claimed = acked.filter(|_| !group.is_acks0());
    let bound =
        claimed.filter(|count| count.absent == 0).and_then(|count| zero_bound_per_million(count.records));
    let kinds: Vec<&str> = result.caveats.iter().map(|caveat| caveat.kind.as_str()).collect();
    vec![
        result.run.clone(),
        result.cell.profile.clone(),
        result.cell.id.clone(),
        result.cell.label.clone(),
        result.cell.repeat.to_string(),
        result.cell.again.to_string(),
        producer.acks.as_str().into(),
        producer.retries.to_string(),
        producer.idempotence.to_string(),
        super::view::word(&result.outcome),
        verdict.map_or(String::new(), |verdict| super::view::word(&verdict.promise)),
        super::view::word(&result.expectation),
        kinds.join(" "),
        number(verdict.map(|verdict| verdict.records)),
        number(claimed.map(|count| count.records)),
        number(claimed.map(|count| count.absent)),
        real(bound),
        number(sent.filter(|_| group.is_acks0()).map(|count| count.records)),
        number(sent.filter(|_| group.is_acks0()).map(|count| count.absent)),
        tally(TallyKind::UnknownPresent),
        tally(TallyKind::UnknownAbsent),
        tally(TallyKind::DuplicateSameAttempt),
        tally(TallyKind::DuplicateCrossAttempt),
        tally(TallyKind::Reorder),
        result.throughput_per_s.to_string(),
        real(result.asked_per_s),
        real(result.cost.client_cpu_ns_per_record),
        real(result.cost.broker_cpu_ns_per_record),
        real(result.cost.disk_bytes_per_record),
        real(result.cost.network_bytes_per_record),
        result.blocked_ns.to_string(),
    ]
}
