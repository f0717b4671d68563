//! One cell: topic, workers, faults, drain, quiet, reading, verdict. Every way that this can end is a stored result.

use super::arrivals;
use super::crew::{CrewError, Gang, Task};
use super::dangling;
use super::evidence::{self, Evidence};
use super::host::CpuTicks;
use super::interrupt::Interrupt;
use super::lives::Ordeals;
use super::measure::{self, Measured};
use super::members::{self, Group};
use super::quiet::quiet;
use super::sinks::CellSink;
use super::tails;
use super::topic::{self, Topic};
use super::watch::Watch;
use crate::clock;
use crate::cluster::{Cluster, Usage};
use crate::injector;
use crate::kafka::admin::Admin;
use crate::kafka::offsets::Ends;
use bench_model::assess::{self, Statements, Stolen};
use bench_model::fault::{FaultRecord, Victim};
use bench_model::ids::BookKey;
use bench_model::ledger::Ledger;
use bench_model::plan::Cell;
use bench_model::result::{CellResult, Expectation, Outcome, PartitionChange};
use bench_model::transactions::Transactions;
use bench_model::wire::{Done, Progress};
use std::collections::BTreeMap;
use std::path::Path;

const SECOND_NS: u64 = 1_000_000_000;
/// After the producers are done: how long faults may take to heal and offsets to come to rest.
const QUIET_NS: u64 = 60 * SECOND_NS;
/// After that: how long the end-to-end reader may take to reach the ends.
const READ_NS: u64 = 20 * SECOND_NS;

/// Where cells take place.
pub struct Stage<'a> {
    /// The cluster.
    pub cluster: &'a mut Cluster,
    /// Its administration.
    pub admin: &'a Admin,
    /// The run's id.
    pub run: &'a str,
    /// Leave topics behind.
    pub keep_topics: bool,
    /// Hold every replica against Kafka's own log dump.
    pub oracle: bool,
    /// The user's wish to stop.
    pub interrupt: &'a Interrupt,
}

/// Why a cell has no verdict, as far as it got.
#[derive(Debug)]
pub struct Trouble {
    /// As an experiment.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
}

impl Trouble {
    fn new(outcome: Outcome, reason: impl ToString) -> Self {
        Trouble { outcome, reason: reason.to_string() }
    }
}

impl From<CrewError> for Trouble {
    fn from(error: CrewError) -> Self {
        match error {
            CrewError::Interrupted => Trouble::new(Outcome::Interrupted, error),
            // It did start; what a dead worker leaves behind are no books.
            CrewError::NotReady(..)
            | CrewError::NotEnded
            | CrewError::Directory(..)
            | CrewError::Worker(_) => Trouble::new(Outcome::Void, error),
        }
    }
}

/// Nothing was measured yet.
fn not_started(error: CrewError) -> Trouble {
    match error {
        CrewError::Interrupted => error.into(),
        _ => Trouble::new(Outcome::CouldNotStart, error),
    }
}

fn void(reason: impl std::fmt::Display) -> Trouble {
    Trouble::new(Outcome::Void, reason)
}

/// What was seen while the load ran.
pub struct Observed {
    /// What runner and workers say at the end.
    pub statements: Statements,
    /// Fault steps as carried out.
    pub faults: Vec<FaultRecord>,
    /// Effective client settings by role.
    pub client_settings: BTreeMap<String, BTreeMap<String, String>>,
    /// Client errors.
    pub errors: Vec<String>,
}

/// Times the stages of a cell.
struct Stages {
    since_ns: u64,
    spent_ns: BTreeMap<String, u64>,
}

impl Stages {
    fn end(&mut self, name: &str) {
        let now_ns = clock::now_ns();
        self.spent_ns.insert(name.to_owned(), now_ns - self.since_ns);
        self.since_ns = now_ns;
    }
}

