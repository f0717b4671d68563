//! A pipeline's output topic as every witness has it: the records of the rows that were judged are what all of them hold. It
//! knows no input, and not which member wrote a row: that is the row's own word, held against journals.

use super::log::Log;
use super::{Identity, hash};
use crate::effects::Effects;
use crate::ids::BookKey;
use crate::reading::{CopyRun, LogReading, Oddity};
use crate::settings::TopicSettings;

/// The reader of the output, read_committed where the pipeline writes in transactions, and every replica agree, also with
/// the rows; and why nothing can be said of it, if so.
pub(super) fn judge(
    topic: &TopicSettings,
    readings: &[LogReading],
    transactional: bool,
    effects: &Effects,
) -> (Identity, Vec<String>) {
    let log = Log::of(topic, readings, transactional);
    let shown = if transactional { &log.committed } else { &log.reader };
    let mut wrong = [log.disagreements.as_slice(), log.visibility_faults.as_slice()].concat();
    if !log.has_witness {
        wrong.push("nobody but the reader has read the output".to_owned());
    }
    let is_odd = |(_, odd): &&(i64, Oddity)| *odd != Oddity::Control;
    let strangers = log.reader.iter().flat_map(|part| &part.oddities).filter(is_odd).count();
    if strangers > 0 {
        wrong.push(format!("{strangers} entries are no records of this output"));
    }
    let held = sum(shown.iter().flat_map(|part| &part.runs));
    let rows = sum(effects.runs.iter().map(|run| &run.copies));
    if held != rows {
        wrong.push(format!("{} rows are not the {} records that the output shows", rows.0, held.0));
    }
    let detail = match wrong.first() {
        None => format!("{} rows are what the reader and every witness of the output show", rows.0),
        Some(first) => format!("{first} ({} in all)", wrong.len()),
    };
    let inconclusive = log.inconclusive.iter().map(|why| format!("the output: {why}")).collect();
    (Identity { name: "output".into(), holds: wrong.is_empty(), detail }, inconclusive)
}

