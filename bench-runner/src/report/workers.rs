//! What was done to workers and when, with its proof; and which errors transactions met. Both are read from what runner and
//! workers stated when the cell was over.

use super::figures::duration;
use super::page::Block;
use super::table::Table;
use super::view::{View, word};
use crate::store::StoredCell;
use bench_model::assess::{STATEMENTS, Statements};
use bench_model::fault::{Death, DeathRecord, End, KillRecord, Marks, Victim};
use bench_model::plan::Cell;
use bench_model::profile::grouped;
use bench_model::result::Outcome;
use std::collections::BTreeMap;

/// The statements of a cell; `None`: it has none (schema 1.0), or they cannot be read, which is said with all damage.
pub fn statements(cell: &StoredCell) -> Option<Statements> {
    let text = std::fs::read_to_string(cell.directory.join(STATEMENTS)).ok()?;
    Statements::from_json(&text).ok()
}

/// Errors of transactions by whose they are (`producer`, `pipeline`) and their text, of all lives that made a statement.
pub fn transaction_errors(statements: &Statements) -> BTreeMap<(&'static str, String), u64> {
    let of = |whose, errors: &BTreeMap<String, u64>| -> Vec<((&'static str, String), u64)> {
        errors.iter().map(|(error, count)| ((whose, error.clone()), *count)).collect()
    };
    let producers = statements.producers.iter().map(|done| ("producer", &done.transaction_errors));
    let members = statements.members.iter().map(|done| ("pipeline", &done.transaction_errors));
    let mut errors = BTreeMap::new();
    for (key, count) in producers.chain(members).flat_map(|(whose, all)| of(whose, all)) {
        *errors.entry(key).or_default() += count;
    }
    errors
}

/// One thing that was done.
struct Act {
    worker: String,
    what: String,
    done_ns: Option<u64>,
    /// Empty: not proven.
    proof: String,
}

/// One thing that was done and proven, as a stretch of time.
pub struct WorkerSpan {
    /// E.g. `member 0 stopped`.
    pub name: String,
    /// Nanoseconds after T0.
    pub from_ns: u64,
    /// When a stopped one was continued, nanoseconds after T0; `None`: there is nothing to wait for.
    pub to_ns: Option<u64>,
}

/// What was done to workers, in the order of time; what ended otherwise than planned is left out.
pub fn spans(cell: &StoredCell) -> Vec<WorkerSpan> {
    let Some(Statements { deaths, kills, joins, .. }) = statements(cell) else { return Vec::new() };
    let died = |end: End| match end {
        End::Kill => "killed",
        End::Close => "closed",
        End::Stop => "stopped",
    };
    let deaths = deaths.iter().filter(|one| one.as_planned).map(|one| WorkerSpan {
        name: format!("{} {} {}", word(&one.death.worker), one.member, died(one.death.end)),
        from_ns: one.seen_ns,
        to_ns: one.continued_ns,
    });
    let kills = kills.iter().filter(|one| one.as_planned).map(|one| WorkerSpan {
        name: format!("{} {} {}", word(&one.kill.worker), one.kill.index, died(End::Kill)),
        from_ns: one.done_ns,
        to_ns: None,
    });
    let joins = joins.iter().map(|one| WorkerSpan {
        name: format!("member {} joined", one.member),
        from_ns: one.started_ns,
        to_ns: None,
    });
    let mut all: Vec<WorkerSpan> = deaths.chain(kills).chain(joins).collect();
    all.sort_by_key(|span| span.from_ns);
    all
}

/// Both tables, where there is anything to show.
pub fn describe(view: &View, blocks: &mut Vec<Block>) {
    let mut done = Table::new(["cell", "worker", "what", ">done after T0", "proof"]);
    let mut errors = Table::new(["cell", "whose", "call", "judgement", "error", "what was done", ">count"]);
    for cell in &view.run.cells {
        let id = &cell.result.cell.id;
        let Some(statements) = statements(cell) else { continue };
        // The faults stand in a table of their own.
        let by_faults = !cell.result.faults.iter().all(|fault| fault.is_proven());
        let disproof = cell.result.reason.as_ref().filter(|_| cell.result.outcome == Outcome::NotInjected);
        let disproof = disproof.filter(|_| !by_faults);
        for act in acts(&cell.result.cell, &statements) {
            let proof = match disproof {
                _ if act.proof.is_empty() => "NOT PROVEN".to_owned(),
                Some(why) => format!("{}; NOT PROVEN: {why}", act.proof),
                None => act.proof,
            };
            let at = act.done_ns.map_or("never".into(), |ns| duration(ns as f64));
            done.row([id.clone(), act.worker, act.what, at, proof]);
        }
        for ((whose, error), count) in transaction_errors(&statements) {
            let [call, judgement, name, outcome] = parts(&error);
            errors.row([id.clone(), whose.into(), call, judgement, name, outcome, grouped(count)]);
        }
    }
    if !done.is_empty() {
        done.note("A death counts as proven where the end of its process and its own journal or ledger agree; a join where the new member was given what an old one gave up.");
        blocks.push(Block::Heading(2, "Deaths, kills and joins as carried out".into()));
        blocks.push(Block::Table(done));
    }
    if !errors.is_empty() {
        errors.note("Judgements are the client's: retriable (the same call again), abortable (the transaction is aborted), fenced (another instance has the transactional id), fatal (the producer is of no use any more).");
        blocks.push(Block::Heading(2, "Errors of transactions".into()));
        blocks.push(Block::Table(errors));
    }
}

/// Of e.g. `commit: fenced: _FENCED: stopped`: call, judgement, error, what was done.
fn parts(error: &str) -> [String; 4] {
    let parts: Vec<&str> = error.split(": ").collect();
    match parts.as_slice() {
        [call, judgement, name, done] => [*call, *judgement, *name, *done],
        _ => [error, "–", "–", "–"],
    }
    .map(str::to_owned)
}

/// Everything planned for workers, with what became of it; what never happened comes last.
fn acts(cell: &Cell, statements: &Statements) -> Vec<Act> {
    let Statements { deaths, kills, joins, .. } = statements;
    let mut acts: Vec<Act> = deaths.iter().map(died).chain(kills.iter().map(killed)).collect();
    acts.extend(joins.iter().map(|join| Act {
        worker: format!("member {}", join.member),
        what: format!("joined after record {}", grouped(join.join.after)),
        done_ns: Some(join.started_ns),
        proof: format!("member 0 had completed {}", grouped(join.completed)),
    }));
    let missing = |worker: &str, what: String| Act {
        worker: worker.to_owned(),
        what,
        done_ns: None,
        proof: String::new(),
    };
    for worker in [Victim::Member, Victim::Producer] {
        let planned = cell.deaths.iter().filter(|death| death.worker == worker);
        let seen = deaths.iter().filter(|death| death.death.worker == worker).count();
        acts.extend(planned.skip(seen).map(|death| missing(&format!("{} 0", word(&worker)), where_(death))));
    }
    let never = cell.kills.iter().filter(|kill| !kills.iter().any(|done| done.kill == **kill));
    acts.extend(never.map(|kill| {
        let at = duration(kill.at_ns as f64);
        missing(&format!("{} {}", word(&kill.worker), kill.index), format!("kill at {at}"))
    }));
    let joined = cell.joins.iter().skip(joins.len());
    acts.extend(joined.map(|join| missing("member", format!("join after record {}", grouped(join.after)))));
    acts
}

/// E.g. `kill at record 237 (after poll)`.
fn where_(death: &Death) -> String {
    format!("{} at record {} ({})", word(&death.end), grouped(death.record), word(&death.point))
}

fn died(record: &DeathRecord) -> Act {
    let DeathRecord { death, member, incarnation, seen_ns, exit, as_planned, marks, .. } = record;
    let mut proof: Vec<String> = if *as_planned { vec![exit.clone()] } else { Vec::new() };
    if let (Some(Marks { begun, completed, .. }), true) = (marks, as_planned) {
        proof.push(format!("its journal then: {} begun, {} completed", grouped(*begun), grouped(*completed)));
    }
    if let (Some(taken_ns), true) = (record.taken_ns, as_planned) {
        proof.push(format!("its id was taken at {}", duration(taken_ns as f64)));
    }
    let goes_on = record.continued_ns.map(|ns| format!(", continued at {}", duration(ns as f64)));
    let otherwise = if *as_planned { String::new() } else { format!(", ended otherwise ({exit})") };
    Act {
        worker: format!("{} {member}, life {incarnation}", word(&death.worker)),
        what: format!(
            "{}{}{otherwise}",
            where_(death),
            goes_on.filter(|_| death.end == End::Stop).unwrap_or_default()
        ),
        done_ns: Some(*seen_ns),
        proof: proof.join("; "),
    }
}

fn killed(record: &KillRecord) -> Act {
    let KillRecord { kill, incarnation, done_ns, exit, as_planned } = record;
    Act {
        worker: format!("{} {}, life {incarnation}", word(&kill.worker), kill.index),
        what: format!("kill at {}", duration(kill.at_ns as f64)),
        done_ns: Some(*done_ns),
        proof: if *as_planned { exit.clone() } else { String::new() },
    }
}
