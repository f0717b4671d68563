//! The independent reader: every partition from its beginning to the captured ends, CRCs checked. Blocks; runs on a
//! thread of its own and spawns nothing.

use crate::clock;
use crate::kafka::KafkaError;
use crate::kafka::offsets::Ends;
use crate::kafka::properties;
use crate::kafka::reader::{Item, Reader};
use bench_model::ids::{BookKey, PartitionId};
use bench_model::message;
use bench_model::reading::{LogReading, ReadingBuilder, Source};
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(10);
/// Without any progress for so long, the reading is given up (and the cell is inconclusive).
const STUCK_NS: u64 = 15_000_000_000;

/// Reads the topic to `ends`; a reading that did not reach them says so in `reached`.
pub fn read(
    bootstrap: &str,
    topic: &str,
    book: BookKey,
    ends: &[Ends],
    source: Source,
) -> Result<LogReading, KafkaError> {
    let starts =
        (0_u16..).zip(ends).filter(|(_, end)| end.start < end.high).map(|(p, end)| (p, end.start)).collect();
    let mut reader = Reader::open(
        &properties::independent_reader(bootstrap, "bench-runner-reader", source == Source::CommittedReader),
        topic,
        &starts,
        CONNECT,
    )?;
    let mut builders: Vec<ReadingBuilder> =
        (0_u16..).zip(ends).map(|(p, end)| ReadingBuilder::new(PartitionId(p), end.start)).collect();
    let mut reached: Vec<i64> = ends.iter().map(|end| end.start).collect();
    let mut last_ns = clock::now_ns();
    while reached.iter().zip(ends).any(|(reached, end)| *reached < end.high) {
        let now_ns = clock::now_ns();
        if now_ns > last_ns + STUCK_NS {
            break;
        }
        let before: i64 = reached.iter().sum();
        reader.poll_until(now_ns + 100_000_000, |item| match item {
            Item::Record { partition, offset, payload } => {
                let partition = usize::from(partition);
                if offset < ends[partition].high {
                    builders[partition].entry(offset, message::decode(payload, book));
                    reached[partition] = offset + 1;
                }
            }
            Item::End { partition, offset } => {
                let partition = usize::from(partition);
                reached[partition] = reached[partition].max(offset.min(ends[partition].high));
            }
            Item::Error { partition, text, .. } => {
                tracing::warn!("reading partition {partition} of {topic}: {text}")
            }
        });
        if reached.iter().sum::<i64>() > before {
            last_ns = clock::now_ns();
        }
    }
    let partitions = builders
        .into_iter()
        .zip(ends)
        .zip(reached)
        .map(|((builder, end), reached)| builder.finish(end.high, end.last_stable, reached))
        .collect();
    Ok(LogReading { source, partitions })
}
