//! From evidence to everything that a result claims: judgement, latencies, throughput, cost, doubts.
//!
//! `run` makes results with it and `verify` holds results against it, so that both mean the same. It reads no file and
//! measures nothing.

mod caveats;
mod compare;
mod deaths;
mod deleted;
mod figures;
mod group;
mod judgement;
mod killed;
mod named;
mod oracle;
mod points;
mod recovery;
mod settled;
mod standstill;
mod statements;
mod unprocessed;

pub use compare::differences;
pub use settled::unsettled;
pub use statements::{STATEMENTS, Statements, StatementsError, Stolen, Usage};

use crate::effects::Effects;
use crate::expectation::{self, Comparison};
use crate::latency;
use crate::ledger::Ledger;
use crate::plan::Cell;
use crate::processing::Journal;
use crate::reading::LogReading;
use crate::result::{CellResult, Cost, Expectation, Outcome, SCHEMA_VERSION};
use crate::settings::Arrival;
use crate::transactions::Transactions;
use crate::verdict::{self, Exhibits, Upsets};

/// What a cell left behind.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// One for each life of each producer.
    pub ledgers: &'a [Ledger],
    /// The independent reader's first.
    pub readings: &'a [LogReading],
    /// The same of a pipeline's output topic; empty without.
    pub output: &'a [LogReading],
    /// One for each life of each member that commits in transactions; empty without.
    pub pipelines: &'a [Transactions],
    /// One for each ledger; empty without transactions.
    pub transactions: &'a [Transactions],
    /// One for each life of each group member; empty without a group.
    pub journals: &'a [Journal],
    /// The sink's rows; `None`: there is no sink, or it could not be read.
    pub effects: Option<&'a Effects>,
    /// Every series of the cell, as stored: producers merged, records that never arrived cut off.
    pub series: &'a latency::Set,
    /// `None`: a cell of schema 1.0, which did not store them.
    pub statements: Option<&'a Statements>,
}

/// The result of a cell of which nothing is known but the plan.
pub fn blank(run: &str, cell: &Cell) -> CellResult {
    CellResult {
        schema: SCHEMA_VERSION.into(),
        run: run.into(),
        cell: cell.clone(),
        outcome: Outcome::CouldNotStart,
        reason: None,
        expectation: if cell.expect.is_empty() { Expectation::None } else { Expectation::Unmet },
        expectation_detail: Vec::new(),
        expectation_unmet: Vec::new(),
        verdict: None,
        faults: Vec::new(),
        latencies: Default::default(),
        throughput_per_s: 0.0,
        asked_per_s: match cell.settings.load.arrival {
            Arrival::Constant { per_second } | Arrival::Poisson { per_second } => Some(per_second as f64),
            Arrival::Max | Arrival::Bursts(_) => None,
        },
        window_ns: 0,
        window_records: 0,
        blocked_ns: 0,
        cost: Cost::default(),
        seconds: Vec::new(),
        group: None,
        recovery: Vec::new(),
        partitions: Vec::new(),
        caveats: Vec::new(),
        client_settings: Default::default(),
        topic_settings: Default::default(),
        failed_sends: Default::default(),
        failed_by_second: Default::default(),
        errors: Vec::new(),
        stages_ns: Default::default(),
        evidence: Default::default(),
    }
}

/// Fills in everything that follows from the cell, the faults as carried out, and the evidence.
///
/// Without statements, what rests on them stays as it is: window length, throughput, time blocked, cost and caveats.
pub fn assess(result: &mut CellResult, evidence: Evidence<'_>) {
    let Evidence {
        ledgers,
        readings,
        output,
        transactions,
        pipelines,
        journals,
        effects,
        series,
        statements,
    } = evidence;
    let undrained = match statements {
        Some(statements) => statements.undrained(),
        None => result.verdict.as_ref().and_then(|verdict| verdict.undrained.clone()),
    };
    let drained = undrained.map_or(Ok(()), Err);
    let exhibits = Exhibits { ledgers, readings, transactions, journals, effects, pipelines, output };
    let settings = &result.cell.settings;
    let moved_leaders = statements.map_or(0, |statements| statements.moved_leaders);
    let upsets = Upsets { faults: &result.faults, moved_leaders, resends: result.cell.resends() };
    let mut verdict = verdict::judge(settings, upsets, exhibits, drained);
    verdict.identities.extend(statements.and_then(|stated| oracle::identity(&stated.dumps, readings)));
    let mut verdict = verdict.claiming_nothing_unless_given();
    let none = Statements::default();
    let sink = settings.group.as_ref().filter(|group| group.sink.is_some());
    let batch = sink.map(|group| group.batch_records);
    let stated = statements.unwrap_or(&none);
    let seen = deaths::Seen { statements: stated, ledgers, transactions, pipelines, journals, batch };
    let unproven = deaths::unproven(&result.cell, seen);
    (result.outcome, result.reason) = judgement::outcome(&verdict, &result.faults, unproven);
    let unread = statements.and_then(|statements| statements.unread_sink.as_ref());
    if let (Outcome::Inconclusive, Some(why)) = (result.outcome, unread) {
        result.reason = result.reason.take().map(|reason| format!("{reason} ({why})"));
    }
    let is_deleted = result.outcome == Outcome::Inconclusive && deleted::is_deleted(&result.faults);
    if is_deleted {
        result.reason = Some(deleted::reason(stated));
    }
    let compared = match (result.cell.expect.is_empty(), result.outcome) {
        (false, _) => judgement::expectation(&result.cell, &verdict, result.outcome),
        (true, _) if is_deleted => deleted::compare(&result.cell, stated),
        (true, Outcome::Finished) => {
            expectation::compare(&result.cell, &result.faults, &verdict, moved_leaders > 0)
        }
        (true, _) => Comparison::default(),
    };
    result.expectation = compared.expectation;
    result.expectation_detail = compared.lines;
    result.expectation_unmet = compared.unmet;
    figures::latencies(result, series);
    if let Some(statements) = statements {
        figures::from_statements(result, statements, series);
        result.group = group::course(result, statements, readings, journals, pipelines);
        result.caveats = caveats::of_cell(statements, result, &verdict);
    }
    named::name(&mut verdict, readings, journals);
    result.verdict = Some(verdict);
    if let Some(statements) = statements {
        result.partitions.clone_from(&statements.partitions);
        result.recovery = recovery::recovery(result, statements);
    }
}
