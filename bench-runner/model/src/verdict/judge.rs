//! Evidence in, verdict out: walks the runs of the log once and the books once. It sees no cluster and keeps no record.

use super::books::{Books, Lane, LaneKey};
use super::findings::{Findings, Range};
use super::identities::{Sums, identities};
use super::log::Log;
use super::promise::{promise, weight};
use super::tracker::{Seen, Tracker, by_class};
use super::{Class, ClassCount, Contingency, Tally, TallyKind, Verdict, hash, processing};
use crate::fault::FaultRecord;
use crate::ids::PartitionId;
use crate::ledger::{Ledger, State};
use crate::processing::Journal;
use crate::reading::{CopyRun, LogReading, Oddity, PartitionReading};
use crate::settings::CellSettings;
use std::collections::BTreeMap;

struct Judge {
    books: Books,
    trackers: BTreeMap<LaneKey, Tracker>,
    findings: Findings,
    sums: Sums,
    contingency: BTreeMap<Class, Contingency>,
}

/// Judges a cell: `drained` says whether every report and record that was waited for came in time.
///
/// `journals` counts only where the settings have a group. Several readings of one source are shards of it. The result does not depend on the order of ledgers and readings.
pub fn judge(
    settings: &CellSettings,
    faults: &[FaultRecord],
    ledgers: &[Ledger],
    readings: &[LogReading],
    journals: &[Journal],
    drained: Result<(), String>,
) -> Verdict {
    let log = Log::of(&settings.topic, readings);
    let mut judge = Judge {
        books: Books::of(ledgers),
        trackers: BTreeMap::new(),
        findings: Findings::default(),
        sums: Sums::default(),
        contingency: BTreeMap::new(),
    };
    // Misplaced copies have no place in the order of their home partition, so they come after all others.
    for misplaced in [false, true] {
        for part in &log.reader {
            judge.copies(part, misplaced);
        }
    }
    judge.entries(&log);
    judge.close();
    let processing =
        settings.group.is_some().then(|| processing::judge(&log.reader, journals, &mut judge.findings));
    let tallies = judge.tallies(settings, faults, &log, processing.as_ref());
    let mut inconclusive = log.inconclusive.clone();
    let undrained = drained.err();
    inconclusive.extend(undrained.as_ref().map(|why| format!("not drained: {why}")));
    Verdict {
        records: judge.books.records,
        attempts: judge.books.attempts,
        copies: log.entries,
        identities: [
            identities(&judge.books, &log, &judge.sums),
            processing.as_ref().map(processing::identities).unwrap_or_default(),
        ]
        .concat(),
        classes: judge.sums.classes,
        contingency: judge.contingency.into_values().collect(),
        promise: promise(&tallies),
        tallies,
        inconclusive: (!inconclusive.is_empty()).then(|| inconclusive.join("; ")),
        undrained,
    }
}

fn copies_from(run: &CopyRun, partition: PartitionId, sequence: u64, count: u64) -> Range {
    let offset = run.offset + (sequence - run.sequence) as i64;
    Range { producer: Some(run.producer), partition, sequence: Some(sequence), offset: Some(offset), count }
}

impl Judge {
    /// Adds the copies of one partition that are at home, or those that are not.
    fn copies(&mut self, part: &PartitionReading, misplaced: bool) {
        for run in part.runs.iter().filter(|run| (run.home != part.partition) == misplaced) {
            let Judge { books, trackers, findings, sums, .. } = self;
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
    fn close(&mut self) {
        for class in Class::ALL {
            self.sums.classes.insert(class, ClassCount::default());
            self.contingency.insert(class, Contingency { class, copies_0: 0, copies_1: 0, copies_2: 0 });
        }
        let mut trackers = std::mem::take(&mut self.trackers);
        let Judge { books, findings, sums, contingency, .. } = self;
        for (&key, lane) in &books.lanes {
            let tracker = trackers.remove(&key).unwrap_or_default();
            let seen = tracker.finish(books.key, key, lane, findings);
            lane_sums(books, key, lane, &seen, findings, sums);
            by_class(&seen.several, &lane.classes, |a, b, class| {
                contingency.entry(class).and_modify(|row| row.copies_2 += b - a);
            });
        }
        for (class, row) in contingency {
            let count = sums.classes.get(class).copied().unwrap_or_default();
            row.copies_0 = count.absent;
            row.copies_1 = count.present - row.copies_2;
        }
    }

    fn tallies(
        &self,
        settings: &CellSettings,
        faults: &[FaultRecord],
        log: &Log<'_>,
        processing: Option<&processing::Sums>,
    ) -> BTreeMap<TallyKind, Tally> {
        let records = |class| self.sums.classes.get(&class).map_or(0, |count: &ClassCount| count.records);
        let tally = |kind| {
            let of = match kind {
                TallyKind::LogLoss => records(Class::Acked),
                TallyKind::Acks0Drop => records(Class::Sent),
                TallyKind::UnknownPresent | TallyKind::UnknownAbsent => records(Class::Unknown),
                TallyKind::Phantom => self.books.by_state[State::NotPersisted as usize],
                TallyKind::RewrittenLog | TallyKind::OffsetGap => log.offsets,
                kind if kind.is_of_group() => processing.map_or(0, |sums| sums.of(kind)),
                _ => log.entries,
            };
            let unseen = kind == TallyKind::RewrittenLog && !log.has_witness;
            let tally = Tally {
                count: self.findings.count(kind),
                of,
                weight: weight(kind, settings, faults),
                offenders: self.findings.offenders(kind),
                not_checked: unseen.then(|| "the log was read only once".to_owned()),
            };
            (kind, tally)
        };
        let judged = |kind: &TallyKind| processing.is_some() || !kind.is_of_group();
        TallyKind::ALL.into_iter().filter(judged).map(tally).collect()
    }
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
        if class == Class::Unknown {
            note(TallyKind::UnknownPresent, a, b, class);
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
                Class::Unknown => note(TallyKind::UnknownAbsent, a, b, run.class),
                Class::NotPersisted | Class::Rejected => {}
            }
        });
    }
}
