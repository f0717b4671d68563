//! The partitions of a cell with a fault over time: who leads, how many replicas are in sync, and where nothing succeeded.

use super::axis::{Axis, Panel};
use super::canvas::{Anchor, BROAD, Canvas, INK, LINE_PX, SOFT, STYLES, Style, foot_px, picture, widest_px};
use super::series::{WIDTH_PX, bands, draw_with_bands, end_s, name_bands, names_px, tick_step};
use super::{Chart, LeftOut, Place, footer, slug};
use crate::report::figures::duration;
use crate::report::lines::counted;
use crate::report::table::Table;
use crate::report::view::View;
use crate::store::StoredCell;
use bench_model::ids::{BrokerId, PartitionId};
use bench_model::result::{CellResult, PartitionChange, PartitionRecovery};
use std::collections::BTreeSet;

const SECOND_NS: f64 = 1e9;
const ROW_PX: i32 = 56;
/// Partitions of one chart.
const MOST_ROWS: usize = 12;
/// Between two numbers of replicas.
const NUMBER_PX: i32 = 14;
/// Cross and circle of an outage; leaders have the styles that are left.
const ERROR: Style = Style(6);
const SUCCESS: Style = Style(7);
const LEADERS: usize = STYLES - 2;

/// The chart of a cell whose partitions were watched.
pub fn chart(view: &View, cell: &StoredCell) -> Option<Chart> {
    let result = &cell.result;
    if result.partitions.is_empty() || result.seconds.len() < 2 {
        return None;
    }
    let title = format!("{}, partition by partition", result.cell.id);
    let all = partitions(result);
    let left_out: Vec<LeftOut> = all
        .iter()
        .skip(MOST_ROWS)
        .map(|partition| (format!("partition {partition}"), "no room (see the table)".to_owned()))
        .collect();
    Some(Chart {
        place: Place::Seconds,
        file: format!("partitions-{}.svg", slug(&result.cell.id)),
        svg: draw(view, &title, cell, &all[..all.len().min(MOST_ROWS)], &left_out),
        title,
        caption: format!(
            "Broad: the leader, as the best informed broker named it; a gap: nobody led. The numbers: replicas in sync. Black: \
             the outage of each fault, from the last success to the first one after, a cross at the first error. Brokers were asked once \
             a second, so a change was seen up to 1.2 s late. Shaded: faults and what was done to workers, from the act to its undoing. {}.",
            view.credit()
        ),
        table: table(result),
    })
}

fn partitions(result: &CellResult) -> Vec<PartitionId> {
    let all: BTreeSet<PartitionId> = result.partitions.iter().map(|change| change.partition).collect();
    all.into_iter().collect()
}

fn outages(result: &CellResult, partition: PartitionId) -> impl Iterator<Item = &PartitionRecovery> {
    let all = result.recovery.iter().flat_map(|it| &it.partitions);
    all.filter(move |it| it.partition == partition && it.last_success_ns.is_some())
}

/// Everything that is drawn, in its order.
fn table(result: &CellResult) -> Table {
    let mut events: BTreeSet<(u64, PartitionId, String)> = BTreeSet::new();
    for change in &result.partitions {
        let leader = change.leader.map_or("no leader".into(), |broker| format!("leader {broker}"));
        let isr: Vec<String> = change.isr.iter().map(ToString::to_string).collect();
        let what = format!("{leader}, epoch {}, ISR [{}]", change.leader_epoch, isr.join(", "));
        events.insert((change.at_ns, change.partition, what));
    }
    for partition in partitions(result) {
        for it in outages(result, partition) {
            let told = [
                (it.last_success_ns, "last success before, or something was due again"),
                (it.first_error_ns, "first error"),
                (it.first_success_ns, "first success after"),
            ];
            events.extend(told.into_iter().filter_map(|(at, what)| Some((at?, partition, what.to_owned()))));
        }
    }
    let mut table = Table::new([">after T0", ">partition", "what"]);
    for (at_ns, partition, what) in events {
        table.row([duration(at_ns as f64), partition.to_string(), what]);
    }
    table
}

