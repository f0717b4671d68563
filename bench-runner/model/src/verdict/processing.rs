//! What a consumer group did with the log: every visible position against every life's journal. It sees no cluster.
//!
//! Works on runs of positions; memory grows with runs and anomalies, not with records.

use super::findings::{Findings, Range};
use super::log::Offsets;
use super::spans::{Part, Spans};
use super::{Identity, TallyKind, effects};
use crate::ids::PartitionId;
use crate::processing::{Entry, Journal, Processed};
use crate::reading::{CopyRun, PartitionReading};
use crate::settings::GroupSettings;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// A record and its attempt, as a run has it: equal for runs that hold the same record at the same offset.
type Record = (u16, u16, u8, u8, i64);

/// Positions, each an offset with the record at it: a log that was cut and written anew has others at the same offsets.
#[derive(Debug, Default)]
struct Positions(BTreeMap<Record, Spans>);

impl Positions {
    fn insert(&mut self, copies: &CopyRun, count: u64, tell: impl FnMut(u64, u64, Part)) {
        let (start, end) = span(copies.offset, count);
        self.0.entry(identity(copies)).or_default().insert(start, end, tell);
    }

    /// In the order of offsets.
    fn in_order(&self) -> Vec<(u64, u64, Record)> {
        let all = self.0.iter().flat_map(|(record, spans)| spans.iter().map(|(a, b)| (a, b, *record)));
        let mut all: Vec<_> = all.collect();
        all.sort_unstable();
        all
    }

    /// The parts of `start..end` with these records that are not among them.
    fn lacking(&self, (start, end, record): (u64, u64, Record), mut tell: impl FnMut(u64, u64)) {
        match self.0.get(&record) {
            Some(spans) => spans.split(start, end, |a, b, inside| {
                if !inside {
                    tell(a, b)
                }
            }),
            None => tell(start, end),
        }
    }
}

/// What all members together did with one partition. Offsets count from 0.
#[derive(Debug, Default)]
struct Position {
    /// Visible offsets, and the positions that they are.
    visible: Spans,
    shown: Positions,
    /// Offsets in the log that are not visible to the group.
    hidden: Spans,
    /// Positions that were begun, and those that were completed, by anybody.
    begun: Positions,
    completed: Positions,
    /// Runs of the log, in offset order, to compare identities with.
    runs: Vec<CopyRun>,
}

/// The sums behind the identities.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Visible positions.
    visible: u64,
    vanished: u64,
    /// Processed, in the log, and not visible.
    not_shown: u64,
    begun_only: u64,
    lost: u64,
    redelivered: u64,
    /// Over all entries.
    begun: u64,
    completed: u64,
    /// What breaks I8 or I13.
    faults: Vec<String>,
    /// Records that a life may leave begun and not completed when it is killed: one, with a sink those of a batch.
    hand: u64,
}

impl Sums {
    /// Complete marks, over all entries.
    pub(super) fn completed(&self) -> u64 {
        self.completed
    }

    /// The denominator of a tally.
    pub(super) fn of(&self, kind: TallyKind) -> u64 {
        match kind {
            TallyKind::Redelivery => self.completed,
            TallyKind::BegunOnly
            | TallyKind::Vanished
            | TallyKind::NonMonotonicPoll
            | TallyKind::ConsumerAbortedRead => self.begun,
            _ => self.visible,
        }
    }
}

impl Position {
    fn of(part: &PartitionReading) -> Self {
        let mut position = Position::default();
        let mut runs = part.runs.clone();
        runs.sort_by_key(|run| run.offset);
        for run in &runs {
            let (start, end) = span(run.offset, run.count);
            position.visible.insert(start, end, |_, _, _| {});
            position.shown.insert(run, run.count, |_, _, _| {});
        }
        position.runs = runs;
        position
    }

    /// The parts of a processed run whose records are not those that the log holds at their offsets.
    fn differing(&self, copies: &CopyRun, mut tell: impl FnMut(u64, u64)) {
        let (start, end) = span(copies.offset, copies.count);
        let from = self.runs.partition_point(|run| span(run.offset, run.count).1 <= start);
        for run in &self.runs[from..] {
            let (a, b) = span(run.offset, run.count);
            if a >= end {
                break;
            }
            if identity(run) != identity(copies) {
                tell(a.max(start), b.min(end));
            }
        }
    }
}

