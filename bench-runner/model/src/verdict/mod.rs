//! Evidence judged by the promise: the letter of the accounting contract (`docs/method.md`).
//!
//! Pure: ledgers, settings, faults and log readings in, a [`Verdict`] out; it never sees a live cluster. Works on runs,
//! so that memory grows with runs and anomalies and not with records.

mod books;
mod compare;
mod contingency;
mod effects;
mod findings;
mod guarantee;
mod hash;
mod identities;
mod judge;
mod log;
mod output;
mod pipeline;
mod processing;
mod promise;
mod spans;
mod tally;
mod tracker;
mod transactions;

#[cfg(test)]
mod effects_tests;
#[cfg(test)]
pub(crate) mod history;
#[cfg(test)]
mod judge_tests;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod pipeline_tests;
#[cfg(test)]
mod processing_tests;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod transaction_books_tests;
#[cfg(test)]
mod transaction_lives_tests;
#[cfg(test)]
mod transaction_tests;

pub use guarantee::{Delivery, Guarantee, guarantee};
pub use judge::{Exhibits, Upsets, judge};
pub use spans::{Part, Spans};
pub use tally::{TallyKind, UnknownTally, bound_95};

use crate::ids::{PartitionId, ProducerId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A record's class: the strongest claim of its attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// K: delivery report without error, acks = 1 or all.
    Acked,
    /// K0: delivery report without error, acks = 0.
    Sent,
    /// P or U: may be written.
    Unknown,
    /// N: error, and surely not written.
    NotPersisted,
    /// R: refused for good by the client.
    Rejected,
    /// Handed over in a transaction whose commit was answered Ok. Records of transactions have no other claim than this.
    Committed,
    /// In a transaction whose commit was called and not answered Ok: all visible, or none.
    CommitUnknown,
    /// In a transaction that was never committed: never visible.
    NeverCommitted,
}

/// Present and absent records of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassCount {
    /// Records of the class, by the ledger.
    pub records: u64,
    /// Those with at least one copy in the log.
    pub present: u64,
    /// Those without.
    pub absent: u64,
}

/// What a finding weighs under the cell's settings and faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Neither good nor bad: a rate, or a report.
    Reported,
    /// A price of the settings.
    Allowed,
    /// Breaks the promise.
    Violation,
}

/// One offender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offender {
    /// Producer, where known.
    pub producer: Option<ProducerId>,
    /// Partition (home partition of the record, or where the entry was found).
    pub partition: PartitionId,
    /// Sequence, where known.
    pub sequence: Option<u64>,
    /// Offset, where there is one.
    pub offset: Option<i64>,
    /// Class, where known.
    pub class: Option<Class>,
}

/// One tally with its denominator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Of how many (records of the class, copies, ...).
    pub of: u64,
    /// What it weighs here.
    pub weight: Weight,
    /// The first 32.
    pub offenders: Vec<Offender>,
    /// `None`: could not be checked (e.g. gaps without segments on a transactional topic); the reason.
    pub not_checked: Option<String>,
}

/// One identity of the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `I1` ... `I13`.
    pub name: String,
    /// Holds.
    pub holds: bool,
    /// Both sides, in words and numbers.
    pub detail: String,
}

/// What the settings guarantee, and whether it was so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// Nothing that the settings forbid, nothing that they allow.
    Kept,
    /// Something that the settings allow: a price, not a defect.
    Allowed,
    /// Something that the settings forbid.
    Violated,
    /// Void or inconclusive: neither loss nor no loss may be claimed.
    Unjudged,
}

/// Records of one class that are alike in copies, processings and effects, with the exact sums that "2 and more" hides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alike {
    /// Copies in the log, completed processings of any of their positions, and rows in the sink; 2: two and more.
    pub copies: u8,
    /// See `copies`.
    pub processed: u8,
    /// See `copies`.
    pub effects: u8,
    /// How many records.
    pub records: u64,
    /// All their copies.
    pub sum_copies: u64,
    /// All their processings.
    pub sum_processed: u64,
    /// All their rows.
    pub sum_effects: u64,
}

/// One class of the contingency table `class x copies{0,1,2+}`, with a group `x processed{0,1,2+} x effects{0,1,2+}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contingency {
    /// The class.
    pub class: Class,
    /// Records with no, one, and more copies.
    pub copies_0: u64,
    /// One copy.
    pub copies_1: u64,
    /// Two or more.
    pub copies_2: u64,
    /// With a group: the same records by what became of them in it; kinds without a record are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alike: Vec<Alike>,
}

/// The judgement of one cell's books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Records, by the ledger.
    pub records: u64,
    /// Attempts, by the ledger.
    pub attempts: u64,
    /// Copies in the log.
    pub copies: u64,
    /// By class; every class of the cell is listed. With transactions, present means visible at read_committed.
    pub classes: BTreeMap<Class, ClassCount>,
    /// By class and copies.
    pub contingency: Vec<Contingency>,
    /// Every tally, zeros included.
    pub tallies: BTreeMap<TallyKind, Tally>,
    /// I1-I5, I10-I12; with transactions also I6, with a group I7, I8, I13 and the table's margins, with a sink I9.
    pub identities: Vec<Identity>,
    /// Why no verdict is possible, if so (log start above 0, LSO < HW, end offsets not reached, drain timed out).
    pub inconclusive: Option<String>,
    /// What did not drain in time, as the judge was told; part of `inconclusive`.
    #[serde(default)]
    pub undrained: Option<String>,
    /// What the settings promise, and whether it was so.
    pub promise: Promise,
}

impl Class {
    /// Every class; the strongest claim of plain records first.
    pub const ALL: [Class; 8] = [
        Class::Acked,
        Class::Sent,
        Class::Unknown,
        Class::NotPersisted,
        Class::Rejected,
        Class::Committed,
        Class::CommitUnknown,
        Class::NeverCommitted,
    ];

    /// The classes that records of a cell can have.
    pub fn of_cell(transactional: bool) -> &'static [Class] {
        const OF_TRANSACTIONS: [Class; 4] =
            [Class::Committed, Class::CommitUnknown, Class::NeverCommitted, Class::Rejected];
        if transactional { &OF_TRANSACTIONS } else { &Class::ALL[..5] }
    }
}

impl Verdict {
    /// A broken identity: our defect, not Kafka's.
    pub fn is_void(&self) -> bool {
        self.inconclusive.is_none() && self.identities.iter().any(|identity| !identity.holds)
    }

    /// The log was read whole and the books balance: only then do the tallies claim anything.
    pub fn is_given(&self) -> bool {
        self.inconclusive.is_none() && !self.is_void()
    }

    /// Without claims, unless it is given: what was counted stays for whoever looks for the defect.
    #[must_use]
    pub(crate) fn claiming_nothing_unless_given(mut self) -> Self {
        if self.is_given() {
            return self;
        }
        let why = if self.is_void() { "the books do not balance" } else { "the cell is inconclusive" };
        self.promise = Promise::Unjudged;
        for tally in self.tallies.values_mut() {
            tally.weight = Weight::Reported;
            tally.not_checked = Some(why.to_owned());
        }
        self
    }
}
