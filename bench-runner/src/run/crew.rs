//! The workers of one cell: specifications, barrier start, and what they say until they are done.

use super::interrupt::Interrupt;
use super::lives::{Life, Lives, Ordeals};
use super::members::{Group, Members, continue_all};
use super::standstill::Standstill;
use crate::clock;
use crate::kafka::properties;
use crate::supervisor::{Crew, SupervisorError};
use bench_model::fault::Victim;
use bench_model::ids::BookKey;
use bench_model::settings::{Load, ProducerSettings};
use bench_model::wire::{Command, Done, Event, Progress, ReadSpec, Role, WIRE_VERSION, WorkerSpec};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use thiserror::Error;

/// As in [`CrewError::NotReady`].
const READY: Duration = Duration::from_secs(45);
/// Between the last worker's `ready` and T0: time for the start command to reach everybody.
const BARRIER_NS: u64 = 150_000_000;
/// As in [`CrewError::NotEnded`].
const END: Duration = Duration::from_secs(60);
const ERRORS: usize = 32;
/// The directory of the worker that reads a pipeline's output.
pub const OUTPUT_READER: &str = "output-reader";
/// Between two looks at the journals of a group.
const DRAIN_POLL: Duration = Duration::from_millis(50);

/// Why a crew did not do its work.
#[derive(Debug, Error)]
pub enum CrewError {
    /// A worker failed.
    #[error(transparent)]
    Worker(#[from] SupervisorError),
    /// A directory could not be made.
    #[error("{0}: {1}")]
    Directory(String, std::io::Error),
    /// Not all workers were ready in time.
    #[error("{0} of {1} workers were ready within 45 s")]
    NotReady(usize, usize),
    /// Members live although they were told to end.
    #[error("members of the group were still running 60 s after they had been told to end")]
    NotEnded,
    /// The user wants to stop.
    #[error("interrupted")]
    Interrupted,
}

/// What a crew works on.
#[derive(Debug, Clone)]
pub struct Task<'a> {
    /// Bootstrap servers.
    pub bootstrap: &'a str,
    /// Those of producers and members: proxies, where the cell has steps there.
    pub clients_bootstrap: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// Its partitions.
    pub partitions: u16,
    /// Key of the records.
    pub book: BookKey,
    /// Seed of payload and arrivals.
    pub seed: u64,
    /// The load of the cell.
    pub load: &'a Load,
    /// Producer settings, one set for each producer process.
    pub producers: Vec<&'a ProducerSettings>,
    /// Ledger capacity per producer and partition.
    pub ledger_capacity: u64,
    /// Transactions per producer that their evidence has room for; 0 without transactions.
    pub transaction_capacity: u64,
    /// The consumer group, if any.
    pub group: Option<Group<'a>>,
    /// What the plan does to the workers.
    pub ordeals: Ordeals<'a>,
    /// Where each worker gets a directory of its own.
    pub directory: &'a Path,
}

impl Task<'_> {
    /// A pipeline's output topic and the key of its records, if the cell has one.
    pub fn output(&self) -> Option<(&str, BookKey)> {
        let group = self.group.as_ref()?;
        Some((&group.sink.as_ref()?.table, group.pipe.as_ref()?.book))
    }
}

/// A crew at work, and everything it has said.
pub struct Gang {
    crew: Crew,
    /// The worker that reads the cell's topic.
    reader: usize,
    /// The one that reads a pipeline's output.
    output_reader: Option<usize>,
    /// Nanoseconds of the monotonic clock.
    pub t0_ns: u64,
    /// Every total that each worker has told, in order: producers, the reader, group members, later lives.
    pub histories: Vec<Vec<Progress>>,
    /// Closing statements so far.
    pub done: Vec<Option<Done>>,
    /// Effective client settings by role.
    pub settings: BTreeMap<String, BTreeMap<String, String>>,
    /// The client library's name.
    pub client: String,
    /// Client errors, the first 32.
    pub errors: Vec<String>,
    /// The lives of producers and members.
    pub lives: Lives,
    /// The group as such.
    pub members: Members,
    standstill: Standstill,
}

