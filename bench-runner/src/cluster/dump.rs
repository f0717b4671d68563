//! Kafka's own log dump of every replica of a topic.

use super::ClusterError;
use super::distribution::{Distribution, run_to_end};
use super::power_cut::{logs, segments};
use bench_model::ids::{BrokerId, PartitionId};
use bench_model::segment::dump::{self, Dump};
use std::path::PathBuf;

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
    let mut replicas: Vec<(BrokerId, PartitionId, Vec<PathBuf>)> = Vec::new();
    for (broker, data) in directories {
        let logs = logs(data).map_err(|why| ClusterError::failed(ACT, why))?;
        for (_, partition, log) in logs.into_iter().filter(|(name, ..)| name == topic) {
            let files = segments(&log).map_err(|error| ClusterError::failed(ACT, error))?;
            replicas.push((*broker, PartitionId(partition), files));
        }
    }
    let files: Vec<String> =
        replicas.iter().flat_map(|(_, _, files)| files).map(|file| file.display().to_string()).collect();
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let mut command = distribution.tool("org.apache.kafka.tools.DumpLogSegments");
    command.args(["--files", &files.join(",")]);
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
