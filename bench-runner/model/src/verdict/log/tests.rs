//! Readings side by side against what stands at every single offset.

use super::*;
use crate::ids::BrokerId;
use crate::reading::CopyRun;
use proptest::prelude::*;
use std::collections::BTreeSet;

const P: PartitionId = PartitionId(0);

/// What stands at an offset: `c` a copy, `d` another copy, `a` an alien, `m` a control record, anything else nothing.
fn stands(letter: char, offset: i64) -> Option<What> {
    let copy = |sequence: i64| What::Copy {
        producer: ProducerId(0),
        home: P,
        life: Incarnation(0),
        attempt: Attempt(0),
        sequence: sequence as u64,
        transaction: 0,
    };
    match letter {
        'c' => Some(copy(offset)),
        'd' => Some(copy(offset + 50)),
        'a' => Some(What::Odd(Oddity::Alien)),
        'm' => Some(What::Odd(Oddity::Control)),
        _ => None,
    }
}

/// One letter for each offset; equal copies that follow each other are one item, unless it is cut there.
fn items(log: &[char], cuts: &[bool]) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for (offset, letter) in (0..).zip(log) {
        let Some(what) = stands(*letter, offset) else { continue };
        let goes_on = offset > 0 && log[offset as usize - 1] == *letter && !cuts[offset as usize];
        match items.last_mut() {
            Some(last) if goes_on && "cd".contains(*letter) => last.count += 1,
            _ => items.push(Item { offset, count: 1, what }),
        }
    }
    items
}

fn part_of(partition: u16, log: &str, is_replica: bool) -> PartitionReading {
    let letters: Vec<char> = log.chars().collect();
    let end = letters.len() as i64;
    let mut part = PartitionReading {
        partition: PartitionId(partition),
        start: 0,
        end,
        last_stable: end,
        reached: end,
        runs: Vec::new(),
        oddities: Vec::new(),
        batches_digest: is_replica.then(|| "same".to_owned()),
        invisible: Vec::new(),
    };
    for item in items(&letters, &vec![false; letters.len()]) {
        match item.what {
            What::Odd(odd) => part.oddities.push((item.offset, odd)),
            What::Copy { sequence, .. } => part.runs.push(run(item.offset, item.count, sequence)),
        }
    }
    part
}

fn run(offset: i64, count: u64, sequence: u64) -> CopyRun {
    CopyRun {
        offset,
        count,
        producer: ProducerId(0),
        incarnation: Incarnation(0),
        attempt: Attempt(0),
        home: P,
        sequence,
        transaction: 0,
    }
}

fn reading(source: Source, logs: &[&str]) -> LogReading {
    let is_replica = matches!(source, Source::Segments(_));
    let partitions = (0..).zip(logs).map(|(partition, log)| part_of(partition, log, is_replica)).collect();
    LogReading { source, partitions }
}

fn replica(broker: i32, log: &str) -> LogReading {
    reading(Source::Segments(BrokerId(broker)), &[log])
}

fn topic(partitions: u16) -> TopicSettings {
    TopicSettings { partitions, replication_factor: 2, min_insync_replicas: 2, extra: [].into() }
}

/// The reader's log and those of two replicas.
fn three(logs: [&str; 3]) -> [LogReading; 3] {
    [reading(Source::Reader, &logs[..1]), replica(1, logs[1]), replica(2, logs[2])]
}

/// Every offset of ranges, none of which may be empty.
fn offsets(ranges: &[(i64, i64)]) -> Vec<i64> {
    assert!(ranges.iter().all(|(from, to)| from < to), "{ranges:?}");
    ranges.iter().flat_map(|(from, to)| *from..*to).collect()
}

fn at(items: &[Item]) -> Vec<(i64, What)> {
    let single = |item: &Item| {
        let Item { offset, count, what } = *item;
        assert!(count > 0, "{item:?}");
        (0..count as i64).map(move |by| match what {
            What::Copy { producer, home, life, attempt, sequence, transaction } => {
                let sequence = sequence + by as u64;
                (offset + by, What::Copy { producer, home, life, attempt, sequence, transaction })
            }
            odd => (offset + by, odd),
        })
    };
    items.iter().flat_map(single).collect()
}

fn a_log() -> impl Strategy<Value = (Vec<char>, Vec<bool>)> {
    let letter = prop_oneof![5 => Just('c'), 2 => Just('d'), 1 => Just('a'), 1 => Just('m'), 3 => Just('.')];
    (prop::collection::vec(letter, 16), prop::collection::vec(prop::bool::weighted(0.2), 16))
}

