//! From what workers and evidence say to the stored result of a cell; what the figures mean is the model's business.

use super::cell::Observed;
use super::evidence::Evidence;
use bench_model::assess::{self, STATEMENTS};
use bench_model::latency::Set;
use bench_model::result::CellResult;
use bench_model::visibility::{self, VISIBLE, Visible};
use std::path::{Path, PathBuf};

/// Fills in everything that was observed; the merged series and the statements are left in `directory`.
pub fn fill(
    result: &mut CellResult,
    observed: Observed,
    evidence: &Evidence,
    lives: &[PathBuf],
    directory: &Path,
) -> Result<(), String> {
    let Observed { mut statements, faults, client_settings, errors } = observed;
    result.faults = faults;
    result.client_settings = client_settings;
    result.errors.extend(errors);
    let mut series = series(lives, &directory.join("workers"))?;
    if !evidence.transactions.is_empty() {
        let path = directory.join("workers").join("reader").join(VISIBLE);
        let visible = match std::fs::read_to_string(&path) {
            Ok(text) => {
                visibility::from_json(&text).map_err(|error| format!("{}: {error}", path.display()))?
            }
            // The reader was shown nothing.
            Err(_) => Visible::new(),
        };
        let ends = (statements.t0_ns, statements.reader.ended_ns);
        let seconds = result.cell.settings.load.seconds();
        let series_of = visibility::begin_to_visible(&evidence.transactions, &visible, ends, seconds);
        series.insert("visible", series_of);
    }
    statements.unread_sink.clone_from(&evidence.unread);
    statements.cut_off_killed(&mut series, &result.cell, &evidence.ledgers);
    statements.censor_undelivered(&mut series);
    statements.censor_unprocessed(&mut series, &result.cell, &evidence.ledgers, &evidence.journals);
    for (name, text) in [("latency.hlog", series.to_text()), (STATEMENTS, statements.to_json())] {
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let Evidence { ledgers, readings, transactions, pipelines, journals, effects, unread: _ } = evidence;
    let (effects, statements, series) = (effects.as_ref(), Some(&statements), &series);
    let evidence = assess::Evidence {
        ledgers,
        readings,
        transactions,
        pipelines,
        journals,
        effects,
        series,
        statements,
    };
    assess::assess(result, evidence);
    Ok(())
}

/// All series of the cell: the reader's, and those of producers' and members' lives, merged. A life that was killed leaves
/// none; what that means for its records is the model's business.
fn series(lives: &[PathBuf], workers: &Path) -> Result<Set, String> {
    let read = |name: &Path| {
        let path = workers.join(name).join("latency.hlog");
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Set::from_text(&text).map_err(|error| format!("{}: {error}", path.display()))
    };
    let mut set = read("reader".as_ref())?;
    for life in lives.iter().filter(|life| workers.join(life).join("latency.hlog").exists()) {
        set.merge(&read(life)?);
    }
    Ok(set)
}
