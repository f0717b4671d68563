//! Cost of one copy in the verdict: a clean log, batches of two producers in turns, and a log full of holes, late and
//! surplus copies (the hole tracker). Throughput is copies.

use bench_model::ids::{Attempt, BookKey, BrokerId, Incarnation, PartitionId, ProducerId};
use bench_model::ledger::{Ledger, PartitionLedger, State, StateRun};
use bench_model::reading::{CopyRun, LogReading, PartitionReading, Source};
use bench_model::settings::{Acks, Arrival, CellSettings, Length, Load, ProducerSettings, TopicSettings};
use bench_model::verdict::{Exhibits, TallyKind, Upsets, judge};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const RECORDS: u64 = 1_000_000;

fn settings() -> CellSettings {
    let producer = ProducerSettings {
        acks: Acks::All,
        retries: 3,
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
    };
    let topic =
        TopicSettings { partitions: 1, replication_factor: 3, min_insync_replicas: 2, extra: [].into() };
    let load = Load {
        arrival: Arrival::Max,
        record_bytes: 48,
        warmup_ns: 0,
        length: Length::Records(RECORDS),
        producers: 2,
        compressible_percent: 0,
        drain_ns: 0,
    };
    CellSettings { producer, topic, load, group: None }
}

fn ledger(producer: u16, count: u64) -> Ledger {
    let mut settled = [0; 7];
    settled[State::Acked as usize] = count;
    Ledger {
        producer: ProducerId(producer),
        incarnation: Incarnation(0),
        book: BookKey(1),
        closed: true,
        settled,
        partitions: vec![PartitionLedger {
            partition: PartitionId(0),
            first_sequence: 0,
            next_sequence: count,
            runs: vec![StateRun { first_sequence: 0, count, state: State::Acked }],
        }],
        resends: vec![],
    }
}

/// Runs of (producer, first sequence, count), one after the other, seen by the reader and three replicas.
fn readings(pieces: impl Iterator<Item = (u16, u64, u64)>) -> Vec<LogReading> {
    let mut offset = 0;
    let runs: Vec<CopyRun> = pieces
        .map(|(producer, sequence, count)| {
            let (producer, home) = (ProducerId(producer), PartitionId(0));
            let (incarnation, attempt) = (Incarnation(0), Attempt(0));
            let run =
                CopyRun { offset, count, producer, incarnation, attempt, home, sequence, transaction: 0 };
            offset += count as i64;
            run
        })
        .collect();
    let sources = [Source::Reader].into_iter().chain((1..4).map(|id| Source::Segments(BrokerId(id))));
    let reading = |source| LogReading {
        source,
        partitions: vec![PartitionReading {
            partition: PartitionId(0),
            start: 0,
            end: offset,
            last_stable: offset,
            reached: offset,
            runs: runs.clone(),
            oddities: vec![],
            batches_digest: None,
            invisible: Vec::new(),
        }],
    };
    sources.map(reading).collect()
}

fn copies(readings: &[LogReading]) -> u64 {
    readings[0].partitions[0].end as u64
}

fn verdict(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("verdict");
    group.sample_size(20);
    let clean = readings([(0, 0, RECORDS)].into_iter());
    let turns = readings((0..RECORDS / 100).map(|batch| ((batch % 2) as u16, batch / 2 * 100, 100)));
    // Of every 20 records: 10 in order, 5 late, 1 lost, 4 in order, 3 of them again.
    let holes = readings((0..RECORDS / 20).flat_map(|block| {
        let at = block * 20;
        [(0, at, 5), (0, at + 10, 5), (0, at + 5, 5), (0, at + 16, 4), (0, at + 17, 3)]
    }));
    let one = [ledger(0, RECORDS)];
    let two = [ledger(0, RECORDS / 2), ledger(1, RECORDS / 2)];
    for (name, ledgers, readings, lost) in [
        ("clean log", &one[..], &clean, 0),
        ("two producers, batches of 100", &two[..], &turns, 0),
        ("holes, late and surplus copies", &one[..], &holes, RECORDS / 20),
    ] {
        group.throughput(Throughput::Elements(copies(readings)));
        let settings = settings();
        let exhibits = Exhibits {
            ledgers,
            readings,
            transactions: &[],
            journals: &[],
            effects: None,
            pipelines: &[],
            output: &[],
        };
        let judge = || judge(&settings, Upsets::NONE, black_box(exhibits), Ok(()));
        let verdict = judge();
        assert!(!verdict.is_void() && verdict.tallies[&TallyKind::LogLoss].count == lost, "{verdict:?}");
        group.bench_function(name, |bencher| bencher.iter(judge));
    }
    group.finish();
}

criterion_group!(benches, verdict);
criterion_main!(benches);
