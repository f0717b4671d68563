//! What a plan will take: time, records, disk, memory; and how much room a cell's ledgers need.

use super::Cell;
use crate::fault::{Action, Death, End, Victim};
use crate::profile::{duration_text, grouped, rate_text, rough_size};
use crate::settings::{Arrival, CellSettings, ClusterAsk, GroupSettings, Length, Load, TransactionSpan};
use serde::Serialize;

const SECOND: u64 = 1_000_000_000;
const MIB: u64 = 1 << 20;

/// What is assumed where nothing is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assumptions;

impl Assumptions {
    /// A "max" cell sends at most so many records per second (best seen on two cores with three brokers: 863,000 at 100 B).
    pub const MAX_RECORDS_PER_S: u64 = 1_000_000;
    /// And at most so many bytes per second (best seen: 171 MB/s at 1 KiB).
    pub const MAX_BYTES_PER_S: u64 = 200_000_000;
    /// A ledger of a "max" cell has room for so many times that, for faster machines; beyond it the worker stops early and says so.
    pub const LEDGER_MARGIN: u64 = 6;
    /// Cold start of the cluster, in nanoseconds.
    pub const CLUSTER_START_NS: u64 = 20 * SECOND;
    /// Topic, barrier, drain, reading and verdict of a cell up to 300,000 records, in nanoseconds.
    pub const CELL_NS: u64 = 3 * SECOND;
    /// Records that [`Assumptions::CELL_NS`] covers; each million more takes a second.
    pub const CELL_RECORDS: u64 = 300_000;
    /// From a broker's kill until every replica is in sync again: session, election, restart (8-11 s seen), in nanoseconds.
    pub const KILL_NS: u64 = 11 * SECOND;
    /// Resident memory of a broker beyond its heap, in bytes.
    pub const BROKER_BYTES: u64 = 200 * MIB;
    /// Resident memory of the controller, in bytes.
    pub const CONTROLLER_BYTES: u64 = 200 * MIB;
    /// A worker without its ledger and queue: client, histograms, payload pool, in bytes.
    pub const WORKER_BYTES: u64 = 64 * MIB;
    /// What a group member's client may hold of records that nobody has asked for yet, in bytes.
    pub const MEMBER_QUEUE_BYTES: u64 = 64 * MIB;
    /// Joining a group, and going on once its dead are noticed (RECIPES: 2.5 s beyond the session), in nanoseconds.
    pub const JOIN_NS: u64 = 3 * SECOND;
    /// From a producer's death until its next life sends, in nanoseconds.
    pub const REBIRTH_NS: u64 = SECOND;
    /// Entries of a journal beyond those of records: assignments, commits of idle moments.
    pub const JOURNAL_SPARE: u64 = 10_000;
    /// Bytes of a transaction's entry, without what each partition adds (held equal to its layout where that is written).
    pub const TRANSACTION_BYTES: u64 = 40;
    /// Writing one row of a sink, in nanoseconds, and its whole batch beside, most of it the wait for the disk.
    pub const SINK_ROW_NS: u64 = 10_000;
    /// See `SINK_ROW_NS`.
    pub const SINK_BATCH_NS: u64 = 5_000_000;
    /// A row of a sink and its trace in the database's own log, in bytes.
    pub const SINK_ROW_BYTES: u64 = 250;
    /// Bytes of an entry of a journal (held equal to its layout where that is written).
    pub const JOURNAL_ENTRY_BYTES: u64 = 64;
}

/// What a plan will take, by the assumptions of [`Assumptions`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// Everything, start and full warm-up of the cluster included, in nanoseconds.
    pub duration_ns: u64,
    /// The cells alone, in nanoseconds.
    pub cells_ns: u64,
    /// On the brokers (all replicas, uncompressed) and in the ledgers, in bytes.
    pub disk_bytes: u64,
    /// Brokers, and workers of the largest cell, in bytes.
    pub memory_bytes: u64,
    /// Of all cells.
    pub records: u64,
}

impl Estimate {
    /// Adds up the cells of a plan.
    pub fn of(cells: &[Cell], cluster: &ClusterAsk) -> Self {
        let brokers = u64::from(cluster.brokers) * (cluster.heap_bytes + Assumptions::BROKER_BYTES);
        let workers = cells.iter().map(Cell::memory_bytes).max().unwrap_or(0);
        let disk_bytes = cells.iter().map(Cell::disk_bytes).fold(0, u64::saturating_add);
        // Where disks are filled, the brokers' data lie in memory.
        let data = if cells.iter().any(|cell| cell.has_step(Action::FillDisk)) { disk_bytes } else { 0 };
        let cells_ns = cells.iter().map(Cell::duration_ns).fold(0, u64::saturating_add);
        Estimate {
            duration_ns: cells_ns.saturating_add(Assumptions::CLUSTER_START_NS + cluster.warm_limit_ns),
            cells_ns,
            disk_bytes,
            memory_bytes: (brokers + Assumptions::CONTROLLER_BYTES)
                .saturating_add(workers)
                .saturating_add(data),
            records: cells.iter().map(Cell::records).fold(0, u64::saturating_add),
        }
    }
}

