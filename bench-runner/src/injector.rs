//! Carries out a cell's fault timeline on the run clock, and gathers the proof of each step.
//!
//! May signal broker processes, cut their logs, set rules of proxies and administer the topic through the cluster room only. Undo is `Cluster::heal`, called by whoever
//! runs cells, also when an injection was cancelled.

mod proof;
mod seat;

use crate::clock;
use crate::cluster::{Cluster, PartitionView};
use bench_model::fault::{Action, FaultRecord, FaultStep, Hits, Target, When};
use bench_model::ids::BrokerId;
use bench_model::plan::Cell;
use proof::{election, finish, new_leader, prove, prove_late, prove_succession};
use seat::Seat;
use std::ops::Range;
use std::time::Duration;

const VIEW_POLL: Duration = Duration::from_millis(25);
const PROOF_NS: u64 = 2_000_000_000;
/// The runtime's timers tick in milliseconds.
const TIMER_NS: u64 = 2_000_000;
/// How long the state of partitions may be asked for.
const LOOK_NS: u64 = 250_000_000;

/// What is to be done, and with what.
pub struct Order<'a> {
    /// Its faults, in their order.
    pub cell: &'a Cell,
    /// T0 of the run clock, in nanoseconds.
    pub t0_ns: u64,
    /// The cell's topic.
    pub topic: &'a str,
    /// How many records producers have told to be acknowledged.
    pub acked: &'a dyn Fn() -> u64,
}

/// A step after which there must be another leader, and how things stood before it.
struct Fall {
    step: usize,
    before: Vec<PartitionView>,
}

/// Carries out a cell's steps in their order, the first of an instant's group when it is due, the others in the statement
/// after it. Brokers are resolved at once, so call it before T0.
///
/// A step that could not be carried out, or left no proof, is in the record as such; an end of the leader counts as
/// proven only when a new leader epoch was seen, and a power cut only when Kafka goes on from where it left the log.
pub async fn run(order: Order<'_>, cluster: &mut Cluster) -> Vec<FaultRecord> {
    let steps = order.cell.faults.as_slice();
    let mut records: Vec<FaultRecord> = steps.iter().copied().map(FaultRecord::planned).collect();
    let Some(start) = cluster.partition_view(order.topic).await else { return records };
    let Some(first) = first(&start) else { return records };
    let seat = Seat::find(&order, cluster).await;
    for record in &mut records {
        record.brokers = match record.step.target {
            Target::Coordinator => seat.iter().map(|seat| seat.broker).collect(),
            target => resolve(target, first, cluster, order.cell.seed),
        };
    }
    let groups = groups(steps);
    let mut falls: Vec<Fall> = Vec::new();
    let mut last_ns = order.t0_ns;
    for (number, group) in groups.iter().enumerate() {
        let falling = group.clone().find(|step| may_fall(steps, *step));
        let Some(cue) =
            wait(&order, &records[..=group.start], last_ns, first, cluster, falling.is_some()).await
        else {
            tracing::warn!(step = group.start, "what it waits for did not come; the rest is left out");
            break;
        };
        records[group.start].proof.extend(cue.proof);
        let mut before = cue.view.unwrap_or_else(|| start.clone());
        if steps[group.start].target == Target::CurrentLeader {
            for Fall { step, before } in falls.drain(..) {
                prove_succession(&mut records[step], &before, &order, cluster).await;
            }
            before = cluster.partition_view(order.topic).await.unwrap_or(before);
            for step in group.clone() {
                records[step].brokers = current(&records[..step], steps[step], &before);
            }
        }
        falls.extend(falling.map(|step| Fall { step, before }));
        if !finish(&mut records, group.clone(), &order, cluster).await {
            tracing::warn!("what is to be undone was never done; the rest is left out");
            break;
        }
        for number in group.clone() {
            carry_out(number, &mut records[number], &order, cluster).await;
        }
        last_ns = records[group.end - 1].done_ns.map_or_else(clock::now_ns, |done_ns| order.t0_ns + done_ns);
        let next = groups.get(number + 1).map(|next| steps[next.start].when);
        let next_ns = next.map_or(u64::MAX, |when| due_ns(when, order.t0_ns, last_ns));
        let until_ns = next_ns.min(clock::now_ns() + PROOF_NS);
        for record in &mut records[group.clone()] {
            prove(record, until_ns, &order, cluster).await;
        }
    }
    prove_late(&mut records, &order, cluster).await;
    for fall in falls {
        prove_succession(&mut records[fall.step], &fall.before, &order, cluster).await;
    }
    if let Some(seat) = seat {
        seat.prove(&mut records, cluster).await;
    }
    records
}

