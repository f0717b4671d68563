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

/// The most that was seen of each counter: the client forgets a broker's counters together with the broker.
#[derive(Debug, Default)]
pub(super) struct Notices {
    /// Wake-ups and Produce requests by broker.
    brokers: BTreeMap<String, (u64, u64)>,
    sent_and_received_bytes: Option<(u64, u64)>,
}

impl Notices {
    pub(super) fn take(&mut self, notice: Notice) {
        match notice {
            Notice::Error { text, fatal } => {
                emit(&Event::ClientError { at_ns: clock::now_ns(), text, fatal })
            }
            Notice::Statistics(text) => {
                if let Ok(statistics) = serde_json::from_str(&text) {
                    self.count(statistics);
                }
            }
        }
    }

    fn count(&mut self, statistics: Statistics) {
        let (sent, received) = self.sent_and_received_bytes.unwrap_or_default();
        self.sent_and_received_bytes =
            Some((sent.max(statistics.tx_bytes), received.max(statistics.rx_bytes)));
        for (name, broker) in statistics.brokers {
            let (wakeups, requests) = self.brokers.entry(name).or_default();
            *wakeups = (*wakeups).max(broker.wakeups);
            *requests = (*requests).max(broker.req.get("Produce").copied().unwrap_or(0));
        }
    }

    /// Wake-ups of the client's broker threads per Produce request; `None` before the first request was counted.
    pub(super) fn wakeups_per_request(&self) -> Option<f64> {
        let sum =
            |(all, some): (u64, u64), (wakeups, requests): &(u64, u64)| (all + wakeups, some + requests);
        let (wakeups, requests) = self.brokers.values().fold((0, 0), sum);
        (requests > 0).then(|| wakeups as f64 / requests as f64)
    }

    /// Bytes sent and received since the client was made.
    pub(super) fn client_bytes(&self) -> Option<(u64, u64)> {
        self.sent_and_received_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_of_a_broker_that_was_forgotten_stay_counted() {
        let mut notices = Notices::default();
        assert_eq!(notices.wakeups_per_request(), None);
        let two = r#"{"tx_bytes":9,"rx_bytes":4,"brokers":{"a":{"wakeups":900,"req":{"Produce":2}},"b":{"wakeups":7,"req":{}}}}"#;
        let one = r#"{"tx_bytes":1,"rx_bytes":5,"brokers":{"b":{"wakeups":100,"req":{"Produce":8}}}}"#;
        for text in [two, one] {
            notices.take(Notice::Statistics(text.to_owned()));
        }
        assert_eq!(notices.wakeups_per_request(), Some(100.0));
        assert_eq!(notices.client_bytes(), Some((9, 5)));
    }
}