proptest! {
    #[test]
    fn ranges_and_items_are_what_they_are_at_every_offset(one in a_log(), other in a_log()) {
        let (mine, theirs) = (items(&one.0, &one.1), items(&other.0, &other.1));
        let is_empty = |log: &[char], offset: i64| log[offset as usize] == '.';
        let (from, to) = (2, 14);
        let (holes, other_holes) = (gaps(&mine, from, to), gaps(&theirs, 0, 16));
        let expected: Vec<i64> = (from..to).filter(|offset| is_empty(&one.0, *offset)).collect();
        prop_assert_eq!(offsets(&holes), expected.clone());
        let (both, alone): (Vec<i64>, Vec<i64>) = expected.into_iter().partition(|offset| is_empty(&other.0, *offset));
        prop_assert_eq!(offsets(&common(&holes, &other_holes)), both.clone());
        prop_assert_eq!(offsets(&common(&other_holes, &holes)), both);
        let reversed: Vec<(i64, i64)> = other_holes.iter().rev().copied().collect();
        prop_assert_eq!(offsets(&without(&holes, &reversed)), alone);
        let left = (0..).zip(&one.0).filter(|(offset, _)| !is_empty(&other.0, *offset));
        let left: Vec<(i64, What)> = left.filter_map(|(offset, letter)| Some((offset, stands(*letter, offset)?))).collect();
        prop_assert_eq!(at(&without_ranges(mine, &other_holes)), left);
    }

    #[test]
    fn two_sources_are_laid_side_by_side_at_every_offset(one in a_log(), other in a_log()) {
        let (mine, theirs) = (items(&one.0, &one.1), items(&other.0, &other.1));
        let mut told = Vec::new();
        side_by_side(&mine, &theirs, |from, to, left, right| {
            let single = |what: Option<What>| {
                what.map_or_else(|| vec![None; (to - from) as usize], |what| {
                    at(&[Item { offset: from, count: (to - from) as u64, what }]).into_iter().map(|it| Some(it.1)).collect()
                })
            };
            told.extend((from..to).zip(single(left)).zip(single(right)).map(|((at, left), right)| (at, left, right)));
        });
        let shown = |log: &[char], offset: i64| Some(log[offset as usize]).filter(|it| *it != 'm').and_then(|it| stands(it, offset));
        let expected: Vec<_> = (0..16)
            .map(|offset| (offset, shown(&one.0, offset), shown(&other.0, offset)))
            .filter(|(_, left, right)| left.is_some() || right.is_some())
            .collect();
        prop_assert_eq!(told, expected.clone());
        let (differ, both) = differences(&mine, &theirs);
        let differing = expected.into_iter().filter(|(_, left, right)| left != right);
        let (known, lacking): (Vec<_>, Vec<_>) = differing.partition(|(_, left, right)| left.is_some() && right.is_some());
        let places = |all: Vec<(i64, Option<What>, Option<What>)>| all.into_iter().map(|it| it.0).collect::<BTreeSet<_>>();
        let known = places(known);
        prop_assert_eq!(offsets(&both), known.iter().copied().collect::<Vec<_>>());
        prop_assert_eq!(offsets(&differ), known.union(&places(lacking)).copied().collect::<Vec<_>>());
    }
}

#[test]
fn what_one_source_saw_twice_is_disorder_and_a_rewriting_where_it_differs() {
    let of = |runs: &[(i64, u64, u64)], oddities: &[i64]| {
        let mut part = part_of(0, "", false);
        part.runs = runs.iter().map(|&(offset, count, sequence)| run(offset, count, sequence)).collect();
        part.oddities = oddities.iter().map(|offset| (*offset, Oddity::Alien)).collect();
        let Ordered { items, disorder, rewritten } = ordered(&part);
        let items: Vec<(i64, u64)> = items.iter().map(|item| (item.offset, item.count)).collect();
        (items, disorder > 0, rewritten)
    };
    assert_eq!(
        of(&[(0, 5, 0), (5, 5, 7)], &[10, 11]),
        (vec![(0, 5), (5, 5), (10, 1), (11, 1)], false, vec![])
    );
    assert_eq!(of(&[(5, 5, 5), (0, 5, 0)], &[]), (vec![(0, 5), (5, 5)], true, vec![]));
    assert_eq!(of(&[], &[11, 10]), (vec![(10, 1), (11, 1)], true, vec![]));
    assert_eq!(of(&[(2, 5, 0), (5, 4, 3)], &[]), (vec![(2, 5), (7, 2)], true, vec![]), "the same again");
    assert_eq!(of(&[(0, 5, 0), (3, 4, 9)], &[]), (vec![(0, 5), (5, 2)], true, vec![(3, 2)]));
    assert_eq!(of(&[(0, 5, 0), (1, 2, 9)], &[]), (vec![(0, 5)], true, vec![(1, 2)]));
    assert_eq!(of(&[(0, 5, 0)], &[4]), (vec![(0, 5)], true, vec![(4, 1)]));
    let mut again = three(["cca.", "ccam", "ccam"]);
    again[0].partitions[0].runs.push(run(1, 1, 9));
    let log = Log::of(&topic(1), &again, false);
    assert_eq!((log.rewritten, log.disorder > 0), (vec![(P, 1, 2)], true));
    let shards = [again[0].clone(), again[0].clone()];
    assert!(Log::of(&topic(1), &shards, false).disorder > ordered(&again[0].partitions[0]).disorder);
}

