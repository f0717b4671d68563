//! The charts of a report: which there are, and what every one of them states. Drawing is in `canvas` and `axis`.

mod axis;
mod bars;
mod canvas;
mod curves;
mod durability;
mod series;

use super::table::Table;
use super::view::{Group, View};

/// Where in the report a chart stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Latency against durability.
    Durability,
    /// Throughput and latency by cell.
    ByCell,
    /// Percentile curves.
    Curves,
    /// Second by second, cells with a fault.
    Seconds,
    /// Second by second, cells without one.
    Folded,
}

impl Place {
    /// The section's heading.
    pub fn heading(self) -> &'static str {
        match self {
            Place::Durability => "Latency against durability",
            Place::ByCell => "By cell",
            Place::Curves => "Percentile curves",
            Place::Seconds => "Second by second, under faults",
            Place::Folded => "Second by second, without a fault",
        }
    }
}

/// A chart with everything that belongs to it.
#[derive(Debug)]
pub struct Chart {
    /// Where it stands.
    pub place: Place,
    /// File name in `plots/`.
    pub file: String,
    /// Title.
    pub title: String,
    /// How to read it.
    pub caption: String,
    /// The picture.
    pub svg: String,
    /// The same as numbers.
    pub table: Table,
}

/// Every chart that the run has data for.
pub fn charts(view: &View) -> Vec<Chart> {
    let mut charts: Vec<Chart> = durability::chart(view).into_iter().collect();
    for profile in view.profiles() {
        charts.extend(bars::charts(view, profile));
        charts.extend(curves::charts(view, profile));
    }
    charts.extend(view.run.cells.iter().filter_map(|cell| series::chart(view, cell)));
    charts
}

/// A name as it stands in a file name.
fn slug(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect()
}

/// Cells of a profile that may be compared, and a sentence about those that may not.
fn comparable<'v, 'a>(view: &'v View<'a>, profile: &str) -> (Vec<&'v Group<'a>>, String) {
    let (fit, unfit): (Vec<_>, Vec<_>) =
        view.groups.iter().filter(|group| group.profile == profile).partition(|group| group.is_comparable());
    let left_out: Vec<String> = unfit
        .iter()
        .map(|group| {
            let why =
                if group.finished().next().is_some() { "generator-bound".into() } else { group.outcome() };
            format!("{} ({why})", group.name)
        })
        .collect();
    let sentence =
        if left_out.is_empty() { String::new() } else { format!(" Not compared: {}.", left_out.join("; ")) };
    (fit, sentence)
}

/// The lines under every picture: who measured what, and what the marks mean.
fn footer(view: &View) -> Vec<String> {
    let mut lines = vec![view.credit()];
    if !view.marks.is_empty() {
        lines.push(view.legend_of_marks());
    }
    lines
}
