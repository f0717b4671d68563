//! What proves that a fault step happened: the process's end or state, a leader of a higher epoch, bytes cut from logs.

use super::{Order, VIEW_POLL, first};
use crate::clock;
use crate::cluster::{Cluster, PartitionView};
use bench_model::fault::{Action, Cut, FaultRecord, Target};
use bench_model::ids::{BrokerId, PartitionId};
use std::ops::Range;
use std::time::Duration;

/// Until somebody leads again: an election, or a restart of all brokers.
const ELECTION_LIMIT: Duration = Duration::from_secs(60);
/// How long a broker may take to end.
const END_NS: u64 = 60_000_000_000;

/// All brokers of the step, or no proof at all.
pub async fn prove(record: &mut FaultRecord, until_ns: u64, order: &Order<'_>, cluster: &mut Cluster) {
    if record.done_ns.is_none() {
        record.proof.clear();
        return;
    }
    // Known only when the load is over: see `counted`.
    if record.step.action.is_at_proxy() {
        return;
    }
    if record.step.action.is_of_topic() {
        let left = Duration::from_nanos(until_ns.saturating_sub(clock::now_ns()));
        let told = tokio::time::timeout(left, administered(record, order, cluster)).await;
        match told {
            Ok(told) => record.proof.push(told),
            Err(_) => record.proof.clear(),
        }
        return;
    }
    for broker in record.brokers.clone() {
        let left = Duration::from_nanos(until_ns.saturating_sub(clock::now_ns()));
        let seen = async {
            match record.step.action {
                Action::Elect => Some(elected(broker, order, cluster).await),
                action => cluster.prove(broker, action).await,
            }
        };
        let gone = tokio::time::timeout(left, seen).await.ok().flatten();
        let Some(gone) = gone else {
            tracing::warn!(%broker, action = ?record.step.action, "a fault step has left no proof yet");
            record.proof.clear();
            return;
        };
        record.proof.push(gone);
        if record.step.action == Action::PowerCut
            && let Err(error) = cut(record, broker, order, cluster)
        {
            tracing::error!(%error, %broker, "the logs could not be cut");
            record.proof.clear();
            return;
        }
    }
}

/// Once for each broker: what is left of its logs is not what a second cut should begin with.
fn cut(
    record: &mut FaultRecord,
    broker: BrokerId,
    order: &Order<'_>,
    cluster: &Cluster,
) -> Result<(), crate::cluster::ClusterError> {
    let Some(lose) = record.step.lose else { return Ok(()) };
    if !record.cuts.iter().any(|cut| cut.broker == broker) {
        let extra = &order.cell.settings.topic.extra;
        let flushes = extra.contains_key("flush.messages") || extra.contains_key("flush.ms");
        record.cuts.push(cluster.cut(broker, order.topic, flushes, lose)?);
    }
    if let Some(cut) = record.cuts.iter().find(|cut| cut.broker == broker) {
        record.proof.push(in_words(cut));
    }
    Ok(())
}

/// E.g. `broker 1: 3 logs cut by 20480 bytes; partition 0: flushed to 0, end 1010 -> 0, 1010 records`.
fn in_words(cut: &Cut) -> String {
    let mut text = format!("broker {}: {} logs cut by {} bytes", cut.broker, cut.logs, cut.bytes);
    for part in &cut.partitions {
        text.push_str(&format!(
            "; partition {}: flushed to {}, end {} -> {}, {} records",
            part.partition, part.flushed, part.end_before, part.end_after, part.records
        ));
    }
    text
}

/// Waits until the brokers say that the topic is as the step has made it.
async fn administered(record: &FaultRecord, order: &Order<'_>, cluster: &Cluster) -> String {
    loop {
        if let Some(told) = cluster.administered(order.topic, &record.step).await {
            return told;
        }
        tokio::time::sleep(VIEW_POLL).await;
    }
}

/// What the group's steps undo must be done: brokers that they start have ended, and have lost what is theirs to lose; replicas
/// that they bring back have moved. `false`: not so.
pub async fn finish(
    records: &mut [FaultRecord],
    group: Range<usize>,
    order: &Order<'_>,
    cluster: &mut Cluster,
) -> bool {
    let undone = |action: Action| -> Vec<BrokerId> {
        let undos = records[group.clone()].iter().filter(|record| record.step.action == action);
        undos.flat_map(|record| record.brokers.clone()).collect()
    };
    let (reborn, back) = (undone(Action::Start), undone(Action::Restore));
    let sets_back = records[group.clone()]
        .iter()
        .any(|record| (record.step.action, record.step.target) == (Action::Restore, Target::Topic));
    let mut finished = true;
    for record in &mut records[..group.start] {
        let of = |brokers: &[BrokerId]| record.brokers.iter().any(|broker| brokers.contains(broker));
        let meant = match record.step.action {
            Action::Reassign => of(&back),
            Action::SetMinIsr => sets_back,
            action => action.ends() && of(&reborn),
        };
        if meant && record.done_ns.is_some() && record.proof.is_empty() {
            prove(record, clock::now_ns() + END_NS, order, cluster).await;
            finished &= record.is_proven();
        }
    }
    finished
}

