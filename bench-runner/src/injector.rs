//! Carries out a cell's fault timeline on the run clock, and gathers the proof of each step.
//!
//! May signal broker processes through the cluster room only. Undo is `Cluster::heal`, called by whoever runs cells,
//! also when an injection was cancelled.

use crate::clock;
use crate::cluster::{Cluster, PartitionView};
use bench_model::fault::{Action, FaultRecord, FaultStep, Target, When};
use bench_model::ids::BrokerId;
use std::time::Duration;

const ELECTION_LIMIT: Duration = Duration::from_secs(30);
const VIEW_POLL: Duration = Duration::from_millis(25);
const PROOF_NS: u64 = 2_000_000_000;
/// The runtime's timers tick in milliseconds.
const TIMER_NS: u64 = 2_000_000;

/// Carries out `steps` in their order, the first of an instant's group at `t0_ns` plus that instant, the others in the
/// statement after it. Brokers are resolved at once, so call it before T0.
///
/// A step that could not be carried out, or left no proof, is in the record as such; killing the leader counts as
/// proven only when a new leader epoch was seen.
pub async fn run(steps: &[FaultStep], t0_ns: u64, topic: &str, cluster: &mut Cluster) -> Vec<FaultRecord> {
    let mut records: Vec<FaultRecord> = steps
        .iter()
        .map(|step| FaultRecord { step: *step, brokers: Vec::new(), done_ns: None, proof: Vec::new() })
        .collect();
    let Some(before) = first_partition(cluster, topic).await else { return records };
    for record in &mut records {
        record.brokers = resolve(record.step.target, &before);
    }
    let groups = groups(steps);
    let mut kills: Vec<(usize, PartitionView)> = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        match steps[group.start].when {
            When::At(offset_ns) => {
                let at_ns = t0_ns + offset_ns;
                if let Some(kill) = group.clone().find(|index| kills_leader(&steps[*index])) {
                    let now = view_until(cluster, topic, at_ns).await;
                    kills.push((kill, now.unwrap_or_else(|| before.clone())));
                }
                sleep_until(at_ns).await;
            }
            When::NewLeader => match new_leader(cluster, topic, &before).await {
                Some(after) => {
                    records[group.start].proof.push(election(&before, &after));
                    let kill = group.clone().find(|index| kills_leader(&steps[*index]));
                    kills.extend(kill.map(|kill| (kill, after)));
                }
                None => {
                    tracing::warn!(topic, "no new leader; the rest of the fault timeline is left out");
                    break;
                }
            },
        }
        exclude_living(&records[group.clone()], cluster).await;
        for record in &mut records[group.clone()] {
            carry_out(record, t0_ns, cluster);
        }
        let next_ns = groups.get(number + 1).map_or(u64::MAX, |next| match steps[next.start].when {
            When::At(offset_ns) => t0_ns + offset_ns,
            When::NewLeader => u64::MAX,
        });
        let until_ns = next_ns.min(clock::now_ns() + PROOF_NS);
        for record in &mut records[group.clone()] {
            prove(record, until_ns, cluster).await;
        }
    }
    for (kill, throne) in kills {
        prove_succession(&mut records[kill], &throne, topic, cluster).await;
    }
    records
}

fn kills_leader(step: &FaultStep) -> bool {
    step.action == Action::Kill && step.target == Target::Leader
}

/// What the brokers say now, unless it would take longer than until the instant.
async fn view_until(cluster: &Cluster, topic: &str, instant_ns: u64) -> Option<PartitionView> {
    let left = Duration::from_nanos(instant_ns.saturating_sub(clock::now_ns() + TIMER_NS));
    tokio::time::timeout(left, first_partition(cluster, topic)).await.ok().flatten()
}

/// Steps of one instant stand together: they are carried out without a pause between them.
fn groups(steps: &[FaultStep]) -> Vec<std::ops::Range<usize>> {
    let mut groups: Vec<std::ops::Range<usize>> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if steps[group.start].when == step.when => group.end = index + 1,
            _ => groups.push(index..index + 1),
        }
    }
    groups
}

fn resolve(target: Target, view: &PartitionView) -> Vec<BrokerId> {
    let others = view.replicas.iter().copied().filter(|broker| Some(*broker) != view.leader);
    match target {
        Target::Leader => view.leader.into_iter().collect(),
        Target::Followers => others.collect(),
    }
}

async fn first_partition(cluster: &Cluster, topic: &str) -> Option<PartitionView> {
    cluster.partition_view(topic).await?.into_iter().find(|view| view.partition == 0)
}

