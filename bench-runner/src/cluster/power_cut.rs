//! What a power cut takes from a dead broker's files: the part of each log that Kafka had not flushed.
//!
//! May only be used on brokers that are dead. Never cuts below what was flushed. The metadata log is left alone: the
//! controller flushes it before it answers, and a broker's copy of it comes from there.

use bench_model::fault::{Cut, Lose, PartitionCut};
use bench_model::ids::{BrokerId, PartitionId};
use bench_model::segment::cut::{CutPlan, HEAD, Head, Outline};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The same number on every architecture but Alpha; the bindings do not name it everywhere.
const CACHESTAT: libc::c_long = 451;
const METADATA: &str = "__cluster_metadata";
/// What Kafka keeps beside a segment, and builds anew when it is missing.
const BESIDE: [&str; 4] = ["index", "timeindex", "txnindex", "snapshot"];

/// Whose logs are cut, and how far.
pub struct Blackout<'a> {
    /// The dead broker.
    pub broker: BrokerId,
    /// Where its logs lie.
    pub data: &'a Path,
    /// The cell's topic.
    pub topic: &'a str,
    /// That topic is flushed by count or by time, which the checkpoint (once a minute) is too old to tell.
    pub flushes: bool,
    /// How much is lost.
    pub lose: Lose,
}

/// Cuts every log of a dead broker.
pub fn cut(blackout: &Blackout<'_>) -> Result<Cut, String> {
    let flushed = recovery_points(blackout.data)?;
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
    let mut cut = Cut { broker: blackout.broker, logs: 0, bytes: 0, partitions: Vec::new() };
    for (topic, partition, directory) in logs(blackout.data)? {
        let (files, outline) = outline(&directory)?;
        let own = topic == blackout.topic;
        let mut floor = flushed.get(&(topic, partition)).copied().unwrap_or(outline.start);
        if own && blackout.flushes {
            floor = floor.max(outline.clean_until(&clean_bytes(&files)?));
        }
        let plan = outline.cut(floor, blackout.lose, now_ms);
        if plan.bytes > 0 {
            shorten(&directory, &files, &plan)
                .map_err(|error| format!("cut {}: {error}", directory.display()))?;
            cut.logs += 1;
            cut.bytes += plan.bytes;
        }
        if own {
            cut.partitions.push(PartitionCut {
                partition: PartitionId(partition),
                flushed: floor.min(plan.end_before),
                end_before: plan.end_before,
                end_after: plan.end_after,
                records: plan.records,
            });
        }
    }
    cut.partitions.sort_by_key(|part| part.partition);
    Ok(cut)
}

/// From which offset the first leader of a higher epoch has led, as the replica of this broker has written it down.
pub fn led_from(data: &Path, topic: &str, partition: PartitionId, above_epoch: i32) -> Option<i64> {
    let text = fs::read_to_string(data.join(format!("{topic}-{partition}")).join("leader-epoch-checkpoint"));
    let text = text.ok()?;
    let entries = text.lines().skip(2).filter_map(|line| {
        let (epoch, start) = line.split_once(' ')?;
        Some((epoch.parse::<i32>().ok()?, start.parse::<i64>().ok()?))
    });
    entries.filter(|(epoch, _)| *epoch > above_epoch).min().map(|(_, start)| start)
}

/// Up to which offset each log was flushed, as Kafka itself has written it down.
fn recovery_points(data: &Path) -> Result<BTreeMap<(String, u16), i64>, String> {
    let path = data.join("recovery-point-offset-checkpoint");
    // A broker writes the first one after a minute, or when a topic is deleted.
    let Ok(text) = fs::read_to_string(&path) else { return Ok(BTreeMap::new()) };
    let entry = |line: &str| {
        let mut words = line.split(' ');
        let topic = words.next()?.to_owned();
        Some(((topic, words.next()?.parse().ok()?), words.next()?.parse().ok()?))
    };
    let points: Option<BTreeMap<_, _>> = text.lines().skip(2).map(entry).collect();
    points.ok_or_else(|| format!("{} does not read as a checkpoint", path.display()))
}

/// Topic, partition and directory of every log but the metadata's; what is being deleted has no number at its end.
pub(super) fn logs(data: &Path) -> Result<Vec<(String, u16, PathBuf)>, String> {
    let entries = fs::read_dir(data).map_err(|error| format!("{}: {error}", data.display()))?;
    let log = |directory: PathBuf| {
        let (topic, partition) = directory.file_name()?.to_str()?.rsplit_once('-')?;
        let (topic, partition) = (topic.to_owned(), partition.parse().ok()?);
        (topic != METADATA && directory.is_dir()).then_some((topic, partition, directory))
    };
    Ok(entries.flatten().filter_map(|entry| log(entry.path())).collect())
}

