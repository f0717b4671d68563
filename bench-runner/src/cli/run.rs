//! `run FILE…`: check, plan, measure, report. The exit code is decided here from what is stored.

use super::endpoints::endpoints;
use super::exit::{Exit, Failure};
use super::output;
use crate::cluster::{ClusterError, Provider};
use crate::run::{self, Orders, RunError};
use crate::{report, store};
use bench_model::fault::FaultStep;
use bench_model::plan::Plan;
use bench_model::result::{CellResult, Expectation, Outcome};
use std::path::{Path, PathBuf};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    profiles: super::profiles::Args,
    /// Measure an existing cluster (plaintext) instead of starting a local one
    #[arg(long, value_name = "HOST:PORT,…", value_parser = endpoints, conflicts_with_all = ["mock", "kafka_home"])]
    bootstrap_server: Option<String>,
    /// Use librdkafka's mock cluster: a smoke test, not Kafka, no durability claim
    #[arg(long)]
    mock: bool,
    /// Trouble for the mock cluster to make: an argument of the verb `mock-cluster` (tests of the verdict)
    #[arg(long, hide = true, requires = "mock", allow_hyphen_values = true)]
    mock_trouble: Vec<String>,
    /// Unpacked Kafka distribution for the local cluster (default: the pinned version from Maven, cached)
    #[arg(long, value_name = "DIR", conflicts_with = "mock")]
    kafka_home: Option<PathBuf>,
    /// Where results go
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Write the outcome as one JSON document (`-`: standard output)
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Hold every replica against Kafka's own log dump, too (local cluster; otherwise only where a promise is violated unexpectedly)
    #[arg(long, conflicts_with_all = ["mock", "bootstrap_server"])]
    oracle: bool,
    /// Keep the topics of the run
    #[arg(long)]
    keep_topics: bool,
    /// Keep the data directory of the local cluster
    #[arg(long)]
    keep_cluster_data: bool,
}

/// Runs the plan and renders its report.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let (profiles, plan) = super::profiles::load(&args.profiles)?;
    let provider = match &args.bootstrap_server {
        Some(bootstrap) => Provider::External { bootstrap: bootstrap.clone() },
        None if args.mock => Provider::Mock { trouble: args.mock_trouble.clone() },
        None => Provider::Local { kafka_home: args.kafka_home.clone() },
    };
    refuse_faults(&plan, &provider)?;
    refuse_places(args)?;
    let orders = Orders {
        profiles,
        plan,
        provider,
        results: args.results.clone(),
        keep_topics: args.keep_topics,
        oracle: args.oracle,
        keep_cluster_data: args.keep_cluster_data,
        command: std::env::args().collect(),
    };
    let outcomes = run::run(&orders).map_err(failure)?;
    if outcomes.cells.is_empty() {
        output::tell("interrupted before the first cell was finished; nothing to report");
        return Ok(exit_of(&outcomes.cells, outcomes.interrupted));
    }
    let stored = store::load(&outcomes.directory)?;
    report::render(&stored, &outcomes.directory).map_err(|error| Failure::new(Exit::Failure, error))?;
    let to_stdout = args.summary.as_deref() == Some(Path::new("-"));
    let view = report::terminal(&stored);
    if to_stdout {
        output::tell(&view);
    } else {
        output::line(&view)?;
    }
    if let Some(path) = &args.summary {
        write_summary(path, &stored)?;
    }
    output::tell(&format!("report: {}", outcomes.directory.join("report.html").display()));
    let exit = exit_of(&outcomes.cells, outcomes.interrupted);
    if let Some(why) = why(exit, &outcomes.cells) {
        output::tell(&why);
    }
    Ok(exit)
}

/// Most faults are signals to processes of this machine; better refused now than "not injected" later.
fn refuse_faults(plan: &Plan, provider: &Provider) -> Result<(), Failure> {
    let (is_refused, what): (fn(&FaultStep) -> bool, _) = match provider {
        Provider::Local { .. } => return Ok(()),
        // Proxies can stand before any cluster.
        Provider::External { .. } => {
            (|step| !step.action.is_at_proxy(), "faults other than those at proxies")
        }
        Provider::Mock { .. } => (|_| true, "faults"),
    };
    let Some(cell) = plan.cells.iter().find(|cell| cell.faults.iter().any(is_refused)) else { return Ok(()) };
    let advice = "leave the fault out, or run it on the local cluster (no --mock, no --bootstrap-server)";
    let report = miette::miette!(
        help = advice,
        "cell {} has {what}, which need broker processes of this machine",
        cell.id
    );
    Err(Failure::new(Exit::Cluster, report))
}