/// Waits for a leader of a higher epoch.
async fn new_leader(cluster: &Cluster, topic: &str, before: &PartitionView) -> Option<PartitionView> {
    let search = async {
        loop {
            if let Some(view) = first_partition(cluster, topic).await
                && view.leader.is_some()
                && view.leader_epoch > before.leader_epoch
            {
                return view;
            }
            tokio::time::sleep(VIEW_POLL).await;
        }
    };
    tokio::time::timeout(ELECTION_LIMIT, search).await.ok()
}

fn election(before: &PartitionView, after: &PartitionView) -> String {
    let ids = |brokers: &[BrokerId]| brokers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let leader = |view: &PartitionView| view.leader.map_or("none".to_owned(), |broker| broker.to_string());
    format!(
        "partition 0: leader {} -> {}, leader epoch {} -> {}, ISR [{}] -> [{}], eligible [{}] -> [{}]",
        leader(before),
        leader(after),
        before.leader_epoch,
        after.leader_epoch,
        ids(&before.isr),
        ids(&after.isr),
        ids(&before.eligible),
        ids(&after.eligible),
    )
}

/// A broker that is to be started must have ended: the kernel needs up to 100 ms to take a killed JVM apart.
async fn exclude_living(records: &[FaultRecord], cluster: &mut Cluster) {
    for record in records.iter().filter(|record| record.step.action == Action::Start) {
        for broker in &record.brokers {
            // Whether it ended is asked again by the start itself, which fails if it did not.
            let _ = cluster.prove(*broker, Action::Kill).await;
        }
    }
}

fn carry_out(record: &mut FaultRecord, t0_ns: u64, cluster: &mut Cluster) {
    for broker in &record.brokers {
        if let Err(error) = cluster.send(*broker, record.step.action) {
            tracing::error!(%error, %broker, "a fault step could not be carried out");
            return;
        }
    }
    if !record.brokers.is_empty() {
        record.done_ns = Some(clock::now_ns().saturating_sub(t0_ns));
    }
}

/// All brokers of the step, or no proof at all.
async fn prove(record: &mut FaultRecord, until_ns: u64, cluster: &mut Cluster) {
    if record.done_ns.is_none() {
        record.proof.clear();
        return;
    }
    for broker in record.brokers.clone() {
        let left = Duration::from_nanos(until_ns.saturating_sub(clock::now_ns()));
        match tokio::time::timeout(left, cluster.prove(broker, record.step.action)).await {
            Ok(Some(proof)) => record.proof.push(proof),
            _ => {
                tracing::warn!(%broker, action = ?record.step.action, "a fault step left no proof");
                record.proof.clear();
                return;
            }
        }
    }
}

/// A leader that was killed has a successor of a higher epoch: waits for it, or takes the proof back.
///
/// `throne` is how things stood before the kill: whoever did not lead any more needs no successor.
async fn prove_succession(
    kill: &mut FaultRecord,
    throne: &PartitionView,
    topic: &str,
    cluster: &mut Cluster,
) {
    if !kill.is_proven() || throne.leader != kill.brokers.first().copied() {
        return;
    }
    match new_leader(cluster, topic, throne).await {
        Some(after) => kill.proof.push(election(throne, &after)),
        None => kill.proof.clear(),
    }
}

/// The last tick of the runtime's timers is slept by the clock itself.
async fn sleep_until(instant_ns: u64) {
    let left_ns = instant_ns.saturating_sub(clock::now_ns());
    tokio::time::sleep(Duration::from_nanos(left_ns.saturating_sub(TIMER_NS))).await;
    clock::sleep_until(instant_ns);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(when: When, action: Action) -> FaultStep {
        FaultStep { when, action, target: Target::Leader }
    }

    #[test]
    fn neighbours_of_one_instant_are_one_group() {
        let steps = [
            step(When::At(0), Action::Stop),
            step(When::At(5), Action::Kill),
            step(When::At(5), Action::Continue),
            step(When::NewLeader, Action::Start),
            step(When::At(5), Action::Stop),
        ];
        assert_eq!(groups(&steps), [0..1, 1..3, 3..4, 4..5]);
        assert_eq!(groups(&[]), Vec::<std::ops::Range<usize>>::new());
    }

    #[test]
    fn followers_are_the_replicas_without_the_leader() {
        let view = PartitionView {
            partition: 0,
            leader: Some(BrokerId(2)),
            leader_epoch: 3,
            replicas: [1, 2, 3].map(BrokerId).to_vec(),
            isr: Vec::new(),
            eligible: Vec::new(),
        };
        assert_eq!(resolve(Target::Leader, &view), [BrokerId(2)]);
        assert_eq!(resolve(Target::Followers, &view), [BrokerId(1), BrokerId(3)]);
        assert_eq!(resolve(Target::Leader, &PartitionView { leader: None, ..view }), []);
    }
}