/// The instant of a step has come.
struct Cue {
    /// What was seen, if that was waited for.
    proof: Option<String>,
    /// How partitions stood just before, as far as it could be learnt.
    view: Option<Vec<PartitionView>>,
}

/// Waits until the last of these steps is due, and looks at the partitions first if that is asked for; `None`: it never will be.
async fn wait(
    order: &Order<'_>,
    steps: &[FaultRecord],
    last_ns: u64,
    first: &PartitionView,
    cluster: &Cluster,
    look: bool,
) -> Option<Cue> {
    let (due, done) = steps.split_last()?;
    let when = due.step.when;
    match when {
        When::At(_) | When::After(_) => {
            let due_ns = due_ns(when, order.t0_ns, last_ns);
            let mut view = None;
            if look {
                // As late as it can be: what earlier steps did to the replicas in sync belongs to the proof.
                let left_ns = due_ns.saturating_sub(clock::now_ns() + LOOK_NS);
                tokio::time::sleep(Duration::from_nanos(left_ns)).await;
                view = view_until(cluster, order.topic, due_ns).await;
            }
            sleep_until(due_ns).await;
            Some(Cue { proof: None, view })
        }
        When::NewLeader => {
            let after = new_leader(cluster, order.topic, first).await?;
            Some(Cue { proof: Some(election(first, &after)), view: Some(vec![after]) })
        }
        When::Acked(least) => {
            let told = reached(order, least, order.acked).await?;
            let view = view_now(look, order, cluster).await;
            Some(Cue { proof: Some(format!("{told} records were acknowledged")), view })
        }
        When::Met(least) => {
            let rule = done.iter().rposition(|record| record.step.rule.is_some())?;
            let met = || done[rule].step.met(&hits(rule, &done[rule], cluster));
            let told = reached(order, least, &met).await?;
            let view = view_now(look, order, cluster).await;
            Some(Cue { proof: Some(format!("the rule of step {} had met {told}", rule + 1)), view })
        }
        When::InSync => {
            let views = in_sync(order, cluster).await?;
            let proof = format!("all replicas of all {} partitions were in sync", views.len());
            Some(Cue { proof: Some(proof), view: Some(views) })
        }
    }
}

/// How partitions stand, if that is asked for.
async fn view_now(look: bool, order: &Order<'_>, cluster: &Cluster) -> Option<Vec<PartitionView>> {
    if !look {
        return None;
    }
    view_until(cluster, order.topic, clock::now_ns() + LOOK_NS).await
}

/// When a step is due on the run clock; never: when something is seen.
fn due_ns(when: When, t0_ns: u64, last_ns: u64) -> u64 {
    match when {
        When::At(offset_ns) => t0_ns + offset_ns,
        When::After(delay_ns) => last_ns + delay_ns,
        When::NewLeader | When::Acked(_) | When::Met(_) | When::InSync => u64::MAX,
    }
}

/// The leader may be among those that end here, and there will be somebody to follow it.
fn may_fall(steps: &[FaultStep], step: usize) -> bool {
    let FaultStep { action, target, .. } = steps[step];
    let lives_again = || steps[step + 1..].iter().any(|later| later.action == Action::Start);
    (action.ends() || action.isolates())
        && target != Target::Controller
        && (target != Target::All || lives_again())
}

