//! Percentile curves: x = log10(1/(1-q)), so that each nine takes the same room.

use super::axis::{Axis, Panel, UPWARDS, time_tick};
use super::canvas::{LINE_PX, STYLES, Style, foot_px, picture};
use super::{
    Chart, HANDED_OVER, LeftOut, Place, any_caveat, comparable, footer, not_shown, select, slug, without,
};
use crate::report::damage::{DAMAGED, HISTOGRAMS};
use crate::report::tables;
use crate::report::view::{Group, View, is_whole};
use bench_model::latency::{CurvePoint, Series, Set};
use std::fs;

const SECOND_NS: u64 = 1_000_000_000;

const TICKS: [(f64, &str); 8] = [
    (0.0, "p0"),
    (std::f64::consts::LOG10_2, "p50"),
    (1.0, "p90"),
    (2.0, "p99"),
    (3.0, "p99.9"),
    (4.0, "p99.99"),
    (5.0, "p99.999"),
    (6.0, "p99.9999"),
];

/// What has curves, by the name of its series; a series that no cell has gives no chart.
const SERIES: [(&str, &str); 12] = [
    ("publish", "Publish latency"),
    ("end_to_end", "End-to-end latency"),
    ("effect", "Latency to the end of processing"),
    ("output", "Latency until a pipeline's output is visible"),
    ("commit", "Latency of commits of offsets"),
    ("transaction", "Latency of whole transactions"),
    ("offsets_call", "Latency of calls that add offsets to transactions"),
    ("commit_call", "Latency of transactions' commit calls"),
    ("output_transaction", "Latency of whole transactions of the pipeline"),
    ("output_commit_call", "Latency of the pipeline's commit calls"),
    ("visible", "Latency until transactions are visible"),
    ("output_visible", "Latency until the pipeline's transactions are visible"),
];

/// Every series in charts of at most eight cells.
pub fn charts(view: &View, profile: &str) -> Vec<Chart> {
    let (groups, unfit) = comparable(view, profile);
    let mut unread = unfit;
    let readable = select(&groups, &mut unread, |group| group.damaged.then_some(DAMAGED));
    let sets: Vec<(&Group, Set)> = readable.into_iter().map(|group| (group, pooled(group))).collect();
    let mut charts = Vec::new();
    for (series, name) in SERIES {
        let mut left_out = unread.clone();
        let mut all: Vec<(&Group, Vec<CurvePoint>)> = Vec::new();
        for (group, set) in &sets {
            let points = points(group, set, series);
            if series == "publish" && group.is_acks0() {
                left_out.push(without(group, HANDED_OVER));
            } else if !group.finished().all(|cell| is_whole(&cell.result, series)) {
                left_out.push(without(group, "values of some records were not kept"));
            } else if points.len() > 1 {
                all.push((group, points));
            } else {
                let is_any = |of: &Series| (0..=of.seconds()).any(|second| of.count(second) > 0);
                let has_any = set.get(series).is_some_and(is_any);
                left_out.push(without(group, if has_any { "too few values" } else { "no values" }));
            }
        }
        let parts = all.len().div_ceil(STYLES);
        for (part, curves) in all.chunks(STYLES).enumerate() {
            let of = if parts > 1 { format!(", part {} of {parts}", part + 1) } else { String::new() };
            let groups: Vec<&Group> = curves.iter().map(|(group, _)| *group).collect();
            let title = format!("{name} by percentile: {profile}{of}");
            charts.push(Chart {
                place: Place::Curves,
                file: format!("curves-{}-{}{}.svg", slug(series), slug(profile), slug(&of)),
                svg: draw(view, &title, curves, &left_out),
                title,
                caption: format!(
                    "Lower is better. A dotted stretch is a lower bound: records that failed or never arrived reach \
                     into it. A curve ends where ten samples are left. {} {}.",
                    not_shown(&left_out),
                    view.credit()
                ),
                table: tables::latency(view, &groups, series),
            });
        }
    }
    charts
}

/// All repeats of a cell together. What is damaged was left out before, and is named.
fn pooled(group: &Group) -> Set {
    let mut all = Set::default();
    for cell in group.finished() {
        let text = fs::read_to_string(cell.directory.join(HISTOGRAMS)).unwrap_or_default();
        if let Ok(set) = Set::from_text(&text) {
            all.merge(&set);
        }
    }
    all
}

fn points(group: &Group, set: &Set, series: &str) -> Vec<CurvePoint> {
    let warmup_ns = group.first().cell.settings.load.warmup_ns;
    let first = usize::try_from(warmup_ns.div_ceil(SECOND_NS)).unwrap_or(0);
    let curve = |series: &Series| series.curve(first..series.seconds() + 1);
    // Cut off at 0 is a bound that says nothing, and 0 has no place on a log scale.
    set.get(series).map_or(Vec::new(), curve).into_iter().filter(|point| point.value_ns > 0).collect()
}

fn draw(view: &View, title: &str, curves: &[(&Group, Vec<CurvePoint>)], left_out: &[LeftOut]) -> String {
    let groups: Vec<&Group> = curves.iter().map(|(group, _)| *group).collect();
    let foot = footer(view, |kind| any_caveat(&groups, kind), left_out);
    let legend_px = LINE_PX * curves.len() as i32;
    let (width, bottom) = (960, 480);
    let nines =
        curves.iter().filter_map(|(_, points)| points.last()).map(|point| point.nines).fold(1.0, f64::max);
    let ticks = TICKS.into_iter().filter(|(at, _)| *at <= nines).map(|(at, label)| (at, label.to_owned()));
    let values = curves.iter().flat_map(|(_, points)| points).map(|point| point.value_ns as f64);
    let panel = Panel {
        left: 90,
        right: width - 40,
        top: 76,
        bottom,
        x: Axis::between(
            "percentile; scale log10(1/(1−q)): each nine has the same width",
            (0.0, nines),
            ticks.collect(),
        ),
        y: Some(Axis::log("latency (log scale)", values, time_tick, UPWARDS)),
    };
    let names: Vec<String> = curves.iter().map(|(group, _)| group.name.clone()).collect();
    let description =
        format!("Latency against percentile, both axes logarithmic, for: {}.", names.join("; "));
    picture((width, bottom + 64 + legend_px + foot_px(&foot)), title, &description, &foot, |canvas| {
        panel.draw(canvas);
        for (at, (_, points)) in curves.iter().enumerate() {
            let style = Style(at);
            let pixel = |point: &CurvePoint| panel.at(point.nines, point.value_ns as f64);
            let known = points.iter().position(|point| point.at_least).unwrap_or(points.len());
            canvas.line(&points[..known].iter().map(pixel).collect::<Vec<_>>(), style.colour(), 2);
            let bound: Vec<_> = points[known.saturating_sub(1)..].iter().map(pixel).collect();
            if known < points.len() {
                canvas.dotted(&bound, style.colour());
            }
            // Shifted by series, so that markers of curves that run together stand side by side.
            let offset = 0.5 * at as f64 / curves.len() as f64;
            for step in 0..20 {
                let wanted = offset + 0.5 * f64::from(step);
                let next = points.iter().find(|point| point.nines >= wanted && point.nines < wanted + 0.1);
                if let Some(point) = next {
                    canvas.marker(pixel(point), style);
                }
            }
        }
        canvas.legend((90, bottom + 68), &names);
    })
}