fn span(offset: i64, count: u64) -> (u64, u64) {
    let start = u64::try_from(offset).unwrap_or(0);
    (start, start + count)
}

/// Whose copies these are.
pub(super) fn identity(run: &CopyRun) -> Record {
    let shift = run.offset - run.sequence as i64;
    (run.producer.0, run.home.0, run.incarnation.0, run.attempt.0, shift)
}

fn range(partition: PartitionId, start: u64, end: u64) -> Range {
    Range { producer: None, partition, sequence: None, offset: Some(start as i64), count: end - start }
}

/// Finds what the group did to each position; gives the sums for [`identities`].
///
/// `hidden` are offsets of copies that are in the log and that `reader` was not shown.
pub(super) fn judge(
    group: &GroupSettings,
    reader: &[&PartitionReading],
    hidden: &[Offsets],
    journals: &[Journal],
    findings: &mut Findings,
) -> Sums {
    let hand = group.sink.as_ref().map_or(1, |_| u64::from(group.batch_records));
    let mut sums = Sums { hand, ..Sums::default() };
    let mut positions: BTreeMap<PartitionId, Position> =
        reader.iter().map(|part| (part.partition, Position::of(part))).collect();
    for &(partition, start, end) in hidden {
        let (start, end) = span(start, end.abs_diff(start));
        positions.entry(partition).or_default().hidden.insert(start, end, |_, _, _| {});
    }
    let lives: BTreeSet<_> = journals.iter().map(|journal| (journal.member, journal.incarnation)).collect();
    if lives.len() < journals.len() {
        sums.faults.push(format!("{} journals of {} lives", journals.len(), lives.len()));
    }
    for journal in journals {
        processed(journal, &mut positions, findings, &mut sums);
        order(journal, &positions, findings);
    }
    for (&partition, position) in &positions {
        close(partition, position, findings, &mut sums);
    }
    commits(journals, &positions, findings);
    sums
}

/// Adds what one life began and completed.
fn processed(
    journal: &Journal,
    positions: &mut BTreeMap<PartitionId, Position>,
    findings: &mut Findings,
    sums: &mut Sums,
) {
    let (mut begun, mut completed, mut given_up) = (0, 0, 0);
    for entry in &journal.entries {
        let Entry::Processed(run) = entry else { continue };
        begun += run.copies.count;
        completed += run.completed;
        let position = positions.entry(run.partition).or_default();
        position.differing(&run.copies, |a, b| {
            findings.note(TallyKind::RewrittenLog, range(run.partition, a, b), |_| None);
        });
        position.begun.insert(&run.copies, run.copies.count, |_, _, _| {});
        position.completed.insert(&run.copies, run.completed, |a, b, part| {
            if part == Part::Again {
                sums.redelivered += b - a;
                findings.note(TallyKind::Redelivery, range(run.partition, a, b), |_| None);
            }
        });
        if run.given_up {
            given_up += run.copies.count.saturating_sub(run.completed);
        }
        if run.completed > run.copies.count {
            let Processed { copies, completed, .. } = run;
            sums.faults.push(format!("{completed} completed of {} begun at {}", copies.count, copies.offset));
        }
    }
    sums.begun += begun;
    sums.completed += completed;
    let who = format!("member {}, life {}", journal.member, journal.incarnation);
    // A killed member may have ended between an entry and its counter.
    let slack = |most: u64| if journal.closed { 0 } else { most };
    for (what, counted, summed, slack) in [
        ("begun", journal.begun, begun, slack(1)),
        ("completed", journal.completed, completed, slack(sums.hand)),
    ] {
        if counted > summed || summed - counted > slack {
            sums.faults.push(format!("{who}: {counted} {what} by counter, {summed} by entries"));
        }
    }
    let unmatched = begun.saturating_sub(completed + given_up);
    if unmatched > slack(sums.hand) {
        sums.faults.push(format!("{who}: {unmatched} begun and not completed"));
    }
}

