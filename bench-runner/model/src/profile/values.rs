//! Values of single keys: what each accepts, and what to write instead.

use super::property_names::{Part, Refusal};
use super::section::{Wrong, nearest};
use super::tree::{Entry, Node, Value};
use super::units;
use crate::settings::Acks;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// The most that librdkafka takes for `message.send.max.retries`; written `"max"`.
pub(super) const MOST_RETRIES: u32 = 2_147_483_647;
const MS: u64 = 1_000_000;

/// A text; `like` is an example.
pub(super) fn text(node: &Node, like: &str) -> Result<String, Wrong> {
    match &node.value {
        Value::Text(text) if !text.trim().is_empty() => Ok(text.clone()),
        Value::Text(_) => Err(Wrong::new("is empty", format!("write it like \"{like}\""))),
        _ => Err(Wrong::new(
            format!("expected a text, found {}", node.describe()),
            format!("write it like \"{like}\""),
        )),
    }
}

/// A whole number within `range`.
pub(super) fn number(node: &Node, range: RangeInclusive<u64>) -> Result<u64, Wrong> {
    let help = format!("write a whole number from {} to {}", range.start(), range.end());
    let value = match &node.value {
        Value::Integer(value) => value.and_then(|value| u64::try_from(value).ok()),
        _ => return Err(Wrong::new(format!("expected a number, found {}", node.describe()), help)),
    };
    value
        .filter(|value| range.contains(value))
        .ok_or_else(|| Wrong::new(format!("{} is impossible", node.describe()), help))
}

/// A whole number within `range` that fits `T`.
pub(super) fn narrow<T: TryFrom<u64>>(node: &Node, range: RangeInclusive<u64>) -> Result<T, Wrong> {
    let value = number(node, range)?;
    T::try_from(value).map_err(|_| Wrong::new(format!("{value} is too large"), "write a smaller number"))
}

/// `true` or `false`.
pub(super) fn boolean(node: &Node) -> Result<bool, Wrong> {
    match node.value {
        Value::Boolean(value) => Ok(value),
        _ => Err(Wrong::new(
            format!("expected true or false, found {}", node.describe()),
            "write true or false, without quotes",
        )),
    }
}

fn with_unit<T>(node: &Node, like: &str, parse: impl Fn(&str) -> Result<T, Wrong>) -> Result<T, Wrong> {
    let help = match (&node.value, like.split_once(' ')) {
        (Value::Text(text), _) => return parse(text),
        (Value::Integer(Some(number)), Some((_, unit))) => {
            format!("write the unit as well, like \"{number} {unit}\" with its quotes")
        }
        _ => format!("write it like \"{like}\""),
    };
    Err(Wrong::new(format!("expected a text with a unit, found {}", node.describe()), help))
}

fn within<T>(value: T, range: RangeInclusive<T>, show: impl Fn(T) -> String) -> Result<T, Wrong>
where
    T: PartialOrd + Copy,
{
    if range.contains(&value) {
        return Ok(value);
    }
    let (least, most) = (show(*range.start()), show(*range.end()));
    Err(Wrong::new(
        format!("{} is out of range", show(value)),
        format!("write a value from \"{least}\" to \"{most}\""),
    ))
}

/// A duration within `range`, all in nanoseconds.
pub(super) fn duration(node: &Node, range: RangeInclusive<u64>) -> Result<u64, Wrong> {
    within(with_unit(node, "30 s", units::duration_ns)?, range, units::duration_text)
}

/// A duration of whole milliseconds from 1 ms to `most_ms`, in nanoseconds.
pub(super) fn millis(node: &Node, most_ms: u64) -> Result<u64, Wrong> {
    let value = duration(node, MS..=most_ms * MS)?;
    if value % MS == 0 {
        return Ok(value);
    }
    Err(Wrong::new("the client takes whole milliseconds", format!("write \"{} ms\"", value.div_ceil(MS))))
}

/// A size within `range`, all in bytes.
pub(super) fn size(node: &Node, range: RangeInclusive<u64>) -> Result<u64, Wrong> {
    within(with_unit(node, "1 KiB", units::size_bytes)?, range, units::size_text)
}

/// A size within `range` that fits 32 bits.
pub(super) fn size32(node: &Node, range: RangeInclusive<u32>) -> Result<u32, Wrong> {
    let bytes = size(node, u64::from(*range.start())..=u64::from(*range.end()))?;
    u32::try_from(bytes).map_err(|_| Wrong::new(format!("{bytes} is too large"), "write a smaller size"))
}

/// A size in whole KiB.
pub(super) fn kibibytes(node: &Node, range: RangeInclusive<u64>) -> Result<u64, Wrong> {
    let bytes = size(node, range)?;
    if bytes % 1024 == 0 {
        return Ok(bytes);
    }
    Err(Wrong::new(
        format!("{bytes} B is no multiple of 1 KiB"),
        format!("write \"{} KiB\"", bytes.div_ceil(1024)),
    ))
}

/// A share in percent.
pub(super) fn percent(node: &Node) -> Result<u8, Wrong> {
    with_unit(node, "50 %", units::percent)
}

