//! `statements.json`: what runner and workers said when a cell had ended. Evidence as given; it concludes nothing.

use super::killed;
use crate::fault::{DeathRecord, JoinRecord, KillRecord};
use crate::latency::{Series, Set};
use crate::ledger::Ledger;
use crate::plan::Cell;
use crate::result::PartitionChange;
use crate::segment::dump::Dump;
use crate::settings::CellSettings;
use crate::wire::Done;
use serde::{Deserialize, Serialize};

/// The file's name in a cell's directory.
pub const STATEMENTS: &str = "statements.json";

const SECOND_NS: u64 = 1_000_000_000;

/// What the processes of a cluster have used since their start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time, user and system.
    pub cpu_ns: u64,
    /// Bytes that they caused to be sent to the storage layer.
    pub disk_write_bytes: u64,
    /// Bytes received by the loopback interface: everything on the machine, not only the cluster.
    pub network_bytes: u64,
}

/// CPU time that the machine's own host kept from it, in ticks of the kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stolen {
    /// So much was wanted and not had.
    pub ticks: u64,
    /// Of all CPU time of that while, idle time included.
    pub of: u64,
}

/// Everything that a result rests on besides ledgers, readings and series.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Statements {
    /// T0, nanoseconds of the monotonic clock.
    pub t0_ns: u64,
    /// Why the cluster was not quiet when the log was to be read; `None`: it was.
    pub unquiet: Option<String>,
    /// Closing statements of those lives of producers that made one.
    pub producers: Vec<Done>,
    /// Closing statement of the reader.
    pub reader: Done,
    /// Closing statement of the one that reads a pipeline's output. `None`: there is no such topic, or it was not kept yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_reader: Option<Done>,
    /// What the cluster had used at both ends of the measured window (local clusters, cells without fault).
    pub usage: [Option<Usage>; 2],
    /// From T0 until all producers were done; `None`: stored before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stolen: Option<Stolen>,
    /// Answers by the second after T0 in which they came, whenever their records were due: reports without error, or
    /// with acks=0 records that the reader was handed. `None`: stored before this was kept.
    #[serde(default)]
    pub arrivals: Option<Vec<u64>>,
    /// Records that the end-to-end reader was handed, by the second after T0 in which it was. `None`: stored before this was
    /// kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Vec<u64>>,
    /// What the group had left to process when its time was over; `None`: nothing, or there is no group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unprocessed: Option<String>,
    /// Closing statements of those lives of group members that made one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Done>,
    /// Deaths of group members and producers as they happened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deaths: Vec<DeathRecord>,
    /// Kills of workers as they were carried out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kills: Vec<KillRecord>,
    /// Joins of members as they happened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joins: Vec<JoinRecord>,
    /// Records that killed lives of producers had got an answer for: nobody knows how long it took.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub untimed: u64,
    /// Partitions whose leader had changed since the topic was made, once the cluster was quiet again (local clusters).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub moved_leaders: u64,
    /// What was undone when the load was over: what faults had left stopped, dead, or changed (local clusters, or proxies).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub healed: Vec<String>,
    /// Leaders and replicas as they changed while faults happened (local clusters, cells with a fault).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<PartitionChange>,
    /// Kafka's own dump of every replica (local clusters, where it was asked for or a promise was violated unexpectedly).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dumps: Vec<Dump>,
    /// Why the sink could not be read when all had ended; `None`: it was, or there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread_sink: Option<String>,
}

