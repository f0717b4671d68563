//! A run: cluster up, warm, every cell of the plan in order, results stored as they are finished.

mod arrivals;
mod cell;
mod crew;
mod dangling;
mod evidence;
mod host;
mod interrupt;
mod lives;
mod measure;
mod members;
mod output;
mod progress;
mod quiet;
mod readlog;
mod segments;
mod sinks;
mod standstill;
mod tails;
mod topic;
mod warm;
mod watch;

use crate::cluster::{self, Ask, Cluster, ClusterError, DiskAsk, Provider};
use crate::kafka::KafkaError;
use crate::kafka::admin::Admin;
use crate::store::{RunDir, StoreError};
use bench_model::assess;
use bench_model::fault::Action;
use bench_model::plan::{Cell, Plan};
use bench_model::profile::Profile;
use bench_model::result::{Caveat, CellResult, Manifest, Outcome, ProfileSource, SCHEMA_VERSION};
pub use host::revision;
use interrupt::Interrupt;
use progress::Bar;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Everything that `run` was asked to do.
pub struct Orders {
    /// Validated profiles.
    pub profiles: Vec<Profile>,
    /// Their cells.
    pub plan: Plan,
    /// Where the cluster comes from.
    pub provider: Provider,
    /// Directory of all runs.
    pub results: PathBuf,
    /// Leave topics behind.
    pub keep_topics: bool,
    /// Hold every replica against Kafka's own log dump.
    pub oracle: bool,
    /// Leave the local cluster's data behind.
    pub keep_cluster_data: bool,
    /// The exact command line.
    pub command: Vec<String>,
}

/// Why a run ended without results.
#[derive(Debug, Error)]
pub enum RunError {
    /// No cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// No administration.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// No room for results.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No runtime, or no signals.
    #[error("{0}: {1}")]
    System(&'static str, std::io::Error),
}

/// What a run leaves to its caller.
pub struct Outcomes {
    /// `results/<run-id>`.
    pub directory: PathBuf,
    /// One for each cell that was begun.
    pub cells: Vec<CellResult>,
    /// The user wanted to stop.
    pub interrupted: bool,
}

/// Carries out a plan on a runtime of its own: one thread, the main one, which spawns every child.
pub fn run(orders: &Orders) -> Result<Outcomes, RunError> {
    crate::clock::prefer_this_thread();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RunError::System("could not start the runtime", error))?;
    let outcome = runtime.block_on(carry_out(orders));
    // After an interrupt a thread may still wait for a broker's answer, and dropping the runtime would wait for it.
    runtime.shutdown_background();
    outcome
}

async fn carry_out(orders: &Orders) -> Result<Outcomes, RunError> {
    let interrupt =
        Interrupt::listen().map_err(|error| RunError::System("could not listen to signals", error))?;
    let mut bar = Bar::new(&orders.plan);
    let ask = Ask {
        cluster: orders.plan.cluster.clone(),
        replication_factor: replication_factor(&orders.plan),
        proxied: orders.plan.cells.iter().any(Cell::is_proxied),
        gated: orders.plan.cells.iter().any(Cell::is_gated),
        disks: DiskAsk {
            fills: orders.plan.fills_disks(),
            protects: orders.plan.cells.iter().any(|cell| cell.has_step(Action::WriteProtect)),
            bytes: orders.plan.estimate.disk_bytes,
        },
        keep: orders.keep_cluster_data,
    };
    let names: Vec<&str> = orders.profiles.iter().map(|profile| profile.name.as_str()).collect();
    let run = host::run_id(&names);
    let mut say = |line: &str| bar.say(line);
    let mut cluster = tokio::select! {
        cluster = cluster::open(orders.provider.clone(), &ask, &mut say) => cluster?,
        () = interrupt.raised() => {
            return Ok(Outcomes { directory: orders.results.clone(), cells: Vec::new(), interrupted: true });
        }
    };
    let outcome = on_cluster(orders, &mut cluster, &run, &interrupt, &mut bar).await;
    // An orderly stop may take long (the first one records an archive); who interrupts wants to be gone now, and
    // dropping the cluster kills what it started.
    if !interrupt.is_raised() {
        cluster.stop(&mut |line| bar.say(line)).await;
    }
    outcome
}

async fn on_cluster(
    orders: &Orders,
    cluster: &mut Cluster,
    run: &str,
    interrupt: &Interrupt,
    bar: &mut Bar,
) -> Result<Outcomes, RunError> {
    let directory = RunDir::create(&orders.results, run)?;
    let admin = Admin::open(&cluster.bootstrap())?;
    let mut manifest = manifest(orders, cluster, run);
    let mut sharers: BTreeSet<String> = cluster.sharers().into_iter().collect();
    directory.write_manifest(&manifest)?;
    warm_up(orders, cluster, &admin, &mut manifest, interrupt, bar).await;
    directory.write_manifest(&manifest)?;
    let mut cells = Vec::new();
    for (index, planned) in orders.plan.cells.iter().enumerate() {
        if interrupt.is_raised() {
            break;
        }
        bar.begin(index, planned);
        let aside = directory.cell_aside(&planned.id)?;
        let mut here = cluster.sharers();
        let &Orders { keep_topics, oracle, .. } = orders;
        let mut stage = cell::Stage { cluster, admin: &admin, run, keep_topics, oracle, interrupt };
        let mut result =
            cell::carry_out(&mut stage, planned, aside.path(), &mut |progress| bar.tick(progress)).await;
        here.extend(cluster.sharers());
        if !here.is_empty() {
            result.caveats.push(shared_machine("another run was active on this machine".to_owned()));
        }
        sharers.extend(here);
        bar.end(&result);
        if result.outcome == Outcome::Interrupted {
            break;
        }
        aside.commit(&mut result)?;
        cells.push(result);
    }
    if !sharers.is_empty() {
        let pids = sharers.into_iter().collect::<Vec<_>>().join(", ");
        manifest.caveats.push(shared_machine(format!("other runs were active on this machine ({pids})")));
    }
    manifest.caveats.extend(assess::unsettled(&cells));
    manifest.ended = host::utc_now();
    manifest.interrupted = interrupt.is_raised();
    directory.write_manifest(&manifest)?;
    Ok(Outcomes { directory: directory.path().to_owned(), cells, interrupted: manifest.interrupted })
}

