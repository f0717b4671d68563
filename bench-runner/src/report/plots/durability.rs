//! The chart that this project exists for: what a setting's latency is, and what it loses, with a panel for each fault.

use super::axis::{ACROSS, Axis, Panel, UPWARDS, count_tick, time_tick};
use super::canvas::{Anchor, Canvas, INK, LINE_PX, SOFT, STYLES, Style, foot_px, picture, widest_px};
use super::{Chart, LeftOut, Place, footer};
use crate::report::durability::{Setting, Trial, trials};
use crate::report::figures::{duration, zero_bound_per_million};
use crate::report::lines::wrapped;
use crate::report::tables;
use crate::report::view::{Spread, View};
use bench_model::settings::Acks;

const LANES: [&str; 2] = ["untested", "acks=0: no claim"];
const LANE_PX: i32 = 34;
/// The axis of losses ends at a million of a million, which is the step above this.
const MOST_LOST: f64 = 0.97e6;
/// Room of a trial in the column of those without a comparable latency.
const SLOT_PX: i32 = 30;
const COLUMN_NAME: &str = "no p99";
const UPWARDS_NAME: &str = "lost per million";
/// Panels side by side, their sizes, and the room around them.
const ACROSS_PANELS: usize = 2;
const PANEL_PX: (i32, i32) = (330, 220);
const NARROW_PX: i32 = 24;
const LEFT_PX: i32 = 150;
const ABOVE_PX: i32 = 46;
const BELOW_PX: i32 = 40;
/// Between a panel and its column: room for half of the last tick's label.
const GAP_PX: i32 = 36;
/// What both axes are, once for all panels.
const AXES: [&str; 3] = [
    "Across: end-to-end latency p99 without a fault. Upwards: acknowledged records lost per million under",
    "the fault. Both logarithmic. Ring and arrow: nothing lost, drawn at the 95 % bound. Untested: no weaker",
    "setting is known to lose anything under that fault. A line across: the repeats' range of the latency.",
];
/// From the upper edge to the first panel's room.
const HEAD_PX: i32 = 34 + LINE_PX * AXES.len() as i32;

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
    let mut settings: Vec<&Setting> = all.iter().map(|trial| &trial.setting).collect();
    settings.dedup();
    let unshown = settings.split_off(settings.len().min(STYLES));
    let left_out: Vec<LeftOut> =
        unshown.iter().map(|setting| (setting.name(), "no room (see the table)".to_owned())).collect();
    let shown: Vec<&Trial> = all.iter().filter(|trial| settings.contains(&&trial.setting)).collect();
    let title = "Latency against durability".to_owned();
    Some(Chart {
        place: Place::Durability,
        file: "latency-durability.svg".into(),
        svg: draw(view, &title, &shown, &settings, &left_out),
        title,
        caption: format!(
            "A panel for each fault, all with the same axes. Down and left is better. A ring with an arrow: nothing lost, drawn at \
             the 95 % bound for each record. \"Untested\": no control fired, so nothing may be said. A setting whose latency is known \
             only under a fault, or not at all, has no place on the latency axis and stands in a column on the right. {} {}.",
            super::not_shown(&left_out),
            view.credit()
        ),
        table: tables::durability(&all, view.stamp().is_some()),
    })
}

/// A latency that has a place on the axis: one without a fault.
fn calm_p99(trial: &Trial) -> Option<Spread> {
    trial.p99.filter(|_| !trial.p99_under_fault)
}

/// The axes of all panels.
struct Axes {
    x: Axis,
    /// Across, in pixels: narrow where nobody has a place on the axis.
    width_px: i32,
    y: Option<Axis>,
    /// Trials without a place on the latency axis, in the panel with most of them.
    others: i32,
}

