//! `[[fault]]`: the steps of a cell's fault timeline, and the orders that make no sense.

use super::administration;
use super::axes::Choice;
use super::cells::{Grid, grid, matches};
use super::draft::{Draft, NO_FAULT};
use super::problems::{Place, Problems};
use super::rules;
use super::section::{Section, Wrong};
use super::tree::{Node, Value};
use super::units::{duration_text, size_text};
use super::values;
use crate::fault::{Action, FaultStep, Lose, Role, Standing, Target, When, standing};
use crate::settings::{Arrival, ClusterAsk, Length, Load};

const DAY: u64 = 86_400_000_000_000;
/// One step, and the cells it is for.
pub(super) struct Planned {
    place: Place,
    at_place: Place,
    cells: Grid,
    step: FaultStep,
    repeat: Option<Repeat>,
    used: bool,
    /// Something was said against it already.
    told: bool,
}

/// A step that is undone, and may be done again.
#[derive(Debug, Clone, Copy)]
struct Repeat {
    lasts_ns: u64,
    times: u16,
    every_ns: u64,
}

impl Planned {
    /// The step, or all its repeats with what undoes each.
    fn steps(&self) -> Vec<FaultStep> {
        let Some(Repeat { lasts_ns, times, every_ns }) = self.repeat else { return vec![self.step] };
        let repeat = |number: u16| {
            let shift_ns = u64::from(number) * every_ns;
            let when = self.step.when.at_ns().map_or(self.step.when, |at_ns| When::At(at_ns + shift_ns));
            let undo = self.step.action.undo();
            let undo = undo.map(|undo| FaultStep::new(When::After(lasts_ns), undo, self.step.target));
            [Some(FaultStep { when, ..self.step }), undo]
        };
        (0..times).flat_map(repeat).flatten().collect()
    }
}

/// Until when steps make sense, in nanoseconds after T0.
#[derive(Debug, Clone, Copy)]
struct Ends {
    /// The last instant at which something may be broken: nothing is due later.
    load_ns: u64,
    /// The last instant for anything: nobody waits for a record any more.
    drain_ns: u64,
}

impl Ends {
    /// The ends of a load; `None`: it ends when its records are sent, whenever that is.
    fn of(load: &Load) -> Option<Ends> {
        let drain_ns = load.span_ns().saturating_add(load.drain_ns);
        let load_ns = match (&load.arrival, load.length) {
            (Arrival::Max, Length::Records(_)) => return None,
            // What a burst left behind may be broken after the last one: that is what bursts are for.
            (Arrival::Bursts(_), _) => drain_ns,
            _ => load.span_ns(),
        };
        Some(Ends { load_ns, drain_ns })
    }
}

/// Reads all steps, in the order of the file.
pub(super) fn faults(root: &mut Section<'_>, problems: &Problems) -> Vec<Planned> {
    root.tables("fault").into_iter().filter_map(|section| planned(section, problems)).collect()
}

fn planned(mut section: Section<'_>, problems: &Problems) -> Option<Planned> {
    let place = section.place().clone();
    let at_place = section.entry("at").map_or(&place, |entry| &entry.node.place).clone();
    let cells = section.table("cells").map(|cells| grid(cells, problems)).unwrap_or_default();
    let (step, repeat) = step(section, problems)?;
    Some(Planned { place, at_place, cells, step, repeat, used: false, told: false })
}

/// The timeline of a cell.
pub(super) fn of(planned: &[Planned], draft: &Draft) -> Vec<FaultStep> {
    planned.iter().filter(|one| matches(&one.cells, draft)).flat_map(Planned::steps).collect()
}

/// Notes what is wrong with the timeline of a cell that can run, once for each step.
pub(super) fn check(
    planned: &mut [Planned],
    draft: &Draft,
    cluster: &ClusterAsk,
    label: &str,
    problems: &Problems,
) {
    let ends = Ends::of(&draft.load);
    let mut done: Vec<FaultStep> = Vec::new();
    for one in planned.iter_mut().filter(|one| matches(&one.cells, draft)) {
        one.used = true;
        for step in one.steps() {
            let wrong = misplaced(&step, &done)
                .map(|wrong| (&one.place, wrong))
                .or_else(|| too_late(&step, ends?).map(|wrong| (&one.at_place, wrong)))
                .or_else(|| nobody(&step, draft, label).map(|wrong| (&one.place, wrong)))
                .or_else(|| {
                    administration::unfit(&step, draft, cluster, label).map(|wrong| (&one.place, wrong))
                })
                .or_else(|| unfaulted(draft, label).map(|wrong| (&one.place, wrong)));
            if let (Some((place, wrong)), false) = (wrong, one.told) {
                problems.add(place, wrong.message, wrong.help);
                one.told = true;
            }
            done.push(step);
        }
    }
}

