//! Which records of a producer's earlier lives are in no transaction that is known to be committed, so that the next life can
//! send them again. It judges nothing.

use super::{Claim, State, Transaction, Transactions};
use crate::ids::{Attempt, PartitionId};
use crate::ledger::{self, Ledger};
use std::collections::{BTreeMap, BTreeSet};

/// A record: its home partition and its sequence there.
pub type Record = (PartitionId, u64);

/// See the file's purpose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uncommitted {
    /// Records to be sent again, each with its last attempt; what was aborted on purpose is not among them.
    pub records: BTreeMap<Record, Attempt>,
    /// Those of them that an unanswered commit may have made visible: once the transactional id is taken over, the log at
    /// read_committed says so, and nothing else does.
    pub doubtful: BTreeSet<Record>,
}

impl Uncommitted {
    /// Of one producer's earlier lives, the first one first; `on_purpose` says which ordinals are aborted whatever happens.
    pub fn of(ledgers: &[Ledger], lives: &[Transactions], on_purpose: impl Fn(u32) -> bool) -> Self {
        let mut left = Uncommitted::default();
        for ledger in ledgers {
            let of_life = |life: &&Transactions| life.incarnation == ledger.incarnation;
            let Some(life) = lives.iter().find(of_life) else { continue };
            left.add(ledger, &life.transactions, &on_purpose);
        }
        left
    }

    fn add(&mut self, ledger: &Ledger, all: &[Transaction], on_purpose: &impl Fn(u32) -> bool) {
        for part in &ledger.partitions {
            let index = usize::from(part.partition.0);
            let first = |one: &Transaction| one.first_sequences.get(index).copied().unwrap_or(u64::MAX);
            for run in part.runs.iter().filter(|run| run.state != ledger::State::Rejected) {
                for sequence in run.first_sequence..run.first_sequence + run.count {
                    let behind = all.partition_point(|one| first(one) <= sequence);
                    let Some(one) = behind.checked_sub(1).and_then(|at| all.get(at)) else { continue };
                    self.note((part.partition, sequence), Attempt(0), one, on_purpose);
                }
            }
        }
        for resend in ledger.resends.iter().filter(|resend| resend.state != ledger::State::Rejected) {
            let Some(one) = (resend.transaction as usize).checked_sub(1).and_then(|at| all.get(at)) else {
                continue;
            };
            self.note((resend.partition, resend.sequence), resend.attempt, one, on_purpose);
        }
    }

    fn note(
        &mut self,
        record: Record,
        attempt: Attempt,
        one: &Transaction,
        on_purpose: &impl Fn(u32) -> bool,
    ) {
        let aborted = matches!(one.state, State::AbortCalled | State::Aborted | State::AbortFailed);
        match one.state.claim() {
            Claim::Committed => {
                self.records.remove(&record);
                self.doubtful.remove(&record);
            }
            Claim::NeverCommitted if aborted && on_purpose(one.ordinal) => {
                self.records.remove(&record);
                self.doubtful.remove(&record);
            }
            Claim::NeverCommitted => {
                self.records.insert(record, attempt);
            }
            Claim::CommitUnknown => {
                self.records.insert(record, attempt);
                self.doubtful.insert(record);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{BookKey, Incarnation, ProducerId};
    use crate::ledger::{LedgerMut, RESEND_BYTES, file_bytes, read};

    const P: PartitionId = PartitionId(0);

    /// A life that sends two records in each transaction, and those again.
    fn life(
        number: u8,
        first: u64,
        states: &[State],
        again: &[(u64, u8, u32)],
        refused: &[u64],
    ) -> (Ledger, Transactions) {
        let mut bytes = vec![0; file_bytes(1, 32) + again.len() * RESEND_BYTES];
        let mut ledger =
            LedgerMut::create_after(&mut bytes, ProducerId(0), Incarnation(number), BookKey(1), 32, &[first]);
        let transactions = (1..).zip(states).map(|(ordinal, state)| Transaction {
            ordinal,
            state: *state,
            begun_ns: 1,
            called_ns: 2,
            answered_ns: 3,
            records: 2,
            first_sequences: vec![first + 2 * (u64::from(ordinal) - 1)],
        });
        ledger.begin(P, first, 2 * states.len() as u64);
        for sequence in refused {
            ledger.settle(P, *sequence, ledger::State::Rejected);
        }
        for (sequence, attempt, transaction) in again {
            ledger.begin_resend_in(P, *sequence, Attempt(*attempt), *transaction).expect("room");
        }
        let life = Transactions {
            producer: ProducerId(0),
            incarnation: Incarnation(number),
            closed: false,
            answers: [0; 4],
            transactions: transactions.collect(),
        };
        (read(&bytes).expect("a ledger"), life)
    }

    fn left(lives: &[(Ledger, Transactions)]) -> (Vec<(u64, u8)>, Vec<u64>) {
        let (ledgers, transactions): (Vec<Ledger>, Vec<Transactions>) = lives.iter().cloned().unzip();
        let Uncommitted { records, doubtful } =
            Uncommitted::of(&ledgers, &transactions, |ordinal| ordinal == 3);
        let records = records.iter().map(|(record, attempt)| (record.1, attempt.0)).collect();
        (records, doubtful.iter().map(|record| record.1).collect())
    }

    #[test]
    fn what_is_not_known_to_be_committed_is_left_unless_it_was_aborted_on_purpose() {
        use State::{AbortFailed, Aborted, CommitCalled, Committed, Open};
        assert_eq!(left(&[]), (vec![], vec![]));
        let states = [Committed, Aborted, Aborted, CommitCalled, Open];
        let first = life(0, 0, &states, &[], &[3, 9]);
        assert_eq!(left(std::slice::from_ref(&first)), (vec![(2, 0), (6, 0), (7, 0), (8, 0)], vec![6, 7]));
        // The next life has committed two of them, aborted one on purpose, and died with the fourth in the open.
        let again = [(2, 1, 1), (6, 1, 1), (7, 1, 3), (8, 1, 4)];
        let second = life(1, 10, &[Committed, Committed, AbortFailed, Open], &again, &[]);
        let both = left(&[first, second]);
        assert_eq!(both, (vec![(8, 1), (16, 0), (17, 0)], vec![]));
    }
}