fn source(profile: &Profile) -> ProfileSource {
    ProfileSource {
        name: profile.name.clone(),
        why: profile.why.clone(),
        text: profile.text.clone(),
        overrides: profile.overrides.clone(),
    }
}

fn replication_factor(plan: &Plan) -> u16 {
    plan.cells.iter().map(|cell| cell.settings.topic.replication_factor).max().unwrap_or(1)
}

fn manifest(orders: &Orders, cluster: &Cluster, run: &str) -> Manifest {
    let mut caveats = Vec::new();
    let facts = cluster.facts();
    if cluster.is_mock() {
        caveats.push(Caveat {
            kind: "mock".into(),
            what: facts.version.clone(),
            advice: "use the local cluster for anything but a smoke test".into(),
        });
    }
    if !cluster.is_mock() && cluster.log_directories().is_none() {
        caveats.push(Caveat {
            kind: "replicas-not-compared".into(),
            what: "the brokers' segment files cannot be read from here, so the books rest on two readings through the client"
                .into(),
            advice: "measure on the local cluster where it matters that every replica holds the same records".into(),
        });
    }
    if orders.plan.cells.iter().any(Cell::is_gated) {
        caveats.push(Caveat {
            kind: "gates".into(),
            what: "some cell isolates a broker, so replication and the brokers' way to the controller pass gates of ours in every cell".into(),
            advice: "measure latencies in a run without isolate: those of this one carry what the gates cost".into(),
        });
    }
    if orders.plan.fills_disks() {
        caveats.push(Caveat {
            kind: "data-in-memory".into(),
            what: "the brokers' data lay in memory, so that their disks could be filled: nothing waited for a disk"
                .into(),
            advice: "compare latencies and throughput with those of no other run".into(),
        });
    }
    for leftover in cluster.leftovers() {
        caveats.push(Caveat {
            kind: "leftovers".into(),
            what: leftover.clone(),
            advice:
                "a run before this one was killed; what it had left was cleared away before this one began"
                    .into(),
        });
    }
    Manifest {
        schema: SCHEMA_VERSION.into(),
        run: run.into(),
        started: host::utc_now(),
        ended: String::new(),
        command: orders.command.clone(),
        revision: revision(),
        client: crate::kafka::client_version(),
        profiles: orders.profiles.iter().map(source).collect(),
        plan: orders.plan.cells.clone(),
        skipped: orders.plan.skipped.clone(),
        cluster: facts,
        host: host::facts(&orders.results),
        caveats,
        controls: orders.profiles.iter().any(|profile| profile.controls),
        interrupted: false,
    }
}

async fn warm_up(
    orders: &Orders,
    cluster: &mut Cluster,
    admin: &Admin,
    manifest: &mut Manifest,
    interrupt: &Interrupt,
    bar: &mut Bar,
) {
    let limit_ns = orders.plan.cluster.warm_limit_ns;
    if cluster.is_mock() || limit_ns == 0 {
        return;
    }
    let scratch = Path::new(&std::env::temp_dir()).join(format!("bench-runner-warm-{}", std::process::id()));
    let job = warm::Job {
        cluster,
        admin,
        cells: &orders.plan.cells,
        limit_ns,
        run: &manifest.run,
        scratch: &scratch,
    };
    let warmed = warm::warm(job, interrupt, &mut |line| bar.say(line)).await;
    let _ = std::fs::remove_dir_all(&scratch);
    let doubt = match warmed {
        Ok(warm) => {
            let unseen = || "the brokers' CPU per record cannot be seen from here".to_owned();
            let doubt = (!warm.stable).then(|| warm::doubt(&warm).unwrap_or_else(unseen));
            manifest.cluster.warm = Some(warm);
            doubt
        }
        Err(reason) => Some(format!("the brokers were not warmed: {reason}")),
    };
    if let Some(what) = doubt {
        bar.say(&what);
        let advice = "raise `warm` in the profile's [cluster], or compare only cells that ran late".into();
        manifest.caveats.push(Caveat { kind: "cold-brokers".into(), what, advice });
    }
}

fn shared_machine(what: String) -> Caveat {
    Caveat {
        kind: "shared-machine".into(),
        what,
        advice: "repeat on a machine of its own before comparing latencies; the books are not affected"
            .into(),
    }
}
