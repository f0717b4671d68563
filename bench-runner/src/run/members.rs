//! A cell's consumer group as such: who joins it late, who stands still and is continued, and whether everything is processed.

use super::crew::{CrewError, Task};
use super::lives::{Life, Lives, evidence};
use crate::clock;
use crate::supervisor::{Crew, Signal};
use bench_model::fault::{Death, DeathRecord, End, JoinRecord, Marks, Victim};
use bench_model::ids::MemberId;
use bench_model::processing::{self, Entry, Journal, MARKS_BYTES};
use bench_model::settings::GroupSettings;
use bench_model::wire::{PipeSpec, SinkPlace};
use std::io::Read;
use std::path::Path;

/// A cell's consumer group.
#[derive(Debug, Clone)]
pub struct Group<'a> {
    /// Its settings.
    pub settings: &'a GroupSettings,
    /// Room of each journal.
    pub journal_entries: u64,
    /// Where its sink is, if it has one.
    pub sink: Option<SinkPlace>,
    /// How they write to it, where it is a topic.
    pub pipe: Option<PipeSpec>,
}

/// What the group goes through besides deaths.
#[derive(Debug, Default)]
pub struct Members {
    /// Joins as they happened.
    pub joins: Vec<JoinRecord>,
    /// A stopped member has not noticed yet what it lost.
    zombie: bool,
    /// A planned join has not changed the group yet.
    joining: bool,
}

impl Members {
    /// What is planned, so that nobody ends before it has happened.
    pub fn new(task: &Task<'_>) -> Self {
        let stops = |death: &Death| (death.worker, death.end) == (Victim::Member, End::Stop);
        let zombie = task.ordeals.deaths.iter().any(stops);
        Members { joins: Vec::new(), zombie, joining: !task.ordeals.joins.is_empty() }
    }

    /// Something happens here that no event tells of.
    pub fn is_watching(&self) -> bool {
        self.zombie || self.joining
    }

    /// Continues who has stood still for long enough, and lets join who is due. Not to be cancelled.
    pub async fn attend(
        &mut self,
        crew: &mut Crew,
        lives: &mut Lives,
        task: &Task<'_>,
        t0_ns: u64,
    ) -> Result<(), CrewError> {
        if self.zombie {
            self.zombie = watch_stopped(crew, lives, task, t0_ns);
        }
        if self.joining {
            self.join(crew, lives, task, t0_ns).await?;
        }
        Ok(())
    }

    async fn join(
        &mut self,
        crew: &mut Crew,
        lives: &mut Lives,
        task: &Task<'_>,
        t0_ns: u64,
    ) -> Result<(), CrewError> {
        let first = task.group.as_ref().map_or(0, |group| group.settings.members);
        let own = lives.of(Victim::Member).filter(|life| life.number == 0);
        let completed = own.filter_map(|life| marks(task.directory, life)).map(|(_, done)| done).sum();
        while let Some(join) = task.ordeals.joins.get(self.joins.len())
            && join.after <= completed
        {
            let member = MemberId(first.saturating_add(self.joins.len() as u16));
            let started_ns = clock::now_ns().saturating_sub(t0_ns);
            self.joins.push(JoinRecord { join: *join, member, completed, started_ns });
            lives.begin(crew, task, Victim::Member, member.0).await?;
        }
        let is_in = |done: &JoinRecord| {
            let mut own = lives.of(Victim::Member).filter(|life| life.number == done.member.0);
            own.any(|life| has_assignment_after(task.directory, life, 0))
        };
        self.joining = self.joins.len() < task.ordeals.joins.len() || !self.joins.iter().all(is_in);
        Ok(())
    }

    /// What is left to process, or to wait for; `None`: nothing.
    pub fn undrained(&self, lives: &Lives, workers: &Path, ends: &[i64]) -> Option<String> {
        lives.of(Victim::Member).next()?;
        for (waits, what) in [
            (lives.awaits_birth(), "a member is to live again"),
            (self.zombie, "a stopped member has not noticed that it lost its partitions"),
            (self.joining, "a member that joined late has no partition"),
        ] {
            if waits {
                return Some(what.to_owned());
            }
        }
        let living = lives.of(Victim::Member).filter(|life| !life.ended);
        let journals: Result<Vec<Journal>, String> =
            living.filter_map(|life| read(workers, life).transpose()).collect();
        match journals {
            Ok(journals) => processing::undrained(&journals, ends),
            Err(reason) => Some(reason),
        }
    }
}