impl Gang {
    /// Spawns producers, the readers and the group's members, waits until all are ready, and starts them on one T0.
    pub async fn start(task: &Task<'_>, interrupt: &Interrupt) -> Result<Self, CrewError> {
        let mut crew = Crew::default();
        let mut lives = Lives::default();
        for (number, _) in (0_u16..).zip(&task.producers) {
            lives.begin(&mut crew, task, Victim::Producer, number).await?;
        }
        // What an application would see: nothing of a transaction before it is committed.
        let kind =
            if task.transaction_capacity > 0 { properties::committed_reader } else { properties::reader };
        let properties = kind(task.bootstrap, "bench-runner-end-to-end");
        let reader = crew.len();
        let role = |properties, output| Role::Read(ReadSpec { properties, load: task.load.clone(), output });
        spawn(&mut crew, task, "reader", role(properties, false)).await?;
        let output_reader = task.output().map(|_| crew.len());
        if output_reader.is_some() {
            let properties = properties::committed_reader(task.bootstrap, "bench-runner-output-visible");
            spawn(&mut crew, task, OUTPUT_READER, role(properties, true)).await?;
        }
        for number in 0..task.group.as_ref().map_or(0, |group| group.settings.members) {
            lives.begin(&mut crew, task, Victim::Member, number).await?;
        }
        let workers = crew.len();
        let mut gang = Gang {
            crew,
            reader,
            output_reader,
            t0_ns: 0,
            histories: vec![Vec::new(); workers],
            done: vec![None; workers],
            settings: BTreeMap::new(),
            client: String::new(),
            errors: Vec::new(),
            lives,
            members: Members::new(task),
            standstill: Standstill::new(task.ordeals.deaths),
        };
        gang.barrier(interrupt).await?;
        Ok(gang)
    }

    async fn barrier(&mut self, interrupt: &Interrupt) -> Result<(), CrewError> {
        let workers = self.crew.len();
        let mut ready = 0;
        let deadline = tokio::time::Instant::now() + READY;
        while ready < workers {
            let said = tokio::select! {
                said = self.crew.hear() => said,
                () = tokio::time::sleep_until(deadline) => return Err(CrewError::NotReady(ready, workers)),
                () = interrupt.raised() => return Err(CrewError::Interrupted),
            };
            let Some((index, event)) = said else { return Err(CrewError::NotReady(ready, workers)) };
            match event? {
                Event::Ready { client, settings } => {
                    ready += 1;
                    self.client = client;
                    let role = match self.lives.kind_of(index) {
                        Some(Victim::Producer) => "producer",
                        Some(Victim::Member) => "member",
                        None if self.output_reader == Some(index) => OUTPUT_READER,
                        None => "reader",
                    };
                    self.settings.insert(role.to_owned(), settings);
                }
                other => self.note(index, other),
            }
        }
        self.t0_ns = clock::now_ns() + BARRIER_NS;
        for worker in 0..workers {
            self.crew.command(worker, &Command::Start { t0_ns: self.t0_ns }).await?;
        }
        Ok(())
    }

    /// Hears one event, or returns when something else may be due; cancelling loses nothing.
    pub async fn hear(&mut self, task: &Task<'_>) -> Result<(), CrewError> {
        let watching = self.members.is_watching() || self.standstill.is_watching();
        let pulse = self.lives.pulse(task.ordeals.kills, self.t0_ns, watching);
        let said = tokio::select! {
            biased;
            said = self.crew.hear() => said,
            () = pulse => None,
        };
        if let Some((index, event)) = said {
            match event {
                Ok(event) => self.note(index, event),
                Err(error) => self.lives.ended(index, self.since_t0_ns(), error)?,
            }
        }
        Ok(())
    }

    /// Does what events have asked for and what is due: starts, spawns, kills and continues lives. Not to be cancelled.
    pub async fn attend(&mut self, task: &Task<'_>) -> Result<(), CrewError> {
        self.standstill.attend(&self.crew, &mut self.lives, self.t0_ns);
        self.lives.attend(&mut self.crew, task, self.t0_ns).await?;
        self.members.attend(&mut self.crew, &mut self.lives, task, self.t0_ns).await?;
        let workers = self.crew.len();
        self.histories.resize(workers, Vec::new());
        self.done.resize(workers, None);
        Ok(())
    }

    /// Waits for something, and does what workers need in the meantime.
    pub async fn meanwhile<T>(
        &mut self,
        task: &Task<'_>,
        awaited: impl Future<Output = T>,
    ) -> Result<T, CrewError> {
        tokio::pin!(awaited);
        loop {
            tokio::select! {
                awaited = &mut awaited => return Ok(awaited),
                heard = self.hear(task) => heard?,
            }
            self.attend(task).await?;
        }
    }

    fn since_t0_ns(&self) -> u64 {
        clock::now_ns().saturating_sub(self.t0_ns)
    }

    fn note(&mut self, index: usize, event: Event) {
        match event {
            Event::Progress(progress) => self.histories[index].push(progress),
            Event::ClientError { at_ns, text, fatal } => {
                if self.errors.len() < ERRORS {
                    let at_s = at_ns.saturating_sub(self.t0_ns) as f64 / 1e9;
                    let fatal = if fatal { " (fatal)" } else { "" };
                    self.errors.push(format!("worker {index} at {at_s:.3} s: {text}{fatal}"));
                }
            }
            Event::Done(done) => {
                self.histories[index].push(done.total);
                self.lives.done(index, self.since_t0_ns(), &done.transaction_errors);
                self.done[index] = Some(*done);
            }
            Event::Ready { .. } => self.lives.ready(index),
        }
    }