/// Notes steps of no cell, and names of timelines that no step has.
pub(super) fn check_used(planned: &[Planned], timelines: &[(String, Place)], problems: &Problems) {
    for one in planned.iter().filter(|one| !one.used && problems.is_empty()) {
        problems.add(&one.place, "this fault matches no cell that can run", "correct its cells = { … }");
    }
    let choices = planned.iter().flat_map(|one| &one.cells).flat_map(|(_, choices)| choices);
    let known: Vec<&str> = choices.filter_map(Choice::timeline).collect();
    let mut told: Vec<&str> = vec![NO_FAULT];
    for (name, place) in timelines {
        if known.contains(&name.as_str()) || told.contains(&name.as_str()) {
            continue;
        }
        told.push(name);
        let message = format!("no [[fault]] is of fault = \"{name}\"");
        let help = format!("write cells = {{ fault = \"{name}\" }} in its steps, or \"{NO_FAULT}\" here");
        problems.add(place, message, help);
    }
}

/// A cell that is said to have no fault has one.
fn unfaulted(draft: &Draft, label: &str) -> Option<Wrong> {
    (draft.fault.as_deref() == Some(NO_FAULT)).then(|| {
        let message = format!("cell \"{label}\" is to have no fault, and this step is for every cell");
        Wrong::new(message, "write cells = { fault = … } in the step")
    })
}

fn nobody(step: &FaultStep, draft: &Draft, label: &str) -> Option<Wrong> {
    if step.target == Target::Coordinator {
        let coordinated = draft.group.is_some() || draft.producer.transaction.is_some();
        return (!coordinated).then(|| {
            let message = format!("cell \"{label}\" has neither a group nor transactions to coordinate");
            Wrong::new(message, "add [consumer], or write transaction = 100 in [producer]")
        });
    }
    let needed = match step.target {
        Target::Followers | Target::Follower => 2,
        Target::OtherFollowers => 3,
        _ => return None,
    };
    let replicas = draft.topic.replication_factor;
    (replicas < needed).then(|| {
        let target = step.target.as_str();
        let message = format!(
            "cell \"{label}\" has too few replicas for the fault: {replicas}, and {target} need {needed}"
        );
        Wrong::new(message, "write replication-factor = 3 in [topic]")
    })
}

fn too_late(step: &FaultStep, ends: Ends) -> Option<Wrong> {
    let (what, end_ns) = if step.action.is_undo() {
        ("the cell is over at", ends.drain_ns)
    } else {
        ("the load ends at", ends.load_ns)
    };
    let at_ns = step.when.at_ns().filter(|at_ns| *at_ns > end_ns)?;
    let end = duration_text(end_ns);
    let message = format!("{} is too late: {what} {end}", duration_text(at_ns));
    Some(Wrong::new(message, format!("write an instant up to \"{end}\", or lengthen the load")))
}

