//! Requests of a topic's administration that no client library has: replicas are moved, a setting is changed and asked of one broker.

use super::protocol::{Answer, ask, put_length, put_string};
use bench_model::ids::BrokerId;
use std::io;

/// How long a broker may take to answer, in milliseconds.
const LIMIT_MS: i32 = 1_000;
const TOPIC: u8 = 2;
const SET: u8 = 0;

/// The replicas of a partition, the preferred leader first.
pub type Placement = (i32, Vec<BrokerId>);

/// AlterPartitionReassignments v0: these partitions shall have these replicas; none: what is under way is given up.
///
/// # Errors
/// Kafka's error code, or the broker does not answer.
pub async fn reassign(endpoint: &str, topic: &str, wanted: &[Placement]) -> io::Result<()> {
    let mut body = Vec::from(LIMIT_MS.to_be_bytes());
    put_length(&mut body, 1);
    put_string(&mut body, topic);
    put_length(&mut body, wanted.len());
    for (partition, replicas) in wanted {
        body.extend(partition.to_be_bytes());
        match replicas.is_empty() {
            true => body.push(0), // null
            false => put_length(&mut body, replicas.len()),
        }
        body.extend(replicas.iter().flat_map(|broker| broker.0.to_be_bytes()));
        body.push(0);
    }
    body.extend([0, 0]);
    refused("AlterPartitionReassignments", ask(endpoint, 45, 0, &body).await?, true)
}

/// The first error in an answer about partitions, as one of ours; of the whole request `has_message` says more.
pub fn refused(request: &str, mut answer: Answer, has_message: bool) -> io::Result<()> {
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
    code(request, error)
}

fn code(request: &str, error: i16) -> io::Result<()> {
    match error {
        0 => Ok(()),
        error => Err(io::Error::other(format!("{request}: error {error}"))),
    }
}

/// ListPartitionReassignments v0: those of these partitions whose replicas are still moving.
///
/// # Errors
/// Kafka's error code, or the broker does not answer.
pub async fn moving(endpoint: &str, topic: &str, partitions: &[i32]) -> io::Result<Vec<i32>> {
    let mut body = Vec::from(LIMIT_MS.to_be_bytes());
    put_length(&mut body, 1);
    put_string(&mut body, topic);
    put_length(&mut body, partitions.len());
    body.extend(partitions.iter().flat_map(|partition| partition.to_be_bytes()));
    body.extend([0, 0]);
    let mut answer = ask(endpoint, 46, 0, &body).await?;
    answer.skip_tags()?;
    answer.int32()?; // throttle time
    code("ListPartitionReassignments", answer.int16()?)?;
    answer.string()?; // message
    let mut found = Vec::new();
    for _ in 0..answer.compact_length()? {
        answer.string()?; // topic
        for _ in 0..answer.compact_length()? {
            found.push(answer.int32()?);
            for _replicas_added_removed in 0..3 {
                answer.ids()?;
            }
            answer.skip_tags()?;
        }
        answer.skip_tags()?;
    }
    Ok(found)
}

/// How a request about one setting of one topic begins.
fn about(topic: &str, name: &str) -> Vec<u8> {
    let mut body = Vec::new();
    put_length(&mut body, 1);
    body.push(TOPIC);
    put_string(&mut body, topic);
    put_length(&mut body, 1);
    put_string(&mut body, name);
    body
}

/// IncrementalAlterConfigs v1: sets one setting of a topic.
///
/// # Errors
/// Kafka's error code, or the broker does not answer.
pub async fn set(endpoint: &str, topic: &str, name: &str, value: &str) -> io::Result<()> {
    let mut body = about(topic, name);
    body.push(SET);
    put_string(&mut body, value);
    // The ends of setting and topic; it is no trial; the end of all.
    body.extend([0, 0, 0, 0]);
    let mut answer = ask(endpoint, 44, 1, &body).await?;
    answer.skip_tags()?;
    answer.int32()?; // throttle time
    answer.compact_length()?;
    code("IncrementalAlterConfigs", answer.int16()?)
}

/// DescribeConfigs v4: one setting of a topic, as this broker knows it.
///
/// # Errors
/// Kafka's error code, or the broker does not answer.
pub async fn setting(endpoint: &str, topic: &str, name: &str) -> io::Result<String> {
    let mut body = about(topic, name);
    // The end of the topic; neither synonyms nor documentation; the end of all.
    body.extend([0, 0, 0, 0]);
    let mut answer = ask(endpoint, 32, 4, &body).await?;
    answer.skip_tags()?;
    answer.int32()?; // throttle time
    answer.compact_length()?;
    code("DescribeConfigs", answer.int16()?)?;
    answer.string()?; // message
    answer.skip(1)?; // it is a topic
    answer.string()?; // its name
    answer.compact_length()?;
    answer.string()?; // the setting's name
    answer.string()
}
