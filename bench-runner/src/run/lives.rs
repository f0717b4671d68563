//! The lives of a cell's producers and group members: who is alive, who died as planned or was killed, who lives next.
//! What concerns the group as such is `members`'.

use super::crew::{CrewError, Task, spawn};
use super::members;
use crate::clock;
use crate::supervisor::{Crew, Signal, SupervisorError};
use bench_model::fault::{Death, DeathRecord, End, Join, Kill, KillRecord, Victim};
use bench_model::ids::{Incarnation, MemberId, ProducerId};
use bench_model::ledger::{self, Ledger};
use bench_model::processing;
use bench_model::transactions::{self, Transactions};
use bench_model::wire::{Command, ConsumeSpec, Done, ProduceSpec, Role};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

/// How soon what could not be done is tried again.
const RETRY_NS: u64 = 5_000_000;
/// Between two looks at what no event tells of.
const WATCH_NS: u64 = 20_000_000;

/// What the plan does to a cell's workers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ordeals<'a> {
    /// How member 0 and producer 0 end, life by life.
    pub deaths: &'a [Death],
    /// Kills by the supervisor, in the order of their instants.
    pub kills: &'a [Kill],
    /// Members that join later.
    pub joins: &'a [Join],
}

/// One life of one worker.
#[derive(Debug)]
pub struct Life {
    /// Its place in the crew.
    pub worker: usize,
    /// Its kind.
    pub kind: Victim,
    /// Which producer or member.
    pub number: u16,
    /// Which life.
    pub incarnation: Incarnation,
    /// Where it ends itself, if it does.
    pub death: Option<Death>,
    /// It was told to start; a producer has its transactional id by then.
    started: bool,
    /// It has ended.
    pub ended: bool,
    /// The kill that hit it, by its place in `kills`.
    killed: Option<usize>,
}

impl Life {
    /// Nothing is known of its end, and nobody has killed it.
    fn is_alive(&self) -> bool {
        !self.ended && self.killed.is_none()
    }

    /// Its directory below the workers'.
    pub fn directory(&self) -> PathBuf {
        match (self.kind, self.incarnation) {
            (Victim::Producer, Incarnation(0)) => format!("producer-{}", self.number),
            (Victim::Producer, incarnation) => format!("producer-{}.{incarnation}", self.number),
            (Victim::Member, incarnation) => format!("member-{}.{incarnation}", self.number),
        }
        .into()
    }
}

/// A life that is to begin.
#[derive(Debug, Clone, Copy)]
struct Birth {
    kind: Victim,
    number: u16,
    incarnation: Incarnation,
    resend: bool,
}

/// All lives so far.
#[derive(Debug, Default)]
pub struct Lives {
    /// In the order of their births.
    pub all: Vec<Life>,
    /// Deaths as they happened.
    pub deaths: Vec<DeathRecord>,
    /// Kills as they were carried out.
    pub kills: Vec<KillRecord>,
    /// Kills that have been carried out, or never will be.
    past: Vec<bool>,
    /// Ready since the others have started.
    ready: Vec<usize>,
    /// To be born as soon as possible.
    births: Vec<Birth>,
    told_to_finish: bool,
}

impl Lives {
    /// Spawns the first life of a worker.
    pub async fn begin(
        &mut self,
        crew: &mut Crew,
        task: &Task<'_>,
        kind: Victim,
        number: u16,
    ) -> Result<(), CrewError> {
        self.spawn(crew, task, Birth { kind, number, incarnation: Incarnation(0), resend: false }).await
    }

    async fn spawn(&mut self, crew: &mut Crew, task: &Task<'_>, birth: Birth) -> Result<(), CrewError> {
        let Birth { kind, number, incarnation, .. } = birth;
        let mut deaths = task.ordeals.deaths.iter().filter(|death| death.worker == kind && number == 0);
        let death = deaths.nth(usize::from(incarnation.0)).copied();
        let role = match kind {
            Victim::Producer => self.producer(task, birth, death),
            Victim::Member => self.member(task, birth, death),
        };
        let Some(role) = role else { return Ok(()) };
        let worker = crew.len();
        let (started, ended, killed) = (false, false, None);
        let life = Life { worker, kind, number, incarnation, death, started, ended, killed };
        let name = life.directory();
        self.all.push(life);
        spawn(crew, task, &name.display().to_string(), role).await
    }

