//! The readings of a cell laid side by side: what the reader saw, and whether every other witness saw the same. It
//! knows no ledger.

use crate::ids::{Attempt, Incarnation, PartitionId, ProducerId};
use crate::reading::{LogReading, Oddity, PartitionReading, Source};
use crate::settings::TopicSettings;
use std::collections::BTreeMap;

/// What stands at an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Copy {
        producer: ProducerId,
        home: PartitionId,
        life: Incarnation,
        attempt: Attempt,
        sequence: u64,
        transaction: u32,
    },
    Odd(Oddity),
}

impl What {
    fn advanced(self, by: u64) -> Self {
        match self {
            What::Copy { producer, home, life, attempt, sequence, transaction } => {
                What::Copy { producer, home, life, attempt, sequence: sequence + by, transaction }
            }
            odd => odd,
        }
    }
}

/// `count` entries from `offset` on.
#[derive(Debug, Clone, Copy)]
struct Item {
    offset: i64,
    count: u64,
    what: What,
}

impl Item {
    fn end(&self) -> i64 {
        self.offset + self.count as i64
    }

    fn at(&self, offset: i64) -> What {
        self.what.advanced((offset - self.offset) as u64)
    }

    /// Without what is below `offset`.
    fn from(mut self, offset: i64) -> Self {
        let cut = (offset.max(self.offset) - self.offset) as u64;
        self.what = self.what.advanced(cut.min(self.count));
        self.offset += cut as i64;
        self.count = self.count.saturating_sub(cut);
        self
    }
}

/// One partition of one source in strict offset order.
struct Ordered {
    items: Vec<Item>,
    /// Places where the offset did not increase.
    disorder: u64,
    /// Offsets that this source alone saw with two records.
    rewritten: Vec<(i64, u64)>,
}

fn ordered(part: &PartitionReading) -> Ordered {
    let copies = part.runs.iter().map(|run| Item {
        offset: run.offset,
        count: run.count,
        what: What::Copy {
            producer: run.producer,
            home: run.home,
            life: run.incarnation,
            attempt: run.attempt,
            sequence: run.sequence,
            transaction: run.transaction,
        },
    });
    let odd = part.oddities.iter().map(|&(offset, odd)| Item { offset, count: 1, what: What::Odd(odd) });
    let steps = |ends: &[(i64, i64)]| ends.windows(2).filter(|pair| pair[1].0 < pair[0].1).count() as u64;
    let ends = |item: Item| (item.offset, item.end());
    let mut disorder = steps(&copies.clone().map(ends).collect::<Vec<_>>());
    disorder += steps(&odd.clone().map(ends).collect::<Vec<_>>());
    let mut all: Vec<Item> = copies.chain(odd).collect();
    all.sort_by_key(|item| item.offset);
    let mut items: Vec<Item> = Vec::with_capacity(all.len());
    let mut rewritten = Vec::new();
    for item in all {
        let Some(last) = items.last().copied().filter(|last| last.end() > item.offset) else {
            items.push(item);
            continue;
        };
        disorder += 1;
        let overlap = last.end().min(item.end()) - item.offset;
        if last.at(item.offset) != item.what {
            rewritten.push((item.offset, overlap as u64));
        }
        let rest = item.from(last.end());
        if rest.count > 0 {
            items.push(rest);
        }
    }
    Ordered { items, disorder, rewritten }
}

fn is_control(item: &Item) -> bool {
    item.what == What::Odd(Oddity::Control)
}

/// Offsets `start..end` of one partition.
pub(super) type Offsets = (PartitionId, i64, i64);

