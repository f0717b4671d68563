//! Reads one table key by key: whatever was never asked for is an unknown key.
//!
//! A wrong value is noted and counts as absent, so that one pass finds all problems.

use super::problems::{Place, Problems};
use super::tree::{Entry, Node, Value};

/// What is wrong with a value, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub message: String,
    pub help: String,
    /// Where in the value; `None`: all of it.
    pub place: Option<Place>,
}

impl Wrong {
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Wrong { message: message.into(), help: help.into(), place: None }
    }

    /// The same, about a part of the value.
    pub fn at(self, place: &Place) -> Self {
        Wrong { place: Some(self.place.unwrap_or_else(|| place.clone())), ..self }
    }
}

/// One fault, where several could be told.
impl IntoIterator for Wrong {
    type Item = Wrong;
    type IntoIter = std::iter::Once<Wrong>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self)
    }
}

/// A table that is being read.
pub(super) struct Section<'a> {
    /// As in the file: `load`; empty for the whole file.
    name: String,
    place: Place,
    entries: &'a [Entry],
    asked: Vec<&'static str>,
    problems: &'a Problems,
}

impl<'a> Section<'a> {
    /// Begins to read `node`, which should be a table; `place` is shown for keys that are missing.
    pub fn new(name: &str, place: &Place, node: &'a Node, problems: &'a Problems) -> Self {
        let entries: &[Entry] = match &node.value {
            Value::Table(entries) => entries,
            _ => {
                let message = format!("{name} is a table, not {}", node.describe());
                problems.add(&node.place, message, format!("write [{name}] and its keys on lines below"));
                &[]
            }
        };
        Section { name: name.into(), place: place.clone(), entries, asked: Vec::new(), problems }
    }

    /// Where the section stands.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The entry of this key, if there is one.
    pub fn entry(&mut self, key: &'static str) -> Option<&'a Entry> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The entries of no key that was asked for; they count as read.
    pub fn others(&mut self) -> Vec<&'a Entry> {
        let asked = std::mem::take(&mut self.asked);
        let others = self.entries.iter().filter(|entry| !asked.contains(&entry.key.as_str())).collect();
        self.entries = &[];
        others
    }

    /// The value of this key; `None` if it is absent, or wrong and noted.
    pub fn read<T, W: IntoIterator<Item = Wrong>>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&Node) -> Result<T, W>,
    ) -> Option<T> {
        let node = &self.entry(key)?.node;
        let add = |Wrong { message, help, place }: Wrong| {
            self.problems.add(place.as_ref().unwrap_or(&node.place), format!("{key}: {message}"), help);
        };
        parse(node).map_err(|wrong| wrong.into_iter().for_each(add)).ok()
    }

    /// Like [`Section::read`], and its absence is a problem.
    pub fn require<T>(
        &mut self,
        key: &'static str,
        help: &str,
        parse: impl Fn(&Node) -> Result<T, Wrong>,
    ) -> Option<T> {
        if !self.entries.iter().any(|entry| entry.key == key) {
            let whose = if self.name.is_empty() { "the profile" } else { self.name.as_str() };
            self.problems.add(&self.place, format!("{whose} has no {key}"), help);
        }
        self.read(key, parse)
    }

    /// The table under this key.
    pub fn table(&mut self, key: &'static str) -> Option<Section<'a>> {
        let entry = self.entry(key)?;
        Some(Section::new(key, &entry.key_place, &entry.node, self.problems))
    }

    /// The tables `[[key]]`.
    pub fn tables(&mut self, key: &'static str) -> Vec<Section<'a>> {
        let Some(entry) = self.entry(key) else { return Vec::new() };
        match &entry.node.value {
            Value::List(items) => {
                items.iter().map(|item| Section::new(key, &item.place, item, self.problems)).collect()
            }
            _ => {
                let message = format!("{key} is a list of tables, not {}", entry.node.describe());
                self.problems.add(&entry.key_place, message, format!("write [[{key}]] with double brackets"));
                Vec::new()
            }
        }
    }

    /// Notes every key that nobody asked for.
    pub fn finish(self) {
        for entry in self.entries.iter().filter(|entry| !self.asked.contains(&entry.key.as_str())) {
            let whose = if self.name.is_empty() { String::new() } else { format!(" in {}", self.name) };
            let help = match nearest(&entry.key, &self.asked) {
                Some(key) => format!("did you mean {key}?"),
                None => format!("known keys: {}", self.asked.join(", ")),
            };
            self.problems.add(&entry.key_place, format!("unknown key {}{whose}", entry.key), help);
        }
    }
}

/// Other names under which people know a key, too far from it for a slip of the pen.
const ALIASES: [(&str, &str); 49] = [
    ("min-isr", "min-insync-replicas"),
    ("minisr", "min-insync-replicas"),
    ("min-in-sync-replicas", "min-insync-replicas"),
    ("rf", "replication-factor"),
    ("replicas", "replication-factor"),
    ("replication", "replication-factor"),
    ("enable-idempotence", "idempotence"),
    ("idempotent", "idempotence"),
    ("request-required-acks", "acks"),
    ("message-send-max-retries", "retries"),
    ("compression-type", "compression"),
    ("compression-codec", "compression"),
    ("message-size", "record-size"),
    ("record-bytes", "record-size"),
    ("size", "record-size"),
    ("throughput", "rate"),
    ("records-per-second", "rate"),
    ("max-in-flight-requests-per-connection", "max-in-flight"),
    ("message-timeout", "delivery-timeout"),
    ("queue-buffering-max", "linger"),
    ("queue-buffering-max-messages", "queue-records"),
    ("queue-buffering-max-kbytes", "queue-size"),
    ("transactional", "transaction"),
    ("transactional-id", "transaction"),
    ("records-per-transaction", "transaction"),
    ("aborts", "abort-every"),
    ("window", "duration"),
    ("time", "duration"),
    ("description", "why"),
    ("question", "why"),
    ("heap-size", "heap"),
    ("consumers", "members"),
    ("strategy", "commit"),
    ("commit-strategy", "commit"),
    ("auto-commit-interval", "commit-interval"),
    ("max-poll-records", "batch"),
    ("batch-records", "batch"),
    ("service", "service-time"),
    ("processing-time", "service-time"),
    ("partition-assignment-strategy", "assignor"),
    ("assignment", "assignor"),
    ("group-protocol", "protocol"),
    ("isolation-level", "isolation"),
    ("session", "session-timeout"),
    ("fetch-min", "fetch-min-size"),
    ("fetch-wait-max", "fetch-wait"),
    ("fetch-max-wait", "fetch-wait"),
    ("fetch-message-max", "partition-fetch-size"),
    ("max-partition-fetch", "partition-fetch-size"),
];

/// The candidate that was probably meant: by another of its names, the same words in another spelling, or a few slips of the pen.
pub(super) fn nearest<'k>(typed: &str, candidates: &[&'k str]) -> Option<&'k str> {
    let plain = |key: &str| key.to_ascii_lowercase().replace(['.', '_'], "-");
    let typed = plain(typed);
    let bare = typed.strip_suffix("-ms").or(typed.strip_suffix("-bytes")).unwrap_or(&typed);
    let known = |name: &str| ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, key)| *key);
    if let Some(key) = known(&typed).or(known(bare))
        && let Some(meant) = candidates.iter().find(|candidate| **candidate == key)
    {
        return Some(meant);
    }
    let distance =
        |candidate: &str| strsim::osa_distance(&typed, candidate).min(strsim::osa_distance(bare, candidate));
    candidates
        .iter()
        .map(|candidate| (distance(&plain(candidate)), *candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(3).min(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