/// A log's segment files in their order.
pub(super) fn segments(log: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(log)?.flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect();
    // Their names are base offsets of fixed width.
    files.sort();
    Ok(files)
}

/// A log's segment files in their order, and its batches.
fn outline(directory: &Path) -> Result<(Vec<PathBuf>, Outline), String> {
    let failed = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let files = segments(directory).map_err(|error| failed(directory, &error))?;
    let start = files.first().and_then(|file| base_offset(file)).unwrap_or(0);
    let mut outline = Outline { start, lengths: Vec::new(), heads: Vec::new() };
    for (segment, path) in files.iter().enumerate() {
        let file = File::open(path).map_err(|error| failed(path, &error))?;
        let length = file.metadata().map_err(|error| failed(path, &error))?.len();
        let mut position = 0;
        let mut bytes = [0; HEAD];
        while position + HEAD as u64 <= length {
            file.read_exact_at(&mut bytes, position).map_err(|error| failed(path, &error))?;
            let head = Head::parse(segment, position, &bytes)
                .map_err(|what| failed(path, &format!("byte {position}: {what}")))?;
            position += head.size;
            if position > length {
                // It was being appended when the broker died.
                break;
            }
            outline.heads.push(head);
        }
        outline.lengths.push(length);
    }
    Ok((files, outline))
}

fn base_offset(file: &Path) -> Option<i64> {
    file.file_stem()?.to_str()?.parse().ok()
}

