//! From what workers and evidence say to the stored result of a cell; what the figures mean is the model's business.

use super::cell::Observed;
use super::crew::OUTPUT_READER;
use super::evidence::Evidence;
use crate::cluster::Cluster;
use bench_model::assess::{self, STATEMENTS, Statements};
use bench_model::latency::Set;
use bench_model::result::CellResult;
use bench_model::visibility::{self, VISIBLE, Visible};
use std::path::{Path, PathBuf};

/// What the figures of a cell are made from, beside its evidence.
pub struct Measured {
    /// All series, merged.
    series: Set,
    /// What runner and workers said.
    statements: Statements,
}

/// Merges what was observed, and leaves in the result what needs no judgement.
pub fn measure(
    result: &mut CellResult,
    observed: Observed,
    evidence: &Evidence,
    lives: &[PathBuf],
    directory: &Path,
) -> Result<Measured, String> {
    let Observed { mut statements, faults, client_settings, errors } = observed;
    result.faults = faults;
    result.client_settings = client_settings;
    result.errors.extend(errors);
    let mut series = series(lives, &directory.join("workers"))?;
    let readers = [
        ("visible", &evidence.transactions, "reader", Some(&statements.reader)),
        ("output_visible", &evidence.pipelines, OUTPUT_READER, statements.output_reader.as_ref()),
    ];
    for (name, lives, reader, done) in readers {
        let Some(done) = done.filter(|_| !lives.is_empty()) else { continue };
        let visible = shown(&directory.join("workers").join(reader))?;
        let ends = (statements.t0_ns, done.ended_ns);
        let seconds = result.cell.settings.load.seconds();
        series.insert(name, visibility::begin_to_visible(lives, &visible, ends, seconds));
    }
    statements.unread_sink.clone_from(&evidence.unread);
    statements.cut_off_killed(&mut series, &result.cell, &evidence.ledgers);
    statements.censor_undelivered(&mut series, &result.cell);
    statements.censor_unprocessed(&mut series, &result.cell, &evidence.ledgers, &evidence.journals);
    Ok(Measured { series, statements })
}

impl Measured {
    /// Leaves the merged series and the statements in the cell's directory, in the form that `verify` reads.
    pub fn store(&self, directory: &Path) -> Result<(), String> {
        let files = [("latency.hlog", self.series.to_text()), (STATEMENTS, self.statements.to_json())];
        for (name, text) in files {
            let path = directory.join(name);
            std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(())
    }

    /// Adds Kafka's own dump of every replica, or says in the result why there is none.
    pub async fn dump(&mut self, cluster: &Cluster, topic: &str, result: &mut CellResult) {
        match cluster.dump(topic).await {
            Ok(dumps) => self.statements.dumps = dumps,
            Err(error) => result.errors.push(format!("Kafka's own log dump is missing: {error}")),
        }
    }

    /// Fills in everything that follows from it.
    pub fn assess(&self, result: &mut CellResult, evidence: &Evidence) {
        let Evidence { ledgers, readings, output, transactions, pipelines, journals, effects, unread: _ } =
            evidence;
        let (effects, statements, series) = (effects.as_ref(), Some(&self.statements), &self.series);
        let evidence = assess::Evidence {
            ledgers,
            readings,
            output,
            transactions,
            pipelines,
            journals,
            effects,
            series,
            statements,
        };
        assess::assess(result, evidence);
    }
}

/// When a reader was shown each transaction.
fn shown(reader: &Path) -> Result<Visible, String> {
    let path = reader.join(VISIBLE);
    match std::fs::read_to_string(&path) {
        Ok(text) => visibility::from_json(&text).map_err(|error| format!("{}: {error}", path.display())),
        // It was shown none.
        Err(_) => Ok(Visible::new()),
    }
}

/// All series of the cell: the readers', and those of producers' and members' lives, merged. A life that was killed leaves
/// none; what that means for its records is the model's business.
fn series(lives: &[PathBuf], workers: &Path) -> Result<Set, String> {
    let read = |name: &Path| {
        let path = workers.join(name).join("latency.hlog");
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Set::from_text(&text).map_err(|error| format!("{}: {error}", path.display()))
    };
    let mut set = read("reader".as_ref())?;
    let others = lives.iter().map(PathBuf::as_path).chain([Path::new(OUTPUT_READER)]);
    for life in others.filter(|life| workers.join(life).join("latency.hlog").exists()) {
        set.merge(&read(life)?);
    }
    Ok(set)
}
