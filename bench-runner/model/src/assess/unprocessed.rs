//! Records that a group never processed, or in a life that took its latencies with it: no setting may look fast by losing them.
//! Journals say who began and completed what and about when, and the schedule says when each record was due.

use super::killed::AGAIN;
use super::statements::Statements;
use crate::ids::{PartitionId, ProducerId};
use crate::latency::{Series, Set};
use crate::ledger::Ledger;
use crate::plan::Cell;
use crate::processing::{Entry, Journal, Processed};
use crate::schedule::{Course, Placement, Schedule};
use crate::settings::Arrival;
use crate::verdict::{Part, Spans};
use std::collections::BTreeMap;

const SECOND_NS: u64 = 1_000_000_000;

/// By producer and home partition: sequences in order, with the instant before which none of them got so far.
type Earliest = BTreeMap<(ProducerId, PartitionId), Vec<(u64, u64, u64)>>;

/// How many records of a run got so far, and the instant before which they had not.
type Reach = fn(&Processed) -> (u64, u64);

/// The series that a record enters once, with its first processing. A record is in hand some time before it is begun.
const SERIES: [(&str, Reach); 2] =
    [("in_hand", |run| (run.copies.count, 0)), ("effect", |run| (run.completed, run.begun_ns))];

/// One second of intended time.
#[derive(Debug, Clone, Default)]
struct Due {
    /// Ages at the end of those that nobody got so far with.
    never: Vec<u64>,
    /// Ages before which the others had not got so far.
    earliest: Vec<u64>,
}

impl Statements {
    /// Cuts off in a group's series what has no value there: a record that was due and never processed waits still when the
    /// group ends; one that was processed in a life that left no latencies took at least until its run was begun.
    ///
    /// At full speed nobody knows when a record was due: then the number of them counts, cut off at 0.
    pub fn censor_unprocessed(&self, set: &mut Set, cell: &Cell, ledgers: &[Ledger], journals: &[Journal]) {
        let Some(group) = &cell.settings.group else { return };
        let Some(publish) = set.get("publish") else { return };
        let seconds = publish.seconds();
        let twice = |second| set.get(AGAIN).map_or(0, |again| again.count(second));
        let counts: Vec<usize> = (0..=seconds)
            .map(|second| publish.count(second).saturating_sub(twice(second)) as usize)
            .collect();
        // What is aborted on purpose is not shown to a group at read_committed.
        let hidden: Vec<u64> = match set.get("withdrawn").filter(|_| group.isolation == "read_committed") {
            Some(withdrawn) => (0..=seconds).map(|second| withdrawn.count(second)).collect(),
            None => vec![0; seconds + 1],
        };
        for (name, reach) in SERIES {
            let mut due = match cell.settings.load.arrival {
                Arrival::Max => of_full_speed(&counts),
                _ => self.due(cell, ledgers, &earliest(journals, reach), seconds),
            };
            // Due, and not even sent.
            for (second, due) in due.iter_mut().enumerate() {
                let known = due.never.len() + due.earliest.len();
                let unsent = counts[second].saturating_sub(known);
                due.never.extend(std::iter::repeat_n(0, unsent));
            }
            if set.get(name).is_none() {
                set.insert(name, Series::new(seconds));
            }
            let Some(series) = set.get_mut(name) else { continue };
            for (second, due) in due.iter_mut().enumerate() {
                let hidden = usize::try_from(hidden[second]).unwrap_or(usize::MAX);
                due.never.truncate(due.never.len().saturating_sub(hidden));
                // Which of the others have a value is not known: the lowest bounds are true whichever they are.
                let known = usize::try_from(series.count(second)).unwrap_or(usize::MAX);
                due.earliest.sort_unstable();
                due.earliest.truncate(due.earliest.len().saturating_sub(known));
                for cut_ns in due.never.iter().chain(&due.earliest) {
                    series.censor(second, *cut_ns);
                }
            }
        }
    }