/// What laying the readings side by side gives.
#[derive(Debug, Default)]
pub(super) struct Log<'a> {
    /// The reader's partitions.
    pub(super) reader: Vec<&'a PartitionReading>,
    /// Why no verdict is possible.
    pub(super) inconclusive: Vec<String>,
    /// Segment files were read.
    pub(super) has_segments: bool,
    /// Any witness beside the reader.
    pub(super) has_witness: bool,
    /// End less start offset, over all partitions.
    pub(super) offsets: u64,
    /// Entries that the reader saw, control records left out.
    pub(super) entries: u64,
    /// Control records, by the first replica's segments.
    pub(super) control: u64,
    /// Offsets that hold nothing in the first replica's segments.
    pub(super) holes: u64,
    /// Places where the reader's offsets did not increase.
    pub(super) disorder: u64,
    /// Offsets that neither the reader nor any replica can fill; without segments: that the reader cannot.
    pub(super) gaps: Vec<Offsets>,
    /// Offsets that were seen with two records.
    pub(super) rewritten: Vec<Offsets>,
    /// What breaks identity I12.
    pub(super) disagreements: Vec<String>,
    /// The cell has transactions.
    pub(super) is_transactional: bool,
    /// The partitions as read_committed shows them.
    pub(super) committed: Vec<&'a PartitionReading>,
    /// Entries among them.
    pub(super) visible_entries: u64,
    /// Copies in the log that read_committed does not show, and their offsets.
    pub(super) aborted_copies: u64,
    pub(super) hidden: Vec<Offsets>,
    /// What breaks identity I6.
    pub(super) visibility_faults: Vec<String>,
}

type BySource<'a> = BTreeMap<Source, BTreeMap<PartitionId, &'a PartitionReading>>;

impl<'a> Log<'a> {
    /// Lays readings side by side; several of one source are shards, in any order.
    pub(super) fn of(topic: &TopicSettings, readings: &'a [LogReading], is_transactional: bool) -> Self {
        let mut log = Log { is_transactional, ..Log::default() };
        let mut sources = BySource::new();
        for reading in readings {
            let source = sources.entry(reading.source).or_default();
            for part in &reading.partitions {
                if source.insert(part.partition, part).is_some() {
                    log.disorder += 1;
                }
            }
        }
        let reader = sources.remove(&Source::Reader).unwrap_or_default();
        let committed = sources.remove(&Source::CommittedReader).unwrap_or_default();
        log.has_witness = !sources.is_empty();
        log.has_segments = sources.keys().any(|source| matches!(source, Source::Segments(_)));
        for partition in (0..topic.partitions).map(PartitionId) {
            match reader.get(&partition) {
                None => log.inconclusive.push(format!("partition {partition} was not read")),
                Some(part) => log.partition(part, topic.replication_factor, &sources),
            }
            if !is_transactional {
                continue;
            }
            match (reader.get(&partition), committed.get(&partition)) {
                (Some(all), Some(part)) => log.visible(all, part, &sources),
                _ => log.inconclusive.push(format!("partition {partition} was not read at read_committed")),
            }
        }
        if let Some(stray) = reader.keys().find(|partition| partition.0 >= topic.partitions) {
            log.disagreements.push(format!("the reader has a partition {stray} that the topic has not"));
        }
        log
    }

    fn partition(&mut self, part: &'a PartitionReading, replicas: u16, sources: &BySource<'_>) {
        self.reader.push(part);
        self.offsets += part.end.abs_diff(part.start);
        self.doubt(part);
        let mine = ordered(part);
        let odd = part.oddities.iter().filter(|(_, odd)| *odd != Oddity::Control).count();
        self.entries += part.runs.iter().map(|run| run.count).sum::<u64>() + odd as u64;
        self.disorder += mine.disorder;
        let place = |&(offset, count): &(i64, u64)| (part.partition, offset, offset + count as i64);
        self.rewritten.extend(mine.rewritten.iter().map(place));
        let mut empty = gaps(&mine.items, part.start, part.end);
        let mut seen = 0;
        let mut digest: Option<&Option<String>> = None;
        for (source, theirs) in sources {
            let is_replica = matches!(source, Source::Segments(_));
            let Some(theirs) = theirs.get(&part.partition) else {
                // A broker need not be a replica; how many must be is checked below.
                if !is_replica {
                    self.disagreements.push(format!("{source:?} lacks partition {}", part.partition));
                }
                continue;
            };
            let other = ordered(theirs);
            self.compare(part, &mine.items, *source, theirs, &other);
            if !is_replica {
                continue;
            }
            seen += 1;
            let holes = gaps(&other.items, part.start, part.end);
            if seen == 1 {
                self.control += other.items.iter().filter(|item| is_control(item)).count() as u64;
                self.holes += holes.iter().map(|(a, b)| b.abs_diff(*a)).sum::<u64>();
            }
            empty = common(&empty, &holes);
            if digest.is_some_and(|one| *one != theirs.batches_digest) {
                self.disagreements.push(format!("{source:?}, partition {}: other batches", part.partition));
            }
            digest = digest.or(Some(&theirs.batches_digest));
        }
        if self.has_segments && seen != replicas {
            let what = format!("partition {}: segments of {seen} of {replicas} replicas", part.partition);
            self.disagreements.push(what);
        }
        if !empty.is_empty() && !self.has_segments && !self.is_transactional {
            let why = "and no segment files to say why";
            self.inconclusive.push(format!("partition {}: offsets without a record, {why}", part.partition));
        }
        self.gaps.extend(empty.into_iter().map(|(a, b)| (part.partition, a, b)));
    }