/// A text that holds no statements.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no statements of workers: {0}")]
pub struct StatementsError(
    /// What the parser says.
    pub String,
);

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Statements {
    /// The stored form.
    pub fn to_json(&self) -> String {
        // Plain data with text keys: it can always be written.
        serde_json::to_string_pretty(self).expect("plain data") + "\n"
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// When the text is torn, or is something else.
    pub fn from_json(text: &str) -> Result<Self, StatementsError> {
        serde_json::from_str(text).map_err(|error| StatementsError(error.to_string()))
    }

    /// Why there can be no verdict, if so: the log was not quiet, or a reader did not reach its end.
    pub fn undrained(&self) -> Option<String> {
        let reader = (!self.reader.drained)
            .then(|| "the end-to-end reader did not reach the end of every partition in time".to_owned());
        let group = self
            .unprocessed
            .as_ref()
            .map(|left| format!("the group did not process everything in time: {left}"));
        let output =
            self.output_reader.as_ref().filter(|reader| !reader.drained).map(|_| {
                "the reader of the output did not reach the end of every partition in time".to_owned()
            });
        self.unquiet.clone().or(reader).or(group).or(output)
    }

    /// Adds to the series what killed lives of producers took with them, and keeps how many answers were among it.
    pub fn cut_off_killed(&mut self, set: &mut Set, cell: &Cell, ledgers: &[Ledger]) {
        self.untimed = killed::cut_off(set, cell, ledgers, self);
    }

    /// A record that was due and never delivered waits still when the reader ends: no setting may look fast by losing its
    /// slow records. Its second is known, so its age is at least that of the second's end.
    pub fn censor_undelivered(&self, set: &mut Set, cell: &Cell) {
        censor_unseen(set, "end_to_end", self.since_t0_ns(&self.reader), true);
        if let Some(reader) = &self.output_reader {
            // What was aborted on purpose is given to a group at read_uncommitted, and then owes an output; without a flush
            // before the abort nobody knows what of it has reached the log.
            let CellSettings { group, producer, .. } = &cell.settings;
            let is_flushed = producer.transaction.as_ref().is_none_or(|transaction| transaction.abort_flush);
            let hidden =
                !is_flushed || group.as_ref().is_some_and(|group| group.isolation == "read_committed");
            censor_unseen(set, "output", self.since_t0_ns(reader), hidden);
        }
    }

    fn since_t0_ns(&self, reader: &Done) -> u64 {
        reader.ended_ns.saturating_sub(self.t0_ns)
    }
}

/// Cuts off at `ended_ns` after T0 what this series lacks; `withdrawn`: it owes nothing that was aborted on purpose.
fn censor_unseen(set: &mut Set, name: &str, ended_ns: u64, withdrawn: bool) {
    let Some(publish) = set.get("publish") else { return };
    let of = |name, second| set.get(name).map_or(0, |series: &Series| series.count(second));
    // Nobody waits for the one, and two have timed the other.
    let less = |second| {
        let hidden = if withdrawn { of("withdrawn", second) } else { 0 };
        hidden + of(killed::AGAIN, second)
    };
    let due: Vec<u64> =
        (0..=publish.seconds()).map(|second| publish.count(second).saturating_sub(less(second))).collect();
    let Some(seen) = set.get_mut(name) else { return };
    for (second, due) in due.into_iter().enumerate() {
        let missing = due.saturating_sub(seen.count(second));
        let cut_ns = ended_ns.saturating_sub((second as u64 + 1) * SECOND_NS);
        seen.censor_many(second, cut_ns, missing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_due_and_never_seen_is_cut_off_at_the_end_of_the_reader() {
        let seen = |name: &str, withdrawn: bool| {
            let mut set = Set::default();
            let mut publish = Series::new(2);
            publish.record_many(0, 1, 10);
            publish.record_many(1, 1, 10);
            set.insert("publish", publish);
            let mut aborted = Series::new(2);
            aborted.record_many(1, 1, 4);
            set.insert("withdrawn", aborted);
            let mut series = Series::new(2);
            series.record_many(0, 5, 7);
            series.record_many(1, 5, 6);
            set.insert(name, series);
            censor_unseen(&mut set, name, 5 * SECOND_NS, withdrawn);
            let series = set.get(name).expect("the series");
            let longest = series.summary(0..1).expect("values").max_cut_ns;
            ([0, 1].map(|second| series.count(second)), longest)
        };
        assert_eq!(seen("end_to_end", true), ([10, 6], 4 * SECOND_NS));
        assert_eq!(seen("output", false), ([10, 10], 4 * SECOND_NS));
    }
}
