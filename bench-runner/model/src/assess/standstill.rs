//! Whether a producer ended or stood still inside of the transaction that the plan names: its transactions, its ledger, its
//! closing statement and what was seen of its process must agree. It counts nothing.

use crate::fault::{Death, DeathRecord, End};
use crate::ledger::{Ledger, State as Fate};
use crate::result::word;
use crate::transactions::{State, Transaction, Transactions};

/// A producer's life with such an end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Halted<'a> {
    pub(super) death: &'a Death,
    pub(super) end: &'a DeathRecord,
    pub(super) ledger: &'a Ledger,
    pub(super) transactions: &'a Transactions,
    /// How long the cluster leaves a transaction open, in nanoseconds.
    pub(super) timeout_ns: u64,
    /// T0, nanoseconds of the monotonic clock.
    pub(super) t0_ns: u64,
}

/// What is missing to the proof.
pub(super) fn unproven(life: Halted<'_>) -> Option<String> {
    let Halted { death, ledger, transactions, .. } = life;
    let Some((index, one)) = holding(death.record, ledger, transactions) else {
        return Some("none of its transactions has that record".to_owned());
    };
    if death.end == End::Stop {
        return stood_still(life, one);
    }
    let is_last = index + 1 == transactions.transactions.len();
    if one.state != State::Open || !is_last || ledger.closed {
        return Some(format!("its transaction {} was ended ({})", one.ordinal, word(&one.state)));
    }
    let mut runs = ledger.partitions.iter().flat_map(|part| &part.runs);
    runs.any(|run| run.state == Fate::Unreported)
        .then(|| "not all of its transaction was answered before".to_owned())
}

/// The transaction that the n-th record of a life (from 1) went into, and its place.
fn holding<'a>(
    record: u64,
    ledger: &Ledger,
    transactions: &'a Transactions,
) -> Option<(usize, &'a Transaction)> {
    let all = &transactions.transactions;
    let behind = |index: usize| -> u64 {
        let of_part = ledger.partitions.iter().map(|part| {
            let next =
                all.get(index + 1).and_then(|one| one.first_sequences.get(usize::from(part.partition.0)));
            next.copied().unwrap_or(part.next_sequence).saturating_sub(part.first_sequence)
        });
        of_part.sum()
    };
    all.iter().enumerate().find(|(index, _)| behind(*index) >= record)
}

