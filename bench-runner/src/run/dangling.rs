//! Transactions that producers have left open: they are ended before the log is read, as nothing behind them is visible, and
//! waiting for their time-out could take minutes. What that does to a transaction is within its claim.

use super::crew::Task;
use super::evidence::of_producers;
use crate::kafka::{fence, properties};
use bench_model::transactions::{self, State};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// Ends them; the first failure in words.
pub async fn end(task: &Task<'_>) -> Result<(), String> {
    let lives = of_producers(task, "transactions.bin", transactions::read)?;
    for (life, settings) in lives.iter().zip(&task.producers) {
        let left_open = life
            .transactions
            .last()
            .is_some_and(|one| !matches!(one.state, State::Committed | State::Aborted));
        if !left_open {
            continue;
        }
        let id = properties::transactional_id(task.topic, life.producer);
        let properties = properties::producer(task.bootstrap, "bench-runner-fence", &id, settings);
        tokio::task::spawn_blocking(move || fence::fence(&properties, LIMIT))
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}