    /// Every record that was handed to the client, by the second in which it was due.
    fn due(&self, cell: &Cell, ledgers: &[Ledger], reached: &Earliest, seconds: usize) -> Vec<Due> {
        let (load, producer) = (&cell.settings.load, &cell.settings.producer);
        let partitions = cell.settings.topic.partitions;
        let in_a_row_bytes = producer.in_a_row_bytes(partitions, load.record_bytes);
        let mut sent: BTreeMap<(ProducerId, PartitionId), u64> = BTreeMap::new();
        for ledger in ledgers {
            for part in &ledger.partitions {
                let next = sent.entry((ledger.producer, part.partition)).or_default();
                *next = part.next_sequence.max(*next);
            }
        }
        let ended_ns =
            self.members.iter().map(|member| member.ended_ns).max().unwrap_or(self.reader.ended_ns);
        let mut all = vec![Due::default(); seconds + 1];
        for number in (0..load.producers).map(ProducerId) {
            let course = Course {
                schedule: Schedule::new(load, cell.seed, number),
                placement: Placement::new(partitions, number, in_a_row_bytes, load.record_bytes),
            };
            for record in course {
                let lane = (number, record.partition);
                if sent.get(&lane).is_none_or(|next| record.sequence >= *next) {
                    continue;
                }
                let due_ns = self.t0_ns + record.due_ns;
                let second = usize::try_from(record.due_ns / SECOND_NS).unwrap_or(usize::MAX).min(seconds);
                match reached.get(&lane).and_then(|runs| at(runs, record.sequence)) {
                    Some(after_ns) => all[second].earliest.push(after_ns.saturating_sub(due_ns)),
                    None => all[second].never.push(ended_ns.saturating_sub(due_ns)),
                }
            }
        }
        all
    }
}

fn of_full_speed(counts: &[usize]) -> Vec<Due> {
    counts.iter().map(|sent| Due { never: Vec::new(), earliest: vec![0; *sent] }).collect()
}

/// That instant of the run that has this sequence.
fn at(runs: &[(u64, u64, u64)], sequence: u64) -> Option<u64> {
    let behind = runs.partition_point(|(_, end, _)| *end <= sequence);
    runs.get(behind).filter(|(start, ..)| *start <= sequence).map(|(.., after_ns)| *after_ns)
}

