//! The section `[consumer]`: its keys, defaults and rules; where it stands, a cell has a consumer group.

use super::property_names::{self, Client};
use super::section::{Section, Wrong};
use super::sink;
use super::tree::{Node, Value};
use super::units::duration_text;
use super::values;
use crate::settings::{
    CONSUMER_PROTOCOL, ClusterAsk, CommitStrategy, FetchSettings, GroupSettings, ProducerSettings,
    ServiceSpread,
};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const HOUR: u64 = 3_600 * SECOND;

/// Until [`settle`]: no session was given. No session is as short.
const NOT_GIVEN_NS: u64 = 0;
/// Session of a member, by librdkafka's default (classic protocol) and the brokers' (consumer protocol).
const SESSION_NS: u64 = 45 * SECOND;
/// The brokers' setting for sessions of the consumer protocol.
const BROKERS_SESSION: &str = "group.consumer.session.timeout.ms";
/// The client asks for no more with one fetch (its `fetch.max.bytes`).
const MOST_FETCHED: u32 = 50 << 20;
const CLASSIC: &str = "classic";
/// What a client of the classic protocol can be asked to assign by, the first by default.
const CLASSIC_ASSIGNORS: [&str; 3] = ["range", "roundrobin", "cooperative-sticky"];
/// What brokers can be asked to assign by in the consumer protocol, the first by default.
const CONSUMER_ASSIGNORS: [&str; 2] = ["uniform", "range"];

/// `[consumer]`; `None`: no group. Assignor and session may be left for [`settle`].
pub(super) fn consumer(section: Option<Section<'_>>, client: &dyn Client) -> Option<GroupSettings> {
    let mut section = section?;
    let read = &mut section;
    let service = read.read("service-time", service_time).unwrap_or((0, ServiceSpread::Constant));
    let by_default = FetchSettings::default();
    let group = GroupSettings {
        members: read.read("members", members).unwrap_or(1),
        commit: read.read("commit", commit).unwrap_or(CommitStrategy::SyncAfter),
        commit_interval_ns: read.read("commit-interval", commit_interval).unwrap_or(5 * SECOND),
        commit_on_revoke: read.read("commit-on-revoke", values::boolean).unwrap_or(true),
        batch_records: read.read("batch", batch).unwrap_or(500),
        batch_wait_ns: read.read("batch-wait", |node| values::duration(node, 0..=60 * SECOND)).unwrap_or(0),
        service_ns: service.0,
        service_spread: service.1,
        assignor: read.read("assignor", assignor).unwrap_or_default(),
        protocol: read.read("protocol", protocol).unwrap_or_else(|| CLASSIC.into()),
        isolation: read.read("isolation", isolation).unwrap_or_else(|| "read_committed".into()),
        session_timeout_ns: read.read("session-timeout", session).unwrap_or(NOT_GIVEN_NS),
        fetch: FetchSettings {
            min_bytes: read.read("fetch-min-size", fetch_size).unwrap_or(by_default.min_bytes),
            wait_ns: read.read("fetch-wait", fetch_wait).unwrap_or(by_default.wait_ns),
            partition_bytes: read
                .read("partition-fetch-size", fetch_size)
                .unwrap_or(by_default.partition_bytes),
        },
        sink: sink::bare(read.read("sink", sink::kind).flatten()),
        extra: {
            let refused = |key: &str, value: &str| property_names::client(key, value, client);
            read.read("settings", |node| values::properties(node, refused)).unwrap_or_default()
        },
    };
    section.finish();
    Some(group)
}

/// `members`.
pub(super) fn members(node: &Node) -> Result<u16, Wrong> {
    values::narrow(node, 1..=64)
}

/// `batch`.
pub(super) fn batch(node: &Node) -> Result<u32, Wrong> {
    values::narrow(node, 1..=100_000)
}

/// `service-time`: the mean in nanoseconds, and the spread around it.
pub(super) fn service_time(node: &Node) -> Result<(u64, ServiceSpread), Wrong> {
    let Value::Table(entries) = &node.value else {
        return Ok((values::duration(node, 0..=HOUR)?, ServiceSpread::Constant));
    };
    const FORMS: &str = "write \"2 ms\", { exponential = \"2 ms\" } or { uniform = [\"1 ms\", \"5 ms\"] }";
    let [spread] = entries.as_slice() else {
        return Err(Wrong::new(format!("{} names of a distribution, not one", entries.len()), FORMS));
    };
    match (spread.key.as_str(), &spread.node.value) {
        ("exponential", _) => {
            let mean_ns =
                values::duration(&spread.node, 1..=HOUR).map_err(|wrong| wrong.at(&spread.node.place))?;
            Ok((mean_ns, ServiceSpread::Exponential))
        }
        ("uniform", Value::List(ends)) => {
            let [least, most] = ends.as_slice() else {
                return Err(Wrong::new("a range has two ends", FORMS).at(&spread.node.place));
            };
            let end = |node: &Node| values::duration(node, 0..=HOUR).map_err(|wrong| wrong.at(&node.place));
            let (least_ns, most_ns) = (end(least)?, end(most)?);
            if least_ns >= most_ns {
                let text = duration_text(most_ns);
                let wrong = Wrong::new(format!("the range ends at {text} and does not begin before"), FORMS);
                return Err(wrong.at(&spread.node.place));
            }
            Ok((least_ns.midpoint(most_ns), ServiceSpread::Uniform { least_ns, most_ns }))
        }
        ("uniform", _) => Err(Wrong::new("a range has two ends", FORMS).at(&spread.node.place)),
        (key, _) => Err(Wrong::new(format!("{key} is no distribution"), FORMS).at(&spread.key_place)),
    }
}

