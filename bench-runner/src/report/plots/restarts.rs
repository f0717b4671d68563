//! What restarts and joins cost: records processed again, written twice and never processed, as bars by cell.

use super::axis::{Axis, Panel, count_tick};
use super::canvas::{Anchor, Canvas, INK, LINE_PX, LINE_WIDTH, SOFT, Style, foot_px, picture, widest_px};
use super::{Chart, LeftOut, Place, any_caveat, footer, not_shown, slug, without};
use crate::report::lines::counted;
use crate::report::ordeals::met_with;
use crate::report::table::Table;
use crate::report::tables::{head, line};
use crate::report::view::{Group, View};
use bench_model::profile::grouped;
use bench_model::verdict::TallyKind;

/// Tallies by name, so that one which this version does not know gives no bar.
const BARS: [(&str, &str); 4] = [
    ("redelivery", "processed again"),
    ("sink_duplicate", "sink duplicates"),
    ("processing_loss", "never processed"),
    ("sink_loss", "missing in the sink"),
];
const BAR_PX: i32 = 16;

/// The chart of a profile in which a worker dies or a member joins.
pub fn chart(view: &View, profile: &str) -> Option<Chart> {
    let of_profile = |group: &&Group| group.profile == profile && group.first().cell.settings.group.is_some();
    let groups: Vec<&Group> = view.groups.iter().filter(of_profile).collect();
    let restarts = |group: &&Group| {
        let cell = &group.first().cell;
        !(cell.deaths.is_empty() && cell.kills.is_empty() && cell.joins.is_empty())
    };
    if !groups.iter().any(restarts) {
        return None;
    }
    let (shown, unjudged): (Vec<&Group>, Vec<&Group>) =
        groups.into_iter().partition(|group| group.finished().next().is_some());
    let left_out: Vec<LeftOut> = unjudged.iter().map(|group| without(group, &group.outcome())).collect();
    let kinds: Vec<(TallyKind, &str)> = BARS
        .iter()
        .filter_map(|(name, label)| Some((name.parse::<TallyKind>().ok()?, *label)))
        .filter(|(kind, _)| shown.iter().any(|group| group.tally(*kind).is_some()))
        .collect();
    if shown.is_empty() || kinds.is_empty() {
        return None;
    }
    let title = format!("What restarts and joins repeat and lose: {profile}");
    Some(Chart {
        place: Place::ByCell,
        file: format!("restarts-{}.svg", slug(profile)),
        svg: draw(view, &title, &shown, &kinds, &left_out),
        title,
        caption: format!(
            "Counts of the whole cell, over its repeats; a number stands beside each bar. What a guarantee allows is a price, \
             not a defect. {} {}.",
            not_shown(&left_out),
            view.credit()
        ),
        table: table(view, &shown, &kinds),
    })
}

fn table(view: &View, groups: &[&Group], kinds: &[(TallyKind, &str)]) -> Table {
    let heads: Vec<String> = kinds.iter().map(|(_, label)| format!(">{label}")).collect();
    let columns: Vec<&str> =
        ["guarantee", "met with"].into_iter().chain(heads.iter().map(String::as_str)).collect();
    let mut table = Table::new(head(view, &columns));
    for group in groups {
        let mut row = vec![group.guarantee().delivery.as_str().to_owned(), met_with(group)];
        row.extend(kinds.iter().map(|(kind, _)| {
            let text = |(count, of)| format!("{} of {}", grouped(count), grouped(of));
            group.tally(*kind).map_or("n/a".into(), text)
        }));
        table.row(line(view, group, row));
    }
    table
}

fn draw(
    view: &View,
    title: &str,
    groups: &[&Group],
    kinds: &[(TallyKind, &str)],
    left_out: &[LeftOut],
) -> String {
    let foot = footer(view, |kind| any_caveat(groups, kind), left_out);
    let count = |group: &Group, kind: TallyKind| group.tally(kind).map(|(count, _)| count);
    let most = groups
        .iter()
        .flat_map(|group| kinds.iter().filter_map(|(kind, _)| count(group, *kind)))
        .max()
        .unwrap_or(0);
    let names: Vec<String> = groups
        .iter()
        .map(|group| format!("{} – {}", group.name, group.guarantee().delivery.as_str()))
        .collect();
    let row_px = BAR_PX * kinds.len() as i32 + 14;
    let left = 32 + widest_px(names.iter().map(String::as_str));
    let panel = Panel {
        left,
        right: left + 560,
        top: 52,
        bottom: 52 + row_px * groups.len() as i32,
        x: Axis::linear("records", most.max(1) as f64, count_tick),
        y: None,
    };
    let labels: Vec<String> = kinds.iter().map(|(_, label)| (*label).to_owned()).collect();
    let description = format!("Bars of records {} for {}.", labels.join(", "), counted(groups.len(), "cell"));
    let legend_top = panel.bottom + 66;
    let size = (panel.right + 110, legend_top + LINE_PX * kinds.len() as i32 + foot_px(&foot));
    picture(size, title, &description, &foot, |canvas| {
        panel.draw(canvas);
        for (row, group) in groups.iter().enumerate() {
            let top = panel.top + row_px * row as i32;
            canvas.text((panel.left - 10, top + row_px / 2), &names[row], Anchor::End, INK);
            if row > 0 {
                canvas.line(&[(panel.left, top), (panel.right, top)], SOFT, 1);
            }
            for (at, (kind, _)) in kinds.iter().enumerate() {
                let y = top + 7 + BAR_PX * at as i32 + BAR_PX / 2;
                bar(canvas, &panel, y, count(group, *kind), Style(at));
            }
        }
        let styles: Vec<(Style, u32)> = (0..labels.len()).map(|at| (Style(at), LINE_WIDTH)).collect();
        canvas.legend_of((panel.left, legend_top), &styles, &labels);
    })
}

/// Its marker at its end tells the kind without colour.
fn bar(canvas: &Canvas, panel: &Panel, y: i32, count: Option<u64>, style: Style) {
    let Some(count) = count else { return };
    let end = panel.x_px(count as f64);
    canvas.area([(panel.left, y - 5), (end.max(panel.left + 1), y + 5)], style.colour());
    canvas.marker((end, y), style);
    canvas.text((end + 12, y), &grouped(count), Anchor::Start, INK);
}
