//! A cell's effective settings as texts, named and written as a profile would.

use super::Cell;
use crate::fault::{self, Action, Death, End, FaultStep, Join, Kill, Point, Target, Victim, When};
use crate::profile::{duration_text, lose_text, rate_text, retries_text, service_text, size_text, span_text};
use crate::settings::{Arrival, CellSettings, GroupSettings, Length, SinkSettings};

/// A group's settings, without their section.
fn group_texts(group: &GroupSettings) -> Vec<(String, String)> {
    let mut all = vec![
        ("members".to_owned(), group.members.to_string()),
        ("commit".to_owned(), group.commit.as_str().to_owned()),
        ("commit-interval".to_owned(), duration_text(group.commit_interval_ns)),
        ("commit-on-revoke".to_owned(), group.commit_on_revoke.to_string()),
        ("batch".to_owned(), group.batch_records.to_string()),
        ("batch-wait".to_owned(), duration_text(group.batch_wait_ns)),
        ("service-time".to_owned(), service_text(group.service_ns, group.service_spread)),
        ("assignor".to_owned(), group.assignor.clone()),
        ("protocol".to_owned(), group.protocol.clone()),
        ("isolation".to_owned(), group.isolation.clone()),
        ("session-timeout".to_owned(), duration_text(group.session_timeout_ns)),
        ("fetch-min-size".to_owned(), size_text(u64::from(group.fetch.min_bytes))),
        ("fetch-wait".to_owned(), duration_text(group.fetch.wait_ns)),
        ("partition-fetch-size".to_owned(), size_text(u64::from(group.fetch.partition_bytes))),
    ];
    let sink = group.sink.as_ref().map_or("none", |sink| sink.kind.as_str());
    all.push(("sink".to_owned(), sink.to_owned()));
    all.extend(group.extra.iter().map(|(key, value)| (format!("settings.{key}"), value.clone())));
    all
}

/// A sink's settings, with their section.
fn sink_texts(sink: &SinkSettings) -> impl Iterator<Item = (String, String)> {
    let SinkSettings { kind: _, journal_mode, synchronous, url, synchronous_commit } = sink.clone();
    let all = [
        ("journal-mode", journal_mode),
        ("synchronous", synchronous),
        ("url", url),
        ("synchronous-commit", synchronous_commit),
    ];
    all.into_iter().filter_map(|(key, value)| Some((format!("sink.{key}"), value?)))
}

impl Cell {
    /// Every setting as (`section.key`, value), in the order of a profile; nothing is left to a default.
    pub fn effective(&self) -> Vec<(String, String)> {
        let CellSettings { producer, topic, load, group } = &self.settings;
        let mut all: Vec<(String, String)> = Vec::new();
        let mut put = |key: &str, value: String| all.push((key.into(), value));
        put("topic.partitions", topic.partitions.to_string());
        put("topic.replication-factor", topic.replication_factor.to_string());
        put("topic.min-insync-replicas", topic.min_insync_replicas.to_string());
        for (key, value) in &topic.extra {
            put(&format!("topic.settings.{key}"), value.clone());
        }
        match &load.arrival {
            Arrival::Constant { per_second } => put("load.rate", rate_text(*per_second)),
            Arrival::Poisson { per_second } => {
                put("load.rate", format!("{} (poisson)", rate_text(*per_second)))
            }
            Arrival::Max => put("load.rate", "max".into()),
            Arrival::Bursts(bursts) => {
                let text = |at_ns, records| format!("{records} at {}", duration_text(at_ns));
                let texts: Vec<String> =
                    bursts.iter().map(|burst| text(burst.at_ns, burst.records)).collect();
                put("load.bursts", texts.join(", "));
            }
        }
        put("load.record-size", size_text(u64::from(load.record_bytes)));
        if !load.arrival.is_bursts() {
            put("load.warmup", duration_text(load.warmup_ns));
            match load.length {
                Length::Time(time_ns) => put("load.duration", duration_text(time_ns)),
                Length::Records(records) => put("load.records", records.to_string()),
            }
        }
        put("load.producers", load.producers.to_string());
        put("load.compressible", format!("{} %", load.compressible_percent));
        put("load.drain", duration_text(load.drain_ns));
        put("producer.acks", producer.acks.as_str().into());
        put("producer.retries", retries_text(producer.retries));
        put("producer.idempotence", producer.idempotence.to_string());
        put("producer.linger", duration_text(producer.linger_ns));
        put("producer.batch-size", size_text(u64::from(producer.batch_bytes)));
        put("producer.compression", producer.compression.clone());
        put("producer.max-in-flight", producer.max_in_flight.to_string());
        put("producer.queue-records", producer.queue_records.to_string());
        put("producer.queue-size", size_text(producer.queue_bytes));
        put("producer.request-timeout", duration_text(producer.request_timeout_ns));
        put("producer.delivery-timeout", duration_text(producer.delivery_timeout_ns));
        if let Some(transaction) = &producer.transaction {
            put("producer.transaction", span_text(Some(transaction.span)));
            put("producer.abort-every", transaction.abort_every.to_string());
            put("producer.abort-flush", transaction.abort_flush.to_string());
            put("producer.transaction-timeout", duration_text(transaction.timeout_ns));
        }
        for (key, value) in &producer.extra {
            put(&format!("producer.settings.{key}"), value.clone());
        }
        for (key, value) in group.iter().flat_map(group_texts) {
            put(&format!("consumer.{key}"), value);
        }
        for (key, value) in group.iter().flat_map(|group| &group.sink).flat_map(sink_texts) {
            put(&key, value);
        }
        for (key, value) in self.ordeal_texts() {
            put(key, value);
        }
        if !self.faults.is_empty() {
            let steps = self.faults.iter().map(step_text).chain(self.healed().map(heal_text));
            put("fault", steps.collect::<Vec<_>>().join(", "));
        }
        for (tally, count) in &self.expect {
            put(&format!("expect.{tally}"), count.to_string());
        }
        all
    }

