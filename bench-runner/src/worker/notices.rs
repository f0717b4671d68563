//! What the client says besides reports: errors go to the runner at once, statistics are kept and read at the end.

use super::emit;
use crate::clock;
use crate::kafka::lane::Notice;
use bench_model::wire::Event;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The few of librdkafka's statistics that are used.
#[derive(Debug, Deserialize)]
struct Statistics {
    tx_bytes: u64,
    rx_bytes: u64,
    brokers: BTreeMap<String, Broker>,
}

#[derive(Debug, Deserialize)]
struct Broker {
    wakeups: u64,
    req: BTreeMap<String, u64>,
}

impl Statistics {
    fn wakeups(&self) -> u64 {
        self.brokers.values().map(|broker| broker.wakeups).sum()
    }

    fn produce_requests(&self) -> u64 {
        self.brokers.values().filter_map(|broker| broker.req.get("Produce")).sum()
    }
}

/// First and last statistics as the client wrote them.
#[derive(Debug, Default)]
pub(super) struct Notices {
    first: Option<String>,
    last: Option<String>,
}

impl Notices {
    pub(super) fn take(&mut self, notice: Notice) {
        match notice {
            Notice::Error { text, fatal } => {
                emit(&Event::ClientError { at_ns: clock::now_ns(), text, fatal })
            }
            Notice::Statistics(text) if self.first.is_none() => self.first = Some(text),
            Notice::Statistics(text) => self.last = Some(text),
        }
    }

    /// Wake-ups of the client's broker threads per Produce request, between the first and the last statistics.
    pub(super) fn wakeups_per_request(&self) -> Option<f64> {
        let (first, last) = (parse(self.first.as_ref())?, parse(self.last.as_ref())?);
        let requests =
            last.produce_requests().checked_sub(first.produce_requests()).filter(|count| *count > 0)?;
        Some(last.wakeups().saturating_sub(first.wakeups()) as f64 / requests as f64)
    }

    /// Bytes sent and received since the client was made.
    pub(super) fn client_bytes(&self) -> Option<(u64, u64)> {
        let last = parse(self.last.as_ref().or(self.first.as_ref()))?;
        Some((last.tx_bytes, last.rx_bytes))
    }
}

fn parse(text: Option<&String>) -> Option<Statistics> {
    serde_json::from_str(text?).ok()
}
