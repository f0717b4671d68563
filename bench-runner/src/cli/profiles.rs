//! Profiles from files to a plan: the first step of `check`, `plan` and `run`, and the same one.

use super::exit::{Exit, Failure};
use bench_model::plan::{self, Plan};
use bench_model::profile::{self, Profile};
use std::path::PathBuf;

/// Arguments that name profiles and cells.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Profiles; several make one run and one report
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Override a key in every profile, e.g. `load.rate=5k/s`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Only cells whose id or label matches (`*` is a wildcard)
    #[arg(long, value_name = "PATTERN")]
    only: Vec<String>,
}

/// Reads, validates and plans; every error names the place and what to write instead.
pub fn load(args: &Args) -> Result<(Vec<Profile>, Plan), Failure> {
    let mut profiles = Vec::new();
    for path in &args.files {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::new(Exit::Profile, miette::miette!("could not read profile {name}: {error}"))
        })?;
        let parsed = profile::parse(&name, &text, &args.overrides);
        profiles.push(parsed.map_err(|errors| Failure::new(Exit::Profile, errors))?);
    }
    let plan = plan::build(&profiles, &args.only).map_err(|error| Failure::new(Exit::Profile, error))?;
    Ok((profiles, plan))
}