fn step(mut section: Section<'_>, problems: &Problems) -> Option<(FaultStep, Option<Repeat>)> {
    let place = section.place().clone();
    let triggers = ["at", "after", "acked", "met", "when"];
    let given = triggers.iter().filter(|key| section.entry(key).is_some()).count();
    let at = section.read("at", |node| values::duration(node, 0..=DAY)).map(When::At);
    let after = section.read("after", |node| values::duration(node, 0..=DAY)).map(When::After);
    let acked = section.read("acked", |node| values::number(node, 1..=1_000_000_000_000)).map(When::Acked);
    let met = section.read("met", |node| values::number(node, 1..=1_000_000_000_000)).map(When::Met);
    let events = [("new-leader", When::NewLeader), ("in-sync", When::InSync)];
    let event = section.read("when", |node| values::named(node, "event", &events));
    let actions = Action::ALL.map(|action| (action.as_str(), action));
    let help = "write action = \"stop\", \"continue\", \"kill\", \"terminate\", \"power-cut\", \"start\", \"elect\", \"isolate\", \"isolate-fully\", \"reconnect\", \"reassign\", \"set-min-isr\", \"restore\", \"delete\", \"fill-disk\" or \"write-protect\", or one of a proxy's, like \"discard\"";
    let action = section.require("action", help, |node| values::named(node, "action", &actions));
    let targets = Target::ALL.map(|target| (target.as_str(), target));
    let help = "write target = \"leader\", \"followers\", \"follower\", \"other-followers\", \"all\", \"controller\", \"coordinator\", \"random\", \"current-leader\" or \"topic\"";
    let target = section.require("target", help, |node| values::named(node, "target", &targets));
    let lose = section.read("lose", lose);
    if let (Some(entry), Some(false)) =
        (section.entry("lose"), action.map(|action| action == Action::PowerCut))
    {
        let message = "only a power cut loses what was not flushed";
        problems.add(&entry.key_place, message, "remove lose, or write action = \"power-cut\"");
    }
    let rule = rules::rule(&mut section, action, problems);
    let min_isr = administration::min_isr(&mut section, action, problems);
    let repeat = repeat(&mut section, action, at.is_some(), problems);
    section.finish();
    if given != 1 {
        let message = "a fault step happens at an instant or when something is seen: one of both";
        let help = "write at = \"1.2 s\", after = \"500 ms\" (the step above), acked = 1000 (records), met = 100 (at proxies), or when = \"new-leader\" or \"in-sync\"";
        problems.add(&place, message, help);
        return None;
    }
    let mut step = FaultStep::new(at.or(after).or(acked).or(met).or(event)?, action?, target?);
    step.lose = step.lose.map(|all| lose.unwrap_or(all));
    step.rule = rule;
    step.min_insync_replicas = min_isr;
    let is_whole = rule.is_some() || !step.action.has_rule();
    (is_whole && (min_isr.is_some() || step.action != Action::SetMinIsr)).then_some((step, repeat))
}

/// `for`, `times` and `every`.
fn repeat(
    section: &mut Section<'_>,
    action: Option<Action>,
    at: bool,
    problems: &Problems,
) -> Option<Repeat> {
    let place = section.place().clone();
    let lasts_ns = section.read("for", |node| values::duration(node, 1..=DAY));
    let times = section.read("times", |node| values::narrow(node, 2..=1000));
    let every_ns = section.read("every", |node| values::duration(node, 1..=DAY));
    let wrong = match (lasts_ns, times, every_ns) {
        (None, None, None) => return None,
        (Some(_), None, None) | (Some(_), Some(_), Some(_))
            if action.is_some_and(|action| action.undo().is_none()) =>
        {
            ("nothing undoes this action, so it has no length", "remove for, times and every")
        }
        (Some(lasts_ns), None, None) => return Some(Repeat { lasts_ns, times: 1, every_ns: 0 }),
        (Some(_), Some(_), Some(_)) if !at => {
            ("a step that is repeated needs an instant", "write at = \"6 s\"")
        }
        (Some(lasts_ns), Some(_), Some(every_ns)) if every_ns <= lasts_ns => {
            ("the step would be repeated before it is undone", "write a longer every, or a shorter for")
        }
        (Some(lasts_ns), Some(times), Some(every_ns)) => return Some(Repeat { lasts_ns, times, every_ns }),
        _ => (
            "for, times and every belong together",
            "write for = \"2 s\", times = 5 and every = \"20 s\", or for alone",
        ),
    };
    problems.add(&place, wrong.0, wrong.1);
    None
}

/// `lose`: all, a time, or a size.
fn lose(node: &Node) -> Result<Lose, Wrong> {
    if matches!(&node.value, Value::Text(text) if text == "all") {
        return Ok(Lose::All);
    }
    let time = values::duration(node, 1..=DAY).map(Lose::Time);
    let size = || values::size(node, 1..=1 << 40).map(Lose::Bytes);
    time.or_else(|_| size()).map_err(|_| {
        Wrong::new(
            format!("{} is no part of a log", node.describe()),
            "write \"all\", a time like \"2 s\", or a size like \"64 KiB\"",
        )
    })
}

