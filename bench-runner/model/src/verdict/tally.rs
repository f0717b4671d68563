//! The kinds of findings: their names in files, their words in reports, and what a zero is worth. It counts nothing.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// No kind of finding has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no tally; use one of {names}", names = TallyKind::ALL.map(TallyKind::as_str).join(", "))]
pub struct UnknownTally(
    /// The name.
    pub String,
);

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $name:literal $label:literal $explain:literal)*) => {
        /// A kind of finding; the names are those of the report and of `expect` in a profile.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum TallyKind { $($(#[$doc])* $kind,)* }

        impl TallyKind {
            /// Every kind, in the order of reports.
            pub const ALL: [TallyKind; [$($name),*].len()] = [$(TallyKind::$kind),*];

            /// The name in files and profiles.
            pub fn as_str(self) -> &'static str {
                match self { $(TallyKind::$kind => $name),* }
            }

            /// About what a consumer group did; such tallies stand only in cells that have one.
            pub fn is_of_group(self) -> bool {
                self as usize >= TallyKind::ProcessingLoss as usize
            }

            /// About what became of transactions; such tallies stand only in cells that have them.
            pub fn is_of_transactions(self) -> bool {
                use TallyKind::{AbortedCopies, AbortedRead, ConsumerAbortedRead, TornTransaction};
                matches!(self, AbortedCopies | AbortedRead | TornTransaction | ConsumerAbortedRead)
            }

            /// About the rows of a sink; such tallies stand only in cells that have one.
            pub fn is_of_sink(self) -> bool {
                self as usize >= TallyKind::SinkDuplicate as usize
            }

            /// A few words for a table.
            pub fn label(self) -> &'static str {
                match self { $(TallyKind::$kind => $label),* }
            }

            /// One sentence for a reader who does not know the word.
            pub fn explain(self) -> &'static str {
                match self { $(TallyKind::$kind => $explain),* }
            }
        }
    };
}

kinds! {
    /// Acked and absent.
    LogLoss "log_loss" "lost (acked)"
        "records that were acknowledged by the leader and are not in the log"
    /// Sent with acks=0 and absent.
    Acks0Drop "acks0_drop" "dropped (acks=0)"
        "records sent without asking for an answer that are not in the log; nobody had promised them"
    /// Unknown and present.
    UnknownPresent "unknown_present" "unknown, present"
        "records whose fate the client could not tell, and which are in the log"
    /// Unknown and absent.
    UnknownAbsent "unknown_absent" "unknown, absent"
        "records whose fate the client could not tell, and which are not in the log"
    /// A copy whose attempt is not_persisted.
    Phantom "phantom" "phantoms"
        "copies that the client had reported as surely not written"
    /// Surplus copies of the same attempt.
    DuplicateSameAttempt "duplicate_same_attempt" "duplicates"
        "surplus copies of a record that the application sent once"
    /// Surplus copies of a record by resends of the application.
    DuplicateCrossAttempt "duplicate_cross_attempt" "duplicates by resend"
        "surplus copies because the application sent a record again"
    /// Late records.
    Reorder "reorder" "late records"
        "records whose first copy stands behind a later record of the same producer and partition"
    /// One (partition, offset) with two records.
    RewrittenLog "rewritten_log" "rewritten offsets"
        "offsets at which two different records were seen"
    /// Offsets that are neither copy nor control record.
    OffsetGap "offset_gap" "offset gaps"
        "offsets below the end of the log that hold neither a record nor a control record"
    /// A copy in another partition than its header says.
    Misplaced "misplaced" "misplaced"
        "copies found in another partition than the one they were sent to"
    /// A log entry whose header does not decode.
    Alien "alien" "alien"
        "log entries that are no records of this cell"
    /// A log entry whose CRC is wrong.
    Corrupt "corrupt" "corrupt"
        "log entries of this cell whose checksum is wrong"
    /// A copy without a ledger entry.
    Unledgered "unledgered" "unledgered"
        "copies of this cell that no producer has entered in its ledger"
    /// Copies that read_committed does not show.
    AbortedCopies "aborted_copies" "aborted copies"
        "copies in the log that read_committed does not show, because their transaction was aborted or has no end"
    /// A visible copy of a transaction that was never committed.
    AbortedRead "aborted_read" "aborted, yet visible"
        "records visible at read_committed although their transaction was never committed"
    /// Some of a transaction visible, but not all.
    TornTransaction "torn_transaction" "torn transactions"
        "transactions of which some records are visible at read_committed and others are not"
    /// A visible position that no member ever began.
    ProcessingLoss "processing_loss" "never processed"
        "records in the log that no member of the group has begun to process"
    /// Begun, not completed, and not processed again.
    BegunOnly "begun_only" "begun only"
        "records whose processing was begun and never completed: neither loss nor success"
    /// Processed, and no longer in the log.
    Vanished "vanished" "vanished"
        "records that were processed and are no longer in the log"
    /// Completed processings of a position beyond the first.
    Redelivery "redelivery" "processed again"
        "completed processings of a record beyond its first one"
    /// Committed past positions that were not completed.
    CommitAhead "commit_ahead" "committed ahead"
        "records below a committed offset that were not completed when the commit was called"
    /// The next delivered offset jumped over visible data.
    PollSkip "poll_skip" "skipped by poll"
        "records that a member was not given although it was given later ones of the same assignment"
    /// The next delivered offset went back.
    NonMonotonicPoll "non_monotonic_poll" "polled backwards"
        "times that a member was given an earlier offset again inside one assignment"
    /// A member at read_committed processed what was never committed.
    ConsumerAbortedRead "consumer_aborted_read" "processed though aborted"
        "records that a member at read_committed processed although read_committed does not show them"
    /// Rows of a record beyond its first one.
    SinkDuplicate "sink_duplicate" "rows again"
        "rows in the sink beyond the first one of a record"
    /// In the log, and not in the sink.
    SinkLoss "sink_loss" "missing in the sink"
        "records in the log that have no row in the sink"
    /// Refused because its writer was taken over, or its transaction aborted.
    SinkRefused "sink_refused" "refused by the sink"
        "rows that a member wanted to write and that the sink refused: somebody else had its partition, or the transaction had to be aborted"
}

impl fmt::Display for TallyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for TallyKind {
    type Err = UnknownTally;

    fn from_str(name: &str) -> Result<Self, UnknownTally> {
        TallyKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| UnknownTally(name.to_owned()))
    }
}

/// What "0 of `of`" is worth: the rate is below this at 95 % if the trials are independent (3 / `of`).
///
/// `None` when the count is not 0, or there was no trial.
pub fn bound_95(count: u64, of: u64) -> Option<f64> {
    (count == 0 && of > 0).then(|| (3.0 / of as f64).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_stored_form() {
        for kind in TallyKind::ALL {
            assert_eq!(serde_json::to_string(&kind).expect("a name"), format!("\"{kind}\""));
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("loss".parse::<TallyKind>().is_err_and(|error| error.to_string().contains("log_loss")));
    }

    #[test]
    fn a_zero_is_a_bound() {
        assert_eq!(bound_95(0, 300_000), Some(1e-5));
        assert_eq!((bound_95(0, 1), bound_95(0, 0), bound_95(1, 10)), (Some(1.0), None, None));
    }
}
