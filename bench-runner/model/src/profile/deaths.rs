//! `[[death]]`: where member 0 of a cell's group, or its producer 0, ends itself; one entry for each of its lives.

use super::cells::{Grid, grid, matches};
use super::draft::Draft;
use super::problems::{Place, Problems};
use super::section::Section;
use super::values;
use crate::fault::{Death, End, Point, Victim};
use crate::settings::{CommitStrategy, GroupSettings, ProducerSettings};

const HOUR: u64 = 3_600_000_000_000;
/// How each kind of worker is written.
pub(super) const WORKERS: [(&str, Victim); 2] = [("member", Victim::Member), ("producer", Victim::Producer)];
/// How each point is written.
const POINTS: [(&str, Point); 8] = [
    ("after-poll", Point::AfterPoll),
    ("after-processing", Point::AfterProcessing),
    ("after-commit", Point::AfterCommit),
    ("after-send", Point::AfterSend),
    ("before-commit", Point::BeforeCommit),
    ("before-write", Point::BeforeWrite),
    ("between-write-and-commit", Point::BetweenWriteAndCommit),
    ("between-offsets-and-commit", Point::BetweenOffsetsAndCommit),
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
    root.tables("death").into_iter().filter_map(|section| death(section, group, problems)).collect()
}

fn death(mut section: Section<'_>, group: bool, problems: &Problems) -> Option<Planned> {
    let place = section.place().clone();
    let worker = section.read("worker", |node| values::named(node, "kind of worker", &WORKERS));
    let worker = worker.unwrap_or_default();
    if !group && worker == Victim::Member {
        let help = "write [consumer] with a commit strategy, or remove the death";
        problems.add(&place, "a death is one of a group member, and there is no group", help);
    }
    let cells = section.table("cells").map(|cells| grid(cells, problems)).unwrap_or_default();
    let record_place = section.entry("record").map_or(&place, |entry| &entry.node.place).clone();
    let record = section.require("record", "write record = 237: the worker ends at its 237th", |node| {
        values::number(node, 1..=1_000_000_000_000)
    });
    let help = "write point = \"after-poll\", \"after-processing\" or \"after-commit\" (sink: \"before-write\", \"between-write-and-commit\", with commit = \"transaction\" \"between-offsets-and-commit\"; producer: \"after-send\", with transactions \"before-commit\")";
    let point = section.require("point", help, |node| values::named(node, "point", &POINTS));
    let ends = [("kill", End::Kill), ("close", End::Close), ("stop", End::Stop)];
    let end = section.require("end", "write end = \"kill\", \"close\" or \"stop\"", |node| {
        values::named(node, "end of a worker", &ends)
    });
    let restart = section.read("restart", values::boolean);
    let continue_after_ns = section.read("continue-after", |node| values::duration(node, 1..=HOUR));
    let resend = section.read("resend", values::boolean);
    let mut only = |key: &'static str, fits: bool, message: &str, help: &str| {
        if let Some(entry) = section.entry(key).filter(|_| !fits) {
            problems.add(&entry.key_place, message, help);
        }
    };
    let producer = worker == Victim::Producer;
    let stop = end == Some(End::Stop);
    only("restart", !stop, "who stands still goes on, it does not live again", "remove restart");
    let message = "a producer always lives again: somebody has to send what is still due";
    only("restart", !producer || restart != Some(false), message, "write restart = true, or leave it out");
    only("continue-after", stop, "only what stands still is continued", "remove it, or write end = \"stop\"");
    only("resend", producer, "only a producer sends again", "remove it, or write worker = \"producer\"");
    let stands = end == Some(End::Stop) && point.is_none_or(|point| point == Point::BeforeCommit);
    only(
        "end",
        !producer || stands || end.is_none_or(|end| end == End::Kill),
        "a producer ends by kill, or stands still before-commit",
        "write end = \"kill\", or with transactions point = \"before-commit\" and end = \"stop\"",
    );
    let of_producers = |point| matches!(point, Point::AfterSend | Point::BeforeCommit);
    let fits = point.is_none_or(|point| producer == of_producers(point));
    let (message, help) = if producer {
        let help = "write point = \"after-send\", or with transactions \"before-commit\"";
        ("a producer ends after-send or before-commit", help)
    } else {
        ("a member sends nothing", "write another point, or worker = \"producer\"")
    };
    only("point", fits, message, help);
    section.finish();
    // Of a producer that was fenced the next life goes on.
    let restart = restart.unwrap_or(true) && (producer || !stop);
    let resend = resend.unwrap_or(false);
    let death =
        Death { worker, record: record?, point: point?, end: end?, restart, continue_after_ns, resend };
    Some(Planned { place, record_place, cells, death, used: false })
}

