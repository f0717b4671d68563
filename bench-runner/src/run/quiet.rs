//! Is the cluster quiet? Only then do a log's ends mean anything: ISR = replicas, LSO = HW, unchanged for a second.

use crate::clock;
use crate::cluster::Cluster;
use crate::kafka::admin::Admin;
use crate::kafka::offsets::{Ends, Offsets};
use bench_model::settings::TopicSettings;
use std::sync::Arc;
use std::time::Duration;

/// Ends must stay as they are for so long.
const STILL_NS: u64 = 1_000_000_000;
const STEP: Duration = Duration::from_millis(100);

/// The ends of a quiet topic as clients at `bootstrap` are told, or what is still moving at the deadline.
pub async fn quiet(
    cluster: &Cluster,
    admin: &Admin,
    bootstrap: &str,
    topic: &str,
    settings: &TopicSettings,
    deadline_ns: u64,
) -> Result<Vec<Ends>, String> {
    let offsets = Arc::new(Offsets::open(bootstrap).map_err(|error| error.to_string())?);
    let mut last: Option<(Vec<Ends>, u64)> = None;
    loop {
        let state = look(cluster, admin, topic, settings, &offsets).await;
        let now_ns = clock::now_ns();
        let moving = match state {
            Ok(ends) => match &last {
                Some((before, since_ns)) if *before == ends => {
                    if now_ns - since_ns >= STILL_NS {
                        return Ok(ends);
                    }
                    "offsets have been still for less than a second".to_owned()
                }
                _ => {
                    last = Some((ends, now_ns));
                    "offsets have just changed".to_owned()
                }
            },
            Err(reason) => {
                last = None;
                reason
            }
        };
        if now_ns >= deadline_ns {
            return Err(format!("the cluster did not become quiet: {moving}"));
        }
        tokio::time::sleep(STEP).await;
    }
}

async fn look(
    cluster: &Cluster,
    admin: &Admin,
    topic: &str,
    settings: &TopicSettings,
    offsets: &Arc<Offsets>,
) -> Result<Vec<Ends>, String> {
    in_sync(cluster, admin, topic, settings).await?;
    let (offsets, name, partitions) = (Arc::clone(offsets), topic.to_owned(), settings.partitions);
    let ends = tokio::task::spawn_blocking(move || offsets.read(&name, partitions))
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    match ends.iter().position(|end| end.last_stable != end.high) {
        Some(partition) => Err(format!(
            "partition {partition} has an open transaction (last stable offset below high watermark)"
        )),
        None => Ok(ends),
    }
}

/// Every partition has a leader and all replicas in sync, on the newest view that can be had.
pub async fn in_sync(
    cluster: &Cluster,
    admin: &Admin,
    topic: &str,
    settings: &TopicSettings,
) -> Result<(), String> {
    let isr_sizes: Vec<usize> = match cluster.partition_view(topic).await {
        Some(view) => view
            .iter()
            .map(|partition| if partition.leader.is_some() { partition.isr.len() } else { 0 })
            .collect(),
        None => {
            let (admin, topic) = (admin.clone(), topic.to_owned());
            // It blocks for as long as no broker answers; on the main thread nobody would hear an interrupt then.
            tokio::task::spawn_blocking(move || admin.partitions(&topic, Duration::from_secs(5)))
                .await
                .map_err(|error| error.to_string())?
                .map_err(|error| error.to_string())?
                .iter()
                .map(|partition| if partition.leader >= 0 { partition.isr.len() } else { 0 })
                .collect()
        }
    };
    if isr_sizes.len() != usize::from(settings.partitions) {
        return Err(format!("{} of {} partitions are known", isr_sizes.len(), settings.partitions));
    }
    match isr_sizes.iter().position(|size| *size < usize::from(settings.replication_factor)) {
        Some(partition) => Err(format!(
            "partition {partition} has {} of {} replicas in sync",
            isr_sizes[partition], settings.replication_factor
        )),
        None => Ok(()),
    }
}