impl Load {
    /// Records due in so many nanoseconds at this rate; a record is due at 0.
    fn due(per_second: u64, time_ns: u64) -> u64 {
        let records = (u128::from(per_second) * u128::from(time_ns)).div_ceil(u128::from(SECOND));
        u64::try_from(records).unwrap_or(u64::MAX)
    }

    /// The rate that is given or assumed.
    fn per_second(&self) -> u64 {
        match self.arrival {
            Arrival::Constant { per_second } | Arrival::Poisson { per_second } => per_second,
            Arrival::Max | Arrival::Bursts(_) => Assumptions::MAX_RECORDS_PER_S
                .min(Assumptions::MAX_BYTES_PER_S / u64::from(self.record_bytes.max(1)))
                .max(1),
        }
    }

    /// Records of the whole cell, warm-up included: exact for constant rates and bursts, the mean of a Poisson process, assumed for max.
    pub fn records(&self) -> u64 {
        if let Arrival::Bursts(bursts) = &self.arrival {
            return bursts.iter().map(|burst| burst.records).fold(0, u64::saturating_add);
        }
        match self.length {
            Length::Time(time_ns) => Self::due(self.per_second(), self.warmup_ns.saturating_add(time_ns)),
            Length::Records(records) => Self::due(self.per_second(), self.warmup_ns).saturating_add(records),
        }
    }

    /// How [`Load::records`] come about, e.g. `20k/s x (5 s + 15 s)`.
    pub(super) fn records_text(&self) -> String {
        let rate = rate_text(self.per_second());
        let rate = if self.arrival == Arrival::Max { format!("{rate} (assumed of max)") } else { rate };
        let warmup = duration_text(self.warmup_ns);
        match (&self.arrival, self.length) {
            (Arrival::Bursts(bursts), _) => {
                bursts.iter().map(|burst| grouped(burst.records)).collect::<Vec<_>>().join(" + ")
            }
            (_, Length::Time(time_ns)) => format!("{rate} x ({warmup} + {})", duration_text(time_ns)),
            (_, Length::Records(records)) => format!("{rate} x {warmup} + {}", grouped(records)),
        }
    }

    /// From T0 until the last record is due (max: is sent, by assumption), in nanoseconds.
    pub fn span_ns(&self) -> u64 {
        if let Arrival::Bursts(bursts) = &self.arrival {
            return bursts.last().map_or(0, |burst| burst.at_ns);
        }
        let window_ns = match self.length {
            Length::Time(time_ns) => time_ns,
            Length::Records(records) => {
                let time_ns = u128::from(records) * u128::from(SECOND) / u128::from(self.per_second());
                u64::try_from(time_ns).unwrap_or(u64::MAX)
            }
        };
        self.warmup_ns.saturating_add(window_ns)
    }
}

impl Cell {
    /// Records of all producers, warm-up included, as far as they can be known before.
    pub fn records(&self) -> u64 {
        self.settings.load.records()
    }

    /// How long the cell will take, everything included, in nanoseconds.
    pub fn duration_ns(&self) -> u64 {
        let last_ns = self.faults.iter().filter_map(|step| step.when.at_ns()).max().unwrap_or(0);
        let killed = self.faults.iter().any(|step| step.action.ends());
        let more = self.records().saturating_sub(Assumptions::CELL_RECORDS) / 1_000 * (SECOND / 1_000);
        (self.settings.load.span_ns().max(last_ns).max(self.service_ns()))
            .saturating_add(Assumptions::CELL_NS + if killed { Assumptions::KILL_NS } else { 0 })
            .saturating_add(self.settings.group.as_ref().map_or(0, |group| self.joining_ns(group)))
            .saturating_add(self.reborn_producers().saturating_mul(Assumptions::REBIRTH_NS))
            .saturating_add(self.standing_ns())
            .saturating_add(more)
    }

    /// How long a group takes to process every record once, evenly shared, and to write full batches to its sink, one
    /// after the other, in nanoseconds.
    fn service_ns(&self) -> u64 {
        let Some(group) = &self.settings.group else { return 0 };
        let busy = group.members.min(self.settings.topic.partitions).max(1);
        let service_ns = self.records().saturating_mul(group.service_ns) / u64::from(busy);
        let batches = group.sink.as_ref().map_or(0, |_| self.records() / u64::from(group.batch_records) + 1);
        service_ns
            .saturating_add(batches.saturating_mul(Assumptions::SINK_BATCH_NS))
            .saturating_add(self.sink_rows().saturating_mul(Assumptions::SINK_ROW_NS))
    }

