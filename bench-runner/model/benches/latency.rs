//! Cost of one recorded latency, and of a summary over a window.

use bench_model::latency::Series;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn record(criterion: &mut Criterion) {
    const VALUES: u64 = 10_000;
    let mut group = criterion.benchmark_group("latency");
    group.throughput(Throughput::Elements(VALUES));
    let mut series = Series::new(20);
    group.bench_function("record", |bencher| {
        bencher.iter(|| {
            for k in 0..VALUES {
                // Spread over buckets as real latencies are, without a generator in the measured loop.
                series.record(3, black_box(400_000 + (k * 7_919) % 3_000_000));
            }
        });
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("summary of 20 s", |bencher| bencher.iter(|| black_box(series.summary(0..20))));
    group.finish();
}

criterion_group!(benches, record);
criterion_main!(benches);
