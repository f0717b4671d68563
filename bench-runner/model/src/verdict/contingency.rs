//! The whole table class x copies x processed x effects: how often each record is in the log, was processed, and is in the
//! sink, found by one sweep over the runs of its producer and partition. It weighs nothing.
//!
//! Time and memory grow with runs, not with records.

use super::books::{Books, LaneKey};
use super::{Alike, Class, Contingency, Identity};
use crate::effects::Effects;
use crate::processing::{Entry, Journal};
use crate::reading::{CopyRun, PartitionReading};
use std::collections::BTreeMap;

/// Records `start..end` of one producer and home partition that are alike; `class` is none where no ledger has them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Region {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) class: Option<Class>,
    /// Copies, completed processings, rows.
    pub(super) counts: [u64; 3],
}

/// Something begins or ends at a sequence.
enum Step {
    Class(Option<Class>),
    /// Which of the counts, and by how much.
    Count(usize, i64),
}

/// The steps of every producer and home partition, in the order of sequences.
#[derive(Default)]
pub(super) struct Steps {
    lanes: BTreeMap<LaneKey, Vec<(u64, Step)>>,
}

impl Steps {
    pub(super) fn of(
        books: &Books,
        shown: &[&PartitionReading],
        journals: &[Journal],
        effects: Option<&Effects>,
    ) -> Self {
        let mut steps = Steps::default();
        for (&key, lane) in &books.lanes {
            let own = steps.lanes.entry(key).or_default();
            for run in &lane.classes {
                own.push((run.start, Step::Class(Some(run.class))));
                own.push((run.end, Step::Class(None)));
            }
        }
        for run in shown.iter().flat_map(|part| &part.runs) {
            let Some(lane) = books.lanes.get(&(run.producer, run.home)) else { continue };
            lane.attempts_of(run, |from, to, state| {
                if state.is_some() {
                    steps.add(0, run, from, to);
                }
            });
        }
        for entry in journals.iter().flat_map(|journal| &journal.entries) {
            let Entry::Processed(run) = entry else { continue };
            let from = run.copies.sequence;
            steps.add(1, &run.copies, from, from + run.completed);
        }
        for run in effects.iter().flat_map(|effects| &effects.runs) {
            let from = run.copies.sequence;
            steps.add(2, &run.copies, from, from + run.copies.count);
        }
        // Stable: where a class begins at the end of another one, its step stays behind the other's.
        steps.lanes.values_mut().for_each(|steps| steps.sort_by_key(|(at, _)| *at));
        steps
    }

    fn add(&mut self, which: usize, run: &CopyRun, from: u64, to: u64) {
        let own = self.lanes.entry((run.producer, run.home)).or_default();
        own.push((from, Step::Count(which, 1)));
        own.push((to, Step::Count(which, -1)));
    }

    /// Tells every region in order.
    pub(super) fn sweep(&self, mut tell: impl FnMut(LaneKey, Region)) {
        for (&key, steps) in &self.lanes {
            let (mut class, mut counts, mut start) = (None, [0_u64; 3], 0);
            for (end, step) in steps {
                if start < *end && (class.is_some() || counts != [0; 3]) {
                    tell(key, Region { start, end: *end, class, counts });
                }
                start = *end;
                match step {
                    Step::Class(next) => class = *next,
                    Step::Count(which, by) => counts[*which] = counts[*which].saturating_add_signed(*by),
                }
            }
        }
    }
}

/// Exact sums over all regions, beside the table.
#[derive(Debug, Default)]
pub(super) struct Margins {
    /// Copies, processings and rows, of records without a ledger entry, too.
    sums: [u64; 3],
}

/// Fills the table's rows, one for each class, and gives the sums.
pub(super) fn fill(steps: &Steps, rows: &mut BTreeMap<Class, Contingency>) -> Margins {
    let mut margins = Margins::default();
    let mut kinds: BTreeMap<(Class, [u8; 3]), Alike> = BTreeMap::new();
    steps.sweep(|_, region| {
        let records = region.end - region.start;
        for (sum, count) in margins.sums.iter_mut().zip(region.counts) {
            *sum += count * records;
        }
        let Some(class) = region.class else { return };
        let [copies, processed, effects] = region.counts.map(|count| count.min(2) as u8);
        let none =
            Alike { copies, processed, effects, records: 0, sum_copies: 0, sum_processed: 0, sum_effects: 0 };
        let kind = kinds.entry((class, [copies, processed, effects])).or_insert(none);
        kind.records += records;
        kind.sum_copies += region.counts[0] * records;
        kind.sum_processed += region.counts[1] * records;
        kind.sum_effects += region.counts[2] * records;
    });
    for ((class, _), kind) in kinds {
        if let Some(row) = rows.get_mut(&class) {
            row.alike.push(kind);
        }
    }
    margins
}

/// The table's margins equal what was counted on other ways: by the trackers of copies, the journals, and the database.
pub(super) fn identity(
    rows: &BTreeMap<Class, Contingency>,
    margins: &Margins,
    counted: [u64; 3],
) -> Identity {
    let of_class = |row: &Contingency| {
        let with =
            |copies| row.alike.iter().filter(move |kind| kind.copies == copies).map(|kind| kind.records);
        [0, 1, 2].map(|copies| with(copies).sum::<u64>()) == [row.copies_0, row.copies_1, row.copies_2]
    };
    let wrong = rows.values().find(|row| !of_class(row));
    let [copies, processed, effects] = margins.sums;
    let detail = match wrong {
        None => {
            let [c, p, e] = counted;
            format!("copies {copies} = {c}, processed {processed} = {p}, effects {effects} = {e}")
        }
        Some(row) => format!(
            "{:?} has {} / {} / {} records with 0, 1 and more copies, the table others",
            row.class, row.copies_0, row.copies_1, row.copies_2
        ),
    };
    Identity { name: "margins".into(), holds: wrong.is_none() && margins.sums == counted, detail }
}
