//! A slow, obvious model of the verdict: every definition as one search over single records and copies. The streaming
//! judge must agree with it on random histories.

use super::history::{Attempted, History, Id, Slot, settings, verdict};
use super::{Class, ClassCount, Contingency, Exhibits, Offender, TallyKind, Upsets, judge};
use crate::ids::{PartitionId, ProducerId};
use crate::ledger::State;
use crate::reading::LogReading;
use crate::settings::Acks;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Copied {
    id: Id,
    partition: u16,
    offset: i64,
}

impl Copied {
    fn is_home(&self) -> bool {
        self.id.home == self.partition
    }
}

fn copies(history: &History) -> Vec<Copied> {
    let partition = |(partition, log): (usize, &Vec<Slot>)| {
        let copy = move |(offset, slot): (usize, &Slot)| match slot {
            Slot::Copy(id) => Some(Copied { id: *id, partition: partition as u16, offset: offset as i64 }),
            _ => None,
        };
        log.iter().enumerate().filter_map(copy).collect::<Vec<_>>()
    };
    history.logs.iter().enumerate().flat_map(partition).collect()
}

fn record(id: Id) -> (u16, u16, u64) {
    (id.producer, id.home, id.sequence)
}

fn class(history: &History, of: (u16, u16, u64)) -> Option<Class> {
    let attempts: Vec<&Attempted> = history.attempts.iter().filter(|a| record(a.id) == of).collect();
    let any = |states: &[State]| attempts.iter().any(|a| states.contains(&a.state));
    if attempts.is_empty() {
        None
    } else if any(&[State::Acked]) {
        Some(Class::Acked)
    } else if any(&[State::Sent]) {
        Some(Class::Sent)
    } else if any(&[State::Unknown, State::Unreported]) {
        Some(Class::Unknown)
    } else if any(&[State::NotPersisted]) {
        Some(Class::NotPersisted)
    } else {
        Some(Class::Rejected)
    }
}

#[derive(Debug, Default, PartialEq)]
struct Model {
    classes: BTreeMap<Class, ClassCount>,
    contingency: Vec<Contingency>,
    tallies: BTreeMap<TallyKind, (u64, Vec<Offender>)>,
    records: u64,
    attempts: u64,
    copies: u64,
}

fn sort_key(o: &Offender) -> (PartitionId, Option<ProducerId>, Option<u64>, Option<i64>, Option<Class>) {
    (o.partition, o.producer, o.sequence, o.offset, o.class)
}

impl Model {
    fn note(
        &mut self,
        kind: TallyKind,
        partition: u16,
        id: Option<Id>,
        offset: Option<i64>,
        class: Option<Class>,
    ) {
        let (count, offenders) = self.tallies.entry(kind).or_default();
        *count += 1;
        let producer = id.map(|id| ProducerId(id.producer));
        let sequence = id.map(|id| id.sequence);
        let offender = Offender { producer, partition: PartitionId(partition), sequence, offset, class };
        if !offenders.contains(&offender) {
            offenders.push(offender);
        }
    }

    fn of(history: &History) -> Self {
        let mut model = Model { attempts: history.attempts.len() as u64, ..Model::default() };
        for kind in
            TallyKind::ALL.into_iter().filter(|kind| !kind.is_of_group() && !kind.is_of_transactions())
        {
            model.tallies.insert(kind, (0, Vec::new()));
        }
        for &class in Class::of_cell(false) {
            model.classes.insert(class, ClassCount::default());
            model.contingency.push(Contingency {
                class,
                copies_0: 0,
                copies_1: 0,
                copies_2: 0,
                alike: vec![],
            });
        }
        let all = copies(history);
        model.entries(history);
        for copy in &all {
            model.copy(history, &all, copy);
        }
        for first in history.attempts.iter().filter(|a| a.id.attempt == 0) {
            model.record(history, &all, first.id);
        }
        for (_, offenders) in model.tallies.values_mut() {
            offenders.sort_by_key(sort_key);
            offenders.truncate(32);
        }
        model
    }

    fn entries(&mut self, history: &History) {
        for (partition, log) in (0..).zip(&history.logs) {
            for (offset, slot) in (0..).zip(log) {
                let kind = match slot {
                    Slot::Alien => TallyKind::Alien,
                    Slot::Corrupt => TallyKind::Corrupt,
                    Slot::Gap => TallyKind::OffsetGap,
                    Slot::Copy(_) | Slot::Control => continue,
                };
                self.note(kind, partition, None, Some(offset), None);
            }
            self.copies +=
                log.iter().filter(|slot| !matches!(slot, Slot::Gap | Slot::Control)).count() as u64;
        }
    }

