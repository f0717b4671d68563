//! What a plan may take at most; one that is over is refused with the arithmetic.

use super::{Assumptions, Cell, Estimate, PlanError};
use crate::fault::Action;
use crate::profile::{grouped, rough_size};
use crate::settings::ClusterAsk;
use serde::Serialize;

/// The limits of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Cells of a run.
    pub cells: u64,
    /// Records of one cell.
    pub records_per_cell: u64,
    /// All replicas and ledgers of the run together, in bytes.
    pub disk_bytes: u64,
    /// Brokers and workers, in bytes.
    pub memory_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            // Each cell is a directory and a row; a run of more takes most of a day and belongs into several.
            cells: 1_000,
            // A ledger byte each, and a verdict of tens of seconds at millions of copies a second.
            records_per_cell: 200_000_000,
            // Topics are deleted after the run, hence all lie on one disk together; common disks have this free.
            disk_bytes: 100_000_000_000,
            // Brokers' heaps, queues and populated ledgers are really resident.
            memory_bytes: 16_000_000_000,
        }
    }
}

impl Limits {
    /// Refuses a plan that is over a limit.
    pub(super) fn check(
        &self,
        cells: &[Cell],
        estimate: &Estimate,
        cluster: &ClusterAsk,
    ) -> Result<(), PlanError> {
        let over = |what, arithmetic, help| Err(PlanError::OverLimit { what, arithmetic, help });
        let count = cells.len() as u64;
        if count > self.cells {
            let arithmetic = format!("{count} cells (all combinations times repeats) > {}", self.cells);
            return over("cells", arithmetic, "fewer axis values or repeats, or pick cells by --only");
        }
        if let Some(cell) = cells.iter().find(|cell| cell.records() > self.records_per_cell) {
            let sum = cell.settings.load.records_text();
            let [records, limit] = [cell.records(), self.records_per_cell].map(grouped);
            let arithmetic = format!("{} sends {sum} = {records} > {limit}", cell.id);
            return over("records per cell", arithmetic, "a lower rate, or a shorter duration");
        }
        if estimate.disk_bytes > self.disk_bytes {
            let Some(largest) = cells.iter().max_by_key(|cell| cell.disk_bytes()) else { return Ok(()) };
            let arithmetic = format!(
                "{} > {}; the largest of {count} cells, {}, takes {} records x {} B x {} replicas + ledger = {}",
                rough_size(estimate.disk_bytes),
                rough_size(self.disk_bytes),
                largest.id,
                grouped(largest.records()),
                largest.settings.load.record_bytes,
                largest.settings.topic.replication_factor,
                rough_size(largest.disk_bytes()),
            );
            return over(
                "bytes on disk",
                arithmetic,
                "shorter windows, lower rates, fewer repeats, or several runs",
            );
        }
        if estimate.memory_bytes > self.memory_bytes {
            let Some(largest) = cells.iter().max_by_key(|cell| cell.memory_bytes()) else { return Ok(()) };
            let fills = cells.iter().any(|cell| cell.has_step(Action::FillDisk));
            let data = match fills {
                true => {
                    format!(" + {} data of the brokers (disks are filled)", rough_size(estimate.disk_bytes))
                }
                false => String::new(),
            };
            let arithmetic = format!(
                "{} brokers x ({} heap + {}) + {} controller + {} workers{data} = {} > {}; the workers of {}: {}",
                cluster.brokers,
                rough_size(cluster.heap_bytes),
                rough_size(Assumptions::BROKER_BYTES),
                rough_size(Assumptions::CONTROLLER_BYTES),
                rough_size(largest.memory_bytes()),
                rough_size(estimate.memory_bytes),
                rough_size(self.memory_bytes),
                largest.id,
                largest.memory_text(),
            );
            return over(
                "memory",
                arithmetic,
                "a smaller heap, fewer producers, a smaller queue, or a shorter duration",
            );
        }
        Ok(())
    }
}
