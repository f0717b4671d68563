//! What the settings promise: the weight of each kind of finding. It counts nothing.

use super::{Promise, Tally, TallyKind, Weight};
use crate::fault::{Action, FaultRecord};
use crate::settings::{Acks, CellSettings, CommitStrategy, SinkKind};
use std::collections::BTreeMap;

/// What a finding of this kind weighs under these settings and faults.
pub(super) fn weight(kind: TallyKind, settings: &CellSettings, faults: &[FaultRecord]) -> Weight {
    let idempotent = settings.producer.idempotence;
    let all = idempotent || settings.producer.acks == Acks::All;
    let unclean =
        settings.topic.extra.get("unclean.leader.election.enable").is_some_and(|value| value == "true");
    let broker_fault = faults
        .iter()
        .any(|fault| fault.done_ns.is_some() && matches!(fault.step.action, Action::Stop | Action::Kill));
    let commit = settings.group.as_ref().map(|group| group.commit);
    let sink = settings.group.as_ref().and_then(|group| Some(group.sink.as_ref()?.kind));
    let unless = |allowed: bool| if allowed { Weight::Allowed } else { Weight::Violation };
    match kind {
        TallyKind::Acks0Drop | TallyKind::UnknownPresent | TallyKind::UnknownAbsent => Weight::Reported,
        TallyKind::LogLoss if all => unless(unclean),
        TallyKind::LogLoss => unless(unclean || broker_fault),
        TallyKind::DuplicateSameAttempt | TallyKind::Reorder => unless(!idempotent),
        TallyKind::DuplicateCrossAttempt => Weight::Allowed,
        TallyKind::RewrittenLog | TallyKind::Vanished => unless(unclean || !all),
        TallyKind::ProcessingLoss => unless(commit.is_some_and(CommitStrategy::may_lose)),
        TallyKind::Redelivery => unless(commit.is_none_or(CommitStrategy::may_repeat)),
        TallyKind::BegunOnly | TallyKind::CommitAhead | TallyKind::AbortedCopies => Weight::Reported,
        // A log that holds a record twice is processed twice, whoever keeps the offsets.
        TallyKind::SinkDuplicate => unless(
            !sink.is_some_and(SinkKind::is_idempotent)
                && (commit.is_none_or(CommitStrategy::may_repeat) || !idempotent),
        ),
        TallyKind::SinkLoss => unless(commit.is_some_and(CommitStrategy::may_lose)),
        TallyKind::Phantom
        | TallyKind::OffsetGap
        | TallyKind::Misplaced
        | TallyKind::Alien
        | TallyKind::Corrupt
        | TallyKind::Unledgered
        | TallyKind::PollSkip
        | TallyKind::NonMonotonicPoll
        | TallyKind::AbortedRead
        | TallyKind::TornTransaction
        | TallyKind::ConsumerAbortedRead => Weight::Violation,
    }
}

/// What all findings together mean. Drops at acks=0 are a price too: the settings allow them.
pub(super) fn promise(tallies: &BTreeMap<TallyKind, Tally>) -> Promise {
    let any = |weight| tallies.values().any(|tally| tally.count > 0 && tally.weight == weight);
    let dropped = tallies.get(&TallyKind::Acks0Drop).is_some_and(|tally| tally.count > 0);
    match (any(Weight::Violation), any(Weight::Allowed) || dropped) {
        (true, _) => Promise::Violated,
        (false, true) => Promise::Allowed,
        (false, false) => Promise::Kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{FaultStep, Target, When};
    use crate::verdict::history::settings;

    fn fault(done_ns: Option<u64>, action: Action) -> Vec<FaultRecord> {
        let step = FaultStep { when: When::At(0), action, target: Target::Leader };
        vec![FaultRecord { step, brokers: vec![], done_ns, proof: vec![] }]
    }

    #[test]
    fn loss_is_weighed_by_acks_faults_and_unclean_election() {
        let weigh = |acks, idempotence, faults: &[FaultRecord], unclean| {
            let mut settings = settings(acks, 1);
            settings.producer.idempotence = idempotence;
            if unclean {
                settings.topic.extra.insert("unclean.leader.election.enable".into(), "true".into());
            }
            weight(TallyKind::LogLoss, &settings, faults)
        };
        let killed = fault(Some(1), Action::Kill);
        assert_eq!(weigh(Acks::One, false, &killed, false), Weight::Allowed);
        assert_eq!(weigh(Acks::One, false, &[], false), Weight::Violation);
        assert_eq!(weigh(Acks::One, false, &fault(None, Action::Kill), false), Weight::Violation);
        assert_eq!(weigh(Acks::One, false, &fault(Some(1), Action::Continue), false), Weight::Violation);
        assert_eq!(weigh(Acks::All, false, &killed, false), Weight::Violation);
        assert_eq!(weigh(Acks::All, true, &killed, false), Weight::Violation);
        assert_eq!(weigh(Acks::All, true, &[], true), Weight::Allowed);
    }

    #[test]
    fn idempotence_forbids_duplicates_and_reordering_but_not_the_price_of_a_resend() {
        for (idempotence, expected) in [(true, Weight::Violation), (false, Weight::Allowed)] {
            let mut settings = settings(Acks::All, 1);
            settings.producer.idempotence = idempotence;
            assert_eq!(weight(TallyKind::DuplicateSameAttempt, &settings, &[]), expected);
            assert_eq!(weight(TallyKind::Reorder, &settings, &[]), expected);
            assert_eq!(weight(TallyKind::DuplicateCrossAttempt, &settings, &[]), Weight::Allowed);
        }
    }
}
