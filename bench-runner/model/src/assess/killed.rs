//! What killed lives of producers took with them, and fenced ones left twice: their latencies. Their ledgers say which records they had sent and which
//! were answered, and the schedule says when each was due; nothing may look fast because a slow record is not counted.

use super::statements::Statements;
use crate::ids::{Incarnation, PartitionId, ProducerId};
use crate::latency::{Series, Set};
use crate::ledger::{Ledger, State};
use crate::plan::Cell;
use crate::schedule::{Course, Due, Placement, Schedule};
use std::collections::BTreeMap;

const SECOND_NS: u64 = 1_000_000_000;
/// The series of those that were timed twice.
pub(super) const AGAIN: &str = "again";

/// One producer's ledgers, by life.
struct Lane<'a> {
    lives: Vec<&'a Ledger>,
    /// The last life that has sent a record again, and what became of that.
    again: BTreeMap<(PartitionId, u64), (usize, State)>,
}

impl<'a> Lane<'a> {
    fn of(producer: ProducerId, ledgers: &'a [Ledger]) -> Self {
        let mut lives: Vec<&Ledger> = ledgers.iter().filter(|ledger| ledger.producer == producer).collect();
        lives.sort_by_key(|ledger| ledger.incarnation);
        let mut again = BTreeMap::new();
        for (life, ledger) in lives.iter().enumerate() {
            for resend in &ledger.resends {
                again.insert((resend.partition, resend.sequence), (life, resend.state));
            }
        }
        Lane { lives, again }
    }

    /// The life that sent a record last, and what became of that; `None`: nobody has sent it.
    fn last(&self, due: &Due) -> Option<(usize, State)> {
        self.again.get(&(due.partition, due.sequence)).copied().or_else(|| self.first(due))
    }

    /// The life that sent it first.
    fn first(&self, due: &Due) -> Option<(usize, State)> {
        self.lives.iter().enumerate().find_map(|(life, ledger)| {
            let part = ledger.partitions.iter().find(|part| part.partition == due.partition)?;
            let behind = part.runs.partition_point(|run| run.first_sequence + run.count <= due.sequence);
            let run = part.runs.get(behind).filter(|run| run.first_sequence <= due.sequence)?;
            Some((life, run.state))
        })
    }
}

/// Counts by second the records that two lives have timed.
fn again(set: &mut Set) -> &mut Series {
    if set.get(AGAIN).is_none() {
        let seconds = set.get("publish").map_or(0, Series::seconds);
        set.insert(AGAIN, Series::new(seconds));
    }
    set.get_mut(AGAIN).expect("it was put there")
}

/// When a life was killed, nanoseconds after T0, as far as it was seen.
fn killed_ns(statements: &Statements, producer: ProducerId, incarnation: Incarnation) -> u64 {
    use crate::fault::Victim::Producer;
    let deaths = statements.deaths.iter().filter(|end| {
        (end.death.worker, end.member.0, end.incarnation) == (Producer, producer.0, incarnation)
    });
    let kills = statements.kills.iter().filter(|done| {
        (done.kill.worker, done.kill.index, done.incarnation) == (Producer, producer.0, incarnation)
    });
    deaths.map(|end| end.seen_ns).chain(kills.map(|done| done.done_ns)).next().unwrap_or(0)
}

