//! What transactions cost: every timing of producers' and of pipelines' transactions, one line for each cell that has any.

use super::table::Table;
use super::tables::{head, line};
use super::view::{Figure, Group, View};
use bench_model::settings::CommitStrategy;

/// Whose transactions, and their latencies.
pub fn timings(view: &View) -> Option<Table> {
    let groups: Vec<&Group> = view.groups.iter().filter(|group| whose(group).is_some()).collect();
    if groups.is_empty() {
        return None;
    }
    let columns = [
        "transactions of",
        ">initialised, max",
        ">begin to commit p50",
        ">begin to commit p99",
        ">offsets call p50",
        ">offsets call p99",
        ">commit call p50",
        ">commit call p99",
        ">abort p50",
        ">abort p99",
        ">visible p50",
        ">visible p99",
    ];
    let mut table = Table::new(head(view, &columns));
    for group in groups {
        let mut row =
            vec![whose(group).unwrap_or_default().to_owned(), group.latency_text("init", Figure::Max)];
        for series in ["transaction", "offsets_call", "commit_call", "abort", "visible"] {
            row.extend(["50", "99"].map(|name| group.latency_text(series, Figure::Percentile(name))));
        }
        table.row(line(view, group, row));
    }
    table.note("From the begin of a transaction to its commit answered; the calls alone; until the last of its records is handed to a reader at read_committed (producers). In a pipeline a transaction is a batch with its offsets.");
    Some(table.without_idle_columns(&["n/a"]))
}

/// The producers', or the group's, which write to a topic; never both.
fn whose(group: &Group) -> Option<&'static str> {
    let settings = &group.first().cell.settings;
    let commit = settings.group.as_ref().map(|group| group.commit);
    if settings.producer.transaction.is_some() {
        Some("producers")
    } else {
        (commit == Some(CommitStrategy::Transaction)).then_some("pipeline")
    }
}
