//! `cluster`: the hidden verb that opens a cluster and holds it, for scripts and tests.

use super::endpoints::endpoints;
use super::exit::{Exit, Failure};
use super::output;
use crate::cluster::{self, Ask, ClusterError, DiskAsk, Provider};
use bench_model::settings::{ClusterAsk, Stated};
use std::path::PathBuf;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};

/// Arguments of `cluster`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Hold the cluster until standard input ends or SIGINT or SIGTERM comes (without it: start, report, stop)
    #[arg(long)]
    hold: bool,
    /// Number of brokers
    #[arg(long, default_value_t = 3)]
    brokers: u16,
    /// Heap of each broker in MiB
    #[arg(long, default_value_t = 512)]
    heap_mib: u64,
    /// Replicas that must be possible (default: 3, or as many as there are brokers)
    #[arg(long)]
    replication_factor: Option<u16>,
    /// Look at an existing cluster (plaintext) instead
    #[arg(long, value_name = "HOST:PORT,…", value_parser = endpoints, conflicts_with_all = ["mock", "kafka_home"])]
    bootstrap_server: Option<String>,
    /// Librdkafka's mock cluster instead
    #[arg(long, conflicts_with = "kafka_home")]
    mock: bool,
    /// Unpacked Kafka distribution (default: the pinned version from Maven, cached)
    #[arg(long, value_name = "DIR")]
    kafka_home: Option<PathBuf>,
    /// Extra broker setting
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    settings: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Starts a cluster and prints one JSON line with `bootstrap`, `facts` and `log_directories` once it accepts writes.
pub fn cluster(args: Args) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Failure::new(Exit::Failure, miette::miette!("could not start the runtime: {error}"))
    })?;
    // Without the limit the runtime would wait for a read of standard input that nothing ends.
    let outcome = runtime.block_on(serve(args));
    runtime.shutdown_background();
    outcome
}

async fn serve(args: Args) -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Failure, miette::miette!("{error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let ask = Ask {
        replication_factor: args.replication_factor.unwrap_or(args.brokers.min(3)),
        cluster: ClusterAsk {
            brokers: args.brokers,
            heap_bytes: args.heap_mib << 20,
            settings: args.settings.into_iter().collect(),
            warm_limit_ns: 0,
            stated: Stated::default(),
        },
        proxied: false,
        gated: false,
        disks: DiskAsk::default(),
        keep: false,
    };
    let provider = match (args.bootstrap_server, args.mock) {
        (Some(bootstrap), _) => Provider::External { bootstrap },
        (None, true) => Provider::Mock { trouble: Vec::new() },
        (None, false) => Provider::Local { kafka_home: args.kafka_home },
    };
    let mut tell = output::tell;
    let opened = tokio::select! {
        opened = cluster::open(provider, &ask, &mut tell) => opened,
        _ = interrupt.recv() => return Ok(Exit::Interrupted),
        _ = terminate.recv() => return Ok(Exit::Interrupted),
    };
    let cluster = opened.map_err(|error| {
        let exit = if matches!(error, ClusterError::Unfit { .. }) { Exit::Cluster } else { Exit::Failure };
        Failure::new(exit, error)
    })?;
    let line = serde_json::json!({
        "bootstrap": cluster.bootstrap(),
        "brokers": cluster.broker_ids(),
        "facts": cluster.facts(),
        "leftovers": cluster.leftovers(),
        "log_directories": cluster.log_directories(),
        "sharers": cluster.sharers(),
    });
    output::line(&line.to_string())?;
    if args.hold {
        let mut ended = [0; 64];
        let mut input = tokio::io::stdin();
        tokio::select! {
            () = async { while input.read(&mut ended).await.is_ok_and(|count| count > 0) {} } => {}
            _ = interrupt.recv() => return Ok(Exit::Interrupted),
            _ = terminate.recv() => return Ok(Exit::Interrupted),
        }
    }
    tokio::select! {
        () = cluster.stop(&mut tell) => Ok(Exit::Ok),
        _ = interrupt.recv() => Ok(Exit::Interrupted),
        _ = terminate.recv() => Ok(Exit::Interrupted),
    }
}
