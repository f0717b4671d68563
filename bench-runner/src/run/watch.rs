//! Watches leaders and replicas of a cell's topic while faults happen: asks every broker once a second, keeps changes.

use crate::clock;
use crate::cluster::{Cluster, PartitionView, Watcher};
use bench_model::ids::PartitionId;
use bench_model::plan::Cell;
use bench_model::result::PartitionChange;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

const PERIOD: Duration = Duration::from_secs(1);

/// Watches until it is dropped.
pub struct Watch {
    seen: Arc<Mutex<Vec<PartitionChange>>>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Begins; `None` where a cell has no fault, or brokers cannot be asked (unless local).
    pub fn begin(cluster: &Cluster, cell: &Cell, topic: &str, t0_ns: u64) -> Option<Self> {
        let watcher = cluster.watcher(topic).filter(|_| !cell.faults.is_empty())?;
        let seen = Arc::default();
        let task = tokio::spawn(watch(watcher, Arc::clone(&seen), t0_ns));
        Some(Watch { seen, task })
    }

    /// Ends; gives what has changed, in its order, the first view of each partition included.
    pub fn end(self) -> Vec<PartitionChange> {
        self.task.abort();
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(watcher: Watcher, seen: Arc<Mutex<Vec<PartitionChange>>>, t0_ns: u64) {
    loop {
        let views = watcher.look().await;
        let at_ns = clock::now_ns().saturating_sub(t0_ns);
        note_all(&mut seen.lock().unwrap_or_else(PoisonError::into_inner), &views, at_ns);
        tokio::time::sleep(PERIOD).await;
    }
}

fn note_all(seen: &mut Vec<PartitionChange>, views: &[PartitionView], at_ns: u64) {
    views.iter().for_each(|view| note(seen, view, at_ns));
}

/// Adds a view that differs from the last one of its partition; an older epoch is news of yesterday.
fn note(seen: &mut Vec<PartitionChange>, view: &PartitionView, at_ns: u64) {
    let Ok(partition) = u16::try_from(view.partition) else { return };
    let partition = PartitionId(partition);
    let mut isr = view.isr.clone();
    isr.sort_unstable();
    let known = seen.iter().rev().find(|known| known.partition == partition);
    let is_old = known.is_some_and(|known| view.leader_epoch < known.leader_epoch);
    let is_same = known.is_some_and(|known| (known.leader, &known.isr) == (view.leader, &isr));
    if !is_old && !is_same {
        let (leader, leader_epoch) = (view.leader, view.leader_epoch);
        seen.push(PartitionChange { at_ns, partition, leader, leader_epoch, isr });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_model::ids::BrokerId;

    #[test]
    fn only_changes_are_kept_and_no_older_epoch() {
        let view = |leader_epoch, isr: &[i32]| PartitionView {
            partition: 0,
            leader: Some(BrokerId(1)),
            leader_epoch,
            replicas: Vec::new(),
            isr: isr.iter().copied().map(BrokerId).collect(),
            eligible: Vec::new(),
        };
        let mut seen = Vec::new();
        let views = [view(0, &[1, 2]), view(0, &[2, 1]), view(1, &[1]), view(0, &[1, 2]), view(1, &[1, 2])];
        for (at_ns, view) in (0..).zip(&views) {
            note(&mut seen, view, at_ns);
        }
        assert_eq!(seen.iter().map(|change| change.at_ns).collect::<Vec<_>>(), [0, 2, 4]);
    }
}