/// As labels and settings show it, e.g. `2 ms`, `exponential 2 ms`, `1 ms to 5 ms`.
pub fn service_text(service_ns: u64, spread: ServiceSpread) -> String {
    match spread {
        ServiceSpread::Constant => duration_text(service_ns),
        ServiceSpread::Exponential => format!("exponential {}", duration_text(service_ns)),
        ServiceSpread::Uniform { least_ns, most_ns } => {
            format!("{} to {}", duration_text(least_ns), duration_text(most_ns))
        }
    }
}

/// `commit-interval`, in nanoseconds.
pub(super) fn commit_interval(node: &Node) -> Result<u64, Wrong> {
    values::millis(node, 86_400_000)
}

/// `commit`.
pub(super) fn commit(node: &Node) -> Result<CommitStrategy, Wrong> {
    values::named(node, "commit strategy", &CommitStrategy::ALL.map(|commit| (commit.as_str(), commit)))
}

/// `assignor`.
pub(super) fn assignor(node: &Node) -> Result<String, Wrong> {
    word(node, "assignor", &["range", "roundrobin", "cooperative-sticky", "uniform"])
}

/// `protocol`.
pub(super) fn protocol(node: &Node) -> Result<String, Wrong> {
    word(node, "group protocol", &[CLASSIC, CONSUMER_PROTOCOL])
}

/// `isolation`.
pub(super) fn isolation(node: &Node) -> Result<String, Wrong> {
    word(node, "isolation level", &["read_committed", "read_uncommitted"])
}

/// `fetch-min-size` and `partition-fetch-size`, in bytes.
pub(super) fn fetch_size(node: &Node) -> Result<u32, Wrong> {
    values::size32(node, 1..=MOST_FETCHED)
}

/// `fetch-wait`, in nanoseconds; the client wants it to be a second below its `socket.timeout.ms`, which is a minute.
pub(super) fn fetch_wait(node: &Node) -> Result<u64, Wrong> {
    values::millis(node, 59_000)
}

/// `session-timeout`, in nanoseconds.
pub(super) fn session(node: &Node) -> Result<u64, Wrong> {
    let session_ns = values::millis(node, 1_800_000)?;
    if session_ns >= SECOND {
        return Ok(session_ns);
    }
    Err(Wrong::new(
        format!("{} is shorter than the brokers allow", duration_text(session_ns)),
        "write \"1 s\" or more",
    ))
}

fn word(node: &Node, what: &str, known: &[&'static str]) -> Result<String, Wrong> {
    let known: Vec<(&str, &'static str)> = known.iter().map(|name| (*name, *name)).collect();
    values::named(node, what, &known).map(str::to_owned)
}

fn brokers_session_ns(cluster: &ClusterAsk) -> u64 {
    let stated = cluster.settings.get(BROKERS_SESSION).and_then(|value| value.parse::<u64>().ok());
    stated.map_or(SESSION_NS, |session_ms| session_ms.saturating_mul(MS))
}

/// Gives what the profile has left open its default under the cell's group protocol.
pub(super) fn settle(group: &mut GroupSettings, cluster: &ClusterAsk) {
    let new = group.protocol == CONSUMER_PROTOCOL;
    if group.assignor.is_empty() {
        group.assignor = if new { CONSUMER_ASSIGNORS[0] } else { CLASSIC_ASSIGNORS[0] }.into();
    }
    if group.session_timeout_ns == NOT_GIVEN_NS {
        group.session_timeout_ns = if new { brokers_session_ns(cluster) } else { SESSION_NS };
    }
}

/// Why this group cannot be, if so.
pub(super) fn impossible(
    group: &GroupSettings,
    producer: &ProducerSettings,
    cluster: &ClusterAsk,
) -> Option<String> {
    let (assignor, protocol) = (group.assignor.as_str(), group.protocol.as_str());
    let known: &[&str] = if protocol == CONSUMER_PROTOCOL { &CONSUMER_ASSIGNORS } else { &CLASSIC_ASSIGNORS };
    if let Some(reason) = sink::impossible(group, producer) {
        return Some(reason);
    }
    if !known.contains(&assignor) {
        return Some(format!("protocol={protocol} knows no assignor={assignor}, only {}", known.join(", ")));
    }
    if protocol == CLASSIC {
        return too_slow(group);
    }
    let brokers_ns = brokers_session_ns(cluster);
    if group.session_timeout_ns != brokers_ns {
        let [session, brokers] = [group.session_timeout_ns, brokers_ns].map(duration_text);
        return Some(format!(
            "with protocol=consumer the brokers' {BROKERS_SESSION} of {brokers} counts, not a session-timeout of {session}"
        ));
    }
    let classic = "heartbeat.interval.ms";
    group.extra.contains_key(classic).then(|| {
        format!("with protocol=consumer the brokers choose {classic}: it is a setting of the classic one")
    })
}

/// Why a group of the classic protocol would put its members out, or the client refuse them, for their times, if so.
fn too_slow(group: &GroupSettings) -> Option<String> {
    let session = duration_text(group.session_timeout_ns);
    let stated = |key| {
        group.extra.get(key).and_then(|value| value.parse::<u64>().ok()).map(|ms| ms.saturating_mul(MS))
    };
    if stated("heartbeat.interval.ms").is_some_and(|beat_ns| beat_ns >= group.session_timeout_ns) {
        return Some(format!(
            "heartbeat.interval.ms is not below session-timeout of {session}: the group would put out whoever lives"
        ));
    }
    let polls = stated("max.poll.interval.ms").is_some_and(|poll_ns| poll_ns < group.session_timeout_ns);
    polls.then(|| {
        format!("max.poll.interval.ms is below session-timeout of {session}: the client refuses that")
    })
}