/// Records per second; `None`: as fast as possible.
pub(super) fn rate(node: &Node) -> Result<Option<u64>, Wrong> {
    if matches!(&node.value, Value::Text(text) if text == "max") {
        return Ok(None);
    }
    let per_second = with_unit(node, "20k/s", units::per_second)?;
    within(per_second, 1..=10_000_000, units::rate_text).map(Some)
}

/// The value behind one of these names; `what` they are names of.
pub(super) fn named<T: Copy>(node: &Node, what: &str, known: &[(&str, T)]) -> Result<T, Wrong> {
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let all = || format!("write one of \"{}\"", names.join("\", \""));
    let Value::Text(text) = &node.value else {
        return Err(Wrong::new(format!("{} is no {what}", node.describe()), all()));
    };
    known.iter().find(|(name, _)| name == text).map(|(_, value)| *value).ok_or_else(|| {
        let help = nearest(text, &names).map_or_else(all, |meant| format!("did you mean \"{meant}\"?"));
        Wrong::new(format!("\"{text}\" is no {what}"), help)
    })
}

/// `acks`.
pub(super) fn acks(node: &Node) -> Result<Acks, Wrong> {
    match &node.value {
        Value::Integer(Some(0)) => Ok(Acks::Zero),
        Value::Integer(Some(1)) => Ok(Acks::One),
        Value::Text(text) if text == "0" => Ok(Acks::Zero),
        Value::Text(text) if text == "1" => Ok(Acks::One),
        Value::Text(text) if text == "all" => Ok(Acks::All),
        Value::Integer(Some(-1)) => Err(Wrong::new("-1 has a name of its own here", "write \"all\"")),
        _ => Err(Wrong::new(format!("{} is no acks setting", node.describe()), "write 0, 1 or \"all\"")),
    }
}

/// `retries`.
pub(super) fn retries(node: &Node) -> Result<u32, Wrong> {
    if matches!(&node.value, Value::Text(text) if text == "max") {
        return Ok(MOST_RETRIES);
    }
    narrow(node, 0..=u64::from(MOST_RETRIES))
        .map_err(|wrong| Wrong::new(wrong.message, format!("{}, or \"max\"", wrong.help)))
}

/// `flush.messages`; `None`: never by count.
pub(super) fn flush_messages(node: &Node) -> Result<Option<u64>, Wrong> {
    if matches!(&node.value, Value::Text(text) if text == "never") {
        return Ok(None);
    }
    let count = number(node, 1..=1_000_000_000_000);
    count.map(Some).map_err(|wrong| Wrong::new(wrong.message, format!("{}, or \"never\"", wrong.help)))
}

/// As a profile would write it: a number, or `max`.
pub fn retries_text(retries: u32) -> String {
    if retries == MOST_RETRIES { "max".into() } else { retries.to_string() }
}

/// `compression`.
pub(super) fn compression(node: &Node) -> Result<String, Wrong> {
    const KNOWN: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
    match &node.value {
        Value::Text(text) if KNOWN.contains(&text.as_str()) => Ok(text.clone()),
        _ => Err(Wrong::new(
            format!("{} is no compression", node.describe()),
            format!("write one of \"{}\"", KNOWN.join("\", \"")),
        )),
    }
}

/// Properties passed on verbatim; `refused` names those that may not be. Everything wrong is told at once.
pub(super) fn properties(
    node: &Node,
    refused: impl Fn(&str, &str) -> Option<Refusal>,
) -> Result<BTreeMap<String, String>, Vec<Wrong>> {
    let Value::Table(entries) = &node.value else {
        return Err(vec![Wrong::new(
            format!("expected a table, found {}", node.describe()),
            "write { some.property = \"value\" }",
        )]);
    };
    let mut properties = BTreeMap::new();
    let mut wrong = Vec::new();
    // TOML nests at every dot that is not quoted; property names are the same either way.
    let mut open: Vec<(String, &Entry)> = entries.iter().map(|entry| (entry.key.clone(), entry)).collect();
    while let Some((key, Entry { key_place, node, .. })) = open.pop() {
        let value = match &node.value {
            Value::Text(text) | Value::Other("fraction", text) => text.clone(),
            Value::Integer(Some(number)) => number.to_string(),
            Value::Boolean(value) => value.to_string(),
            Value::Table(inner) => {
                open.extend(inner.iter().map(|entry| (format!("{key}.{}", entry.key), entry)));
                continue;
            }
            _ => {
                let message = format!("{key} is {}", node.describe());
                wrong.push(Wrong::new(message, "write the value as a text").at(&node.place));
                continue;
            }
        };
        if let Some(Refusal { message, help, part }) = refused(&key, &value) {
            let place = if part == Part::Name { key_place } else { &node.place };
            wrong.push(Wrong::new(message, help).at(place));
        }
        if properties.insert(key.clone(), value).is_some() {
            let message = format!("{key} stands here twice");
            wrong.push(Wrong::new(message, "keep one of them").at(key_place));
        }
    }
    if wrong.is_empty() { Ok(properties) } else { Err(wrong) }
}