    fn sink_rows(&self) -> u64 {
        let has_sink = self.settings.group.as_ref().is_some_and(|group| group.sink.is_some());
        if has_sink { self.records() } else { 0 }
    }

    /// How long nobody processes: at the start, after each death, of which a kill is noticed by the end of the session, and
    /// after each join.
    fn joining_ns(&self, group: &GroupSettings) -> u64 {
        let member = |death: &&Death| death.worker == Victim::Member;
        let noticed_ns = |death: &Death| match death.end {
            End::Close => 0,
            End::Kill => group.session_timeout_ns,
            End::Stop => death.continue_after_ns.unwrap_or(group.session_timeout_ns),
        };
        let deaths = self.deaths.iter().filter(member).map(noticed_ns);
        let kills = self.kills.iter().filter(|kill| kill.worker == Victim::Member);
        let joins = self.joins.iter().map(|_| 0);
        let all = deaths.chain(kills.map(|_| group.session_timeout_ns)).chain(joins);
        all.fold(Assumptions::JOIN_NS, |sum, noticed_ns| {
            sum.saturating_add(noticed_ns).saturating_add(Assumptions::JOIN_NS)
        })
    }

    /// Lives of members beyond those that start together.
    fn more_members(&self) -> u64 {
        let deaths = self.deaths.iter().filter(|death| death.worker == Victim::Member).count();
        let kills = self.kills.iter().filter(|kill| kill.worker == Victim::Member).count();
        (deaths + kills + self.joins.len()) as u64
    }

    /// Lives of producers beyond their first ones.
    fn reborn_producers(&self) -> u64 {
        let deaths = self.deaths.iter().filter(|death| death.worker == Victim::Producer).count();
        let kills = self.kills.iter().filter(|kill| kill.worker == Victim::Producer).count();
        (deaths + kills) as u64
    }

    /// How long producers stand still, in nanoseconds.
    fn standing_ns(&self) -> u64 {
        let of_producers = self.deaths.iter().filter(|death| death.worker == Victim::Producer);
        of_producers.filter_map(|death| death.continue_after_ns).fold(0, u64::saturating_add)
    }

    /// Records on all replicas, uncompressed, and the ledgers, in bytes.
    pub fn disk_bytes(&self) -> u64 {
        let CellSettings { topic, load, .. } = &self.settings;
        self.records()
            .saturating_mul(u64::from(load.record_bytes))
            .saturating_mul(u64::from(topic.replication_factor))
            .saturating_add(self.ledger_bytes())
            .saturating_add(self.transaction_bytes())
            .saturating_add(self.journal_bytes().saturating_mul(self.members() + self.more_members()))
            .saturating_add(self.lane_ledger_bytes().saturating_mul(self.reborn_producers()))
            .saturating_add(self.lane_transaction_bytes().saturating_mul(self.reborn_producers()))
            .saturating_add(self.sink_rows().saturating_mul(Assumptions::SINK_ROW_BYTES))
    }