/// Adds the records of killed lives to their seconds: not answered, they are cut off at the kill; answered nobody knows how
/// soon, at 0, so that every percentile says "at least". Gives the number of the latter.
pub(super) fn cut_off(set: &mut Set, cell: &Cell, ledgers: &[Ledger], statements: &Statements) -> u64 {
    let (load, producer) = (&cell.settings.load, &cell.settings.producer);
    let mut untimed = 0;
    for number in (0..load.producers).map(ProducerId) {
        let lane = Lane::of(number, ledgers);
        if lane.again.is_empty() && lane.lives.iter().all(|ledger| ledger.closed) {
            continue;
        }
        let partitions = cell.settings.topic.partitions;
        let in_a_row_bytes = producer.in_a_row_bytes(partitions, load.record_bytes);
        let course = Course {
            schedule: Schedule::new(load, cell.seed, number),
            placement: Placement::new(partitions, number, in_a_row_bytes, load.record_bytes),
        };
        for due in course {
            let Some((life, state)) = lane.last(&due) else { break };
            let second = usize::try_from(due.due_ns / SECOND_NS).unwrap_or(usize::MAX);
            // A life that was fenced has timed it as well.
            if lane.first(&due).is_some_and(|(first, _)| first != life && lane.lives[first].closed) {
                again(set).censor(second, 0);
            }
            let ledger = lane.lives[life];
            if ledger.closed {
                continue;
            }
            let cut_ns = match state {
                State::Unreported => {
                    killed_ns(statements, number, ledger.incarnation).saturating_sub(due.due_ns)
                }
                _ => 0,
            };
            untimed += u64::from(state != State::Unreported);
            for name in ["publish", "service"] {
                let Some(series) = set.get_mut(name) else { continue };
                match state {
                    State::NotPersisted | State::Rejected => series.fail(second, 0),
                    // A resend's service time began later than the record was due.
                    _ if name == "service" => series.censor(second, 0),
                    _ => series.censor(second, cut_ns),
                }
            }
        }
    }
    untimed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::KillRecord;
    use crate::ids::{Attempt, BookKey};
    use crate::ledger::{LedgerMut, RESEND_BYTES, file_bytes, read};
    use crate::{plan, profile};

    const P: PartitionId = PartitionId(0);

    /// Ten records a second in one partition; the producer is killed at 2.5 s.
    fn cell() -> Cell {
        let text = "name = \"p\"\nwhy = \"w\"\n[topic]\npartitions = 1\n[load]\nrate = \"10/s\"\nwarmup = \"0 s\"\n\
                    duration = \"4 s\"\n[[kill]]\nworker = \"producer\"\nat = \"2.5 s\"\n";
        let profile = profile::parse("p", text, &[], &()).expect("valid");
        plan::build(&[profile], &[]).expect("within limits").cells.remove(0)
    }

    /// A life that sends these, and sends those again.
    fn life(number: u8, first: u64, states: &[State], again: &[(u64, State)], closed: bool) -> Ledger {
        let mut bytes = vec![0; file_bytes(1, 40) + again.len() * RESEND_BYTES];
        let mut ledger =
            LedgerMut::create_after(&mut bytes, ProducerId(0), Incarnation(number), BookKey(1), 40, &[first]);
        for (sequence, state) in (first..).zip(states) {
            ledger.begin(P, sequence, 1);
            if *state != State::Unreported {
                ledger.settle(P, sequence, *state);
            }
        }
        for (sequence, state) in again {
            let place = ledger.begin_resend(P, *sequence, Attempt(1)).expect("room");
            ledger.settle_resend(place, *state);
        }
        if closed {
            ledger.close();
        }
        read(&bytes).expect("a ledger")
    }

    #[test]
    fn answered_records_of_a_killed_life_are_at_least_0_old_and_others_as_old_as_they_were_then() {
        use State::{Acked, Unreported};
        let cell = cell();
        let states: Vec<State> =
            (0..24).map(|sequence| if sequence < 21 { Acked } else { Unreported }).collect();
        let killed = life(0, 0, &states, &[], false);
        // The next life sends two of the three again, and all that is left.
        let next = life(1, 24, &[Acked; 16], &[(21, Acked), (22, Acked)], true);
        let record = KillRecord {
            kill: cell.kills[0],
            incarnation: Incarnation(0),
            done_ns: 2_500_000_000,
            exit: String::new(),
            as_planned: true,
        };
        let mut statements = Statements { kills: vec![record], ..Statements::default() };
        let mut set = Set::default();
        let mut publish = Series::new(4);
        (0..18).for_each(|_| publish.record(3, 7));
        set.insert("publish", publish);
        statements.cut_off_killed(&mut set, &cell, &[killed, next]);
        assert_eq!(statements.untimed, 21);
        let publish = set.get("publish").expect("it is there");
        assert_eq!([0, 1, 2].map(|second| publish.count(second)), [10, 10, 2]);
        assert_eq!([0, 1, 2, 3].map(|second| publish.ended(second)), [0, 0, 0, 18]);
        // Record 23 was due at 2.3 s.
        let third = publish.summary(2..3).expect("two records");
        assert_eq!((third.censored, third.max_cut_ns), (2, 200_000_000));
    }

    #[test]
    fn what_a_fenced_life_has_timed_and_the_next_one_has_sent_again_is_one_record() {
        use State::Acked;
        let fenced = life(0, 0, &[Acked; 12], &[], true);
        let next = life(1, 12, &[Acked; 28], &[(9, Acked), (10, Acked), (11, Acked)], true);
        let mut set = Set::default();
        set.insert("publish", Series::new(4));
        assert_eq!(cut_off(&mut set, &cell(), &[fenced, next], &Statements::default()), 0);
        let again = set.get(AGAIN).expect("it is there");
        assert_eq!([0, 1, 2].map(|second| again.count(second)), [1, 2, 0]);
        assert_eq!(set.get("publish").expect("it is there").count(0), 0);
    }

    #[test]
    fn without_killed_lives_nothing_is_cut_off() {
        let mut set = Set::default();
        set.insert("publish", Series::new(4));
        let ledgers = [life(0, 0, &[State::Acked; 40], &[], true)];
        assert_eq!(cut_off(&mut set, &cell(), &ledgers, &Statements::default()), 0);
        assert_eq!(set.get("publish").expect("it is there").count(0), 0);
    }
}
