//! The text form: an HdrHistogram interval log (V2, deflated, base64) with one tag a series, and comment lines
//! that hold what histograms cannot: lengths, exact counts, sums, extremes, overflow.

use super::{Bin, Counts, Series, Set, Tallied, empty_counts};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

const HEADLINE: &str = "bench-runner latencies 1.0 (nanoseconds, one interval per second of intended time)";

/// A text that is not what [`Set::to_text`] writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The first line is missing or of another version.
    #[error("not a latency log of version 1 (first line `{0}`)")]
    Headline(String),
    /// A line that cannot be read.
    #[error("line {line}: {what}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// The histograms and the exact figures contradict each other.
    #[error(
        "series `{series}`, second {second}: histogram holds {in_histogram} values, exact count is {exact}"
    )]
    Contradiction {
        /// Tag of the series.
        series: String,
        /// Second.
        second: usize,
        /// By the histogram.
        in_histogram: u64,
        /// By the comment line.
        exact: u64,
    },
}

/// The three kinds of values, by the suffix of their tag.
const KINDS: [&str; 3] = ["", ".censored", ".failed"];

fn tallied<'a>(bin: &'a Bin, kind: &str) -> Option<&'a Tallied> {
    match kind {
        "" => bin.ended.as_deref(),
        ".censored" => bin.censored.as_deref(),
        _ => bin.failed.as_deref(),
    }
}

impl Set {
    /// The text form, complete and exact.
    pub fn to_text(&self) -> String {
        let mut bytes = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        // Writing to memory cannot fail, and histograms of fixed bounds are always serializable.
        let mut log = IntervalLogWriterBuilder::new()
            .add_comment(HEADLINE)
            .begin_log_with(&mut bytes, &mut serializer)
            .expect("memory takes every write");
        for (name, series) in &self.series {
            let comment = format!("series {name} {}", series.seconds());
            log.write_comment(&comment).expect("memory takes every write");
            for (second, bin) in series.bins.iter().enumerate() {
                for kind in KINDS {
                    let Some(Tallied { counts, count, sum_ns, min_ns, max_ns, overflow }) =
                        tallied(bin, kind)
                    else {
                        continue;
                    };
                    let tag = format!("{name}{kind}");
                    let comment =
                        format!("exact {tag} {second} {count} {sum_ns} {min_ns} {max_ns} {overflow}");
                    log.write_comment(&comment).expect("memory takes every write");
                    let start = Duration::from_secs(second as u64);
                    log.write_histogram(counts, start, Duration::from_secs(1), Tag::new(&tag))
                        .expect("memory takes every write");
                }
            }
        }
        String::from_utf8(bytes).expect("an interval log is ASCII")
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// Another version, a line that cannot be read, or histograms that contradict the exact figures.
    pub fn from_text(text: &str) -> Result<Set, TextError> {
        let headline = text.lines().next().unwrap_or_default();
        if headline.strip_prefix('#') != Some(HEADLINE) {
            return Err(TextError::Headline(headline.chars().take(80).collect()));
        }
        let mut reading = Reading::default();
        for (number, line) in text.lines().enumerate().skip(1) {
            reading.line(line).map_err(|what| TextError::Line { line: number + 1, what })?;
        }
        reading.finish()
    }
}

/// The parts of a text while its lines are read.
#[derive(Default)]
struct Reading {
    set: Set,
    exact: BTreeMap<(String, usize), Tallied>,
    deserializer: Deserializer,
}

impl Reading {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if let Some(comment) = line.strip_prefix('#') {
            let words: Vec<&str> = comment.split(' ').collect();
            match words.as_slice() {
                ["series", name, seconds] => {
                    let seconds: usize = number(seconds)?;
                    if seconds > 10_000_000 {
                        return Err(format!("{seconds} seconds are more than a series may have"));
                    }
                    self.set.insert(*name, Series::new(seconds));
                }
                ["exact", tag, second, count, sum, min, max, overflow] => {
                    let figures = Tallied {
                        counts: empty_counts(),
                        count: number(count)?,
                        sum_ns: number(sum)?,
                        min_ns: number(min)?,
                        max_ns: number(max)?,
                        overflow: number(overflow)?,
                    };
                    self.exact.insert(((*tag).to_owned(), number(second)?), figures);
                }
                _ => {}
            }
            return Ok(());
        }
        for entry in IntervalLogIterator::new(format!("{line}\n").as_bytes()) {
            let entry = entry.map_err(|_| "not an interval of a histogram log".to_owned())?;
            let LogEntry::Interval(interval) = entry else { continue };
            let tag = interval.tag().ok_or("interval without tag")?.as_str().to_owned();
            let second =
                usize::try_from(interval.start_timestamp().as_secs()).map_err(|error| error.to_string())?;
            let bytes = STANDARD.decode(interval.encoded_histogram()).map_err(|error| error.to_string())?;
            let counts: Counts =
                self.deserializer.deserialize(&mut bytes.as_slice()).map_err(|error| error.to_string())?;
            let figures =
                self.exact.get_mut(&(tag, second)).ok_or("interval without its line of exact figures")?;
            figures.counts.add(&counts).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Set, TextError> {
        for ((tag, second), figures) in self.exact {
            let (name, kind) = tag.split_once('.').unwrap_or((&tag, ""));
            if figures.counts.len() != figures.count {
                let (in_histogram, exact) = (figures.counts.len(), figures.count);
                return Err(TextError::Contradiction { series: tag, second, in_histogram, exact });
            }
            let bin = self.set.series.get_mut(name).and_then(|series| series.bins.get_mut(second));
            let missing =
                || TextError::Line { line: 0, what: format!("no series for `{tag}`, second {second}") };
            let bin = bin.ok_or_else(missing)?;
            match kind {
                "" => bin.ended = Some(Box::new(figures)),
                "censored" => bin.censored = Some(Box::new(figures)),
                "failed" => bin.failed = Some(Box::new(figures)),
                _ => return Err(missing()),
            }
        }
        Ok(self.set)
    }
}

fn number<T: FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("`{word}` is not a number"))
}
