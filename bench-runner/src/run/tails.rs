//! Where each partition's last record ends that a group can be given: control records are given to nobody, and what was
//! aborted only at read_uncommitted. Judges nothing.

use super::crew::Task;
use super::readlog;
use crate::kafka::offsets::Ends;
use bench_model::reading::{PartitionReading, Source};

/// The offset behind the last record of this book in each partition, whatever became of its transaction; `committed` are those
/// behind the last ones that read_committed shows, from which the log is read on.
///
/// # Errors
/// The log cannot be read.
pub async fn uncommitted(task: &Task<'_>, ends: &[Ends], committed: &[i64]) -> Result<Vec<i64>, String> {
    let tails: Vec<Ends> = ends
        .iter()
        .zip(committed)
        .map(|(end, committed)| Ends { start: end.start.max(*committed), ..*end })
        .collect();
    let (bootstrap, topic, book) = (task.bootstrap.to_owned(), task.topic.to_owned(), task.book);
    let reading =
        tokio::task::spawn_blocking(move || readlog::read(&bootstrap, &topic, book, &tails, Source::Reader))
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
    let behind = |part: &PartitionReading| part.runs.iter().map(|run| run.offset + run.count as i64).max();
    Ok(reading.partitions.iter().zip(committed).map(|(part, at)| behind(part).unwrap_or(*at)).collect())
}