/// Inside one assignment positions only go forward, and jump over nothing visible.
fn order(journal: &Journal, positions: &BTreeMap<PartitionId, Position>, findings: &mut Findings) {
    let mut next: BTreeMap<PartitionId, Option<u64>> = BTreeMap::new();
    for entry in &journal.entries {
        match entry {
            Entry::Assigned(moved) => {
                next.insert(moved.partition, u64::try_from(moved.position).ok());
            }
            Entry::Revoked(moved) | Entry::Lost(moved) => {
                next.remove(&moved.partition);
            }
            Entry::Processed(Processed { partition, copies, refused, .. }) => {
                let (start, end) = span(copies.offset, copies.count);
                // Whoever still owns what was refused seeks back to it.
                let expected = next.insert(*partition, (!refused).then_some(end)).flatten();
                let Some(expected) = expected else { continue };
                match start.cmp(&expected) {
                    Ordering::Less => {
                        let back = Range { count: 1, ..range(*partition, start, end) };
                        findings.note(TallyKind::NonMonotonicPoll, back, |_| None);
                    }
                    Ordering::Equal => {}
                    Ordering::Greater => {
                        let Some(position) = positions.get(partition) else { continue };
                        position.visible.split(expected, start, |a, b, visible| {
                            if visible {
                                findings.note(TallyKind::PollSkip, range(*partition, a, b), |_| None);
                            }
                        });
                    }
                }
            }
            Entry::Commit(_) => {}
        }
    }
}

/// What is left when all journals are in.
fn close(partition: PartitionId, position: &Position, findings: &mut Findings, sums: &mut Sums) {
    let Position { shown, hidden, begun, completed, .. } = position;
    for part in shown.in_order() {
        sums.visible += part.1 - part.0;
        begun.lacking(part, |a, b| {
            sums.lost += b - a;
            findings.note(TallyKind::ProcessingLoss, range(partition, a, b), |_| None);
        });
    }
    for part in begun.in_order() {
        completed.lacking(part, |a, b| {
            sums.begun_only += b - a;
            findings.note(TallyKind::BegunOnly, range(partition, a, b), |_| None);
        });
        shown.lacking(part, |a, b| {
            hidden.split(a, b, |a, b, in_log| {
                let (sum, kind) = if in_log {
                    (&mut sums.not_shown, TallyKind::ConsumerAbortedRead)
                } else {
                    (&mut sums.vanished, TallyKind::Vanished)
                };
                *sum += b - a;
                findings.note(kind, range(partition, a, b), |_| None);
            });
        });
    }
}

/// Positions below a committed offset that nobody had completed when the commit was called.
fn commits(journals: &[Journal], positions: &BTreeMap<PartitionId, Position>, findings: &mut Findings) {
    // In the order of the shared clock; entries of one life keep their order at equal instants.
    let mut events: Vec<(u64, &Entry)> = journals
        .iter()
        .flat_map(|journal| &journal.entries)
        .filter_map(|entry| match entry {
            Entry::Processed(run) => Some((run.completed_ns, entry)),
            Entry::Commit(commit) => Some((commit.called_ns, entry)),
            _ => None,
        })
        .collect();
    events.sort_by_key(|(at_ns, _)| *at_ns);
    let mut done: BTreeMap<PartitionId, Spans> = BTreeMap::new();
    // Below this everything visible was either completed or noted.
    let mut checked: BTreeMap<PartitionId, u64> = BTreeMap::new();
    for (_, entry) in events {
        match entry {
            Entry::Processed(run) => {
                let (start, _) = span(run.copies.offset, run.copies.count);
                done.entry(run.partition).or_default().insert(start, start + run.completed, |_, _, _| {});
            }
            Entry::Commit(commit) => {
                let from = checked.entry(commit.partition).or_default();
                let to = u64::try_from(commit.offset).unwrap_or(0).max(*from);
                let Some(position) = positions.get(&commit.partition) else { continue };
                let done = done.entry(commit.partition).or_default();
                position.visible.split(*from, to, |a, b, visible| {
                    if visible {
                        done.split(a, b, |a, b, inside| {
                            if !inside {
                                findings
                                    .note(TallyKind::CommitAhead, range(commit.partition, a, b), |_| None);
                            }
                        });
                    }
                });
                *from = to;
            }
            _ => {}
        }
    }
}