    /// Lays what read_committed showed beside everything, and beside what the markers in the segments show.
    fn visible(&mut self, all: &PartitionReading, part: &'a PartitionReading, sources: &BySource<'_>) {
        let partition = part.partition;
        self.committed.push(part);
        if part.reached < part.end {
            let what =
                format!("partition {partition}: read_committed to offset {} of {}", part.reached, part.end);
            self.inconclusive.push(what);
        }
        let (everything, shown) = (ordered(all), ordered(part));
        self.visible_entries += shown.items.iter().map(|item| item.count).sum::<u64>();
        if shown.disorder > 0 {
            self.visibility_faults.push(format!("partition {partition}: its offsets do not increase"));
        }
        let mut strangers = 0;
        side_by_side(&everything.items, &shown.items, |from, to, one, other| match (one, other) {
            (Some(one), None) => {
                self.hidden.push((partition, from, to));
                if matches!(one, What::Copy { .. }) {
                    self.aborted_copies += to.abs_diff(from);
                }
            }
            (one, Some(_)) if one != other => strangers += to.abs_diff(from),
            _ => {}
        });
        if strangers > 0 {
            let what = format!("partition {partition}: {strangers} entries only at read_committed");
            self.visibility_faults.push(what);
        }
        let replica = sources.iter().find(|(source, _)| matches!(source, Source::Segments(_)));
        let Some(theirs) = replica.and_then(|(_, parts)| parts.get(&partition)) else { return };
        let marked = without_ranges(ordered(theirs).items, &theirs.invisible);
        let mut wrong = 0;
        side_by_side(&marked, &shown.items, |from, to, one, other| {
            if one != other {
                wrong += to.abs_diff(from);
            }
        });
        if wrong > 0 {
            let what =
                format!("partition {partition}: {wrong} entries are shown otherwise than the markers say");
            self.visibility_faults.push(what);
        }
    }

    fn doubt(&mut self, part: &PartitionReading) {
        let &PartitionReading { partition, start, end, last_stable, reached, .. } = part;
        let mut doubt = |what: String| self.inconclusive.push(format!("partition {partition}: {what}"));
        if start > 0 {
            doubt(format!("the log starts at {start}, so records may have been deleted"));
        }
        if last_stable < end {
            doubt(format!("last stable offset {last_stable} is below the end offset {end}"));
        }
        if reached < end {
            doubt(format!("read to offset {reached} of {end}"));
        }
    }

    fn compare(
        &mut self,
        part: &PartitionReading,
        mine: &[Item],
        source: Source,
        theirs: &PartitionReading,
        other: &Ordered,
    ) {
        let partition = part.partition;
        let mut say =
            |what: String| self.disagreements.push(format!("{source:?}, partition {partition}: {what}"));
        // A client's position may lie beyond the end; what it read there is not looked at.
        let span = |part: &PartitionReading| (part.start, part.reached.min(part.end), part.end);
        if span(theirs) != span(part) {
            let shown = |(start, reached, end): (i64, i64, i64)| format!("{start}..{reached} of {end}");
            say(format!("offsets {}, the reader {}", shown(span(theirs)), shown(span(part))));
        }
        if theirs.reached > theirs.end && matches!(source, Source::Segments(_)) {
            let (told, held) = (theirs.end, theirs.reached);
            say(format!("clients are told that it ends at offset {told}, and it goes on to {held}"));
        }
        if other.disorder > 0 {
            say("its offsets do not increase".into());
        }
        let (differ, rewritten) = differences(mine, &other.items);
        if let Some(first) = differ.first() {
            let count: u64 = differ.iter().map(|(a, b)| b.abs_diff(*a)).sum();
            say(format!("{count} offsets differ from the reader, the first is {}", first.0));
        }
        let known = std::mem::take(&mut self.rewritten);
        let seen: Vec<_> = known.iter().filter(|known| known.0 == partition).map(|k| (k.1, k.2)).collect();
        self.rewritten = known;
        // Each replica shows the same rewriting again; an offset counts once.
        for (a, b) in without(&rewritten, &seen) {
            self.rewritten.push((partition, a, b));
        }
    }
}

