//! `bench-model`: what is asked, what was seen, what it means.
//!
//! Pure: no Kafka client, no async runtime, no clock, no file system. Everything here takes values and
//! returns values, so its properties run in seconds. Rooms from the ground floor up; a lower one never
//! imports a higher one (held by `tests/layering.rs`).

pub mod ids;
pub mod outage;
pub mod settings;
pub mod fault;
pub mod profile;
pub mod plan;
pub mod schedule;
pub mod service;
pub mod message;
pub mod ledger;
pub mod transactions;
pub mod reading;
pub mod processing;
pub mod effects;
pub mod segment;
pub mod latency;
pub mod visibility;
pub mod wire;
pub mod verdict;
pub mod result;
pub mod expectation;
pub mod assess;