/// How many records, and the sum of their identities' hashes, in any order.
fn sum<'a>(runs: impl Iterator<Item = &'a CopyRun>) -> (u64, u128) {
    runs.fold((0, 0), |(count, sum), run| {
        let life = u32::from_be_bytes([run.incarnation.0, run.attempt.0, 0, 0]);
        let key = BookKey(run.transaction ^ life);
        let lane = (run.producer, run.home);
        let of_run = hash::of_records(key, lane, run.sequence, run.sequence + run.count);
        (count + run.count, sum.wrapping_add(of_run))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::EffectRun;
    use crate::ids::{Attempt, BrokerId, Incarnation, MemberId, PartitionId, ProducerId};
    use crate::reading::{PartitionReading, Source};

    /// Offset, first sequence, count, transaction.
    type Runs<'a> = &'a [(i64, u64, u64, u32)];

    fn copies(&(offset, sequence, count, transaction): &(i64, u64, u64, u32)) -> CopyRun {
        CopyRun {
            offset,
            count,
            producer: Default::default(),
            incarnation: Default::default(),
            attempt: Default::default(),
            home: PartitionId(0),
            sequence,
            transaction,
        }
    }

    fn reading(source: Source, runs: Runs, invisible: &[(i64, i64)]) -> LogReading {
        let is_replica = matches!(source, Source::Segments(_));
        let is_committed = source == Source::CommittedReader;
        let part = PartitionReading {
            partition: PartitionId(0),
            start: 0,
            end: 32,
            last_stable: 32,
            reached: 32,
            runs: runs.iter().map(copies).collect(),
            // The markers of the first two of three transactions of ten.
            oddities: [10, 21]
                .map(|offset| (offset, Oddity::Control))
                .into_iter()
                .filter(|_| is_replica)
                .collect(),
            batches_digest: is_replica.then(|| "same".to_owned()),
            invisible: if is_committed { Vec::new() } else { invisible.to_vec() },
        };
        LogReading { source, partitions: vec![part] }
    }

    fn effects(runs: Runs) -> Effects {
        let mut effects = Effects::default();
        for run in runs {
            let (partition, member, life) = (PartitionId(0), MemberId(0), Incarnation(0));
            effects.push(EffectRun { partition, copies: copies(run), member, life, processing: run.1 + 1 });
        }
        effects
    }

    /// Judges an output without transactions whose reader and only replica have the one log, against these rows.
    fn judged(log: &LogReading, rows: &[CopyRun]) -> Identity {
        let replica = LogReading { source: Source::Segments(BrokerId(1)), ..log.clone() };
        let mut effects = Effects::default();
        for (copies, processing) in rows.iter().zip(1..) {
            let (partition, member, life) = (PartitionId(0), MemberId(0), Incarnation(0));
            effects.runs.push(EffectRun { partition, copies: *copies, member, life, processing });
        }
        let topic = TopicSettings { replication_factor: 1, ..TOPIC() };
        judge(&topic, &[log.clone(), replica], false, &effects).0
    }

    const TOPIC: fn() -> TopicSettings = || TopicSettings {
        partitions: 1,
        replication_factor: 2,
        min_insync_replicas: 1,
        extra: Default::default(),
    };

    #[test]
    fn rows_that_some_witness_has_not_break_it() {
        // The second of three transactions was aborted and done again.
        let all: Runs = &[(0, 0, 10, 1), (11, 10, 10, 2), (22, 10, 10, 3)];
        let shown: Runs = &[(0, 0, 10, 1), (22, 10, 10, 3)];
        let aborted = [(11, 21)];
        let of = |committed: Runs, replica: Runs, rows: Runs| {
            let readings = [
                reading(Source::Reader, all, &[]),
                reading(Source::CommittedReader, committed, &[]),
                reading(Source::Segments(BrokerId(1)), all, &aborted),
                reading(Source::Segments(BrokerId(2)), replica, &aborted),
            ];
            judge(&TOPIC(), &readings, true, &effects(rows)).0
        };
        let fine = of(shown, all, shown);
        assert!(fine.holds, "{}", fine.detail);
        assert!(!of(shown, &all[..2], shown).holds, "a replica lacks a transaction");
        assert!(!of(&shown[..1], all, &shown[..1]).holds, "the markers show more");
        assert!(!of(shown, all, &shown[..1]).holds, "rows are missing");
        assert!(!of(shown, all, all).holds, "rows of the aborted transaction");
        let other: Runs = &[(0, 0, 10, 1), (22, 10, 10, 2)];
        assert!(!of(shown, all, other).holds, "rows of another transaction");
        let dense: Runs = &[(0, 0, 32, 0)];
        let alone = [reading(Source::Reader, dense, &[])];
        let (identity, inconclusive) = judge(&TOPIC(), &alone, false, &effects(dense));
        assert!(!identity.holds && inconclusive.is_empty(), "no witness: {inconclusive:?}");
        let mut short = alone;
        short[0].partitions[0].reached = 20;
        let (_, inconclusive) = judge(&TOPIC(), &short, false, &effects(dense));
        assert_eq!(inconclusive, ["the output: partition 0: read to offset 20 of 32"]);
    }

    #[test]
    fn rows_are_held_against_records_by_all_that_tells_records_apart() {
        let record = copies(&(0, 0, 32, 1 << 16));
        let log = reading(Source::Reader, &[(0, 0, 32, 1 << 16)], &[]);
        let mut resent = log.clone();
        resent.partitions[0].runs[0].attempt = Attempt(1);
        assert!(judged(&log, &[record]).holds);
        for row in [
            CopyRun { transaction: 3, ..record },
            CopyRun { incarnation: Incarnation(1), ..record },
            CopyRun { attempt: Attempt(1), ..record },
            CopyRun { producer: ProducerId(1), ..record },
            CopyRun { home: PartitionId(1), ..record },
            CopyRun { sequence: 1, ..record },
        ] {
            assert!(!judged(&log, &[row]).holds, "{row:?}");
        }
        assert!(!judged(&resent, &[record]).holds, "the record was sent again");
        let few =
            judged(&log, &[CopyRun { count: 5, ..record }, CopyRun { sequence: 5, count: 2, ..record }]);
        assert_eq!(few.detail, "7 rows are not the 32 records that the output shows (1 in all)");
    }

    #[test]
    fn only_a_control_record_may_stand_in_the_output_beside_its_records() {
        let with = |oddity| {
            let mut log = reading(Source::Reader, &[(0, 0, 10, 0), (11, 10, 21, 0)], &[]);
            log.partitions[0].oddities = vec![(10, oddity)];
            judged(&log, &log.partitions[0].runs)
        };
        assert!(with(Oddity::Control).holds, "{}", with(Oddity::Control).detail);
        for stranger in [Oddity::Alien, Oddity::Corrupt] {
            assert_eq!(with(stranger).detail, "1 entries are no records of this output (1 in all)");
        }
    }
}
