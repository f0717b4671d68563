//! Matrix to ordered cells: stable ids, skipped combinations with their reason, estimates, limits.

use crate::fault::FaultStep;
use crate::settings::CellSettings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// What must be observed, exactly: tally name to count.
    pub expect: BTreeMap<String, u64>,
}
