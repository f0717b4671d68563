//! Librdkafka's mock cluster in a process of its own, for smoke tests without Java.

use super::broker_process::guard;
use super::{Ask, ClusterError};
use bench_model::ids::BrokerId;
use bench_model::result::ClusterFacts;
use bench_model::settings::ClusterAsk;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

/// What stands where a version would.
pub const VERSION: &str = "mock: not Kafka; no durability claim";

/// A running mock cluster.
pub struct Mock {
    child: Child,
    output: BufReader<ChildStdout>,
    /// Its brokers' addresses.
    pub bootstrap: String,
    /// Ids from 1.
    pub brokers: Vec<BrokerId>,
}

/// Starts this binary's verb `mock-cluster`.
pub async fn start(ask: &Ask, trouble: &[String]) -> Result<(Mock, ClusterFacts), ClusterError> {
    refuse(&ask.cluster)?;
    let failed = |cause: std::io::Error| ClusterError::failed("start the mock cluster", cause);
    // The very program that runs, even if another one has taken its place on disk.
    let mut command = Command::new("/proc/self/exe");
    command.args(["mock-cluster", "--brokers", &ask.cluster.brokers.to_string()]).args(trouble);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = guard(&mut command).spawn().map_err(failed)?;
    let output = child.stdout.take().ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
    let mut bootstrap = String::new();
    let mut output = BufReader::new(output);
    let line = tokio::time::timeout(Duration::from_secs(10), output.read_line(&mut bootstrap)).await;
    line.map_err(|_| failed(std::io::ErrorKind::TimedOut.into()))?.map_err(failed)?;
    let bootstrap = bootstrap.trim().to_owned();
    if bootstrap.is_empty() {
        return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
    }
    let facts = ClusterFacts {
        provider: "mock".to_owned(),
        version: VERSION.to_owned(),
        brokers: ask.cluster.brokers,
        ..ClusterFacts::default()
    };
    let brokers = (1..=i32::from(ask.cluster.brokers)).map(BrokerId).collect();
    Ok((Mock { child, output, bootstrap, brokers }, facts))
}

/// It has neither a heap nor settings; a profile that asks for them asks for another cluster.
fn refuse(asked: &ClusterAsk) -> Result<(), ClusterError> {
    let first = asked.settings.first_key_value().map(|(name, value)| format!("{name} = {value}"));
    match first.or(asked.stated.heap.then(|| "a heap".to_owned())) {
        None => Ok(()),
        Some(what) => Err(ClusterError::unfit(
            format!("the profile asks for brokers with {what}, and the mock cluster's have no such thing"),
            "leave it out of [cluster], or run on the local cluster (without --mock)",
        )),
    }
}

impl Mock {
    /// Creates a topic by a line to the process; the mock does not speak the request for it.
    pub async fn create_topic(
        &mut self,
        name: &str,
        partitions: u16,
        replicas: u16,
    ) -> Result<(), ClusterError> {
        let act = || format!("create topic {name} on the mock cluster");
        let failed = |error: std::io::Error| ClusterError::failed(act(), error);
        let input = self.child.stdin.as_mut().ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
        input.write_all(format!("{name} {partitions} {replicas}\n").as_bytes()).await.map_err(failed)?;
        let mut answer = String::new();
        self.output.read_line(&mut answer).await.map_err(failed)?;
        if answer.trim() == "ok" { Ok(()) } else { Err(ClusterError::failed(act(), answer.trim())) }
    }

    /// Ends it.
    pub async fn stop(mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::warn!(%error, "could not end the mock cluster");
        }
    }
}