/// What is missing to the proof that it stood still before the end of its transaction was called, and was fenced meanwhile
/// where its id was taken or its time was over.
fn stood_still(
    Halted { death, end, timeout_ns, t0_ns, .. }: Halted<'_>,
    one: &Transaction,
) -> Option<String> {
    let Some(continued_ns) = end.continued_ns else { return Some("it was never continued".to_owned()) };
    if one.called_ns < t0_ns + continued_ns {
        return Some("the end of its transaction was called before it was continued".to_owned());
    }
    if death.continue_after_ns.is_none() && end.taken_ns.is_none_or(|taken_ns| taken_ns > continued_ns) {
        return Some("nobody had taken its transactional id before it was continued".to_owned());
    }
    let is_fenced = end.was_fenced() && matches!(one.state, State::CommitFailed | State::AbortFailed);
    let must_be = death.continue_after_ns.is_none_or(|after_ns| after_ns > timeout_ns);
    (must_be && !is_fenced).then(|| format!("it was not fenced: its transaction was {}", word(&one.state)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Point, Victim};
    use crate::ids::{BookKey, Incarnation, MemberId, PartitionId, ProducerId};
    use crate::ledger::{LedgerMut, file_bytes, read};

    const T0_NS: u64 = 1_000;
    const P: PartitionId = PartitionId(0);

    /// Transactions of two records each in these states, all of them acknowledged but so many.
    fn life(states: &[State], unanswered: u64, closed: bool) -> (Ledger, Transactions) {
        let mut bytes = vec![0; file_bytes(1, 32)];
        let mut ledger = LedgerMut::create(&mut bytes, ProducerId(0), Incarnation(0), BookKey(1), 1, 32);
        let count = 2 * states.len() as u64;
        ledger.begin(P, 0, count);
        (0..count - unanswered).for_each(|sequence| ledger.settle(P, sequence, Fate::Acked));
        if closed {
            ledger.close();
        }
        let transaction = |(ordinal, state): (u32, &State)| Transaction {
            ordinal,
            state: *state,
            begun_ns: T0_NS,
            called_ns: if *state == State::Open { 0 } else { T0_NS + u64::from(ordinal) * 100 },
            answered_ns: 0,
            records: 2,
            first_sequences: vec![2 * (u64::from(ordinal) - 1)],
        };
        let life = Transactions {
            transactions: (1..).zip(states).map(transaction).collect(),
            closed,
            ..Transactions::none(ProducerId(0), Incarnation(0))
        };
        (read(&bytes).expect("a ledger"), life)
    }

    fn death(end: End, continue_after_ns: Option<u64>) -> Death {
        Death {
            worker: Victim::Producer,
            record: 4,
            point: Point::BeforeCommit,
            end,
            restart: true,
            continue_after_ns,
            resend: false,
        }
    }

    fn end(death: Death, continued_ns: Option<u64>, taken_ns: Option<u64>, errors: &[&str]) -> DeathRecord {
        DeathRecord {
            death,
            member: MemberId(0),
            incarnation: Incarnation(0),
            seen_ns: 50,
            exit: String::new(),
            as_planned: true,
            marks: None,
            continued_ns,
            taken_ns,
            transaction_errors: errors.iter().map(|error| ((*error).to_owned(), 1)).collect(),
        }
    }

    fn told(death: Death, end: &DeathRecord, (ledger, transactions): &(Ledger, Transactions)) -> String {
        let life = Halted { death: &death, end, ledger, transactions, timeout_ns: 100, t0_ns: T0_NS };
        unproven(life).unwrap_or_default()
    }

    #[test]
    fn a_kill_before_a_commit_leaves_the_named_transaction_open_and_answered() {
        use State::{CommitCalled, Committed, Open};
        let kill = death(End::Kill, None);
        let seen = end(kill, None, None, &[]);
        assert_eq!(told(kill, &seen, &life(&[Committed, Open], 0, false)), "");
        for (wrong, what) in [
            (life(&[Committed], 0, false), "none of its transactions"),
            (life(&[Committed, CommitCalled], 0, false), "transaction 2 was ended (commit called)"),
            (life(&[Committed, Committed, Open], 0, false), "transaction 2 was ended (committed)"),
            (life(&[Committed, Open], 1, false), "not all of its transaction was answered"),
            (life(&[Committed, Open], 0, true), "was ended (open)"),
        ] {
            assert!(told(kill, &seen, &wrong).contains(what), "{}", told(kill, &seen, &wrong));
        }
    }

    #[test]
    fn who_stood_still_for_too_long_or_was_replaced_counts_once_it_was_fenced() {
        use State::{CommitFailed, Committed};
        const FENCED: &[&str] = &["commit: fenced: _FENCED: stopped"];
        let (timed_out, replaced) = (death(End::Stop, Some(101)), death(End::Stop, None));
        let fenced = life(&[Committed, CommitFailed], 0, true);
        let found = |death, continued_ns, taken_ns, errors| end(death, continued_ns, taken_ns, errors);
        assert_eq!(told(timed_out, &found(timed_out, Some(200), None, FENCED), &fenced), "");
        assert_eq!(told(replaced, &found(replaced, Some(200), Some(150), FENCED), &fenced), "");
        let never = told(timed_out, &found(timed_out, None, None, FENCED), &fenced);
        assert_eq!(never, "it was never continued");
        let before = told(timed_out, &found(timed_out, Some(201), None, FENCED), &fenced);
        assert_eq!(before, "the end of its transaction was called before it was continued");
        for taken_ns in [None, Some(201)] {
            let alone = told(replaced, &found(replaced, Some(200), taken_ns, FENCED), &fenced);
            assert_eq!(alone, "nobody had taken its transactional id before it was continued");
        }
        let other = found(timed_out, Some(200), None, &["commit: fatal: _FATAL: stopped"]);
        assert_eq!(told(timed_out, &other, &fenced), "it was not fenced: its transaction was commit failed");
        let committed = life(&[Committed, Committed], 0, true);
        let unharmed = found(timed_out, Some(200), None, &[]);
        assert_eq!(
            told(timed_out, &unharmed, &committed),
            "it was not fenced: its transaction was committed"
        );
        // Within its time nothing has to happen to it: the control.
        let in_time = death(End::Stop, Some(100));
        assert_eq!(told(in_time, &found(in_time, Some(200), None, &[]), &committed), "");
    }
}