    /// Producers and members reach the cluster through proxies, as the timeline has steps there.
    pub fn is_proxied(&self) -> bool {
        self.faults.iter().any(|step| step.action.is_at_proxy())
    }

    /// Whoever reads its log for the verdict reaches the cluster through proxies, too, as the timeline has lies for readers.
    pub fn lies_to_readers(&self) -> bool {
        self.faults.iter().any(|step| step.action == Action::Truncate)
    }

    /// Processes of the cluster reach each other through gates, as the timeline shuts some.
    pub fn is_gated(&self) -> bool {
        self.faults.iter().any(|step| step.action.is_at_gate())
    }

    /// Some producer's next life sends again what the one before left without an answer.
    pub fn resends(&self) -> bool {
        self.deaths.iter().any(|death| death.resend) || self.kills.iter().any(|kill| kill.resend)
    }

    /// A step of the timeline does this.
    pub fn has_step(&self, action: Action) -> bool {
        self.faults.iter().any(|step| step.action == action)
    }

    /// Deaths, kills and joins.
    fn ordeal_texts(&self) -> Vec<(&'static str, String)> {
        let mut all = Vec::new();
        let mut put = |key, texts: Vec<String>| {
            if !texts.is_empty() {
                all.push((key, texts.join(", ")));
            }
        };
        put("death", self.deaths.iter().map(death_text).collect());
        put("kill", self.kills.iter().map(kill_text).collect());
        let join = |join: &Join| format!("a member after member 0 has completed {} records", join.after);
        put("join", self.joins.iter().map(join).collect());
        all
    }

    /// What the steps leave stopped or dead: undone when the load is over, before anything is read.
    fn healed(&self) -> impl Iterator<Item = Target> {
        fault::left(&self.faults).into_iter()
    }
}

fn heal_text(target: Target) -> String {
    format!("heal {} after the load", target.as_str())
}

fn victim_text(worker: Victim) -> &'static str {
    match worker {
        Victim::Member => "member",
        Victim::Producer => "producer",
    }
}

/// E.g. `kill member 0 after-processing of record 237 (restart)`.
fn death_text(death: &Death) -> String {
    let end = match death.end {
        End::Kill => "kill",
        End::Close => "close",
        End::Stop => "stop",
    };
    let point = match death.point {
        Point::AfterPoll => "after-poll",
        Point::AfterProcessing => "after-processing",
        Point::AfterCommit => "after-commit",
        Point::AfterSend => "after-send",
        Point::BeforeCommit => "before-commit",
        Point::BeforeWrite => "before-write",
        Point::BetweenWriteAndCommit => "between-write-and-commit",
        Point::BetweenOffsetsAndCommit => "between-offsets-and-commit",
    };
    let resend = if death.resend { ", resend" } else { "" };
    let then = match (death.end, death.continue_after_ns) {
        (End::Stop, None) => format!("continued when another one has taken over{resend}"),
        (End::Stop, Some(after_ns)) => format!("continued after {}{resend}", duration_text(after_ns)),
        _ if death.resend => "restart, resend".to_owned(),
        _ if death.restart => "restart".to_owned(),
        _ => "no restart".to_owned(),
    };
    format!("{end} {} 0 {point} of record {} ({then})", victim_text(death.worker), death.record)
}

/// E.g. `kill producer 1 at 2345 ms (resend)`.
fn kill_text(kill: &Kill) -> String {
    let then = if kill.resend { " (resend)" } else { "" };
    let at_ms = kill.at_ns / 1_000_000;
    format!("kill {} {} at {at_ms} ms{then}", victim_text(kill.worker), kill.index)
}

/// E.g. `stop followers at 1200 ms`.
fn step_text(step: &FaultStep) -> String {
    let what = step.phrase(step.action.as_str(), step.target.as_str());
    let lose = step.lose.map(|lose| format!(" (lose {})", lose_text(lose))).unwrap_or_default();
    let wait_ns = step.rule.and_then(|rule| rule.wait_ns);
    let wait = wait_ns.map(|wait_ns| format!(" (wait {})", duration_text(wait_ns))).unwrap_or_default();
    let offset = step.rule.and_then(|rule| rule.offset);
    let offset = offset.map(|offset| format!(" (offset {offset})")).unwrap_or_default();
    let more = lose + &wait + &offset;
    match step.when {
        When::At(at_ns) => format!("{what} at {}{more}", duration_text(at_ns)),
        When::NewLeader => format!("{what} when new-leader{more}"),
        When::After(after_ns) => format!("{what} after {}{more}", duration_text(after_ns)),
        When::Acked(records) => format!("{what} when {records} are acknowledged{more}"),
        When::Met(least) => format!("{what} when the rule has met {least}{more}"),
        When::InSync => format!("{what} when in-sync{more}"),
    }
}