/// Cuts the files, and takes away what would tell of more than is left.
fn shorten(directory: &Path, files: &[PathBuf], plan: &CutPlan) -> std::io::Result<()> {
    File::options().write(true).open(&files[plan.segment])?.set_len(plan.length)?;
    for later in &files[plan.segment + 1..] {
        fs::remove_file(later)?;
    }
    let kept = base_offset(&files[plan.segment]).unwrap_or(0);
    for path in fs::read_dir(directory)?.flatten().map(|entry| entry.path()) {
        let kind = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let Some(offset) = base_offset(&path).filter(|_| BESIDE.contains(&kind)) else { continue };
        // A snapshot of producers is named by the offset behind it, an index by its segment.
        let tells_too_much = if kind == "snapshot" { offset > plan.end_after } else { offset >= kept };
        if tells_too_much {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// How many bytes of each file, from its start, the kernel has written to disk.
fn clean_bytes(files: &[PathBuf]) -> Result<Vec<u64>, String> {
    let clean = |path: &PathBuf| {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        if is_clean(&file, length)? {
            return Ok(length);
        }
        // The first page that is not written, by halves.
        let (mut clean, mut dirty) = (0, length);
        while clean + 1 < dirty {
            let middle = clean.midpoint(dirty);
            if is_clean(&file, middle)? {
                clean = middle;
            } else {
                dirty = middle;
            }
        }
        std::io::Result::Ok(clean)
    };
    let all: std::io::Result<Vec<u64>> = files.iter().map(clean).collect();
    all.map_err(|error| format!("ask the kernel what was flushed (cachestat, Linux 6.5 and newer): {error}"))
}

/// Nothing in the first so many bytes waits to be written.
fn is_clean(file: &File, bytes: u64) -> std::io::Result<bool> {
    /// Of the kernel's mman.h.
    #[repr(C)]
    struct Range {
        offset: u64,
        length: u64,
    }
    #[repr(C)]
    #[derive(Default)]
    struct Pages {
        cached: u64,
        dirty: u64,
        writeback: u64,
        evicted: u64,
        recently_evicted: u64,
    }
    if bytes == 0 {
        // The kernel would take it for the whole file.
        return Ok(true);
    }
    let range = Range { offset: 0, length: bytes };
    let mut pages = Pages::default();
    // SAFETY: both structures are laid out as the kernel's, and live for the whole call.
    let done = unsafe { libc::syscall(CACHESTAT, file.as_raw_fd(), &raw const range, &raw mut pages, 0_u32) };
    if done != 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(pages.dirty + pages.writeback == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// A batch of one record that ends at `next`, with a body of 39 bytes: 100 in all.
    fn batch(next: i64) -> Vec<u8> {
        let mut bytes = vec![0_u8; 100];
        bytes[0..8].copy_from_slice(&(next - 1).to_be_bytes());
        bytes[8..12].copy_from_slice(&88_i32.to_be_bytes());
        bytes[16] = 2;
        bytes[57..61].copy_from_slice(&1_i32.to_be_bytes());
        bytes
    }

    fn broker() -> tempfile::TempDir {
        let place = tempfile::tempdir().expect("a directory");
        for (log, batches) in [("t-0", 4), ("__consumer_offsets-3", 2), ("__cluster_metadata-0", 2)] {
            let log = place.path().join(log);
            fs::create_dir(&log).expect("a log");
            let content: Vec<u8> = (1..=batches).flat_map(batch).collect();
            fs::write(log.join("00000000000000000000.log"), content).expect("a segment");
            for beside in ["00000000000000000000.index", "00000000000000000002.snapshot"] {
                fs::write(log.join(beside), "x").expect("a file");
            }
        }
        fs::create_dir(place.path().join("t-1.7f-delete")).expect("a log that is being deleted");
        let points = "0\n2\nt 0 1\n__consumer_offsets 3 0\n";
        fs::write(place.path().join("recovery-point-offset-checkpoint"), points).expect("a checkpoint");
        place
    }

    fn blackout(data: &Path, lose: Lose) -> Blackout<'_> {
        Blackout { broker: BrokerId(1), data, topic: "t", flushes: false, lose }
    }

    #[test]
    fn all_logs_but_the_metadata_go_back_to_their_recovery_points() {
        let place = broker();
        let cut = cut(&blackout(place.path(), Lose::All)).expect("a cut");
        assert_eq!((cut.logs, cut.bytes), (2, 500));
        let part =
            PartitionCut { partition: PartitionId(0), flushed: 1, end_before: 4, end_after: 1, records: 3 };
        assert_eq!(cut.partitions, [part]);
        let length = |file: &str| fs::metadata(place.path().join(file)).map(|file| file.len()).ok();
        assert_eq!(length("t-0/00000000000000000000.log"), Some(100));
        assert_eq!(length("__consumer_offsets-3/00000000000000000000.log"), Some(0));
        assert_eq!(length("__cluster_metadata-0/00000000000000000000.log"), Some(200));
        // What tells of more than is left is gone, and is built anew.
        assert_eq!(length("t-0/00000000000000000000.index"), None);
        assert_eq!(length("t-0/00000000000000000002.snapshot"), None);
        assert_eq!(length("__cluster_metadata-0/00000000000000000000.index"), Some(1));
    }

    #[test]
    fn the_last_bytes_are_cut_and_no_more() {
        let place = broker();
        let cut = cut(&blackout(place.path(), Lose::Bytes(50))).expect("a cut");
        assert_eq!(
            (cut.logs, cut.bytes, cut.partitions[0].end_after, cut.partitions[0].records),
            (2, 100, 3, 1)
        );
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    fn what_was_flushed_to_the_disk_stays_in_a_topic_that_flushes() {
        let place = broker();
        let segment = place.path().join("t-0/00000000000000000000.log");
        let mut file = File::options().append(true).open(&segment).expect("a segment");
        // Pages are flushed, not bytes: the fifth batch begins on a page of its own.
        let mut wide = batch(4);
        wide.resize(4096 - 400, 0);
        wide[8..12].copy_from_slice(&(4096_i32 - 400 - 12).to_be_bytes());
        wide[0..8].copy_from_slice(&4_i64.to_be_bytes());
        file.write_all(&wide).expect("written");
        file.sync_all().expect("flushed");
        file.write_all(&batch(6)).expect("written");
        if is_clean(&file, 1).is_err() {
            eprintln!("skipped: this kernel cannot tell what was flushed");
            return;
        }
        if is_clean(&file, 4196).expect("told") {
            eprintln!("skipped: this file system writes at once");
            return;
        }
        let flushes = Blackout { flushes: true, ..blackout(place.path(), Lose::All) };
        let cut = cut(&flushes).expect("a cut");
        let part =
            PartitionCut { partition: PartitionId(0), flushed: 5, end_before: 6, end_after: 5, records: 1 };
        assert_eq!(cut.partitions, [part]);
    }

    #[test]
    fn a_new_leader_writes_down_from_where_it_leads() {
        let place = broker();
        fs::write(place.path().join("t-0/leader-epoch-checkpoint"), "0\n3\n0 0\n3 40\n5 60\n")
            .expect("written");
        let from = |epoch| led_from(place.path(), "t", PartitionId(0), epoch);
        assert_eq!([from(-1), from(0), from(3), from(5)], [Some(0), Some(40), Some(60), None]);
    }
}
