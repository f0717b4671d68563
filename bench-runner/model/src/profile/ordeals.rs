//! What a cell goes through: deaths of workers, kills by the supervisor, members that join, faults of brokers. One door for all.

use super::draft::Draft;
use super::problems::{Place, Problems};
use super::section::Section;
use super::{deaths, faults, kills};
use crate::fault::{Death, End, FaultStep, Join, KillAsk, Victim};
use crate::settings::{Arrival, ClusterAsk};

/// Every entry of the profile.
pub(super) struct Planned {
    deaths: Vec<deaths::Planned>,
    kills: Vec<kills::Planned>,
    faults: Vec<faults::Planned>,
}

/// Those of one cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ordeals {
    pub deaths: Vec<Death>,
    pub kills: Vec<KillAsk>,
    pub joins: Vec<Join>,
    pub faults: Vec<FaultStep>,
}

impl Planned {
    /// Reads all entries; `group`: there is one.
    pub fn read(root: &mut Section<'_>, group: bool, problems: &Problems) -> Self {
        Planned {
            deaths: deaths::deaths(root, group, problems),
            kills: kills::kills(root, group, problems),
            faults: faults::faults(root, problems),
        }
    }

    /// What the workers of a cell go through.
    pub fn of(&self, draft: &Draft) -> Ordeals {
        Ordeals {
            deaths: deaths::of(&self.deaths, draft),
            kills: kills::kills_of(&self.kills, draft),
            joins: kills::joins_of(&self.kills, draft),
            faults: faults::of(&self.faults, draft),
        }
    }

    /// Notes what is wrong with those of a cell that can run.
    pub fn check(&mut self, draft: &Draft, cluster: &ClusterAsk, label: &str, problems: &Problems) {
        deaths::check(&mut self.deaths, draft, label, problems);
        kills::check(&mut self.kills, draft, label, problems);
        faults::check(&mut self.faults, draft, cluster, label, problems);
    }

    /// Notes entries that no cell has, and names of fault timelines that no step has.
    pub fn check_used(&self, timelines: &[(String, Place)], problems: &Problems) {
        deaths::check_used(&self.deaths, problems);
        kills::check_used(&self.kills, problems);
        faults::check_used(&self.faults, timelines, problems);
    }
}

impl Ordeals {
    /// Why a cell cannot have them, if so.
    pub fn impossible(&self, draft: &Draft) -> Option<String> {
        let producer = self.deaths.iter().any(|death| death.worker == Victim::Producer)
            || self.kills.iter().any(|kill| kill.worker == Victim::Producer);
        if producer && draft.load.arrival == Arrival::Max {
            return Some(
                "a producer that dies needs a rate: at full speed nobody knows what was due meanwhile".into(),
            );
        }
        let (members, producers): (Vec<Death>, Vec<Death>) =
            self.deaths.iter().copied().partition(|death| death.worker == Victim::Member);
        if let Some(reason) = deaths::impossible_for(&producers, &draft.producer) {
            return Some(reason);
        }
        for (worker, whom) in [(Victim::Member, "members"), (Victim::Producer, "producers")] {
            let dies = self.deaths.iter().any(|death| death.worker == worker)
                || worker == Victim::Member && !self.joins.is_empty();
            if dies && self.kills.iter().any(|kill| kill.worker == worker) {
                return Some(format!(
                    "a kill of {whom} and a death or join of {whom} disturb each other: one of them in a cell"
                ));
            }
        }
        let stops = members.iter().any(|death| death.end == End::Stop);
        if stops && !self.joins.is_empty() {
            return Some("a stopped member and a join disturb each other: one of them in a cell".into());
        }
        deaths::impossible(&members, draft.group.as_ref()?)
    }
}
