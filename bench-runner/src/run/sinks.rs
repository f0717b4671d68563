//! The sink of one cell, from the runner's side: its tables (or its topic) are made before members start, read when they have ended, and
//! taken away. Databases block, so each act has a thread of its own.

use super::cell::Stage;
use super::output;
use super::topic::{self, Topic};
use crate::kafka::offsets::Ends;
use crate::sink::{self, SinkError};
use bench_model::effects::{self, Effects};
use bench_model::ids::BookKey;
use bench_model::plan::Cell;
use bench_model::settings::{
    CommitStrategy, SinkKind, SinkSettings, TopicSettings, TransactionSettings, TransactionSpan,
};
use bench_model::wire::{PipeSpec, SinkPlace};
use std::path::Path;

/// PostgreSQL cuts longer names off; `_offsets` and the book's key come behind.
const NAME_BYTES: usize = 44;

/// See the file's purpose.
pub struct CellSink {
    settings: SinkSettings,
    place: SinkPlace,
    bootstrap: String,
    /// Of the records of an output topic.
    book: BookKey,
}

impl CellSink {
    /// The sink of a cell, if it has one: a file among its workers', tables named after run and cell, or a topic beside the cell's.
    pub fn of(stage: &Stage<'_>, cell: &Cell, directory: &Path) -> Option<Self> {
        let settings = cell.settings.group.as_ref()?.sink.clone()?;
        let file = directory.join("workers").join("sink.sqlite").display().to_string();
        let (run, id) = (stage.run, &cell.id);
        let (file, table) = match settings.kind {
            SinkKind::Topic => (String::new(), format!("bench-runner-{run}-{id}-output")),
            kind if kind.is_postgres() => (String::new(), table(run, id)),
            _ => (file, table(run, id)),
        };
        let book = BookKey::of(run, &format!("{id}/output"));
        let bootstrap = stage.cluster.bootstrap();
        Some(CellSink { settings, place: SinkPlace { file, table }, bootstrap, book })
    }

    /// Where it is.
    pub fn place(&self) -> SinkPlace {
        self.place.clone()
    }

    /// How members write to it, where it is a topic: as the cell's producer does, a batch in one transaction if the group
    /// commits so, and without one if it does not; what is aborted on purpose is the producer's alone.
    pub fn pipe(&self, cell: &Cell) -> Option<PipeSpec> {
        if self.settings.kind != SinkKind::Topic {
            return None;
        }
        let mut settings = cell.settings.producer.clone();
        let of_producers = settings.transaction.take();
        let transactional = cell.settings.group.as_ref()?.commit == CommitStrategy::Transaction;
        settings.transaction = transactional.then(|| TransactionSettings {
            span: TransactionSpan::Records(
                cell.settings.group.as_ref().map_or(1, |group| group.batch_records),
            ),
            abort_every: 0,
            abort_flush: true,
            timeout_ns: of_producers.as_ref().map_or(settings.delivery_timeout_ns, |one| one.timeout_ns),
        });
        // A batch has a record at least, and each may come twice.
        let transaction_capacity = if transactional { cell.records() * 2 + 1_000 } else { 0 };
        let record_bytes = cell.settings.load.record_bytes.max(effects::output::ROW_BYTES as u32);
        let beside_producers = transactional && of_producers.is_some();
        Some(PipeSpec { settings, book: self.book, record_bytes, transaction_capacity, beside_producers })
    }

    /// Makes its tables, or its topic with the settings of the cell's.
    pub async fn create(&self, stage: &mut Stage<'_>, topic: &TopicSettings) -> Result<(), String> {
        if self.settings.kind == SinkKind::Topic {
            return Topic::create(stage.cluster, stage.admin, &self.place.table, topic).await.map(|_| ());
        }
        if let Some(directory) = Path::new(&self.place.file).parent() {
            std::fs::create_dir_all(directory)
                .map_err(|error| format!("{}: {error}", directory.display()))?;
        }
        self.act(sink::create).await
    }

    /// Reads what it holds; a topic up to these ends, or why they are not known.
    pub async fn read(&self, output_ends: &Result<Vec<Ends>, String>) -> Result<Effects, String> {
        if self.settings.kind != SinkKind::Topic {
            return self.act(sink::read).await;
        }
        let ends = output_ends.clone()?;
        let (bootstrap, topic, book) = (self.bootstrap.clone(), self.place.table.clone(), self.book);
        tokio::task::spawn_blocking(move || output::read(&bootstrap, &topic, book, &ends))
            .await
            .map_err(|error| error.to_string())?
    }

    /// Takes its tables or its topic away.
    pub async fn remove(&self, stage: &Stage<'_>) -> Result<(), String> {
        match self.settings.kind {
            SinkKind::Topic if stage.keep_topics => Ok(()),
            SinkKind::Topic => {
                topic::discard(stage.cluster, stage.admin, &self.place.table, stage.interrupt).await
            }
            _ => self.act(sink::remove).await,
        }
    }

    async fn act<T: Send + 'static>(
        &self,
        act: fn(&SinkSettings, &SinkPlace) -> Result<T, SinkError>,
    ) -> Result<T, String> {
        let (settings, place) = (self.settings.clone(), self.place.clone());
        let done = tokio::task::spawn_blocking(move || act(&settings, &place)).await;
        done.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }
}

/// A name that says whose the table is and that no other cell has.
fn table(run: &str, cell: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let words: String = format!("bench_runner_{run}_{cell}").chars().map(plain).take(NAME_BYTES).collect();
    format!("{words}_{:08x}", BookKey::of(run, cell).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_named_after_run_and_cell_and_fit_into_a_name() {
        let name = table("20261127-180000-c4", "c4.sink-postgres-append.commit-sync-after.r0");
        assert!(name.starts_with("bench_runner_20261127_180000_c4_"), "{name}");
        assert!(name.len() + "_offsets".len() <= 63 && name != table("20261127-180000-c4", "c4.other.r0"));
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
    }
}
