//! The section `[sink]`: where rows go and how durable each write is; `sink` in `[consumer]` says which sink a cell has.

use super::section::{Section, Wrong};
use super::tree::Node;
use super::values;
use crate::settings::{CommitStrategy, GroupSettings, ProducerSettings, SinkKind, SinkSettings};

pub(super) const JOURNAL_MODE: &str = "journal-mode";
pub(super) const SYNCHRONOUS: &str = "synchronous";
pub(super) const SYNCHRONOUS_COMMIT: &str = "synchronous-commit";

/// What the section says, for every cell of the profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys {
    journal_mode: String,
    synchronous: String,
    url: Option<String>,
    synchronous_commit: String,
}

/// `[sink]`; without it the databases' own defaults for durability, written down.
pub(super) fn keys(section: Option<Section<'_>>) -> Keys {
    let mut keys = Keys {
        journal_mode: "wal".into(),
        synchronous: "full".into(),
        url: None,
        synchronous_commit: "on".into(),
    };
    let Some(mut section) = section else { return keys };
    if let Some(word) = section.read(JOURNAL_MODE, journal_mode) {
        keys.journal_mode = word;
    }
    if let Some(word) = section.read(SYNCHRONOUS, synchronous) {
        keys.synchronous = word;
    }
    if let Some(word) = section.read(SYNCHRONOUS_COMMIT, synchronous_commit) {
        keys.synchronous_commit = word;
    }
    keys.url = section.read("url", url);
    section.finish();
    keys
}

/// `journal-mode` of SQLite.
pub(super) fn journal_mode(node: &Node) -> Result<String, Wrong> {
    word(node, "journal mode", &["wal", "delete", "truncate", "persist"])
}

/// `synchronous` of SQLite.
pub(super) fn synchronous(node: &Node) -> Result<String, Wrong> {
    word(node, "synchronous setting", &["off", "normal", "full", "extra"])
}

/// `synchronous-commit` of PostgreSQL.
pub(super) fn synchronous_commit(node: &Node) -> Result<String, Wrong> {
    word(node, "synchronous_commit setting", &["off", "local", "on", "remote_write", "remote_apply"])
}

fn word(node: &Node, what: &'static str, known: &[&'static str]) -> Result<String, Wrong> {
    let known: Vec<(&str, &'static str)> = known.iter().map(|name| (*name, *name)).collect();
    values::named(node, what, &known).map(str::to_owned)
}

/// Results hold the address, so it may not hold a password.
fn url(node: &Node) -> Result<String, Wrong> {
    let like = "postgresql://bench@localhost/bench";
    let url = values::text(node, like)?;
    let credentials = url.split_once("://").and_then(|(_, rest)| rest.split_once('@')).map(|(who, _)| who);
    if url.contains("password") || credentials.is_some_and(|who| who.contains(':')) {
        return Err(Wrong::new(
            "an address with a password would be stored in every result",
            format!("write it like \"{like}\" and set PGPASSWORD in the environment"),
        ));
    }
    if url.contains("://") && !url.starts_with("postgresql://") && !url.starts_with("postgres://") {
        return Err(Wrong::new(
            format!("{url} is no address of PostgreSQL"),
            format!("write it like \"{like}\""),
        ));
    }
    Ok(url)
}

/// `sink`; `None`: "none".
pub(super) fn kind(node: &Node) -> Result<Option<SinkKind>, Wrong> {
    let mut known = vec![("none", None)];
    known.extend(SinkKind::ALL.map(|kind| (kind.as_str(), Some(kind))));
    values::named(node, "sink", &known)
}

/// A sink of this kind, its settings left for [`settle`].
pub(super) fn bare(kind: Option<SinkKind>) -> Option<SinkSettings> {
    let none = || None;
    kind.map(|kind| SinkSettings {
        kind,
        journal_mode: none(),
        synchronous: none(),
        url: none(),
        synchronous_commit: none(),
    })
}

/// Gives a group's sink the settings of its own database that no axis gave it, and takes away those of the other one.
pub(super) fn settle(group: &mut GroupSettings, keys: &Keys) {
    let Some(sink) = &mut group.sink else { return };
    let (postgres, topic) = (sink.kind.is_postgres(), sink.kind == SinkKind::Topic);
    let or = |chosen: &mut Option<String>, word: &String, own: bool| {
        *chosen = own.then(|| chosen.take().unwrap_or_else(|| word.clone()));
    };
    or(&mut sink.journal_mode, &keys.journal_mode, !postgres && !topic);
    or(&mut sink.synchronous, &keys.synchronous, !postgres && !topic);
    or(&mut sink.synchronous_commit, &keys.synchronous_commit, postgres);
    sink.url = keys.url.clone().filter(|_| postgres);
}

/// Why a group cannot have this sink, or do without one, if so.
pub(super) fn impossible(group: &GroupSettings, producer: &ProducerSettings) -> Option<String> {
    let commit = group.commit.as_str();
    let topic = group.sink.as_ref().is_some_and(|sink| sink.kind == SinkKind::Topic);
    if group.commit == CommitStrategy::Transaction && !(topic && producer.idempotence) {
        return Some(format!("commit={commit} needs sink=topic and idempotence=true"));
    }
    if topic && group.commit == CommitStrategy::InSink {
        return Some(format!(
            "sink=topic keeps no offsets, so commit={commit} cannot be: use commit=transaction"
        ));
    }
    let Some(sink) = &group.sink else {
        return (group.commit == CommitStrategy::InSink).then(|| {
            format!("commit={commit} keeps offsets in the sink's transaction, and sink=none has none")
        });
    };
    let kind = sink.kind.as_str();
    if sink.kind.is_postgres() && sink.url.is_none() {
        return Some(format!("sink={kind} needs a server: write url in [sink]"));
    }
    (group.commit == CommitStrategy::SyncEach).then(|| {
        format!("sink={kind} writes a batch as a whole, so commit={commit} has no record of its own to commit: use sync-after with batch=1")
    })
}
