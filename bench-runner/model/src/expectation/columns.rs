//! Which columns of the table a fault is in, as it was carried out, and whether it was the recipe that makes an anomaly certain.

use super::table::Column;
use crate::fault::{Action, Api, FaultRecord, Lose, PartitionCut, Span, Target, When, spans};
use crate::settings::{Acks, Arrival, CellSettings, Length, Load};
use std::collections::BTreeMap;

const MS: u64 = 1_000_000;
/// So long after the followers' stop nothing carries a record to them any more (`replica.fetch.wait.max.ms` is 500).
const UNFETCHED_NS: u64 = 600 * MS;
/// Up to here a follower that stands still is in the ISR for certain: a session of 3 s less a heartbeat.
const IN_SYNC_NS: u64 = 2_500 * MS;
/// From here on it is not, and the leader knows.
const FENCED_NS: u64 = 4_000 * MS;
/// What is due so long before an instant is sent and answered by then.
const ANSWERED_NS: u64 = 200 * MS;
/// The same with a cluster that is busy.
const LONG_ANSWERED_NS: u64 = 1_000 * MS;
/// librdkafka looks for requests that timed out once a second.
const LOOKED_AT_NS: u64 = 1_000 * MS;

/// With so many expected by the rate, one is due also where arrivals are random.
const SURELY_DUE: u64 = 30;

/// A column, and whether its "!" holds for this very fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suffered {
    /// The column.
    pub column: Column,
    /// The fault is the recipe that makes the marked anomaly certain.
    pub is_recipe: bool,
}

/// The columns that the faults of a cell are in; what several of them allow is allowed.
///
/// `moved`: some partition has another leader than at the start.
///
/// # Errors
/// In words, why the faults are in none.
pub fn columns(
    settings: &CellSettings,
    faults: &[FaultRecord],
    moved: bool,
) -> Result<Vec<Suffered>, String> {
    let spans = spans(faults);
    let topic = &settings.topic;
    let of_one = |span: &Span| {
        matches!(span.target, Target::Leader | Target::CurrentLeader)
            || (span.brokers.len() == 1 && topic.partitions > 1)
    };
    let all = |action: Action| spans.iter().all(|span| span.action == action && of_one(span));
    let in_turn = spans.windows(2).all(|pair| pair[0].to_ns.is_some_and(|to_ns| to_ns <= pair[1].from_ns));
    let stated = |key: &str| topic.extra.get(key).map(String::as_str);
    let unclean = stated("unclean.leader.election.enable") == Some("true");
    if topic.replication_factor != 3 || (topic.min_insync_replicas != 2 && !unclean) {
        return Err(format!(
            "it is for replication factor 3 and min.insync.replicas 2, here they are {} and {}",
            topic.replication_factor, topic.min_insync_replicas
        ));
    }
    let plain = |column| Ok(vec![Suffered { column, is_recipe: false }]);
    match spans.as_slice() {
        [] => Err("nothing was broken".into()),
        [stop, kill] if leaves_leader_alone(stop, kill) => {
            let column = if unclean { Column::UncleanElection } else { Column::FollowersStoppedLeaderKilled };
            Ok(vec![Suffered {
                column,
                is_recipe: loses_what_leader_had(settings, faults, [stop, kill], unclean),
            }])
        }
        _ if unclean => {
            Err("its column of unclean elections is for followers that stand still before the leader dies"
                .into())
        }
        _ if in_turn && all(Action::Kill) => plain(Column::LeaderKilled),
        _ if in_turn && all(Action::Terminate) => plain(Column::RollingRestart),
        [moved] if moved.action == Action::Reassign => plain(Column::Reassigned),
        [cut] if cut.action == Action::PowerCut && of_one(cut) => plain(Column::LeaderKilled),
        // It ends itself, and all that it had written is there.
        [failed] if failed.action.is_at_disk() && of_one(failed) => plain(Column::LeaderKilled),
        [cut] if cut.action == Action::PowerCut && cut.target == Target::All => {
            if stated("flush.messages") == Some("1") {
                return plain(Column::LeaderKilled);
            }
            let is_recipe = forgets_what_was_answered(settings, faults, cut);
            Ok(vec![Suffered { column: Column::PowerCutAll, is_recipe }])
        }
        [stop] if stop.action == Action::Stop && of_one(stop) => match moved {
            true => plain(Column::LeaderStopped),
            false => Err("its column is for a stop past the session, and no leader moved".into()),
        },
        [stop] if stop.action == Action::Stop && stop.target == Target::Followers => {
            if moved && topic.partitions == 1 {
                return Err("the leader moved by itself".into());
            }
            let mut found =
                vec![Suffered { column: Column::FollowersStopped, is_recipe: times_out(settings, stop) }];
            // Followers of one partition lead others.
            if moved {
                found.push(Suffered { column: Column::LeaderStopped, is_recipe: false });
            }
            Ok(found)
        }
        [lost] if lost.action == Action::Withhold => without_answers(settings, faults, lost),
        spans => {
            let words: Vec<String> = spans.iter().map(Span::words).collect();
            Err(format!("it has no column for \"{}\"", words.join(", ")))
        }
    }
}

/// The leader dies while its followers stand still.
fn leaves_leader_alone(stop: &Span, kill: &Span) -> bool {
    stop.action == Action::Stop
        && stop.target == Target::Followers
        && kill.action == Action::Kill
        && kill.target == Target::Leader
        && stop.from_ns < kill.from_ns
        && stop.to_ns.is_some_and(|to_ns| kill.from_ns <= to_ns)
}

