//! Evidence in, verdict out: walks the runs of the log once and the books once. It sees no cluster and keeps no record.

use super::books::{Books, Lane, LaneKey};
use super::contingency::Steps;
use super::findings::{Findings, Range};
use super::identities::{Sums, identities};
use super::log::Log;
use super::promise::{promise, weight};
use super::tracker::{Seen, Tracker, by_class};
use super::transactions::{self, Wholeness};
use super::{
    Class, ClassCount, Contingency, Identity, Tally, TallyKind, Verdict, contingency, effects, hash, output,
    pipeline, processing,
};
use crate::effects::Effects;
use crate::fault::FaultRecord;
use crate::ids::PartitionId;
use crate::ledger::{Ledger, State};
use crate::processing::Journal;
use crate::reading::{CopyRun, LogReading, Oddity, PartitionReading};
use crate::settings::{CellSettings, CommitStrategy, GroupSettings};
use crate::transactions::{Claim, Transactions};
use std::collections::BTreeMap;

/// What walking over one view of the log gives: everything, or what read_committed shows.
struct Walk<'b> {
    books: &'b Books,
    trackers: BTreeMap<LaneKey, Tracker>,
    findings: Findings,
    sums: Sums,
    contingency: BTreeMap<Class, Contingency>,
    wholeness: Wholeness,
}

/// The evidence of a cell.
#[derive(Debug, Clone, Copy)]
pub struct Exhibits<'a> {
    /// One for each life of each producer.
    pub ledgers: &'a [Ledger],
    /// Several of one source are shards of it.
    pub readings: &'a [LogReading],
    /// One for each ledger; counts only where the producer's settings have transactions.
    pub transactions: &'a [Transactions],
    /// Counts only where the settings have a group.
    pub journals: &'a [Journal],
    /// Counts only where the group has a sink.
    pub effects: Option<&'a Effects>,
    /// One for each life of each member that got so far; counts only where the group commits in transactions.
    pub pipelines: &'a [Transactions],
    /// Of a pipeline's output topic, as `readings`; empty: there is none, or it was stored before these were kept.
    pub output: &'a [LogReading],
}

/// What was summed up of a consumer group.
struct OfGroup {
    processing: processing::Sums,
    sink: Option<effects::Sums>,
    pipeline: Option<pipeline::Sums>,
    identities: Vec<Identity>,
    /// There is a sink, and nobody has read it.
    unread: bool,
}

/// What befell the brokers of a cell.
#[derive(Debug, Clone, Copy)]
pub struct Upsets<'a> {
    /// What was done to them.
    pub faults: &'a [FaultRecord],
    /// Partitions whose leader had moved when the cell was over.
    pub moved_leaders: u64,
    /// A later life of a producer sends again what an earlier one left without an answer.
    pub resends: bool,
}

impl Upsets<'_> {
    /// A cell without any.
    pub const NONE: Upsets<'static> = Upsets { faults: &[], moved_leaders: 0, resends: false };
}

/// Judges a cell: `drained` says whether every report and record that was waited for came in time.
///
/// The result does not depend on the order of ledgers and readings.
pub fn judge(
    settings: &CellSettings,
    upsets: Upsets<'_>,
    exhibits: Exhibits<'_>,
    drained: Result<(), String>,
) -> Verdict {
    let transactional = settings.producer.transaction.is_some();
    let log = Log::of(&settings.topic, exhibits.readings, transactional);
    let books = Books::of(exhibits.ledgers, transactional.then_some(exhibits.transactions));
    let mut all = Walk::over(&log.reader, &books, transactional);
    all.entries(&log);
    // Records of transactions are judged by what read_committed shows; what is wrong with copies, wherever they are.
    let mut visible = transactional.then(|| Walk::over(&log.committed, &books, true));
    let group = settings.group.as_ref();
    let read_committed = group.is_some_and(|group| group.isolation == "read_committed");
    let seen = if transactional && read_committed { &log.committed } else { &log.reader };
    let mut findings = std::mem::take(&mut all.findings);
    if let Some(visible) = &mut visible {
        visible.wholeness.note_torn(&mut visible.findings);
        findings.take_over(&visible.findings, of_visible_copies);
    }
    let shown = if transactional { &log.committed } else { &log.reader };
    let claims = visible.as_mut().unwrap_or(&mut all);
    let group = group.map(|group| of_group(group, &log, (shown, seen), exhibits, claims, &mut findings));
    let tallies = tallies(settings, upsets, &all, visible.as_ref(), &findings, &log, group.as_ref());
    let mut inconclusive = log.inconclusive.clone();
    if group.as_ref().is_some_and(|group| group.unread) {
        inconclusive.push("the sink's rows were not read".to_owned());
    }
    let undrained = drained.err();
    inconclusive.extend(undrained.as_ref().map(|why| format!("not drained: {why}")));
    let in_transactions =
        settings.group.as_ref().is_some_and(|group| group.commit == CommitStrategy::Transaction);
    let of_output = exhibits
        .effects
        .filter(|_| !exhibits.output.is_empty())
        .map(|effects| output::judge(&settings.topic, exhibits.output, in_transactions, effects));
    let (of_output, unclear) = of_output.unzip();
    inconclusive.extend(unclear.into_iter().flatten());
    let identities = [
        identities(&books, &log, &all.sums, visible.as_ref().map(|visible| &visible.sums)),
        group.map(|group| group.identities).unwrap_or_default(),
        of_output.into_iter().collect(),
    ];
    let claims = visible.unwrap_or(all);
    Verdict {
        records: books.records,
        attempts: books.attempts,
        copies: log.entries,
        identities: identities.concat(),
        classes: claims.sums.classes,
        contingency: claims.contingency.into_values().collect(),
        promise: promise(&tallies),
        tallies,
        inconclusive: (!inconclusive.is_empty()).then(|| inconclusive.join("; ")),
        undrained,
    }
    .claiming_nothing_unless_given()
}

