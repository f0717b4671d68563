//! `[[death]]`: where member 0 of a cell's group ends itself, one entry for each of its lives.

use super::cells::{Grid, grid, matches};
use super::draft::Draft;
use super::problems::{Place, Problems};
use super::section::Section;
use super::values;
use crate::fault::{Death, End, Point};
use crate::settings::{CommitStrategy, GroupSettings};

/// How each point is written.
const POINTS: [(&str, Point); 3] = [
    ("after-poll", Point::AfterPoll),
    ("after-processing", Point::AfterProcessing),
    ("after-commit", Point::AfterCommit),
];

/// One entry, and the cells it is for.
pub(super) struct Planned {
    place: Place,
    record_place: Place,
    cells: Grid,
    death: Death,
    used: bool,
}

/// Reads all entries, in the order of the file.
pub(super) fn deaths(root: &mut Section<'_>, group: bool, problems: &Problems) -> Vec<Planned> {
    let mut planned = Vec::new();
    for mut section in root.tables("death") {
        let place = section.place().clone();
        if !group {
            let help = "write [consumer] with a commit strategy, or remove the death";
            problems.add(&place, "a death is one of a group member, and there is no group", help);
        }
        let cells = section.table("cells").map(|cells| grid(cells, problems)).unwrap_or_default();
        let record_place = section.entry("record").map_or(&place, |entry| &entry.node.place).clone();
        let record = section.require("record", "write record = 237: the member ends at its 237th", |node| {
            values::number(node, 1..=1_000_000_000_000)
        });
        let help = "write point = \"after-poll\", \"after-processing\" or \"after-commit\"";
        let point = section.require("point", help, |node| values::named(node, "point", &POINTS));
        let ends = [("kill", End::Kill), ("close", End::Close)];
        let end = section.require("end", "write end = \"kill\" or \"close\"", |node| {
            values::named(node, "end of a member", &ends)
        });
        let restart = section.read("restart", values::boolean).unwrap_or(true);
        section.finish();
        if let (Some(record), Some(point), Some(end)) = (record, point, end) {
            let death = Death { record, point, end, restart };
            planned.push(Planned { place, record_place, cells, death, used: false });
        }
    }
    planned
}

/// The deaths of a cell, one for each life of its member 0.
pub(super) fn of(planned: &[Planned], draft: &Draft) -> Vec<Death> {
    planned.iter().filter(|one| matches(&one.cells, draft)).map(|one| one.death).collect()
}

/// Why a group cannot die so, if so.
pub(super) fn impossible(deaths: &[Death], group: &GroupSettings) -> Option<String> {
    let commit = group.commit;
    if deaths.iter().any(|death| death.point == Point::AfterCommit) && commit != CommitStrategy::SyncBefore {
        return Some(format!(
            "a death after-commit needs commit=sync-before, which commits what is not processed yet, not commit={}",
            commit.as_str()
        ));
    }
    let leaves = deaths.iter().any(|death| !death.restart);
    (leaves && group.members == 1)
        .then(|| "a death without restart needs members=2 or more: somebody has to take over".into())
}

/// Notes what is wrong with the deaths of a cell that can run.
pub(super) fn check(planned: &mut [Planned], draft: &Draft, label: &str, problems: &Problems) {
    let records = draft.load.records();
    let mut gone = false;
    for one in planned.iter_mut().filter(|one| matches(&one.cells, draft)) {
        one.used = true;
        if one.death.record > records {
            let message =
                format!("record {} never comes: cell \"{label}\" sends {records}", one.death.record);
            problems.add(&one.record_place, message, "write a smaller number, or lengthen the load");
        }
        if gone {
            let message =
                format!("in cell \"{label}\" nobody is left to die: the death above has restart = false");
            problems.add(&one.place, message, "write restart = true above, or remove this death");
        }
        gone |= !one.death.restart;
    }
}

/// Notes deaths that no cell dies.
pub(super) fn check_used(planned: &[Planned], problems: &Problems) {
    for one in planned.iter().filter(|one| !one.used && problems.is_empty()) {
        problems.add(&one.place, "this death matches no cell that can run", "correct its cells = { … }");
    }
}
