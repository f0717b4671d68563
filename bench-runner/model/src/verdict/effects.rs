//! What a group left in its sink: every row against the mark of its processing, every completed record against the rows.
//! It sees no database.

use super::books::LaneKey;
use super::contingency::{Region, Steps};
use super::findings::{Findings, Range};
use super::processing::identity;
use super::spans::{Part, Spans};
use super::{Identity, TallyKind};
use crate::effects::{EffectRun, Effects};
use crate::ids::{Incarnation, MemberId};
use crate::processing::{Entry, Journal, Processed};
use crate::settings::SinkKind;
use std::collections::BTreeMap;

/// The sums behind tallies and identities.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Rows, as the database counts them.
    pub(super) rows: u64,
    /// Records of the log that should have a row.
    visible: u64,
    duplicates: u64,
    called: u64,
    answered: u64,
    /// What breaks I8, I9 and I13.
    pub(super) counters: Vec<String>,
    keys: Vec<String>,
    pub(super) joins: Vec<String>,
}

impl Sums {
    /// The denominator of a tally.
    pub(super) fn of(&self, kind: TallyKind) -> u64 {
        match kind {
            TallyKind::SinkDuplicate => self.rows,
            TallyKind::SinkRefused => self.called,
            _ => self.visible,
        }
    }

    /// Write calls and answers, in rows, in words.
    pub(super) fn calls(&self) -> String {
        format!("{} rows called >= {} answered", self.called, self.answered)
    }
}

/// One life's processings in order, and its rows by the number of their processing.
#[derive(Default)]
struct Life<'a> {
    journal: Option<&'a Journal>,
    /// The number of the first processing of each run, from 1.
    runs: Vec<(u64, &'a Processed)>,
    rows: Spans,
    count: u64,
}

type Lives<'a> = BTreeMap<(MemberId, Incarnation), Life<'a>>;

/// Finds duplicates and losses of the sink, and what does not fit. A topic may lose what it has acknowledged: that is no defect of
/// the books, but a finding.
pub(super) fn judge(
    kind: SinkKind,
    journals: &[Journal],
    effects: &Effects,
    steps: &Steps,
    findings: &mut Findings,
) -> Sums {
    let mut sums = Sums { rows: effects.rows, ..Sums::default() };
    let mut lives = lives(journals, &mut sums);
    for run in &effects.runs {
        join(run, &mut lives, &mut sums);
    }
    for (who, life) in &lives {
        close(*who, life, kind.is_idempotent() || kind == SinkKind::Topic, &mut sums);
    }
    keys(kind, journals, effects, &mut sums);
    refused(journals, findings);
    steps.sweep(|lane, region| tallies(lane, region, findings, &mut sums));
    sums
}

fn lives<'a>(journals: &'a [Journal], sums: &mut Sums) -> Lives<'a> {
    let mut lives = Lives::new();
    for journal in journals {
        let life = lives.entry((journal.member, journal.incarnation)).or_default();
        life.journal = Some(journal);
        let mut next = 1;
        for entry in &journal.entries {
            if let Entry::Processed(run) = entry {
                life.runs.push((next, run));
                next += run.copies.count;
            }
        }
        sums.called += journal.called;
        sums.answered += journal.answered;
    }
    lives
}

/// Each row was made by a processing that its life has marked begun, of the same record at the same position.
fn join(run: &EffectRun, lives: &mut Lives<'_>, sums: &mut Sums) {
    let EffectRun { partition, copies, member, life: incarnation, processing } = *run;
    let who = format!("member {member}, life {incarnation}");
    let Some(life) = lives.get_mut(&(member, incarnation)).filter(|life| life.journal.is_some()) else {
        sums.joins.push(format!("{} rows of {who}, which has no journal", copies.count));
        return;
    };
    life.count += copies.count;
    life.rows.insert(processing, processing + copies.count, |a, _, part| {
        if part == Part::Again {
            sums.joins.push(format!("{who}: processing {a} has two rows"));
        }
    });
    let (mut at, end) = (processing, processing + copies.count);
    let from = life.runs.partition_point(|(first, marked)| first + marked.copies.count <= at);
    for (first, marked) in &life.runs[from..] {
        if at >= end || *first > at {
            break;
        }
        // The same shift of offsets against processings, besides the same shift of offsets against sequences.
        let shift = |offset: i64, number: u64| offset - number as i64;
        let same = marked.partition == partition
            && identity(&marked.copies) == identity(&copies)
            && shift(marked.copies.offset, *first) == shift(copies.offset, processing);
        if !same {
            sums.joins.push(format!("{who}: the row of processing {at} is of another record"));
            return;
        }
        at = end.min(first + marked.copies.count);
    }
    if at < end {
        sums.joins.push(format!("{who}: the row of processing {at} has no mark"));
    }
}

