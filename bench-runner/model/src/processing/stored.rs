//! Journals as text beside a result: one line per life and entry. It judges nothing.

use super::{Entry, Journal};
use crate::ids::{Incarnation, MemberId};
use crate::ledger::{TextError, frame};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Life {
        member: MemberId,
        incarnation: Incarnation,
        closed: bool,
        begun: u64,
        completed: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        called: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        answered: u64,
    },
    Entry(Entry),
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Writes journals as JSON Lines with a closing line.
pub fn to_jsonl(journals: &[Journal]) -> String {
    frame::write(journals.iter().flat_map(|journal| {
        let &Journal { member, incarnation, closed, begun, completed, called, answered, .. } = journal;
        let life = Line::Life { member, incarnation, closed, begun, completed, called, answered };
        std::iter::once(life).chain(journal.entries.iter().copied().map(Line::Entry))
    }))
}

/// Reads them again.
///
/// # Errors
/// When the text is torn, changed, or does not parse.
pub fn from_jsonl(text: &str) -> Result<Vec<Journal>, TextError> {
    let mut journals: Vec<Journal> = Vec::new();
    for (index, line) in frame::read::<Line>(text)?.into_iter().enumerate() {
        match line {
            Line::Life { member, incarnation, closed, begun, completed, called, answered } => {
                let entries = Vec::new();
                journals.push(Journal {
                    member,
                    incarnation,
                    closed,
                    begun,
                    completed,
                    called,
                    answered,
                    entries,
                });
            }
            Line::Entry(entry) => match journals.last_mut() {
                Some(journal) => journal.entries.push(entry),
                None => {
                    let what = "an entry before the first life".to_owned();
                    return Err(TextError::Line { line: index as u64 + 1, what });
                }
            },
        }
    }
    Ok(journals)
}
