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
    /// Copies that name another transaction than the ledgers do: breaks I11.
    pub(super) foreign: Vec<String>,
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

/// I1 to I5 and I10 to I12, and I6 with transactions: `all` sums up everything in the log, `visible` what read_committed
/// shows of it.
pub(super) fn identities(books: &Books, log: &Log<'_>, all: &Sums, visible: Option<&Sums>) -> Vec<Identity> {
    let claims = visible.unwrap_or(all);
    let mut identities = vec![i1(books, claims), i2(log), i3(claims), i4(all), i5(log, all, visible)];
    identities.extend(visible.map(|_| i6(log)));
    identities.extend([i10(all, visible), i11(books, all), i12(log)]);
    identities
}

fn i1(books: &Books, sums: &Sums) -> Identity {
    let by_class: u64 = sums.classes.values().map(|count| count.records).sum();
    let (records, attempts) = (books.records, books.attempts);
    let detail = format!("{records} records, {by_class} by class, {attempts} attempts");
    identity("I1", records == by_class && attempts >= records, detail)
}

fn i2(log: &Log<'_>) -> Identity {
    if log.is_transactional && !log.has_segments {
        let Log { offsets, entries, disorder, .. } = log;
        let detail = format!(
            "{offsets} offsets, {entries} entries, the rest taken for control records: no segments; {disorder} out of order"
        );
        return identity("I2", entries <= offsets && *disorder == 0, detail);
    }
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

fn i5(log: &Log<'_>, sums: &Sums, visible: Option<&Sums>) -> Identity {
    let Sums { ledgered, distinct, surplus, alien, corrupt, unledgered, .. } = sums;
    let entries = log.entries;
    let duplicates = surplus.0 + surplus.1;
    let mut holds = entries == ledgered + alien + corrupt + unledgered && *ledgered == distinct + duplicates;
    let mut detail = format!(
        "{entries} entries = {ledgered} + {alien} alien + {corrupt} corrupt + {unledgered} unledgered; \
         {ledgered} - {distinct} distinct = {duplicates} duplicates"
    );
    if let Some(visible) = visible {
        // Aborted copies are counted from offsets, everything else from identities.
        let strangers = unledgered.saturating_sub(visible.unledgered);
        let aborted = log.aborted_copies.saturating_sub(strangers);
        let shown = visible.surplus.0 + visible.surplus.1;
        let hidden_records = distinct.saturating_sub(visible.distinct);
        holds &= ledgered + hidden_records == distinct + shown + aborted;
        detail += &format!(
            "; at read_committed {shown} duplicates + {aborted} aborted copies - {hidden_records} records that are only there"
        );
    }
    identity("I5", holds, detail)
}

fn i6(log: &Log<'_>) -> Identity {
    let fine = format!(
        "{} entries at read_committed, all among the {} in the log; {}",
        log.visible_entries,
        log.entries,
        if log.has_segments {
            "exactly those that the markers show"
        } else {
            "markers not checked: no segments"
        },
    );
    listed("I6", fine, &log.visibility_faults)
}

fn i10(all: &Sums, visible: Option<&Sums>) -> Identity {
    let words = |sums: &Sums| format!("copies {:032x}, books {:032x}", sums.copies_hash, sums.books_hash);
    let equal = |sums: &Sums| sums.copies_hash == sums.books_hash;
    match visible {
        None => identity("I10", equal(all), words(all)),
        Some(visible) => {
            let detail = format!("{}; at read_committed {}", words(all), words(visible));
            identity("I10", equal(all) && equal(visible), detail)
        }
    }
}

fn i11(books: &Books, all: &Sums) -> Identity {
    let mut fine = format!("counters and {} entries agree, sequences are dense", books.records);
    if books.transactions > 0 {
        fine += &format!("; so do those of {} transactions", books.transactions);
    }
    listed("I11", fine, &[books.faults.as_slice(), all.foreign.as_slice()].concat())
}

fn i12(log: &Log<'_>) -> Identity {
    if !log.has_witness {
        return identity("I12", false, "nobody but the reader has read the log".into());
    }
    let who = if log.has_segments { "the replicas' segments" } else { "a second reading" };
    listed("I12", format!("the reader and {who} agree on {} offsets", log.offsets), &log.disagreements)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(records: u64, present: u64, absent: u64) -> ClassCount {
        ClassCount { records, present, absent }
    }

    fn holds(change: impl Fn(&mut Books, &mut Log<'_>, &mut Sums)) -> String {
        // Ten records: eight of them in the log, one of these twice by one attempt and one by another; three strangers.
        let mut books = Books { records: 10, attempts: 11, ..Books::default() };
        let mut log = Log { offsets: 18, entries: 13, control: 2, holes: 3, ..Log::default() };
        (log.has_segments, log.has_witness) = (true, true);
        let mut sums = Sums { ledgered: 10, distinct: 8, surplus: (1, 1), ..Sums::default() };
        (sums.alien, sums.corrupt, sums.unledgered) = (1, 1, 1);
        sums.classes = [(Class::Acked, count(7, 6, 1)), (Class::Unknown, count(3, 2, 1))].into();
        change(&mut books, &mut log, &mut sums);
        let all = identities(&books, &log, &sums, None);
        let broken = all.iter().filter(|identity| !identity.holds).map(|identity| identity.name.as_str());
        broken.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_identity_fails_when_either_of_its_sides_is_off_by_one() {
        assert_eq!(holds(|_, _, _| ()), "");
        assert_eq!(holds(|books, _, _| books.records += 1), "I1");
        assert_eq!(holds(|books, _, _| books.records -= 1), "I1");
        assert_eq!(holds(|books, _, _| books.attempts = 10), "");
        assert_eq!(holds(|books, _, _| books.attempts = 9), "I1", "each record has an attempt");
        assert_eq!(holds(|_, log, _| log.offsets += 1), "I2");
        assert_eq!(holds(|_, log, _| log.offsets -= 1), "I2");
        assert_eq!(holds(|_, log, _| log.control += 1), "I2");
        assert_eq!(holds(|_, log, _| log.holes += 1), "I2");
        assert_eq!(holds(|_, log, _| log.disorder += 1), "I2");
        assert_eq!(holds(|_, log, _| (log.has_segments, log.holes, log.offsets) = (false, 9, 15)), "");
    }

    #[test]
    fn each_identity_of_copies_fails_when_either_of_its_sides_is_off_by_one() {
        let class = |change: fn(&mut ClassCount)| {
            holds(|_, _, sums| change(sums.classes.get_mut(&Class::Acked).expect("a class")))
        };
        assert_eq!(class(|acked| acked.absent += 1), "I3");
        assert_eq!(class(|acked| (acked.present, acked.absent) = (7, 0)), "I3", "one more than is distinct");
        assert_eq!(holds(|_, _, sums| sums.of_rejected += 1), "I4");
        assert_eq!(holds(|_, _, sums| sums.alien += 1), "I5");
        assert_eq!(holds(|_, _, sums| sums.corrupt += 1), "I5");
        assert_eq!(holds(|_, _, sums| sums.unledgered += 1), "I5");
        assert_eq!(holds(|_, _, sums| sums.surplus.0 += 1), "I5");
        assert_eq!(holds(|_, _, sums| sums.surplus.1 += 1), "I5");
        assert_eq!(holds(|_, _, sums| (sums.ledgered, sums.alien) = (9, 2)), "I5");
        assert_eq!(holds(|_, _, sums| sums.copies_hash += 1), "I10");
        assert_eq!(holds(|_, _, sums| sums.books_hash += 1), "I10");
        assert_eq!(holds(|books, _, _| books.faults.push("wrong".into())), "I11");
        assert_eq!(holds(|_, _, sums| sums.foreign.push("wrong".into())), "I11");
        assert_eq!(holds(|_, log, _| log.disagreements.push("wrong".into())), "I12");
        assert_eq!(holds(|_, log, _| log.has_witness = false), "I12");
    }

    #[test]
    fn a_side_that_is_empty_is_left_out_of_the_words() {
        let classes = [(Class::Acked, count(7, 6, 1)), (Class::Sent, count(0, 0, 0))].into();
        let sums = Sums { classes, distinct: 6, ..Sums::default() };
        assert_eq!(i3(&sums).detail, "Acked 7 = 6 + 1; 6 distinct records in the log, 6 present");
        let detail = |transactions| i11(&Books { transactions, ..Books::default() }, &sums).detail;
        assert_eq!(detail(0), "counters and 0 entries agree, sequences are dense");
        assert!(detail(3).ends_with("; so do those of 3 transactions"));
    }

    #[test]
    fn with_transactions_what_is_hidden_is_the_difference_of_both_views() {
        // Without segments of 18 offsets 13 hold entries. Of ten copies of nine records two are hidden, one the only copy.
        let broken = |change: &dyn Fn(&mut Log<'_>, &mut Sums, &mut Sums)| {
            let mut log = Log { offsets: 18, entries: 13, is_transactional: true, ..Log::default() };
            (log.has_witness, log.aborted_copies) = (true, 3);
            let mut all =
                Sums { ledgered: 10, distinct: 9, surplus: (1, 0), unledgered: 3, ..Sums::default() };
            let mut visible = Sums { distinct: 8, unledgered: 2, ..Sums::default() };
            visible.classes = [(Class::Committed, count(9, 8, 1))].into();
            change(&mut log, &mut all, &mut visible);
            let books = Books { records: 9, attempts: 9, ..Books::default() };
            let all = identities(&books, &log, &all, Some(&visible));
            let broken = all.iter().filter(|identity| !identity.holds).map(|identity| identity.name.as_str());
            broken.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(broken(&|_, _, _| ()), "");
        assert_eq!(broken(&|log, _, _| log.offsets = 13), "");
        assert_eq!(broken(&|log, _, _| log.offsets = 12), "I2", "more entries than offsets");
        assert_eq!(broken(&|log, _, _| log.disorder = 1), "I2");
        assert_eq!(
            broken(&|log, _, _| log.has_segments = true),
            "I2",
            "segments would show the control records"
        );
        assert_eq!(broken(&|log, _, _| log.aborted_copies += 1), "I5");
        assert_eq!(broken(&|_, _, visible| visible.unledgered += 1), "I5");
        assert_eq!(broken(&|_, _, visible| visible.surplus.0 += 1), "I5");
        assert_eq!(broken(&|_, _, visible| visible.surplus.1 += 1), "I5");
        assert_eq!(broken(&|_, _, visible| visible.distinct += 1), "I3 I5");
        assert_eq!(broken(&|log, _, _| log.visibility_faults.push("wrong".into())), "I6");
        assert_eq!(broken(&|_, all, _| all.copies_hash += 1), "I10");
        assert_eq!(broken(&|_, _, visible| visible.copies_hash += 1), "I10");
        assert_eq!(broken(&|_, all, visible| (all.copies_hash, visible.books_hash) = (1, 1)), "I10");
    }
}
