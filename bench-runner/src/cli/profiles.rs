//! Profiles from files to a plan: the first step of `check`, `plan` and `run`, and the same one.

use super::exit::{Exit, Failure};
use crate::kafka::offline::Offline;
use bench_model::plan::{self, Plan, PlanError};
use bench_model::profile::{self, Profile, ProfileErrors};
use miette::{Diagnostic, miette};
use std::path::PathBuf;
use thiserror::Error;

/// Arguments that name profiles.
#[derive(Debug, clap::Args)]
pub struct Files {
    /// Profiles; several make one run and one report
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Override a key in every profile, e.g. `load.rate=5k/s`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

/// Arguments that name profiles and cells.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    files: Files,
    /// Only cells whose id or label contains this text, or matches it as a whole if it has a `*`
    #[arg(long, value_name = "PATTERN")]
    only: Vec<String>,
}

/// Several profiles are invalid: each with its problems.
#[derive(Debug, Error, Diagnostic)]
#[error("{} of the profiles are not valid", .each.len())]
struct Invalid {
    #[related]
    each: Vec<ProfileErrors>,
}

/// Reads, validates and plans; every error names the place and what to write instead.
pub fn load(args: &Args) -> Result<(Vec<Profile>, Plan), Failure> {
    let profiles = read(&args.files)?;
    let plan = order(&profiles, &args.only)?;
    Ok((profiles, plan))
}

/// Reads and validates; the problems of all profiles are shown at once.
pub fn read(args: &Files) -> Result<Vec<Profile>, Failure> {
    let (mut valid, mut invalid) = (Vec::new(), Vec::new());
    for path in &args.files {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let help = "name a profile, e.g. profiles/quickstart.toml";
            Failure::new(Exit::Profile, miette!(help = help, "could not read profile {name}: {error}"))
        })?;
        match profile::parse(&name, &text, &args.overrides, &Offline) {
            Ok(profile) => valid.push(profile),
            Err(errors) => invalid.push(errors),
        }
    }
    match invalid.len() {
        0 => Ok(valid),
        1 => Err(Failure::new(Exit::Profile, invalid.remove(0))),
        _ => Err(Failure::new(Exit::Profile, Invalid { each: invalid })),
    }
}

/// Orders the cells that match `only` into one run.
pub fn order(profiles: &[Profile], only: &[String]) -> Result<Plan, Failure> {
    plan::build(profiles, only).map_err(|error| {
        let exit = match error {
            PlanError::Unmatched { .. } | PlanError::NoProfile | PlanError::SameName(_) => Exit::Usage,
            PlanError::Clusters { .. } | PlanError::OverLimit { .. } => Exit::Profile,
        };
        Failure::new(exit, error)
    })
}