/// Records were acknowledged that the dead leader alone had, and somebody without them leads.
fn loses_what_leader_had(
    settings: &CellSettings,
    faults: &[FaultRecord],
    spans: [&Span; 2],
    unclean: bool,
) -> bool {
    let [stop, kill] = spans;
    // A leader that is back before others lead leads again, with all that it had.
    let stays_away =
        faults.iter().all(|fault| fault.step.action != Action::Start || fault.step.when == When::NewLeader);
    let stood_ns = kill.from_ns - stop.from_ns;
    let by_ns = kill.from_ns.saturating_sub(ANSWERED_NS);
    let sent_after = |wait_ns| is_due(&settings.load, stop.from_ns + wait_ns, by_ns);
    let asks_all = settings.producer.idempotence || settings.producer.acks == Acks::All;
    stays_away
        && match (unclean, asks_all) {
            (true, true) => settings.topic.min_insync_replicas == 1 && sent_after(FENCED_NS),
            (true, false) => sent_after(UNFETCHED_NS),
            (false, _) => stood_ns < IN_SYNC_NS && sent_after(UNFETCHED_NS),
        }
}

/// Every replica of some partition lost records that were answered long before.
fn forgets_what_was_answered(settings: &CellSettings, faults: &[FaultRecord], cut: &Span) -> bool {
    let record = faults.iter().find(|fault| fault.done_ns == Some(cut.from_ns));
    let Some(record) = record.filter(|record| record.step.lose == Some(Lose::All)) else { return false };
    let mut replicas: BTreeMap<u16, Vec<&PartitionCut>> = BTreeMap::new();
    for part in record.cuts.iter().flat_map(|cut| &cut.partitions) {
        replicas.entry(part.partition.0).or_default().push(part);
    }
    let all = usize::from(settings.topic.replication_factor);
    let gone = |parts: &Vec<&PartitionCut>| {
        let held = parts.iter().map(|part| part.end_before).min();
        let left = parts.iter().map(|part| part.end_after).max();
        parts.len() == all && held > left
    };
    replicas.values().any(gone) && is_due(&settings.load, 0, cut.from_ns.saturating_sub(LONG_ANSWERED_NS))
}

/// A request waits for the followers for longer than the client does, and is sent again.
fn times_out(settings: &CellSettings, stop: &Span) -> bool {
    let producer = &settings.producer;
    let patience_ns = producer.request_timeout_ns + producer.linger_ns + LOOKED_AT_NS;
    let asked = producer.acks == Acks::All && patience_ns < producer.delivery_timeout_ns;
    let by_ns = stop.to_ns.unwrap_or(u64::MAX).saturating_sub(patience_ns);
    let stood_ns = stop.to_ns.map_or(u64::MAX, |to_ns| to_ns - stop.from_ns);
    asked && stood_ns < IN_SYNC_NS && is_due(&settings.load, stop.from_ns, by_ns)
}

/// Answers to Produce requests went no further, and their connections were broken afterwards.
fn without_answers(
    settings: &CellSettings,
    faults: &[FaultRecord],
    lost: &Span,
) -> Result<Vec<Suffered>, String> {
    let withheld = |fault: &FaultRecord| {
        let of_produce = fault.step.rule.is_some_and(|rule| rule.api == Api::Produce);
        of_produce && fault.step.action == Action::Withhold && fault.hits.iter().any(|hit| hit.answers > 0)
    };
    let broken = |fault: &FaultRecord| {
        fault.step.action == Action::Reset && fault.done_ns.is_some_and(|done_ns| done_ns >= lost.from_ns)
    };
    if !faults.iter().any(withheld) || !faults.iter().any(broken) {
        return Err(
            "its column is for answers to produce requests that are lost with their connections".into()
        );
    }
    Ok(vec![Suffered { column: Column::ResponseLost, is_recipe: is_sent_again(settings, lost) }])
}

/// The client still waits for an answer when it learns that there will be none.
fn is_sent_again(settings: &CellSettings, lost: &Span) -> bool {
    let producer = &settings.producer;
    let lasted_ns = lost.to_ns.map_or(u64::MAX, |to_ns| to_ns - lost.from_ns);
    producer.retries > 0
        && lasted_ns < producer.request_timeout_ns
        && lasted_ns.saturating_add(LONG_ANSWERED_NS) < producer.delivery_timeout_ns
}

/// Some record is due between these instants after T0, as far as the profile says.
fn is_due(load: &Load, from_ns: u64, to_ns: u64) -> bool {
    match (&load.arrival, load.length) {
        (Arrival::Bursts(bursts), _) => {
            bursts.iter().any(|burst| from_ns <= burst.at_ns && burst.at_ns < to_ns)
        }
        (Arrival::Max, Length::Records(_)) => false,
        (Arrival::Max, Length::Time(_)) => from_ns < to_ns.min(load.span_ns()),
        (Arrival::Constant { per_second } | Arrival::Poisson { per_second }, _) => {
            let left_ns = to_ns.min(load.span_ns()).saturating_sub(from_ns);
            u128::from(left_ns) * u128::from(*per_second) >= u128::from(SURELY_DUE * 1_000 * MS)
        }
    }
}
