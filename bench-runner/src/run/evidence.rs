//! Gathers what a cell left behind: ledgers, the independent reading, and the brokers' segment files.

use super::crew::Task;
use super::sinks::CellSink;
use super::{readlog, segments};
use crate::cluster::Cluster;
use crate::kafka::offsets::Ends;
use bench_model::effects::{self, Effects};
use bench_model::ids::BookKey;
use bench_model::ledger::{self, Ledger};
use bench_model::processing::{self, Journal};
use bench_model::reading::{self, LogReading, Source};
use bench_model::settings::CommitStrategy;
use bench_model::transactions::{self, Transactions};
use std::path::Path;

/// Evidence in memory, ready for the verdict.
pub struct Evidence {
    /// One for each life of each producer that got so far as to have one.
    pub ledgers: Vec<Ledger>,
    /// The independent reader first, then every replica's segments (or a second reading).
    pub readings: Vec<LogReading>,
    /// The same of a pipeline's output topic; empty without, or if it could not be read.
    pub output: Vec<LogReading>,
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
    (sink, output_ends): (Option<&CellSink>, &Result<Vec<Ends>, String>),
) -> Result<Evidence, String> {
    let read = match sink {
        Some(sink) => Some(sink.read(output_ends).await),
        None => None,
    };
    // What nobody could read says neither that rows are missing nor that they are there; all else is judged.
    let (effects, unread) = match read {
        Some(Err(why)) => (None, Some(why)),
        read => (read.and_then(Result::ok), None),
    };
    let readings = match ends {
        Ok(ends) => {
            let of = (task.topic, task.book, task.transaction_capacity > 0);
            witnesses(cluster, task.bootstrap, of, ends).await?
        }
        Err(_) => Vec::new(),
    };
    let output = match (task.output(), output_ends) {
        (Some((topic, book)), Ok(ends)) if effects.is_some() => {
            let commit = task.group.as_ref().map(|group| group.settings.commit);
            let in_transactions = commit == Some(CommitStrategy::Transaction);
            witnesses(cluster, task.bootstrap, (topic, book, in_transactions), ends).await?
        }
        _ => Vec::new(),
    };
    Ok(Evidence { ledgers, readings, output, transactions, pipelines, journals, effects, unread })
}

/// What every witness shows of a topic: the reader, also at read_committed if it holds transactions, and every replica's segments
/// or a second reading.
async fn witnesses(
    cluster: &Cluster,
    bootstrap: &str,
    (topic, book, transactional): (&str, BookKey, bool),
    ends: &[Ends],
) -> Result<Vec<LogReading>, String> {
    let (bootstrap, topic, ends) = (bootstrap.to_owned(), topic.to_owned(), ends.to_vec());
    let directories = cluster.log_directories();
    // Reading blocks for as long as the log is long; it has a thread of its own and spawns no process.
    tokio::task::spawn_blocking(move || {
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
        Ok(readings)
    })
    .await
    .map_err(|error| error.to_string())?
}

/// Leaves the evidence in the cell's directory, in the form that `verify` reads.
pub fn store(evidence: &Evidence, directory: &Path) -> Result<(), String> {
    let files = [
        ("ledger.jsonl", ledger::to_jsonl(&evidence.ledgers)),
        ("reading.jsonl", reading::to_jsonl(&evidence.readings)),
    ];
    let output = ("output.jsonl", reading::to_jsonl(&evidence.output));
    let processing = ("processing.jsonl", processing::to_jsonl(&evidence.journals));
    let transactions = ("transactions.jsonl", transactions::to_jsonl(&evidence.transactions));
    let pipelines = ("pipelines.jsonl", transactions::to_jsonl(&evidence.pipelines));
    let optional = [
        (!evidence.output.is_empty()).then_some(output),
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
