//! The sink of one cell, from the runner's side: its tables are made before members start, read when they have ended, and
//! taken away. Databases block, so each act has a thread of its own.

use crate::sink::{self, SinkError};
use bench_model::effects::Effects;
use bench_model::ids::BookKey;
use bench_model::plan::Cell;
use bench_model::settings::SinkSettings;
use bench_model::wire::SinkPlace;
use std::path::Path;

/// PostgreSQL cuts longer names off; `_offsets` and the book's key come behind.
const NAME_BYTES: usize = 44;

/// See the file's purpose.
pub struct CellSink {
    settings: SinkSettings,
    place: SinkPlace,
}

impl CellSink {
    /// The sink of a cell, if it has one: a file among its workers', or tables named after run and cell.
    pub fn of(run: &str, cell: &Cell, directory: &Path) -> Option<Self> {
        let settings = cell.settings.group.as_ref()?.sink.clone()?;
        let file = directory.join("workers").join("sink.sqlite");
        let file = if settings.kind.is_postgres() { String::new() } else { file.display().to_string() };
        Some(CellSink { settings, place: SinkPlace { file, table: table(run, &cell.id) } })
    }

    /// Where it is.
    pub fn place(&self) -> SinkPlace {
        self.place.clone()
    }

    /// Makes its tables.
    pub async fn create(&self) -> Result<(), String> {
        if let Some(directory) = Path::new(&self.place.file).parent() {
            std::fs::create_dir_all(directory)
                .map_err(|error| format!("{}: {error}", directory.display()))?;
        }
        self.act(sink::create).await
    }

    /// Reads what it holds.
    pub async fn read(&self) -> Result<Effects, String> {
        self.act(sink::read).await
    }

    /// Takes its tables away.
    pub async fn remove(&self) -> Result<(), String> {
        self.act(sink::remove).await
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
