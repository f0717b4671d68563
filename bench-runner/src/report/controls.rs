//! Whether the run's own controls fired: a zero says something only where the same run could make such a finding, and did.

use super::durability::{fired, is_proven};
use super::figures::zero_bound_note;
use super::ordeals::{is_disturbed, planned};
use super::view::Group;
use crate::store::StoredRun;
use bench_model::fault::Victim;
use bench_model::plan::Cell;
use bench_model::profile::grouped;
use bench_model::result::{CellResult, Expectation, Outcome};
use bench_model::verdict::TallyKind;
use std::collections::BTreeSet;

/// What stands behind a zero that a control backs.
pub const FIRED: &str = "controls fired";

/// What a cell meets with, in words, and at which record each of its workers ends or is joined, which means the same in one
/// profile only. The point around that record is left open: a strategy that commits before has no place between write and
/// commit.
type Ordeal = (String, Option<(String, Vec<(Victim, u64)>)>);

fn ordeal(cell: &Cell) -> Ordeal {
    let deaths = cell.deaths.iter().map(|death| (death.worker, death.record));
    let joins = cell.joins.iter().map(|join| (Victim::Member, join.after));
    let places: Vec<_> = deaths.chain(joins).collect();
    (planned(cell), (!places.is_empty()).then(|| (cell.profile.clone(), places)))
}

/// What was found where it could be found.
#[derive(Debug, Default)]
pub struct Controls {
    /// Kinds of findings that the run's recipes have predicted and made; `None`: the run carries no controls.
    carried: Option<BTreeSet<TallyKind>>,
    /// Kinds of findings, and what the cell that made them met with.
    found: BTreeSet<(TallyKind, Ordeal)>,
    /// On the mock cluster a zero is worth nothing, and nothing is said of it.
    is_mock: bool,
}

impl Controls {
    /// Those of a run: recipes in which exactly the expected findings were made, and cells with a proven fault.
    pub fn of(run: &StoredRun, is_mock: bool) -> Self {
        let results = || run.cells.iter().map(|cell| &cell.result);
        let met = results()
            .filter(|result| result.outcome == Outcome::Finished && result.expectation == Expectation::Met);
        let expected = met.flat_map(|result| &result.cell.expect).filter(|(_, count)| **count > 0);
        let kinds = expected.filter_map(|(name, _)| name.parse().ok().map(family)).collect();
        let found = results()
            .flat_map(|result| findings(result).into_iter().map(|kind| (kind, ordeal(&result.cell))));
        Controls { carried: run.manifest.controls.then_some(kinds), found: found.collect(), is_mock }
    }

    /// The run carries recipes as controls.
    pub fn are_carried(&self) -> bool {
        self.carried.is_some()
    }

    /// What the words mean; empty where none of these cells calls for them.
    pub fn legend<'c>(&self, mut cells: impl Iterator<Item = &'c Cell>) -> Vec<&'static str> {
        if self.is_mock {
            return Vec::new();
        }
        let carried = "\"controls fired\": a recipe of this run predicted such findings, and made exactly those. \"untested\": none did.";
        let met = "A zero of a cell with a fault: \"controls fired\" where a cell of this run had such findings under the same fault (the same steps; in the same profile workers that end in the same way at the same record; kills at random instants count as alike), else \"untested\".";
        self.are_carried()
            .then_some(carried)
            .into_iter()
            .chain(cells.any(is_disturbed).then_some(met))
            .collect()
    }

    /// What stands behind a zero of this kind: `controls fired`, or `untested`; `None`: the cell met with nothing, and the
    /// run carries no controls.
    pub fn reading(&self, cell: &Cell, kind: TallyKind) -> Option<&'static str> {
        let kind = family(kind);
        let carried = self.carried.as_ref().map(|kinds| kinds.contains(&kind));
        let met = is_disturbed(cell).then(|| self.found.contains(&(kind, ordeal(cell))));
        let fired = carried.into_iter().chain(met).reduce(|one, other| one || other)?;
        (!self.is_mock).then_some(if fired { FIRED } else { "untested" })
    }

    /// A count with its denominator and, where it is zero, what that is worth; `bounded`: records are independent trials.
    pub fn share(&self, group: &Group, kind: TallyKind, (count, of): (u64, u64), bounded: bool) -> String {
        let mut text = format!("{} of {}", grouped(count), grouped(of));
        let reading = self.reading(&group.first().cell, kind).filter(|_| count == 0);
        text.extend(reading.map(|reading| format!("; {reading}")));
        if bounded && count == 0 {
            text.push_str(&zero_bound_note(of));
        }
        text
    }

    /// As [`share`](Self::share) where the run carries controls and there is a denominator; else the count alone.
    pub fn count(&self, group: &Group, kind: TallyKind) -> String {
        match group.tally(kind) {
            None => "n/a".into(),
            Some((0, of)) if self.are_carried() && of > 0 => self.share(group, kind, (0, of), false),
            Some((count, _)) => grouped(count),
        }
    }
}

/// The kinds of which a cell with a proven fault has something.
fn findings(result: &CellResult) -> Vec<TallyKind> {
    if !is_proven(result) {
        return Vec::new();
    }
    let tallies = result.verdict.iter().flat_map(|verdict| &verdict.tallies);
    let counted = tallies.filter(|(_, tally)| tally.count > 0).map(|(kind, _)| family(*kind));
    // Of losses, one question has one answer in all tables.
    let others = counted.filter(|kind| *kind != TallyKind::LogLoss);
    others.chain(fired(result).then_some(TallyKind::LogLoss)).collect()
}

/// Kinds that are found in the same way: an absent record is absent whatever its producer was told.
fn family(kind: TallyKind) -> TallyKind {
    match kind {
        TallyKind::Acks0Drop => TallyKind::LogLoss,
        TallyKind::DuplicateCrossAttempt => TallyKind::DuplicateSameAttempt,
        other => other,
    }
}
