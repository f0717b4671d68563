//! What producers are expected to see under a fault, and how a verdict is held against it (`docs/method.md` has the table).
//!
//! For cells of which the profile itself expects nothing. It counts nothing: the verdict does.

mod columns;
mod table;

#[cfg(test)]
mod columns_tests;
#[cfg(test)]
pub(crate) mod tests;

use crate::fault::FaultRecord;
use crate::plan::Cell;
use crate::result::Expectation;
use crate::verdict::{TallyKind, Verdict};
use columns::{Suffered, columns};
use table::{Mark, Row, entry};

/// What was expected and observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// All in all.
    pub expectation: Expectation,
    /// Line by line; without an entry, why.
    pub lines: Vec<String>,
    /// Those of the lines that are not met.
    pub unmet: Vec<String>,
}

impl Default for Comparison {
    /// Nothing was expected.
    fn default() -> Self {
        Comparison { expectation: Expectation::None, lines: Vec::new(), unmet: Vec::new() }
    }
}

impl Comparison {
    /// Adds a line.
    pub(crate) fn add(&mut self, line: String, is_met: bool) {
        self.unmet.extend((!is_met).then(|| line.clone()));
        self.lines.push(line);
    }
}

/// Holds the verdict of a finished cell against the table.
///
/// `moved`: some partition has another leader than at the start.
pub fn compare(cell: &Cell, faults: &[FaultRecord], verdict: &Verdict, moved: bool) -> Comparison {
    let mut compared = Comparison::default();
    if cell.faults.is_empty() {
        return compared;
    }
    let workers = !cell.deaths.is_empty() || !cell.kills.is_empty();
    let suffered = match workers {
        true => Err("it is for faults of brokers alone, and workers died as well".to_owned()),
        false => columns(&cell.settings, faults, moved),
    };
    let suffered = match suffered {
        Ok(suffered) => suffered,
        Err(why) => {
            compared.expectation = Expectation::NoEntry;
            compared.add(format!("no entry in the table of expectations: {why}"), true);
            return compared;
        }
    };
    let row = Row::of(&cell.settings.producer);
    let marks = marks(row, &suffered);
    let mut kinds = vec![row.loss(), TallyKind::DuplicateSameAttempt, TallyKind::Reorder];
    kinds.extend((row == Row::Transactional).then_some(TallyKind::TornTransaction));
    kinds.extend(marks.iter().map(|mark| mark.kind).filter(|kind| is_unknown(*kind)));
    let names: Vec<&str> = suffered.iter().map(|it| it.column.as_str()).collect();
    let names = names.join(" and ");
    let mut is_seen = false;
    for kind in kinds {
        let Some(tally) = verdict.tallies.get(&kind) else { continue };
        let mark = marks.iter().find(|mark| mark.kind == kind);
        let (expected, is_met) = match mark {
            Some(mark) if mark.certain => ("some for certain", tally.count > 0),
            Some(_) => ("may be some", true),
            None => ("none expected", tally.count == 0),
        };
        is_seen |= mark.is_some() && tally.count > 0;
        compared.add(format!("{kind}: {expected} ({names}), observed {}", tally.count), is_met);
    }
    compared.expectation = match (compared.unmet.is_empty(), is_seen || marks.is_empty()) {
        (false, _) => Expectation::Unmet,
        (true, true) => Expectation::Met,
        (true, false) => Expectation::BetterThanRequired,
    };
    compared
}

/// A fate that the client does not know is no finding of its own: it is told where the table names it.
fn is_unknown(kind: TallyKind) -> bool {
    matches!(kind, TallyKind::UnknownAbsent | TallyKind::UnknownPresent)
}

/// What may be seen under all of this, each kind once; certain only by its recipe.
fn marks(row: Row, suffered: &[Suffered]) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    for it in suffered {
        for mark in entry(row, it.column) {
            let certain = mark.certain && it.is_recipe;
            match marks.iter_mut().find(|known| known.kind == mark.kind) {
                Some(known) => known.certain |= certain,
                None => marks.push(Mark { certain, ..*mark }),
            }
        }
    }
    marks
}
