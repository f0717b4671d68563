//! Cost of one record in the ledger: begun in a batch, settled one by one. Throughput is records.

use bench_model::ids::{BookKey, Incarnation, PartitionId, ProducerId};
use bench_model::ledger::{LedgerMut, State, file_bytes, read};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const RECORDS: u64 = 1_000_000;
const BATCH: u64 = 500;

fn create(bytes: &mut [u8]) -> LedgerMut<'_> {
    LedgerMut::create(bytes, ProducerId(0), Incarnation(0), BookKey(1), 1, RECORDS)
}

fn fill(ledger: &mut LedgerMut<'_>) {
    let partition = PartitionId(0);
    for first in (0..RECORDS).step_by(BATCH as usize) {
        ledger.begin(partition, first, BATCH);
        for sequence in first..first + BATCH {
            ledger.settle(partition, black_box(sequence), State::Acked);
        }
    }
}

fn ledger(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ledger");
    group.throughput(Throughput::Elements(RECORDS)).sample_size(20);
    let mut bytes = vec![0; file_bytes(1, RECORDS)];
    group.bench_function("begin and settle", |bencher| bencher.iter(|| fill(&mut create(&mut bytes))));
    let mut ledger = create(&mut bytes);
    fill(&mut ledger);
    ledger.close();
    group.bench_function("check and pack", |bencher| bencher.iter(|| read(black_box(&bytes))));
    group.finish();
}

criterion_group!(benches, ledger);
criterion_main!(benches);
