//! The administration of a cell's topic as a fault: replicas move, `min.insync.replicas` changes, the topic is deleted. Each is
//! read back as its proof; what is left changed is undone by [`Administration::undo`].

use super::partitions::{self, PartitionView};
use super::topic_requests::{self, Placement};
use crate::kafka::admin::Admin;
use bench_model::fault::{Action, FaultStep, Target};
use bench_model::ids::BrokerId;
use std::io;

const MIN_ISR: &str = "min.insync.replicas";

/// What was changed of the cell's topic, and how it was before.
#[derive(Debug, Default)]
pub struct Administration {
    /// Replicas before and after, of the partitions that have moved.
    moved: Option<[Vec<Placement>; 2]>,
    /// `min.insync.replicas` before.
    min_isr: Option<String>,
}

/// Where and what is administered.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Brokers that run.
    pub endpoints: &'a [String],
    /// All brokers.
    pub brokers: &'a [BrokerId],
    /// The cell's topic.
    pub topic: &'a str,
}

impl Place<'_> {
    fn anyone(&self) -> io::Result<&str> {
        self.endpoints.first().map(String::as_str).ok_or_else(|| io::Error::other("no broker runs"))
    }

    async fn views(&self) -> io::Result<Vec<PartitionView>> {
        let views = partitions::newest_view(self.endpoints, self.topic).await;
        views.ok_or_else(|| io::Error::other("no broker describes the topic"))
    }

    /// What all running brokers know a setting to be; an error while they differ.
    async fn setting(&self, name: &str) -> io::Result<String> {
        let mut known: Option<String> = None;
        for endpoint in self.endpoints {
            let value = topic_requests::setting(endpoint, self.topic, name).await?;
            if known.as_ref().is_some_and(|known| *known != value) {
                return Err(io::Error::other("brokers differ"));
            }
            known = Some(value);
        }
        known.ok_or_else(|| io::Error::other("no broker runs"))
    }
}

impl Administration {
    /// Carries out a step; `brokers` are those that are to have no replica any more. The proof is [`Administration::prove`].
    pub async fn carry_out(
        &mut self,
        place: Place<'_>,
        step: &FaultStep,
        brokers: &[BrokerId],
    ) -> io::Result<()> {
        match (step.action, step.min_insync_replicas) {
            (Action::Reassign, _) => {
                let before: Vec<Placement> =
                    place.views().await?.into_iter().map(|view| (view.partition, view.replicas)).collect();
                let moved = without(&before, brokers, place.brokers);
                if moved[1].is_empty() {
                    return Err(io::Error::other("there is nobody to move replicas to"));
                }
                topic_requests::reassign(place.anyone()?, place.topic, &moved[1]).await?;
                self.moved = Some(moved);
                Ok(())
            }
            (Action::SetMinIsr, Some(replicas)) => {
                let before = place.setting(MIN_ISR).await?;
                let value = replicas.to_string();
                topic_requests::set(place.anyone()?, place.topic, MIN_ISR, &value).await?;
                self.min_isr.get_or_insert(before);
                Ok(())
            }
            (Action::Restore, _) if step.target == Target::Topic => {
                let before = self.min_isr.clone().unwrap_or_default();
                topic_requests::set(place.anyone()?, place.topic, MIN_ISR, &before).await
            }
            (Action::Restore, _) => {
                let before = self.moved.as_ref().map(|[before, _]| before.as_slice()).unwrap_or_default();
                topic_requests::reassign(place.anyone()?, place.topic, before).await
            }
            (Action::Delete, _) => {
                *self = Administration::default();
                let admin = Admin::open(&place.endpoints.join(",")).map_err(io::Error::other)?;
                admin.delete_topic(place.topic).await.map_err(io::Error::other)
            }
            (other, _) => Err(io::Error::other(format!("{other:?} is nothing of a topic's administration"))),
        }
    }

    /// What the brokers say of a step that was carried out; `None`: not yet what it should be.
    pub async fn prove(&self, place: Place<'_>, step: &FaultStep) -> Option<String> {
        match (step.action, step.target) {
            (Action::Delete, _) => {
                let gone = partitions::is_unknown(place.endpoints, place.topic).await;
                gone.then(|| format!("none of {} brokers knows the topic", place.endpoints.len()))
            }
            (Action::SetMinIsr, _) => {
                self.told(place, &step.min_insync_replicas.unwrap_or_default().to_string()).await
            }
            (Action::Restore, Target::Topic) => self.told(place, self.min_isr.as_ref()?).await,
            (Action::Restore, _) => self.arrived(place, 0).await,
            _ => self.arrived(place, 1).await,
        }
    }

