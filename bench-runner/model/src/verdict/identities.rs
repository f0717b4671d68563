//! The books must balance: both sides of each identity, side by side. A broken one is our defect, not Kafka's.

use super::books::Books;
use super::log::Log;
use super::{Class, ClassCount, Identity};
use std::collections::BTreeMap;

/// What the judge has summed up over all lanes.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// By class, from the ledgers and the log.
    pub(super) classes: BTreeMap<Class, ClassCount>,
    /// Log entries that are copies with a ledger entry: sum of m(r).
    pub(super) ledgered: u64,
    /// Distinct records among them, counted while they were read.
    pub(super) distinct: u64,
    /// Surplus copies: same attempt, cross attempt.
    pub(super) surplus: (u64, u64),
    /// Entries that are no such copies.
    pub(super) alien: u64,
    pub(super) corrupt: u64,
    pub(super) unledgered: u64,
    /// Copies of rejected attempts.
    pub(super) of_rejected: u64,
    /// I10: over copies; over records by class less absent ones, plus surplus copies.
    pub(super) copies_hash: u128,
    pub(super) books_hash: u128,
}

fn identity(name: &str, holds: bool, detail: String) -> Identity {
    Identity { name: name.to_owned(), holds, detail }
}

fn listed(name: &str, fine: String, wrong: &[String]) -> Identity {
    match wrong.first() {
        None => identity(name, true, fine),
        Some(first) => identity(name, false, format!("{first} ({} in all)", wrong.len())),
    }
}

/// I1 to I5 and I10 to I12.
pub(super) fn identities(books: &Books, log: &Log<'_>, sums: &Sums) -> Vec<Identity> {
    vec![i1(books, sums), i2(log), i3(sums), i4(sums), i5(log, sums), i10(sums), i11(books), i12(log)]
}

fn i1(books: &Books, sums: &Sums) -> Identity {
    let by_class: u64 = sums.classes.values().map(|count| count.records).sum();
    let (records, attempts) = (books.records, books.attempts);
    let detail = format!("{records} records, {by_class} by class, {attempts} attempts");
    identity("I1", records == by_class && attempts >= records, detail)
}

fn i2(log: &Log<'_>) -> Identity {
    let holes = if log.has_segments { log.holes } else { 0 };
    let found = log.entries + log.control + holes;
    let Log { offsets, entries, control, disorder, .. } = log;
    let by_segments = if log.has_segments {
        format!(" + {control} control + {holes} empty in the segments")
    } else {
        String::new()
    };
    let detail = format!("{offsets} offsets, {entries} entries{by_segments}, {disorder} out of order");
    identity("I2", *offsets == found && *disorder == 0, detail)
}

fn i3(sums: &Sums) -> Identity {
    let balanced = sums.classes.values().all(|count| count.records == count.present + count.absent);
    let present: u64 = sums.classes.values().map(|count| count.present).sum();
    let by_class: Vec<String> = sums
        .classes
        .iter()
        .filter(|(_, count)| count.records > 0)
        .map(|(class, c)| format!("{class:?} {} = {} + {}", c.records, c.present, c.absent))
        .collect();
    let detail =
        format!("{}; {} distinct records in the log, {present} present", by_class.join(", "), sums.distinct);
    identity("I3", balanced && present == sums.distinct, detail)
}

fn i4(sums: &Sums) -> Identity {
    identity("I4", sums.of_rejected == 0, format!("{} copies of rejected attempts", sums.of_rejected))
}

fn i5(log: &Log<'_>, sums: &Sums) -> Identity {
    let Sums { ledgered, distinct, surplus, alien, corrupt, unledgered, .. } = sums;
    let entries = log.entries;
    let duplicates = surplus.0 + surplus.1;
    let holds = entries == ledgered + alien + corrupt + unledgered && *ledgered == distinct + duplicates;
    let detail = format!(
        "{entries} entries = {ledgered} + {alien} alien + {corrupt} corrupt + {unledgered} unledgered; \
         {ledgered} - {distinct} distinct = {duplicates} duplicates"
    );
    identity("I5", holds, detail)
}

fn i10(sums: &Sums) -> Identity {
    let Sums { copies_hash, books_hash, .. } = sums;
    identity("I10", copies_hash == books_hash, format!("copies {copies_hash:032x}, books {books_hash:032x}"))
}

fn i11(books: &Books) -> Identity {
    let fine = format!("counters and {} entries agree, sequences are dense", books.records);
    listed("I11", fine, &books.faults)
}

fn i12(log: &Log<'_>) -> Identity {
    if !log.has_witness {
        return identity("I12", false, "nobody but the reader has read the log".into());
    }
    let who = if log.has_segments { "the replicas' segments" } else { "a second reading" };
    listed("I12", format!("the reader and {who} agree on {} offsets", log.offsets), &log.disagreements)
}
