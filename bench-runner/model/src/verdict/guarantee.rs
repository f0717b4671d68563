//! What a cell's settings guarantee about delivery, and why, in words: the guarantee that `promise` weighs findings by, as a
//! reader knows it. It looks at settings alone and counts nothing.

use crate::settings::{Acks, CellSettings, CommitStrategy, GroupSettings, ProducerSettings, TopicSettings};
use serde::{Deserialize, Serialize};

/// How often the effect of an acknowledged record may take place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// Never, once, or more than once.
    NoGuarantee,
    /// Never or once.
    AtMostOnce,
    /// Once or more than once.
    AtLeastOnce,
    /// Once in the log; nobody processes it in this cell.
    OnceInTheLog,
    /// One effect in the sink, however often the record is processed.
    EffectivelyOnce,
    /// One visible record in the output topic, within Kafka: processing, offsets and output are one transaction.
    ExactlyOnce,
}

const READ_COMMITTED: &str = "read_committed";

/// A delivery guarantee with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarantee {
    /// The guarantee.
    pub delivery: Delivery,
    /// Which settings make it so, and against what.
    pub why: String,
}

/// What one step of the way may do to a record, and by which setting; `None`: it cannot.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    loses: Option<&'static str>,
    repeats: Option<&'static str>,
    /// What keeps it from either.
    holds: &'static str,
}

impl Delivery {
    /// In the field's words.
    pub fn as_str(self) -> &'static str {
        match self {
            Delivery::NoGuarantee => "no guarantee",
            Delivery::AtMostOnce => "at most once",
            Delivery::AtLeastOnce => "at least once",
            Delivery::OnceInTheLog => "once in the log",
            Delivery::EffectivelyOnce => "effectively once",
            Delivery::ExactlyOnce => "exactly once (Kafka)",
        }
    }
}

/// The guarantee of these settings, from the producer's send to the end of processing (without a group: to the log).
/// `resends`: a producer's next life sends again what this one left without an answer.
pub fn guarantee(settings: &CellSettings, resends: bool) -> Guarantee {
    let produce = produce(&settings.producer, &settings.topic, resends);
    let group = settings.group.as_ref();
    let mut steps: Vec<Step> = std::iter::once(produce).chain(group.map(process)).collect();
    if settings.producer.transaction.is_some() && group.is_some_and(|group| group.isolation != READ_COMMITTED)
    {
        steps[0].holds = "";
        steps.push(Step {
            repeats: Some("isolation=read_uncommitted hands out what is aborted, and what takes its place"),
            ..Step::default()
        });
    }
    let loses: Vec<&str> = steps.iter().filter_map(|step| step.loses).collect();
    let repeats: Vec<&str> = steps.iter().filter_map(|step| step.repeats).collect();
    let sink = group.and_then(|group| group.sink.as_ref());
    let keyed = sink.is_some_and(|sink| sink.kind.is_idempotent());
    let delivery = match (loses.is_empty(), repeats.is_empty()) {
        (true, true) if group.is_some_and(|group| group.commit == CommitStrategy::Transaction) => {
            Delivery::ExactlyOnce
        }
        (true, once) if sink.is_some() && (once || keyed) => Delivery::EffectivelyOnce,
        (false, false) => Delivery::NoGuarantee,
        (false, true) => Delivery::AtMostOnce,
        (true, false) => Delivery::AtLeastOnce,
        (true, true) => Delivery::OnceInTheLog,
    };
    let mut why: Vec<String> = Vec::new();
    if !loses.is_empty() {
        why.push(format!("may lose: {}", loses.join(", ")));
    }
    if !repeats.is_empty() {
        why.push(format!("may repeat: {}", repeats.join(", ")));
    }
    let mut holds: Vec<&str> =
        steps.iter().map(|step| step.holds).filter(|holds| !holds.is_empty()).collect();
    if keyed {
        holds.push("a record that comes again replaces its row");
    }
    if !holds.is_empty() {
        why.push(holds.join(", "));
    }
    why.extend(group.and_then(lax_sink));
    Guarantee { delivery, why: why.join("; ") }
}

