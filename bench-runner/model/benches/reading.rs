//! Cost of one log entry: decoded and packed into runs, and the same from segment bytes. Throughput is records.

use bench_model::ids::{BookKey, PartitionId};
use bench_model::message::{Bodies, Header, decode};
use bench_model::reading::ReadingBuilder;
use bench_model::segment::{Bounds, read_partition};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const RECORDS: u64 = 100_000;
const BATCH: u64 = 100;
const BOOK: BookKey = BookKey(1);

fn payloads(bytes: u32) -> Vec<Vec<u8>> {
    let mut bodies = Bodies::new(1, bytes, 0);
    let payload = |sequence| {
        let mut record = vec![0; bytes as usize];
        bodies.write(&mut record, &Header { book: BOOK, sequence, ..Header::default() });
        record
    };
    (0..RECORDS).map(payload).collect()
}

fn varint(out: &mut Vec<u8>, value: i64) {
    let mut value = ((value << 1) ^ (value >> 63)) as u64;
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Uncompressed batches of magic 2, as a broker holds them.
fn segment(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, batch) in (0..).zip(payloads.chunks(BATCH as usize)) {
        let mut checked = [0; 40].to_vec();
        checked[2..6].copy_from_slice(&(batch.len() as i32 - 1).to_be_bytes());
        checked[36..40].copy_from_slice(&(batch.len() as i32).to_be_bytes());
        for (delta, payload) in (0..).zip(batch) {
            let mut body = vec![0, 0];
            varint(&mut body, delta);
            varint(&mut body, -1);
            varint(&mut body, payload.len() as i64);
            body.extend(payload);
            body.push(0);
            varint(&mut checked, body.len() as i64);
            checked.extend(body);
        }
        out.extend((index * BATCH as i64).to_be_bytes());
        out.extend((checked.len() as i32 + 9).to_be_bytes());
        out.extend([0, 0, 0, 0, 2]);
        out.extend(crc32c::crc32c(&checked).to_be_bytes());
        out.extend(checked);
    }
    out
}

fn reading(criterion: &mut Criterion) {
    for bytes in [100, 1024] {
        let payloads = payloads(bytes);
        let mut group = criterion.benchmark_group(format!("reading {bytes} B"));
        group.throughput(Throughput::Elements(RECORDS)).sample_size(20);
        group.bench_function("decode and pack", |bencher| {
            bencher.iter(|| {
                let mut builder = ReadingBuilder::new(PartitionId(0), 0);
                for (offset, payload) in (0..).zip(&payloads) {
                    builder.entry(offset, decode(black_box(payload), BOOK));
                }
                builder.finish(RECORDS as i64, RECORDS as i64, RECORDS as i64)
            });
        });
        let segment = segment(&payloads);
        let bounds = Bounds { start: 0, end: RECORDS as i64, last_stable: RECORDS as i64 };
        let read =
            || read_partition(PartitionId(0), &[black_box(&segment)], bounds, BOOK).expect("well-formed");
        assert_eq!(read().reading.runs.len(), 1, "the made-up segment must be parsed");
        group.throughput(Throughput::Bytes(segment.len() as u64));
        group.bench_function("segment", |bencher| bencher.iter(read));
        group.finish();
    }
}

criterion_group!(benches, reading);
criterion_main!(benches);
