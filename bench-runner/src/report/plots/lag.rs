//! One group second by second: how far it is behind the log, in records and in time; rebalances and faults as bands.

use super::axis::{Axis, Panel, count_tick, time_tick};
use super::canvas::{BAND, Canvas, LINE_WIDTH, Style, foot_px, picture, widest_px};
use super::series::{Band, WIDTH_PX, bands, draw_with_bands, name_bands, names_px, tick_step};
use super::{Chart, Place, footer, slug};
use crate::report::figures::duration;
use crate::report::lines::counted;
use crate::report::ordeals::is_disturbed;
use crate::report::table::Table;
use crate::report::view::{View, word};
use crate::store::StoredCell;
use bench_model::profile::grouped;
use bench_model::result::{GroupCourse, Outcome, Rebalance, RebalanceCause};
use plotters::style::RGBColor;

const SECOND_NS: f64 = 1e9;
/// Rebalances, lighter than faults.
const REBALANCE: RGBColor = RGBColor(0xdd, 0xea, 0xf5);
const NAMES: [&str; 3] = ["behind, records", "behind, time", "commits"];

/// The chart of a cell whose group's course is known.
pub fn chart(view: &View, cell: &StoredCell) -> Option<Chart> {
    let result = &cell.result;
    let course = result.group.as_ref()?;
    let ran = matches!(result.outcome, Outcome::Finished | Outcome::NotInjected | Outcome::Inconclusive);
    if !ran || course.seconds.len() < 2 {
        return None;
    }
    let state = match result.outcome {
        Outcome::Finished => String::new(),
        other => format!("{}: ", word(&other).to_uppercase()),
    };
    let title = format!("{state}{}, the group's lag second by second", result.cell.id);
    let disturbed = is_disturbed(&result.cell) || !course.rebalances.is_empty();
    Some(Chart {
        place: if disturbed { Place::Seconds } else { Place::Folded },
        file: format!("lag-{}.svg", slug(&result.cell.id)),
        svg: draw(view, &title, cell, course),
        title,
        caption: format!(
            "At the end of each second: records that an independent reader had been handed and the group had not got past, \
             and how long ago that reader was as far. Shaded: rebalances, from the first partition given up (after a death: \
             from its owner's last sign of life) to the last one assigned; faults and what was done to workers; the warm-up. {}.",
            view.credit()
        ),
        table: table(course),
    })
}

fn table(course: &GroupCourse) -> Table {
    let mut table =
        Table::new([">second", ">behind, records", ">behind, time", ">commits", "rebalances that began"]);
    for second in &course.seconds {
        let begins = |rebalance: &&Rebalance| {
            let at = (rebalance.start_ns as f64 / SECOND_NS) as u32;
            at == second.second
        };
        let begun: Vec<String> = course.rebalances.iter().filter(begins).map(name).collect();
        table.row([
            second.second.to_string(),
            grouped(second.lag_records),
            duration(second.lag_ns as f64),
            grouped(second.commits),
            if begun.is_empty() { "–".into() } else { begun.join("; ") },
        ]);
    }
    table
}

/// E.g. `death: 1 partition without an owner for 2.01 s`.
fn name(rebalance: &Rebalance) -> String {
    let cause = match rebalance.cause {
        RebalanceCause::Death => "death",
        RebalanceCause::Lost => "lost",
        RebalanceCause::Revoked => "rebalance",
    };
    let partitions = counted(rebalance.partitions.into(), "partition");
    format!("{cause}: {partitions} without an owner for {}", duration(rebalance.pause_ns as f64))
}

fn all_bands(cell: &StoredCell, course: &GroupCourse, end_s: f64) -> Vec<Band> {
    let mut all = bands(cell, end_s);
    all.extend(course.rebalances.iter().map(|rebalance| Band {
        from_s: (rebalance.start_ns as f64 / SECOND_NS).min(end_s),
        to_s: (rebalance.end_ns as f64 / SECOND_NS).min(end_s),
        name: name(rebalance),
        colour: if rebalance.cause == RebalanceCause::Death { BAND } else { REBALANCE },
    }));
    all
}

fn draw(view: &View, title: &str, cell: &StoredCell, course: &GroupCourse) -> String {
    let foot = footer(view, |kind| cell.result.caveats.iter().any(|caveat| caveat.kind == kind), &[]);
    let end_s = course.seconds.last().map_or(1.0, |second| f64::from(second.second) + 1.0);
    let bands = all_bands(cell, course, end_s);
    let time = |title: &str| {
        let ticks = (0..=end_s as u32).filter(|second| second % tick_step(end_s) == 0);
        Axis::between(title, (0.0, end_s), ticks.map(|at| (f64::from(at), at.to_string())).collect())
    };
    let points: [Vec<(f64, f64)>; 3] = [
        course.seconds.iter().map(|it| (f64::from(it.second) + 1.0, it.lag_records as f64)).collect(),
        course.seconds.iter().map(|it| (f64::from(it.second) + 1.0, it.lag_ns as f64)).collect(),
        course.seconds.iter().map(|it| (f64::from(it.second) + 0.5, it.commits as f64)).collect(),
    ];
    let most = |at: usize| points[at].iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let top = 84 + names_px(&bands);
    let records = Panel {
        left: 90,
        right: 760,
        top,
        bottom: top + 160,
        x: time(""),
        y: Some(Axis::linear("records behind the log", most(0).max(1.0), count_tick)),
    };
    let seconds = Panel {
        top: records.bottom + 64,
        bottom: records.bottom + 224,
        y: Some(Axis::linear("time behind the log", most(1).max(1e6), time_tick)),
        ..records.clone()
    };
    let commits = Panel {
        top: seconds.bottom + 64,
        bottom: seconds.bottom + 164,
        x: time("seconds since the first record was due"),
        y: Some(Axis::linear("commits answered, per second of their call", most(2).max(1.0), count_tick)),
        ..records.clone()
    };
    let description = format!(
        "Three panels over {}: the group's lag in records, in time, and its commits. {}.",
        counted(course.seconds.len(), "second"),
        counted(bands.len(), "shaded band")
    );
    let width = WIDTH_PX.max(records.right + 80 + widest_px(NAMES));
    picture((width, commits.bottom + 60 + foot_px(&foot)), title, &description, &foot, |canvas| {
        for (at, panel) in [&records, &seconds, &commits].into_iter().enumerate() {
            draw_with_bands(canvas, panel, &bands);
            line(canvas, panel, &points[at], Style(at));
            let legend = (panel.right + 25, panel.top + 10);
            canvas.legend_of(legend, &[(Style(at), LINE_WIDTH)], &[NAMES[at].to_owned()]);
        }
        name_bands(canvas, &records, &bands);
    })
}

fn line(canvas: &Canvas, panel: &Panel, points: &[(f64, f64)], style: Style) {
    let pixels: Vec<(i32, i32)> = points.iter().map(|(x, y)| panel.at(*x, *y)).collect();
    canvas.line(&pixels, style.colour(), LINE_WIDTH);
    // A marker for each second turns into a rope when there are many.
    for point in pixels.iter().step_by(pixels.len().div_ceil(25)) {
        canvas.marker(*point, style);
    }
}
