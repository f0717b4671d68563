//! In which second acknowledgements arrived, from the running totals that workers report about once a second.

use bench_model::plan::Cell;
use bench_model::wire::Progress;

const SECOND_NS: u64 = 1_000_000_000;
/// A longer stretch between two totals means that the worker stood still: what it found afterwards arrived at the end.
const AFTER_STALL_NS: u64 = SECOND_NS / 2;

/// Answers of a cell by second after T0: acknowledgements, or, where they promise nothing, what the reader was handed.
pub fn of_cell<'a>(
    produced: impl Iterator<Item = &'a [Progress]>,
    delivered: &[Progress],
    cell: &Cell,
    t0_ns: u64,
) -> Vec<u64> {
    if cell.settings.producer.answers_count() {
        by_second(produced, t0_ns, |progress| progress.acked)
    } else {
        by_second(std::iter::once(delivered), t0_ns, |progress| progress.records)
    }
}

/// Records that the end-to-end reader was handed, by second after T0.
pub fn delivered(delivered: &[Progress], t0_ns: u64) -> Vec<u64> {
    by_second(std::iter::once(delivered), t0_ns, |progress| progress.records)
}

/// What grew between the totals of every worker, by the second after `t0_ns` in which it did.
fn by_second<'a>(
    histories: impl Iterator<Item = &'a [Progress]>,
    t0_ns: u64,
    total: fn(&Progress) -> u64,
) -> Vec<u64> {
    let mut seconds: Vec<u64> = Vec::new();
    for history in histories {
        let (mut last_ns, mut last_total) = (t0_ns, 0);
        for progress in history {
            let grown = total(progress).saturating_sub(last_total);
            if grown > 0 {
                let middle_ns = last_ns + progress.at_ns.saturating_sub(last_ns) / 2;
                let when_ns = middle_ns.max(progress.at_ns.saturating_sub(AFTER_STALL_NS));
                let second = usize::try_from(when_ns.saturating_sub(t0_ns) / SECOND_NS).unwrap_or(usize::MAX);
                if seconds.len() <= second {
                    seconds.resize(second + 1, 0);
                }
                seconds[second] += grown;
            }
            (last_ns, last_total) = (progress.at_ns, total(progress).max(last_total));
        }
    }
    seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at_ms: u64, acked: u64) -> Progress {
        Progress { at_ns: 5 * SECOND_NS + at_ms * 1_000_000, acked, ..Progress::default() }
    }

    fn seconds(histories: &[Vec<Progress>]) -> Vec<u64> {
        by_second(histories.iter().map(Vec::as_slice), 5 * SECOND_NS, |progress| progress.acked)
    }

    #[test]
    fn totals_become_what_arrived_in_each_second() {
        assert_eq!(seconds(&[vec![at(1_001, 10), at(2_000, 10), at(3_002, 25)]]), [10, 0, 15]);
        assert_eq!(seconds(&[vec![at(1_001, 10)], vec![at(1_000, 1), at(2_001, 3)]]), [11, 2]);
    }

    #[test]
    fn the_closing_total_belongs_to_the_second_in_which_it_was_made() {
        assert_eq!(seconds(&[vec![at(1_001, 0), at(2_001, 0), at(2_090, 7)]]), [0, 0, 7]);
    }

    #[test]
    fn after_a_stall_reports_arrive_at_its_end() {
        assert_eq!(seconds(&[vec![at(1_001, 5), at(3_700, 90), at(4_001, 95)]]), [5, 0, 0, 85 + 5]);
    }
}