/// Carries out one cell in `directory`, where evidence and latencies are left; hears progress through `tell`.
pub async fn carry_out(
    stage: &mut Stage<'_>,
    cell: &Cell,
    directory: &Path,
    tell: &mut dyn FnMut(&Progress),
) -> CellResult {
    let mut result = assess::blank(stage.run, cell);
    let mut stages = Stages { since_ns: clock::now_ns(), spent_ns: BTreeMap::new() };
    let name = format!("bench-runner-{}-{}", stage.run, cell.id);
    let interrupt = stage.interrupt;
    // Around all stages, so that none of them, however long it waits, is deaf to the user.
    let worked = tokio::select! {
        worked = on_topic(stage, &name, cell, directory, &mut result, &mut stages, tell) => worked,
        () = interrupt.raised() => Err(CrewError::Interrupted.into()),
    };
    let sink = CellSink::of(stage, cell, directory);
    clean_up(stage, &name, sink, &mut result).await;
    stages.end("clean-up");
    if let Err(Trouble { outcome, reason }) = worked {
        result.outcome = outcome;
        result.reason = Some(reason);
    }
    keep_or_tidy(stage.cluster, &mut result, directory);
    result.stages_ns = stages.spent_ns;
    result
}

/// The workers' own files have been merged into the cell's; a cell without a verdict keeps them.
fn keep_or_tidy(cluster: &Cluster, result: &mut CellResult, directory: &Path) {
    let tidied = match result.outcome {
        Outcome::Finished => std::fs::remove_dir_all(directory.join("workers")),
        _ => Ok(()),
    };
    let logs = if needs_logs(result) { cluster.collect_logs(&directory.join("logs")) } else { Ok(()) };
    for error in [tidied, logs].into_iter().filter_map(Result::err) {
        result.errors.push(format!("tidying the cell's directory: {error}"));
    }
}

/// Somebody will ask what the brokers did: the cell failed, or showed what it must not.
fn needs_logs(result: &CellResult) -> bool {
    result.outcome != Outcome::Finished
        || result.expectation == Expectation::Unmet
        || result.has_unexpected_violation()
}

/// A cell that ended early must leave neither a broken cluster to the next one nor its topic or sink to anybody.
async fn clean_up(stage: &mut Stage<'_>, topic: &str, sink: Option<CellSink>, result: &mut CellResult) {
    stage.cluster.show_all();
    // Who interrupts waits for nothing: the cluster's end heals it as well.
    if !stage.interrupt.is_raised()
        && let Err(error) = stage.cluster.heal(topic).await
    {
        result.errors.push(error.to_string());
    }
    if let Some(sink) = sink
        && let Err(error) = sink.remove(stage).await
    {
        result.errors.push(error);
    }
    if !stage.keep_topics
        && let Err(error) = topic::discard(stage.cluster, stage.admin, topic, stage.interrupt).await
    {
        result.errors.push(error);
    }
}

async fn on_topic(
    stage: &mut Stage<'_>,
    name: &str,
    cell: &Cell,
    directory: &Path,
    result: &mut CellResult,
    stages: &mut Stages,
    tell: &mut dyn FnMut(&Progress),
) -> Result<(), Trouble> {
    let topic = Topic::create(stage.cluster, stage.admin, name, &cell.settings.topic)
        .await
        .map_err(|reason| Trouble::new(Outcome::CouldNotStart, reason))?;
    stages.end("topic");
    result.topic_settings = topic.settings().clone();
    with_topic(stage, cell, &topic, directory, result, stages, tell).await
}