/// What a group did to the log, and what it left in its sink; the log is as it is judged, and as the group has seen it.
fn of_group(
    settings: &GroupSettings,
    log: &Log<'_>,
    (shown, seen): (&[&PartitionReading], &[&PartitionReading]),
    Exhibits { journals, effects, pipelines, .. }: Exhibits<'_>,
    claims: &mut Walk<'_>,
    findings: &mut Findings,
) -> OfGroup {
    let processing = processing::judge(settings, seen, &log.hidden, journals, findings);
    let nothing = Effects::default();
    let sink = settings.sink.as_ref().map(|sink| (sink.kind, effects.unwrap_or(&nothing)));
    let steps = Steps::of(claims.books, shown, journals, sink.map(|(_, effects)| effects));
    let sums =
        sink.map(|(kind, effects)| (effects::judge(kind, journals, effects, &steps, findings), effects));
    let pipeline = (settings.commit == CommitStrategy::Transaction)
        .then(|| pipeline::judge(pipelines, effects.unwrap_or(&nothing), findings));
    let mut sums = sums;
    if let (Some(pipeline), Some((sums, _))) = (&pipeline, &mut sums) {
        sums.joins.extend(pipeline.faults.iter().cloned());
    }
    let margins = contingency::fill(&steps, &mut claims.contingency);
    let rows = sums.as_ref().map_or(0, |(sums, _)| sums.rows);
    let counted = [claims.sums.ledgered, processing.completed(), rows];
    let mut identities = processing::identities(&processing, sums.as_ref().map(|(sums, _)| sums));
    identities.extend(sums.as_ref().map(|(sums, effects)| effects::i9(sums, effects)));
    identities.push(contingency::identity(&claims.contingency, &margins, counted));
    let unread = sink.is_some() && effects.is_none();
    OfGroup { processing, sink: sums.map(|(sums, _)| sums), pipeline, identities, unread }
}

/// Findings that are about visible copies in a transactional cell; all others are about whatever is in the log.
fn of_visible_copies(kind: TallyKind) -> bool {
    matches!(
        kind,
        TallyKind::LogLoss
            | TallyKind::UnknownPresent
            | TallyKind::UnknownAbsent
            | TallyKind::DuplicateSameAttempt
            | TallyKind::DuplicateCrossAttempt
            | TallyKind::Reorder
            | TallyKind::AbortedRead
            | TallyKind::TornTransaction
    )
}

fn copies_from(run: &CopyRun, partition: PartitionId, sequence: u64, count: u64) -> Range {
    let offset = run.offset + (sequence - run.sequence) as i64;
    Range { producer: Some(run.producer), partition, sequence: Some(sequence), offset: Some(offset), count }
}

impl<'b> Walk<'b> {
    fn over(parts: &[&PartitionReading], books: &'b Books, transactional: bool) -> Self {
        let mut walk = Walk {
            books,
            trackers: BTreeMap::new(),
            findings: Findings::default(),
            sums: Sums::default(),
            contingency: BTreeMap::new(),
            wholeness: Wholeness::default(),
        };
        // Misplaced copies have no place in the order of their home partition, so they come after all others.
        for misplaced in [false, true] {
            for part in parts {
                walk.copies(part, misplaced);
            }
        }
        walk.close(Class::of_cell(transactional));
        walk
    }

