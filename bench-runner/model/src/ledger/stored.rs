//! Ledgers as text beside a result: one line per ledger, partition, run and resend. The byte form stays with the worker.

use super::{Ledger, PartitionLedger, Resend, STATES, State, StateRun, TextError, frame};
use crate::ids::{Attempt, BookKey, Incarnation, PartitionId, ProducerId};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Ledger {
        producer: ProducerId,
        incarnation: Incarnation,
        book: BookKey,
        closed: bool,
        settled: [u64; STATES],
    },
    Partition {
        partition: PartitionId,
        first_sequence: u64,
        next_sequence: u64,
    },
    /// First sequence, count, state.
    Run(u64, u64, State),
    /// Partition, sequence, attempt, state.
    Resend(PartitionId, u64, Attempt, State),
    /// The same, and the transaction's ordinal.
    TransactionResend(PartitionId, u64, Attempt, State, u32),
}

/// Writes ledgers as JSON Lines with a closing line.
pub fn to_jsonl(ledgers: &[Ledger]) -> String {
    frame::write(ledgers.iter().flat_map(lines))
}

fn lines(ledger: &Ledger) -> Vec<Line> {
    let &Ledger { producer, incarnation, book, closed, settled, .. } = ledger;
    let mut lines = vec![Line::Ledger { producer, incarnation, book, closed, settled }];
    for &PartitionLedger { partition, first_sequence, next_sequence, ref runs } in &ledger.partitions {
        lines.push(Line::Partition { partition, first_sequence, next_sequence });
        lines.extend(runs.iter().map(|run| Line::Run(run.first_sequence, run.count, run.state)));
    }
    lines.extend(ledger.resends.iter().map(|r| match r.transaction {
        0 => Line::Resend(r.partition, r.sequence, r.attempt, r.state),
        transaction => Line::TransactionResend(r.partition, r.sequence, r.attempt, r.state, transaction),
    }));
    lines
}

