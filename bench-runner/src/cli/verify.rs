//! `verify RUN`: assesses the stored evidence of a run again and compares with what is stored, cell by cell and against
//! the plan. Needs no topic, changes no file.

use super::exit::{Exit, Failure};
use super::output;
use crate::run::revision;
use crate::store::{self, StoredCell, StoredRun};
use bench_model::assess::{self, Evidence, STATEMENTS, Statements};
use bench_model::latency::Set;
use bench_model::plan::Cell;
use bench_model::settings::CommitStrategy;
use bench_model::{effects, ledger, processing, reading, transactions};
use comfy_table::{Table, presets};
use std::path::{Path, PathBuf};

/// Stored by schema 1.0 without its workers' statements.
const WITHOUT_STATEMENTS: &str = "1.0";
/// Readings of a pipeline's output topic.
const OUTPUT: &str = "output.jsonl";

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory of a run, below results/
    run: PathBuf,
}

/// Assesses every cell again; fails when one differs, is missing, or was never planned.
pub fn verify(args: &Args) -> Result<Exit, Failure> {
    let run = store::load(&args.run)?;
    let mut rows: Vec<[String; 3]> = run.cells.iter().map(|cell| row(&run, cell)).collect();
    let stored = rows.len();
    let agreeing = rows.iter().filter(|[_, word, _]| word == "agrees").count();
    rows.extend(absent(&run));
    rows.extend(store::half_built(&args.run)?.into_iter().map(|name| {
        let what = "half a cell: the run goes on, or was killed while it built it";
        [name, "differs".to_owned(), what.to_owned()]
    }));
    let good = rows.iter().all(|[_, word, _]| ["agrees", "not run"].contains(&word.as_str()));
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["cell", "verify", "what"]).add_rows(rows);
    let planned = run.manifest.plan.len();
    output::line(&table.trim_fmt())?;
    output::line(&format!("{agreeing} of {stored} cells agree, {planned} were planned"))?;
    let (then, now) = (&run.manifest.revision, revision());
    if !good && *then != now {
        output::line(&format!(
            "made by bench-runner {then}, judged by {now}: what differs although no file was changed may be counted otherwise since"
        ))?;
    }
    Ok(if good { Exit::Ok } else { Exit::Failure })
}

fn row(run: &StoredRun, cell: &StoredCell) -> [String; 3] {
    let mut differs = place(run, cell);
    let what = match again(cell) {
        Ok(what) if differs.is_empty() => return [name(cell), "agrees".to_owned(), what],
        Ok(_) => differs,
        Err(more) => {
            differs.extend(more);
            differs
        }
    };
    [name(cell), "differs".to_owned(), what.join("\n")]
}