    /// Adds the copies of one partition that are at home, or those that are not.
    fn copies(&mut self, part: &PartitionReading, misplaced: bool) {
        for run in part.runs.iter().filter(|run| (run.home != part.partition) == misplaced) {
            let Walk { books, trackers, findings, sums, .. } = self;
            sums.foreign.extend(transactions::differing(books, run));
            let lane_key = (run.producer, run.home);
            let lane = books.lanes.get(&lane_key);
            let class = |sequence| lane.and_then(|lane| lane.class_of(sequence));
            if misplaced {
                let range = copies_from(run, part.partition, run.sequence, run.count);
                findings.note(TallyKind::Misplaced, range, class);
            }
            let tracker = trackers.entry(lane_key).or_default();
            let mut tell = |from: u64, to: u64, state: Option<State>, lane: Option<&Lane>| {
                let range = copies_from(run, part.partition, from, to - from);
                match (state, lane) {
                    (Some(state), Some(lane)) => {
                        match state {
                            State::NotPersisted => findings.note(TallyKind::Phantom, range, class),
                            State::Rejected => sums.of_rejected += to - from,
                            _ => {}
                        }
                        tracker.add(run, (from, to), part.partition, lane, books.key, findings);
                    }
                    _ => {
                        sums.unledgered += to - from;
                        findings.note(TallyKind::Unledgered, range, class);
                    }
                }
            };
            match lane {
                Some(lane) => lane.attempts_of(run, |from, to, state| tell(from, to, state, Some(lane))),
                None => tell(run.sequence, run.sequence + run.count, None, None),
            }
        }
    }

    /// Adds everything in the log that is no copy.
    fn entries(&mut self, log: &Log<'_>) {
        let range = |partition, offset, count| Range {
            producer: None,
            partition,
            sequence: None,
            offset: Some(offset),
            count,
        };
        for part in &log.reader {
            for &(offset, odd) in &part.oddities {
                let (kind, sum) = match odd {
                    Oddity::Alien => (TallyKind::Alien, &mut self.sums.alien),
                    Oddity::Corrupt => (TallyKind::Corrupt, &mut self.sums.corrupt),
                    Oddity::Control => continue,
                };
                *sum += 1;
                self.findings.note(kind, range(part.partition, offset, 1), |_| None);
            }
        }
        for (kind, found) in [(TallyKind::OffsetGap, &log.gaps), (TallyKind::RewrittenLog, &log.rewritten)] {
            for &(partition, start, end) in found {
                self.findings.note(kind, range(partition, start, end.abs_diff(start)), |_| None);
            }
        }
    }

    /// Ends every lane: present and absent, surplus, hashes.
    fn close(&mut self, classes: &[Class]) {
        for &class in classes {
            self.sums.classes.insert(class, ClassCount::default());
            let alike = Vec::new();
            let row = Contingency { class, copies_0: 0, copies_1: 0, copies_2: 0, alike };
            self.contingency.insert(class, row);
        }
        let mut trackers = std::mem::take(&mut self.trackers);
        let Walk { books, findings, sums, contingency, wholeness, .. } = self;
        for (&key, lane) in &books.lanes {
            let tracker = trackers.remove(&key).unwrap_or_default();
            let seen = tracker.finish(books.key, key, lane, findings);
            lane_sums(books, key, lane, &seen, findings, sums);
            by_class(&seen.several, &lane.classes, |a, b, class| {
                contingency.entry(class).and_modify(|row| row.copies_2 += b - a);
            });
            wholeness.add(books, key, &seen, findings);
        }
        for (class, row) in contingency {
            let count = sums.classes.get(class).copied().unwrap_or_default();
            row.copies_0 = count.absent;
            row.copies_1 = count.present - row.copies_2;
        }
    }
}

