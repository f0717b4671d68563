//! The chart that this project exists for: what a setting's latency is, and what it loses under a fault.

use super::axis::{ACROSS, Axis, Panel, UPWARDS, count_tick, time_tick};
use super::canvas::{Anchor, Canvas, INK, LINE_PX, SOFT, STYLES, Style, foot_px, picture, widest_px};
use super::{Chart, LeftOut, Place, footer};
use crate::report::durability::{Trial, trials};
use crate::report::figures::{duration, zero_bound_per_million};
use crate::report::lines::wrapped;
use crate::report::tables;
use crate::report::view::View;
use bench_model::settings::Acks;

const LANES: [&str; 2] = ["untested", "acks=0: no claim"];
const LANE_PX: i32 = 34;
/// The axis of losses ends at a million of a million, which is the step above this.
const MOST_LOST: f64 = 0.97e6;
/// Room of a trial in the column of those without a comparable latency, and the least width of this column.
const SLOT_PX: i32 = 36;
const COLUMN_PX: i32 = 170;
const COLUMN_NAME: [&str; 2] = ["no p99 without a fault:", "no place on the axis"];

/// Where a trial stands.
enum Spot {
    /// Lost so many of a million.
    Lost(f64),
    /// Nothing lost; fewer than so many of a million.
    Below(f64),
    /// In one of the lanes.
    Lane(usize),
}

fn spot(trial: &Trial) -> Spot {
    if trial.setting.acks == Acks::Zero {
        return Spot::Lane(1);
    }
    match zero_bound_per_million(trial.claimed) {
        Some(bound) if !trial.is_untested() && trial.lost == 0 => Spot::Below(bound),
        Some(_) if !trial.is_untested() => Spot::Lost(trial.lost as f64 / trial.claimed as f64 * 1e6),
        _ => Spot::Lane(0),
    }
}

/// The chart, where any setting was measured.
pub fn chart(view: &View) -> Option<Chart> {
    let all = trials(view);
    if all.iter().all(|trial| trial.p99.is_none()) {
        return None;
    }
    let shown: Vec<&Trial> = all.iter().take(STYLES).collect();
    let name = |trial: &Trial| (trial.setting.name(), "no room (see the table)".to_owned());
    let left_out: Vec<LeftOut> = all[shown.len()..].iter().map(name).collect();
    let title = "Latency against durability".to_owned();
    Some(Chart {
        place: Place::Durability,
        file: "latency-durability.svg".into(),
        svg: draw(view, &title, &shown, &left_out),
        title,
        caption: format!(
            "Down and left is better. A ring with an arrow: nothing lost, drawn at the 95 % bound for each record. \
             \"Untested\": no control fired, so nothing may be said. A setting whose latency is known only under a fault, or \
             not at all, has no place on the latency axis and stands in a column on the right. {} {}.",
            super::not_shown(&left_out),
            view.credit()
        ),
        table: tables::durability(&all, view.stamp().is_some()),
    })
}

/// A latency that has a place on the axis: one without a fault.
fn calm_p99(trial: &Trial) -> Option<(f64, bool)> {
    trial.p99.filter(|_| !trial.p99_under_fault)
}

/// Where everything stands.
struct Layout {
    /// Latency across, losses upwards; no height where no trial has a place there.
    panel: Panel,
    /// The same with the lanes below, for frame and ticks.
    framed: Panel,
    /// The column of trials without a place on the latency axis, lanes included, where there are any.
    column: Option<Panel>,
}

fn layout(trials: &[&Trial]) -> Layout {
    let heights: Vec<f64> = trials
        .iter()
        .filter_map(|trial| match spot(trial) {
            Spot::Lost(per_million) => Some(per_million.min(MOST_LOST)),
            // Room below a bound, where its arrow points.
            Spot::Below(bound) => Some(bound / 3.0),
            Spot::Lane(_) => None,
        })
        .collect();
    let calm: Vec<f64> = trials.iter().filter_map(|trial| calm_p99(trial)).map(|(ns, _)| ns).collect();
    let x = if calm.is_empty() {
        Axis::between("end-to-end latency p99: none without a fault", (0.0, 1.0), Vec::new())
    } else {
        Axis::log("end-to-end latency p99, without a fault (log scale)", calm, time_tick, ACROSS)
    };
    // Where nobody stands between the lanes and the top, the lanes are all there is. Otherwise always up to everything lost,
    // so that runs can be compared by eye.
    let y = (!heights.is_empty()).then(|| {
        let title = "acknowledged records lost per million, under a fault (log scale)";
        Axis::log(title, heights.into_iter().chain([MOST_LOST]), count_tick, UPWARDS)
    });
    let panel = Panel { left: 150, right: 740, top: 76, bottom: if y.is_some() { 400 } else { 76 }, x, y };
    let framed = Panel { bottom: panel.bottom + LANE_PX * LANES.len() as i32, y: None, ..panel.clone() };
    let others = trials.iter().filter(|trial| calm_p99(trial).is_none()).count() as i32;
    let left = panel.right + 60;
    let column = (others > 0).then(|| Panel {
        left,
        right: left + COLUMN_PX.max(SLOT_PX * (others + 1)),
        x: Axis::between("", (0.0, f64::from(others + 1)), Vec::new()),
        ..framed.clone()
    });
    Layout { panel, framed, column }
}