fn draw(view: &View, title: &str, cell: &StoredCell, shown: &[PartitionId], left_out: &[LeftOut]) -> String {
    let result = &cell.result;
    let foot = footer(view, |kind| result.caveats.iter().any(|caveat| caveat.kind == kind), left_out);
    let last_s = result.partitions.iter().map(|change| change.at_ns as f64 / SECOND_NS).fold(0.0, f64::max);
    let end_s = end_s(result).max((last_s + 0.5).ceil());
    let bands = bands(cell, end_s);
    let leaders: BTreeSet<BrokerId> = result.partitions.iter().filter_map(|change| change.leader).collect();
    let leaders: Vec<BrokerId> = leaders.into_iter().collect();
    let top = 60 + names_px(&bands);
    let ticks = (0..=end_s as u32).filter(|second| second % tick_step(end_s) == 0);
    let panel = Panel {
        left: 110,
        right: 760,
        top,
        bottom: top + ROW_PX * shown.len() as i32,
        x: Axis::between(
            "seconds since the first record was due",
            (0.0, end_s),
            ticks.map(|at| (f64::from(at), at.to_string())).collect(),
        ),
        y: None,
    };
    let mut names: Vec<String> = leaders.iter().map(|broker| format!("broker {broker} leads")).collect();
    let mut styles: Vec<(Style, u32)> = (0..leaders.len()).map(|at| (Style(at % LEADERS), BROAD)).collect();
    let drawn = || shown.iter().flat_map(|partition| outages(result, *partition));
    let marks = [
        (ERROR, "first error", drawn().any(|it| it.first_error_ns.is_some())),
        (SUCCESS, "first success after", drawn().any(|it| it.first_success_ns.is_some())),
    ];
    for (style, name, _) in marks.into_iter().filter(|(_, _, is_drawn)| *is_drawn) {
        names.push(name.to_owned());
        styles.push((style, 1));
    }
    let description = format!(
        "A row for each of {}: leader, number of replicas in sync, outages. {}.",
        counted(shown.len(), "partition"),
        counted(bands.len(), "shaded band")
    );
    let width = WIDTH_PX.max(panel.right + 80 + widest_px(names.iter().map(String::as_str)));
    let height = (panel.bottom + 60).max(panel.top + 20 + LINE_PX * names.len() as i32) + foot_px(&foot);
    picture((width, height), title, &description, &foot, |canvas| {
        draw_with_bands(canvas, &panel, &bands);
        name_bands(canvas, &panel, &bands);
        for (row, partition) in shown.iter().enumerate() {
            let y = panel.top + ROW_PX * row as i32 + ROW_PX / 2;
            canvas.text((panel.left - 10, y), &format!("partition {partition}"), Anchor::End, INK);
            leadership(canvas, &panel, y, end_s, &of_partition(result, *partition), &leaders);
            for it in outages(result, *partition) {
                outage(canvas, &panel, y + 16, end_s, it);
            }
        }
        canvas.legend_of((panel.right + 25, panel.top + 10), &styles, &names);
    })
}

fn of_partition(result: &CellResult, partition: PartitionId) -> Vec<&PartitionChange> {
    result.partitions.iter().filter(|change| change.partition == partition).collect()
}

/// Who leads, and above it how many replicas are in sync.
fn leadership(
    canvas: &Canvas,
    panel: &Panel,
    y: i32,
    end_s: f64,
    changes: &[&PartitionChange],
    leaders: &[BrokerId],
) {
    let at_px = |ns: u64| panel.x_px((ns as f64 / SECOND_NS).min(end_s));
    let mut free_px = i32::MIN;
    for (at, change) in changes.iter().enumerate() {
        let from = at_px(change.at_ns);
        let to = changes.get(at + 1).map_or(panel.right, |next| at_px(next.at_ns));
        if let Some(style) = leaders.iter().position(|broker| Some(*broker) == change.leader) {
            canvas.line(&[(from, y), (to.max(from + 1), y)], Style(style % LEADERS).colour(), BROAD);
        }
        if at == 0 || changes[at - 1].isr.len() != change.isr.len() {
            // What follows soon stands beside: the last number must be the one that holds.
            let left = from.max(free_px);
            canvas.text((left + 2, y - 16), &change.isr.len().to_string(), Anchor::Start, SOFT);
            free_px = left + NUMBER_PX;
        }
    }
}

fn outage(canvas: &Canvas, panel: &Panel, y: i32, end_s: f64, it: &PartitionRecovery) {
    let at_px = |ns: u64| panel.x_px((ns as f64 / SECOND_NS).min(end_s));
    let from = it.last_success_ns.map_or(panel.left, at_px);
    let to = it.first_success_ns.map_or(panel.right, at_px);
    canvas.line(&[(from, y), (to.max(from + 1), y)], INK, 3);
    if let Some(error_ns) = it.first_error_ns {
        canvas.marker((at_px(error_ns), y), ERROR);
    }
    if it.first_success_ns.is_some() {
        canvas.marker((to, y), SUCCESS);
    }
}