/// I7, I8 and I13, the last two with what the sink says, where there is one.
pub(super) fn identities(sums: &Sums, sink: Option<&effects::Sums>) -> Vec<Identity> {
    let Sums {
        visible, vanished, not_shown, begun_only, lost, redelivered, begun, completed, faults, ..
    } = sums;
    let distinct = completed.saturating_sub(*redelivered);
    let i7 = visible + vanished + not_shown == distinct + begun_only + lost;
    let hidden = if *not_shown > 0 { format!(" + {not_shown} not shown") } else { String::new() };
    let listed = |all: Vec<&String>| all.first().map(|first| format!("{first} ({} in all)", all.len()));
    let counters = listed(sink.iter().flat_map(|sink| &sink.counters).collect());
    let wrong = listed(faults.iter().chain(sink.iter().flat_map(|sink| &sink.joins)).collect());
    let (mut fine, mut order) = (
        format!("{begun} begun, {completed} completed; marks alternate, counters agree"),
        format!("{begun} begun >= "),
    );
    if let Some(sink) = sink {
        fine = format!(
            "{begun} begun, {completed} completed; batches alternate, {} rows have their marks",
            sink.rows
        );
        order = format!("{order}{} >= ", sink.calls());
    }
    vec![
        Identity {
            name: "I7".into(),
            holds: i7,
            detail: format!(
                "{visible} visible + {vanished} vanished{hidden} = ({completed} completed - {redelivered} again) \
                 + {begun_only} begun only + {lost} never begun"
            ),
        },
        Identity {
            name: "I8".into(),
            holds: begun >= completed && counters.is_none(),
            detail: counters.unwrap_or_else(|| format!("{order}{completed} completed")),
        },
        Identity { name: "I13".into(), holds: wrong.is_none(), detail: wrong.unwrap_or(fine) },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copies(offset: i64, count: u64, sequence: u64) -> CopyRun {
        CopyRun {
            offset,
            count,
            producer: Default::default(),
            incarnation: Default::default(),
            attempt: Default::default(),
            home: PartitionId(0),
            sequence,
            transaction: 0,
        }
    }

    #[test]
    fn what_differs_from_the_log_is_told_in_parts_that_are_not_empty() {
        let position = Position {
            runs: vec![copies(0, 5, 0), copies(5, 5, 20), copies(12, 5, 12)],
            ..Position::default()
        };
        let differing = |processed: CopyRun| {
            let mut parts = Vec::new();
            position.differing(&processed, |a, b| parts.push((a, b)));
            parts
        };
        assert_eq!(differing(copies(0, 5, 0)), [], "what follows is no part of it");
        assert_eq!(differing(copies(10, 2, 10)), [], "nothing is there to differ from");
        assert_eq!(differing(copies(3, 4, 3)), [(5, 7)]);
        assert_eq!(differing(copies(3, 12, 18)), [(3, 5), (12, 15)]);
    }

    #[test]
    fn both_sides_of_the_positions_balance_whatever_became_of_them() {
        let sums = || Sums {
            visible: 100,
            vanished: 7,
            not_shown: 5,
            begun: 120,
            completed: 110,
            redelivered: 9,
            begun_only: 8,
            lost: 3,
            ..Sums::default()
        };
        let holds = |change: fn(&mut Sums)| {
            let mut sums = sums();
            change(&mut sums);
            identities(&sums, None).iter().map(|identity| identity.holds).collect::<Vec<_>>()
        };
        assert_eq!(holds(|_| ()), [true; 3]);
        let unbalanced: [fn(&mut Sums); 6] = [
            |sums| sums.visible += 1,
            |sums| sums.vanished += 1,
            |sums| sums.not_shown += 1,
            |sums| sums.redelivered += 1,
            |sums| sums.begun_only += 1,
            |sums| sums.lost += 1,
        ];
        for change in unbalanced {
            assert_eq!(holds(change), [false, true, true]);
        }
        assert_eq!(holds(|sums| sums.begun = 110), [true; 3]);
        assert_eq!(holds(|sums| sums.begun = 109), [true, false, true], "completed, and not begun");
        assert_eq!(holds(|sums| sums.faults.push("wrong".into())), [true, true, false]);
        let told =
            |not_shown| identities(&Sums { not_shown, ..sums() }, None)[0].detail.contains("not shown");
        assert_eq!([told(0), told(5)], [false, true]);
    }
}