    /// Workers at their largest: full queues, ledgers and journals in memory, one reader, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        let (producers, members) = (u64::from(self.settings.load.producers), self.members());
        let member = Assumptions::MEMBER_QUEUE_BYTES.saturating_add(self.journal_bytes());
        (producers + members + 1)
            .saturating_mul(Assumptions::WORKER_BYTES)
            .saturating_add(producers.saturating_mul(self.settings.producer.queue_bytes))
            .saturating_add(members.saturating_mul(member))
            .saturating_add(self.ledger_bytes())
            .saturating_add(self.transaction_bytes())
    }

    /// How [`Cell::memory_bytes`] come about; parts that are 0 are left out.
    pub(super) fn memory_text(&self) -> String {
        let (producers, members) = (u64::from(self.settings.load.producers), self.members());
        let mut text =
            format!("{} workers x {}", producers + members + 1, rough_size(Assumptions::WORKER_BYTES));
        let queue = rough_size(self.settings.producer.queue_bytes);
        text.push_str(&format!(" + {producers} producers x {queue} queue"));
        if members > 0 {
            text.push_str(&format!(
                " + {members} members x ({} fetched + {} journal: {} entries x {} B)",
                rough_size(Assumptions::MEMBER_QUEUE_BYTES),
                rough_size(self.journal_bytes()),
                grouped(self.journal_entries()),
                Assumptions::JOURNAL_ENTRY_BYTES
            ));
        }
        let rest = [(self.ledger_bytes(), "ledgers"), (self.transaction_bytes(), "transactions")];
        for (bytes, what) in rest.into_iter().filter(|(bytes, _)| *bytes > 0) {
            text.push_str(&format!(" + {} {what}", rough_size(bytes)));
        }
        text
    }

    fn members(&self) -> u64 {
        self.settings.group.as_ref().map_or(0, |group| u64::from(group.members))
    }

    /// Entries that each journal of a group member has room for: two for every record of the cell, as if one member got
    /// them all and each was committed, twice because of redelivery, and some to spare.
    pub fn journal_entries(&self) -> u64 {
        self.records().saturating_mul(4).saturating_add(Assumptions::JOURNAL_SPARE)
    }

    fn journal_bytes(&self) -> u64 {
        self.journal_entries().saturating_mul(Assumptions::JOURNAL_ENTRY_BYTES)
    }

    /// One byte for each record that the ledgers have room for.
    fn ledger_bytes(&self) -> u64 {
        self.lane_ledger_bytes().saturating_mul(u64::from(self.settings.load.producers))
    }

    /// The same of one producer.
    fn lane_ledger_bytes(&self) -> u64 {
        self.ledger_capacity().saturating_mul(u64::from(self.settings.topic.partitions))
    }

    /// How long a group may need at most once the log is quiet: twice what is estimated (brokers may wait with the last records,
    /// hoping for more), and some grace, in nanoseconds.
    pub fn processing_limit_ns(&self) -> u64 {
        const GRACE_NS: u64 = 30 * SECOND;
        self.settings.group.as_ref().map_or(0, |group| {
            let needed_ns =
                self.service_ns().saturating_add(self.joining_ns(group)).saturating_add(group.fetch.wait_ns);
            GRACE_NS.saturating_add(needed_ns.saturating_mul(2))
        })
    }

    /// Transactions that one producer's evidence must hold: by the records that its ledger holds, or by the time that the
    /// cell may take, with one for the last and some to spare; 0 without transactions.
    pub fn transaction_capacity(&self) -> u64 {
        const SPARE: u64 = 16;
        let CellSettings { producer, topic, load, .. } = &self.settings;
        let Some(transaction) = &producer.transaction else { return 0 };
        let records = self.ledger_capacity().saturating_mul(u64::from(topic.partitions));
        let by_records = |each: u64| records / each + SPARE;
        match transaction.span {
            TransactionSpan::Records(each) => by_records(u64::from(each)),
            // One that has no records is not begun.
            TransactionSpan::Time(time_ns) => {
                ((load.span_ns() + load.drain_ns) / time_ns + SPARE).min(by_records(1))
            }
        }
    }

    /// Evidence of all producers' transactions.
    fn transaction_bytes(&self) -> u64 {
        self.lane_transaction_bytes().saturating_mul(u64::from(self.settings.load.producers))
    }

    /// The same of one life of a producer: it sends each record once at most.
    fn lane_transaction_bytes(&self) -> u64 {
        let one = Assumptions::TRANSACTION_BYTES + 8 * u64::from(self.settings.topic.partitions);
        self.transaction_capacity().saturating_mul(one)
    }

    /// Records of one producer in one partition that its ledger must hold: exact for constant rates and bursts,
    /// with six standard deviations for Poisson processes, and six times the assumed rate for max.
    pub fn ledger_capacity(&self) -> u64 {
        let CellSettings { producer, topic, load, .. } = &self.settings;
        let producers = u64::from(load.producers.max(1));
        let share = match (&load.arrival, load.length) {
            // Every burst is dealt anew from producer 0 on.
            (Arrival::Bursts(bursts), _) => {
                bursts.iter().map(|burst| burst.records.div_ceil(producers)).sum()
            }
            (Arrival::Constant { .. }, Length::Time(_)) => load.records().div_ceil(producers),
            // Warm-up and window are dealt each for itself.
            (Arrival::Constant { .. }, Length::Records(_)) => load.records().div_ceil(producers) + 1,
            (Arrival::Poisson { .. }, _) => {
                let mean = load.records().div_ceil(producers);
                mean.saturating_add(6 * (mean.isqrt() + 1))
            }
            // Lanes at full speed need not be equally fast: each may send what all are assumed to.
            (Arrival::Max, Length::Time(_)) => load.records().saturating_mul(Assumptions::LEDGER_MARGIN),
            (Arrival::Max, Length::Records(records)) => (load.records() - records)
                .saturating_mul(Assumptions::LEDGER_MARGIN)
                .saturating_add(records.div_ceil(producers)),
        };
        // Partitions take turns, a batch's worth each: the first one gets the largest part.
        let chunk = u64::from(producer.batch_bytes / load.record_bytes.max(1)).max(1);
        let turn = chunk.saturating_mul(u64::from(topic.partitions));
        (share / turn * chunk).saturating_add((share % turn).min(chunk)).max(1)
    }
}
