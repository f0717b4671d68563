//! Transactions of a pipeline against its output: each is visible as a whole or not at all, and not at all where it was never
//! committed. It sees rows, no log.

use super::TallyKind;
use super::findings::{Findings, Range};
use crate::effects::{EffectRun, Effects};
use crate::ids::Incarnation;
use crate::transactions::{Claim, Transactions};
use std::collections::BTreeMap;

/// The sums behind the tallies.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Transactions begun.
    pub(super) transactions: u64,
    /// Records handed over in those that were never committed.
    pub(super) never_committed: u64,
    /// What breaks I13: rows of transactions that nobody has begun, counters that differ.
    pub(super) faults: Vec<String>,
}

/// Finds torn and aborted transactions among the rows; the lives are of members, by their numbers.
pub(super) fn judge(lives: &[Transactions], effects: &Effects, findings: &mut Findings) -> Sums {
    let mut sums = Sums::default();
    let mut shown: BTreeMap<(u16, Incarnation, u32), (u64, &EffectRun)> = BTreeMap::new();
    for run in &effects.runs {
        let key = (run.member.0, run.life, run.copies.transaction);
        shown.entry(key).or_insert((0, run)).0 += run.copies.count;
    }
    for life in lives {
        let who = format!("member {}, life {}", life.producer, life.incarnation);
        let (counted, entered) = (life.answers, life.answers_by_entries());
        let off: u64 = counted.iter().zip(entered).map(|(a, b)| a.abs_diff(b)).sum();
        if off > u64::from(!life.closed) {
            sums.faults.push(format!("{who}: answers {entered:?} by entries, {counted:?} by counters"));
        }
        for one in &life.transactions {
            sums.transactions += 1;
            let claim = one.state.claim();
            if claim == Claim::NeverCommitted {
                sums.never_committed += one.records;
            }
            let key = (life.producer.0, life.incarnation, one.ordinal);
            let Some((rows, first)) = shown.remove(&key) else { continue };
            let range = |count| Range {
                producer: Some(first.copies.producer),
                partition: first.partition,
                sequence: Some(first.copies.sequence),
                offset: None,
                count,
            };
            if claim == Claim::NeverCommitted {
                findings.note(TallyKind::AbortedRead, range(rows), |_| None);
            }
            if rows < one.records {
                findings.note(TallyKind::TornTransaction, range(1), |_| None);
            }
            if rows > one.records {
                let ordinal = one.ordinal;
                sums.faults.push(format!(
                    "{who}: {rows} rows of transaction {ordinal}, {} handed over",
                    one.records
                ));
            }
        }
    }
    if let Some(((member, life, ordinal), (rows, _))) = shown.first_key_value() {
        sums.faults.push(format!(
            "{rows} rows of transaction {ordinal} of member {member}, life {life}: never begun"
        ));
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{MemberId, PartitionId, ProducerId};
    use crate::reading::CopyRun;
    use crate::transactions::{State, Transaction};

    fn life(states: &[State]) -> Transactions {
        let one = |(ordinal, state): (u32, &State)| Transaction {
            ordinal,
            state: *state,
            begun_ns: 1,
            called_ns: 2,
            answered_ns: 3,
            records: 3,
            first_sequences: Vec::new(),
        };
        let mut life = Transactions {
            producer: ProducerId(2),
            incarnation: Incarnation(1),
            closed: true,
            answers: [0; 4],
            transactions: (1..).zip(states).map(one).collect(),
        };
        life.answers = life.answers_by_entries();
        life
    }

    fn rows(of: &[(u32, u64)]) -> Effects {
        let mut next = 0;
        let run = |&(transaction, count): &(u32, u64)| {
            let copies = CopyRun {
                offset: next as i64,
                count,
                producer: ProducerId(0),
                incarnation: Incarnation(0),
                attempt: Default::default(),
                home: PartitionId(0),
                sequence: next,
                transaction,
            };
            next += count;
            let (partition, processing) = (PartitionId(0), next);
            EffectRun { partition, copies, member: MemberId(2), life: Incarnation(1), processing }
        };
        Effects { runs: of.iter().map(run).collect(), ..Effects::default() }
    }

    fn found(states: &[State], of: &[(u32, u64)]) -> (u64, u64, usize) {
        let mut findings = Findings::default();
        let sums = judge(&[life(states)], &rows(of), &mut findings);
        let count = |kind| findings.count(kind);
        (count(TallyKind::AbortedRead), count(TallyKind::TornTransaction), sums.faults.len())
    }

    #[test]
    fn a_transaction_is_visible_as_a_whole_or_not_at_all() {
        use State::{Aborted, CommitCalled, CommitFailed, Committed, Open};
        assert_eq!(found(&[Committed, Aborted, Open, CommitCalled], &[(1, 3)]), (0, 0, 0));
        assert_eq!(
            found(&[Committed, CommitFailed], &[(1, 3), (2, 3)]),
            (0, 0, 0),
            "unknown: all or nothing"
        );
        assert_eq!(found(&[Committed, CommitFailed], &[(1, 3), (2, 2)]), (0, 1, 0));
        assert_eq!(found(&[Committed, Aborted], &[(1, 2), (2, 3)]), (3, 1, 0));
        assert_eq!(found(&[Aborted, Open], &[(1, 1), (2, 3)]), (4, 1, 0));
        assert_eq!(found(&[Committed], &[(1, 4)]), (0, 0, 1), "more than were handed over");
        assert_eq!(found(&[Committed], &[(1, 3), (2, 1)]), (0, 0, 1), "a transaction that nobody has begun");
    }

    #[test]
    fn an_answer_may_be_missing_among_the_counters_of_a_life_that_was_killed() {
        let faults = |closed, missing| {
            let mut life = life(&[State::Committed, State::Committed]);
            (life.closed, life.answers[0]) = (closed, life.answers[0] - missing);
            judge(&[life], &rows(&[(1, 3), (2, 3)]), &mut Findings::default()).faults.len()
        };
        assert_eq!([faults(true, 0), faults(true, 1)], [0, 1]);
        assert_eq!([faults(false, 0), faults(false, 1), faults(false, 2)], [0, 0, 1]);
    }

    #[test]
    fn tallies_are_of_all_transactions_and_of_what_was_handed_over_in_vain() {
        let lives = [
            life(&[State::Committed, State::Aborted, State::CommitFailed, State::Committed]),
            Transactions { incarnation: Incarnation(2), ..life(&[State::Open]) },
        ];
        let sums = judge(&lives, &rows(&[(1, 3)]), &mut Findings::default());
        assert_eq!((sums.transactions, sums.never_committed), (5, 6));
    }
}