    /// The last life of every producer has said `done`.
    pub fn producers_done(&self) -> bool {
        self.lives.all_ended(Victim::Producer)
    }

    /// Progress of the producers, added up over their lives.
    pub fn produced(&self) -> Progress {
        let latest = self.produced_by().filter_map(|history| history.last());
        latest.fold(Progress::default(), |sum, progress| Progress {
            at_ns: sum.at_ns.max(progress.at_ns),
            records: sum.records + progress.records,
            acked: sum.acked + progress.acked,
            failed: sum.failed + progress.failed,
            cpu_ns: sum.cpu_ns + progress.cpu_ns,
            blocked_ns: sum.blocked_ns + progress.blocked_ns,
        })
    }

    /// What each life of a producer has told.
    pub fn produced_by(&self) -> impl Iterator<Item = &[Progress]> {
        let told = |life: &Life| self.histories.get(life.worker).map(Vec::as_slice);
        self.lives.of(Victim::Producer).filter_map(told)
    }

    /// What the reader has told.
    pub fn delivered(&self) -> &[Progress] {
        self.histories.get(self.reader).map_or(&[], Vec::as_slice)
    }

    /// Tells the reader where to end and waits for its closing statement.
    pub async fn finish_reader(
        &mut self,
        task: &Task<'_>,
        end_offsets: Vec<i64>,
        deadline_ns: u64,
    ) -> Result<Done, CrewError> {
        self.finish(task, self.reader, Command::Finish { deadline_ns, end_offsets }).await
    }

    /// The same of the one that reads a pipeline's output, if the cell has any.
    pub async fn finish_output_reader(
        &mut self,
        task: &Task<'_>,
        end_offsets: Vec<i64>,
        deadline_ns: u64,
    ) -> Result<Option<Done>, CrewError> {
        let Some(reader) = self.output_reader else { return Ok(None) };
        self.finish(task, reader, Command::Finish { deadline_ns, end_offsets }).await.map(Some)
    }

    async fn finish(&mut self, task: &Task<'_>, reader: usize, command: Command) -> Result<Done, CrewError> {
        self.crew.command(reader, &command).await?;
        loop {
            if let Some(done) = &self.done[reader] {
                return Ok(done.clone());
            }
            self.hear(task).await?;
            self.attend(task).await?;
        }
    }

    /// Waits until the group has processed everything, or the instant, and ends its members; gives what was left then.
    pub async fn finish_members(
        &mut self,
        task: &Task<'_>,
        ends: &[i64],
        deadline_ns: u64,
        interrupt: &Interrupt,
    ) -> Result<Option<String>, CrewError> {
        let left = loop {
            self.attend(task).await?;
            let left = self.members.undrained(&self.lives, task.directory, ends);
            if left.is_none() || clock::now_ns() >= deadline_ns {
                break left;
            }
            tokio::select! {
                heard = self.hear(task) => heard?,
                () = tokio::time::sleep(DRAIN_POLL) => {}
                () = interrupt.raised() => return Err(CrewError::Interrupted),
            }
        };
        self.lives.finish(&mut self.crew, deadline_ns, ends).await?;
        continue_all(&self.crew, &self.lives);
        let deadline = tokio::time::Instant::now() + END;
        while !self.lives.all_ended(Victim::Member) {
            self.lives.start_who_is_ready(&mut self.crew, self.t0_ns).await?;
            tokio::select! {
                heard = self.hear(task) => heard?,
                () = tokio::time::sleep_until(deadline) => return Err(CrewError::NotEnded),
                () = interrupt.raised() => return Err(CrewError::Interrupted),
            }
        }
        Ok(left)
    }
}

pub(super) async fn spawn(crew: &mut Crew, task: &Task<'_>, name: &str, role: Role) -> Result<(), CrewError> {
    let directory = task.directory.join(name);
    std::fs::create_dir_all(&directory)
        .map_err(|error| CrewError::Directory(directory.display().to_string(), error))?;
    let bootstrap = if matches!(role, Role::Read(_)) { task.bootstrap } else { task.clients_bootstrap };
    let (topic, book) = match &role {
        Role::Read(ReadSpec { output: true, .. }) => task.output().unwrap_or((task.topic, task.book)),
        _ => (task.topic, task.book),
    };
    let spec = WorkerSpec {
        version: WIRE_VERSION,
        bootstrap: bootstrap.to_owned(),
        topic: topic.to_owned(),
        partitions: task.partitions,
        book,
        directory: directory.display().to_string(),
        role,
    };
    Ok(crew.spawn(name, &spec).await?)
}