/// What the brokers say now, unless it would take longer than until the instant.
async fn view_until(cluster: &Cluster, topic: &str, instant_ns: u64) -> Option<Vec<PartitionView>> {
    let left = Duration::from_nanos(instant_ns.saturating_sub(clock::now_ns() + TIMER_NS));
    tokio::time::timeout(left, cluster.partition_view(topic)).await.ok().flatten()
}

/// Until nothing more will come.
fn end_ns(order: &Order<'_>) -> u64 {
    let load = &order.cell.settings.load;
    order.t0_ns.saturating_add(load.span_ns()).saturating_add(load.drain_ns)
}

/// Waits until so much is counted, at the longest until nothing more will come.
async fn reached(order: &Order<'_>, least: u64, count: &dyn Fn() -> u64) -> Option<u64> {
    while clock::now_ns() < end_ns(order) {
        let told = count();
        if told >= least {
            return Some(told);
        }
        tokio::time::sleep(VIEW_POLL).await;
    }
    None
}

/// Waits until every partition has a leader and all of its replicas in sync, likewise.
async fn in_sync(order: &Order<'_>, cluster: &Cluster) -> Option<Vec<PartitionView>> {
    let whole = |view: &PartitionView| view.leader.is_some() && view.isr.len() == view.replicas.len();
    while clock::now_ns() < end_ns(order) {
        let views = cluster.partition_view(order.topic).await.unwrap_or_default();
        if views.len() == usize::from(order.cell.settings.topic.partitions) && views.iter().all(whole) {
            return Some(views);
        }
        tokio::time::sleep(VIEW_POLL).await;
    }
    None
}

/// Steps of one instant stand together: they are carried out without a pause between them.
fn groups(steps: &[FaultStep]) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if steps[group.start].when == step.when && !matches!(step.when, When::After(_)) => {
                group.end = index + 1;
            }
            _ => groups.push(index..index + 1),
        }
    }
    groups
}

fn resolve(target: Target, view: &PartitionView, cluster: &Cluster, seed: u64) -> Vec<BrokerId> {
    let brokers = cluster.broker_ids();
    match target {
        Target::Controller => cluster.controller().into_iter().collect(),
        Target::All => brokers,
        Target::Random => drawn(&brokers, seed).into_iter().collect(),
        // Known when the step is due, or by asking.
        Target::CurrentLeader | Target::Coordinator => Vec::new(),
        Target::Topic => Vec::new(),
        Target::Leader | Target::Followers | Target::Follower | Target::OtherFollowers => {
            of_partition(target, view)
        }
    }
}

/// Whoever leads now; of an undo those whom the act before it hit.
fn current(done: &[FaultRecord], step: FaultStep, views: &[PartitionView]) -> Vec<BrokerId> {
    let hit = |record: &&FaultRecord| {
        record.step.target == step.target && record.step.action.undo() == Some(step.action)
    };
    match step.action.is_undo() {
        true => done.iter().rev().find(hit).map(|record| record.brokers.clone()).unwrap_or_default(),
        false => first(views).map(|view| of_partition(Target::Leader, view)).unwrap_or_default(),
    }
}

/// One of them, the same for the same seed.
fn drawn(brokers: &[BrokerId], seed: u64) -> Option<BrokerId> {
    let index = seed.checked_rem(brokers.len() as u64)?;
    brokers.get(usize::try_from(index).ok()?).copied()
}

/// The leader, the other replicas, the first of these, or the rest of them.
fn of_partition(target: Target, view: &PartitionView) -> Vec<BrokerId> {
    let others = view.replicas.iter().copied().filter(|broker| Some(*broker) != view.leader);
    match target {
        Target::Leader => view.leader.into_iter().collect(),
        Target::Follower => others.take(1).collect(),
        Target::OtherFollowers => others.skip(1).collect(),
        _ => others.collect(),
    }
}

fn first(views: &[PartitionView]) -> Option<&PartitionView> {
    views.iter().find(|view| view.partition == 0)
}