impl Axes {
    fn of(panels: &[(&str, Vec<&Trial>)]) -> Self {
        let trials = || panels.iter().flat_map(|(_, trials)| trials);
        let heights = trials().filter_map(|trial| match spot(trial) {
            Spot::Lost(per_million) => Some(per_million.min(MOST_LOST)),
            // Room below a bound, where its arrow points.
            Spot::Below(bound) => Some(bound / 3.0),
            Spot::Lane(_) => None,
        });
        let heights: Vec<f64> = heights.collect();
        let calm: Vec<f64> =
            trials().filter_map(|trial| calm_p99(trial)).flat_map(|p99| [p99.min, p99.max]).collect();
        let width_px = if calm.is_empty() { NARROW_PX } else { PANEL_PX.0 };
        let x = if calm.is_empty() {
            Axis::between("", (0.0, 1.0), Vec::new())
        } else {
            Axis::log("end-to-end p99", calm, time_tick, ACROSS / 2)
        };
        // Where nobody stands between the lanes and the top, the lanes are all there is. Otherwise always up to everything lost,
        // so that runs can be compared by eye.
        let y = (!heights.is_empty())
            .then(|| Axis::log("", heights.into_iter().chain([MOST_LOST]), count_tick, UPWARDS / 2));
        let others = panels
            .iter()
            .map(|(_, trials)| trials.iter().filter(|trial| calm_p99(trial).is_none()).count() as i32);
        Axes { x, width_px, y, others: others.max().unwrap_or(0) }
    }

    fn column_px(&self) -> i32 {
        if self.others == 0 { 0 } else { (SLOT_PX * (self.others + 1)).max(60) }
    }

    /// Pixels of one panel with all that is around it.
    fn room_px(&self) -> (i32, i32) {
        let lanes = LANE_PX * LANES.len() as i32;
        (
            LEFT_PX + self.width_px + GAP_PX + self.column_px() + 24,
            ABOVE_PX + self.height_px() + lanes + BELOW_PX,
        )
    }

    fn height_px(&self) -> i32 {
        if self.y.is_some() { PANEL_PX.1 } else { 0 }
    }
}

/// Where everything of a panel stands.
struct Layout {
    /// Latency across, losses upwards; no height where no trial has a place there.
    panel: Panel,
    /// The same with the lanes below, for frame and ticks.
    framed: Panel,
    /// The column of trials without a place on the latency axis, lanes included, where there are any.
    column: Option<Panel>,
}

fn layout(axes: &Axes, number: usize) -> Layout {
    let (room_x, room_y) = axes.room_px();
    let left = LEFT_PX + room_x * (number % ACROSS_PANELS) as i32;
    let top = HEAD_PX + ABOVE_PX + room_y * (number / ACROSS_PANELS) as i32;
    let (right, bottom) = (left + axes.width_px, top + axes.height_px());
    let panel = Panel { left, right, top, bottom, x: axes.x.clone(), y: axes.y.clone() };
    let framed = Panel { bottom: bottom + LANE_PX * LANES.len() as i32, y: None, ..panel.clone() };
    let column = (axes.others > 0).then(|| Panel {
        left: right + GAP_PX,
        right: right + GAP_PX + axes.column_px(),
        x: Axis::between("", (0.0, f64::from(axes.others + 1)), Vec::new()),
        ..framed.clone()
    });
    Layout { panel, framed, column }
}

