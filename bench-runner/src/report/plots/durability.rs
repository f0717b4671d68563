//! The chart that this project exists for: what a setting's latency is, and what it loses under a fault.

use super::axis::{Axis, Panel, count_tick, time_tick};
use super::canvas::{Anchor, LINE_PX, SOFT, STYLES, Style, foot_px, picture};
use super::{Chart, Place, footer};
use crate::report::durability::{Trial, trials};
use crate::report::figures::zero_bound_per_million;
use crate::report::tables;
use crate::report::view::View;
use bench_model::settings::Acks;

const LANES: [&str; 2] = ["untested", "acks=0: no claim"];
const LANE_PX: i32 = 34;

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

/// The chart, where any setting has a latency.
pub fn chart(view: &View) -> Option<Chart> {
    let all = trials(view);
    let mut shown: Vec<&Trial> = all.iter().filter(|trial| trial.p99.is_some()).collect();
    if shown.is_empty() {
        return None;
    }
    let unplaced: Vec<String> =
        all.iter().filter(|trial| trial.p99.is_none()).map(|trial| trial.setting.name()).collect();
    let more = shown.len().saturating_sub(STYLES);
    shown.truncate(STYLES);
    let title = "Latency against durability".to_owned();
    let mut rest = if more > 0 { format!(" {more} more in the table only.") } else { String::new() };
    if !unplaced.is_empty() {
        rest.push_str(&format!(" Without a latency that may be compared: {}.", unplaced.join("; ")));
    }
    Some(Chart {
        place: Place::Durability,
        file: "latency-durability.svg".into(),
        svg: draw(view, &title, &shown),
        title,
        caption: format!(
            "Down and left is better. A ring with an arrow: nothing lost, drawn at the 95 % bound for each record. \
             \"Untested\": no control fired, so nothing may be said.{rest} {}.",
            view.credit()
        ),
        table: tables::durability(&all),
    })
}

fn draw(view: &View, title: &str, trials: &[&Trial]) -> String {
    let mut faults: Vec<&str> = trials.iter().map(|trial| trial.fault.as_str()).collect();
    faults.sort_unstable();
    faults.dedup();
    faults.retain(|fault| !fault.is_empty());
    let numbered = (1..).zip(&faults).map(|(number, fault)| format!("fault {number}: {fault}"));
    let foot: Vec<String> = numbered.chain(footer(view)).collect();
    let heights = trials.iter().filter_map(|trial| match spot(trial) {
        Spot::Lost(per_million) => Some(per_million),
        // Room below a bound, where its arrow points.
        Spot::Below(bound) => Some(bound / 3.0),
        Spot::Lane(_) => None,
    });
    let latencies = trials.iter().filter_map(|trial| trial.p99).map(|(ns, _)| ns);
    // Always up to everything lost, so that runs can be compared by eye.
    let y = Axis::log(
        "acknowledged records lost per million, under a fault (log scale)",
        heights.chain([0.97e6]),
        count_tick,
    );
    let panel = Panel {
        left: 150,
        right: 900,
        top: 76,
        bottom: 400,
        x: Axis::log("end-to-end latency p99 (log scale)", latencies, time_tick),
        y: Some(y),
    };
    let framed = Panel { bottom: panel.bottom + LANE_PX * 2, y: None, ..panel.clone() };
    let losses = Panel { x: Axis::between("", (0.0, 1.0), Vec::new()), ..panel.clone() };
    let lane_px = |lane: usize| panel.bottom + LANE_PX * lane as i32 + LANE_PX / 2;
    let names: Vec<String> = trials.iter().map(|trial| name(trial, &faults)).collect();
    let description = format!(
        "End-to-end latency p99 against acknowledged records lost per million under a fault, both logarithmic, for: {}.",
        names.join("; ")
    );
    let legend_top = framed.bottom + 68;
    let height = legend_top + LINE_PX * names.len() as i32 + foot_px(&foot);
    let width = 960.max(panel.left + 60 + super::canvas::widest_px(names.iter().map(String::as_str)));
    picture((width, height), title, &description, &foot, |canvas| {
        framed.draw(canvas);
        losses.draw(canvas);
        for (lane, words) in LANES.iter().enumerate() {
            canvas.text((panel.left - 10, lane_px(lane)), words, Anchor::End, SOFT);
            let y = lane_px(lane) + LANE_PX / 2;
            canvas.line(&[(panel.left, y), (panel.right, y)], SOFT, 1);
        }
        for (at, trial) in trials.iter().enumerate() {
            let Some((p99_ns, at_least)) = trial.p99 else { continue };
            let (x, style) = (panel.x_px(p99_ns), Style(at));
            let y = match spot(trial) {
                Spot::Lost(per_million) => panel.y_px(per_million),
                Spot::Below(bound) => {
                    let y = panel.y_px(bound);
                    canvas.ring((x, y), style.colour());
                    canvas.line(&[(x, y + 9), (x, y + 26)], style.colour(), 2);
                    canvas.arrow((x, y + 27), (0, 1), style.colour());
                    y
                }
                Spot::Lane(lane) => lane_px(lane),
            };
            canvas.marker((x, y), style);
            if at_least {
                canvas.arrow((x + 18, y), (1, 0), style.colour());
            }
        }
        canvas.legend((panel.left, legend_top), &names);
    })
}

/// The setting, the number of its fault, and where its latency is from.
fn name(trial: &Trial, faults: &[&str]) -> String {
    let fault = match faults.iter().position(|fault| *fault == trial.fault) {
        Some(at) => format!("fault {}", at + 1),
        None => "no fault".into(),
    };
    let own = if trial.p99_under_fault { "; latency from under the fault" } else { "" };
    format!("{} ({fault}{own})", trial.setting.name())
}
