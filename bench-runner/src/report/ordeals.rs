//! What a cell met with: faults of brokers, and what was done to its workers. It judges nothing.

use super::durability::timeline;
use super::lines::counted;
use super::view::Group;
use bench_model::fault::{End, Victim};
use bench_model::plan::Cell;
use bench_model::result::{CellResult, Outcome};

/// A fault, a death, a kill or a join is planned: records are no independent trials, and latencies are not those of calm.
pub fn is_disturbed(cell: &Cell) -> bool {
    !(cell.faults.is_empty() && cell.deaths.is_empty() && cell.kills.is_empty() && cell.joins.is_empty())
}

/// What is planned for workers, by kind and how often, e.g. `kill`, `producer stop`.
fn of_workers(cell: &Cell) -> Vec<(&'static str, usize)> {
    let word = |worker: Victim, end: End| match (worker, end) {
        (Victim::Member, End::Kill) => "kill",
        (Victim::Member, End::Close) => "close",
        (Victim::Member, End::Stop) => "stop",
        (Victim::Producer, End::Kill) => "producer kill",
        (Victim::Producer, End::Close) => "producer close",
        (Victim::Producer, End::Stop) => "producer stop",
    };
    let deaths = cell.deaths.iter().map(|death| word(death.worker, death.end));
    let kills = cell.kills.iter().map(|kill| word(kill.worker, End::Kill));
    let joins = cell.joins.iter().map(|_| "join");
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for kind in deaths.chain(kills).chain(joins) {
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((kind, 1)),
        }
    }
    kinds
}

/// Everything planned in words: the timeline of faults, then what happens to workers; empty: nothing.
pub fn planned(cell: &Cell) -> String {
    let workers = of_workers(cell).into_iter().map(|(kind, count)| counted(count, kind));
    let faults = Some(timeline(&cell.faults)).filter(|words| !words.is_empty());
    faults.into_iter().chain(workers).collect::<Vec<_>>().join("; ")
}

/// Everything that was planned for the cell took place and was proven: without that it is `not injected`.
fn is_carried_out(result: &CellResult) -> bool {
    matches!(result.outcome, Outcome::Finished | Outcome::Inconclusive)
        && result.faults.iter().all(|fault| fault.is_proven())
}

/// What was carried out and proven, counted over the repeats.
pub fn met_with(group: &Group) -> String {
    let cell = &group.first().cell;
    if !is_disturbed(cell) {
        return "nothing".into();
    }
    let repeats = group.cells.iter().filter(|cell| is_carried_out(&cell.result)).count();
    if repeats == 0 {
        return "nothing proven".into();
    }
    let workers = of_workers(cell).into_iter();
    let faults = (!cell.faults.is_empty()).then_some(("fault", 1));
    let words: Vec<String> =
        workers.chain(faults).map(|(kind, count)| counted(count * repeats, kind)).collect();
    words.join(", ")
}