fn draw(view: &View, title: &str, trials: &[&Trial], settings: &[&Setting], left_out: &[LeftOut]) -> String {
    let mut panels: Vec<(&str, Vec<&Trial>)> = Vec::new();
    for trial in trials {
        match panels.iter_mut().find(|(fault, _)| *fault == trial.fault) {
            Some((_, own)) => own.push(trial),
            None => panels.push((&trial.fault, vec![trial])),
        }
    }
    // Those without any fault come last: they say least.
    panels.sort_by_key(|(fault, _)| fault.is_empty());
    let titles: Vec<String> = (1..)
        .zip(&panels)
        .map(
            |(number, (fault, _))| {
                if fault.is_empty() { "no fault".into() } else { format!("fault {number}") }
            },
        )
        .collect();
    let told = titles.iter().zip(&panels).filter(|(_, (fault, _))| !fault.is_empty());
    let is_shown = |kind: &str| trials.iter().any(|trial| trial.caveats.contains(kind));
    let foot: Vec<String> = told
        .map(|(title, (fault, _))| format!("{title}: {fault}"))
        .flat_map(|line| wrapped(&line, super::FOOT_CHARACTERS))
        .chain(footer(view, is_shown, left_out))
        .collect();
    let axes = Axes::of(&panels);
    let names: Vec<String> = settings.iter().map(|setting| name(view, trials, setting)).collect();
    let description = format!(
        "End-to-end latency p99 without a fault against acknowledged records lost per million, both logarithmic, in a panel \
         for each fault ({}), for: {}.",
        titles.join(", "),
        names.join("; ")
    );
    let (room_x, room_y) = axes.room_px();
    let legend_top = HEAD_PX + 20 + room_y * panels.len().div_ceil(ACROSS_PANELS) as i32;
    let height = legend_top + LINE_PX * names.len() as i32 + foot_px(&foot);
    let across = room_x * panels.len().min(ACROSS_PANELS) as i32;
    let width = across.max(60 + widest_px(names.iter().map(String::as_str).chain(AXES)));
    picture((width, height), title, &description, &foot, |canvas| {
        for (line, words) in AXES.iter().enumerate() {
            canvas.text((16, 50 + LINE_PX * line as i32), words, Anchor::Start, INK);
        }
        for (number, ((_, trials), title)) in panels.iter().zip(&titles).enumerate() {
            let layout = layout(&axes, number);
            canvas.text((layout.panel.left, layout.panel.top - 18), title, Anchor::Start, INK);
            if axes.y.is_some() {
                canvas.text((layout.panel.left - 10, layout.panel.top - 18), UPWARDS_NAME, Anchor::End, INK);
            }
            frame(canvas, &layout);
            fill(canvas, &layout, trials, settings);
        }
        canvas.legend((16, legend_top), &names);
    })
}

/// A mark for each trial of a panel, by its setting.
fn fill(canvas: &Canvas, layout: &Layout, trials: &[&Trial], settings: &[&Setting]) {
    let mut slot = 0;
    for trial in trials {
        let x = match (calm_p99(trial), &layout.column) {
            (Some(p99), _) => layout.panel.x_px(p99.median),
            (None, Some(column)) => {
                slot += 1;
                column.x_px(f64::from(slot))
            }
            (None, None) => continue,
        };
        let style = settings.iter().position(|setting| **setting == trial.setting).unwrap_or_default();
        mark(canvas, layout, trial, x, Style(style));
    }
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
        let middle = (column.left + column.right) / 2;
        canvas.text((middle, column.bottom + 14), COLUMN_NAME, Anchor::Middle, INK);
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
    if let Some(p99) = calm_p99(trial) {
        let [from, to] = [p99.min, p99.max].map(|ns| panel.x_px(ns));
        if p99.repeats > 1 {
            canvas.line(&[(from, y), (to, y)], style.colour(), 2);
        }
        if p99.at_least {
            canvas.arrow((to.max(x) + 18, y), (1, 0), style.colour());
        }
    }
    canvas.marker((x, y), style);
}

/// The setting with its marks, and its latency where the axis has no place for it.
fn name(view: &View, trials: &[&Trial], setting: &Setting) -> String {
    let own: Vec<&&Trial> = trials.iter().filter(|trial| trial.setting == *setting).collect();
    let is_marked = |kind: &String| own.iter().any(|trial| trial.caveats.contains(kind));
    let marks = view.marks.iter().filter(|(_, kind)| is_marked(kind));
    let marks: String = marks.map(|(mark, _)| format!(" [{mark}]")).collect();
    let latency = match own.iter().find_map(|trial| trial.p99.map(|p99| (p99, trial.p99_under_fault))) {
        None => " (no p99 that may be compared)".to_owned(),
        Some((p99, true)) => format!(" (p99 under a fault {})", p99.text(duration)),
        Some(_) => String::new(),
    };
    format!("{}{marks}{latency}", setting.name())
}
