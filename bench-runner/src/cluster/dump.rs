//! Kafka's own log dump of every replica of a topic.

use super::ClusterError;
use super::distribution::{Distribution, run_to_end};
use bench_model::ids::{BrokerId, PartitionId};
use bench_model::segment::dump::{self, Dump};
use std::path::{Path, PathBuf};
use tokio::process::Command;

const ACT: &str = "dump the log with Kafka's own tool";

/// One entry for each replica of the topic below these data directories. Brokers may run meanwhile; the topic must be quiet.
///
/// # Errors
/// The tool does not run, or says what nobody here understands.
pub async fn dump(
    distribution: &Distribution,
    directories: &[(BrokerId, PathBuf)],
    topic: &str,
) -> Result<Vec<Dump>, ClusterError> {
    let failed = |error: std::io::Error| ClusterError::failed(ACT, error);
    let mut replicas: Vec<(BrokerId, PartitionId, Vec<PathBuf>)> = Vec::new();
    for (broker, data) in directories {
        for entry in std::fs::read_dir(data).map_err(failed)? {
            let place = entry.map_err(failed)?.path();
            if let Some(partition) = partition_of(&place, topic) {
                replicas.push((*broker, partition, segments(&place).map_err(failed)?));
            }
        }
    }
    let files: Vec<String> =
        replicas.iter().flat_map(|(_, _, files)| files).map(|file| file.display().to_string()).collect();
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let mut command = Command::new(&distribution.java);
    command.args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", &distribution.class_path]);
    command.args(["org.apache.kafka.tools.DumpLogSegments", "--files", &files.join(",")]);
    let text = run_to_end(command, ACT).await?;
    let found = dump::counts(&text).map_err(|why| ClusterError::failed(ACT, why))?;
    let counts_of = |file: &PathBuf| {
        let missing = || ClusterError::failed(ACT, format!("it says nothing of {}", file.display()));
        found.get(&file.display().to_string()).copied().ok_or_else(missing)
    };
    let whole = |(broker, partition, files): (BrokerId, PartitionId, Vec<PathBuf>)| {
        let counts = files.iter().map(counts_of).collect::<Result<Vec<_>, _>>()?;
        let counts = counts.into_iter().fold(dump::Counts::default(), dump::Counts::and);
        Ok(Dump { broker, partition, counts })
    };
    replicas.into_iter().map(whole).collect()
}

/// The partition whose replica a directory is, if it is one of this topic.
fn partition_of(place: &Path, topic: &str) -> Option<PartitionId> {
    let number = place.file_name()?.to_str()?.strip_prefix(topic)?.strip_prefix('-')?;
    number.parse().ok().map(PartitionId)
}

fn segments(replica: &Path) -> std::io::Result<Vec<PathBuf>> {
    let files = std::fs::read_dir(replica)?.map(|entry| entry.map(|entry| entry.path()));
    let is_log = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "log");
    files.filter(|path| path.as_ref().map_or(true, is_log)).collect()
}
