//! Requests about who leads: partitions are handed over in good order, coordinators are asked for.

use super::protocol::{Answer, ask, put_string};
use bench_model::ids::BrokerId;
use std::io;

/// How long a broker may take to answer, in milliseconds.
const LIMIT_MS: i32 = 1_000;

/// Whose coordinator is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coordinated {
    /// A consumer group.
    Group(String),
    /// A transactional id.
    Transactions(String),
}

impl std::fmt::Display for Coordinated {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Coordinated::Group(group) => write!(to, "group {group}"),
            Coordinated::Transactions(id) => write!(to, "transactional id {id}"),
        }
    }
}

/// Makes the first of `replicas` the preferred leader of a partition, and has it elected: AlterPartitionReassignments v0 with the
/// same replicas in another order, ElectLeaders v2. No record moves.
///
/// # Errors
/// Kafka's error code, or the broker does not answer.
pub async fn elect(endpoint: &str, topic: &str, partition: i32, replicas: &[BrokerId]) -> io::Result<()> {
    let mut body = Vec::from(LIMIT_MS.to_be_bytes());
    body.push(2); // one topic
    put_string(&mut body, topic);
    body.push(2); // one partition
    body.extend(partition.to_be_bytes());
    body.push(replicas.len() as u8 + 1);
    body.extend(replicas.iter().flat_map(|broker| broker.0.to_be_bytes()));
    body.extend([0, 0, 0]);
    refused("AlterPartitionReassignments", ask(endpoint, 45, 0, &body).await?, true)?;

    let mut body = vec![0]; // the preferred one
    body.push(2);
    put_string(&mut body, topic);
    body.push(2);
    body.extend(partition.to_be_bytes());
    body.push(0);
    body.extend(LIMIT_MS.to_be_bytes());
    body.push(0);
    refused("ElectLeaders", ask(endpoint, 43, 2, &body).await?, false)
}

/// The first error in an answer of either kind, as one of ours; of the whole request `has_message` says more.
fn refused(request: &str, mut answer: Answer, has_message: bool) -> io::Result<()> {
    answer.skip_tags()?;
    answer.int32()?; // throttle time
    let mut error = answer.int16()?;
    if has_message {
        answer.string()?;
    }
    for _ in 0..answer.compact_length()? {
        answer.string()?; // topic
        for _ in 0..answer.compact_length()? {
            answer.int32()?; // partition
            let own = answer.int16()?;
            error = if error == 0 { own } else { error };
            answer.string()?; // message
            answer.skip_tags()?;
        }
        answer.skip_tags()?;
    }
    match error {
        0 => Ok(()),
        error => Err(io::Error::other(format!("{request}: error {error}"))),
    }
}

/// FindCoordinator v4: which broker coordinates.
///
/// # Errors
/// Nobody does yet, or the broker does not answer.
pub async fn coordinator(endpoint: &str, whose: &Coordinated) -> io::Result<BrokerId> {
    let (kind, key) = match whose {
        Coordinated::Group(group) => (0, group),
        Coordinated::Transactions(id) => (1, id),
    };
    let mut body = vec![kind, 2];
    put_string(&mut body, key);
    body.push(0);
    let mut answer = ask(endpoint, 10, 4, &body).await?;
    answer.skip_tags()?;
    answer.int32()?; // throttle time
    answer.compact_length()?;
    answer.string()?; // key
    let broker = answer.int32()?;
    answer.string()?; // host
    answer.int32()?; // port
    match answer.int16()? {
        0 => Ok(BrokerId(broker)),
        error => Err(io::Error::other(format!("FindCoordinator: error {error}"))),
    }
}
