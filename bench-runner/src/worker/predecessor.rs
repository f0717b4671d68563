//! What a later life of a producer takes over from the earlier ones: its place in the schedule, its sequences, and the
//! records whose fate nobody knows. Reads their ledgers, and sends nothing.

use super::WorkerError;
use bench_model::ids::{Attempt, PartitionId};
use bench_model::ledger::{self, Ledger, Legacy};
use bench_model::schedule::{Course, Due, Placement, Schedule};
use bench_model::wire::{ProduceSpec, WorkerSpec};

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
}

/// Takes over what the ledgers of the earlier lives say; a partition gets so many bytes in a row.
pub(super) fn inherit(
    spec: &WorkerSpec,
    role: &ProduceSpec,
    in_a_row_bytes: u32,
) -> Result<Inheritance, WorkerError> {
    let mut earlier: Vec<Ledger> = Vec::new();
    for path in &role.predecessors {
        let bytes = match std::fs::read(path) {
            Ok(bytes) if !ledger::is_blank(&bytes) => bytes,
            // Killed before it had a ledger, so it has sent nothing. Who should have had one is the runner's to say.
            Ok(_) => continue,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(WorkerError::File(path.clone(), error)),
        };
        earlier.push(ledger::read(&bytes).map_err(|error| damaged(path, error))?);
    }
    let Legacy { next_sequences, records, unknown } = Legacy::of(&earlier, spec.partitions);
    let mut course = Course {
        schedule: Schedule::new(&role.load, role.seed, role.producer),
        placement: Placement::new(spec.partitions, role.producer, in_a_row_bytes, role.load.record_bytes),
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
    Ok(Inheritance { course, firsts: next_sequences, again })
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