async fn with_topic(
    stage: &mut Stage<'_>,
    cell: &Cell,
    topic: &Topic,
    directory: &Path,
    result: &mut CellResult,
    stages: &mut Stages,
    tell: &mut dyn FnMut(&Progress),
) -> Result<(), Trouble> {
    let workers = directory.join("workers");
    let sink = CellSink::of(stage, cell, directory);
    let load = &cell.settings.load;
    let [bootstrap, clients_bootstrap] = bootstraps(stage.cluster, cell);
    let task = Task {
        bootstrap: &bootstrap,
        clients_bootstrap: &clients_bootstrap,
        topic: topic.name(),
        partitions: cell.settings.topic.partitions,
        book: BookKey::of(stage.run, &cell.id),
        seed: cell.seed,
        load,
        producers: vec![&cell.settings.producer; usize::from(load.producers)],
        ledger_capacity: cell.ledger_capacity(),
        transaction_capacity: cell.transaction_capacity(),
        group: cell.settings.group.as_ref().map(|settings| Group {
            settings,
            journal_entries: cell.journal_entries(),
            sink: sink.as_ref().map(CellSink::place),
            pipe: sink.as_ref().and_then(|sink| sink.pipe(cell)),
        }),
        ordeals: Ordeals { deaths: &cell.deaths, kills: &cell.kills, joins: &cell.joins },
        directory: &workers,
    };
    if let Some(sink) = &sink {
        let made = sink.create(stage, &cell.settings.topic).await;
        made.map_err(|reason| Trouble::new(Outcome::CouldNotStart, reason))?;
    }
    let mut gang = Gang::start(&task, stage.interrupt).await.map_err(not_started)?;
    stages.end("workers");
    let watch = Watch::begin(stage.cluster, cell, task.topic, gang.t0_ns);
    let (faults, usage, stolen) = under_load(stage, cell, &task, &mut gang, tell).await?;
    stages.end("load");
    let healed = stage.cluster.heal(task.topic).await.map_err(|error| error.to_string());
    let ends = at_rest(stage, cell, &task, &mut gang, &faults, &healed).await?;
    let moved_leaders = moved_leaders(stage.cluster, task.topic).await;
    let partitions = watch.map(Watch::end).unwrap_or_default();
    stages.end("quiet");
    let end_offsets: Vec<i64> = ends.iter().flatten().map(|end| end.high).collect();
    let reader = gang.finish_reader(&task, end_offsets.clone(), clock::now_ns() + READ_NS).await?;
    stages.end("end-to-end drain");
    let process_by_ns = clock::now_ns() + cell.processing_limit_ns();
    let ends_to_process = ends_to_process(&task, &ends, end_offsets, &reader).await?;
    let unprocessed = gang.finish_members(&task, &ends_to_process, process_by_ns, stage.interrupt).await?;
    let ended = Ended { ends: &ends, reader, usage, stolen, unprocessed, moved_leaders, healed, partitions };
    let mut statements = stated(&mut gang, cell, ended);
    let of_producers = of_producers(&gang, &task).map_err(void)?;
    let journals = members::journals(&gang.lives, &workers).map_err(void)?;
    let pipelines = gang.lives.pipelines(&workers).map_err(void)?;
    dangling::end_pipelines(&task, &pipelines).await.map_err(void)?;
    let output_ends = output_at_rest(stage, cell, &task, &mut gang, &mut statements).await?;
    let lives = gang.lives.directories();
    let observed = Observed {
        statements,
        faults: injector::counted(faults, stage.cluster),
        client_settings: std::mem::take(&mut gang.settings),
        errors: std::mem::take(&mut gang.errors),
    };
    drop(gang);
    stages.end("group drain");
    let (of_group, of_sink) = ((journals, pipelines), (sink.as_ref(), &output_ends));
    let gathered = evidence::gather(stage.cluster, &task, &ends, of_producers, of_group, of_sink);
    let gathered = gathered.await.map_err(void)?;
    stages.end("reading");
    evidence::store(&gathered, directory).map_err(void)?;
    let measured = measure::measure(result, observed, &gathered, &lives, directory).map_err(void)?;
    let measured = judged(stage, &task, measured, &gathered, result, stages).await;
    measured.store(directory).map_err(void)
}

/// The verdict. One that a promise was broken unexpectedly accuses Kafka: its own tool is heard first.
async fn judged(
    stage: &Stage<'_>,
    task: &Task<'_>,
    mut measured: Measured,
    gathered: &Evidence,
    result: &mut CellResult,
    stages: &mut Stages,
) -> Measured {
    measured.assess(result, gathered);
    stages.end("verdict");
    let was_read = !gathered.readings.is_empty();
    if was_read && (stage.oracle || result.has_unexpected_violation()) {
        measured.dump(stage.cluster, task.topic, result).await;
        measured.assess(result, gathered);
        stages.end("log dump");
    }
    measured
}

