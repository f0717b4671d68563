//! Matrix to ordered cells: stable ids, skipped combinations with their reason, estimates, limits.

mod cluster;
mod draw;
mod effective;
mod estimate;
mod limits;
mod order;
mod select;

pub use estimate::{Assumptions, Estimate};
pub use limits::Limits;

use crate::fault::{Action, Death, FaultStep, Join, Kill};
use crate::profile::Profile;
use crate::settings::{CellSettings, ClusterAsk};
use miette::Diagnostic;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// One complete experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Unique in the run and fit for a directory name, e.g. `quickstart.acks-1.r0`.
    pub id: String,
    /// The profile it comes from.
    pub profile: String,
    /// What distinguishes it within its profile, e.g. `acks=1, retries=0`; equal over repeats.
    pub label: String,
    /// The axis values behind the label.
    pub axes: BTreeMap<String, String>,
    /// Which repeat, from 0.
    pub repeat: u16,
    /// The A/A copy of the profile's first cell.
    pub again: bool,
    /// Seed of payload and arrival process.
    pub seed: u64,
    /// Effective settings.
    pub settings: CellSettings,
    /// The fault timeline; empty: no fault.
    pub faults: Vec<FaultStep>,
    /// Where member 0 of the group and producer 0 end themselves, one entry for each of their lives; empty: they live on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deaths: Vec<Death>,
    /// Kills of workers by the supervisor, in the order of their instants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kills: Vec<Kill>,
    /// Members that join while the group works.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joins: Vec<Join>,
    /// What must be observed, exactly: tally name to count.
    pub expect: BTreeMap<String, u64>,
}

/// A combination that was not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The profile.
    pub profile: String,
    /// What it would have been.
    pub label: String,
    /// Why not.
    pub reason: String,
}

/// All cells of a run, in the order of execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// In the order of execution.
    pub cells: Vec<Cell>,
    /// Combinations that cannot be.
    pub skipped: Vec<Skipped>,
    /// What all profiles ask of the one cluster.
    pub cluster: ClusterAsk,
    /// What the run will take.
    pub estimate: Estimate,
    /// What it may take at most.
    pub limits: Limits,
}

impl Plan {
    /// The brokers' data lie in memory, so that disks can be filled.
    pub fn fills_disks(&self) -> bool {
        self.cells.iter().any(|cell| cell.has_step(Action::FillDisk))
    }
}

/// Why there can be no plan.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
pub enum PlanError {
    /// No profile was given.
    #[error("no profile was given")]
    #[diagnostic(help("name at least one profile, e.g. profiles/quickstart.toml"))]
    NoProfile,
    /// Cell ids would clash.
    #[error("two profiles are named {0}")]
    #[diagnostic(help("give one of them another name, e.g. by --set name=… in a run of its own"))]
    SameName(String),
    /// One run has one cluster.
    #[error("profiles {first} and {other} ask for different clusters: {what}")]
    #[diagnostic(help("make [cluster] the same in both, or run them one after the other"))]
    Clusters {
        /// A profile.
        first: String,
        /// Another one.
        other: String,
        /// What differs, with both values.
        what: String,
    },
    /// `--only` selects nothing.
    #[error("--only {pattern} matches no cell")]
    #[diagnostic(help("the cells are:\n{ids}"))]
    Unmatched {
        /// As given.
        pattern: String,
        /// One line for each cell: id and label.
        ids: String,
    },
    /// A power cut needs data on a disk, and filling disks needs them in memory.
    #[error("{fills} fills a disk and {cuts} cuts the power: in one run they cannot be")]
    #[diagnostic(help(
        "run them one after the other: the brokers' data lie in memory where disks are filled, and what was flushed from there nobody can tell"
    ))]
    FilledAndCut {
        /// A cell.
        fills: String,
        /// Another one, or the same.
        cuts: String,
    },
    /// A limit is exceeded.
    #[error("the plan is over the limit of {what}: {arithmetic}")]
    #[diagnostic(help("{help}"))]
    OverLimit {
        /// Which limit.
        what: &'static str,
        /// Both sides.
        arithmetic: String,
        /// What to change.
        help: &'static str,
    },
}

/// Orders the cells of all profiles, one profile after another; `only` keeps those cells that match one of its patterns.
///
/// # Errors
/// See [`PlanError`].
pub fn build(profiles: &[Profile], only: &[String]) -> Result<Plan, PlanError> {
    let cluster = cluster::cluster(profiles)?;
    let mut names = BTreeSet::new();
    if let Some(profile) = profiles.iter().find(|profile| !names.insert(&profile.name)) {
        return Err(PlanError::SameName(profile.name.clone()));
    }
    let ordered: Vec<Vec<Cell>> = profiles.iter().map(order::blocks).collect();
    let kept = select::select(ordered, only)?;
    let cells: Vec<Cell> = profiles
        .iter()
        .zip(kept)
        .flat_map(|(profile, mut cells)| {
            let again = cells.first().filter(|_| profile.again).map(order::again);
            cells.extend(again);
            cells
        })
        .collect();
    let skipped = profiles.iter().flat_map(|profile| {
        profile.impossible.iter().map(|cell| Skipped {
            profile: profile.name.clone(),
            label: cell.label.clone(),
            reason: cell.reason.clone(),
        })
    });
    let first_with = |action| cells.iter().find(|cell| cell.has_step(action)).map(|cell| cell.id.clone());
    if let (Some(fills), Some(cuts)) = (first_with(Action::FillDisk), first_with(Action::PowerCut)) {
        return Err(PlanError::FilledAndCut { fills, cuts });
    }
    let limits = Limits::default();
    let estimate = Estimate::of(&cells, &cluster);
    limits.check(&cells, &estimate, &cluster)?;
    Ok(Plan { skipped: skipped.collect(), cells, cluster, estimate, limits })
}