#[test]
fn every_offset_is_an_entry_a_control_record_or_a_gap() {
    let mut fine = three(["cca.c.", "ccamc.", "ccamc."]);
    for part in fine.iter_mut().flat_map(|reading| &mut reading.partitions) {
        (part.start, part.end, part.last_stable, part.reached) = (0, 8, 8, 8);
    }
    let log = Log::of(&topic(1), &fine, false);
    assert_eq!((log.offsets, log.entries, log.control, log.holes), (8, 4, 1, 3));
    assert_eq!((log.gaps, log.disorder, log.rewritten), (vec![(P, 5, 8)], 0, vec![]));
    assert_eq!(
        (log.disagreements.as_slice(), log.inconclusive.as_slice()),
        (&[] as &[String], &[] as &[String])
    );
    assert!(log.has_segments && log.has_witness);
    let filled = three(["c..c", "c.mc", "ccmc"]);
    let log = Log::of(&topic(1), &filled, false);
    assert_eq!((log.gaps, log.holes, log.control), (vec![], 1, 1), "the other replica has it");
    let seconds = [reading(Source::Reader, &["c.c"]), reading(Source::SecondReader, &["c.c"])];
    let log = Log::of(&topic(1), &seconds, false);
    assert_eq!((log.gaps, log.holes, log.control), (vec![(P, 1, 2)], 0, 0));
    assert_eq!(log.inconclusive, ["partition 0: offsets without a record, and no segment files to say why"]);
    assert!(!log.has_segments && log.has_witness);
    let committed = [seconds.as_slice(), &[reading(Source::CommittedReader, &["c.c"])]].concat();
    assert_eq!(Log::of(&topic(1), &committed, true).inconclusive, [""; 0], "it may be a control record");
    let alone = Log::of(&topic(1), &seconds[..1], false);
    assert!(!alone.has_segments && !alone.has_witness);
}

#[test]
fn an_offset_with_two_records_is_rewritten_once_for_each_partition() {
    let both = |log: [&str; 2]| {
        let readings = [
            reading(Source::Reader, &["cccc", "cccc"]),
            reading(Source::Segments(BrokerId(1)), &[log[0], log[0]]),
            reading(Source::Segments(BrokerId(2)), &[log[1], log[1]]),
        ];
        let log = Log::of(&topic(2), &readings, false);
        (log.rewritten, log.disagreements)
    };
    let (rewritten, disagreements) = both(["cddc", "dddc"]);
    let of = |partition| [(PartitionId(partition), 1, 3), (PartitionId(partition), 0, 1)];
    assert_eq!(rewritten, [of(0), of(1)].concat());
    assert!(disagreements[0].contains("partition 0: 2 offsets differ from the reader, the first is 1"));
    assert!(disagreements[3].contains("partition 1: 3 offsets differ from the reader, the first is 0"));
    let (rewritten, disagreements) = both(["cc.c", "cccc"]);
    assert_eq!((rewritten, disagreements.len()), (vec![], 2), "one record and none");
}

#[test]
fn as_many_replicas_as_the_topic_has_must_hold_the_same() {
    let told = |readings: &[LogReading]| Log::of(&topic(1), readings, false).disagreements;
    let fine = three(["ccc", "ccc", "ccc"]);
    assert_eq!(told(&fine), [""; 0]);
    assert_eq!(told(&fine[..2]), ["partition 0: segments of 1 of 2 replicas"]);
    let many = [fine.as_slice(), &[replica(3, "ccc")]].concat();
    assert_eq!(told(&many), ["partition 0: segments of 3 of 2 replicas"]);
    let with = |which: usize, change: fn(&mut PartitionReading)| {
        let mut readings = fine.clone();
        change(&mut readings[which].partitions[0]);
        told(&readings)
    };
    assert!(with(2, |part| part.batches_digest = Some("other".into()))[0].ends_with("other batches"));
    assert!(with(1, |part| part.batches_digest = None)[0].ends_with("other batches"));
    assert!(with(2, |part| part.start = 1)[0].ends_with("offsets 1..3 of 3, the reader 0..3 of 3"));
    assert!(with(2, |part| part.reached = 2)[0].contains("offsets 0..2 of 3"));
    assert!(with(2, |part| part.reached = 4)[0].ends_with("it ends at offset 3, and it goes on to 4"));
    assert_eq!(with(0, |part| part.reached = 4), [""; 0], "a client's position may lie beyond the end");
    let swapped = with(2, |part| part.runs = vec![run(1, 2, 1), run(0, 1, 0)]);
    assert!(swapped[0].ends_with("its offsets do not increase"), "{swapped:?}");
    let second = |logs: &[&str]| {
        let readings = [reading(Source::Reader, &["ccc"]), reading(Source::SecondReader, logs)];
        told(&readings)
    };
    assert_eq!(second(&["ccc"]), [""; 0]);
    assert_eq!(second(&[]), ["SecondReader lacks partition 0"]);
    let mut ahead = [reading(Source::Reader, &["ccc"]), reading(Source::SecondReader, &["ccc"])];
    ahead[1].partitions[0].reached = 5;
    assert_eq!(told(&ahead), [""; 0], "a client's position may lie beyond the end");
    let stray = [reading(Source::Reader, &["ccc", "c"]), reading(Source::SecondReader, &["ccc"])];
    assert_eq!(told(&stray), ["the reader has a partition 1 that the topic has not"]);
}

