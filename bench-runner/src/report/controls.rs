//! Whether the run's own controls fired: a zero says something only where the same run could make such a finding, and did.

use super::figures::zero_bound_note;
use super::view::Group;
use crate::store::StoredRun;
use bench_model::profile::grouped;
use bench_model::result::{Expectation, Outcome};
use bench_model::verdict::TallyKind;
use std::collections::BTreeSet;

/// Which kinds of findings the run's recipes have predicted and found.
#[derive(Debug, Default)]
pub struct Controls {
    /// `None`: the run carries no controls.
    fired: Option<BTreeSet<TallyKind>>,
}

impl Controls {
    /// Those of a run: cells in which exactly the expected findings were made.
    pub fn of(run: &StoredRun) -> Self {
        if !run.manifest.controls {
            return Controls::default();
        }
        let met =
            run.cells.iter().map(|cell| &cell.result).filter(|result| {
                result.outcome == Outcome::Finished && result.expectation == Expectation::Met
            });
        let expected = met.flat_map(|result| &result.cell.expect).filter(|(_, count)| **count > 0);
        let kinds = expected.filter_map(|(name, _)| name.parse().ok().map(family));
        Controls { fired: Some(kinds.collect()) }
    }

    fn are_carried(&self) -> bool {
        self.fired.is_some()
    }

    /// What the words mean, where they are used.
    pub fn legend(&self) -> Option<&'static str> {
        let words = "\"controls fired\": a recipe of this run predicted such findings, and made exactly those. \"untested\": none did.";
        self.are_carried().then_some(words)
    }

    /// What stands behind a zero of this kind: `controls fired`, or `untested`; `None`: the run carries none.
    pub fn reading(&self, kind: TallyKind) -> Option<&'static str> {
        let fired = self.fired.as_ref()?.contains(&family(kind));
        Some(if fired { "controls fired" } else { "untested" })
    }

    /// A count with its denominator and, where it is zero, what that is worth; `bounded`: records are independent trials.
    pub fn share(&self, kind: TallyKind, (count, of): (u64, u64), bounded: bool) -> String {
        let mut text = format!("{} of {}", grouped(count), grouped(of));
        if let (0, Some(reading)) = (count, self.reading(kind)) {
            text.push_str(&format!("; {reading}"));
        }
        if bounded && count == 0 {
            text.push_str(&zero_bound_note(of));
        }
        text
    }

    /// As [`share`](Self::share) where the run carries controls and there is a denominator; else the count alone.
    pub fn count(&self, group: &Group, kind: TallyKind) -> String {
        match group.tally(kind) {
            None => "n/a".into(),
            Some((0, of)) if self.are_carried() && of > 0 => self.share(kind, (0, of), false),
            Some((count, _)) => grouped(count),
        }
    }
}

/// Kinds that are found in the same way: an absent record is absent whatever its producer was told.
fn family(kind: TallyKind) -> TallyKind {
    match kind {
        TallyKind::Acks0Drop => TallyKind::LogLoss,
        TallyKind::DuplicateCrossAttempt => TallyKind::DuplicateSameAttempt,
        other => other,
    }
}
