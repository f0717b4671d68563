//! What transactions cost: every timing of producers' and of pipelines' transactions, one line for each cell that has any.

use super::table::Table;
use super::tables::{head, line};
use super::view::{Figure, Group, View};
use bench_model::settings::CommitStrategy;

/// Whose transactions, and their latencies.
pub fn timings(view: &View) -> Option<Table> {
    let all: Vec<(&Group, Whose)> =
        view.groups.iter().flat_map(|group| whose(group).map(move |whose| (group, whose))).collect();
    if all.is_empty() {
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
    for (group, Whose { name, init, series }) in all {
        let mut row = vec![name.to_owned(), group.latency_text(init, Figure::Max)];
        for series in series {
            row.extend(["50", "99"].map(|name| group.latency_text(series, Figure::Percentile(name))));
        }
        table.row(line(view, group, row));
    }
    table.note("From the begin of a transaction to its commit answered; the calls alone; until the last of its records is handed to a reader at read_committed. In a pipeline a transaction is a batch with its offsets.");
    Some(table.without_idle_columns(&["n/a"]))
}

/// Whose transactions a line is about, and the names of their series: of the initialisation, and of the other columns.
struct Whose {
    name: &'static str,
    init: &'static str,
    series: [&'static str; 5],
}

/// The producers', and the group's, which write to a topic.
fn whose(group: &Group) -> impl Iterator<Item = Whose> {
    let settings = &group.first().cell.settings;
    let commit = settings.group.as_ref().map(|group| group.commit);
    let (producers, pipeline) =
        (settings.producer.transaction.is_some(), commit == Some(CommitStrategy::Transaction));
    let of_producers = Whose {
        name: "producers",
        init: "init",
        series: ["transaction", NO_SERIES, "commit_call", "abort", "visible"],
    };
    let alone = Whose {
        name: "pipeline",
        init: "init",
        series: ["transaction", "offsets_call", "commit_call", "abort", "output_visible"],
    };
    let beside_producers = Whose {
        name: "pipeline",
        init: "output_init",
        series: [
            "output_transaction",
            "offsets_call",
            "output_commit_call",
            "output_abort",
            "output_visible",
        ],
    };
    let of_pipeline = if producers { beside_producers } else { alone };
    [producers.then_some(of_producers), pipeline.then_some(of_pipeline)].into_iter().flatten()
}

/// Of a column that is empty on a line.
const NO_SERIES: &str = "none";