/// The parts of `start..end` that no item covers.
fn gaps(items: &[Item], start: i64, end: i64) -> Vec<(i64, i64)> {
    let mut found = Vec::new();
    let mut at = start;
    for item in items {
        if at < item.offset.min(end) {
            found.push((at, item.offset.min(end)));
        }
        at = at.max(item.end());
    }
    if at < end {
        found.push((at, end));
    }
    found
}

/// What two ordered lists of ranges have in common.
fn common(one: &[(i64, i64)], other: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let (mut i, mut j) = (0, 0);
    let mut found = Vec::new();
    while let (Some(a), Some(b)) = (one.get(i), other.get(j)) {
        let (from, to) = (a.0.max(b.0), a.1.min(b.1));
        if from < to {
            found.push((from, to));
        }
        if a.1 <= b.1 { i += 1 } else { j += 1 }
    }
    found
}

/// Ordered ranges less others (in any order).
fn without(ranges: &[(i64, i64)], others: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let mut left = ranges.to_vec();
    for &(from, to) in others {
        left = left
            .into_iter()
            .flat_map(|(a, b)| [(a, b.min(from)), (a.max(to), b)])
            .filter(|(a, b)| a < b)
            .collect();
    }
    left
}

type Ranges = Vec<(i64, i64)>;

/// Items without those at offsets of ordered, disjoint ranges.
fn without_ranges(items: Vec<Item>, ranges: &[(i64, i64)]) -> Vec<Item> {
    let mut left = Vec::with_capacity(items.len());
    for item in items {
        let mut rest = item;
        let from = ranges.partition_point(|range| range.1 <= item.offset);
        for &(start, end) in ranges[from..].iter().take_while(|range| range.0 < item.end()) {
            let before = Item { count: start.max(rest.offset).abs_diff(rest.offset), ..rest };
            if before.count > 0 {
                left.push(before);
            }
            rest = rest.from(end);
        }
        if rest.count > 0 {
            left.push(rest);
        }
    }
    left
}

/// Offsets at which two sources differ (control records left out), and those of them at which both have a record.
fn differences(one: &[Item], other: &[Item]) -> (Ranges, Ranges) {
    let (mut differ, mut both) = (Ranges::new(), Ranges::new());
    side_by_side(one, other, |from, to, left, right| {
        if left != right {
            differ.push((from, to));
            if left.is_some() && right.is_some() {
                both.push((from, to));
            }
        }
    });
    (differ, both)
}

/// Walks two sources offset by offset (control records left out) and tells what each has there, as of the first offset.
fn side_by_side(one: &[Item], other: &[Item], mut tell: impl FnMut(i64, i64, Option<What>, Option<What>)) {
    let mut a = one.iter().filter(|item| !is_control(item)).copied();
    let mut b = other.iter().filter(|item| !is_control(item)).copied();
    let (mut x, mut y) = (a.next(), b.next());
    loop {
        let (from, to) = match (&x, &y) {
            (None, None) => return,
            (Some(x), None) => (x.offset, x.end()),
            (None, Some(y)) => (y.offset, y.end()),
            (Some(x), Some(y)) if x.offset < y.offset => (x.offset, x.end().min(y.offset)),
            (Some(x), Some(y)) if y.offset < x.offset => (y.offset, y.end().min(x.offset)),
            (Some(x), Some(y)) => (x.offset, x.end().min(y.end())),
        };
        let here = |item: &Option<Item>| item.filter(|item| item.offset == from).map(|item| item.what);
        let (left, right) = (here(&x), here(&y));
        tell(from, to, left, right);
        if left.is_some() {
            x = x.map(|item| item.from(to)).filter(|item| item.count > 0).or_else(|| a.next());
        }
        if right.is_some() {
            y = y.map(|item| item.from(to)).filter(|item| item.count > 0).or_else(|| b.next());
        }
    }
}

#[cfg(test)]
mod tests;