/// Those who had not ended when the next step was due, and were not started since; who did not lead yet; a topic that was not
/// yet as it was to be.
pub async fn prove_late(records: &mut [FaultRecord], order: &Order<'_>, cluster: &mut Cluster) {
    for index in 0..records.len() {
        let (record, later) = records[index..].split_first_mut().expect("an index below the length");
        let lives = later.iter().any(|other| {
            other.step.action == Action::Start
                && other.brokers.iter().any(|broker| record.brokers.contains(broker))
        });
        let action = record.step.action;
        let late = action.ends() || action.is_of_topic() || action == Action::Elect;
        if late && record.done_ns.is_some() && record.proof.is_empty() && !lives {
            prove(record, clock::now_ns() + END_NS, order, cluster).await;
        }
    }
}

/// Waits for a leader of a higher epoch.
pub async fn new_leader(cluster: &Cluster, topic: &str, before: &PartitionView) -> Option<PartitionView> {
    let search = async {
        loop {
            let views = cluster.partition_view(topic).await.unwrap_or_default();
            let same = views.into_iter().find(|view| view.partition == before.partition);
            if let Some(view) =
                same.filter(|view| view.leader.is_some() && view.leader_epoch > before.leader_epoch)
            {
                return view;
            }
            tokio::time::sleep(VIEW_POLL).await;
        }
    };
    tokio::time::timeout(ELECTION_LIMIT, search).await.ok()
}

/// Waits until a broker leads partition 0 that did not lead it before.
async fn elected(broker: BrokerId, order: &Order<'_>, cluster: &Cluster) -> String {
    loop {
        let views = cluster.partition_view(order.topic).await.unwrap_or_default();
        let leads = |view: &&PartitionView| view.leader == Some(broker) && view.leader_epoch > 0;
        if let Some(view) = first(&views).filter(leads) {
            return format!("partition 0: broker {broker} leads, leader epoch {}", view.leader_epoch);
        }
        tokio::time::sleep(VIEW_POLL).await;
    }
}

/// How partition 0 stands before and after, in words.
pub fn election(before: &PartitionView, after: &PartitionView) -> String {
    let ids = |brokers: &[BrokerId]| brokers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let leader = |view: &PartitionView| view.leader.map_or("none".to_owned(), |broker| broker.to_string());
    format!(
        "partition {}: leader {} -> {}, leader epoch {} -> {}, ISR [{}] -> [{}], eligible [{}] -> [{}]",
        before.partition,
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

/// A leader that has ended has a successor of a higher epoch: waits for it, or takes the proof back.
///
/// `before` is how things stood before the end: whoever did not lead any more needs no successor.
pub async fn prove_succession(
    end: &mut FaultRecord,
    before: &[PartitionView],
    order: &Order<'_>,
    cluster: &Cluster,
) {
    let brokers = end.brokers.clone();
    let fell = |view: &&PartitionView| view.leader.is_some_and(|leader| brokers.contains(&leader));
    if !end.is_proven() {
        return;
    }
    if let Some(throne) = first(before).filter(fell) {
        match new_leader(cluster, order.topic, throne).await {
            Some(after) => end.proof.push(election(throne, &after)),
            None => return end.proof.clear(),
        }
    }
    if end.step.action != Action::PowerCut {
        return;
    }
    for throne in before.iter().filter(fell) {
        match went_on(end, throne, order, cluster).await {
            Ok(told) => end.proof.push(told),
            Err(what) => {
                tracing::error!(what, "the log does not go on from where the power cut left it");
                return end.proof.clear();
            }
        }
    }
}

/// Compares what was computed before the restart with what Kafka did: who leads now must lead from the offset behind what
/// the cut has left it.
async fn went_on(
    end: &FaultRecord,
    throne: &PartitionView,
    order: &Order<'_>,
    cluster: &Cluster,
) -> Result<String, String> {
    let partition = PartitionId(u16::try_from(throne.partition).unwrap_or_default());
    // While brokers come back, some are named as leaders that never led: who did has written it down.
    let search = async {
        loop {
            let after = new_leader(cluster, order.topic, throne).await?;
            let Some(leader) = after.leader else { continue };
            let Some(cut) = end.cuts.iter().find(|cut| cut.broker == leader) else {
                return Some((leader, None));
            };
            if let Some(from) = cluster.led_from(leader, order.topic, partition, throne.leader_epoch) {
                let part = cut.partitions.iter().find(|part| part.partition == partition);
                return Some((leader, Some((from, part.map(|part| part.end_after)))));
            }
            tokio::time::sleep(VIEW_POLL).await;
        }
    };
    let found = tokio::time::timeout(ELECTION_LIMIT, search).await.ok().flatten();
    match found {
        None => Err(format!("nobody says from where partition {partition} goes on")),
        Some((leader, None)) => {
            Ok(format!("partition {partition}: broker {leader} leads, whose log was not cut"))
        }
        Some((leader, Some((from, Some(left))))) if from == left => {
            Ok(format!("partition {partition}: broker {leader} leads from offset {from}, as computed"))
        }
        Some((leader, Some((from, left)))) => {
            Err(format!("partition {partition}: broker {leader} leads from {from}, was left {left:?}"))
        }
    }
}
