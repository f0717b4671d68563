//! Leader, epoch and replica sets of partitions, asked of every running broker: the highest epoch is the newest.

use super::protocol::{ask, put_string};
use bench_model::ids::BrokerId;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;
use tokio::task::JoinSet;

/// One partition as the best informed broker sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionView {
    /// Partition number.
    pub partition: i32,
    /// `None`: no leader.
    pub leader: Option<BrokerId>,
    /// Rises with each election.
    pub leader_epoch: i32,
    /// All replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// In-sync replicas.
    pub isr: Vec<BrokerId>,
    /// Replicas outside the ISR that may be elected without loss.
    pub eligible: Vec<BrokerId>,
}

/// The newest view of `topic`'s partitions in their order; `None`: no broker could say.
pub async fn newest_view(endpoints: &[String], topic: &str) -> Option<Vec<PartitionView>> {
    view_of(endpoints, |endpoint| {
        let topic = topic.to_owned();
        async move { describe(&endpoint, &topic).await }
    })
    .await
}

/// The newest of what all of them say.
async fn view_of<F>(endpoints: &[String], describe: impl Fn(String) -> F) -> Option<Vec<PartitionView>>
where
    F: Future<Output = io::Result<Vec<PartitionView>>> + Send + 'static,
{
    let mut asked = JoinSet::new();
    for endpoint in endpoints {
        asked.spawn(describe(endpoint.clone()));
    }
    let mut newest: BTreeMap<i32, PartitionView> = BTreeMap::new();
    while let Some(answered) = asked.join_next().await {
        for view in answered.ok().and_then(Result::ok).unwrap_or_default() {
            match newest.get(&view.partition) {
                Some(known) if is_newer(known, &view) => {}
                _ => {
                    newest.insert(view.partition, view);
                }
            }
        }
    }
    (!newest.is_empty()).then(|| newest.into_values().collect())
}

/// UNKNOWN_TOPIC_OR_PARTITION.
const UNKNOWN_TOPIC: i16 = 3;

/// Every one of these brokers says that there is no such topic.
pub async fn is_unknown(endpoints: &[String], topic: &str) -> bool {
    for endpoint in endpoints {
        if !describe(endpoint, topic).await.is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return false;
        }
    }
    !endpoints.is_empty()
}

/// How long a broker may take to say how partitions stand, before it is left out.
const LOOK: Duration = Duration::from_millis(200);

/// Asks brokers that may be stopped or dead, again and again.
#[derive(Debug)]
pub struct Watcher {
    endpoints: Vec<String>,
    topic: String,
}

impl Watcher {
    pub(super) fn new(endpoints: Vec<String>, topic: &str) -> Self {
        Watcher { endpoints, topic: topic.to_owned() }
    }

    /// The newest view of all that answer within 200 ms; empty: nobody does.
    pub async fn look(&self) -> Vec<PartitionView> {
        let topic = &self.topic;
        view_of(&self.endpoints, |endpoint| {
            let topic = topic.clone();
            async move {
                let answer = tokio::time::timeout(LOOK, describe(&endpoint, &topic)).await;
                answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            }
        })
        .await
        .unwrap_or_default()
    }
}

/// Whether `known` must not be replaced. ISR changes raise no leader epoch: of two views with one epoch the smaller
/// ISR is shown, so that a replica set counts as full only when every running broker says so.
fn is_newer(known: &PartitionView, other: &PartitionView) -> bool {
    (known.leader_epoch, std::cmp::Reverse(known.isr.len()))
        >= (other.leader_epoch, std::cmp::Reverse(other.isr.len()))
}

/// DescribeTopicPartitions v0 of one topic, all pages.
async fn describe(endpoint: &str, topic: &str) -> io::Result<Vec<PartitionView>> {
    let mut views = Vec::new();
    let mut from = 0;
    loop {
        let mut body = vec![2]; // one topic
        put_string(&mut body, topic);
        body.push(0);
        body.extend(2000i32.to_be_bytes()); // partitions in one answer, the broker's own limit
        body.push(1); // a cursor follows
        put_string(&mut body, topic);
        body.extend(i32::to_be_bytes(from));
        body.extend([0, 0]);
        let mut answer = ask(endpoint, 75, 0, &body).await?;
        answer.skip_tags()?;
        answer.int32()?; // throttle time
        for _ in 0..answer.compact_length()? {
            read_topic(&mut answer, &mut views)?;
        }
        let next = answer.skip(1).and_then(|()| answer.string()).and_then(|_| answer.int32());
        match next {
            Ok(next) if next > from => from = next,
            _ => return Ok(views),
        }
    }
}

fn read_topic(answer: &mut super::protocol::Answer, views: &mut Vec<PartitionView>) -> io::Result<()> {
    let error = answer.int16()?;
    answer.string()?; // name
    answer.skip(16 + 1)?; // id, internal
    if error == UNKNOWN_TOPIC {
        return Err(io::ErrorKind::NotFound.into());
    }
    if error != 0 {
        return Err(io::Error::other(format!("DescribeTopicPartitions: error {error}")));
    }
    let brokers = |ids: Vec<i32>| ids.into_iter().map(BrokerId).collect::<Vec<_>>();
    for _ in 0..answer.compact_length()? {
        answer.int16()?; // "no leader" and "replica not available" are errors here, and the fields say the same
        let partition = answer.int32()?;
        let leader = answer.int32()?;
        let leader_epoch = answer.int32()?;
        let replicas = brokers(answer.ids()?);
        let isr = brokers(answer.ids()?);
        let eligible = brokers(answer.ids()?);
        answer.ids()?; // last known eligible
        answer.ids()?; // offline
        answer.skip_tags()?;
        let leader = (leader >= 0).then_some(BrokerId(leader));
        views.push(PartitionView { partition, leader, leader_epoch, replicas, isr, eligible });
    }
    answer.skip(4)?; // authorized operations
    answer.skip_tags()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(leader_epoch: i32, isr: &[i32]) -> PartitionView {
        PartitionView {
            partition: 0,
            leader: None,
            leader_epoch,
            replicas: Vec::new(),
            isr: isr.iter().copied().map(BrokerId).collect(),
            eligible: Vec::new(),
        }
    }

    #[test]
    fn the_higher_epoch_wins_and_then_the_smaller_isr() {
        assert!(is_newer(&view(2, &[1]), &view(1, &[1, 2, 3])));
        assert!(!is_newer(&view(1, &[1]), &view(2, &[1, 2, 3])));
        assert!(is_newer(&view(1, &[1]), &view(1, &[1, 2])));
        assert!(!is_newer(&view(1, &[1, 2]), &view(1, &[1])));
    }
}
