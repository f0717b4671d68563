//! The brokers' own segment files, read as the second witness of the log (local clusters). Blocks.

use crate::kafka::offsets::Ends;
use bench_model::ids::{BookKey, BrokerId, PartitionId};
use bench_model::reading::{LogReading, Source};
use bench_model::segment::{self, Bounds, SegmentReading};
use memmap2::Mmap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// One reading for each broker; replicas that hold the same bytes share one parse.
pub fn read(
    directories: &[(BrokerId, PathBuf)],
    topic: &str,
    book: BookKey,
    ends: &[Ends],
) -> Result<Vec<LogReading>, String> {
    let mut readings: Vec<LogReading> = directories
        .iter()
        .map(|(broker, _)| LogReading { source: Source::Segments(*broker), partitions: Vec::new() })
        .collect();
    for (partition, end) in (0_u16..).zip(ends) {
        let bounds = Bounds { start: end.start, end: end.high, last_stable: end.last_stable };
        let mut first: Option<(Vec<Mmap>, SegmentReading)> = None;
        for ((_, directory), reading) in directories.iter().zip(&mut readings) {
            let replica = directory.join(format!("{topic}-{partition}"));
            if !replica.is_dir() {
                continue;
            }
            let maps = map(&replica)?;
            let parsed = match &first {
                Some((others, parsed))
                    if segment::same_bytes(&slices(others), &slices(&maps), parsed.bytes) =>
                {
                    parsed.clone()
                }
                _ => segment::read_partition(PartitionId(partition), &slices(&maps), bounds, book)
                    .map_err(|error| format!("{}: {error}", replica.display()))?,
            };
            let mut held = parsed.reading.clone();
            if let Some(beyond) = segment::end_behind(&slices(&maps), parsed.bytes) {
                held.reached = beyond;
            }
            reading.partitions.push(held);
            first.get_or_insert((maps, parsed));
        }
    }
    Ok(readings)
}

fn slices(maps: &[Mmap]) -> Vec<&[u8]> {
    maps.iter().map(|map| &map[..]).collect()
}

/// All segments of one replica, in the order of their base offsets.
fn map(replica: &Path) -> Result<Vec<Mmap>, String> {
    let fail = |error: std::io::Error| format!("{}: {error}", replica.display());
    let mut files: Vec<PathBuf> = std::fs::read_dir(replica)
        .map_err(fail)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    // Their names are base offsets of fixed width.
    files.sort();
    files
        .iter()
        .map(|path| {
            let file = File::open(path).map_err(fail)?;
            // SAFETY: the cluster is quiet and the topic keeps everything: no broker cuts this file while it is mapped.
            unsafe { Mmap::map(&file) }.map_err(fail)
        })
        .collect()
}