    fn producer(&self, task: &Task<'_>, birth: Birth, death: Option<Death>) -> Option<Role> {
        let settings = task.producers.get(usize::from(birth.number))?;
        let earlier = self.of(Victim::Producer).filter(|life| life.number == birth.number);
        let ledger = |life: &Life| task.directory.join(life.directory()).join(LEDGER).display().to_string();
        Some(Role::Produce(ProduceSpec {
            producer: ProducerId(birth.number),
            incarnation: birth.incarnation,
            seed: task.seed,
            settings: (*settings).clone(),
            load: task.load.clone(),
            ledger_capacity: task.ledger_capacity,
            transaction_capacity: task.transaction_capacity,
            predecessors: earlier.map(ledger).collect(),
            resend: birth.resend,
            death,
        }))
    }

    fn member(&self, task: &Task<'_>, birth: Birth, death: Option<Death>) -> Option<Role> {
        let group = task.group.as_ref()?;
        // A group that has just been made finds nothing that was begun.
        let begun = if birth.incarnation == Incarnation(0) && birth.number < group.settings.members {
            Vec::new()
        } else {
            members::journals(self, task.directory).map_or(Vec::new(), |all| processing::begun(&all))
        };
        Some(Role::Consume(Box::new(ConsumeSpec {
            member: MemberId(birth.number),
            incarnation: birth.incarnation,
            group: task.topic.to_owned(),
            settings: group.settings.clone(),
            load: task.load.clone(),
            seed: task.seed,
            journal_entries: group.journal_entries,
            death,
            begun,
            sink: group.sink.clone(),
            pipe: group.pipe.clone(),
        })))
    }

    /// The lives of one kind, in the order of their births.
    pub fn of(&self, kind: Victim) -> impl Iterator<Item = &Life> {
        self.all.iter().filter(move |life| life.kind == kind)
    }

    /// What kind of life a worker is; `None`: none (the reader).
    pub fn kind_of(&self, worker: usize) -> Option<Victim> {
        self.all.iter().find(|life| life.worker == worker).map(|life| life.kind)
    }

    /// A life is ready although the others have started long ago.
    pub fn ready(&mut self, worker: usize) {
        self.ready.push(worker);
    }

    /// A life has made its closing statement, with these errors of transactions.
    pub fn done(&mut self, worker: usize, since_t0_ns: u64, errors: &BTreeMap<String, u64>) {
        let told = self.told_to_finish;
        let planned = |death: &Death| death.end == End::Close && !told;
        self.end(worker, since_t0_ns, "closing statement".to_owned(), planned);
        self.fenced(worker, errors);
    }

    /// Of a producer that stood still it is kept what it found; if it was fenced, and nobody goes on in its place yet, its
    /// next life does.
    fn fenced(&mut self, worker: usize, errors: &BTreeMap<String, u64>) {
        let Some(life) = self.all.iter().find(|life| life.worker == worker) else { return };
        let of_life = |seen: &&mut DeathRecord| {
            (seen.death.worker, seen.death.end) == (Victim::Producer, End::Stop)
                && (life.kind, life.number, life.incarnation)
                    == (Victim::Producer, seen.member.0, seen.incarnation)
        };
        let Some(record) = self.deaths.iter_mut().find(of_life) else { return };
        record.transaction_errors.clone_from(errors);
        if record.was_fenced() && record.death.continue_after_ns.is_some() {
            self.succeed(worker);
        }
    }

    /// The next life of this one is to begin, whether it has ended or not.
    pub fn succeed(&mut self, worker: usize) {
        let Some(life) = self.all.iter().find(|life| life.worker == worker) else { return };
        let resend = life.death.is_some_and(|death| death.resend);
        self.births.push(Birth { resend, ..next_life(life) });
    }

    /// The life after this one was told to start.
    pub fn has_begun_after(&self, life: &Life) -> bool {
        let next = next_life(life);
        let is_next = |other: &&Life| {
            (other.kind, other.number, other.incarnation) == (next.kind, next.number, next.incarnation)
        };
        self.all.iter().find(is_next).is_some_and(|other| other.started)
    }

