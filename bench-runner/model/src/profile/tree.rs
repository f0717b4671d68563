//! A profile's text as a tree in which every key and value knows its place; overrides are grafted on.
//!
//! Knows TOML, and nothing of what the keys mean.

use super::problems::{Place, Problems};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub place: Place,
    pub value: Value,
}

/// A TOML value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    /// Out of range of an `i64`: `None`.
    Integer(Option<i64>),
    Boolean(bool),
    /// Floats, dates: nothing in a profile is one.
    Other(&'static str, String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// One `key = value`, in the order of the file.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub key: String,
    pub key_place: Place,
    pub node: Node,
}

impl Node {
    /// What a reader would call the value, for messages.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Text(text) => format!("the text \"{text}\""),
            Value::Integer(Some(number)) => format!("the number {number}"),
            Value::Integer(None) => "a number beyond 64 bits".into(),
            Value::Boolean(value) => format!("{value}"),
            Value::Other(kind, text) => format!("the {kind} {text}"),
            Value::List(_) => "a list".into(),
            Value::Table(_) => "a table".into(),
        }
    }
}

/// Moves spans of a parsed snippet to where the snippet stands in its source.
#[derive(Clone, Copy)]
struct Origin {
    source: usize,
    added: usize,
    removed: usize,
}

impl Origin {
    fn place(self, span: Range<usize>) -> Place {
        let moved = |at: usize| (at + self.added).saturating_sub(self.removed);
        Place { source: self.source, span: moved(span.start)..moved(span.end) }
    }

    fn node(self, value: &Spanned<DeValue<'_>>) -> Node {
        let place = self.place(value.span());
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => {
                Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok())
            }
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Float(number) => Value::Other("fraction", number.to_string()),
            DeValue::Datetime(date) => Value::Other("date", date.to_string()),
            DeValue::Array(list) => Value::List(list.iter().map(|item| self.node(item)).collect()),
            DeValue::Table(table) => Value::Table(self.entries(table)),
        };
        Node { place, value }
    }

    fn entries(self, table: &DeTable<'_>) -> Vec<Entry> {
        let entry = |(key, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| Entry {
            key: key.get_ref().to_string(),
            key_place: self.place(key.span()),
            node: self.node(value),
        };
        let mut entries: Vec<Entry> = table.iter().map(entry).collect();
        entries.sort_by_key(|entry| entry.key_place.span.start);
        entries
    }
}

/// Parses a whole file (source 0); syntax errors go to `problems`. `None`: what could be read is no base for further
/// problems, because a line that could not be read would be missed there.
pub(super) fn parse(text: &str, problems: &Problems) -> Option<Node> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut is_whole = true;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let (message, help) = match error.message() {
            "duplicate key" => ("this key stands here a second time".into(), "keep one of the two lines"),
            other => {
                is_whole = false;
                (
                    format!("not TOML: {other}"),
                    "write key = value; texts, durations and sizes stand in double quotes. The rest is checked once this is TOML",
                )
            }
        };
        problems.add(&Place { source: 0, span }, message, help);
    }
    let origin = Origin { source: 0, added: 0, removed: 0 };
    is_whole.then(|| Node { place: origin.place(0..0), value: Value::Table(origin.entries(table.get_ref())) })
}

/// Grafts one `key=value` of the command line (already registered as `source`) onto the tree.
pub(super) fn graft(root: &mut Node, source: usize, text: &str, problems: &Problems) {
    let whole = Place { source, span: 0..text.len() };
    let Some(equals) = text.find('=').filter(|at| !text[..*at].trim().is_empty()) else {
        problems.add(&whole, "an override needs a key and a value", "write --set load.rate=5k/s");
        return;
    };
    let path = text[..equals].trim();
    let key_place = Place { source, span: 0..path.len() };
    let node = override_value(&text[equals + 1..], equals + 1, source);
    let mut here = root;
    let mut steps = path.split('.').peekable();
    while let Some(step) = steps.next() {
        let inside = here.describe();
        let Value::Table(entries) = &mut here.value else {
            let message = format!("\"{step}\" cannot be set inside {inside}");
            problems.add(&key_place, message, "name a key of a table, or set the whole list");
            return;
        };
        let at = entries.iter().position(|entry| entry.key == step).unwrap_or_else(|| {
            let empty = Node { place: key_place.clone(), value: Value::Table(Vec::new()) };
            entries.push(Entry { key: step.into(), key_place: key_place.clone(), node: empty });
            entries.len() - 1
        });
        if steps.peek().is_none() {
            entries[at].key_place = key_place.clone();
            entries[at].node = node;
            return;
        }
        here = &mut entries[at].node;
    }
}

/// A TOML value, or else the bare text.
fn override_value(raw: &str, offset: usize, source: usize) -> Node {
    let snippet = format!("v={raw}");
    let origin = Origin { source, added: offset, removed: 2 };
    if let Ok(table) = DeTable::parse(&snippet)
        && table.get_ref().len() == 1
        && let Some(entry) = origin.entries(table.get_ref()).pop()
    {
        return entry.node;
    }
    let text = raw.trim();
    let start = offset + raw.len() - raw.trim_start().len();
    Node { place: Place { source, span: start..start + text.len() }, value: Value::Text(text.into()) }
}