/// Reads what [`to_jsonl`] wrote.
///
/// # Errors
/// When the text is torn or changed, or is no ledger.
pub fn from_jsonl(text: &str) -> Result<Vec<Ledger>, TextError> {
    let mut ledgers: Vec<Ledger> = Vec::new();
    for (index, line) in frame::read(text)?.into_iter().enumerate() {
        let stray = |what: &str| TextError::Line { line: index as u64 + 1, what: what.to_owned() };
        match line {
            Line::Ledger { producer, incarnation, book, closed, settled } => ledgers.push(Ledger {
                producer,
                incarnation,
                book,
                closed,
                settled,
                partitions: Vec::new(),
                resends: Vec::new(),
            }),
            Line::Partition { partition, first_sequence, next_sequence } => {
                let ledger = ledgers.last_mut().ok_or_else(|| stray("a partition before any ledger"))?;
                let runs = Vec::new();
                ledger.partitions.push(PartitionLedger { partition, first_sequence, next_sequence, runs });
            }
            Line::Run(first_sequence, count, state) => {
                let partition = ledgers.last_mut().and_then(|ledger| ledger.partitions.last_mut());
                let runs = &mut partition.ok_or_else(|| stray("a run before any partition"))?.runs;
                if count == 0 || state == State::Empty || first_sequence.checked_add(count).is_none() {
                    return Err(stray("a run of no records, of no state, or beyond the last sequence"));
                }
                runs.push(StateRun { first_sequence, count, state });
            }
            Line::Resend(partition, sequence, attempt, state) => {
                let ledger = ledgers.last_mut().ok_or_else(|| stray("a resend before any ledger"))?;
                ledger.resends.push(Resend { partition, sequence, attempt, state, transaction: 0 });
            }
            Line::TransactionResend(partition, sequence, attempt, state, transaction) => {
                let ledger = ledgers.last_mut().ok_or_else(|| stray("a resend before any ledger"))?;
                ledger.resends.push(Resend { partition, sequence, attempt, state, transaction });
            }
        }
    }
    Ok(ledgers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{LedgerMut, RESEND_BYTES, file_bytes, read};
    use proptest::prelude::*;

    const P: PartitionId = PartitionId(1);

    fn written(states: &[State], resends: &[State], closed: bool) -> Vec<u8> {
        let mut bytes = vec![0xff; file_bytes(2, 64) + 8 * RESEND_BYTES];
        let firsts = [0, 1000];
        let mut ledger =
            LedgerMut::create_after(&mut bytes, ProducerId(3), Incarnation(1), BookKey(9), 64, &firsts);
        for (sequence, state) in (1000..).zip(states) {
            ledger.begin(P, sequence, 1);
            if *state != State::Unreported {
                ledger.settle(P, sequence, *state);
            }
        }
        for (sequence, state) in (5..).zip(resends) {
            let transaction = sequence as u32 % 3;
            let place =
                ledger.begin_resend_in(PartitionId(0), sequence, Attempt(1), transaction).expect("room");
            if *state != State::Unreported {
                ledger.settle_resend(place, *state);
            }
        }
        if closed {
            ledger.close();
        }
        bytes
    }

    fn states(most: usize) -> impl Strategy<Value = Vec<State>> {
        prop::collection::vec(prop::sample::select(&State::ALL[1..]), 0..most)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_from_bytes_and_text(begun in states(64), again in states(8), closed: bool) {
            let ledger = read(&written(&begun, &again, closed)).expect("a ledger");
            prop_assert_eq!(ledger.closed, closed);
            let part = &ledger.partitions[1];
            let unpacked: Vec<State> =
                part.runs.iter().flat_map(|run| std::iter::repeat_n(run.state, run.count as usize)).collect();
            prop_assert_eq!(&unpacked, &begun);
            prop_assert_eq!((part.first_sequence, part.next_sequence), (1000, 1000 + begun.len() as u64));
            prop_assert_eq!(ledger.resends.iter().map(|resend| resend.state).collect::<Vec<_>>(), again.clone());
            prop_assert!(ledger.resends.iter().all(|resend| u64::from(resend.transaction) == resend.sequence % 3));
            for state in State::ALL.into_iter().filter(|state| *state != State::Unreported) {
                let expected = begun.iter().chain(&again).filter(|other| **other == state).count() as u64;
                prop_assert_eq!(ledger.settled[state as usize], expected);
            }
            let both = vec![ledger.clone(), ledger];
            prop_assert_eq!(from_jsonl(&to_jsonl(&both)), Ok(both));
        }

        #[test]
        fn no_changed_byte_in_use_of_a_closed_ledger_goes_unnoticed(begun in states(64), at: prop::sample::Index, flip in 1_u8..) {
            let mut bytes = written(&begun, &[], true);
            let region = file_bytes(2, 64) - 64;
            let used: Vec<usize> = (0..region - 64).chain(region..region + begun.len()).collect();
            bytes[used[at.index(used.len())]] ^= flip;
            prop_assert!(read(&bytes).is_err() || !read(&bytes).expect("checked").closed);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(begun in states(64), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20), cut: prop::sample::Index) {
            let mut bytes = written(&begun, &begun[..begun.len().min(8)], false);
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let _ = read(&bytes);
            bytes.truncate(cut.index(bytes.len()));
            let _ = read(&bytes);
        }

        #[test]
        fn a_torn_or_changed_text_is_reported(begun in states(64), cut: prop::sample::Index, flip in 1_u8..128) {
            let text = to_jsonl(&[read(&written(&begun, &begun[..begun.len().min(8)], true)).expect("a ledger")]);
            let at = cut.index(text.len());
            prop_assert!(from_jsonl(&text[..at]).is_err());
            let mut bytes = text.into_bytes();
            bytes[at] ^= flip;
            if let Ok(changed) = String::from_utf8(bytes) {
                prop_assert!(from_jsonl(&changed).is_err());
            }
        }
    }

    #[test]
    fn a_line_out_of_place_and_a_run_of_nothing_are_named_by_their_line() {
        let first = || {
            let ledger = read(&written(&[], &[], true)).expect("a ledger");
            lines(&ledger).into_iter().take(2).collect::<Vec<_>>()
        };
        let wrong = |lines: Vec<Line>| match from_jsonl(&frame::write(lines)) {
            Err(TextError::Line { line, what }) => (line, what),
            other => panic!("{other:?}"),
        };
        let resend = |transaction| match transaction {
            0 => Line::Resend(P, 1, Attempt(1), State::Acked),
            _ => Line::TransactionResend(P, 1, Attempt(1), State::Acked, transaction),
        };
        let partition = || Line::Partition { partition: P, first_sequence: 0, next_sequence: 0 };
        assert_eq!(wrong(vec![partition()]), (1, "a partition before any ledger".to_owned()));
        for transaction in [0, 1] {
            assert_eq!(wrong(vec![resend(transaction)]), (1, "a resend before any ledger".to_owned()));
        }
        let run = |count, state| Line::Run(7, count, state);
        let early = wrong(first().into_iter().take(1).chain([run(1, State::Acked)]).collect());
        assert_eq!(early, (2, "a run before any partition".to_owned()));
        for nothing in [run(0, State::Acked), run(1, State::Empty), run(u64::MAX, State::Acked)] {
            let (line, what) = wrong(first().into_iter().chain([run(1, State::Acked), nothing]).collect());
            assert_eq!(
                (line, what.as_str()),
                (4, "a run of no records, of no state, or beyond the last sequence")
            );
        }
        let fine = first().into_iter().chain([run(u64::MAX - 7, State::Acked)]);
        assert!(from_jsonl(&frame::write(fine)).is_ok());
    }

    #[test]
    fn what_was_taken_back_was_never_an_attempt() {
        let mut bytes = vec![0; file_bytes(2, 64)];
        let mut ledger = LedgerMut::create(&mut bytes, ProducerId(0), Incarnation(0), BookKey(9), 2, 64);
        ledger.begin(P, 0, 10);
        ledger.retract(P, 6, 4);
        assert_eq!((ledger.next_sequence(P), ledger.room(P)), (6, 58));
        ledger.begin(P, 6, 1);
        assert_eq!(ledger.begin_resend(P, 0, Attempt(1)), None);
        ledger.close();
        let runs = &read(&bytes).expect("a ledger").partitions[1].runs;
        assert_eq!(runs, &[StateRun { first_sequence: 0, count: 7, state: State::Unreported }]);
    }

    #[test]
    fn a_killed_process_leaves_a_legal_ledger() {
        let ledger = read(&written(&[State::Acked, State::Unreported], &[], false)).expect("legal");
        assert!(!ledger.closed);
        assert_eq!(ledger.partitions[1].runs.len(), 2);
    }
}
