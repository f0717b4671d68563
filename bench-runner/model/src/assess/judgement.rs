//! What a verdict makes of the cell as an experiment, and of what its profile expects. It counts nothing.

use crate::fault::FaultRecord;
use crate::plan::Cell;
use crate::result::{Expectation, Outcome};
use crate::verdict::{TallyKind, Verdict};

/// The outcome, and why unless finished.
pub(super) fn outcome(
    verdict: &Verdict,
    faults: &[FaultRecord],
    unproven_death: Option<String>,
) -> (Outcome, Option<String>) {
    if unproven_death.is_some() {
        return (Outcome::NotInjected, unproven_death);
    }
    if let Some(step) = faults.iter().find(|fault| !fault.is_proven()) {
        let what = format!("{:?} of the {:?} could not be proven", step.step.action, step.step.target)
            .to_lowercase();
        return (Outcome::NotInjected, Some(what));
    }
    if let Some(reason) = &verdict.inconclusive {
        return (Outcome::Inconclusive, Some(reason.clone()));
    }
    if verdict.is_void() {
        let broken: Vec<String> = verdict
            .identities
            .iter()
            .filter(|identity| !identity.holds)
            .map(|identity| format!("{}: {}", identity.name, identity.detail))
            .collect();
        return (Outcome::Void, Some(format!("the books do not balance: {}", broken.join("; "))));
    }
    (Outcome::Finished, None)
}

/// Whether exactly the expected counts were observed, and each of them in words.
pub(super) fn expectation(cell: &Cell, verdict: &Verdict, outcome: Outcome) -> (Expectation, Vec<String>) {
    if cell.expect.is_empty() {
        return (Expectation::None, Vec::new());
    }
    let mut met = outcome == Outcome::Finished;
    let lines = cell
        .expect
        .iter()
        .map(|(name, expected)| {
            let observed = name
                .parse::<TallyKind>()
                .ok()
                .and_then(|kind| verdict.tallies.get(&kind))
                .map(|tally| tally.count);
            met &= observed == Some(*expected);
            let observed = observed.map_or_else(|| "nothing".to_owned(), |count| count.to_string());
            format!("{name}: expected {expected}, observed {observed}")
        })
        .collect();
    (if met { Expectation::Met } else { Expectation::Unmet }, lines)
}