    /// A life has ended without a closing statement; gives the error back if nobody had planned that.
    pub fn ended(
        &mut self,
        worker: usize,
        since_t0_ns: u64,
        error: SupervisorError,
    ) -> Result<(), SupervisorError> {
        let SupervisorError::Ended { status, .. } = &error else { return Err(error) };
        let Some(life) = self.all.iter_mut().find(|life| life.worker == worker) else { return Err(error) };
        if status.signal() != Some(libc::SIGKILL) {
            return Err(error);
        }
        if let Some(record) = life.killed.and_then(|place| self.kills.get_mut(place)) {
            life.ended = true;
            record.exit = status.to_string();
            record.as_planned = true;
            let resend = record.kill.resend;
            self.births.push(Birth { resend, ..next_life(life) });
            return Ok(());
        }
        if life.death.is_none_or(|death| death.end != End::Kill) {
            return Err(error);
        }
        self.end(worker, since_t0_ns, status.to_string(), |_| true);
        Ok(())
    }

    fn end(&mut self, worker: usize, seen_ns: u64, exit: String, as_planned: impl Fn(&Death) -> bool) {
        let Some(life) = self.all.iter_mut().find(|life| life.worker == worker) else { return };
        life.ended = true;
        // Of a stopped life it is told when it stops.
        let Some(death) = life.death.filter(|death| death.end != End::Stop) else { return };
        let as_planned = as_planned(&death);
        let (member, incarnation) = (MemberId(life.number), life.incarnation);
        let (marks, continued_ns) = (None, None);
        if death.restart && as_planned {
            self.births.push(Birth { resend: death.resend, ..next_life(life) });
        }
        self.deaths.push(DeathRecord {
            death,
            member,
            incarnation,
            seen_ns,
            exit,
            as_planned,
            marks,
            continued_ns,
            taken_ns: None,
            transaction_errors: BTreeMap::new(),
        });
    }

    /// Starts who is ready, spawns the next lives and kills who is due. Not to be cancelled.
    pub async fn attend(&mut self, crew: &mut Crew, task: &Task<'_>, t0_ns: u64) -> Result<(), CrewError> {
        self.start_who_is_ready(crew, t0_ns).await?;
        for birth in std::mem::take(&mut self.births) {
            self.spawn(crew, task, birth).await?;
        }
        self.kill_who_is_due(crew, task.ordeals.kills, t0_ns);
        Ok(())
    }

    /// Also at the end: who joined last may be ready only when all is processed already. Not to be cancelled.
    pub async fn start_who_is_ready(&mut self, crew: &mut Crew, t0_ns: u64) -> Result<(), CrewError> {
        for worker in std::mem::take(&mut self.ready) {
            // It may have been killed since it was ready.
            let is_here = |life: &&mut Life| life.worker == worker && life.is_alive();
            if let Some(life) = self.all.iter_mut().find(is_here) {
                life.started = true;
                crew.command(worker, &Command::Start { t0_ns }).await?;
            }
        }
        Ok(())
    }

    fn kill_who_is_due(&mut self, crew: &Crew, kills: &[Kill], t0_ns: u64) {
        self.past.resize(kills.len(), false);
        let done_ns = clock::now_ns().saturating_sub(t0_ns);
        for (kill, past) in kills.iter().zip(&mut self.past) {
            if *past || kill.at_ns > done_ns {
                continue;
            }
            let own = |life: &&mut Life| (life.kind, life.number) == (kill.worker, kill.index);
            let Some(life) = self.all.iter_mut().rev().find(own) else { continue };
            // Dead already: the next life will do. Ended in good order: there is none.
            if life.killed.is_some() {
                continue;
            }
            *past = true;
            if !life.ended && crew.signal(life.worker, Signal::Kill) {
                life.killed = Some(self.kills.len());
                let incarnation = life.incarnation;
                let record =
                    KillRecord { kill: *kill, incarnation, done_ns, exit: String::new(), as_planned: false };
                self.kills.push(record);
            }
        }
    }

    /// Waits until something may be due that no event tells of; for ever if there is nothing.
    pub async fn pulse(&self, kills: &[Kill], t0_ns: u64, watching: bool) {
        let now_ns = clock::now_ns();
        let open = kills.iter().enumerate().find(|(place, _)| self.past.get(*place) != Some(&true));
        let kill_ns = open.map(|(_, kill)| (t0_ns + kill.at_ns).max(now_ns + RETRY_NS));
        let watch_ns = watching.then_some(now_ns + WATCH_NS);
        match kill_ns.into_iter().chain(watch_ns).min() {
            None => std::future::pending().await,
            Some(wake_ns) => {
                tokio::time::sleep(std::time::Duration::from_nanos(wake_ns - now_ns)).await;
            }
        }
    }

