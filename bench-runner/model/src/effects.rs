//! What a sink holds when a cell is over: its rows as they were read by SQL, as runs, and its own counts of them.
//!
//! It judges nothing. A row says which record it is an effect of, and which processing made it.

pub mod output;

use crate::ids::{Incarnation, MemberId, PartitionId};
use crate::ledger::{TextError, frame};
use crate::reading::CopyRun;
use serde::{Deserialize, Serialize};

/// Rows of consecutive processings of consecutive records, by one life of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectRun {
    /// The partition that the records were read from.
    pub partition: PartitionId,
    /// Offsets and identities, as the rows say.
    pub copies: CopyRun,
    /// Who processed them.
    pub member: MemberId,
    /// In which life.
    pub life: Incarnation,
    /// The number of the first processing in that life, from 1, as begun.
    pub processing: u64,
}

/// Where the sink itself says that processing goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The partition.
    pub partition: PartitionId,
    /// How often it was assigned; writes of an older epoch are refused.
    pub epoch: u64,
    /// The next offset to process.
    pub next: i64,
}

/// Everything that a sink holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// All rows, as the database counts them.
    pub rows: u64,
    /// Distinct records among them, as the database counts them.
    pub records: u64,
    /// In the order of lives and their processings.
    pub runs: Vec<EffectRun>,
    /// Offsets that the sink keeps, where it does.
    pub held: Vec<Held>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Sink { rows: u64, records: u64 },
    Held(Held),
    Rows(EffectRun),
}

impl Effects {
    /// Adds a row behind the others; it lengthens the last run where it can.
    pub fn push(&mut self, row: EffectRun) {
        let follows = |last: &EffectRun| {
            let copies = &last.copies;
            let next = CopyRun {
                offset: copies.offset + copies.count as i64,
                sequence: copies.sequence + copies.count,
                count: row.copies.count,
                ..*copies
            };
            let processing = last.processing + copies.count;
            row == EffectRun { copies: next, processing, ..*last }
        };
        match self.runs.last_mut() {
            Some(last) if follows(last) => last.copies.count += row.copies.count,
            _ => self.runs.push(row),
        }
    }
}

/// Writes what a sink holds as JSON Lines with a closing line.
pub fn to_jsonl(effects: &Effects) -> String {
    let &Effects { rows, records, ref runs, ref held } = effects;
    let first = std::iter::once(Line::Sink { rows, records });
    let held = held.iter().copied().map(Line::Held);
    frame::write(first.chain(held).chain(runs.iter().copied().map(Line::Rows)))
}

/// Reads it again.
///
/// # Errors
/// When the text is torn, changed, or does not parse.
pub fn from_jsonl(text: &str) -> Result<Effects, TextError> {
    let mut effects = Effects::default();
    let first = |line| TextError::Line {
        line,
        what: "the sink's own counts stand in the first line, and there alone".to_owned(),
    };
    let lines = frame::read::<Line>(text)?;
    if lines.is_empty() {
        return Err(first(1));
    }
    for (index, line) in lines.into_iter().enumerate() {
        match line {
            Line::Sink { rows, records } if index == 0 => {
                (effects.rows, effects.records) = (rows, records);
            }
            Line::Held(held) if index > 0 => effects.held.push(held),
            Line::Rows(run) if index > 0 => effects.runs.push(run),
            _ => return Err(first(index as u64 + 1)),
        }
    }
    Ok(effects)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(offset: i64, processing: u64, life: u8) -> EffectRun {
        let copies = CopyRun {
            offset,
            count: 1,
            producer: Default::default(),
            incarnation: Default::default(),
            attempt: Default::default(),
            home: PartitionId(0),
            sequence: offset as u64,
            transaction: 0,
        };
        EffectRun {
            partition: PartitionId(0),
            copies,
            member: MemberId(0),
            life: Incarnation(life),
            processing,
        }
    }

    #[test]
    fn rows_that_follow_each_other_are_one_run_and_the_text_gives_the_same() {
        let mut effects = Effects { rows: 5, records: 4, ..Effects::default() };
        effects.held.push(Held { partition: PartitionId(0), epoch: 2, next: 4 });
        for (offset, processing, life) in [(0, 1, 0), (1, 2, 0), (1, 1, 1), (2, 2, 1), (3, 4, 1)] {
            effects.push(row(offset, processing, life));
        }
        assert_eq!(effects.runs.iter().map(|run| run.copies.count).collect::<Vec<_>>(), [2, 2, 1]);
        let text = to_jsonl(&effects);
        assert_eq!(from_jsonl(&text), Ok(effects));
        assert!(from_jsonl(&frame::write(Vec::<Line>::new())).is_err());
        assert!(from_jsonl(&frame::write([Line::Rows(row(0, 1, 0))])).is_err());
    }
}
