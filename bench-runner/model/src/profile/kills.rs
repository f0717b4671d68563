//! `[[kill]]` and `[[join]]`: what the supervisor does to workers of a cell, unknown to them.

use super::cells::{Grid, grid, matches};
use super::deaths::WORKERS;
use super::draft::Draft;
use super::problems::{Place, Problems};
use super::section::{Section, Wrong};
use super::tree::{Node, Value};
use super::units::duration_text;
use super::values;
use crate::fault::{Join, KillAsk, Victim};

const DAY: u64 = 86_400_000_000_000;

/// What an entry asks for.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Kill(KillAsk),
    Join(Join),
}

/// One entry, and the cells it is for.
pub(super) struct Planned {
    place: Place,
    at_place: Place,
    cells: Grid,
    asked: Asked,
    used: bool,
}

/// Reads all entries, in the order of the file.
pub(super) fn kills(root: &mut Section<'_>, group: bool, problems: &Problems) -> Vec<Planned> {
    let mut planned: Vec<Planned> =
        root.tables("kill").into_iter().filter_map(|section| kill(section, group, problems)).collect();
    planned.extend(root.tables("join").into_iter().filter_map(|section| join(section, group, problems)));
    planned
}

fn kill(mut section: Section<'_>, group: bool, problems: &Problems) -> Option<Planned> {
    let place = section.place().clone();
    let cells = section.table("cells").map(|cells| grid(cells, problems)).unwrap_or_default();
    let help = "write worker = \"producer\" or \"member\"";
    let worker = section.require("worker", help, |node| values::named(node, "kind of worker", &WORKERS));
    let at_place = section.entry("at").map_or(&place, |entry| &entry.node.place).clone();
    let at = section.require("at", "write at = \"random\", or an instant like \"2.5 s\"", instant);
    let times = section.read("times", |node| values::narrow(node, 1..=100)).unwrap_or(1);
    let resend = section.read("resend", values::boolean);
    if let (Some(entry), Some(Victim::Member)) = (section.entry("resend"), worker) {
        problems.add(&entry.key_place, "only a producer sends again", "remove resend, or kill producers");
    }
    if let (Some(entry), Some(Some(_)), 2..) = (section.entry("times"), at, times) {
        let message = "one instant is one kill";
        problems.add(&entry.node.place, message, "write at = \"random\", or one [[kill]] for each instant");
    }
    if worker == Some(Victim::Member) && !group {
        let help = "write [consumer] with a commit strategy, or kill producers";
        problems.add(&place, "a member is to be killed, and there is no group", help);
    }
    section.finish();
    let ask = KillAsk { worker: worker?, at_ns: at?, times, resend: resend.unwrap_or(false) };
    Some(Planned { place, at_place, cells, asked: Asked::Kill(ask), used: false })
}

/// An instant; `None`: random ones.
fn instant(node: &Node) -> Result<Option<u64>, Wrong> {
    match &node.value {
        Value::Text(text) if text == "random" => Ok(None),
        _ => values::duration(node, 0..=DAY)
            .map(Some)
            .map_err(|wrong| Wrong::new(wrong.message, "write \"random\", or an instant like \"2.5 s\"")),
    }
}

fn join(mut section: Section<'_>, group: bool, problems: &Problems) -> Option<Planned> {
    let place = section.place().clone();
    let cells = section.table("cells").map(|cells| grid(cells, problems)).unwrap_or_default();
    let at_place = section.entry("after").map_or(&place, |entry| &entry.node.place).clone();
    let help = "write after = 400: a member joins once member 0 has completed 400 records";
    let after = section.require("after", help, |node| values::number(node, 1..=1_000_000_000_000));
    if !group {
        let help = "write [consumer] with a commit strategy, or remove the join";
        problems.add(&place, "a member is to join, and there is no group", help);
    }
    section.finish();
    Some(Planned { place, at_place, cells, asked: Asked::Join(Join { after: after? }), used: false })
}

/// The kills of a cell.
pub(super) fn kills_of(planned: &[Planned], draft: &Draft) -> Vec<KillAsk> {
    let mine = planned.iter().filter(|one| matches(&one.cells, draft));
    mine.filter_map(|one| if let Asked::Kill(ask) = one.asked { Some(ask) } else { None }).collect()
}

/// The joins of a cell.
pub(super) fn joins_of(planned: &[Planned], draft: &Draft) -> Vec<Join> {
    let mine = planned.iter().filter(|one| matches(&one.cells, draft));
    mine.filter_map(|one| if let Asked::Join(join) = one.asked { Some(join) } else { None }).collect()
}

/// Notes what is wrong with the kills and joins of a cell that can run.
pub(super) fn check(planned: &mut [Planned], draft: &Draft, label: &str, problems: &Problems) {
    let (records, end_ns) = (draft.load.records(), draft.load.span_ns());
    for one in planned.iter_mut().filter(|one| matches(&one.cells, draft)) {
        one.used = true;
        match one.asked {
            Asked::Join(Join { after }) if after > records => {
                let message = format!("record {after} never comes: cell \"{label}\" sends {records}");
                problems.add(&one.at_place, message, "write a smaller number, or lengthen the load");
            }
            Asked::Kill(KillAsk { at_ns: Some(at_ns), .. }) if at_ns >= end_ns => {
                let (at, end) = (duration_text(at_ns), duration_text(end_ns));
                let message = format!("{at} is too late: the load of cell \"{label}\" ends at {end}");
                problems.add(&one.at_place, message, "write an earlier instant, or lengthen the load");
            }
            Asked::Kill(KillAsk { at_ns: None, .. }) if end_ns == 0 => {
                let message =
                    format!("all records of cell \"{label}\" are due at once: there are no other instants");
                problems.add(&one.at_place, message, "write a rate or a second burst in [load]");
            }
            Asked::Kill(_) | Asked::Join(_) => {}
        }
    }
}

/// Notes entries that no cell has.
pub(super) fn check_used(planned: &[Planned], problems: &Problems) {
    for one in planned.iter().filter(|one| !one.used && problems.is_empty()) {
        let what = if matches!(one.asked, Asked::Kill(_)) { "kill" } else { "join" };
        let message = format!("this {what} matches no cell that can run");
        problems.add(&one.place, message, "correct its cells = { … }");
    }
}