/// Whoever still stands still is continued, so that it can be told to end.
pub fn continue_all(crew: &Crew, lives: &Lives) {
    for life in lives.of(Victim::Member).filter(|life| !life.ended && crew.is_stopped(life.worker)) {
        crew.signal(life.worker, Signal::Continue);
    }
}

/// The journals of all lives, in the order of their births.
pub fn journals(lives: &Lives, workers: &Path) -> Result<Vec<Journal>, String> {
    lives.of(Victim::Member).filter_map(|life| read(workers, life).transpose()).collect()
}

/// `None`: the life was killed before it had one.
fn read(workers: &Path, life: &Life) -> Result<Option<Journal>, String> {
    let found = evidence(workers, life, JOURNAL, processing::is_blank)?;
    let parse = |(path, bytes): (String, Vec<u8>)| {
        processing::parse(&bytes).map_err(|error| format!("{path}: {error}"))
    };
    found.map(parse).transpose()
}

const JOURNAL: &str = "journal.bin";

/// Records begun and completed so far, from the front of a journal that is being written.
fn marks(workers: &Path, life: &Life) -> Option<(u64, u64)> {
    let mut front = [0; MARKS_BYTES];
    let mut file = std::fs::File::open(workers.join(life.directory()).join(JOURNAL)).ok()?;
    file.read_exact(&mut front).ok()?;
    processing::marks(&front)
}

/// The journal of a member that stands still.
fn stood_still(workers: &Path, life: &Life, t0_ns: u64) -> Option<Marks> {
    let Journal { begun, completed, entries, .. } = read(workers, life).ok().flatten()?;
    let last_ns = entries.iter().map(Entry::last_ns).max()?.saturating_sub(t0_ns);
    Some(Marks { begun, completed, last_ns })
}

fn has_assignment_after(workers: &Path, life: &Life, after_ns: u64) -> bool {
    let entries = read(workers, life).ok().flatten().map(|journal| journal.entries).unwrap_or_default();
    entries.iter().any(|entry| matches!(entry, Entry::Assigned(moved) if moved.at_ns >= after_ns))
}

/// Sees the planned stop, continues the member when it is time, and says whether there is still something to watch.
fn watch_stopped(crew: &Crew, lives: &mut Lives, task: &Task<'_>, t0_ns: u64) -> bool {
    let stops = |life: &&Life| life.death.is_some_and(|death| death.end == End::Stop);
    let Some(life) = lives.of(Victim::Member).find(stops) else {
        return lives.of(Victim::Member).any(|life| !life.ended);
    };
    let Some(death) = life.death else { return false };
    let now_ns = clock::now_ns().saturating_sub(t0_ns);
    let of_life = |seen: &DeathRecord| {
        seen.death.worker == Victim::Member
            && (seen.member.0, seen.incarnation) == (life.number, life.incarnation)
    };
    let Some(seen) = lives.deaths.iter().find(|seen| of_life(seen)).cloned() else {
        if !life.ended && crew.is_stopped(life.worker) {
            let record = DeathRecord {
                death,
                member: MemberId(life.number),
                incarnation: life.incarnation,
                seen_ns: now_ns,
                exit: "state T (stopped)".to_owned(),
                as_planned: true,
                marks: stood_still(task.directory, life, t0_ns),
                continued_ns: None,
                taken_ns: None,
                transaction_errors: Default::default(),
            };
            lives.deaths.push(record);
            return true;
        }
        return !life.ended;
    };
    match seen.continued_ns {
        Some(continued_ns) => {
            let after_ns = t0_ns + continued_ns;
            let noticed = read(task.directory, life).ok().flatten().is_some_and(|journal| {
                let lost = |entry: &Entry| matches!(entry, Entry::Lost(moved) if moved.at_ns >= after_ns);
                journal.entries.iter().any(lost)
            });
            !noticed && !life.ended
        }
        None => {
            // It may be seen only long after it happened, and the others do not wait for that.
            let stopped_ns = t0_ns + seen.marks.map_or(seen.seen_ns, |marks| marks.last_ns);
            let taken = || {
                let others = lives.of(Victim::Member).filter(|other| other.number != life.number);
                others.into_iter().any(|other| has_assignment_after(task.directory, other, stopped_ns))
            };
            let due = match death.continue_after_ns {
                Some(after_ns) => now_ns >= seen.seen_ns + after_ns,
                None => taken(),
            };
            if due {
                let worker = life.worker;
                let at_ns = clock::now_ns().saturating_sub(t0_ns);
                crew.signal(worker, Signal::Continue);
                if let Some(record) = lives.deaths.iter_mut().find(|other| **other == seen) {
                    record.continued_ns = Some(at_ns);
                }
            }
            true
        }
    }
}
