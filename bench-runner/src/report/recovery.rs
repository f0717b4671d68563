//! How faults were got over: one line for each act of each cell.

use super::figures::duration;
use super::table::Table;
use super::view::View;
use bench_model::profile::grouped;
use bench_model::result::{Recovery, Stretch};

/// Columns that a terminal has no room for.
const WIDE: [&str; 2] = ["by partition", ">at"];

/// As [`table`], without what a terminal has no room for.
pub fn terminal(view: &View) -> Option<Table> {
    table(view).map(|table| table.without_columns(&WIDE))
}

/// The table, where any cell had a fault and tells of it.
pub fn table(view: &View) -> Option<Table> {
    let mut table = Table::new([
        "cell",
        "fault",
        ">at",
        ">unavailable",
        "by partition",
        ">first success",
        ">p99 back",
        ">ISR full",
        ">drained",
    ]);
    let mut why: Vec<String> = Vec::new();
    for result in view.run.cells.iter().map(|cell| &cell.result) {
        for it in &result.recovery {
            let mut text = |name: &str, stretch: &Stretch| {
                if let Stretch::Unknown(reason) = stretch {
                    let reason = format!("{name} n/a: {reason}");
                    if !why.contains(&reason) {
                        why.push(reason);
                    }
                }
                stretch_text(stretch)
            };
            table.row([
                result.cell.id.clone(),
                it.fault.clone(),
                duration(it.from_ns as f64),
                text("unavailable", &it.unavailable),
                by_partition(it),
                stretch_text(&it.first_success),
                text("p99 back", &it.p99_back),
                text("ISR full", &it.isr_full),
                text("drained", &it.drained),
            ]);
        }
    }
    if table.is_empty() {
        return None;
    }
    table.note(
        "Unavailable: from the last success before (or when something was due again) to the first after, in the worst \
         partition; shorter than 100 ms is not noted. All others from the act. p99 back: until the p99 of a second is within \
         10 % of its median before the first fault, by the second in which records were due. Drained: until no more records \
         wait than before, to the second.",
    );
    if !why.is_empty() {
        table.note(format!("{}.", why.join("; ")));
    }
    Some(table)
}

/// Which errors failed sends ended with, second by second, where there are any.
pub fn errors(view: &View) -> Option<Table> {
    let mut table = Table::new(["cell", "error", ">failed sends", "by second after T0: how many"]);
    for result in view.run.cells.iter().map(|cell| &cell.result) {
        for (error, seconds) in &result.failed_by_second {
            let total: u64 = seconds.iter().map(|[_, count]| count).sum();
            let by_second: Vec<String> =
                seconds.iter().map(|[second, count]| format!("{second}: {}", grouped(*count))).collect();
            table.row([result.cell.id.clone(), error.clone(), grouped(total), by_second.join(", ")]);
        }
    }
    (!table.is_empty()).then_some(table)
}

/// `1.23 s`, `≥ 5 s`, `< 100 ms`, `n/a`.
pub fn stretch_text(stretch: &Stretch) -> String {
    match stretch {
        Stretch::Ns(ns) => duration(*ns as f64),
        Stretch::AtLeast(ns) => format!("≥ {}", duration(*ns as f64)),
        Stretch::Below(ns) => format!("< {}", duration(*ns as f64)),
        Stretch::Unknown(_) => "n/a".into(),
    }
}

/// Only those partitions that had an outage.
fn by_partition(recovery: &Recovery) -> String {
    let had = recovery.partitions.iter().filter(|it| !matches!(it.unavailable, Stretch::Below(_)));
    let list: Vec<String> =
        had.map(|it| format!("{}: {}", it.partition, stretch_text(&it.unavailable))).collect();
    if list.is_empty() { "–".into() } else { list.join(", ") }
}