/// As a profile would write it.
pub fn lose_text(lose: Lose) -> String {
    match lose {
        Lose::All => "all".into(),
        Lose::Time(time_ns) => duration_text(time_ns),
        Lose::Bytes(bytes) => size_text(bytes),
    }
}

/// What cannot be done to the controller.
fn of_controller(step: &FaultStep) -> Option<Wrong> {
    let (message, help) = match step.action {
        _ if step.target != Target::Controller => return None,
        Action::PowerCut => (
            "the controller flushes its log before it answers: a power cut takes nothing from it",
            "write action = \"kill\"",
        ),
        action if action.is_at_disk() => (
            "the controller's disk is left alone: it holds the metadata of all brokers",
            "write target = \"leader\", or kill the controller",
        ),
        action if action.is_at_proxy() || action.is_at_gate() => {
            ("there is no proxy in front of the controller", "write target = \"leader\" or \"all\"")
        }
        _ => return None,
    };
    Some(Wrong::new(message, help))
}

/// Why `step` cannot come after the steps that are `done`.
fn misplaced(step: &FaultStep, done: &[FaultStep]) -> Option<Wrong> {
    if let When::At(at) = step.when
        && done.iter().any(|earlier| matches!(earlier.when, When::At(before) if before > at))
    {
        return Some(Wrong::new(
            "this step is due before one that stands above it",
            "steps are carried out as they stand: sort them by at",
        ));
    }
    if matches!(step.when, When::After(_)) && done.is_empty() {
        return Some(Wrong::new("there is no step above this one", "write at = \"1.2 s\""));
    }
    if let Some(wrong) = of_controller(step) {
        return Some(wrong);
    }
    let drawn =
        |target: Target| matches!(target, Target::Coordinator | Target::Random | Target::CurrentLeader);
    if done.iter().any(|other| {
        drawn(other.target) != drawn(step.target)
            && [other.target, step.target].iter().all(|target| target.is_broker())
    }) {
        return Some(Wrong::new(
            "a broker that is known only when the step is due may be one of those that the other steps are for",
            "name the brokers of a timeline all by role, or all as coordinator, at random, or as current-leader",
        ));
    }
    if matches!(step.when, When::Met(_)) && done.iter().all(|earlier| earlier.rule.is_none()) {
        return Some(Wrong::new(
            "no step above is about requests that could be met",
            "write it below a step with an api, or write at = \"1.2 s\"",
        ));
    }
    if let Some(wrong) = administration::misplaced(step, done).or_else(|| unfit(step, done)) {
        return Some(wrong);
    }
    let moves = |earlier: &FaultStep| {
        let is_done_to_leader =
            earlier.target.leads() && !earlier.action.is_undo() && !earlier.action.is_at_proxy();
        is_done_to_leader || earlier.action == Action::Elect
    };
    let moved = done.iter().any(moves);
    if step.action == Action::Elect && (moved || step.target != Target::Follower) {
        return Some(Wrong::new(
            "leadership is handed from the leader to the first follower, once",
            "write target = \"follower\", with nothing above that makes the leader move",
        ));
    }
    (step.when == When::NewLeader && !moved).then(|| {
        Wrong::new("nothing above makes the leader move", "stop or kill the leader in an earlier step")
    })
}

/// Somebody whom the step is for is not in the state that it needs.
fn unfit(step: &FaultStep, done: &[FaultStep]) -> Option<Wrong> {
    let fits = |role: &Role| match (step.action, standing(done, *role)) {
        (Action::Stop | Action::Terminate | Action::Elect, state) => state == Standing::Runs,
        (Action::Isolate | Action::IsolateFully, state) => state == Standing::Runs,
        (Action::FillDisk | Action::WriteProtect, state) => state == Standing::Runs,
        (Action::Kill | Action::PowerCut, state) => !matches!(state, Standing::Dead | Standing::Isolated),
        (Action::Reconnect, state) => state == Standing::Isolated,
        (Action::Continue, state) => state == Standing::Stopped,
        (Action::Start, state) => state == Standing::Dead,
        // A proxy is there whatever its broker does, and replicas can be moved.
        _ => true,
    };
    (!step.target.roles().iter().all(fits)).then(|| {
        Wrong::new(
            "the target is not in the state that this step needs",
            "stop, then continue; kill, terminate, power-cut, fill-disk or write-protect, then start; isolate or isolate-fully, then reconnect (each for the same brokers)",
        )
    })
}
