//! Log readings as text beside a result: one line per source, partition, run and oddity. It judges nothing.

use super::{CopyRun, LogReading, Oddity, PartitionReading, Source};
use crate::ids::{Attempt, Incarnation, PartitionId, ProducerId};
use crate::ledger::{TextError, frame};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Source(Source),
    Partition {
        partition: PartitionId,
        start: i64,
        end: i64,
        last_stable: i64,
        reached: i64,
        batches_digest: Option<String>,
    },
    /// Offset, count, producer, incarnation, attempt, home partition, sequence.
    Run(i64, u64, ProducerId, Incarnation, Attempt, PartitionId, u64),
    /// The same, and the transaction's ordinal.
    TransactionRun(i64, u64, ProducerId, Incarnation, Attempt, PartitionId, u64, u32),
    /// Offset, and what is there.
    Oddity(i64, Oddity),
    /// Offsets from and up to which read_committed shows nothing.
    Invisible(i64, i64),
}

/// Writes readings as JSON Lines with a closing line.
pub fn to_jsonl(readings: &[LogReading]) -> String {
    frame::write(readings.iter().flat_map(lines))
}

fn lines(reading: &LogReading) -> Vec<Line> {
    let mut lines = vec![Line::Source(reading.source)];
    for part in &reading.partitions {
        let &PartitionReading { partition, start, end, last_stable, reached, .. } = part;
        let batches_digest = part.batches_digest.clone();
        lines.push(Line::Partition { partition, start, end, last_stable, reached, batches_digest });
        lines.extend(part.runs.iter().map(|run| {
            let &CopyRun { offset, count, producer, incarnation, attempt, home, sequence, transaction } = run;
            match transaction {
                0 => Line::Run(offset, count, producer, incarnation, attempt, home, sequence),
                of => Line::TransactionRun(offset, count, producer, incarnation, attempt, home, sequence, of),
            }
        }));
        lines.extend(part.oddities.iter().map(|&(offset, oddity)| Line::Oddity(offset, oddity)));
        lines.extend(part.invisible.iter().map(|&(start, end)| Line::Invisible(start, end)));
    }
    lines
}

fn run(line: &Line) -> Option<CopyRun> {
    let (offset, count, producer, incarnation, attempt, home, sequence, transaction) = match *line {
        Line::Run(offset, count, producer, incarnation, attempt, home, sequence) => {
            (offset, count, producer, incarnation, attempt, home, sequence, 0)
        }
        Line::TransactionRun(offset, count, producer, incarnation, attempt, home, sequence, of) => {
            (offset, count, producer, incarnation, attempt, home, sequence, of)
        }
        _ => return None,
    };
    let last = count.checked_sub(1)?;
    let last_offset = offset.checked_add(i64::try_from(last).ok()?)?;
    let last_sequence = sequence.checked_add(last)?;
    // One beyond the last is computed everywhere, so the last number of each kind is not ours to use.
    (offset >= 0 && last_offset < i64::MAX && last_sequence < u64::MAX).then_some(CopyRun {
        offset,
        count,
        producer,
        incarnation,
        attempt,
        home,
        sequence,
        transaction,
    })
}

fn last(readings: &mut [LogReading]) -> Option<&mut PartitionReading> {
    readings.last_mut().and_then(|reading| reading.partitions.last_mut())
}

/// Reads what [`to_jsonl`] wrote.
///
/// # Errors
/// When the text is torn or changed, or is no reading.
pub fn from_jsonl(text: &str) -> Result<Vec<LogReading>, TextError> {
    let mut readings: Vec<LogReading> = Vec::new();
    for (index, line) in frame::read(text)?.into_iter().enumerate() {
        let stray = |what: &str| TextError::Line { line: index as u64 + 1, what: what.to_owned() };
        match line {
            Line::Source(source) => readings.push(LogReading { source, partitions: Vec::new() }),
            Line::Partition { partition, start, end, last_stable, reached, batches_digest } => {
                let reading = readings.last_mut().ok_or_else(|| stray("a partition before any source"))?;
                reading.partitions.push(PartitionReading {
                    partition,
                    start,
                    end,
                    last_stable,
                    reached,
                    runs: Vec::new(),
                    oddities: Vec::new(),
                    batches_digest,
                    invisible: Vec::new(),
                });
            }
            line @ (Line::Run(..) | Line::TransactionRun(..)) => {
                let run = run(&line).ok_or_else(|| stray("a run of no copies, or beyond the last offset"))?;
                last(&mut readings).ok_or_else(|| stray("a run before any partition"))?.runs.push(run);
            }
            Line::Oddity(offset, oddity) => {
                let part = last(&mut readings).ok_or_else(|| stray("an oddity before any partition"))?;
                part.oddities.push((offset, oddity));
            }
            Line::Invisible(start, end) => {
                let part =
                    last(&mut readings).ok_or_else(|| stray("an invisible range before any partition"))?;
                part.invisible.push((start, end));
            }
        }
    }
    Ok(readings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::BrokerId;

    fn readings() -> Vec<LogReading> {
        let run = CopyRun {
            offset: 3,
            count: 4,
            producer: ProducerId(1),
            incarnation: Incarnation(2),
            attempt: Attempt(3),
            home: PartitionId(4),
            sequence: 5,
            transaction: 0,
        };
        let partition = |digest: Option<&str>| PartitionReading {
            partition: PartitionId(4),
            start: 0,
            end: 9,
            last_stable: 8,
            reached: 7,
            runs: vec![run, CopyRun { offset: 8, transaction: 6, ..run }],
            oddities: vec![(0, Oddity::Alien), (1, Oddity::Corrupt), (7, Oddity::Control)],
            batches_digest: digest.map(str::to_owned),
            invisible: digest.map(|_| (3, 5)).into_iter().collect(),
        };
        vec![
            LogReading { source: Source::Reader, partitions: vec![partition(None)] },
            LogReading { source: Source::Segments(BrokerId(1)), partitions: vec![partition(Some("ab")); 2] },
            LogReading { source: Source::SecondReader, partitions: Vec::new() },
            LogReading { source: Source::CommittedReader, partitions: vec![partition(None)] },
        ]
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(from_jsonl(&to_jsonl(&readings())), Ok(readings()));
    }

    #[test]
    fn no_cut_goes_unnoticed() {
        let text = to_jsonl(&readings());
        for at in 0..text.len() {
            assert!(from_jsonl(&text[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_run_without_copies_and_an_entry_without_partition_are_refused() {
        for lines in [
            vec![Line::Source(Source::Reader), Line::Oddity(1, Oddity::Alien)],
            vec![Line::Oddity(1, Oddity::Alien)],
        ] {
            let refused = from_jsonl(&frame::write(lines));
            assert!(matches!(refused, Err(TextError::Line { .. })), "{refused:?}");
        }
        let mut empty = readings();
        empty[0].partitions[0].runs[0].count = 0;
        assert!(matches!(from_jsonl(&to_jsonl(&empty)), Err(TextError::Line { .. })));
    }
}