    fn copy(&mut self, history: &History, all: &[Copied], copy: &Copied) {
        let (id, offset) = (copy.id, Some(copy.offset));
        let class = class(history, record(id));
        if !copy.is_home() {
            self.note(TallyKind::Misplaced, copy.partition, Some(id), offset, class);
        }
        let Some(attempt) = history.attempts.iter().find(|a| a.id == id) else {
            self.note(TallyKind::Unledgered, copy.partition, Some(id), offset, class);
            return;
        };
        if attempt.state == State::NotPersisted {
            self.note(TallyKind::Phantom, copy.partition, Some(id), offset, class);
        }
        // Of several copies of one attempt the one at home is the first, then the one of the lowest partition.
        let place = |c: &Copied| (!c.is_home(), c.partition, c.offset);
        if all.iter().any(|other| other.id == id && place(other) < place(copy)) {
            self.note(TallyKind::DuplicateSameAttempt, id.home, Some(id), offset, class);
            return;
        }
        let overtaken = |other: &Copied| {
            let same = (other.id.producer, other.id.home, other.id.life, other.id.attempt);
            other.is_home()
                && same == (id.producer, id.home, id.life, 0)
                && other.id.sequence > id.sequence
                && other.offset < copy.offset
                && history.attempts.iter().any(|a| a.id == other.id)
        };
        if id.attempt == 0 && copy.is_home() && all.iter().any(overtaken) {
            self.note(TallyKind::Reorder, id.home, Some(id), offset, class);
        }
    }

    fn record(&mut self, history: &History, all: &[Copied], id: Id) {
        let class = class(history, record(id)).expect("it was attempted");
        let attempts: Vec<Id> =
            history.attempts.iter().map(|a| a.id).filter(|other| record(*other) == record(id)).collect();
        let copies = |id: Id| all.iter().filter(|copy| copy.id == id).count() as u64;
        let count: u64 = attempts.iter().map(|id| copies(*id)).sum();
        self.records += 1;
        let sums = self.classes.get_mut(&class).expect("every class");
        sums.records += 1;
        sums.present += u64::from(count > 0);
        sums.absent += u64::from(count == 0);
        let row = self.contingency.iter_mut().find(|row| row.class == class).expect("every class");
        match count {
            0 => row.copies_0 += 1,
            1 => row.copies_1 += 1,
            _ => row.copies_2 += 1,
        }
        let same: u64 = attempts.iter().map(|id| copies(*id).saturating_sub(1)).sum();
        for _ in same..count.saturating_sub(1) {
            self.note(TallyKind::DuplicateCrossAttempt, id.home, Some(id), None, Some(class));
        }
        let kind = match (class, count) {
            (Class::Acked, 0) => TallyKind::LogLoss,
            (Class::Sent, 0) => TallyKind::Acks0Drop,
            (Class::Unknown, 0) => TallyKind::UnknownAbsent,
            (Class::Unknown, _) => TallyKind::UnknownPresent,
            _ => return,
        };
        self.note(kind, id.home, Some(id), None, Some(class));
    }
}

/// How often a copy of one attempt is in the log, how far it is displaced, and whether into another partition.
type Fate = Vec<(u8, bool)>;

fn a_fate() -> impl Strategy<Value = Fate> {
    let place = || (prop_oneof![6 => Just(0_u8), 2 => 0_u8..8], prop::bool::weighted(0.05));
    prop_oneof![
        8 => prop::collection::vec(place(), 1..2),
        1 => Just(Vec::new()),
        2 => prop::collection::vec(place(), 2..4),
    ]
}

fn a_state() -> impl Strategy<Value = State> {
    prop_oneof![4 => Just(State::Acked), 3 => prop::sample::select(&State::ALL[1..])]
}

fn a_record() -> impl Strategy<Value = Vec<(State, Fate)>> {
    prop_oneof![
        6 => prop::collection::vec((a_state(), a_fate()), 1..2),
        1 => prop::collection::vec((a_state(), a_fate()), 2..4),
    ]
}

fn a_slot() -> impl Strategy<Value = Slot> {
    let stray = (0_u16..3, 0_u16..2, 0_u64..20, 0_u8..3, 0_u8..3).prop_map(
        |(producer, home, sequence, attempt, life)| {
            Slot::Copy(Id { producer, home, sequence, attempt, life })
        },
    );
    prop_oneof![stray, Just(Slot::Alien), Just(Slot::Corrupt), Just(Slot::Control), Just(Slot::Gap)]
}

