//! The verdict's memory grows with what is amiss and not with records, seen by the kernel's mark of this process's peak.

use bench_model::ids::{BookKey, BrokerId, Incarnation, PartitionId, ProducerId};
use bench_model::ledger::{Ledger, PartitionLedger, State, StateRun};
use bench_model::message::{Decoded, Header};
use bench_model::reading::{LogReading, ReadingBuilder, Source};
use bench_model::settings::{Acks, Arrival, CellSettings, Length, Load, ProducerSettings, TopicSettings};
use bench_model::verdict::{Exhibits, TallyKind, Upsets, judge};

fn settings(records: u64) -> CellSettings {
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
        length: Length::Records(records),
        producers: 1,
        compressible_percent: 0,
        drain_ns: 0,
    };
    CellSettings { producer, topic, load, group: None }
}

/// Every record acknowledged, in one run.
fn ledger(records: u64) -> Ledger {
    let mut settled = [0; 7];
    settled[State::Acked as usize] = records;
    let runs = vec![StateRun { first_sequence: 0, count: records, state: State::Acked }];
    let partition =
        PartitionLedger { partition: PartitionId(0), first_sequence: 0, next_sequence: records, runs };
    Ledger {
        producer: ProducerId(0),
        incarnation: Incarnation(0),
        book: BookKey(1),
        closed: true,
        settled,
        partitions: vec![partition],
        resends: vec![],
    }
}

/// The log as a reader finds it, record by record, without every `hole`th.
fn reading(source: Source, records: u64, hole: u64) -> LogReading {
    let mut builder = ReadingBuilder::new(PartitionId(0), 0);
    let mut end = 0;
    for sequence in (0..records).filter(|sequence| (sequence + 1) % hole != 0) {
        builder.entry(end, Decoded::Copy(Header { sequence, ..Header::default() }));
        end += 1;
    }
    LogReading { source, partitions: vec![builder.finish(end, end, end)] }
}

/// How much the peak of this process rose while a log was read by four witnesses and judged, in bytes; what was lost.
fn judged(records: u64, hole: u64) -> (u64, u64) {
    let before = reset_peak();
    let sources = [Source::Reader].into_iter().chain((1..4).map(|id| Source::Segments(BrokerId(id))));
    let readings: Vec<LogReading> = sources.map(|source| reading(source, records, hole)).collect();
    let exhibits = Exhibits {
        ledgers: &[ledger(records)],
        readings: &readings,
        transactions: &[],
        journals: &[],
        effects: None,
        pipelines: &[],
        output: &[],
    };
    let verdict = judge(&settings(records), Upsets::NONE, exhibits, Ok(()));
    assert!(!verdict.is_void(), "{:?}", verdict.identities);
    (of_status("VmHWM:").saturating_sub(before), verdict.tallies[&TallyKind::LogLoss].count)
}

/// A figure of `/proc/self/status`, in bytes.
fn of_status(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("the figure");
    1024 * line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
}

/// From here on the peak counts anew; gives what is in use.
fn reset_peak() -> u64 {
    std::fs::write("/proc/self/clear_refs", "5").expect("Linux");
    of_status("VmRSS:")
}

#[test]
fn memory_grows_with_what_is_amiss_and_not_with_records() {
    const MIB: u64 = 1 << 20;
    const NEVER: u64 = u64::MAX;
    judged(100_000, NEVER);
    let (few, _) = judged(100_000, NEVER);
    let (many, lost) = judged(10_000_000, NEVER);
    assert_eq!(lost, 0);
    assert!(many < few + MIB, "10^5 clean records took {few} bytes, 10^7 took {many}");
    let (amiss, lost) = judged(1_000_000, 20);
    assert_eq!(lost, 50_000);
    assert!(amiss > many + MIB, "the measure sees nothing: {amiss} bytes with 50,000 records lost");
    println!("10^5 clean records: {few} bytes; 10^7: {many}; 10^6 of which 50,000 are lost: {amiss}");
}
