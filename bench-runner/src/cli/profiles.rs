//! Profiles from files to a plan: the first step of `check`, `plan` and `run`, and the same one.

use super::controls;
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
    /// Override a key in every profile, e.g. `load.rate=5k/s`, or in one of several: `quickstart:load.rate=5k/s`
    #[arg(long = "set", value_name = "[PROFILE:]KEY=VALUE", value_parser = override_of)]
    overrides: Vec<Override>,
    /// Every cell so many times: overrides `repeats` in every profile
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeat: Option<u16>,
}

/// One `--set`.
#[derive(Debug, Clone)]
struct Override {
    /// The file's name without `.toml`; `None`: every profile.
    profile: Option<String>,
    /// `key=value`.
    text: String,
}

fn override_of(text: &str) -> Result<Override, String> {
    const WRITE: &str = "write KEY=VALUE like load.rate=5k/s, or PROFILE:KEY=VALUE";
    let (path, value) = text.split_once('=').ok_or(WRITE)?;
    let (profile, key) = match path.split_once(':') {
        Some((profile, key)) => (Some(profile.trim()), key.trim()),
        None => (None, path.trim()),
    };
    if key.is_empty() || profile.is_some_and(str::is_empty) {
        return Err(WRITE.into());
    }
    let text = if profile.is_some() { format!("{key}={value}") } else { text.to_owned() };
    Ok(Override { profile: profile.map(str::to_owned), text })
}

impl Files {
    fn names(&self) -> Vec<String> {
        let stem = |file: &PathBuf| file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        self.files.iter().map(stem).collect()
    }

    /// The overrides that reach the profile of this name.
    fn overrides(&self, name: &str) -> Vec<String> {
        let reach = |one: &&Override| one.profile.as_ref().is_none_or(|profile| profile == name);
        let repeats = self.repeat.map(|repeat| format!("repeats={repeat}"));
        self.overrides.iter().filter(reach).map(|one| one.text.clone()).chain(repeats).collect()
    }

    fn refuse_strangers(&self) -> Result<(), Failure> {
        let names = self.names();
        let stranger = |profile: &&String| !names.contains(profile);
        let Some(name) = self.overrides.iter().filter_map(|one| one.profile.as_ref()).find(stranger) else {
            return Ok(());
        };
        let help = format!("the profiles given are: {}", names.join(", "));
        let report = miette!(help = help, "--set {name}:…: no profile of this name was given");
        Err(Failure::new(Exit::Usage, report))
    }
}

/// Arguments that name profiles and cells.
// Verbs that have these have a group of the same name of their own.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Args {
    #[command(flatten)]
    files: Files,
    /// Only cells whose id or label contains this text, or matches it as a whole if it has a `*`
    #[arg(long, value_name = "PATTERN")]
    only: Vec<String>,
}

/// Of several profiles some are invalid: each with its problems.
#[derive(Debug, Error, Diagnostic)]
#[error("{} of {all} profiles {} not valid", .each.len(), if .each.len() == 1 { "is" } else { "are" })]
struct Invalid {
    all: usize,
    #[related]
    each: Vec<ProfileErrors>,
    #[help]
    help: Option<&'static str>,
}

/// Reads, validates and plans; every error names the place and what to write instead.
pub fn load(args: &Args) -> Result<(Vec<Profile>, Plan), Failure> {
    let mut profiles = read(&args.files)?;
    controls::add(&mut profiles)?;
    let plan = order(&profiles, &args.only)?;
    Ok((profiles, plan))
}

/// Reads and validates; the problems of all profiles are shown at once.
pub fn read(args: &Files) -> Result<Vec<Profile>, Failure> {
    args.refuse_strangers()?;
    let (mut valid, mut invalid) = (Vec::new(), Vec::new());
    for (path, own) in args.files.iter().zip(args.names()) {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let help = "name a profile, e.g. profiles/quickstart.toml";
            Failure::new(Exit::Profile, miette!(help = help, "could not read profile {name}: {error}"))
        })?;
        match profile::parse(&name, &text, &args.overrides(&own), &Offline) {
            Ok(profile) => valid.push(profile),
            Err(errors) => invalid.push(errors),
        }
    }
    let all = args.files.len();
    match invalid.len() {
        0 => Ok(valid),
        1 if all == 1 => Err(Failure::new(Exit::Profile, invalid.remove(0))),
        _ => {
            let help = invalid
                .iter()
                .any(ProfileErrors::has_override)
                .then_some("--set reaches every profile; for one of them write --set PROFILE:KEY=VALUE");
            Err(Failure::new(Exit::Profile, Invalid { all, each: invalid, help }))
        }
    }
}

/// Orders the cells that match `only` into one run.
pub fn order(profiles: &[Profile], only: &[String]) -> Result<Plan, Failure> {
    plan::build(profiles, only).map_err(|error| {
        let exit = match error {
            PlanError::Unmatched { .. } | PlanError::NoProfile | PlanError::SameName(_) => Exit::Usage,
            PlanError::Clusters { .. } | PlanError::OverLimit { .. } | PlanError::FilledAndCut { .. } => {
                Exit::Profile
            }
        };
        Failure::new(exit, error)
    })
}