prop_compose! {
    /// Two producers of two lives in two partitions.
    fn a_history()(
        lanes in prop::collection::vec((prop::collection::vec(a_record(), 0..14), 0_usize..14), 4),
        strays in prop::collection::vec((0_usize..2, any::<prop::sample::Index>(), a_slot()), 0..6),
    ) -> History {
        let mut attempts = Vec::new();
        let mut placed: [Vec<(usize, Slot)>; 2] = Default::default();
        for (lane, (records, second_life)) in lanes.into_iter().enumerate() {
            let (producer, home) = (lane as u16 / 2, lane as u16 % 2);
            for (sequence, sends) in records.into_iter().enumerate() {
                for (attempt, (state, fate)) in sends.into_iter().enumerate() {
                    // A resend belongs to the same life or to the next one.
                    let life = u8::from(sequence >= second_life || attempt > 1);
                    let id = Id { producer, home, sequence: sequence as u64, attempt: attempt as u8, life };
                    attempts.push(Attempted { id, state });
                    for (late, misplaced) in fate {
                        let partition = usize::from(home) ^ usize::from(misplaced);
                        placed[partition].push((sequence * 3 + usize::from(late) * 2, Slot::Copy(id)));
                    }
                }
            }
        }
        let mut logs: Vec<Vec<Slot>> = placed
            .into_iter()
            .map(|mut log| {
                log.sort_by_key(|(place, _)| *place);
                log.into_iter().map(|(_, slot)| slot).collect()
            })
            .collect();
        for (partition, at, slot) in strays {
            let at = at.index(logs[partition].len() + 1);
            logs[partition].insert(at, slot);
        }
        History { attempts, logs }
    }
}

/// Every partition of every reading as a reading of its own, in an order given by `keys`.
fn shards(readings: &[LogReading], keys: &[u8]) -> Vec<LogReading> {
    let mut shards: Vec<LogReading> = readings
        .iter()
        .flat_map(|reading| {
            let shard =
                |part: &_| LogReading { source: reading.source, partitions: vec![Clone::clone(part)] };
            reading.partitions.iter().map(shard).collect::<Vec<_>>()
        })
        .collect();
    let mut keys = keys.iter().cycle();
    shards.sort_by_cached_key(|_| keys.next().copied());
    shards
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn the_judge_agrees_with_the_obvious_model(history in a_history()) {
        let verdict = history.verdict();
        let found = Model {
            classes: verdict.classes.clone(),
            contingency: verdict.contingency.clone(),
            tallies: verdict.tallies.iter().map(|(kind, t)| (*kind, (t.count, t.offenders.clone()))).collect(),
            records: verdict.records,
            attempts: verdict.attempts,
            copies: verdict.copies,
        };
        prop_assert_eq!(found, Model::of(&history));
        let rejected = |copy: &Copied| {
            history.attempts.iter().any(|a| a.id == copy.id && a.state == State::Rejected)
        };
        let rejected = copies(&history).iter().any(rejected);
        for identity in &verdict.identities {
            prop_assert_eq!(identity.holds, identity.name != "I4" || !rejected, "{:?}", identity);
        }
        prop_assert_eq!(verdict.inconclusive, None);
    }

    #[test]
    fn shards_and_ledgers_in_any_order_give_the_same_verdict(history in a_history(), keys in prop::collection::vec(any::<u8>(), 6)) {
        let mut ledgers = history.ledgers();
        ledgers.reverse();
        prop_assert_eq!(verdict(&history, &ledgers, &shards(&history.readings(), &keys)), history.verdict());
    }

    #[test]
    fn a_stored_verdict_is_the_same_verdict(history in a_history()) {
        let verdict = history.verdict();
        let text = serde_json::to_string(&verdict).expect("serialises");
        prop_assert_eq!(serde_json::from_str::<super::Verdict>(&text).expect("parses"), verdict);
    }
}

#[test]
fn nothing_sent_is_nothing_wrong() {
    let history = History { attempts: vec![], logs: vec![vec![]] };
    let readings = history.readings();
    let exhibits = Exhibits {
        ledgers: &[],
        readings: &readings,
        transactions: &[],
        journals: &[],
        effects: None,
        pipelines: &[],
        output: &[],
    };
    let verdict = judge(&settings(Acks::One, 1), Upsets::NONE, exhibits, Ok(()));
    assert!(!verdict.is_void() && verdict.inconclusive.is_none(), "{verdict:?}");
}
