//! What a later life of a producer takes over from the earlier ones: its place in the schedule, its sequences, and the
//! records whose fate nobody knows or whose transactions were not committed. Reads what they left behind, and sends nothing.

use super::WorkerError;
use bench_model::ids::{Attempt, PartitionId};
use bench_model::ledger::{self, Ledger, Legacy};
use bench_model::schedule::{Course, Due, Placement, Schedule};
use bench_model::settings::TransactionSettings;
use bench_model::transactions::{self, Record, Transactions, Uncommitted};
use bench_model::wire::{ProduceSpec, WorkerSpec};
use std::collections::BTreeSet;
use std::path::Path;

/// A record that is sent again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Again {
    pub(super) due: Due,
    pub(super) attempt: Attempt,
}

/// See the file's purpose; a first life inherits the whole schedule and nothing else.
pub(super) struct Inheritance {
    pub(super) course: Course,
    /// By partition, where sequences begin.
    pub(super) firsts: Vec<u64>,
    /// In the order in which they were due.
    pub(super) again: Vec<Again>,
    /// Those of them that an unanswered commit may have made visible.
    pub(super) doubtful: BTreeSet<Record>,
}

/// Takes over what the earlier lives have left behind.
pub(super) fn inherit(spec: &WorkerSpec, role: &ProduceSpec) -> Result<Inheritance, WorkerError> {
    let mut earlier: Vec<Ledger> = Vec::new();
    for path in &role.predecessors {
        if let Some(bytes) = left(path.as_ref(), ledger::is_blank)? {
            earlier.push(ledger::read(&bytes).map_err(|error| damaged(path, error))?);
        }
    }
    let Legacy { next_sequences, records, mut unknown } = Legacy::of(&earlier, spec.partitions);
    let mut doubtful = BTreeSet::new();
    if let Some(settings) = &role.settings.transaction {
        let left = uncommitted(role, settings, &earlier)?;
        (unknown, doubtful) = (left.records, left.doubtful);
    }
    let record_bytes = role.load.record_bytes;
    let in_a_row_bytes = role.settings.in_a_row_bytes(spec.partitions, record_bytes);
    let mut course = Course {
        schedule: Schedule::new(&role.load, role.seed, role.producer),
        placement: Placement::new(spec.partitions, role.producer, in_a_row_bytes, record_bytes),
    };
    let mut again = Vec::new();
    for due in course.by_ref().take(usize::try_from(records).unwrap_or(usize::MAX)) {
        let attempt = unknown.get(&(due.partition, due.sequence)).filter(|_| role.resend);
        again.extend(attempt.map(|last| Again { due, attempt: Attempt(last.0.saturating_add(1)) }));
    }
    if course.placement.next_sequences() != next_sequences {
        let error = format!("the schedule goes on at {:?}", course.placement.next_sequences());
        return Err(damaged(&format!("sequences {next_sequences:?} of {:?}", role.predecessors), error));
    }
    if !role.resend {
        doubtful.clear();
    }
    Ok(Inheritance { course, firsts: next_sequences, again, doubtful })
}

/// What the earlier lives' transactions say, which lie beside their ledgers.
fn uncommitted(
    role: &ProduceSpec,
    settings: &TransactionSettings,
    earlier: &[Ledger],
) -> Result<Uncommitted, WorkerError> {
    let mut lives: Vec<Transactions> = Vec::new();
    for ledger in &role.predecessors {
        let path = Path::new(ledger).with_file_name("transactions.bin");
        if let Some(bytes) = left(&path, transactions::is_blank)? {
            let life = transactions::read(&bytes);
            lives.push(life.map_err(|error| damaged(&path.display().to_string(), error))?);
        }
    }
    Ok(Uncommitted::of(earlier, &lives, |ordinal| settings.aborts(ordinal)))
}

/// A file of an earlier life; `None`: it was killed before it had one, so it has sent nothing. Who should have had one is the
/// runner's to say.
fn left(path: &Path, is_blank: impl Fn(&[u8]) -> bool) -> Result<Option<Vec<u8>>, WorkerError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok((!is_blank(&bytes)).then_some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(WorkerError::File(path.display().to_string(), error)),
    }
}

fn damaged(path: &str, error: impl ToString) -> WorkerError {
    let error = std::io::Error::new(std::io::ErrorKind::InvalidData, error.to_string());
    WorkerError::File(path.to_owned(), error)
}

impl Again {
    pub(super) fn partition(&self) -> PartitionId {
        self.due.partition
    }
}
