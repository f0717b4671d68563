//! Copies of one producer's records of one partition, in offset order: holes, surplus, late records. Memory grows with
//! anomalies. It weighs nothing.

use super::books::{ClassRun, Lane, LaneKey};
use super::findings::{Findings, Range};
use super::spans::{Part, Spans};
use super::{Class, TallyKind, hash};
use crate::ids::{Attempt, BookKey, Incarnation, PartitionId};
use crate::reading::CopyRun;
use std::collections::BTreeMap;

/// Ledgered copies of one lane.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    first: Spans,
    resent: BTreeMap<Attempt, Spans>,
    /// The sequence after the highest first attempt seen at home, by incarnation.
    high: BTreeMap<Incarnation, u64>,
    extra: Vec<(u64, u64)>,
    same: u64,
    copies: u64,
    /// Distinct (record, attempt), counted when first seen.
    fresh: u64,
    hash: u128,
}

/// What the copies of one lane come to.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Records with a copy.
    pub(super) present: Spans,
    /// The same by attempt.
    pub(super) attempts: BTreeMap<Attempt, Spans>,
    /// Records with more than one.
    pub(super) several: Spans,
    /// Copies.
    pub(super) copies: u64,
    /// Distinct records, counted while copies were added.
    pub(super) distinct: u64,
    /// Surplus copies of the same attempt, and across attempts.
    pub(super) surplus: (u64, u64),
    /// I10: over all copies, and over surplus copies.
    pub(super) hash: u128,
    pub(super) extra_hash: u128,
}

impl Tracker {
    /// Adds the part `start..end` of a run of copies that was read in partition `read`. Misplaced copies are added after
    /// all others: they have no place in the order.
    pub(super) fn add(
        &mut self,
        run: &CopyRun,
        (start, end): (u64, u64),
        read: PartitionId,
        lane: &Lane,
        key: BookKey,
        findings: &mut Findings,
    ) {
        self.copies += end - start;
        self.hash = self.hash.wrapping_add(hash::of_records(key, (run.producer, run.home), start, end));
        let ordered = run.attempt.0 == 0 && run.home == read;
        let spans = match run.attempt.0 {
            0 => &mut self.first,
            _ => self.resent.entry(run.attempt).or_default(),
        };
        let high = self.high.entry(run.incarnation).or_default();
        let range = |a: u64, b: u64| Range {
            producer: Some(run.producer),
            partition: run.home,
            sequence: Some(a),
            offset: Some(run.offset + (a - run.sequence) as i64),
            count: b - a,
        };
        spans.insert(start, end, |a, b, part| match part {
            Part::Fresh => {
                self.fresh += b - a;
                if ordered && a < *high {
                    findings.note(TallyKind::Reorder, range(a, b.min(*high)), |s| lane.class_of(s));
                }
            }
            Part::Again => {
                self.same += b - a;
                self.extra.push((a, b));
                findings.note(TallyKind::DuplicateSameAttempt, range(a, b), |s| lane.class_of(s));
            }
        });
        if ordered {
            *high = (*high).max(end);
        }
    }

    /// Ends the lane.
    pub(super) fn finish(self, key: BookKey, who: LaneKey, lane: &Lane, findings: &mut Findings) -> Seen {
        let Tracker { first, resent, mut extra, same, copies, fresh, hash, .. } = self;
        let mut present = first.clone();
        let mut cross = 0;
        for spans in resent.values() {
            for (start, end) in spans.iter() {
                present.insert(start, end, |a, b, part| {
                    if part == Part::Again {
                        cross += b - a;
                        extra.push((a, b));
                        let range = Range {
                            producer: Some(who.0),
                            partition: who.1,
                            sequence: Some(a),
                            offset: None,
                            count: b - a,
                        };
                        findings.note(TallyKind::DuplicateCrossAttempt, range, |s| lane.class_of(s));
                    }
                });
            }
        }
        let mut several = Spans::default();
        let mut extra_hash = 0_u128;
        for (start, end) in extra {
            several.insert(start, end, |_, _, _| {});
            extra_hash = extra_hash.wrapping_add(hash::of_records(key, who, start, end));
        }
        let mut attempts = resent;
        attempts.insert(Attempt(0), first);
        let (distinct, surplus) = (fresh - cross, (same, cross));
        Seen { present, attempts, several, copies, distinct, surplus, hash, extra_hash }
    }
}

/// The parts of spans that fall into each class, walked from the spans' side.
pub(super) fn by_class(spans: &Spans, classes: &[ClassRun], mut tell: impl FnMut(u64, u64, Class)) {
    for (start, end) in spans.iter() {
        for run in &classes[classes.partition_point(|run| run.end <= start)..] {
            let (a, b) = (run.start.max(start), run.end.min(end));
            if a >= b {
                break;
            }
            tell(a, b, run.class);
        }
    }
}