/// From the first send to the log.
fn produce(producer: &ProducerSettings, topic: &TopicSettings, resends: bool) -> Step {
    let unclean = topic.extra.get("unclean.leader.election.enable").is_some_and(|value| value == "true");
    let loses = match producer.acks {
        Acks::Zero => Some("acks=0 asks for no answer"),
        Acks::One => Some("acks=1 is the leader's word alone"),
        Acks::All if unclean => Some("an unclean election drops what was acknowledged"),
        Acks::All => None,
    };
    let repeats = match producer.acks {
        // In transactions it looks first.
        _ if resends && producer.transaction.is_none() => {
            Some("a producer's next life sends again what had no answer (resend)")
        }
        _ if producer.idempotence => None,
        // Nobody waits for an answer, so nothing is sent twice for want of one.
        Acks::Zero => None,
        Acks::One | Acks::All if producer.retries == 0 => Some(
            "a leader that moves between append and answer lets librdkafka send again even with retries=0",
        ),
        Acks::One | Acks::All => Some("retries without idempotence append twice when an answer is lost"),
    };
    let holds = match (producer.idempotence, loses) {
        (true, None) if producer.transaction.is_some() => {
            "a committed transaction is shown whole and once (an answer to one of its records promises nothing)"
        }
        (true, None) => {
            "acks=all with idempotence puts an acknowledged record into the log once per life of the producer"
        }
        (false, None) => "acks=all keeps what is acknowledged",
        (true, Some(_)) => "idempotence keeps a record from being appended twice",
        (false, Some(_)) => "",
    };
    Step { loses, repeats, holds }
}

/// From the log to the end of processing.
fn process(group: &GroupSettings) -> Step {
    use CommitStrategy as C;
    let (loses, repeats) = match group.commit {
        C::Auto => (
            Some("commit=auto commits what was handed out and not processed"),
            Some("commit=auto commits only once an interval"),
        ),
        C::SyncBefore => (Some("commit=sync-before commits what is not processed yet"), None),
        C::AutoStored => (None, Some("commit=auto-stored commits only once an interval")),
        C::SyncAfter => (None, Some("commit=sync-after commits a batch behind its processing")),
        C::SyncEach => (None, Some("commit=sync-each commits a record behind its processing")),
        C::AsyncAfter => (None, Some("commit=async-after does not wait for its commits")),
        C::Interval => (None, Some("commit=interval commits only once an interval")),
        C::None => (None, Some("commit=none begins anew in each life")),
        C::InSink | C::Transaction => (None, None),
    };
    let holds = match group.commit {
        C::SyncBefore => "what is committed is never handed out again",
        C::Auto => "",
        C::InSink => "rows and offset are in one transaction",
        C::Transaction => {
            "output and offsets are in one transaction (KAFKA-17754 apart: a delayed EndTxn may end a later one)"
        }
        _ => "nothing is committed before it is processed",
    };
    Step { loses, repeats, holds }
}

