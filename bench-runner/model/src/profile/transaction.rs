//! The keys of `[producer]` about transactions: what they accept, their defaults and rules.

use super::section::{Section, Wrong};
use super::tree::{Node, Value};
use super::units;
use super::values;
use crate::settings::{ProducerSettings, TransactionSettings, TransactionSpan};

const SECOND: u64 = 1_000_000_000;
const NONE: &str = "none";

/// The keys that mean nothing where no cell has transactions.
pub(super) const KEYS: &str = "abort-every abort-flush transaction-timeout";

/// How transactions end unless the profile says otherwise; the span is chosen by the key `transaction` or its axis.
pub(super) const DEFAULTS: TransactionSettings = TransactionSettings {
    span: TransactionSpan::Records(1),
    abort_every: 0,
    abort_flush: true,
    // As long as a record may take by default: the client wants delivery-timeout <= transaction-timeout.
    timeout_ns: 120 * SECOND,
};

/// Reads the keys: what transactions are like, and whether there are any.
pub(super) fn keys(section: &mut Section<'_>) -> (TransactionSettings, Option<TransactionSpan>) {
    let span = section.read("transaction", span).flatten();
    let like = TransactionSettings {
        abort_every: section.read("abort-every", abort_every).unwrap_or(DEFAULTS.abort_every),
        abort_flush: section.read("abort-flush", values::boolean).unwrap_or(DEFAULTS.abort_flush),
        timeout_ns: section.read("transaction-timeout", timeout).unwrap_or(DEFAULTS.timeout_ns),
        ..DEFAULTS
    };
    (like, span)
}

/// `transaction`: a number of records, a time, or "none".
pub(super) fn span(node: &Node) -> Result<Option<TransactionSpan>, Wrong> {
    match &node.value {
        Value::Text(text) if text == NONE => Ok(None),
        Value::Text(_) => Ok(Some(TransactionSpan::Time(values::duration(node, 1_000_000..=600 * SECOND)?))),
        Value::Integer(_) => Ok(Some(TransactionSpan::Records(values::narrow(node, 1..=10_000_000)?))),
        _ => Err(Wrong::new(
            format!("{} does not say when a transaction ends", node.describe()),
            "write a number of records (100), a time (\"50 ms\"), or \"none\"",
        )),
    }
}

/// `abort-every`; 0: no transaction is aborted on purpose.
pub(super) fn abort_every(node: &Node) -> Result<u32, Wrong> {
    values::narrow(node, 0..=1_000_000)
}

/// `transaction-timeout`; the client knows none below a second.
pub(super) fn timeout(node: &Node) -> Result<u64, Wrong> {
    values::duration(node, SECOND..=900 * SECOND)?;
    values::millis(node, 900_000)
}

/// As a profile would write it, without quotes.
pub fn span_text(span: Option<TransactionSpan>) -> String {
    match span {
        None => NONE.into(),
        Some(TransactionSpan::Records(records)) => records.to_string(),
        Some(TransactionSpan::Time(time_ns)) => units::duration_text(time_ns),
    }
}

/// Why this producer cannot have transactions so, if so.
pub(super) fn impossible(producer: &ProducerSettings) -> Option<String> {
    let transaction = producer.transaction.as_ref()?;
    if !producer.idempotence {
        return Some("a transaction needs idempotence=true".into());
    }
    if producer.delivery_timeout_ns > transaction.timeout_ns {
        let [delivery, timeout] =
            [producer.delivery_timeout_ns, transaction.timeout_ns].map(units::duration_text);
        return Some(format!(
            "delivery-timeout of {delivery} is above transaction-timeout of {timeout}: the client refuses that"
        ));
    }
    match transaction.span {
        TransactionSpan::Time(time_ns) if time_ns >= transaction.timeout_ns => {
            Some("a transaction as long as its timeout is aborted by the cluster before it ends".into())
        }
        _ => None,
    }
}
