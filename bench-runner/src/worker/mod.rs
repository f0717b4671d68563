//! A worker process: specification in, events out, evidence to its own files. It never learns of a fault,
//! except that its specification may say where it ends itself.

mod consume;
mod control;
mod flight;
mod notices;
mod predecessor;
mod produce;
mod read;
mod transact;

use bench_model::wire::{Event, Role, WIRE_VERSION, WorkerSpec};
use control::Control;
use std::io::{BufRead, Write};
use thiserror::Error;

/// Why a worker ended without doing its work.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// Standard input did not hold a specification.
    #[error("the specification on standard input does not parse: {0}")]
    Specification(String),
    /// Another version of the contract.
    #[error(
        "the specification has version {0}, this worker speaks {WIRE_VERSION}; use the same binary for both"
    )]
    Version(u32),
    /// The client library refused.
    #[error(transparent)]
    Kafka(#[from] crate::kafka::KafkaError),
    /// The sink refused.
    #[error(transparent)]
    Sink(#[from] crate::sink::SinkError),
    /// A file of this worker.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    /// The runner went away before the start.
    #[error("standard input ended before the start command")]
    NoStart,
}

/// Reads the specification and plays its role to the end.
pub fn main() -> Result<(), WorkerError> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| WorkerError::File("standard input".into(), error))?;
    let spec: WorkerSpec =
        serde_json::from_str(&line).map_err(|error| WorkerError::Specification(error.to_string()))?;
    if spec.version != WIRE_VERSION {
        return Err(WorkerError::Version(spec.version));
    }
    let control = Control::listen();
    match &spec.role {
        Role::Produce(produce) => produce::produce(&spec, produce, &control),
        Role::Read(read) => read::read(&spec, read, &control),
        Role::Consume(consume) => consume::consume(&spec, consume, &control),
    }
}

/// Writes one event; a runner that has gone away is noticed by its death signal, not here.
fn emit(event: &Event) {
    let mut out = std::io::stdout().lock();
    if serde_json::to_writer(&mut out, event).is_ok() {
        let _ = out.write_all(b"\n").and_then(|()| out.flush());
    }
}

fn write_file(spec: &WorkerSpec, name: &str, bytes: &[u8]) -> Result<(), WorkerError> {
    let path = std::path::Path::new(&spec.directory).join(name);
    std::fs::write(&path, bytes).map_err(|error| WorkerError::File(path.display().to_string(), error))
}

/// A file of evidence, as large as it will ever be and resident, so that no store waits for a page.
fn map(spec: &WorkerSpec, name: &str, bytes: usize) -> Result<memmap2::MmapMut, WorkerError> {
    let path = std::path::Path::new(&spec.directory).join(name);
    let mapped = || {
        let file =
            std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        file.set_len(bytes as u64)?;
        // SAFETY: the file lies in this worker's own directory; nobody else writes to it or truncates it.
        unsafe { memmap2::MmapOptions::new().populate().map_mut(&file) }
    };
    mapped().map_err(|error| WorkerError::File(path.display().to_string(), error))
}
