//! Gathers what a cell left behind: ledgers, the independent reading, and the brokers' segment files.

use super::crew::Task;
use super::sinks::CellSink;
use super::{readlog, segments};
use crate::cluster::Cluster;
use crate::kafka::offsets::Ends;
use bench_model::effects::{self, Effects};
use bench_model::ledger::{self, Ledger};
use bench_model::processing::{self, Journal};
use bench_model::reading::{self, LogReading, Source};
use bench_model::transactions::{self, Transactions};
use std::path::Path;

/// Evidence in memory, ready for the verdict.
pub struct Evidence {
    /// One for each life of each producer that got so far as to have one.
    pub ledgers: Vec<Ledger>,
    /// The independent reader first, then every replica's segments (or a second reading).
    pub readings: Vec<LogReading>,
    /// One for each ledger; empty without transactions.
    pub transactions: Vec<Transactions>,
    /// One for each life of each member that got so far; empty unless the group commits in transactions.
    pub pipelines: Vec<Transactions>,
    /// One for each life of each group member.
    pub journals: Vec<Journal>,
    /// What the sink holds, if there is one and it could be read.
    pub effects: Option<Effects>,
    /// Why it could not be read, if so.
    pub unread: Option<String>,
}

/// Reads everything; without quiet ends there is no reading of the log, only ledgers.
pub async fn gather(
    cluster: &Cluster,
    task: &Task<'_>,
    ends: &Result<Vec<Ends>, String>,
    (ledgers, transactions): (Vec<Ledger>, Vec<Transactions>),
    (journals, pipelines): (Vec<Journal>, Vec<Transactions>),
    sink: Option<&CellSink>,
) -> Result<Evidence, String> {
    let transactional = task.transaction_capacity > 0;
    let read = match sink {
        Some(sink) => Some(sink.read().await),
        None => None,
    };
    // What nobody could read says neither that rows are missing nor that they are there; all else is judged.
    let (effects, unread) = match read {
        Some(Err(why)) => (None, Some(why)),
        read => (read.and_then(Result::ok), None),
    };
    let Ok(ends) = ends else {
        let readings = Vec::new();
        return Ok(Evidence { ledgers, readings, transactions, pipelines, journals, effects, unread });
    };
    let (bootstrap, topic, book) = (task.bootstrap.to_owned(), task.topic.to_owned(), task.book);
    let directories = cluster.log_directories();
    let ends = ends.clone();
    // Reading blocks for as long as the log is long; it has a thread of its own and spawns no process.
    let readings = tokio::task::spawn_blocking(move || {
        let read = |source| {
            readlog::read(&bootstrap, &topic, book, &ends, source).map_err(|error| error.to_string())
        };
        let mut readings = vec![read(Source::Reader)?];
        if transactional {
            readings.push(read(Source::CommittedReader)?);
        }
        match directories {
            Some(directories) => readings.extend(segments::read(&directories, &topic, book, &ends)?),
            None => readings.push(read(Source::SecondReader)?),
        }
        Ok::<_, String>(readings)
    })
    .await
    .map_err(|error| error.to_string())??;
    Ok(Evidence { ledgers, readings, transactions, pipelines, journals, effects, unread })
}

/// Leaves the evidence in the cell's directory, in the form that `verify` reads.
pub fn store(evidence: &Evidence, directory: &Path) -> Result<(), String> {
    let files = [
        ("ledger.jsonl", ledger::to_jsonl(&evidence.ledgers)),
        ("reading.jsonl", reading::to_jsonl(&evidence.readings)),
    ];
    let processing = ("processing.jsonl", processing::to_jsonl(&evidence.journals));
    let transactions = ("transactions.jsonl", transactions::to_jsonl(&evidence.transactions));
    let pipelines = ("pipelines.jsonl", transactions::to_jsonl(&evidence.pipelines));
    let optional = [
        (!evidence.pipelines.is_empty()).then_some(pipelines),
        (!evidence.journals.is_empty()).then_some(processing),
        (!evidence.transactions.is_empty()).then_some(transactions),
        evidence.effects.as_ref().map(|effects| ("effects.jsonl", effects::to_jsonl(effects))),
    ];
    for (name, text) in files.into_iter().chain(optional.into_iter().flatten()) {
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}
