//! Transactions as text beside a result: one line per life and transaction. It judges nothing.

use super::{State, Transaction, Transactions};
use crate::ids::{Incarnation, ProducerId};
use crate::ledger::{TextError, frame};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Life {
        producer: ProducerId,
        incarnation: Incarnation,
        closed: bool,
        answers: [u64; 4],
    },
    /// Ordinal, state, begun, called, answered, records, first sequences by partition.
    Transaction(u32, State, u64, u64, u64, u64, Vec<u64>),
}

/// Writes transactions as JSON Lines with a closing line.
pub fn to_jsonl(lives: &[Transactions]) -> String {
    frame::write(lives.iter().flat_map(|life| {
        let &Transactions { producer, incarnation, closed, answers, .. } = life;
        let head = Line::Life { producer, incarnation, closed, answers };
        std::iter::once(head).chain(life.transactions.iter().map(|one| {
            let Transaction { ordinal, state, begun_ns, called_ns, answered_ns, records, .. } = *one;
            let first = one.first_sequences.clone();
            Line::Transaction(ordinal, state, begun_ns, called_ns, answered_ns, records, first)
        }))
    }))
}

/// Reads them again.
///
/// # Errors
/// When the text is torn, changed, or does not parse.
pub fn from_jsonl(text: &str) -> Result<Vec<Transactions>, TextError> {
    let mut lives: Vec<Transactions> = Vec::new();
    for (index, line) in frame::read::<Line>(text)?.into_iter().enumerate() {
        match line {
            Line::Life { producer, incarnation, closed, answers } => {
                lives.push(Transactions { producer, incarnation, closed, answers, transactions: Vec::new() });
            }
            Line::Transaction(ordinal, state, begun_ns, called_ns, answered_ns, records, first_sequences) => {
                let stray = || TextError::Line {
                    line: index as u64 + 1,
                    what: "a transaction before the first life".to_owned(),
                };
                let life = lives.last_mut().ok_or_else(stray)?;
                let one = Transaction {
                    ordinal,
                    state,
                    begun_ns,
                    called_ns,
                    answered_ns,
                    records,
                    first_sequences,
                };
                life.transactions.push(one);
            }
        }
    }
    Ok(lives)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lives() -> Vec<Transactions> {
        let one = |ordinal, state| Transaction {
            ordinal,
            state,
            begun_ns: 1,
            called_ns: 2,
            answered_ns: 3,
            records: 4,
            first_sequences: vec![5, 6],
        };
        let transactions = (1..).zip(State::ALL).map(|(ordinal, state)| one(ordinal, state)).collect();
        let life = Transactions {
            producer: ProducerId(1),
            incarnation: Incarnation(2),
            closed: true,
            answers: [1, 1, 1, 1],
            transactions,
        };
        vec![life.clone(), Transactions { incarnation: Incarnation(3), transactions: Vec::new(), ..life }]
    }

    #[test]
    fn what_is_written_is_read_back_and_no_cut_goes_unnoticed() {
        let text = to_jsonl(&lives());
        assert_eq!(from_jsonl(&text), Ok(lives()));
        for at in 0..text.len() {
            assert!(from_jsonl(&text[..at]).is_err(), "cut at {at}");
        }
        let stray = Line::Transaction(1, State::Open, 1, 0, 0, 0, Vec::new());
        assert!(matches!(from_jsonl(&frame::write([stray])), Err(TextError::Line { .. })));
    }
}
