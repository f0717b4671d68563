//! `report RUN`: renders the report again from what is stored.

use super::exit::{Exit, Failure};
use super::output;
use crate::{report as room, store};
use std::path::PathBuf;

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory of a run, below results/
    run: PathBuf,
}

/// Writes report.md, report.html, cells.csv and plots/ beside the results, and prints the tables.
pub fn report(args: &Args) -> Result<Exit, Failure> {
    let run = store::load(&args.run)?;
    room::render(&run, &args.run).map_err(|error| Failure::new(Exit::Failure, error))?;
    output::line(&room::terminal(&run))?;
    for line in room::damaged(&run) {
        output::tell(&line);
    }
    output::tell(&format!("report: {}", args.run.join("report.html").display()));
    Ok(Exit::Ok)
}
