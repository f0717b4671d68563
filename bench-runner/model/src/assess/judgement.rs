//! What a verdict makes of the cell as an experiment, and of what its profile expects. It counts nothing.

use crate::expectation::Comparison;
use crate::fault::FaultRecord;
use crate::plan::Cell;
use crate::result::{Expectation, Outcome, word};
use crate::verdict::{TallyKind, Verdict};

/// The outcome, and why unless finished.
pub(super) fn outcome(
    verdict: &Verdict,
    faults: &[FaultRecord],
    unproven_death: Option<String>,
) -> (Outcome, Option<String>) {
    // Void first: books that do not balance are our defect whatever became of the fault.
    if verdict.is_void() {
        let broken: Vec<String> = verdict
            .identities
            .iter()
            .filter(|identity| !identity.holds)
            .map(|identity| format!("{}: {}", identity.name, identity.detail))
            .collect();
        return (Outcome::Void, Some(format!("the books do not balance: {}", broken.join("; "))));
    }
    if unproven_death.is_some() {
        return (Outcome::NotInjected, unproven_death);
    }
    if let Some(FaultRecord { step, .. }) = faults.iter().find(|fault| !fault.is_proven()) {
        let what = step.phrase(&word(&step.action), &word(&step.target));
        let what = format!("{what} could not be proven");
        return (Outcome::NotInjected, Some(what));
    }
    if let Some(reason) = &verdict.inconclusive {
        return (Outcome::Inconclusive, Some(reason.clone()));
    }
    (Outcome::Finished, None)
}

/// Whether exactly the counts were observed that the profile expects (no count without a verdict).
pub(super) fn expectation(cell: &Cell, verdict: &Verdict, outcome: Outcome) -> Comparison {
    let mut compared = Comparison::default();
    for (name, expected) in &cell.expect {
        let kind = name.parse::<TallyKind>().ok();
        let observed = kind.and_then(|kind| verdict.tallies.get(&kind)).map(|tally| tally.count);
        let line = match observed {
            _ if !verdict.is_given() => format!("{name}: expected {expected}, not judged"),
            Some(observed) => format!("{name}: expected {expected}, observed {observed}"),
            None => format!("{name}: expected {expected}, observed nothing"),
        };
        compared.add(line, verdict.is_given() && observed == Some(*expected));
    }
    compared.expectation = match outcome == Outcome::Finished && compared.unmet.is_empty() {
        true => Expectation::Met,
        false => Expectation::Unmet,
    };
    compared
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Action, FaultStep, Target, When};
    use crate::ledger::State;
    use crate::verdict::history::clean;

    #[test]
    fn broken_books_are_void_even_where_a_fault_was_not_injected() {
        let step = FaultStep::new(When::At(0), Action::Stop, Target::Leader);
        let unproven = [FaultRecord::planned(step)];
        let good = clean(10, State::Acked).verdict();
        let mut broken = good.clone();
        broken.identities[0].holds = false;
        let death = || Some("the death did not happen".to_owned());
        assert_eq!(outcome(&good, &unproven, None).0, Outcome::NotInjected);
        assert_eq!(outcome(&broken, &unproven, None).0, Outcome::Void);
        assert_eq!(outcome(&good, &[], death()).0, Outcome::NotInjected);
        assert_eq!(outcome(&broken, &[], death()).0, Outcome::Void);
    }
}
