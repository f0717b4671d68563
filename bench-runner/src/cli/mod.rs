//! The command line: arguments, one file for each verb, and the exit codes.

mod check;
mod cluster;
mod controls;
mod endpoints;
mod exit;
mod mock_cluster;
mod output;
mod plan;
mod profiles;
mod report;
mod run;
mod topic;
mod verify;
mod worker;

use clap::{Parser, Subcommand};
use exit::Failure;
use std::process::ExitCode;

/// What does durability cost, and what does it buy? A load and fault harness for Kafka.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Carries out the plan of one or more profiles and renders the report.
    Run(run::Args),
    /// Validates profiles; every problem is shown with its place and what to write instead.
    Check(check::Args),
    /// Prints the cells in order with every effective setting, the topics, the estimated time and disk.
    Plan(plan::Args),
    /// Renders report.md, report.html, cells.csv and plots/ from stored results alone.
    Report(report::Args),
    /// Judges the stored evidence of a run again: exit 0 when all agrees with what is stored, 1 when not.
    Verify(verify::Args),
    /// One producer or reader of a cell (started by `run`; the contract is in docs/formats.md).
    #[command(hide = true)]
    Worker,
    /// Creates or deletes a topic (for scripts/client-cost).
    #[command(hide = true, subcommand)]
    Topic(topic::Act),
    /// Starts a local cluster and holds it (for scripts and tests).
    #[command(hide = true)]
    Cluster(cluster::Args),
    /// Librdkafka's mock cluster (started by `run --mock`).
    #[command(hide = true)]
    MockCluster(mock_cluster::Args),
}

/// Runs the verb that was asked for.
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Run(args) => run::run(&args),
        Verb::Check(args) => check::check(&args),
        Verb::Plan(args) => plan::plan(&args),
        Verb::Report(args) => report::report(&args),
        Verb::Verify(args) => verify::verify(&args),
        Verb::Worker => worker::worker(),
        Verb::Topic(act) => topic::topic(act),
        Verb::Cluster(args) => cluster::cluster(args),
        Verb::MockCluster(args) => mock_cluster::mock_cluster(args),
    };
    let exit = outcome.unwrap_or_else(|Failure { exit, report }| {
        output::tell(&format!("{report:?}"));
        exit
    });
    ExitCode::from(exit)
}