/// Proves steps at proxies by what these have counted, now that nothing more will come; before that they have no proof.
pub fn counted(mut records: Vec<FaultRecord>, cluster: &Cluster) -> Vec<FaultRecord> {
    for (number, record) in records.iter_mut().enumerate().filter(|(_, one)| one.step.action.is_at_proxy()) {
        if record.done_ns.is_some() {
            record.hits = hits(number, record, cluster);
        }
        let proof = record.step.proof(&record.hits);
        if proof.is_empty() {
            record.proof.clear();
        }
        record.proof.extend(proof);
    }
    records
}

/// What the proxies have counted of a step so far.
fn hits(number: usize, record: &FaultRecord, cluster: &Cluster) -> Vec<Hits> {
    record.brokers.iter().filter_map(|broker| cluster.hits(*broker, number)).collect()
}

/// The topic was deleted, and that is proven.
pub fn has_deleted(records: &[FaultRecord]) -> bool {
    records.iter().any(|record| record.step.action == Action::Delete && record.is_proven())
}

async fn carry_out(number: usize, record: &mut FaultRecord, order: &Order<'_>, cluster: &mut Cluster) {
    let step = record.step;
    if step.action.is_of_topic() {
        let asked_ns = clock::now_ns().saturating_sub(order.t0_ns);
        match cluster.administer(order.topic, &step, &record.brokers).await {
            Ok(()) => record.done_ns = Some(asked_ns),
            Err(error) => tracing::error!(%error, "a fault step could not be carried out"),
        }
        return;
    }
    for broker in &record.brokers {
        let done = match step.action {
            Action::Elect => cluster.elect(*broker, order.topic),
            action if action.is_at_proxy() => cluster.at_proxy(*broker, number, &step),
            action => cluster.send(*broker, action),
        };
        if let Err(error) = done {
            tracing::error!(%error, %broker, "a fault step could not be carried out");
            return;
        }
    }
    if !record.brokers.is_empty() {
        record.done_ns = Some(clock::now_ns().saturating_sub(order.t0_ns));
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
        FaultStep::new(when, action, Target::Leader)
    }

    #[test]
    fn neighbours_of_one_instant_are_one_group() {
        let steps = [
            step(When::At(0), Action::Stop),
            step(When::At(5), Action::Kill),
            step(When::At(5), Action::Continue),
            step(When::NewLeader, Action::Start),
            step(When::At(5), Action::Stop),
            step(When::After(1), Action::Kill),
            step(When::After(1), Action::Start),
        ];
        assert_eq!(groups(&steps), [0..1, 1..3, 3..4, 4..5, 5..6, 6..7]);
        assert_eq!(groups(&[]), Vec::<Range<usize>>::new());
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
        assert_eq!(of_partition(Target::Leader, &view), [BrokerId(2)]);
        assert_eq!(of_partition(Target::Followers, &view), [BrokerId(1), BrokerId(3)]);
        assert_eq!(of_partition(Target::Follower, &view), [BrokerId(1)]);
        assert_eq!(of_partition(Target::OtherFollowers, &view), [BrokerId(3)]);
        assert_eq!(of_partition(Target::Leader, &PartitionView { leader: None, ..view }), []);
    }

    #[test]
    fn the_seed_draws_each_broker_sometimes() {
        let brokers = [1, 2, 3].map(BrokerId);
        let all: Vec<Option<BrokerId>> = (0..3).map(|seed| drawn(&brokers, seed)).collect();
        assert_eq!(all, brokers.map(Some));
        assert_eq!(drawn(&[], 7), None);
    }

    #[test]
    fn a_successor_is_waited_for_only_where_there_can_be_one() {
        let all = |action| FaultStep::new(When::At(0), action, Target::All);
        assert!(may_fall(&[step(When::At(0), Action::PowerCut)], 0));
        assert!(!may_fall(&[all(Action::PowerCut)], 0));
        assert!(may_fall(&[all(Action::PowerCut), all(Action::Start)], 0));
        assert!(!may_fall(&[step(When::At(0), Action::Stop)], 0));
    }
}
