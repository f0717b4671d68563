//! Cost of one copy in the hole tracker alone, every copy added by itself (the worst a log can look like). Throughput is
//! copies.

use bench_model::verdict::{Part, Spans};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const RECORDS: u64 = 1_000_000;

/// Distinct records and surplus copies.
fn track(sequences: &[u64]) -> (u64, u64) {
    let mut spans = Spans::default();
    let (mut fresh, mut again) = (0, 0);
    for sequence in sequences {
        spans.insert(*sequence, *sequence + 1, |a, b, part| match part {
            Part::Fresh => fresh += b - a,
            Part::Again => again += b - a,
        });
    }
    (fresh, again)
}

fn holes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hole tracker");
    group.sample_size(20);
    let in_order: Vec<u64> = (0..RECORDS).collect();
    let lost = in_order.iter().copied().filter(|sequence| sequence % 20 != 7).collect();
    // Of every 100 records, 20 trade places with 20 that come later.
    let late = in_order
        .iter()
        .map(|sequence| match sequence % 100 {
            40..60 => sequence + 20,
            60..80 => sequence - 20,
            _ => *sequence,
        })
        .collect();
    let twice = in_order.chunks(10).flat_map(|chunk| [chunk, &chunk[7..]]).flatten().copied().collect();
    for (name, sequences, expected) in [
        ("in order", in_order.clone(), (RECORDS, 0)),
        ("every 20th lost", lost, (RECORDS / 20 * 19, 0)),
        ("20 of 100 late", late, (RECORDS, 0)),
        ("3 of 10 twice", twice, (RECORDS, RECORDS / 10 * 3)),
    ] {
        assert_eq!(track(&sequences), expected, "{name}");
        group.throughput(Throughput::Elements(sequences.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| track(black_box(&sequences))));
    }
    group.finish();
}

criterion_group!(benches, holes);
criterion_main!(benches);
