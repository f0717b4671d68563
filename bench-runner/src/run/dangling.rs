//! Transactions that producers have left open: they are ended before the log is read, as nothing behind them is visible, and
//! waiting for their time-out could take minutes. What that does to a transaction is within its claim.

use super::crew::Task;
use super::evidence::of_producers;
use crate::kafka::{fence, properties};
use bench_model::ids::MemberId;
use bench_model::settings::ProducerSettings;
use bench_model::transactions::{self, State, Transaction, Transactions};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// Ends those of the cell's producers; the first failure in words.
pub async fn end(task: &Task<'_>) -> Result<(), String> {
    let lives = of_producers(task, "transactions.bin", transactions::read)?;
    for (life, settings) in lives.iter().zip(&task.producers) {
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
