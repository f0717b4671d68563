//! What a producer's earlier lives leave to the next one: where sequences go on, and which records have no known fate.
//! It judges nothing.

use super::{Ledger, State};
use crate::ids::{Attempt, PartitionId};
use std::collections::BTreeMap;

/// See the file's purpose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Legacy {
    /// By partition, the sequence that comes next.
    pub next_sequences: Vec<u64>,
    /// Records that were begun in all earlier lives.
    pub records: u64,
    /// Records of which no attempt was answered for certain, each with its last attempt.
    pub unknown: BTreeMap<(PartitionId, u64), Attempt>,
}

impl Legacy {
    /// Of the ledgers of one producer's earlier lives, the first one first; without any: a first life's.
    pub fn of(earlier: &[Ledger], partitions: u16) -> Self {
        let mut legacy = Legacy { next_sequences: vec![0; usize::from(partitions)], ..Legacy::default() };
        for ledger in earlier {
            legacy.add(ledger);
        }
        legacy
    }

    fn add(&mut self, ledger: &Ledger) {
        for part in &ledger.partitions {
            if let Some(next) = self.next_sequences.get_mut(usize::from(part.partition.0)) {
                *next = part.next_sequence;
            }
            self.records += part.next_sequence - part.first_sequence;
            for run in part.runs.iter().filter(|run| is_open(run.state)) {
                let sequences = run.first_sequence..run.first_sequence + run.count;
                self.unknown.extend(sequences.map(|sequence| ((part.partition, sequence), Attempt(0))));
            }
        }
        for resend in &ledger.resends {
            let record = (resend.partition, resend.sequence);
            match resend.state {
                State::Acked | State::Sent => {
                    self.unknown.remove(&record);
                }
                // Whatever became of this attempt, the one before it may be written.
                _ => {
                    self.unknown.insert(record, resend.attempt);
                }
            }
        }
    }
}

/// May be written or not.
fn is_open(state: State) -> bool {
    matches!(state, State::Unreported | State::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{BookKey, Incarnation, ProducerId};
    use crate::ledger::{LedgerMut, RESEND_BYTES, file_bytes, read};

    fn life(number: u8, firsts: &[u64], states: &[(u16, State)], resends: &[(u64, u8, State)]) -> Ledger {
        let mut bytes = vec![0; file_bytes(2, 16) + resends.len() * RESEND_BYTES];
        let mut ledger =
            LedgerMut::create_after(&mut bytes, ProducerId(0), Incarnation(number), BookKey(1), 16, firsts);
        for (partition, state) in states {
            let partition = PartitionId(*partition);
            let sequence = ledger.next_sequence(partition);
            ledger.begin(partition, sequence, 1);
            if *state != State::Unreported {
                ledger.settle(partition, sequence, *state);
            }
        }
        for (sequence, attempt, state) in resends {
            let place = ledger.begin_resend(PartitionId(1), *sequence, Attempt(*attempt)).expect("room");
            if *state != State::Unreported {
                ledger.settle_resend(place, *state);
            }
        }
        read(&bytes).expect("a ledger")
    }

    #[test]
    fn a_first_life_inherits_nothing() {
        assert_eq!(Legacy::of(&[], 2), Legacy { next_sequences: vec![0, 0], ..Legacy::default() });
    }

    #[test]
    fn sequences_go_on_and_what_no_life_has_learnt_the_fate_of_is_unknown() {
        use State::{Acked, NotPersisted, Unknown, Unreported};
        let first = life(0, &[0, 0], &[(0, Acked), (1, Unreported), (1, Unknown), (1, NotPersisted)], &[]);
        let once = Legacy::of(std::slice::from_ref(&first), 2);
        assert_eq!((once.next_sequences, once.records), (vec![1, 3], 4));
        let record = |sequence| (PartitionId(1), sequence);
        assert_eq!(once.unknown, [(record(0), Attempt(0)), (record(1), Attempt(0))].into());

        let second = life(1, &[1, 3], &[(0, Unreported)], &[(0, 1, Acked), (1, 1, Unreported)]);
        let twice = Legacy::of(&[first, second], 2);
        assert_eq!((twice.next_sequences, twice.records), (vec![2, 3], 5));
        assert_eq!(twice.unknown, [((PartitionId(0), 1), Attempt(0)), (record(1), Attempt(1))].into());
    }
}