/// The deaths of a cell, one for each life of its member 0 and of its producer 0.
pub(super) fn of(planned: &[Planned], draft: &Draft) -> Vec<Death> {
    planned.iter().filter(|one| matches(&one.cells, draft)).map(|one| one.death).collect()
}

/// Why the producers of a cell cannot die so, if so.
pub(super) fn impossible_for(deaths: &[Death], producer: &ProducerSettings) -> Option<String> {
    let commits = deaths.iter().any(|death| death.point == Point::BeforeCommit);
    (commits && producer.transaction.is_none())
        .then(|| "a death before-commit needs transactions, not transaction=none".into())
}

/// Why a group with or without a sink cannot die so, if so.
fn around_a_sink(deaths: &[Death], group: &GroupSettings) -> Option<String> {
    let of = |wanted: fn(&Death) -> bool| deaths.iter().any(wanted);
    let in_transaction = |death: &Death| death.point == Point::BetweenOffsetsAndCommit;
    if of(in_transaction) && group.commit != CommitStrategy::Transaction {
        let commit = group.commit.as_str();
        return Some(format!(
            "a death between-offsets-and-commit needs commit=transaction, not commit={commit}"
        ));
    }
    // Whoever stands still inside of a transaction keeps others from taking over, so it is no zombie.
    if deaths.iter().any(|death| in_transaction(death) && death.end != End::Kill) {
        return Some(
            "a death between-offsets-and-commit is a kill: an open transaction keeps its offsets from whoever takes over"
                .into(),
        );
    }
    let Some(sink) = &group.sink else {
        let around = [
            (Point::BeforeWrite, "before-write"),
            (Point::BetweenWriteAndCommit, "between-write-and-commit"),
        ];
        let (_, name) = around.iter().find(|(point, _)| deaths.iter().any(|death| death.point == *point))?;
        return Some(format!("a death {name} needs a sink that is written to, not sink=none"));
    };
    let kind = sink.kind.as_str();
    of(|death| death.point == Point::AfterProcessing).then(|| {
        format!("sink={kind} completes a batch as a whole: a death after it is one between-write-and-commit, not after-processing")
    })
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
    let early =
        |death: &&Death| death.continue_after_ns.is_some_and(|after_ns| after_ns <= group.session_timeout_ns);
    if deaths.iter().any(|death| early(&death)) {
        return Some(
            "continue-after must be longer than session-timeout: until then nobody takes over".into(),
        );
    }
    if let Some(reason) = around_a_sink(deaths, group) {
        return Some(reason);
    }
    let leaves = deaths.iter().any(|death| !death.restart);
    (leaves && group.members == 1)
        .then(|| "a death without restart needs members=2 or more: somebody has to take over".into())
}

/// Notes what is wrong with the deaths of a cell that can run.
pub(super) fn check(planned: &mut [Planned], draft: &Draft, label: &str, problems: &Problems) {
    let load = &draft.load;
    let mut gone = false;
    for one in planned.iter_mut().filter(|one| matches(&one.cells, draft)) {
        one.used = true;
        let (records, whose) = match one.death.worker {
            Victim::Member => (load.records(), ""),
            Victim::Producer => (load.records() / u64::from(load.producers.max(1)), "producer 0 of "),
        };
        if one.death.record > records {
            let message =
                format!("record {} never comes: {whose}cell \"{label}\" sends {records}", one.death.record);
            problems.add(&one.record_place, message, "write a smaller number, or lengthen the load");
        }
        if gone && one.death.worker == Victim::Member {
            let message =
                format!("in cell \"{label}\" nobody is left to die: the death above has no next life");
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