fn draw(view: &View, title: &str, trials: &[&Trial], left_out: &[LeftOut]) -> String {
    let mut faults: Vec<&str> = trials.iter().map(|trial| trial.fault.as_str()).collect();
    faults.sort_unstable();
    faults.dedup();
    faults.retain(|fault| !fault.is_empty());
    let numbered = (1..).zip(&faults).map(|(number, fault)| format!("fault {number}: {fault}"));
    let is_shown = |kind: &str| trials.iter().any(|trial| trial.caveats.contains(kind));
    let foot: Vec<String> = numbered
        .flat_map(|line| wrapped(&line, super::FOOT_CHARACTERS))
        .chain(footer(view, is_shown, left_out))
        .collect();
    let layout = layout(trials);
    let names: Vec<String> = trials.iter().map(|trial| name(view, trial, &faults)).collect();
    let description = format!(
        "End-to-end latency p99 without a fault against acknowledged records lost per million under a fault, both \
         logarithmic, for: {}.",
        names.join("; ")
    );
    let legend_top = layout.framed.bottom + 68;
    let height = legend_top + LINE_PX * names.len() as i32 + foot_px(&foot);
    let legend_right = layout.panel.left + 60 + widest_px(names.iter().map(String::as_str));
    let right = layout.column.as_ref().map_or(layout.framed.right, |column| column.right);
    let width = (right + 30).max(legend_right);
    picture((width, height), title, &description, &foot, |canvas| {
        frame(canvas, &layout);
        let mut slot = 0;
        for (at, trial) in trials.iter().enumerate() {
            let x = match (calm_p99(trial), &layout.column) {
                (Some((ns, _)), _) => layout.panel.x_px(ns),
                (None, Some(column)) => {
                    slot += 1;
                    column.x_px(f64::from(slot))
                }
                (None, None) => continue,
            };
            mark(canvas, &layout, trial, x, Style(at));
        }
        canvas.legend((layout.panel.left, legend_top), &names);
    })
}

fn lane_px(panel: &Panel, lane: usize) -> i32 {
    panel.bottom + LANE_PX * lane as i32 + LANE_PX / 2
}

fn frame(canvas: &Canvas, layout: &Layout) {
    let Layout { panel, framed, column } = layout;
    framed.draw(canvas);
    if panel.y.is_some() {
        Panel { x: Axis::between("", (0.0, 1.0), Vec::new()), ..panel.clone() }.draw(canvas);
    }
    if let Some(column) = column {
        canvas.line(
            &[
                (column.left, column.top),
                (column.right, column.top),
                (column.right, column.bottom),
                (column.left, column.bottom),
                (column.left, column.top),
            ],
            SOFT,
            1,
        );
        for (line, words) in COLUMN_NAME.iter().enumerate() {
            let y = column.bottom + 16 + LINE_PX * line as i32;
            canvas.text(((column.left + column.right) / 2, y), words, Anchor::Middle, INK);
        }
    }
    for (lane, words) in LANES.iter().enumerate() {
        let y = lane_px(panel, lane);
        canvas.text((panel.left - 10, y), words, Anchor::End, SOFT);
        for stretch in [Some(panel), column.as_ref()].into_iter().flatten() {
            canvas.line(&[(stretch.left, y - LANE_PX / 2), (stretch.right, y - LANE_PX / 2)], SOFT, 1);
        }
    }
}

fn mark(canvas: &Canvas, layout: &Layout, trial: &Trial, x: i32, style: Style) {
    let panel = &layout.panel;
    let y = match spot(trial) {
        Spot::Lost(per_million) => panel.y_px(per_million),
        Spot::Below(bound) => {
            let y = panel.y_px(bound);
            canvas.ring((x, y), style.colour());
            canvas.line(&[(x, y + 9), (x, y + 26)], style.colour(), 2);
            canvas.arrow((x, y + 27), (0, 1), style.colour());
            y
        }
        Spot::Lane(lane) => lane_px(panel, lane),
    };
    canvas.marker((x, y), style);
    if calm_p99(trial).is_some_and(|(_, at_least)| at_least) {
        canvas.arrow((x + 18, y), (1, 0), style.colour());
    }
}

/// The setting with its marks, the number of its fault, and its latency where the axis has no place for it.
fn name(view: &View, trial: &Trial, faults: &[&str]) -> String {
    let fault = match faults.iter().position(|fault| *fault == trial.fault) {
        Some(at) => format!("fault {}", at + 1),
        None => "no fault".into(),
    };
    let marks = view.marks.iter().filter(|(_, kind)| trial.caveats.contains(kind));
    let marks: String = marks.map(|(mark, _)| format!(" [{mark}]")).collect();
    let latency = match trial.p99 {
        None => "; no p99 that may be compared".to_owned(),
        Some((ns, at_least)) if trial.p99_under_fault => {
            format!("; p99 under the fault {}{}", if at_least { "≥ " } else { "" }, duration(ns))
        }
        Some(_) => String::new(),
    };
    format!("{}{marks} ({fault}{latency})", trial.setting.name())
}
