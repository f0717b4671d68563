//! One cell second by second, by intended time: latencies above, throughput below, faults as shaded bands.

use super::axis::{Axis, Panel, UPWARDS, count_tick, time_tick};
use super::canvas::{
    Anchor, BAND, BROAD, Canvas, INK, LINE_PX, LINE_WIDTH, SOFT, Style, WARMUP, foot_px, picture, widest_px,
};
use super::{Chart, Place, footer, slug};
use crate::report::figures::duration;
use crate::report::lines::counted;
use crate::report::ordeals::is_disturbed;
use crate::report::tables;
use crate::report::view::{View, word};
use crate::report::workers;
use crate::store::StoredCell;
use bench_model::fault::spans;
use bench_model::result::{CellResult, Outcome, Second};
use bench_model::settings::Acks;
use plotters::style::RGBColor;

const SECOND_NS: f64 = 1e9;
pub(super) const WIDTH_PX: i32 = 960;
const LATENCIES: [&str; 3] = ["p50", "p99", "maximum"];
/// A cross on a thin line over a broad one: both are seen where they are equal, without colour as well.
const COUNT_STYLES: [(Style, u32); 2] = [(Style(6), LINE_WIDTH), (Style(5), BROAD)];
const LATENCY_STYLES: [(Style, u32); 3] =
    [(Style(0), LINE_WIDTH), (Style(1), LINE_WIDTH), (Style(2), LINE_WIDTH)];

/// A stretch of the cell with a name.
pub(super) struct Band {
    /// Seconds after T0.
    pub(super) from_s: f64,
    /// Seconds after T0.
    pub(super) to_s: f64,
    /// What stands beside it.
    pub(super) name: String,
    /// Of its area.
    pub(super) colour: RGBColor,
}

/// The chart of a cell that was carried out.
pub fn chart(view: &View, cell: &StoredCell) -> Option<Chart> {
    let result = &cell.result;
    let ran = matches!(result.outcome, Outcome::Finished | Outcome::NotInjected | Outcome::Inconclusive);
    if !ran || result.seconds.len() < 2 {
        return None;
    }
    let state = match result.outcome {
        Outcome::Finished => String::new(),
        other => format!("{}: ", word(&other).to_uppercase()),
    };
    let title = format!("{state}{}, second by second", result.cell.id);
    Some(Chart {
        place: if is_disturbed(&result.cell) { Place::Seconds } else { Place::Folded },
        file: format!("seconds-{}.svg", slug(&result.cell.id)),
        svg: draw(view, &title, cell),
        title,
        caption: format!(
            "Latency and records due by intended second: what waits is charged to the second in which it was due; \
             values that were cut off stand at their age, a lower bound (dotted; ≥ in the table). {} Shaded: faults and what was done to workers, from the act to its undoing. {}.",
            if is_by_arrival(result) {
                "What was answered stands in the second in which the answer came."
            } else {
                "When answers came was not stored by the version that made this run."
            },
            view.credit()
        ),
        table: tables::seconds(result),
    })
}

/// Answers are counted by the second in which they came.
fn is_by_arrival(result: &CellResult) -> bool {
    result.seconds.iter().all(|second| second.arrived.is_some())
}

/// What the two lines of the lower panel count.
fn count_names(result: &CellResult) -> [String; 2] {
    let acks0 = result.cell.settings.producer.acks == Acks::Zero;
    let answered = match (is_by_arrival(result), acks0) {
        (true, true) => "delivered then",
        (true, false) => "acknowledged then",
        (false, true) => "of these handed over",
        (false, false) => "of these acknowledged",
    };
    [answered, "due"].map(str::to_owned)
}

fn counts(second: &Second) -> [f64; 2] {
    [second.arrived.unwrap_or(second.acked) as f64, second.records as f64]
}

