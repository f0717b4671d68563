//! What the settings promise: the weight of each kind of finding. It counts nothing.

use super::{Promise, Tally, TallyKind, Upsets, Weight};
use crate::fault::{Action, FaultRecord, FaultStep};
use crate::settings::{Acks, CellSettings, CommitStrategy, SinkKind};
use std::collections::{BTreeMap, BTreeSet};

/// What a finding of this kind weighs under these settings, after what befell the brokers.
pub(super) fn weight(kind: TallyKind, settings: &CellSettings, upsets: Upsets<'_>) -> Weight {
    let Upsets { faults, moved_leaders, resends } = upsets;
    let idempotent = settings.producer.idempotence;
    let all = idempotent || settings.producer.acks == Acks::All;
    let unclean =
        settings.topic.extra.get("unclean.leader.election.enable").is_some_and(|value| value == "true");
    // A leader that gave way by itself loses what it alone had acknowledged, as one does that was killed.
    let leader_upset = moved_leaders > 0 || faults.iter().any(befell_a_broker);
    // Of what an answer promises nothing is left: as many brokers as hold it lost what they had not flushed.
    let forgotten = !flushes_first(settings) && lost_power(faults) >= least_in_sync(settings, faults);
    // A leader without the end of the log: other records take its offsets, and a group's position may stand behind them.
    let cut = forgotten || ((unclean || !all) && leader_upset);
    let commit = settings.group.as_ref().map(|group| group.commit);
    let sink = settings.group.as_ref().and_then(|group| Some(group.sink.as_ref()?.kind));
    let unless = |allowed: bool| if allowed { Weight::Allowed } else { Weight::Violation };
    match kind {
        TallyKind::Acks0Drop | TallyKind::UnknownPresent | TallyKind::UnknownAbsent => Weight::Reported,
        TallyKind::LogLoss if all => unless(unclean || forgotten),
        TallyKind::LogLoss => unless(unclean || leader_upset),
        TallyKind::DuplicateSameAttempt | TallyKind::Reorder => unless(!idempotent),
        TallyKind::DuplicateCrossAttempt => Weight::Allowed,
        // A part of it is lost like any record.
        TallyKind::TornTransaction => unless(unclean || forgotten),
        TallyKind::RewrittenLog | TallyKind::Vanished => unless(unclean || forgotten || !all),
        TallyKind::ProcessingLoss => unless(commit.is_some_and(CommitStrategy::may_lose) || cut),
        TallyKind::Redelivery => unless(commit.is_none_or(CommitStrategy::may_repeat) || cut),
        TallyKind::NonMonotonicPoll => unless(cut),
        TallyKind::BegunOnly | TallyKind::CommitAhead | TallyKind::AbortedCopies | TallyKind::SinkRefused => {
            Weight::Reported
        }
        // A log that holds a record twice is processed twice, whoever keeps the offsets.
        TallyKind::SinkDuplicate => unless(
            !sink.is_some_and(SinkKind::is_idempotent)
                && (commit.is_none_or(CommitStrategy::may_repeat) || !idempotent || resends || cut),
        ),
        // What is written to a topic is produced with the same acks.
        TallyKind::SinkLoss => unless(
            commit.is_some_and(CommitStrategy::may_lose)
                || cut
                || (sink == Some(SinkKind::Topic) && (settings.producer.acks == Acks::Zero || unclean)),
        ),
        TallyKind::Phantom
        | TallyKind::OffsetGap
        | TallyKind::Misplaced
        | TallyKind::Alien
        | TallyKind::Corrupt
        | TallyKind::Unledgered
        | TallyKind::PollSkip
        | TallyKind::AbortedRead
        | TallyKind::ConsumerAbortedRead => Weight::Violation,
    }
}

/// What a proxy does to requests and answers cannot lose what was acknowledged, nor can a setting of the topic.
fn befell_a_broker(fault: &FaultRecord) -> bool {
    let FaultStep { action, target, .. } = fault.step;
    fault.done_ns.is_some() && !action.is_undo() && !action.is_at_proxy() && target.is_broker()
}

/// Of how many replicas an answer to acks=all spoke at least: the setting may have been lowered under way.
fn least_in_sync(settings: &CellSettings, faults: &[FaultRecord]) -> u16 {
    let set = faults.iter().filter(|fault| fault.done_ns.is_some());
    let lowest = set.filter_map(|fault| fault.step.min_insync_replicas).min();
    lowest.map_or(settings.topic.min_insync_replicas, |it| it.min(settings.topic.min_insync_replicas))
}

/// Every append is flushed before it is answered.
fn flushes_first(settings: &CellSettings) -> bool {
    settings.topic.extra.get("flush.messages").is_some_and(|value| value == "1")
}

