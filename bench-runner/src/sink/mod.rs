//! Sinks: tables into which a group's members write one row for each processing, a batch in one transaction; the only door
//! to databases.
//!
//! Knows rows, offsets and epochs, nothing of Kafka. Blocks: call it from a thread that may wait. Where a sink keeps the
//! offsets itself, it also fences: an assignment takes a new epoch, and a write of an older one is refused.

mod postgres;
mod sql;
mod sqlite;

use bench_model::effects::{EffectRun, Effects, Held};
use bench_model::settings::SinkSettings;
use bench_model::wire::SinkPlace;
use std::collections::BTreeMap;
use thiserror::Error;

/// Why a database did not do what it was asked.
#[derive(Debug, Error)]
pub enum SinkError {
    /// An act failed; what was begun is rolled back, unless the act is "commit", of which nobody knows.
    #[error("the sink could not {act}: {cause}")]
    Act {
        /// What was tried.
        act: &'static str,
        /// What the database says.
        cause: String,
    },
    /// A durability setting that was asked for is not in effect.
    #[error("the sink has {key} = {found}, asked for was {asked}")]
    Setting {
        /// Which.
        key: &'static str,
        /// As asked.
        asked: String,
        /// As read back.
        found: String,
    },
}

impl SinkError {
    fn act(act: &'static str) -> impl Fn(String) -> SinkError {
        move |cause| SinkError::Act { act, cause }
    }
}

/// What is written for one record.
#[derive(Debug, Clone, Copy)]
pub struct SinkRow {
    /// The effect: a run of one.
    pub effect: EffectRun,
    /// When the record was due, which an output topic's record carries on; nanoseconds of the monotonic clock.
    pub intended_ns: u64,
}

/// A connection that writes.
pub trait Sink: Send {
    /// Settings that decide about durability, as read back.
    fn effective(&self) -> &BTreeMap<String, String>;

    /// Takes partitions over: gives each a new epoch, and says where processing goes on (-1: nothing was written yet).
    ///
    /// # Errors
    /// See [`SinkError`].
    fn take(&mut self, partitions: &[u16]) -> Result<Vec<Held>, SinkError>;

    /// Writes rows, and with them the offsets of `marks`, in one transaction; durable when it returns. Gives the
    /// partitions that were taken over by somebody else: their rows are not written.
    ///
    /// # Errors
    /// See [`SinkError`].
    fn write(&mut self, rows: &[SinkRow], marks: &[Held]) -> Result<Vec<u16>, SinkError>;
}

/// Connects; the tables must be there.
///
/// # Errors
/// See [`SinkError`].
pub fn open(settings: &SinkSettings, place: &SinkPlace) -> Result<Box<dyn Sink>, SinkError> {
    Ok(if settings.kind.is_postgres() {
        Box::new(postgres::Postgres::open(settings, place)?)
    } else {
        Box::new(sqlite::Sqlite::open(settings, place)?)
    })
}

/// Makes the tables of a cell.
///
/// # Errors
/// They exist already, or see [`SinkError`].
pub fn create(settings: &SinkSettings, place: &SinkPlace) -> Result<(), SinkError> {
    if settings.kind.is_postgres() {
        postgres::create(settings, place)
    } else {
        sqlite::create(settings, place)
    }
}

/// Reads everything that the tables hold.
///
/// # Errors
/// See [`SinkError`].
pub fn read(settings: &SinkSettings, place: &SinkPlace) -> Result<Effects, SinkError> {
    if settings.kind.is_postgres() { postgres::read(settings, place) } else { sqlite::read(settings, place) }
}

/// Takes the tables of a cell away from a server; a file goes with its directory.
///
/// # Errors
/// See [`SinkError`].
pub fn remove(settings: &SinkSettings, place: &SinkPlace) -> Result<(), SinkError> {
    if settings.kind.is_postgres() { postgres::remove(settings, place) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
