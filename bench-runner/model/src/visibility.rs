//! When each transaction became visible at read_committed, as the reader notes it. It judges nothing.

use crate::ids::{Incarnation, ProducerId};
use crate::latency::Series;
use crate::transactions::{State, Transactions};
use std::collections::BTreeMap;

/// The file's name in a reader's directory.
pub const VISIBLE: &str = "visible.json";

const SECOND_NS: u64 = 1_000_000_000;

/// By life of a producer: when the last record of each transaction was handed to the reader, from ordinal 1 on; 0: none was.
pub type Visible = BTreeMap<(ProducerId, Incarnation), Vec<u64>>;

/// A list of lives: producer, incarnation, instants in nanoseconds of the monotonic clock.
pub fn to_json(visible: &Visible) -> String {
    let lives: Vec<_> = visible.iter().map(|((producer, life), seen)| (producer, life, seen)).collect();
    // Plain data in lists: it can always be written.
    serde_json::to_string(&lives).expect("plain data") + "\n"
}

/// Reads what [`to_json`] wrote.
///
/// # Errors
/// The parser's words when the text is torn, or is something else.
pub fn from_json(text: &str) -> Result<Visible, String> {
    let lives: Vec<(ProducerId, Incarnation, Vec<u64>)> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(lives.into_iter().map(|(producer, life, seen)| ((producer, life), seen)).collect())
}

/// Begin to visible of every transaction that was answered as committed, by the second in which it began; those that were not
/// seen by `ended_ns` are cut off there. All instants in nanoseconds of the monotonic clock.
pub fn begin_to_visible(
    lives: &[Transactions],
    visible: &Visible,
    (t0_ns, ended_ns): (u64, u64),
    seconds: usize,
) -> Series {
    let mut series = Series::new(seconds);
    for life in lives {
        let seen = visible.get(&(life.producer, life.incarnation));
        let committed = life.transactions.iter().filter(|one| one.state == State::Committed);
        for one in committed.filter(|one| one.records > 0) {
            let second = (one.begun_ns.saturating_sub(t0_ns) / SECOND_NS) as usize;
            match seen.and_then(|seen| seen.get(one.ordinal as usize - 1)).copied().filter(|at_ns| *at_ns > 0)
            {
                Some(at_ns) => series.record(second, at_ns.saturating_sub(one.begun_ns)),
                None => series.censor(second, ended_ns.saturating_sub(one.begun_ns)),
            }
        }
    }
    series
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transactions::Transaction;

    #[test]
    fn committed_transactions_are_timed_and_those_that_nobody_saw_are_cut_off() {
        let one = |ordinal, state, begun_ns| Transaction {
            ordinal,
            state,
            begun_ns,
            called_ns: 0,
            answered_ns: 0,
            records: 1,
            first_sequences: Vec::new(),
        };
        let life = Transactions {
            producer: ProducerId(1),
            incarnation: Incarnation(0),
            closed: true,
            answers: [0; 4],
            transactions: vec![
                one(1, State::Committed, 100),
                one(2, State::Aborted, 200),
                one(3, State::Committed, 300),
                one(4, State::Committed, SECOND_NS + 100),
            ],
        };
        let visible = Visible::from([((ProducerId(1), Incarnation(0)), vec![150, 0, 0, SECOND_NS + 170])]);
        assert_eq!(from_json(&to_json(&visible)), Ok(visible.clone()));
        let series = begin_to_visible(&[life], &visible, (0, 2 * SECOND_NS), 2);
        assert_eq!((series.count(0), series.ended(0), series.ended(1)), (2, 1, 1));
    }
}
