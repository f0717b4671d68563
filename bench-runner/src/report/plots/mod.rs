//! The charts of a report: which there are, and what every one of them states. Drawing is in `canvas` and `axis`.

mod axis;
mod bars;
mod canvas;
mod curves;
mod durability;
mod lag;
mod restarts;
mod series;
mod timeline;

use super::lines::wrapped;
use super::table::Table;
use super::view::{Group, View};

/// A longer line under a picture is broken.
const FOOT_CHARACTERS: usize = 110;
/// Why acks=0 is not in a chart of publish latency.
const HANDED_OVER: &str = "handed to a socket only";

/// What a chart leaves out, and why.
type LeftOut = (String, String);

/// Where in the report a chart stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Latency against durability.
    Durability,
    /// Throughput and latency by cell.
    ByCell,
    /// Percentile curves.
    Curves,
    /// Second by second, cells with a fault, a death or a rebalance.
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
            Place::Seconds => "Second by second, under faults, deaths and rebalances",
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
        charts.extend(restarts::chart(view, profile));
        charts.extend(curves::charts(view, profile));
    }
    for cell in &view.run.cells {
        charts.extend(series::chart(view, cell));
        charts.extend(timeline::chart(view, cell));
        charts.extend(lag::chart(view, cell));
    }
    charts
}

/// A name as it stands in a file name.
fn slug(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect()
}

/// Cells of a profile that may be compared; of those that may not, the name and why.
fn comparable<'v, 'a>(view: &'v View<'a>, profile: &str) -> (Vec<&'v Group<'a>>, Vec<LeftOut>) {
    let (fit, unfit): (Vec<_>, Vec<_>) =
        view.groups.iter().filter(|group| group.profile == profile).partition(|group| group.is_comparable());
    let left_out = unfit.iter().map(|group| {
        let why = if group.finished().next().is_some() { "generator-bound".into() } else { group.outcome() };
        without(group, &why)
    });
    (fit, left_out.collect())
}

/// Profiles of which no cell can be compared, and why: they have no chart of throughput or latency by cell.
pub fn incomparable(view: &View) -> Vec<String> {
    let of = |profile: &str| {
        let (fit, left_out) = comparable(view, profile);
        (fit.is_empty() && !left_out.is_empty()).then(|| {
            format!(
                "{profile} has no charts of throughput and latency: none of its cells can be compared. {}",
                not_shown(&left_out)
            )
        })
    };
    view.profiles().into_iter().filter_map(of).collect()
}

/// A cell that a chart leaves out, and why.
fn without(group: &Group, why: &str) -> LeftOut {
    let again = if group.again { " (again)" } else { "" };
    (format!("{}{again}", group.label), why.to_owned())
}

/// Parts the groups by whether a chart can show them; those it cannot are added to `left_out`.
fn select<'v, 'a>(
    groups: &[&'v Group<'a>],
    left_out: &mut Vec<LeftOut>,
    obstacle: impl Fn(&Group) -> Option<&'static str>,
) -> Vec<&'v Group<'a>> {
    let mut shown = Vec::new();
    for group in groups {
        match obstacle(group) {
            Some(why) => left_out.push(without(group, why)),
            None => shown.push(*group),
        }
    }
    shown
}

/// Names that a picture gives of what it leaves out for one reason; all of them stand in its caption.
const MOST_NAMES: usize = 6;

/// A sentence about what a chart leaves out, reason by reason; empty if nothing.
fn not_shown(left_out: &[LeftOut]) -> String {
    names_not_shown(left_out, usize::MAX)
}

/// The same, with at most so many names for one reason; of more it says how many.
fn names_not_shown(left_out: &[LeftOut], most: usize) -> String {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, why) in left_out {
        match reasons.iter_mut().find(|(known, _)| known == why) {
            Some((_, names)) => names.push(name),
            None => reasons.push((why, vec![name])),
        }
    }
    let of_reason = |(why, names): &(&str, Vec<&str>)| {
        let told = names[..names.len().min(most)].join(" · ");
        let more = names.len().saturating_sub(most);
        if more == 0 { format!("{why}: {told}") } else { format!("{why}: {told} and {more} more") }
    };
    let list: Vec<String> = reasons.iter().map(of_reason).collect();
    if list.is_empty() { String::new() } else { format!("Not shown, {}.", list.join("; ")) }
}

/// The lines under every picture: who measured what, what the whole run and the marks of the shown cells say against it, and what is not
/// shown.
fn footer(view: &View, is_shown: impl Fn(&str) -> bool, left_out: &[LeftOut]) -> Vec<String> {
    let marks = view.legend_of_marks(is_shown);
    let lines = [view.credit(), view.doubts_of_run(), marks, names_not_shown(left_out, MOST_NAMES)];
    lines.iter().filter(|line| !line.is_empty()).flat_map(|line| wrapped(line, FOOT_CHARACTERS)).collect()
}

/// Some of these cells carries a caveat of this kind.
fn any_caveat(groups: &[&Group], kind: &str) -> bool {
    groups.iter().any(|group| group.has_caveat(kind))
}