/// Where a group has nothing left to process. Markers end a transaction's log, and no member will ever be given them.
async fn ends_to_process(
    task: &Task<'_>,
    ends: &Result<Vec<Ends>, String>,
    end_offsets: Vec<i64>,
    reader: &Done,
) -> Result<Vec<i64>, Trouble> {
    if task.transaction_capacity == 0 {
        return Ok(end_offsets);
    }
    let committed = &reader.ends_of_records;
    let shown_all = task.group.as_ref().is_some_and(|group| group.settings.isolation != "read_committed");
    match ends {
        Ok(ends) if shown_all => tails::uncommitted(task, ends, committed)
            .await
            .map_err(|reason| Trouble::new(Outcome::Inconclusive, reason)),
        _ => Ok(committed.clone()),
    }
}

/// Ledgers of the producers' lives, and their transactions where the cell has any.
fn of_producers(gang: &Gang, task: &Task<'_>) -> Result<(Vec<Ledger>, Vec<Transactions>), String> {
    let transactions = match task.transaction_capacity {
        0 => Vec::new(),
        _ => gang.lives.transactions(task.directory)?,
    };
    Ok((gang.lives.ledgers(task.directory)?, transactions))
}

/// Bootstrap servers of the runner and its readers, and those of producers and members.
fn bootstraps(cluster: &Cluster, cell: &Cell) -> [String; 2] {
    let reach = |proxied: bool| {
        let proxied = if proxied { cluster.proxied_bootstrap() } else { None };
        proxied.unwrap_or_else(|| cluster.bootstrap())
    };
    [reach(cell.lies_to_readers()), reach(cell.is_proxied())]
}

/// In a cluster that was healed, ends what producers have left open, and waits until nothing moves any more. Workers live on
/// meanwhile.
async fn at_rest(
    stage: &mut Stage<'_>,
    cell: &Cell,
    task: &Task<'_>,
    gang: &mut Gang,
    faults: &[FaultRecord],
    healed: &Result<Vec<String>, String>,
) -> Result<Result<Vec<Ends>, String>, CrewError> {
    if let Err(reason) = healed {
        return Ok(Err(reason.clone()));
    }
    if injector::has_deleted(faults) {
        return Ok(Err(format!("topic {} was deleted", task.topic)));
    }
    if task.transaction_capacity > 0
        && let Err(reason) = dangling::end(task, &gang.lives).await
    {
        return Ok(Err(reason));
    }
    let deadline_ns = clock::now_ns() + QUIET_NS;
    let topic = &cell.settings.topic;
    let quiet = quiet(stage.cluster, stage.admin, task.bootstrap, task.topic, topic, deadline_ns);
    gang.meanwhile(task, quiet).await
}

/// Where a pipeline's output ends, once nothing moves there any more and its reader has got so far; without one: nowhere.
async fn output_at_rest(
    stage: &Stage<'_>,
    cell: &Cell,
    task: &Task<'_>,
    gang: &mut Gang,
    statements: &mut Statements,
) -> Result<Result<Vec<Ends>, String>, CrewError> {
    let Some((topic, _)) = task.output() else { return Ok(Ok(Vec::new())) };
    let deadline_ns = clock::now_ns() + QUIET_NS;
    let settings = &cell.settings.topic;
    let quiet = quiet(stage.cluster, stage.admin, task.bootstrap, topic, settings, deadline_ns);
    let ends = gang.meanwhile(task, quiet).await?;
    let highs = ends.iter().flatten().map(|end| end.high).collect();
    statements.output_reader = gang.finish_output_reader(task, highs, clock::now_ns() + READ_NS).await?;
    Ok(ends)
}

/// Partitions that have another leader than at the start.
async fn moved_leaders(cluster: &Cluster, topic: &str) -> u64 {
    let views = cluster.partition_view(topic).await.unwrap_or_default();
    // A topic of ours is new: its partitions begin with epoch 0.
    views.iter().filter(|view| view.leader_epoch > 0).count() as u64
}

