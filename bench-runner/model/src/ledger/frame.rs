//! Evidence as text: JSON Lines whose last line carries a count and a CRC-32C, so that a torn tail shows.
//!
//! Knows nothing of what the lines mean.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Why a text is no complete evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The last line is missing or incomplete: the writer did not finish.
    #[error("torn: {lines} whole lines, and no closing line")]
    Torn {
        /// Whole lines before the tear.
        lines: u64,
    },
    /// The text is not what the closing line says.
    #[error("changed: the closing line says {expected}, the text gives {found}")]
    Changed {
        /// Lines and CRC-32C of the closing line.
        expected: String,
        /// Lines and CRC-32C of the text.
        found: String,
    },
    /// A line that does not parse, or stands where it may not.
    #[error("line {line}: {what}")]
    Line {
        /// From 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Closing {
    end: End,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    lines: u64,
    crc32c: String,
}

impl End {
    fn of(lines: u64, text: &str) -> Self {
        End { lines, crc32c: format!("{:08x}", crc32c::crc32c(text.as_bytes())) }
    }

    fn shown(&self) -> String {
        format!("{} lines, crc32c {}", self.lines, self.crc32c)
    }
}

fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("evidence has string keys only")
}

/// Writes one line per item, and the closing line.
pub fn write<T: Serialize>(items: impl IntoIterator<Item = T>) -> String {
    let mut text = String::new();
    let mut lines = 0;
    for item in items {
        text += &line(&item);
        text.push('\n');
        lines += 1;
    }
    let closing = Closing { end: End::of(lines, &text) };
    text += &line(&closing);
    text.push('\n');
    text
}

/// Checks the closing line and gives the items.
///
/// # Errors
/// When the text is torn or changed, or a line does not parse.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, TextError> {
    let whole = text.matches('\n').count() as u64;
    let torn = TextError::Torn { lines: whole };
    let Some(body) = text.strip_suffix('\n') else { return Err(torn) };
    let start = body.rfind('\n').map_or(0, |at| at + 1);
    let Ok(Closing { end }) = serde_json::from_str(&body[start..]) else { return Err(torn) };
    let found = End::of(whole - 1, &text[..start]);
    if end.shown() != found.shown() {
        return Err(TextError::Changed { expected: end.shown(), found: found.shown() });
    }
    let parse = |(index, line)| {
        serde_json::from_str(line)
            .map_err(|error| TextError::Line { line: index as u64 + 1, what: error.to_string() })
    };
    text[..start].lines().enumerate().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::{TextError, read, write};

    #[test]
    fn a_line_that_does_not_parse_is_named() {
        let text = write([Some(1), Some(2), None]);
        assert_eq!(read::<Option<u8>>(&text), Ok(vec![Some(1), Some(2), None]));
        let Err(TextError::Line { line, .. }) = read::<u8>(&text) else { panic!("the third is no number") };
        assert_eq!(line, 3);
    }
}
