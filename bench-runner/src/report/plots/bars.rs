//! One row for each cell: throughput as bars, latency percentiles as markers on a log scale.

use super::axis::{ACROSS, Axis, Panel, count_tick, time_tick};
use super::canvas::{Anchor, Canvas, INK, LINE_PX, SOFT, Style, foot_px, picture, widest_px};
use super::{Chart, HANDED_OVER, LeftOut, Place, any_caveat, comparable, footer, not_shown, select, slug};
use crate::report::figures::three_digits;
use crate::report::lines::counted;
use crate::report::tables;
use crate::report::view::{Figure, Group, Spread, View};

const ROW_PX: i32 = 34;
const FIGURES: [(&str, Figure); 3] = [
    ("p50", Figure::Percentile("50")),
    ("p99", Figure::Percentile("99")),
    ("p99.9", Figure::Percentile("99.9")),
];

/// Throughput, publish latency and end-to-end latency of a profile's cells.
pub fn charts(view: &View, profile: &str) -> Vec<Chart> {
    let (groups, unfit) = comparable(view, profile);
    let mut charts: Vec<Chart> =
        throughput_chart(view, profile, &groups, unfit.clone()).into_iter().collect();
    for (series, name) in [("publish", "Publish"), ("end_to_end", "End-to-end")] {
        let mut left_out = unfit.clone();
        let shown = select(&groups, &mut left_out, |group| match group.latency(series, FIGURES[0].1) {
            _ if series == "publish" && group.is_acks0() => Some(HANDED_OVER),
            None => Some("too few values"),
            Some(_) => None,
        });
        if shown.is_empty() {
            continue;
        }
        let title = format!("{name} latency by cell: {profile}");
        charts.push(Chart {
            place: Place::ByCell,
            file: format!("latency-{}-{}.svg", slug(series), slug(profile)),
            svg: latency(view, &title, &shown, series, &left_out),
            title,
            caption: format!(
                "Further left is better. An arrow to the right: at least so much. A percentile with fewer than ten \
                 samples beyond it has no marker. {} {}.",
                not_shown(&left_out),
                view.credit()
            ),
            table: tables::latency(view, &shown, series),
        });
    }
    charts
}

fn throughput_chart(
    view: &View,
    profile: &str,
    groups: &[&Group],
    mut left_out: Vec<LeftOut>,
) -> Option<Chart> {
    let shown = select(groups, &mut left_out, |group| match group.throughput() {
        None => Some("bursts have no rate"),
        Some(_) => None,
    });
    let title = format!("Throughput by cell: {profile}");
    (!shown.is_empty()).then(|| Chart {
        place: Place::ByCell,
        file: format!("throughput-{}.svg", slug(profile)),
        svg: throughput(view, &title, &shown, &left_out),
        caption: format!(
            "Median over the repeats; the upright line is the rate that was asked for, circles are single \
             repeats. A cell that reached its rate shows no more than that: what a setting could carry, only cells at \
             full speed show. {} {}.",
            not_shown(&left_out),
            view.credit()
        ),
        title,
        table: tables::throughputs(view, &shown),
    })
}

/// Labels on the left, a panel with one row for each cell.
fn rows(groups: &[&Group], axis: Axis) -> Panel {
    let left = 32 + widest_px(groups.iter().map(|group| group.name.as_str()));
    let bottom = 52 + ROW_PX * groups.len() as i32;
    Panel { left, right: left + 600, top: 52, bottom, x: axis, y: None }
}

fn labels(canvas: &Canvas, panel: &Panel, groups: &[&Group]) {
    for (at, group) in groups.iter().enumerate() {
        canvas.text((panel.left - 10, row_px(panel, at)), &group.name, Anchor::End, INK);
    }
}

fn row_px(panel: &Panel, at: usize) -> i32 {
    panel.top + ROW_PX * at as i32 + ROW_PX / 2
}

fn throughput(view: &View, title: &str, groups: &[&Group], left_out: &[LeftOut]) -> String {
    let foot = footer(view, |kind| any_caveat(groups, kind), left_out);
    let highest = groups
        .iter()
        .filter_map(|group| Some(group.throughput()?.max.max(group.first().asked_per_s.unwrap_or(0.0))))
        .fold(0.0, f64::max);
    let panel = rows(groups, Axis::linear("records per second", highest, count_tick));
    let description = format!("Bars of records per second for {}.", counted(groups.len(), "cell"));
    let size = (panel.right + 110, panel.bottom + 56 + foot_px(&foot));
    picture(size, title, &description, &foot, |canvas| {
        panel.draw(canvas);
        labels(canvas, &panel, groups);
        for (at, group) in groups.iter().enumerate() {
            let Some(rate) = group.throughput() else { continue };
            let (y, end) = (row_px(&panel, at), panel.x_px(rate.median));
            canvas.area([(panel.left, y - 9), (end, y + 9)], Style(0).colour());
            let mut furthest = panel.x_px(rate.max);
            if let Some(asked) = group.first().asked_per_s {
                let x = panel.x_px(asked);
                canvas.line(&[(x, y - 14), (x, y + 14)], INK, 3);
                furthest = furthest.max(x);
            }
            if rate.repeats > 1 {
                for cell in group.finished() {
                    canvas.dot((panel.x_px(cell.result.throughput_per_s), y), INK);
                }
            }
            canvas.text((furthest + 10, y), &three_digits(rate.median), Anchor::Start, INK);
        }
    })
}

fn latency(view: &View, title: &str, groups: &[&Group], series: &str, left_out: &[LeftOut]) -> String {
    let foot = footer(view, |kind| any_caveat(groups, kind), left_out);
    let values: Vec<[Option<Spread>; 3]> =
        groups.iter().map(|group| FIGURES.map(|(_, figure)| group.latency(series, figure))).collect();
    let all = values.iter().flatten().flatten().flat_map(|spread| [spread.min, spread.max]);
    let repeated = values.iter().flatten().flatten().any(|spread| spread.repeats > 1);
    let axis =
        if repeated { "latency (log scale); below: the repeats' range" } else { "latency (log scale)" };
    let panel = rows(groups, Axis::log(axis, all, time_tick, ACROSS));
    let description = format!(
        "Markers of p50, p99 and p99.9 latency on a logarithmic axis for {}.",
        counted(groups.len(), "cell")
    );
    let size = (panel.right + 60, panel.bottom + 60 + LINE_PX * 3 + foot_px(&foot));
    picture(size, title, &description, &foot, |canvas| {
        panel.draw(canvas);
        labels(canvas, &panel, groups);
        for (at, spreads) in values.iter().enumerate() {
            let y = row_px(&panel, at);
            let known: Vec<(i32, i32)> =
                spreads.iter().flatten().map(|spread| (panel.x_px(spread.median), y)).collect();
            canvas.line(&known, SOFT, 1);
            for (figure, spread) in spreads.iter().enumerate() {
                let Some(spread) = spread else { continue };
                let (x, colour) = (panel.x_px(spread.median), Style(figure).colour());
                if spread.repeats > 1 {
                    // Below the row, so that whiskers and markers of neighbours do not hide each other.
                    let below = y + 9 + 2 * figure as i32;
                    canvas.line(
                        &[(panel.x_px(spread.min), below), (panel.x_px(spread.max), below)],
                        colour,
                        2,
                    );
                }
                canvas.marker((x, y), Style(figure));
                if spread.at_least {
                    canvas.arrow((x + 15, y), (1, 0), colour);
                }
            }
        }
        let names = FIGURES.map(|(name, _)| name.to_owned());
        canvas.legend((panel.left, panel.bottom + 66), &names);
    })
}
