//! `check`: validates profiles, by the same steps that `plan` and `run` begin with.

use super::exit::{Exit, Failure};
use super::output;
use super::profiles::{Files, order, read};
use bench_model::profile::counted;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    profiles: Files,
}

/// Validates each profile for itself and prints a line for each.
pub fn check(args: &Args) -> Result<Exit, Failure> {
    for (profile, file) in read(&args.profiles)?.iter().zip(&args.profiles.files) {
        let plan = order(std::slice::from_ref(profile), &[])?;
        let skipped = match plan.skipped.len() as u64 {
            0 => String::new(),
            count => format!(", {} skipped", counted(count, "impossible combination")),
        };
        let (cells, time) = (counted(plan.cells.len() as u64, "cell"), minutes(plan.estimate.cells_ns));
        output::line(&format!("{}: valid, {cells} in about {time}{skipped}", file.display()))?;
    }
    Ok(Exit::Ok)
}

/// An estimated time in minutes and seconds.
pub fn minutes(duration_ns: u64) -> String {
    let seconds = duration_ns.div_ceil(1_000_000_000);
    if seconds < 120 { format!("{seconds} s") } else { format!("{} min {} s", seconds / 60, seconds % 60) }
}
