//! Who coordinates a cell's group or its transactions, and who does when that broker has ended.

use super::{Order, VIEW_POLL};
use crate::cluster::{Cluster, Coordinated};
use crate::kafka::properties;
use bench_model::fault::{FaultRecord, Target};
use bench_model::ids::{BrokerId, ProducerId};
use std::time::Duration;

/// Until somebody coordinates: a new cluster makes its internal topics first, others elect.
const LIMIT: Duration = Duration::from_secs(60);

/// A coordinator, before anything was done to it.
pub struct Seat {
    whose: Coordinated,
    /// It has it.
    pub broker: BrokerId,
}

impl Seat {
    /// Asks who coordinates; `None`: no step wants to know, or nobody does.
    pub async fn find(order: &Order<'_>, cluster: &Cluster) -> Option<Seat> {
        let cell = order.cell;
        cell.faults.iter().find(|step| step.target == Target::Coordinator)?;
        let whose = match cell.settings.group {
            Some(_) => Coordinated::Group(order.topic.to_owned()),
            None => Coordinated::Transactions(properties::transactional_id(order.topic, ProducerId(0))),
        };
        let broker = asked(&whose, None, cluster).await?;
        Some(Seat { whose, broker })
    }

    /// Adds to the proof of each act that it was done to the coordinator, and who followed one that has ended; without a
    /// successor the proof is taken back.
    pub async fn prove(&self, records: &mut [FaultRecord], cluster: &Cluster) {
        let acts = records.iter_mut().filter(|record| {
            record.step.target == Target::Coordinator && !record.step.action.is_undo() && record.is_proven()
        });
        for record in acts {
            if !record.step.action.ends() {
                record.proof.push(format!("{}: coordinator {}", self.whose, self.broker));
                continue;
            }
            match asked(&self.whose, Some(self.broker), cluster).await {
                Some(next) => {
                    record.proof.push(format!("{}: coordinator {} -> {next}", self.whose, self.broker));
                }
                None => record.proof.clear(),
            }
        }
    }
}

/// Who coordinates, as soon as it is somebody else than `before`.
async fn asked(whose: &Coordinated, before: Option<BrokerId>, cluster: &Cluster) -> Option<BrokerId> {
    let search = async {
        loop {
            let found = cluster.coordinator(whose).await;
            if let Some(broker) = found.filter(|broker| Some(*broker) != before) {
                return broker;
            }
            tokio::time::sleep(VIEW_POLL).await;
        }
    };
    tokio::time::timeout(LIMIT, search).await.ok()
}