/// Nanoseconds, and which of them are lower bounds.
type Latencies = ([f64; 3], [bool; 3]);
/// A name, and where its latencies are.
type Shown = (&'static str, fn(&Second) -> Option<Latencies>);

/// The latencies of a cell by name: a report of acks=0 says nothing of the cluster, so there it is end to end alone.
fn latencies(result: &CellResult) -> Vec<Shown> {
    fn as_floats(figures: Option<[u64; 3]>, at_least: [bool; 3]) -> Option<Latencies> {
        figures.map(|figures| (figures.map(|ns| ns as f64), at_least))
    }
    let publish: Shown = ("publish", |second| as_floats(second.publish_ns, second.publish_at_least));
    let end_to_end: Shown =
        ("end-to-end", |second| as_floats(second.end_to_end_ns, second.end_to_end_at_least));
    match result.cell.settings.producer.acks {
        Acks::Zero => vec![end_to_end],
        _ => vec![publish, end_to_end],
    }
}

/// Where the time axis of a cell ends: behind its last second, and behind its last fault step.
pub(super) fn end_s(result: &CellResult) -> f64 {
    let last_s = result.seconds.last().map_or(1.0, |second| f64::from(second.second) + 1.0);
    let done = result.faults.iter().filter_map(|fault| fault.done_ns);
    let last_fault_s = done.map(|ns| ns as f64 / SECOND_NS).fold(0.0, f64::max);
    last_s.max((last_fault_s + 0.5).ceil())
}

/// From each act to its undoing: the warm-up first, then faults, then what was done to workers.
pub(super) fn bands(cell: &StoredCell, end_s: f64) -> Vec<Band> {
    let result = &cell.result;
    let mut bands = Vec::new();
    let warmup_s = result.cell.settings.load.warmup_ns as f64 / SECOND_NS;
    if warmup_s > 0.0 {
        bands.push(Band { from_s: 0.0, to_s: warmup_s.min(end_s), name: "warm-up".into(), colour: WARMUP });
    }
    bands.extend(spans(&result.faults).into_iter().map(|span| {
        let from_s = span.from_ns as f64 / SECOND_NS;
        let undone = span.to_ns.map(|ns| ns as f64 / SECOND_NS);
        let until = undone
            .map_or("to the end".into(), |to_s| format!("for {}", duration((to_s - from_s) * SECOND_NS)));
        Band {
            from_s,
            to_s: undone.unwrap_or(end_s).min(end_s).max(from_s),
            name: format!("{} {until}", span.words()),
            colour: BAND,
        }
    }));
    bands.extend(workers::spans(cell).into_iter().map(|span| {
        let from_s = span.from_ns as f64 / SECOND_NS;
        let to_s = span.to_ns.map_or(from_s, |ns| ns as f64 / SECOND_NS);
        let lasted = span.to_ns.map(|_| format!(" for {}", duration((to_s - from_s) * SECOND_NS)));
        let name = span.name + &lasted.unwrap_or_default();
        Band { from_s: from_s.min(end_s), to_s: to_s.min(end_s), name, colour: BAND }
    }));
    bands
}

fn draw(view: &View, title: &str, cell: &StoredCell) -> String {
    let result = &cell.result;
    let foot = footer(view, |kind| result.caveats.iter().any(|caveat| caveat.kind == kind), &[]);
    let end_s = end_s(result);
    let bands = bands(cell, end_s);
    let time = |title: &str| {
        let ticks = (0..=end_s as u32).filter(|second| second % tick_step(end_s) == 0);
        Axis::between(title, (0.0, end_s), ticks.map(|at| (f64::from(at), at.to_string())).collect())
    };
    let mut top = 84 + names_px(&bands);
    let mut below = |height: i32, x: Axis, y: Axis| {
        let panel = Panel { left: 90, right: 760, top, bottom: top + height, x, y: Some(y) };
        top = panel.bottom + 64;
        panel
    };
    let shown = latencies(result);
    let uppers: Vec<Panel> = shown
        .iter()
        .map(|(what, of)| {
            let values = result.seconds.iter().filter_map(of).flat_map(|(ns, _)| ns);
            let title = format!("{what} latency (log scale)");
            below(
                if shown.len() == 1 { 260 } else { 200 },
                time(""),
                Axis::log(&title, values, time_tick, UPWARDS),
            )
        })
        .collect();
    let most = result.seconds.iter().flat_map(counts).fold(0.0, f64::max);
    let count = Axis::linear("records per second", most, count_tick);
    let lower = below(140, time("seconds since the first record was due"), count);
    let names = count_names(result);
    let description = format!(
        "Panels over {}: {} latency as p50, p99 and maximum; records {}. {}.",
        counted(result.seconds.len(), "second"),
        shown.iter().map(|(what, _)| *what).collect::<Vec<_>>().join(" and "),
        names.join(" and records "),
        counted(bands.len(), "shaded band")
    );
    let width = WIDTH_PX.max(lower.right + 80 + widest_px(names.iter().map(String::as_str)));
    picture((width, lower.bottom + 60 + foot_px(&foot)), title, &description, &foot, |canvas| {
        for panel in uppers.iter().chain([&lower]) {
            draw_with_bands(canvas, panel, &bands);
        }
        name_bands(canvas, &uppers[0], &bands);
        for (panel, (_, of)) in uppers.iter().zip(&shown) {
            lines(canvas, panel, result, LATENCY_STYLES, of);
            let legend = (panel.right + 25, panel.top + 10);
            canvas.legend_of(legend, &LATENCY_STYLES, &LATENCIES.map(str::to_owned));
        }
        lines(canvas, &lower, result, COUNT_STYLES, |second| Some((counts(second), [false; 2])));
        canvas.legend_of((lower.right + 25, lower.top + 10), &COUNT_STYLES, &names);
    })
}

/// The panel with its bands behind the grid.
pub(super) fn draw_with_bands(canvas: &Canvas, panel: &Panel, bands: &[Band]) {
    for band in bands {
        let (from, to) = (panel.x_px(band.from_s), panel.x_px(band.to_s));
        canvas.area([(from, panel.top), (to.max(from + 2), panel.bottom)], band.colour);
    }
    panel.draw(canvas);
    // Edges, because bands may overlap.
    for x in bands.iter().flat_map(|band| [band.from_s, band.to_s]).map(|at| panel.x_px(at)) {
        canvas.dotted(&[(x, panel.top), (x, panel.bottom)], SOFT);
    }
}

/// Seconds between two ticks: at most twelve of them.
pub(super) fn tick_step(end_s: f64) -> u32 {
    [1, 2, 5, 10, 20, 30, 60, 120, 300]
        .into_iter()
        .find(|step| end_s / f64::from(*step) <= 12.0)
        .unwrap_or(600)
}

/// Bands that have their names in a picture; where there are more, the row after them says how many.
const MOST_NAMES: usize = 12;

/// Height of the rows that [`name_bands`] writes, in pixels.
pub(super) fn names_px(bands: &[Band]) -> i32 {
    LINE_PX * bands.len().min(MOST_NAMES + 1) as i32
}

/// Each name in a row of its own above the panel, beside a line as long as its band; where neither side has room, within it.
pub(super) fn name_bands(canvas: &Canvas, panel: &Panel, bands: &[Band]) {
    if let Some(more) = bands.len().checked_sub(MOST_NAMES).filter(|more| *more > 0) {
        let words = format!("and {more} more, shaded likewise");
        canvas.text((panel.left, 50 + LINE_PX * MOST_NAMES as i32), &words, Anchor::Start, INK);
    }
    for (row, band) in bands.iter().take(MOST_NAMES).enumerate() {
        let y = 50 + LINE_PX * row as i32;
        let (from, to) = (panel.x_px(band.from_s), panel.x_px(band.to_s).max(panel.x_px(band.from_s) + 2));
        let width = widest_px([band.name.as_str()]);
        let start = name_px((from, to), width);
        // The name interrupts the line where they meet.
        for (a, b) in [(from, to.min(start - 6)), (from.max(start + width + 6), to)] {
            if a < b {
                canvas.line(&[(a, y), (b, y)], INK, 3);
            }
        }
        canvas.text((start, y), &band.name, Anchor::Start, INK);
    }
}

/// Where the name of a band begins, so that it is inside of the picture.
fn name_px((from, to): (i32, i32), width: i32) -> i32 {
    let (left, right) = (from - 8 - width, to + 8);
    if right + width < WIDTH_PX - 10 {
        right
    } else if left > 10 {
        left
    } else {
        (from + 8).min(WIDTH_PX - 10 - width).max(10)
    }
}

/// One line for each figure; a second without values interrupts it, and what leads to a lower bound or from it is dotted.
fn lines<const N: usize>(
    canvas: &Canvas,
    panel: &Panel,
    result: &CellResult,
    styles: [(Style, u32); N],
    figures: impl Fn(&Second) -> Option<([f64; N], [bool; N])>,
) {
    // A marker for each second turns into a rope when there are many.
    let every = result.seconds.len().div_ceil(25);
    for figure in (0..N).rev() {
        let (style, width) = styles[figure];
        let draw = |points: &[(i32, i32)], dotted: bool| match dotted {
            true => canvas.dotted(points, style.colour()),
            false => canvas.line(points, style.colour(), width),
        };
        let mut stretch: Vec<(i32, i32)> = Vec::new();
        let mut is_dotted = false;
        let mut last_is_bound = false;
        let mut marks: Vec<(i32, i32)> = Vec::new();
        for (at, second) in result.seconds.iter().enumerate() {
            // Cut off at 0 is a bound that says nothing, and 0 has no place on a log scale.
            let known =
                figures(second).filter(|(values, at_least)| values[figure] > 0.0 || !at_least[figure]);
            let Some((values, at_least)) = known else {
                draw(&std::mem::take(&mut stretch), is_dotted);
                continue;
            };
            let point = panel.at(f64::from(second.second) + 0.5, values[figure]);
            let dotted = at_least[figure] || last_is_bound;
            if let Some(end) = stretch.last().copied().filter(|_| dotted != is_dotted) {
                draw(&std::mem::replace(&mut stretch, vec![end]), is_dotted);
            }
            (is_dotted, last_is_bound) = (dotted, at_least[figure]);
            stretch.push(point);
            if at % every == 0 {
                marks.push(point);
            }
        }
        draw(&stretch, is_dotted);
        marks.into_iter().for_each(|point| canvas.marker(point, style));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_behind_its_band_before_it_or_within_it_and_always_inside_of_the_picture() {
        assert_eq!(name_px((100, 200), 80), 208);
        assert_eq!(name_px((700, 880), 80), 612);
        for (band, width) in [((100, 880), 300), ((20, 880), 800), ((700, 880), 720)] {
            let start = name_px(band, width);
            assert!(start >= 10 && start + width <= WIDTH_PX - 10, "{band:?} {width}: {start}");
        }
    }
}