/// Which setting lets the sink confirm rows that a power cut of its machine takes back, while the group's offsets stay. The
/// program cuts no sink's power, so this makes no other class of guarantee.
fn lax_sink(group: &GroupSettings) -> Option<String> {
    let sink = group.sink.as_ref().filter(|_| group.commit != CommitStrategy::InSink)?;
    let setting = match (sink.synchronous.as_deref(), sink.synchronous_commit.as_deref()) {
        (Some("off"), _) => "synchronous=off",
        // Of a write-ahead log, commits are synced at checkpoints only.
        (Some("normal"), _) if sink.journal_mode.as_deref() == Some("wal") => "synchronous=normal",
        (_, Some("off")) => "synchronous-commit=off",
        _ => return None,
    };
    Some(format!("not against a power cut of the sink's machine ({setting})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{SinkKind, SinkSettings};
    use crate::verdict::history::settings;
    use crate::verdict::processing_tests::{group, sink};

    #[test]
    fn the_log_holds_what_acks_and_idempotence_say() {
        let of = |acks, idempotence, retries, unclean: bool| {
            let mut settings = settings(acks, 1);
            (settings.producer.idempotence, settings.producer.retries) = (idempotence, retries);
            if unclean {
                settings.topic.extra.insert("unclean.leader.election.enable".into(), "true".into());
            }
            guarantee(&settings, false).delivery
        };
        let table = [
            (Acks::Zero, false, 0, false, Delivery::AtMostOnce),
            (Acks::Zero, false, 5, false, Delivery::AtMostOnce),
            (Acks::One, false, 5, false, Delivery::NoGuarantee),
            (Acks::One, false, 0, false, Delivery::NoGuarantee),
            (Acks::All, false, 5, false, Delivery::AtLeastOnce),
            (Acks::All, false, 0, false, Delivery::AtLeastOnce),
            (Acks::All, true, 5, false, Delivery::OnceInTheLog),
            (Acks::All, false, 5, true, Delivery::NoGuarantee),
            (Acks::All, true, 5, true, Delivery::AtMostOnce),
        ];
        for (acks, idempotence, retries, unclean, expected) in table {
            let found = of(acks, idempotence, retries, unclean);
            assert_eq!(found, expected, "{acks:?} {idempotence} {retries} {unclean}");
        }
    }

    #[test]
    fn who_reads_uncommitted_has_effects_of_what_was_aborted() {
        let mut settings = settings(Acks::All, 1);
        settings.producer.idempotence = true;
        settings.producer.transaction = Some(crate::settings::TransactionSettings {
            span: crate::settings::TransactionSpan::Records(50),
            abort_every: 2,
            abort_flush: true,
            timeout_ns: 1,
        });
        let mut of = |isolation: &str| {
            let group = group(CommitStrategy::SyncBefore);
            settings.group = Some(GroupSettings { isolation: isolation.to_owned(), ..group });
            guarantee(&settings, false)
        };
        assert_eq!(of("read_committed").delivery, Delivery::AtMostOnce);
        let uncommitted = of("read_uncommitted");
        assert_eq!(uncommitted.delivery, Delivery::NoGuarantee);
        assert!(!uncommitted.why.contains("whole and once"), "{}", uncommitted.why);
    }

    #[test]
    fn a_producers_next_life_that_sends_again_repeats_unless_it_looks_first() {
        let mut settings = settings(Acks::All, 1);
        settings.producer.idempotence = true;
        settings.group = Some(group(CommitStrategy::InSink));
        let of = |settings: &CellSettings| [false, true].map(|resends| guarantee(settings, resends).delivery);
        assert_eq!(of(&settings), [Delivery::OnceInTheLog, Delivery::AtLeastOnce]);
        settings.group = Some(group(CommitStrategy::SyncBefore));
        assert_eq!(of(&settings), [Delivery::AtMostOnce, Delivery::NoGuarantee]);
        settings.producer.transaction = Some(crate::settings::TransactionSettings {
            span: crate::settings::TransactionSpan::Records(50),
            abort_every: 0,
            abort_flush: true,
            timeout_ns: 1,
        });
        assert_eq!(of(&settings), [Delivery::AtMostOnce; 2]);
    }

    #[test]
    fn a_sink_that_confirms_before_its_disk_has_it_is_named() {
        let why = |commit, synchronous: Option<&str>, synchronous_commit: Option<&str>| {
            let mut settings = settings(Acks::All, 1);
            settings.producer.idempotence = true;
            let sink = crate::settings::SinkSettings {
                kind: crate::settings::SinkKind::SqliteUpsert,
                journal_mode: Some("wal".into()),
                synchronous: synchronous.map(str::to_owned),
                url: None,
                synchronous_commit: synchronous_commit.map(str::to_owned),
            };
            settings.group = Some(GroupSettings { sink: Some(sink), ..group(commit) });
            guarantee(&settings, false).why
        };
        let after = CommitStrategy::SyncAfter;
        for (synchronous, answer, setting) in [
            (Some("off"), None, "synchronous=off"),
            (Some("normal"), None, "synchronous=normal"),
            (None, Some("off"), "synchronous-commit=off"),
        ] {
            let said = why(after, synchronous, answer);
            assert!(
                said.ends_with(&format!("not against a power cut of the sink's machine ({setting})")),
                "{said}"
            );
            assert!(!why(CommitStrategy::InSink, synchronous, answer).contains("power cut"));
        }
        assert!(!why(after, Some("full"), Some("on")).contains("power cut"));
    }

    #[test]
    fn a_chain_guarantees_what_its_weakest_step_does() {
        let of = |acks, idempotence, commit| {
            let mut settings = settings(acks, 1);
            settings.producer.idempotence = idempotence;
            settings.group = Some(group(commit));
            guarantee(&settings, false)
        };
        let table = [
            (CommitStrategy::Auto, Delivery::NoGuarantee),
            (CommitStrategy::AutoStored, Delivery::AtLeastOnce),
            (CommitStrategy::SyncBefore, Delivery::AtMostOnce),
            (CommitStrategy::SyncAfter, Delivery::AtLeastOnce),
            (CommitStrategy::SyncEach, Delivery::AtLeastOnce),
            (CommitStrategy::AsyncAfter, Delivery::AtLeastOnce),
            (CommitStrategy::Interval, Delivery::AtLeastOnce),
            (CommitStrategy::None, Delivery::AtLeastOnce),
        ];
        for (commit, expected) in table {
            let found = of(Acks::All, true, commit);
            assert_eq!(found.delivery, expected, "{}", commit.as_str());
            // What is weighed as a violation and what is told as a guarantee are one.
            let (loses, repeats) = (found.why.contains("may lose"), found.why.contains("may repeat"));
            assert_eq!((loses, repeats), (commit.may_lose(), commit.may_repeat()), "{}", commit.as_str());
        }
        assert_eq!(of(Acks::All, false, CommitStrategy::SyncBefore).delivery, Delivery::NoGuarantee);
        assert_eq!(of(Acks::Zero, false, CommitStrategy::SyncBefore).delivery, Delivery::AtMostOnce);
        assert_eq!(of(Acks::One, false, CommitStrategy::SyncAfter).delivery, Delivery::NoGuarantee);
        let why = of(Acks::All, true, CommitStrategy::SyncAfter).why;
        assert!(
            why.contains("commits a batch behind its processing") && why.contains("idempotence"),
            "{why}"
        );
    }

    /// Of a group that keeps its offsets so, with this sink, behind an idempotent producer.
    fn with_sink(commit: CommitStrategy, kind: Option<SinkKind>) -> Guarantee {
        let mut settings = settings(Acks::All, 1);
        settings.producer.idempotence = true;
        settings.group = Some(GroupSettings { sink: kind.map(sink), ..group(commit) });
        guarantee(&settings, false)
    }

    #[test]
    fn effects_are_once_where_rows_are_keyed_or_written_with_their_offsets() {
        use CommitStrategy::{InSink, SyncAfter, SyncBefore, Transaction};
        use SinkKind::{SqliteAppend, SqliteUpsert, Topic};
        for (commit, kind, expected) in [
            (InSink, Some(SqliteAppend), Delivery::EffectivelyOnce),
            (InSink, None, Delivery::OnceInTheLog),
            (SyncAfter, Some(SqliteUpsert), Delivery::EffectivelyOnce),
            (SyncAfter, Some(SqliteAppend), Delivery::AtLeastOnce),
            (SyncAfter, Some(Topic), Delivery::AtLeastOnce),
            (SyncBefore, Some(SqliteUpsert), Delivery::AtMostOnce),
            (Transaction, Some(Topic), Delivery::ExactlyOnce),
        ] {
            assert_eq!(with_sink(commit, kind).delivery, expected, "{} {kind:?}", commit.as_str());
        }
        let replaces = |kind| with_sink(SyncAfter, Some(kind)).why.contains("replaces its row");
        assert_eq!([SqliteUpsert, SqliteAppend].map(replaces), [true, false]);
        // The output of a pipeline is produced as its input is.
        let mut lossy = settings(Acks::One, 1);
        lossy.group = Some(GroupSettings { sink: Some(sink(Topic)), ..group(Transaction) });
        assert_eq!(guarantee(&lossy, false).delivery, Delivery::NoGuarantee);
    }

    #[test]
    fn isolation_matters_only_where_something_is_aborted() {
        let mut settings = settings(Acks::All, 1);
        settings.producer.idempotence = true;
        let group = group(CommitStrategy::SyncBefore);
        settings.group = Some(GroupSettings { isolation: "read_uncommitted".to_owned(), ..group });
        assert_eq!(guarantee(&settings, false).delivery, Delivery::AtMostOnce);
    }

    #[test]
    fn the_reason_names_the_setting_that_it_hangs_on() {
        use CommitStrategy::{Auto, InSink, SyncAfter, SyncBefore, Transaction};
        let early = "nothing is committed before it is processed";
        for (commit, words) in [
            (SyncBefore, "what is committed is never handed out again"),
            (InSink, "rows and offset are in one transaction"),
            (Transaction, "output and offsets are in one transaction"),
            (SyncAfter, early),
        ] {
            let why = with_sink(commit, None).why;
            assert!(why.contains(words) && (words == early) == why.contains(early), "{why}");
        }
        let auto = with_sink(Auto, None).why;
        assert!(auto.ends_with("once per life of the producer"), "it holds nothing: {auto}");
        let of = |change: &dyn Fn(&mut CellSettings)| {
            let mut settings = settings(Acks::All, 1);
            change(&mut settings);
            guarantee(&settings, false).why
        };
        let once = of(&|settings| settings.producer.retries = 0);
        assert!(once.contains("even with retries=0"), "{once}");
        let again = of(&|settings| settings.producer.retries = 1);
        assert!(again.contains("retries without idempotence"), "{again}");
        let transactional = of(&|settings| {
            settings.producer.idempotence = true;
            settings.producer.transaction = Some(crate::settings::TransactionSettings {
                span: crate::settings::TransactionSpan::Records(50),
                abort_every: 0,
                abort_flush: true,
                timeout_ns: 1,
            });
        });
        assert!(transactional.contains("a committed transaction is shown whole and once"), "{transactional}");
        let idempotent = of(&|settings| settings.producer.idempotence = true);
        assert!(idempotent.contains("once per life of the producer"), "{idempotent}");
    }

    #[test]
    fn a_journal_that_is_synced_at_each_commit_is_not_lax_at_normal() {
        let lax = |journal_mode: &str| {
            let normal = SinkSettings {
                journal_mode: Some(journal_mode.to_owned()),
                synchronous: Some("normal".to_owned()),
                ..sink(SinkKind::SqliteAppend)
            };
            lax_sink(&GroupSettings { sink: Some(normal), ..group(CommitStrategy::SyncAfter) }).is_some()
        };
        assert_eq!(["wal", "delete"].map(lax), [true, false]);
    }

    #[test]
    fn guarantees_are_called_as_everybody_calls_them() {
        use Delivery::{AtLeastOnce, AtMostOnce, EffectivelyOnce, ExactlyOnce, NoGuarantee, OnceInTheLog};
        let all = [NoGuarantee, AtMostOnce, AtLeastOnce, OnceInTheLog, EffectivelyOnce, ExactlyOnce];
        let words = "no guarantee, at most once, at least once, once in the log, effectively once, exactly once (Kafka)";
        assert_eq!(all.map(Delivery::as_str).join(", "), words);
    }
}