/// Every tally of the cell, zeros included, with its denominator and weight.
fn tallies(
    settings: &CellSettings,
    upsets: Upsets<'_>,
    all: &Walk<'_>,
    visible: Option<&Walk<'_>>,
    findings: &Findings,
    log: &Log<'_>,
    group: Option<&OfGroup>,
) -> BTreeMap<TallyKind, Tally> {
    let books = all.books;
    let classes = &visible.unwrap_or(all).sums.classes;
    let records = |class| classes.get(&class).map_or(0, |count: &ClassCount| count.records);
    let handed = |claim| visible.map_or(0, |visible| visible.wholeness.handed(claim));
    let pipeline = group.and_then(|group| group.pipeline.as_ref());
    let either = |plain, of_transactions| if visible.is_some() { of_transactions } else { plain };
    let tally = |kind| {
        let of = match kind {
            TallyKind::LogLoss if visible.is_some() => handed(Claim::Committed),
            TallyKind::LogLoss => records(Class::Acked),
            TallyKind::Acks0Drop => records(Class::Sent),
            TallyKind::UnknownPresent | TallyKind::UnknownAbsent => {
                records(either(Class::Unknown, Class::CommitUnknown))
            }
            TallyKind::Phantom => books.by_state[State::NotPersisted as usize],
            TallyKind::RewrittenLog | TallyKind::OffsetGap => log.offsets,
            TallyKind::AbortedRead => {
                handed(Claim::NeverCommitted) + pipeline.map_or(0, |sums| sums.never_committed)
            }
            TallyKind::TornTransaction => books.transactions + pipeline.map_or(0, |sums| sums.transactions),
            kind if kind.is_of_sink() => {
                group.and_then(|group| group.sink.as_ref()).map_or(0, |sums| sums.of(kind))
            }
            kind if kind.is_of_group() => group.map_or(0, |group| group.processing.of(kind)),
            _ => log.entries,
        };
        let no_gaps_known = kind == TallyKind::OffsetGap && visible.is_some() && !log.has_segments;
        let count = match kind {
            TallyKind::AbortedCopies => log.aborted_copies,
            _ if no_gaps_known => 0,
            _ => findings.count(kind),
        };
        let tally = Tally {
            count,
            of,
            weight: weight(kind, settings, upsets),
            offenders: findings.offenders(kind),
            not_checked: no_gaps_known
                .then(|| "without segment files a control record looks like a gap".to_owned()),
        };
        (kind, tally)
    };
    let has_sink = group.is_some_and(|group| group.sink.is_some());
    let of_pipelines = |kind: &TallyKind| {
        pipeline.is_some() && matches!(kind, TallyKind::AbortedRead | TallyKind::TornTransaction)
    };
    let judged = |kind: &TallyKind| {
        (group.is_some() || !kind.is_of_group())
            && (has_sink || !kind.is_of_sink())
            && (visible.is_some() || of_pipelines(kind) || !kind.is_of_transactions())
    };
    TallyKind::ALL.into_iter().filter(judged).map(tally).collect()
}

fn lane_sums(
    books: &Books,
    key: LaneKey,
    lane: &Lane,
    seen: &Seen,
    findings: &mut Findings,
    sums: &mut Sums,
) {
    sums.ledgered += seen.copies;
    sums.distinct += seen.distinct;
    sums.surplus = (sums.surplus.0 + seen.surplus.0, sums.surplus.1 + seen.surplus.1);
    sums.copies_hash = sums.copies_hash.wrapping_add(seen.hash);
    sums.books_hash = sums.books_hash.wrapping_add(seen.extra_hash);
    let mut note = |kind, a: u64, b: u64, class| {
        let range =
            Range { producer: Some(key.0), partition: key.1, sequence: Some(a), offset: None, count: b - a };
        findings.note(kind, range, |_| Some(class));
    };
    // Present and absent are found on different ways, so that I3 can fail.
    by_class(&seen.present, &lane.classes, |a, b, class| {
        sums.classes.entry(class).or_default().present += b - a;
        match class {
            Class::Unknown | Class::CommitUnknown => note(TallyKind::UnknownPresent, a, b, class),
            _ => {}
        }
    });
    for run in &lane.classes {
        sums.classes.entry(run.class).or_default().records += run.end - run.start;
        let all = hash::of_records(books.key, key, run.start, run.end);
        sums.books_hash = sums.books_hash.wrapping_add(all);
        seen.present.split(run.start, run.end, |a, b, present| {
            if present {
                return;
            }
            sums.classes.entry(run.class).or_default().absent += b - a;
            let absent = hash::of_records(books.key, key, a, b);
            sums.books_hash = sums.books_hash.wrapping_sub(absent);
            match run.class {
                Class::Acked => note(TallyKind::LogLoss, a, b, run.class),
                Class::Sent => note(TallyKind::Acks0Drop, a, b, run.class),
                Class::Unknown | Class::CommitUnknown => note(TallyKind::UnknownAbsent, a, b, run.class),
                // What claims through its transaction was noted where that was looked at.
                Class::NotPersisted | Class::Rejected | Class::Committed | Class::NeverCommitted => {}
            }
        });
    }
}
