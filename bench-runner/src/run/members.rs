//! The lives of a cell's group members: who is alive, who died as planned, and whether everything is processed.

use super::crew::{CrewError, Task, spawn};
use crate::supervisor::{Crew, SupervisorError};
use bench_model::fault::{Death, DeathRecord, End};
use bench_model::ids::{Incarnation, MemberId};
use bench_model::processing::{self, Journal};
use bench_model::settings::GroupSettings;
use bench_model::wire::{Command, ConsumeSpec, Role};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

/// A cell's consumer group.
#[derive(Debug, Clone)]
pub struct Group<'a> {
    /// Its settings.
    pub settings: &'a GroupSettings,
    /// How member 0 ends, life by life.
    pub deaths: &'a [Death],
    /// Room of each journal.
    pub journal_entries: u64,
}

#[derive(Debug)]
struct Life {
    /// Its place in the crew.
    worker: usize,
    member: MemberId,
    incarnation: Incarnation,
    death: Option<Death>,
    ended: bool,
}

/// All lives so far.
#[derive(Debug, Default)]
pub struct Members {
    lives: Vec<Life>,
    /// Deaths as they happened.
    pub deaths: Vec<DeathRecord>,
    /// Ready since the others have started.
    ready: Vec<usize>,
    /// Lives whose member is to live again.
    reborn: Vec<(MemberId, Incarnation)>,
    told_to_finish: bool,
}

fn name(member: MemberId, incarnation: Incarnation) -> String {
    format!("member-{member}.{incarnation}")
}

impl Members {
    /// Spawns the first life of every member.
    pub async fn start(crew: &mut Crew, task: &Task<'_>) -> Result<Self, CrewError> {
        let mut members = Members::default();
        for member in 0..task.group.as_ref().map_or(0, |group| group.settings.members) {
            members.spawn(crew, task, MemberId(member), Incarnation(0)).await?;
        }
        Ok(members)
    }

    async fn spawn(
        &mut self,
        crew: &mut Crew,
        task: &Task<'_>,
        member: MemberId,
        incarnation: Incarnation,
    ) -> Result<(), CrewError> {
        let Some(group) = &task.group else { return Ok(()) };
        let deaths = if member == MemberId(0) { group.deaths } else { &[] };
        let death = deaths.get(usize::from(incarnation.0)).copied();
        // A first life finds nothing that was begun.
        let begun = match incarnation.0 {
            0 => Vec::new(),
            _ => self.journals(task.directory).map_or(Vec::new(), |lives| processing::begun(&lives)),
        };
        let role = Role::Consume(ConsumeSpec {
            member,
            incarnation,
            group: task.topic.to_owned(),
            settings: group.settings.clone(),
            load: task.load.clone(),
            seed: task.seed,
            journal_entries: group.journal_entries,
            death,
            begun,
        });
        self.lives.push(Life { worker: crew.len(), member, incarnation, death, ended: false });
        spawn(crew, task, &name(member, incarnation), role).await
    }

    /// Whether a worker is a life of a member.
    pub fn has(&self, worker: usize) -> bool {
        self.lives.iter().any(|life| life.worker == worker)
    }

    /// A life is ready although the others have started long ago.
    pub fn ready(&mut self, worker: usize) {
        self.ready.push(worker);
    }

    /// A life has made its closing statement.
    pub fn done(&mut self, worker: usize, since_t0_ns: u64) {
        let planned = |death: &Death| death.end == End::Close;
        let told = self.told_to_finish;
        self.end(worker, since_t0_ns, "closing statement".to_owned(), |death| planned(death) && !told);
    }

    /// A life has ended without a closing statement; gives the error back if nobody had planned that.
    pub fn ended(
        &mut self,
        worker: usize,
        since_t0_ns: u64,
        error: SupervisorError,
    ) -> Result<(), SupervisorError> {
        let SupervisorError::Ended { status, .. } = &error else { return Err(error) };
        let killed = status.signal() == Some(libc::SIGKILL);
        let planned =
            |life: &Life| life.worker == worker && life.death.is_some_and(|death| death.end == End::Kill);
        if !killed || !self.lives.iter().any(planned) {
            return Err(error);
        }
        self.end(worker, since_t0_ns, status.to_string(), |_| true);
        Ok(())
    }

    fn end(&mut self, worker: usize, seen_ns: u64, exit: String, as_planned: impl Fn(&Death) -> bool) {
        let Some(life) = self.lives.iter_mut().find(|life| life.worker == worker) else { return };
        life.ended = true;
        let Some(death) = life.death else { return };
        let as_planned = as_planned(&death);
        let (member, incarnation) = (life.member, life.incarnation);
        self.deaths.push(DeathRecord { death, member, incarnation, seen_ns, exit, as_planned });
        if death.restart && as_planned {
            self.reborn.push((member, Incarnation(incarnation.0 + 1)));
        }
    }

    /// Starts who is ready, and spawns the next lives. Not to be cancelled.
    pub async fn attend(&mut self, crew: &mut Crew, task: &Task<'_>, t0_ns: u64) -> Result<(), CrewError> {
        for worker in std::mem::take(&mut self.ready) {
            crew.command(worker, &Command::Start { t0_ns }).await?;
        }
        for (member, incarnation) in std::mem::take(&mut self.reborn) {
            self.spawn(crew, task, member, incarnation).await?;
        }
        Ok(())
    }

    /// Tells every living member to commit, leave and end.
    pub async fn finish(&mut self, crew: &mut Crew, deadline_ns: u64, ends: &[i64]) -> Result<(), CrewError> {
        self.told_to_finish = true;
        for life in self.lives.iter().filter(|life| !life.ended) {
            let finish = Command::Finish { deadline_ns, end_offsets: ends.to_vec() };
            crew.command(life.worker, &finish).await?;
        }
        Ok(())
    }

    /// Every life has ended.
    pub fn all_ended(&self) -> bool {
        self.lives.iter().all(|life| life.ended)
    }

    /// What is left to process, or to wait for; `None`: nothing.
    pub fn undrained(&self, workers: &Path, ends: &[i64]) -> Option<String> {
        if self.lives.is_empty() {
            return None;
        }
        if !self.reborn.is_empty() {
            return Some("a member is to live again".to_owned());
        }
        let living = self.lives.iter().filter(|life| !life.ended);
        let journals: Result<Vec<Journal>, String> =
            living.map(|life| read(&workers.join(name(life.member, life.incarnation)))).collect();
        match journals {
            Ok(journals) => processing::undrained(&journals, ends),
            Err(reason) => Some(reason),
        }
    }

    /// The journals of all lives, in the order of their births.
    pub fn journals(&self, workers: &Path) -> Result<Vec<Journal>, String> {
        self.lives.iter().map(|life| read(&workers.join(name(life.member, life.incarnation)))).collect()
    }

    /// The directories of all lives.
    pub fn directories(&self) -> Vec<PathBuf> {
        self.lives.iter().map(|life| PathBuf::from(name(life.member, life.incarnation))).collect()
    }
}

fn read(directory: &Path) -> Result<Journal, String> {
    let path = directory.join("journal.bin");
    let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    processing::parse(&bytes).map_err(|error| format!("{}: {error}", path.display()))
}
