//! Transactions that producers have left open: they are ended before the log is read, as nothing behind them is visible, and
//! waiting for their time-out could take minutes. What that does to a transaction is within its claim.

use super::crew::Task;
use super::lives::Lives;
use crate::kafka::{fence, properties};
use bench_model::ids::{MemberId, ProducerId};
use bench_model::settings::ProducerSettings;
use bench_model::transactions::{State, Transaction, Transactions};
use std::collections::BTreeMap;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// Ends those of the cell's producers, of which each later life has ended what the one before had left open; the first failure
/// in words.
pub async fn end(task: &Task<'_>, lives: &Lives) -> Result<(), String> {
    let all = lives.transactions(task.directory)?;
    let mut last: BTreeMap<ProducerId, &Transactions> = BTreeMap::new();
    for life in &all {
        let latest = last.entry(life.producer).or_insert(life);
        if life.incarnation > latest.incarnation {
            *latest = life;
        }
    }
    for life in last.values() {
        let Some(settings) = task.producers.get(usize::from(life.producer.0)) else { continue };
        end_of(task, life, properties::transactional_id(task.topic, life.producer), settings).await?;
    }
    Ok(())
}

/// Ends those of pipelines, whose lives are of members.
pub async fn end_pipelines(task: &Task<'_>, lives: &[Transactions]) -> Result<(), String> {
    let Some(pipe) = task.group.as_ref().and_then(|group| group.pipe.as_ref()) else { return Ok(()) };
    for life in lives {
        let id = properties::pipeline_id(task.topic, MemberId(life.producer.0));
        end_of(task, life, id, &pipe.settings).await?;
    }
    Ok(())
}

async fn end_of(
    task: &Task<'_>,
    life: &Transactions,
    id: String,
    settings: &ProducerSettings,
) -> Result<(), String> {
    let left_open = |one: &Transaction| !matches!(one.state, State::Committed | State::Aborted);
    if !life.transactions.last().is_some_and(left_open) {
        return Ok(());
    }
    let properties = properties::producer(task.bootstrap, "bench-runner-fence", &id, settings);
    tokio::task::spawn_blocking(move || fence::fence(&properties, LIMIT))
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())
}