    async fn told(&self, place: Place<'_>, expected: &str) -> Option<String> {
        let value = place.setting(MIN_ISR).await.ok().filter(|value| value == expected)?;
        let before = self.min_isr.as_deref().unwrap_or_default();
        let from = if before == expected { "again".to_owned() } else { format!("{before} ->") };
        Some(format!("{} brokers read {MIN_ISR} back: {from} {value}", place.endpoints.len()))
    }

    /// Nothing moves any more, and the partitions have the replicas of before (0) or after (1), all of them in sync.
    async fn arrived(&self, place: Place<'_>, which: usize) -> Option<String> {
        let moved = self.moved.as_ref()?;
        let partitions: Vec<i32> = moved[which].iter().map(|(partition, _)| *partition).collect();
        if !topic_requests::moving(place.anyone().ok()?, place.topic, &partitions).await.ok()?.is_empty() {
            return None;
        }
        let views = place.views().await.ok()?;
        let mut words = Vec::new();
        for ((partition, wanted), (_, other)) in moved[which].iter().zip(&moved[1 - which]) {
            let view = views.iter().find(|view| view.partition == *partition)?;
            if view.replicas != *wanted || view.isr.len() != wanted.len() {
                return None;
            }
            let leader = view.leader?;
            words.push(format!(
                "partition {partition}: replicas [{}] -> [{}], all in sync, leader {leader}, leader epoch {}",
                listed(other),
                listed(wanted),
                view.leader_epoch
            ));
        }
        Some(format!("{}; none is moving", words.join("; ")))
    }

    /// Gives up what still moves, and sets back what was set: what a cell leaves changed reaches neither its reading nor
    /// a topic that is kept. Returns what it did.
    pub async fn undo(&mut self, place: Place<'_>) -> io::Result<Vec<String>> {
        let mut done = Vec::new();
        if let Some([before, _]) = self.moved.take() {
            let partitions: Vec<i32> = before.iter().map(|(partition, _)| *partition).collect();
            let moving = topic_requests::moving(place.anyone()?, place.topic, &partitions).await?;
            if !moving.is_empty() {
                let none: Vec<Placement> =
                    moving.into_iter().map(|partition| (partition, Vec::new())).collect();
                topic_requests::reassign(place.anyone()?, place.topic, &none).await?;
                done.push(format!("gave up moving {} partitions of {}", none.len(), place.topic));
            }
        }
        if let Some(before) = self.min_isr.take()
            && place.setting(MIN_ISR).await.is_ok_and(|value| value != before)
        {
            topic_requests::set(place.anyone()?, place.topic, MIN_ISR, &before).await?;
            done.push(format!("set {MIN_ISR} of {} to {before} again", place.topic));
        }
        Ok(done)
    }
}

/// Before and after: in the place of each replica on one of `leave` stands another broker, the first of `all` that has none;
/// partitions that keep their replicas are left out.
fn without(before: &[Placement], leave: &[BrokerId], all: &[BrokerId]) -> [Vec<Placement>; 2] {
    let mut moved = [Vec::new(), Vec::new()];
    for (partition, replicas) in before {
        let mut spare = all.iter().filter(|broker| !replicas.contains(broker) && !leave.contains(broker));
        let after: Vec<BrokerId> = replicas
            .iter()
            .map(|broker| match leave.contains(broker) {
                true => *spare.next().unwrap_or(broker),
                false => *broker,
            })
            .collect();
        if after != *replicas {
            moved[0].push((*partition, replicas.clone()));
            moved[1].push((*partition, after));
        }
    }
    moved
}

fn listed(brokers: &[BrokerId]) -> String {
    brokers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_to_leave_is_replaced_where_it_stood_by_who_has_none() {
        let ids = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>();
        let all = ids(&[1, 2, 3, 4]);
        let before = [(0, ids(&[1, 2, 3])), (1, ids(&[2, 3, 4])), (2, ids(&[3, 4, 1]))];
        let [old, new] = without(&before, &ids(&[1]), &all);
        assert_eq!(old, [before[0].clone(), before[2].clone()]);
        assert_eq!(new, [(0, ids(&[4, 2, 3])), (2, ids(&[3, 4, 2]))]);
        let two = [(0, ids(&[1, 2, 3]))];
        assert_eq!(without(&two, &ids(&[2, 3]), &ids(&[1, 2, 3, 4, 5]))[1], [(0, ids(&[1, 4, 5]))]);
        assert!(without(&two, &ids(&[1]), &ids(&[1, 2, 3]))[1].is_empty(), "nobody is left to move to");
    }
}