/// How many brokers were without power at some time.
fn lost_power(faults: &[FaultRecord]) -> u16 {
    let cut = faults.iter().filter(|fault| fault.done_ns.is_some() && fault.step.action == Action::PowerCut);
    let brokers: BTreeSet<_> = cut.flat_map(|fault| &fault.brokers).collect();
    u16::try_from(brokers.len()).unwrap_or(u16::MAX)
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
    use crate::fault::{Target, When};
    use crate::ids::BrokerId;
    use crate::settings::GroupSettings;
    use crate::verdict::history::settings;
    use crate::verdict::processing_tests;

    fn fault(done_ns: Option<u64>, action: Action, target: Target) -> [FaultRecord; 1] {
        [FaultRecord { done_ns, ..FaultRecord::planned(FaultStep::new(When::At(0), action, target)) }]
    }

    #[test]
    fn loss_is_weighed_by_acks_faults_and_unclean_election() {
        let weigh = |acks, idempotence, faults: &[FaultRecord], unclean| {
            let mut settings = settings(acks, 1);
            settings.producer.idempotence = idempotence;
            if unclean {
                settings.topic.extra.insert("unclean.leader.election.enable".into(), "true".into());
            }
            weight(TallyKind::LogLoss, &settings, Upsets { faults, ..Upsets::NONE })
        };
        let killed = fault(Some(1), Action::Kill, Target::Leader);
        let planned = fault(None, Action::Kill, Target::Leader);
        let undone = fault(Some(1), Action::Continue, Target::Leader);
        let controller = fault(Some(1), Action::Stop, Target::Controller);
        assert_eq!(weigh(Acks::One, false, &killed, false), Weight::Allowed);
        assert_eq!(weigh(Acks::One, false, &[], false), Weight::Violation);
        let of_topic = fault(Some(1), Action::SetMinIsr, Target::Topic);
        for no_broker in [&planned, &undone, &controller, &of_topic] {
            assert_eq!(weigh(Acks::One, false, no_broker, false), Weight::Violation);
        }
        for action in Action::ALL.into_iter().filter(|action| action.is_at_proxy()) {
            let at_proxy = fault(Some(1), action, Target::Leader);
            assert_eq!(weigh(Acks::One, false, &at_proxy, false), Weight::Violation);
        }
        assert_eq!(weigh(Acks::All, false, &killed, false), Weight::Violation);
        assert_eq!(weigh(Acks::All, true, &killed, false), Weight::Violation);
        assert_eq!(weigh(Acks::All, true, &[], true), Weight::Allowed);
    }

    #[test]
    fn a_power_cut_excuses_loss_only_of_as_many_brokers_as_an_answer_promises_and_never_of_what_was_flushed()
    {
        let weigh = |brokers: &[i32], done_ns, flush: Option<&str>| {
            let mut settings = settings(Acks::All, 1);
            settings.topic.min_insync_replicas = 2;
            settings.topic.extra.extend(flush.map(|flush| ("flush.messages".to_owned(), flush.to_owned())));
            let brokers = brokers.iter().copied().map(BrokerId).collect();
            let step = FaultStep::new(When::At(0), Action::PowerCut, Target::All);
            let faults = [FaultRecord { done_ns, brokers, ..FaultRecord::planned(step) }];
            [TallyKind::LogLoss, TallyKind::RewrittenLog, TallyKind::TornTransaction]
                .map(|kind| weight(kind, &settings, Upsets { faults: &faults, ..Upsets::NONE }))
        };
        assert_eq!(weigh(&[1, 2, 3], Some(1), None), [Weight::Allowed; 3]);
        assert_eq!(weigh(&[1, 2], Some(1), Some("10")), [Weight::Allowed; 3]);
        assert_eq!(weigh(&[1], Some(1), None), [Weight::Violation; 3]);
        assert_eq!(weigh(&[1, 2, 3], None, None), [Weight::Violation; 3]);
        assert_eq!(weigh(&[1, 2, 3], Some(1), Some("1")), [Weight::Violation; 3]);
    }

    #[test]
    fn where_one_replica_was_enough_for_a_while_one_power_cut_may_lose() {
        let mut settings = settings(Acks::All, 1);
        settings.topic.min_insync_replicas = 2;
        let cut = fault(Some(2), Action::PowerCut, Target::Leader);
        let cut = cut.map(|cut| FaultRecord { brokers: vec![BrokerId(1)], ..cut });
        let weigh = |set: Option<u16>, done_ns| {
            let [mut lowered] = fault(done_ns, Action::SetMinIsr, Target::Topic);
            lowered.step.min_insync_replicas = set;
            let faults = [lowered, cut[0].clone()];
            weight(TallyKind::LogLoss, &settings, Upsets { faults: &faults, ..Upsets::NONE })
        };
        assert_eq!(weigh(Some(1), Some(1)), Weight::Allowed);
        assert_eq!(weigh(Some(3), Some(1)), Weight::Violation, "raised: what was sent before had two");
        assert_eq!(weigh(Some(1), None), Weight::Violation, "it was not lowered");
    }

    #[test]
    fn a_leader_that_moved_by_itself_explains_the_loss_of_what_it_alone_had_acknowledged() {
        let moved = Upsets { moved_leaders: 1, ..Upsets::NONE };
        let weigh = |acks| weight(TallyKind::LogLoss, &settings(acks, 1), moved);
        assert_eq!([Acks::One, Acks::All].map(weigh), [Weight::Allowed, Weight::Violation]);
    }

    #[test]
    fn a_cut_log_excuses_what_its_group_did_twice_or_never_and_acks_0_what_a_pipeline_lost() {
        let kinds = [
            TallyKind::ProcessingLoss,
            TallyKind::Redelivery,
            TallyKind::NonMonotonicPoll,
            TallyKind::SinkDuplicate,
            TallyKind::SinkLoss,
        ];
        let weigh = |acks, unclean: bool, faults: &[FaultRecord]| {
            let mut settings = settings(acks, 1);
            settings.producer.idempotence = acks == Acks::All;
            let unclean = unclean.then(|| ("unclean.leader.election.enable".to_owned(), "true".to_owned()));
            settings.topic.extra.extend(unclean);
            settings.group = Some(processing_tests::group(CommitStrategy::InSink));
            kinds.map(|kind| weight(kind, &settings, Upsets { faults, ..Upsets::NONE }) == Weight::Allowed)
        };
        let killed = fault(Some(1), Action::Kill, Target::Leader);
        assert_eq!(weigh(Acks::All, false, &killed), [false; 5]);
        assert_eq!(weigh(Acks::All, true, &[]), [false; 5]);
        assert_eq!(weigh(Acks::All, true, &killed), [true; 5]);
        assert_eq!(weigh(Acks::One, false, &killed), [true; 5]);
        let mut pipeline = settings(Acks::Zero, 1);
        let group = processing_tests::group(CommitStrategy::SyncAfter);
        pipeline.group = Some(GroupSettings { sink: Some(processing_tests::sink(SinkKind::Topic)), ..group });
        assert_eq!(weight(TallyKind::SinkLoss, &pipeline, Upsets::NONE), Weight::Allowed);
        pipeline.producer.acks = Acks::One;
        assert_eq!(weight(TallyKind::SinkLoss, &pipeline, Upsets::NONE), Weight::Violation);
    }

    #[test]
    fn a_sink_may_have_twice_what_the_log_has_twice() {
        let mut settings = settings(Acks::All, 1);
        settings.producer.idempotence = true;
        settings.group = Some(processing_tests::group(CommitStrategy::InSink));
        let weigh = |settings: &CellSettings, resends| {
            weight(TallyKind::SinkDuplicate, settings, Upsets { resends, ..Upsets::NONE })
        };
        assert_eq!([false, true].map(|it| weigh(&settings, it)), [Weight::Violation, Weight::Allowed]);
        settings.producer.idempotence = false;
        assert_eq!(weigh(&settings, false), Weight::Allowed, "the log itself may have it twice");
    }

    #[test]
    fn brokers_that_were_killed_have_what_they_had_written() {
        let killed = fault(Some(1), Action::Kill, Target::All);
        let brokers: Vec<BrokerId> = [1, 2, 3].map(BrokerId).into();
        let faults = killed.map(|killed| FaultRecord { brokers: brokers.clone(), ..killed });
        let upsets = Upsets { faults: &faults, ..Upsets::NONE };
        assert_eq!(weight(TallyKind::LogLoss, &settings(Acks::All, 1), upsets), Weight::Violation);
    }

    #[test]
    fn idempotence_forbids_duplicates_and_reordering_but_not_the_price_of_a_resend() {
        for (idempotence, expected) in [(true, Weight::Violation), (false, Weight::Allowed)] {
            let mut settings = settings(Acks::All, 1);
            settings.producer.idempotence = idempotence;
            assert_eq!(weight(TallyKind::DuplicateSameAttempt, &settings, Upsets::NONE), expected);
            assert_eq!(weight(TallyKind::Reorder, &settings, Upsets::NONE), expected);
            assert_eq!(weight(TallyKind::DuplicateCrossAttempt, &settings, Upsets::NONE), Weight::Allowed);
        }
    }
}
