//! Cost of one record before the client sees it: its due instant, its place, its header and payload. Throughput is records.

use bench_model::ids::{BookKey, ProducerId};
use bench_model::message::{Bodies, Header, decode};
use bench_model::schedule::{Placement, Schedule};
use bench_model::settings::{Arrival, Length, Load};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const RECORDS: u64 = 1_000_000;

fn load(arrival: Arrival) -> Load {
    Load {
        arrival,
        record_bytes: 1024,
        warmup_ns: 0,
        length: Length::Records(RECORDS),
        producers: 1,
        compressible_percent: 0,
        drain_ns: 0,
    }
}

fn schedule(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("schedule");
    group.throughput(Throughput::Elements(RECORDS)).sample_size(20);
    let arrivals = [
        ("constant", Arrival::Constant { per_second: 333_333 }),
        ("poisson", Arrival::Poisson { per_second: 333_333 }),
    ];
    for (name, arrival) in arrivals {
        let load = load(arrival);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut schedule = Schedule::new(&load, 1, ProducerId(0));
                while let Some(due_ns) = schedule.peek() {
                    black_box(due_ns);
                    schedule.advance();
                }
            });
        });
    }
    group.bench_function("placement", |bencher| {
        bencher.iter(|| {
            let mut placement = Placement::new(6, ProducerId(0), 65_536, 1024);
            for _ in 0..RECORDS {
                black_box(placement.peek());
                placement.advance(1);
            }
        });
    });
    group.finish();
}

fn records(criterion: &mut Criterion) {
    const BATCH: u64 = 10_000;
    let mut group = criterion.benchmark_group("header and payload");
    group.throughput(Throughput::Elements(BATCH)).sample_size(20);
    for record_bytes in [100, 1024] {
        let mut bodies = Bodies::new(1, record_bytes, 0);
        let mut record = vec![0; record_bytes as usize];
        let mut header = Header { book: BookKey(7), ..Header::default() };
        group.bench_function(format!("write {record_bytes} B"), |bencher| {
            bencher.iter(|| {
                for sequence in 0..BATCH {
                    header.sequence = sequence;
                    bodies.write(black_box(&mut record), &header);
                }
            });
        });
        group.bench_function(format!("decode {record_bytes} B"), |bencher| {
            bencher.iter(|| {
                for _ in 0..BATCH {
                    black_box(decode(black_box(&record), BookKey(7)));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, schedule, records);
criterion_main!(benches);