/// Tried before the cluster starts: minutes later it would cost the run.
fn refuse_places(args: &Args) -> Result<(), Failure> {
    let probe = args.results.join(format!(".bench-runner-probe-{}", std::process::id()));
    std::fs::create_dir_all(&args.results)
        .and_then(|()| std::fs::write(&probe, ""))
        .and_then(|()| std::fs::remove_file(&probe))
        .map_err(|error| {
            let help = "give a directory that can be written to: --results DIR";
            let place = args.results.display();
            Failure::new(
                Exit::Usage,
                miette::miette!(help = help, "results cannot be written to {place}: {error}"),
            )
        })?;
    let Some(file) = args.summary.as_deref().filter(|file| *file != Path::new("-")) else { return Ok(()) };
    let parent = file.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    if !parent.is_dir() || file.is_dir() {
        let help = "give a file in a directory that exists: --summary FILE, or - for standard output";
        let report = miette::miette!(help = help, "the summary cannot be written to {}", file.display());
        return Err(Failure::new(Exit::Usage, report));
    }
    Ok(())
}

fn write_summary(path: &Path, stored: &store::StoredRun) -> Result<(), Failure> {
    let text = format!("{:#}\n", report::summary(stored));
    if path == Path::new("-") {
        return output::print(&text);
    }
    std::fs::write(path, text)
        .map_err(|error| Failure::new(Exit::Failure, miette::miette!("{}: {error}", path.display())))
}

fn failure(error: RunError) -> Failure {
    match error {
        RunError::Cluster(error @ ClusterError::Unfit { .. }) => Failure::new(Exit::Cluster, error),
        RunError::Cluster(error) => Failure::new(Exit::Failure, error),
        RunError::Store(error) => Failure::new(Exit::Failure, error),
        other => Failure::new(Exit::Failure, miette::miette!("{other}")),
    }
}

/// Why the code is not 0, for who sees a failed command at the end of a good report.
fn why(exit: Exit, results: &[CellResult]) -> Option<String> {
    let what = match exit {
        Exit::Ok => return None,
        Exit::GeneratorBound => {
            "the load generator was late there, so the latencies of these cells are compared with nothing; all \
             others hold, and so do all books. On a small or busy machine: close other programs, lower load.rate, \
             raise `warm` in [cluster], or run again"
        }
        Exit::Inconclusive => "no verdict was possible there, or a fault was not proven; the report says why",
        Exit::Violation => {
            "a promise was broken or an expectation not met there; see \"What became of the records\""
        }
        Exit::Failure => {
            "the books do not balance there, or it could not be carried out; the report says how, and the cell keeps \
             all files"
        }
        Exit::Interrupted => "interrupted; what was finished is kept",
        Exit::Usage | Exit::Profile | Exit::Cluster => return None,
    };
    let cells: Vec<&str> = results
        .iter()
        .filter(|result| of_cell(result) == exit)
        .map(|result| result.cell.id.as_str())
        .collect();
    let cells = if cells.is_empty() { String::new() } else { format!(" ({})", cells.join(", ")) };
    Some(format!("exit code {}{cells}: {what}", exit as u8))
}

/// What one stored result says about the exit code.
fn of_cell(result: &CellResult) -> Exit {
    match result.outcome {
        Outcome::Void | Outcome::CouldNotStart => Exit::Failure,
        Outcome::NotInjected if result.has_unexpected_violation() => Exit::Violation,
        // Of a topic that was deleted on purpose no verdict is possible, and all that was expected was seen.
        Outcome::Inconclusive if result.expectation == Expectation::Met => Exit::Ok,
        Outcome::Inconclusive | Outcome::NotInjected => Exit::Inconclusive,
        Outcome::Interrupted => Exit::Interrupted,
        Outcome::Finished => {
            let generator_bound = result.caveats.iter().any(|caveat| caveat.kind == "generator-bound");
            match result.expectation {
                Expectation::Unmet => Exit::Violation,
                _ if result.has_unexpected_violation() => Exit::Violation,
                _ if generator_bound => Exit::GeneratorBound,
                _ => Exit::Ok,
            }
        }
    }
}

/// What stored results say about the exit code, by the table in `docs/method.md`.
pub fn exit_of(results: &[CellResult], interrupted: bool) -> Exit {
    let start = if interrupted { Exit::Interrupted } else { Exit::Ok };
    results.iter().map(of_cell).fold(start, Exit::and)
}
