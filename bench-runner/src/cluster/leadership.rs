//! Requests about who leads: partitions are handed over in good order, coordinators are asked for.

use super::protocol::{ask, put_length, put_string};
use super::topic_requests::{reassign, refused};
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

/// Makes the first of `replicas` the preferred leader of a partition, and has it elected: the same replicas in another order, and
/// ElectLeaders v2. No record moves.
///
/// # Errors
/// Kafka's error code, or the broker does not answer.
pub async fn elect(endpoint: &str, topic: &str, partition: i32, replicas: &[BrokerId]) -> io::Result<()> {
    reassign(endpoint, topic, &[(partition, replicas.to_vec())]).await?;
    let mut body = vec![0]; // the preferred one
    put_length(&mut body, 1);
    put_string(&mut body, topic);
    put_length(&mut body, 1);
    body.extend(partition.to_be_bytes());
    body.push(0);
    body.extend(LIMIT_MS.to_be_bytes());
    body.push(0);
    refused("ElectLeaders", ask(endpoint, 43, 2, &body).await?, false)
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