/// What one life was answered stands in the sink, and nothing beyond what it has called for.
fn close((member, incarnation): (MemberId, Incarnation), life: &Life<'_>, idempotent: bool, sums: &mut Sums) {
    let Some(journal) = life.journal else { return };
    let who = format!("member {member}, life {incarnation}");
    let &Journal { begun, completed, called, answered, .. } = journal;
    // The database's count lies between the two; a keyed one may have replaced rows by later ones.
    let least = if idempotent { 0 } else { answered };
    if begun < called
        || called < answered
        || answered < completed
        || life.count > called
        || life.count < least
    {
        let rows = life.count;
        sums.counters.push(format!(
            "{who}: {begun} begun, {called} called, {answered} answered, {completed} completed, {rows} rows"
        ));
    }
    if idempotent {
        return;
    }
    for (first, run) in &life.runs {
        life.rows.split(*first, first + run.completed, |a, b, inside| {
            if !inside {
                sums.keys
                    .push(format!("{who}: {} processings from {a} on are completed, without a row", b - a));
            }
        });
    }
}

/// Every completed record has a row, and the database counts rows and records as we do.
fn keys(kind: SinkKind, journals: &[Journal], effects: &Effects, sums: &mut Sums) {
    let mut records: BTreeMap<LaneKey, Spans> = BTreeMap::new();
    let (mut rows, mut distinct) = (0, 0);
    for EffectRun { copies, .. } in &effects.runs {
        rows += copies.count;
        let own = records.entry((copies.producer, copies.home)).or_default();
        own.insert(copies.sequence, copies.sequence + copies.count, |a, b, part| {
            if part == Part::Fresh {
                distinct += b - a;
            }
        });
    }
    if (rows, distinct) != (effects.rows, effects.records) {
        let counted = format!("{} rows of {} records", effects.rows, effects.records);
        sums.keys.push(format!("the database counts {counted}, and {rows} of {distinct} were read"));
    }
    if kind == SinkKind::Topic {
        return;
    }
    for entry in journals.iter().flat_map(|journal| &journal.entries) {
        let Entry::Processed(Processed { copies, completed, .. }) = entry else { continue };
        let nothing = Spans::default();
        let own = records.get(&(copies.producer, copies.home)).unwrap_or(&nothing);
        own.split(copies.sequence, copies.sequence + completed, |a, b, inside| {
            if !inside {
                let (producer, home) = (copies.producer, copies.home);
                let what = format!("{} records from {a} on are completed, without a row", b - a);
                sums.keys.push(format!("producer {producer}, partition {home}: {what}"));
            }
        });
    }
}

/// What a life wanted to write and was not let.
fn refused(journals: &[Journal], findings: &mut Findings) {
    for entry in journals.iter().flat_map(|journal| &journal.entries) {
        let Entry::Processed(Processed { partition, copies, completed, refused: true, .. }) = entry else {
            continue;
        };
        let range = Range {
            producer: Some(copies.producer),
            partition: *partition,
            sequence: Some(copies.sequence + completed),
            offset: Some(copies.offset + *completed as i64),
            count: copies.count.saturating_sub(*completed),
        };
        findings.note(TallyKind::SinkRefused, range, |_| None);
    }
}

fn tallies((producer, partition): LaneKey, region: Region, findings: &mut Findings, sums: &mut Sums) {
    let Region { start, end, class, counts: [copies, _, effects] } = region;
    let count = end - start;
    let range = Range { producer: Some(producer), partition, sequence: Some(start), offset: None, count };
    for _ in 1..effects {
        sums.duplicates += count;
        findings.note(TallyKind::SinkDuplicate, range, |_| class);
    }
    if copies > 0 {
        sums.visible += count;
        if effects == 0 {
            findings.note(TallyKind::SinkLoss, range, |_| class);
        }
    }
}

/// I9: rows are of begun records, completed records have rows, duplicates are what rows have beyond records.
pub(super) fn i9(sums: &Sums, effects: &Effects) -> Identity {
    let Sums { rows, duplicates, keys, .. } = sums;
    let balanced = rows.checked_sub(effects.records) == Some(*duplicates);
    let detail = match keys.first() {
        None => format!(
            "{rows} rows = {} records + {duplicates} again; completed records have rows",
            effects.records
        ),
        Some(first) => format!("{first} ({} in all)", keys.len()),
    };
    Identity { name: "I9".into(), holds: balanced && keys.is_empty(), detail }
}