/// What is known when everybody has ended.
struct Ended<'a> {
    ends: &'a Result<Vec<Ends>, String>,
    reader: Done,
    usage: [Option<Usage>; 2],
    stolen: Stolen,
    unprocessed: Option<String>,
    moved_leaders: u64,
    healed: Result<Vec<String>, String>,
    partitions: Vec<PartitionChange>,
}

/// What runner and workers have to say at the end.
fn stated(gang: &mut Gang, cell: &Cell, ended: Ended<'_>) -> Statements {
    let Ended { ends, reader, usage, stolen, unprocessed, moved_leaders, healed, partitions } = ended;
    Statements {
        t0_ns: gang.t0_ns,
        unquiet: ends.as_ref().err().cloned(),
        producers: gang.lives.statements(Victim::Producer, &gang.done),
        reader,
        output_reader: None,
        usage,
        stolen: Some(stolen),
        arrivals: Some(arrivals::of_cell(gang.produced_by(), gang.delivered(), cell, gang.t0_ns)),
        delivered: (cell.settings.group.is_some() || !cell.settings.producer.answers_count())
            .then(|| arrivals::delivered(gang.delivered(), gang.t0_ns)),
        unprocessed,
        members: gang.lives.statements(Victim::Member, &gang.done),
        deaths: std::mem::take(&mut gang.lives.deaths),
        kills: std::mem::take(&mut gang.lives.kills),
        joins: std::mem::take(&mut gang.members.joins),
        untimed: 0,
        moved_leaders,
        healed: healed.unwrap_or_default(),
        partitions,
        unread_sink: None,
        dumps: Vec::new(),
    }
}

/// From T0 until all producers are done: faults on the run clock, or usage at both ends of the window; and what the host kept.
async fn under_load(
    stage: &mut Stage<'_>,
    cell: &Cell,
    task: &Task<'_>,
    gang: &mut Gang,
    tell: &mut dyn FnMut(&Progress),
) -> Result<(Vec<FaultRecord>, [Option<Usage>; 2], Stolen), Trouble> {
    let ticks = CpuTicks::now();
    let mut faults = Vec::new();
    if !cell.faults.is_empty() {
        let acked = std::cell::Cell::new(0);
        let told = || acked.get();
        let order = injector::Order { cell, t0_ns: gang.t0_ns, topic: task.topic, acked: &told };
        let injection = injector::run(order, stage.cluster);
        tokio::pin!(injection);
        faults = loop {
            tokio::select! {
                faults = &mut injection => break faults,
                heard = gang.hear(task) => heard?,
                () = stage.interrupt.raised() => return Err(CrewError::Interrupted.into()),
            }
            gang.attend(task).await?;
            let produced = gang.produced();
            acked.set(produced.acked);
            tell(&produced);
        };
    }
    let mut usage = [None, None];
    let window_ns = [Some(cell.settings.load.warmup_ns), cell.settings.load.window_end_ns()];
    let mut ends = (0..2).filter(|_| cell.faults.is_empty());
    let mut next = ends.next();
    while !gang.producers_done() {
        let wake_ns = next.and_then(|end: usize| window_ns[end]).map(|offset_ns| gang.t0_ns + offset_ns);
        tokio::select! {
            () = sleep_until(wake_ns) => {
                if let Some(end) = next {
                    usage[end] = stage.cluster.usage();
                }
                next = ends.next();
            }
            heard = gang.hear(task) => {
                heard?;
                gang.attend(task).await?;
                tell(&gang.produced());
            }
            () = stage.interrupt.raised() => return Err(CrewError::Interrupted.into()),
        }
    }
    if next == Some(1) {
        usage[1] = stage.cluster.usage();
    }
    Ok((faults, usage, ticks.stolen_since()))
}

async fn sleep_until(instant_ns: Option<u64>) {
    match instant_ns {
        Some(instant_ns) => {
            let left_ns = instant_ns.saturating_sub(clock::now_ns());
            tokio::time::sleep(std::time::Duration::from_nanos(left_ns)).await;
        }
        None => std::future::pending().await,
    }
}
