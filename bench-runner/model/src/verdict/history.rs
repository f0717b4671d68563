//! Made-up histories of a cell, from which ledgers and readings follow. Only for tests.

use super::{Exhibits, Upsets, Verdict, judge};
use crate::ids::{Attempt, BookKey, BrokerId, Incarnation, PartitionId, ProducerId};
use crate::ledger::{Ledger, PartitionLedger, Resend, State, StateRun, push_run};
use crate::message::{Decoded, Header};
use crate::reading::{LogReading, ReadingBuilder, Source};
use crate::settings::{Acks, Arrival, CellSettings, Length, Load, ProducerSettings, TopicSettings};

/// A plain cell.
pub(crate) fn settings(acks: Acks, partitions: u16) -> CellSettings {
    CellSettings {
        producer: ProducerSettings {
            acks,
            retries: 10,
            idempotence: false,
            linger_ns: 0,
            batch_bytes: 1000,
            compression: "none".into(),
            max_in_flight: 5,
            queue_records: 1000,
            queue_bytes: 1 << 20,
            request_timeout_ns: 1,
            delivery_timeout_ns: 1,
            extra: [].into(),
            transaction: None,
        },
        topic: TopicSettings { partitions, replication_factor: 2, min_insync_replicas: 2, extra: [].into() },
        load: Load {
            arrival: Arrival::Max,
            record_bytes: 48,
            warmup_ns: 0,
            length: Length::Records(1),
            producers: 1,
            compressible_percent: 0,
            drain_ns: 0,
        },
        group: None,
    }
}

/// One attempt as its producer has entered it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempted {
    pub(super) id: Id,
    pub(super) state: State,
}

/// What a copy says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    pub(super) producer: u16,
    pub(super) home: u16,
    pub(super) sequence: u64,
    pub(super) attempt: u8,
    pub(super) life: u8,
}

/// What stands at one offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Copy(Id),
    Alien,
    Corrupt,
    Control,
    Gap,
}

/// A cell: what was attempted, and the log of each partition.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(super) attempts: Vec<Attempted>,
    pub(super) logs: Vec<Vec<Slot>>,
}

/// `count` records of producer 0 in partition 0 that all ended alike, each in the log once.
pub(crate) fn clean(count: u64, state: State) -> History {
    let id = |sequence| Id { producer: 0, home: 0, sequence, attempt: 0, life: 0 };
    History {
        attempts: (0..count).map(|sequence| Attempted { id: id(sequence), state }).collect(),
        logs: vec![(0..count).map(|sequence| Slot::Copy(id(sequence))).collect()],
    }
}

impl History {
    /// One ledger for each life of each producer.
    pub(super) fn ledgers(&self) -> Vec<Ledger> {
        let mut who: Vec<(u16, u8)> = self.attempts.iter().map(|a| (a.id.producer, a.id.life)).collect();
        who.sort_unstable();
        who.dedup();
        who.into_iter().map(|(producer, life)| self.ledger(producer, life)).collect()
    }

    fn ledger(&self, producer: u16, life: u8) -> Ledger {
        let mine = |a: &&Attempted| a.id.producer == producer && a.id.life == life;
        let mut settled = [0; 7];
        for attempted in self.attempts.iter().filter(mine).filter(|a| a.state != State::Unreported) {
            settled[attempted.state as usize] += 1;
        }
        let partition = |home: u16| {
            let lane = |a: &&Attempted| a.id.producer == producer && a.id.home == home && a.id.attempt == 0;
            let mut runs = Vec::new();
            for a in self.attempts.iter().filter(mine).filter(lane) {
                push_run(&mut runs, StateRun { first_sequence: a.id.sequence, count: 1, state: a.state });
            }
            let before = self.attempts.iter().filter(lane).filter(|a| a.id.life < life).count() as u64;
            let count: u64 = runs.iter().map(|run| run.count).sum();
            let partition = PartitionId(home);
            PartitionLedger { partition, first_sequence: before, next_sequence: before + count, runs }
        };
        let resend = |a: &Attempted| Resend {
            partition: PartitionId(a.id.home),
            sequence: a.id.sequence,
            attempt: Attempt(a.id.attempt),
            state: a.state,
            transaction: 0,
        };
        Ledger {
            producer: ProducerId(producer),
            incarnation: Incarnation(life),
            book: BookKey(5),
            closed: true,
            settled,
            partitions: (0..self.logs.len() as u16).map(partition).collect(),
            resends: self.attempts.iter().filter(mine).filter(|a| a.id.attempt > 0).map(resend).collect(),
        }
    }

    /// What one source sees; only segments show control records.
    pub(super) fn reading(&self, source: Source) -> LogReading {
        let segments = matches!(source, Source::Segments(_));
        let partition = |(index, log): (usize, &Vec<Slot>)| {
            let mut builder = ReadingBuilder::new(PartitionId(index as u16), 0);
            for (offset, slot) in (0..).zip(log) {
                match slot {
                    Slot::Copy(id) => builder.entry(offset, Decoded::Copy(header(*id))),
                    Slot::Alien => builder.entry(offset, Decoded::Alien),
                    Slot::Corrupt => builder.entry(offset, Decoded::Corrupt),
                    Slot::Control if segments => builder.control(offset),
                    Slot::Control | Slot::Gap => {}
                }
            }
            let end = log.len() as i64;
            let mut reading = builder.finish(end, end, end);
            reading.batches_digest = segments.then(|| format!("{:x}", log.len()));
            reading
        };
        LogReading { source, partitions: self.logs.iter().enumerate().map(partition).collect() }
    }

    /// The reader and two replicas.
    pub(crate) fn readings(&self) -> Vec<LogReading> {
        let sources = [Source::Reader, Source::Segments(BrokerId(1)), Source::Segments(BrokerId(2))];
        sources.map(|source| self.reading(source)).into()
    }

    /// Judged with all evidence, without faults, as an idempotent cell.
    pub(crate) fn verdict(&self) -> Verdict {
        verdict(self, &self.ledgers(), &self.readings())
    }
}

/// Judges given evidence of a history's cell.
pub(super) fn verdict(history: &History, ledgers: &[Ledger], readings: &[LogReading]) -> Verdict {
    let mut settings = settings(Acks::All, history.logs.len() as u16);
    settings.producer.idempotence = true;
    let exhibits = Exhibits {
        ledgers,
        readings,
        transactions: &[],
        journals: &[],
        effects: None,
        pipelines: &[],
        output: &[],
    };
    judge(&settings, Upsets::NONE, exhibits, Ok(()))
}

fn header(id: Id) -> Header {
    Header {
        producer: ProducerId(id.producer),
        partition: PartitionId(id.home),
        sequence: id.sequence,
        attempt: Attempt(id.attempt),
        incarnation: Incarnation(id.life),
        ..Header::default()
    }
}
