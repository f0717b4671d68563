//! `verify RUN`: judges the stored evidence of a run again and compares with what is stored. Needs no topic, changes no
//! file.

use super::exit::{Exit, Failure};
use crate::store::{self, StoredCell};
use bench_model::{ledger, reading, verdict};
use comfy_table::{Table, presets};
use std::path::PathBuf;

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory of a run, below results/
    run: PathBuf,
}

/// Judges every cell again; fails when one differs.
pub fn verify(args: &Args) -> Result<Exit, Failure> {
    let run = store::load(&args.run).map_err(|error| Failure::new(Exit::Failure, error))?;
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["cell", "verify", "what"]);
    let mut differing = 0;
    for cell in &run.cells {
        let (word, what) = match again(cell) {
            Ok(what) => ("agrees", vec![what]),
            Err(what) => {
                differing += 1;
                ("differs", what)
            }
        };
        table.add_row([cell.result.cell.id.as_str(), word, &what.join("\n")]);
    }
    println!("{}", table.trim_fmt());
    println!("{} of {} cells agree", run.cells.len() - differing, run.cells.len());
    Ok(if differing == 0 { Exit::Ok } else { Exit::Failure })
}

/// What was judged again, or everything that differs.
fn again(cell: &StoredCell) -> Result<String, Vec<String>> {
    let altered = cell.altered_evidence().map_err(|error| vec![error.to_string()])?;
    let mut differs: Vec<String> =
        altered.iter().map(|name| format!("{name}: not the file that was stored")).collect();
    if let Some(stored) = &cell.result.verdict {
        match judge(cell, stored) {
            Ok(judged) => differs.extend(stored.differences(&judged)),
            Err(what) => differs.push(what),
        }
    }
    match &cell.result.verdict {
        _ if !differs.is_empty() => Err(differs),
        None => Ok("no verdict is stored, the evidence is unchanged".to_owned()),
        Some(stored) => Ok(format!("{} records, {} copies", stored.records, stored.copies)),
    }
}

fn judge(cell: &StoredCell, stored: &verdict::Verdict) -> Result<verdict::Verdict, String> {
    let text = |name: &str| {
        let path = cell.directory.join(name);
        std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))
    };
    let ledgers =
        ledger::from_jsonl(&text("ledger.jsonl")?).map_err(|error| format!("ledger.jsonl: {error}"))?;
    let readings =
        reading::from_jsonl(&text("reading.jsonl")?).map_err(|error| format!("reading.jsonl: {error}"))?;
    let drained = stored.undrained.clone().map_or(Ok(()), Err);
    let settings = &cell.result.cell.settings;
    Ok(verdict::judge(settings, &cell.result.faults, &ledgers, &readings, drained))
}
