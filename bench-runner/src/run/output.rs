//! A pipeline's output topic, read when its members have ended: what read_committed shows of it are the rows. Blocks; runs on a
//! thread of its own and spawns nothing.

use crate::clock;
use crate::kafka::offsets::Ends;
use crate::kafka::properties;
use crate::kafka::reader::{Item, Reader};
use bench_model::effects::{EffectRun, Effects, output};
use bench_model::ids::BookKey;
use std::collections::BTreeSet;
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(10);
/// Without any progress for so long, the reading is given up.
const STUCK_NS: u64 = 15_000_000_000;

/// Everything that read_committed shows of the topic up to its ends.
///
/// # Errors
/// The ends are not reached, or something else stands in the topic.
pub fn read(bootstrap: &str, topic: &str, book: BookKey, ends: &[Ends]) -> Result<Effects, String> {
    let mut rows = rows(bootstrap, topic, book, ends)?;
    rows.sort_by_key(|row| (row.member, row.life, row.processing));
    let records: BTreeSet<_> =
        rows.iter().map(|row| (row.copies.producer, row.copies.home, row.copies.sequence)).collect();
    let mut effects =
        Effects { rows: rows.len() as u64, records: records.len() as u64, ..Effects::default() };
    rows.into_iter().for_each(|row| effects.push(row));
    Ok(effects)
}

fn rows(bootstrap: &str, topic: &str, book: BookKey, ends: &[Ends]) -> Result<Vec<EffectRun>, String> {
    let starts =
        (0_u16..).zip(ends).filter(|(_, end)| end.start < end.high).map(|(p, end)| (p, end.start)).collect();
    let properties = properties::independent_reader(bootstrap, "bench-runner-output", true);
    let mut reader = Reader::open(&properties, topic, &starts, CONNECT).map_err(|error| error.to_string())?;
    let mut reached: Vec<i64> = ends.iter().map(|end| end.start).collect();
    let (mut rows, mut strangers, mut last_ns) = (Vec::new(), 0_u64, clock::now_ns());
    while reached.iter().zip(ends).any(|(reached, end)| *reached < end.high) {
        let now_ns = clock::now_ns();
        if now_ns > last_ns + STUCK_NS {
            return Err(format!("the output topic was read to {reached:?}, not to its ends"));
        }
        let before: i64 = reached.iter().sum();
        reader.poll_until(now_ns + 100_000_000, |item| match item {
            Item::Record { partition, offset, payload } => {
                reached[usize::from(partition)] = offset + 1;
                match output::read(payload, book) {
                    Some(row) => rows.push(row),
                    None => strangers += 1,
                }
            }
            Item::End { partition, offset } => {
                let reached = &mut reached[usize::from(partition)];
                *reached = (*reached).max(offset);
            }
            Item::Error { partition, text, .. } => {
                tracing::warn!("reading partition {partition} of {topic}: {text}")
            }
        });
        if reached.iter().sum::<i64>() > before {
            last_ns = clock::now_ns();
        }
    }
    if strangers > 0 {
        return Err(format!("{strangers} records of the output topic are none of this cell's"));
    }
    Ok(rows)
}