/// Who got so far with a record first did so after its run was begun.
fn earliest(journals: &[Journal], reach: Reach) -> Earliest {
    let entries = journals.iter().flat_map(|journal| &journal.entries);
    let mut runs: Vec<&Processed> = entries
        .filter_map(|entry| match entry {
            Entry::Processed(run) => Some(run),
            _ => None,
        })
        .collect();
    runs.sort_by_key(|run| run.begun_ns);
    let mut known: BTreeMap<(ProducerId, PartitionId), Spans> = BTreeMap::new();
    let mut found = Earliest::new();
    for run in runs {
        let lane = (run.copies.producer, run.copies.home);
        let parts = found.entry(lane).or_default();
        let (start, (count, after_ns)) = (run.copies.sequence, reach(run));
        known.entry(lane).or_default().insert(start, start + count, |a, b, part| {
            if part == Part::Fresh {
                parts.push((a, b, after_ns));
            }
        });
    }
    found.values_mut().for_each(|parts| parts.sort_unstable());
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{BookKey, Incarnation, MemberId};
    use crate::ledger::{PartitionLedger, STATES};
    use crate::reading::CopyRun;
    use crate::{plan, profile};

    const T0_NS: u64 = 7 * SECOND_NS;

    /// Ten records a second in one partition for four seconds.
    fn cell() -> Cell {
        let text = "name = \"p\"\nwhy = \"w\"\n[topic]\npartitions = 1\n[load]\nrate = \"10/s\"\nwarmup = \"0 s\"\n\
                    duration = \"4 s\"\n[consumer]\n";
        let profile = profile::parse("p", text, &[], &()).expect("valid");
        plan::build(&[profile], &[]).expect("within limits").cells.remove(0)
    }

    fn ledger(records: u64) -> Ledger {
        Ledger {
            producer: ProducerId(0),
            incarnation: Incarnation(0),
            book: BookKey(0),
            closed: true,
            settled: [0; STATES],
            partitions: vec![PartitionLedger {
                partition: PartitionId(0),
                first_sequence: 0,
                next_sequence: records,
                runs: vec![],
            }],
            resends: vec![],
        }
    }

    /// A life that begins these at this instant after T0 and completes all but so many of them.
    fn life(number: u8, first: u64, count: u64, left: u64, begun_ns: u64) -> Journal {
        let copies = CopyRun {
            offset: first as i64,
            count,
            producer: ProducerId(0),
            incarnation: Incarnation(0),
            attempt: Default::default(),
            home: PartitionId(0),
            sequence: first,
            transaction: 0,
        };
        let begun_ns = T0_NS + begun_ns;
        let run = Processed {
            partition: PartitionId(0),
            copies,
            completed: count - left,
            begun_ns,
            completed_ns: begun_ns + 5,
            given_up: false,
            refused: false,
        };
        Journal {
            member: MemberId(0),
            incarnation: Incarnation(number),
            closed: number > 0,
            begun: count,
            completed: count - left,
            called: 0,
            answered: 0,
            entries: vec![Entry::Processed(run)],
        }
    }

    fn series(values: &[(usize, u64)]) -> Series {
        let mut series = Series::new(4);
        values.iter().for_each(|(second, count)| series.record_many(*second, 9, *count));
        series
    }

    fn statements() -> Statements {
        let reader = crate::wire::Done { ended_ns: T0_NS + 10 * SECOND_NS, ..Default::default() };
        Statements { t0_ns: T0_NS, reader, ..Statements::default() }
    }

    #[test]
    fn what_a_dead_life_did_took_at_least_until_it_was_begun_and_what_nobody_did_never_ends() {
        // A life that is killed with the 15th record begun; the next one is given only what is behind the 20th.
        let journals = [life(0, 0, 15, 1, 2 * SECOND_NS), life(1, 20, 20, 0, 5 * SECOND_NS)];
        let mut set = Set::default();
        set.insert("publish", series(&[(0, 10), (1, 10), (2, 10), (3, 10)]));
        set.insert("effect", series(&[(2, 10), (3, 10)]));
        statements().censor_unprocessed(&mut set, &cell(), &[ledger(40)], &journals);
        let effect = set.get("effect").expect("it is there");
        assert_eq!([0, 1, 2, 3].map(|second| effect.count(second)), [10; 4], "a value for each record");
        let cut = |second: usize| effect.summary(second..second + 1).expect("values").max_cut_ns;
        // The first was due at T0 and begun 2 s later; the 15th, due at 1.4 s, is never completed, nor are those behind it.
        assert_eq!((cut(0), cut(1)), (2 * SECOND_NS, 10 * SECOND_NS - 1_400_000_000));
        assert_eq!(effect.summary(0..5).expect("values").censored, 20);
        let in_hand = set.get("in_hand").expect("it was made").summary(1..2).expect("values");
        assert_eq!(in_hand.max_cut_ns, 10 * SECOND_NS - 1_500_000_000, "the 15th was in hand");
    }

    #[test]
    fn nothing_is_cut_off_where_every_record_has_its_value_and_none_was_sent_beyond() {
        let journals = [life(1, 0, 25, 0, 3 * SECOND_NS)];
        let mut set = Set::default();
        set.insert("publish", series(&[(0, 10), (1, 10), (2, 5)]));
        set.insert("in_hand", series(&[(0, 10), (1, 10), (2, 5)]));
        // One was timed by two members that did not know of each other.
        set.insert("effect", series(&[(0, 11), (1, 10), (2, 5)]));
        statements().censor_unprocessed(&mut set, &cell(), &[ledger(25)], &journals);
        let censored = |name: &str| set.get(name).and_then(|it| it.summary(0..5)).map(|it| it.censored);
        assert_eq!((censored("in_hand"), censored("effect")), (Some(0), Some(0)));
    }

    #[test]
    fn who_is_timed_twice_does_not_hide_who_is_lost() {
        let journals = [life(1, 0, 9, 0, SECOND_NS), life(2, 0, 9, 0, SECOND_NS)];
        let mut set = Set::default();
        set.insert("publish", series(&[(0, 10)]));
        set.insert("effect", series(&[(0, 18)]));
        statements().censor_unprocessed(&mut set, &cell(), &[ledger(10)], &journals);
        let effect = set.get("effect").and_then(|it| it.summary(0..1)).expect("values");
        assert_eq!((effect.count, effect.censored), (19, 1));
    }

    #[test]
    fn a_record_that_was_due_and_never_sent_is_due_all_the_same() {
        let mut set = Set::default();
        set.insert("publish", series(&[(0, 10), (1, 3)]));
        set.insert("effect", series(&[(0, 10)]));
        let journals = [life(1, 0, 10, 0, SECOND_NS)];
        statements().censor_unprocessed(&mut set, &cell(), &[ledger(10)], &journals);
        let effect = set.get("effect").and_then(|it| it.summary(0..5)).expect("values");
        assert_eq!((effect.count, effect.censored), (13, 3));
    }

    #[test]
    fn at_full_speed_the_number_of_records_counts() {
        let mut cell = cell();
        cell.settings.load.arrival = Arrival::Max;
        let mut set = Set::default();
        set.insert("publish", series(&[(0, 10), (1, 4)]));
        set.insert("effect", series(&[(0, 7), (1, 4)]));
        statements().censor_unprocessed(&mut set, &cell, &[ledger(14)], &[life(0, 0, 7, 0, 1)]);
        let effect = set.get("effect").and_then(|it| it.summary(0..5)).expect("values");
        assert_eq!((effect.count, effect.censored), (14, 3));
    }
}