/// The name of the cell's directory.
fn name(cell: &StoredCell) -> String {
    cell.directory.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What is wrong with the cell as a part of this run.
fn place(run: &StoredRun, cell: &StoredCell) -> Vec<String> {
    let (manifest, result) = (&run.manifest, &cell.result);
    let mut wrong = Vec::new();
    if result.run != manifest.run {
        wrong.push(format!("result.json is of run {}, this one is {}", result.run, manifest.run));
    }
    if result.cell.id != name(cell) {
        wrong.push(format!("result.json is of cell {}", result.cell.id));
    }
    match manifest.plan.iter().find(|planned| planned.id == result.cell.id) {
        None => wrong.push("manifest.json plans no such cell".to_owned()),
        Some(planned) if *planned != result.cell => {
            wrong.push("the cell is not the one that manifest.json plans".to_owned());
        }
        Some(_) => {}
    }
    wrong
}

/// Planned cells that are not stored: the rest of an interrupted run, or a defect.
fn absent(run: &StoredRun) -> Vec<[String; 3]> {
    let is_stored = |planned: &Cell| run.cells.iter().any(|cell| cell.result.cell.id == planned.id);
    let manifest = &run.manifest;
    // Cells run in the order of the plan, so an interrupt leaves out the last ones only.
    let ran = manifest.plan.iter().rposition(is_stored).map_or(0, |last| last + 1);
    let of = |(index, planned): (usize, &Cell)| {
        let (word, what) = match () {
            () if manifest.interrupted && index >= ran => ("not run", "the run was interrupted before it"),
            () if manifest.ended.is_empty() && index >= ran => {
                ("missing", "the run never ended: it goes on, or it was killed")
            }
            () => ("missing", "planned and not stored"),
        };
        [planned.id.clone(), word.to_owned(), what.to_owned()]
    };
    manifest.plan.iter().enumerate().filter(|(_, planned)| !is_stored(planned)).map(of).collect()
}

/// What was assessed again, or everything that differs.
fn again(cell: &StoredCell) -> Result<String, Vec<String>> {
    let altered = cell.altered_evidence().map_err(|error| vec![error.to_string()])?;
    let mut differs: Vec<String> =
        altered.iter().map(|name| format!("{name}: not the file that was stored")).collect();
    let result = &cell.result;
    let mut note = String::new();
    if result.verdict.is_none() && !cell.directory.join("latency.hlog").exists() {
        differs.extend(assess::differences(result, None));
    } else {
        match read(cell) {
            Ok(read) => {
                differs.extend(read.differences(cell));
                if read.statements.is_none() {
                    note = "; throughput, cost and caveats rest on nothing stored (schema 1.0)".to_owned();
                }
            }
            Err(broken) => differs.extend(broken),
        }
    }
    match &result.verdict {
        _ if !differs.is_empty() => Err(differs),
        None => Ok("no verdict is stored, the evidence is unchanged".to_owned()),
        Some(stored) => Ok(format!("{} records, {} copies{note}", stored.records, stored.copies)),
    }
}

/// A cell's evidence, in memory.
struct Read {
    ledgers: Vec<ledger::Ledger>,
    readings: Vec<reading::LogReading>,
    output: Vec<reading::LogReading>,
    transactions: Vec<transactions::Transactions>,
    pipelines: Vec<transactions::Transactions>,
    journals: Vec<processing::Journal>,
    effects: Option<effects::Effects>,
    series: Set,
    statements: Option<Statements>,
}

impl Read {
    fn differences(&self, cell: &StoredCell) -> Vec<String> {
        let Read {
            ledgers,
            readings,
            output,
            transactions,
            pipelines,
            journals,
            effects,
            series,
            statements,
        } = self;
        let (effects, statements) = (effects.as_ref(), statements.as_ref());
        let evidence = Evidence {
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
        assess::differences(&cell.result, Some(evidence))
    }
}

/// Reads every file of evidence; each that is missing or torn is named.
fn read(cell: &StoredCell) -> Result<Read, Vec<String>> {
    let mut broken = Vec::new();
    let directory = &cell.directory;
    let ledgers = parse(directory, "ledger.jsonl", ledger::from_jsonl, &mut broken);
    let readings = parse(directory, "reading.jsonl", reading::from_jsonl, &mut broken);
    let transactions = match &cell.result.cell.settings.producer.transaction {
        None => Some(Vec::new()),
        Some(_) => parse(directory, "transactions.jsonl", transactions::from_jsonl, &mut broken),
    };
    let group = cell.result.cell.settings.group.as_ref();
    let pipelines = match group.is_some_and(|group| group.commit == CommitStrategy::Transaction) {
        false => Some(Vec::new()),
        true => parse(directory, "pipelines.jsonl", transactions::from_jsonl, &mut broken),
    };
    let journals = match &cell.result.cell.settings.group {
        None => Some(Vec::new()),
        Some(_) => parse(directory, "processing.jsonl", processing::from_jsonl, &mut broken),
    };
    // Runs of before this was kept have none.
    let output = match cell.result.evidence.contains_key(OUTPUT) {
        false => Some(Vec::new()),
        true => parse(directory, OUTPUT, reading::from_jsonl, &mut broken),
    };
    let has_sink = cell.result.cell.settings.group.as_ref().is_some_and(|group| group.sink.is_some());
    let series = parse(directory, "latency.hlog", Set::from_text, &mut broken);
    let result = &cell.result;
    let without = result.schema == WITHOUT_STATEMENTS && !result.evidence.contains_key(STATEMENTS);
    let statements = if without {
        Some(None)
    } else {
        parse(directory, STATEMENTS, Statements::from_json, &mut broken).map(Some)
    };
    let is_read = |statements: &Statements| statements.unread_sink.is_none();
    let has_rows = has_sink && statements.as_ref().is_none_or(|said| said.as_ref().is_none_or(is_read));
    let effects =
        if has_rows { parse(directory, "effects.jsonl", effects::from_jsonl, &mut broken) } else { None };
    if has_rows && effects.is_none() {
        return Err(broken);
    }
    match (ledgers, readings.zip(output), transactions.zip(pipelines), journals, series, statements) {
        (
            Some(ledgers),
            Some((readings, output)),
            Some((transactions, pipelines)),
            Some(journals),
            Some(series),
            Some(statements),
        ) => Ok(Read {
            ledgers,
            readings,
            output,
            transactions,
            pipelines,
            journals,
            effects,
            series,
            statements,
        }),
        _ => Err(broken),
    }
}

fn parse<T, E: std::fmt::Display>(
    directory: &Path,
    name: &str,
    parse: impl Fn(&str) -> Result<T, E>,
    broken: &mut Vec<String>,
) -> Option<T> {
    let text = std::fs::read_to_string(directory.join(name)).map_err(|error| error.to_string());
    match text.and_then(|text| parse(&text).map_err(|error| error.to_string())) {
        Ok(parsed) => Some(parsed),
        Err(why) => {
            broken.push(format!("{name}: {why}"));
            None
        }
    }
}