#[test]
fn whether_the_log_is_whole_and_quiet_is_doubted_at_the_first_offset_that_says_so() {
    let doubts = |change: fn(&mut PartitionReading)| {
        let mut readings = three(["ccc", "ccc", "ccc"]);
        readings.iter_mut().for_each(|reading| change(&mut reading.partitions[0]));
        Log::of(&topic(1), &readings, false).inconclusive.join("; ")
    };
    assert_eq!(doubts(|part| (part.last_stable, part.reached) = (4, 4)), "");
    assert!(doubts(|part| part.start = 1).contains("the log starts at 1"));
    assert!(doubts(|part| part.last_stable = 2).contains("last stable offset 2 is below the end offset 3"));
    assert!(doubts(|part| part.reached = 2).contains("read to offset 2 of 3"));
    let unread = Log::of(&topic(2), &three(["ccc", "ccc", "ccc"]), false).inconclusive;
    assert_eq!(unread, ["partition 1 was not read"]);
}

/// What is wrong with what read_committed shows, beside what is hidden and how many copies of it.
fn shown(committed: &str, invisible: &[(i64, i64)]) -> (Vec<String>, Vec<(i64, i64)>, u64) {
    let mut readings = Vec::from(three(["ccacc.d", "ccaccmd", "ccaccmd"]));
    for reading in &mut readings[1..] {
        reading.partitions[0].invisible = invisible.to_vec();
    }
    readings.push(reading(Source::CommittedReader, &[committed]));
    let log = Log::of(&topic(1), &readings, true);
    assert_eq!(log.visible_entries, committed.chars().filter(|letter| *letter != '.').count() as u64);
    assert_eq!(
        (log.inconclusive.as_slice(), log.disagreements.as_slice()),
        (&[] as &[String], &[] as &[String])
    );
    let hidden = log.hidden.iter().map(|(_, from, to)| (*from, *to)).collect();
    (log.visibility_faults, hidden, log.aborted_copies)
}

#[test]
fn what_read_committed_shows_is_what_the_markers_do_not_hide() {
    assert_eq!(shown("ccacc.d", &[]), (vec![], vec![], 0));
    assert_eq!(shown("c..cc.d", &[(1, 3)]), (vec![], vec![(1, 2), (2, 3)], 1), "an alien is no copy");
    assert_eq!(shown("cca....", &[(3, 7)]), (vec![], vec![(3, 5), (6, 7)], 3));
    let otherwise =
        |entries: u64| format!("partition 0: {entries} entries are shown otherwise than the markers say");
    let strangers = |entries: u64| format!("partition 0: {entries} entries only at read_committed");
    assert_eq!(shown("ccacc..", &[]).0, [otherwise(1)]);
    assert_eq!(shown("ccacc.d", &[(0, 2)]).0, [otherwise(2)]);
    assert_eq!(shown("ddacc.d", &[]).0, [strangers(2), otherwise(2)]);
    assert_eq!(shown("ccaccdd", &[]).0, [strangers(1), otherwise(1)]);
}

#[test]
fn a_reading_at_read_committed_is_as_whole_and_in_order_as_any() {
    let with = |change: fn(&mut PartitionReading)| {
        let mut readings = [reading(Source::Reader, &["ccc"]), reading(Source::CommittedReader, &["ccc"])];
        change(&mut readings[1].partitions[0]);
        let log = Log::of(&topic(1), &readings, true);
        [log.inconclusive, log.visibility_faults].concat().join("; ")
    };
    assert_eq!(with(|part| part.reached = 4), "");
    assert_eq!(with(|part| part.reached = 2), "partition 0: read_committed to offset 2 of 3");
    let swapped = with(|part| part.runs = vec![run(1, 2, 1), run(0, 1, 0)]);
    assert_eq!(swapped, "partition 0: its offsets do not increase");
}