    /// Tells every living member to commit, leave and end.
    pub async fn finish(&mut self, crew: &mut Crew, deadline_ns: u64, ends: &[i64]) -> Result<(), CrewError> {
        self.told_to_finish = true;
        for life in self.all.iter().filter(|life| life.kind == Victim::Member && life.is_alive()) {
            let finish = Command::Finish { deadline_ns, end_offsets: ends.to_vec() };
            crew.command(life.worker, &finish).await?;
        }
        Ok(())
    }

    /// Somebody is to be born, or to die so that somebody is born.
    pub fn awaits_birth(&self) -> bool {
        !self.births.is_empty() || self.all.iter().any(|life| !life.ended && life.killed.is_some())
    }

    /// Every life of this kind has ended, and none is to come.
    pub fn all_ended(&self, kind: Victim) -> bool {
        self.births.iter().all(|birth| birth.kind != kind) && self.of(kind).all(|life| life.ended)
    }

    /// Closing statements of the lives of one kind that made one.
    pub fn statements(&self, kind: Victim, done: &[Option<Done>]) -> Vec<Done> {
        self.of(kind).filter_map(|life| done.get(life.worker)?.clone()).collect()
    }

    /// The ledgers of all lives of producers; a life that was killed before it had one has sent nothing.
    pub fn ledgers(&self, workers: &Path) -> Result<Vec<Ledger>, String> {
        let mut ledgers = Vec::new();
        for life in self.of(Victim::Producer) {
            if let Some((path, bytes)) = evidence(workers, life, LEDGER, ledger::is_blank)? {
                ledgers.push(ledger::read(&bytes).map_err(|error| format!("{path}: {error}"))?);
            }
        }
        Ok(ledgers)
    }

    /// The transactions of all lives of producers that have a ledger; a life that was killed before it could begin one has none.
    pub fn transactions(&self, workers: &Path) -> Result<Vec<Transactions>, String> {
        let mut all = Vec::new();
        for life in self.of(Victim::Producer) {
            if evidence(workers, life, LEDGER, ledger::is_blank)?.is_none() {
                continue;
            }
            let none = Transactions::none(ProducerId(life.number), life.incarnation);
            all.push(match evidence(workers, life, TRANSACTIONS, transactions::is_blank)? {
                Some((path, bytes)) => {
                    transactions::read(&bytes).map_err(|error| format!("{path}: {error}"))?
                }
                None => none,
            });
        }
        Ok(all)
    }

    /// The transactions of all lives of members, where they have any; a life that was killed before it had some has begun none.
    pub fn pipelines(&self, workers: &Path) -> Result<Vec<Transactions>, String> {
        let mut all = Vec::new();
        for life in self.of(Victim::Member) {
            let path = workers.join(life.directory()).join(TRANSACTIONS);
            match std::fs::read(&path) {
                Ok(bytes) if life.killed.is_some() && transactions::is_blank(&bytes) => {}
                Ok(bytes) => {
                    let read = transactions::read(&bytes);
                    all.push(read.map_err(|error| format!("{}: {error}", path.display()))?);
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(format!("{}: {error}", path.display())),
            }
        }
        Ok(all)
    }

    /// The directories of all lives.
    pub fn directories(&self) -> Vec<PathBuf> {
        self.all.iter().map(Life::directory).collect()
    }
}

const LEDGER: &str = "ledger.bin";
const TRANSACTIONS: &str = "transactions.bin";

fn next_life(life: &Life) -> Birth {
    let incarnation = Incarnation(life.incarnation.0.saturating_add(1));
    Birth { kind: life.kind, number: life.number, incarnation, resend: false }
}

/// A life's file and its path; `None`: the supervisor killed the life before there was anything in it.
pub(super) fn evidence(
    workers: &Path,
    life: &Life,
    name: &str,
    is_blank: impl Fn(&[u8]) -> bool,
) -> Result<Option<(String, Vec<u8>)>, String> {
    let path = workers.join(life.directory()).join(name);
    let may_be_blank = life.killed.is_some();
    match std::fs::read(&path) {
        Ok(bytes) if may_be_blank && is_blank(&bytes) => Ok(None),
        Ok(bytes) => Ok(Some((path.display().to_string(), bytes))),
        Err(error) if may_be_blank && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}
