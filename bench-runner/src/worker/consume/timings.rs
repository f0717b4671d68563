//! How long a pipeline's transactions took: noted call by call on the sink's thread, entered by second by the thread that
//! knows T0. It decides nothing.

use bench_model::latency::Series;
use std::sync::{Arc, Mutex};

const SECOND_NS: u64 = 1_000_000_000;

/// What was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// Taking the transactional id.
    Init,
    /// Adding the offsets.
    Offsets,
    /// Committing.
    Commit,
    /// Aborting.
    Abort,
}

impl Call {
    /// As in errors of transactions.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Call::Init => "init",
            Call::Offsets => "offsets",
            Call::Commit => "commit",
            Call::Abort => "abort",
        }
    }
}

/// One call; instants in nanoseconds of the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Note {
    pub(super) call: Call,
    /// When its transaction began.
    pub(super) begun_ns: u64,
    pub(super) called_ns: u64,
    pub(super) answered_ns: u64,
    /// Answered Ok.
    pub(super) fine: bool,
}

/// Calls that were not entered yet; a lock for each batch, none for a record.
pub(super) type Notes = Arc<Mutex<Vec<Note>>>;

/// The series, as producers have them.
#[derive(Debug)]
pub(super) struct Timings {
    notes: Notes,
    /// The cell's producers have such series, too.
    beside_producers: bool,
    init: Series,
    transaction: Series,
    offsets_call: Series,
    commit_call: Series,
    abort: Series,
}

impl Timings {
    pub(super) fn new(notes: &Notes, seconds: usize, beside_producers: bool) -> Self {
        let series = || Series::new(seconds);
        Timings {
            notes: Arc::clone(notes),
            beside_producers,
            init: series(),
            transaction: series(),
            offsets_call: series(),
            commit_call: series(),
            abort: series(),
        }
    }

    /// Enters what was noted, by the second in which each transaction began.
    pub(super) fn enter(&mut self, t0_ns: u64) {
        let Timings { notes, init, transaction, offsets_call, commit_call, abort, .. } = self;
        let Ok(mut notes) = notes.lock() else { return };
        for Note { call, begun_ns, called_ns, answered_ns, fine } in notes.drain(..) {
            let second = (begun_ns.saturating_sub(t0_ns) / SECOND_NS) as usize;
            let enter = |series: &mut Series, second: usize, since_ns: u64| {
                let value_ns = answered_ns.saturating_sub(since_ns);
                if fine { series.record(second, value_ns) } else { series.fail(second, value_ns) }
            };
            match call {
                // It has no second of its own, and the last one is always a part of the window.
                Call::Init => enter(init, usize::MAX, called_ns),
                Call::Offsets => enter(offsets_call, second, called_ns),
                Call::Commit => {
                    enter(transaction, second, begun_ns);
                    enter(commit_call, second, called_ns);
                }
                Call::Abort => enter(abort, second, called_ns),
            }
        }
    }

    /// The series by name; a cell's series are merged by their names, so what producers have as well gets another.
    pub(super) fn into_series(self) -> [(&'static str, Series); 5] {
        let Timings { init, transaction, offsets_call, commit_call, abort, beside_producers, .. } = self;
        let names = match beside_producers {
            false => ["init", "transaction", "commit_call", "abort"],
            true => ["output_init", "output_transaction", "output_commit_call", "output_abort"],
        };
        [
            (names[0], init),
            (names[1], transaction),
            ("offsets_call", offsets_call),
            (names[2], commit_call),
            (names[3], abort),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_is_entered_by_the_second_in_which_its_transaction_began() {
        let notes = Notes::default();
        let mut timings = Timings::new(&notes, 4, false);
        let t0_ns = 5 * SECOND_NS;
        let note = |call, begun_s: u64, called_ms: u64, answered_ms: u64, fine| Note {
            call,
            begun_ns: t0_ns + begun_s * SECOND_NS,
            called_ns: t0_ns + begun_s * SECOND_NS + called_ms * 1_000_000,
            answered_ns: t0_ns + begun_s * SECOND_NS + answered_ms * 1_000_000,
            fine,
        };
        notes.lock().expect("no panic").extend([
            note(Call::Init, 0, 0, 7, true),
            note(Call::Offsets, 2, 1, 3, true),
            note(Call::Commit, 2, 3, 10, true),
            note(Call::Commit, 3, 3, 10, false),
            note(Call::Abort, 3, 10, 12, true),
        ]);
        timings.enter(t0_ns);
        // Entered once.
        timings.enter(t0_ns);
        let series: std::collections::BTreeMap<_, _> = timings.into_series().into_iter().collect();
        let counts = |name: &str| (0..=4).map(|second| series[name].count(second)).collect::<Vec<u64>>();
        assert_eq!(counts("init"), [0, 0, 0, 0, 1]);
        assert_eq!(counts("offsets_call"), [0, 0, 1, 0, 0]);
        assert_eq!(counts("transaction"), counts("commit_call"));
        assert_eq!(counts("abort"), [0, 0, 0, 1, 0]);
        let summary = |name: &str| series[name].summary(0..5).expect("values");
        assert_eq!((summary("transaction").count, summary("transaction").failed), (2, 1));
        assert!((9_900_000..=10_100_000).contains(&series["transaction"].second_ns(2).expect("a value")[0]));
        assert!((6_900_000..=7_100_000).contains(&series["commit_call"].second_ns(2).expect("a value")[0]));
    }

    #[test]
    fn beside_producers_with_transactions_no_series_has_a_name_of_theirs() {
        let names = |beside_producers| {
            let timings = Timings::new(&Notes::default(), 1, beside_producers);
            timings.into_series().map(|(name, _)| name)
        };
        assert_eq!(names(false), ["init", "transaction", "offsets_call", "commit_call", "abort"]);
        assert!(names(true).iter().all(|name| *name == "offsets_call" || !names(false).contains(name)));
    }
}
