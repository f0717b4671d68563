//! Tables, charts and summaries from stored results alone; this room never sees a run.

mod contingency;
mod controls;
mod csv;
mod damage;
mod delivery;
mod durability;
mod environment;
mod faults;
mod figures;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod group_tests;
mod html;
mod lines;
mod markdown;
mod notes;
mod offenders;
mod ordeals;
mod page;
mod plots;
mod recovery;
mod settings;
mod summary;
mod table;
mod tables;
#[cfg(test)]
mod tests;
mod transactions;
mod view;
mod workers;

pub use summary::summary;

use crate::store::StoredRun;
use lines::wrapped;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use table::{TERMINAL_COLUMNS, Table};
use view::View;

/// A part of the report could not be written.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("could not write {}: {source}", path.display())]
#[diagnostic(help(
    "make room or give write permission, then run `bench-runner report` on the run's directory"
))]
pub struct ReportError {
    path: PathBuf,
    source: io::Error,
}

/// Writes `report.md`, `report.html`, `cells.csv` and `plots/*.svg` into `directory`.
///
/// # Errors
/// A file cannot be written.
pub fn render(run: &StoredRun, directory: &Path) -> Result<(), ReportError> {
    let view = View::of(run);
    let charts = plots::charts(&view);
    let plots = directory.join("plots");
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ReportError { path, source }
    };
    fs::create_dir_all(&plots).map_err(failed(&plots))?;
    let write = |path: PathBuf, text: &str| fs::write(&path, text).map_err(failed(&path));
    for chart in charts.iter() {
        write(plots.join(&chart.file), &chart.svg)?;
    }
    write(directory.join("cells.csv"), &csv::every_cell(&view).csv())?;
    let page = page::compose(&view, charts);
    write(directory.join("report.md"), &markdown::render(&page))?;
    write(directory.join("report.html"), &html::render(&page))
}

/// The tables for a terminal, with what the marks mean and what was not measured.
pub fn terminal(run: &StoredRun) -> String {
    let view = View::of(run);
    let mut parts = Vec::new();
    parts.extend(view.stamp().map(str::to_owned));
    parts.push(tables::books(&view).terminal());
    parts.extend(delivery::semantics_terminal(&view).map(|table| table.terminal()));
    parts.extend(delivery::course_terminal(&view).map(|table| table.terminal()));
    parts.extend(transactions::timings(&view).map(|table| table.terminal()));
    parts.extend(recovery::terminal(&view).map(|table| table.terminal()));
    parts.extend(tables::speed_terminal(&view).iter().map(Table::terminal));
    parts.push(tables::cost(&view).terminal());
    let notes =
        [notes::doubts(&view), notes::without_verdict(&view), notes::noise(&view), vec![view.credit()]];
    parts.extend(notes.iter().flatten().flat_map(|note| wrapped(note, TERMINAL_COLUMNS.into())));
    parts.join("\n")
}

/// Evidence that is missing, torn or changed since it was stored, one line each: for whoever asks for a report.
pub fn damaged(run: &StoredRun) -> Vec<String> {
    run.cells
        .iter()
        .flat_map(damage::of)
        .map(|damage| format!("damaged evidence: {}", damage.line()))
        .collect()
}
