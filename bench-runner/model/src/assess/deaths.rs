//! Whether the members died where the plan says: the process's end and its own journal must agree. It counts nothing.

use crate::fault::{Death, DeathRecord, End, Point};
use crate::ids::{Incarnation, MemberId};
use crate::processing::{CommitAnswer, Entry, Journal};

/// The first planned death without proof, in words.
pub(super) fn unproven(planned: &[Death], seen: &[DeathRecord], journals: &[Journal]) -> Option<String> {
    (0_u8..).zip(planned).find_map(|(life, death)| {
        let of_life = |member: MemberId, incarnation: Incarnation| member.0 == 0 && incarnation.0 == life;
        let end = seen.iter().find(|seen| of_life(seen.member, seen.incarnation));
        let journal = journals.iter().find(|journal| of_life(journal.member, journal.incarnation));
        let what = match (end, journal) {
            (None, _) | (_, None) => "did not happen".to_owned(),
            (Some(end), _) if !end.as_planned => format!("ended otherwise ({})", end.exit),
            (Some(_), Some(journal)) => misplaced(death, journal)?,
        };
        Some(format!("the death of member 0 in life {life} at record {}: {what}", death.record))
    })
}

/// What the journal says against the death having been where it was planned.
fn misplaced(death: &Death, journal: &Journal) -> Option<String> {
    let processed = journal.entries.iter().filter_map(|entry| match entry {
        Entry::Processed(run) => Some((run.copies.count, run.completed)),
        _ => None,
    });
    let (begun, completed) = processed.fold((0, 0), |sum, run| (sum.0 + run.0, sum.1 + run.1));
    let expected = match death.point {
        Point::AfterProcessing => death.record,
        Point::AfterPoll | Point::AfterCommit => death.record.saturating_sub(1),
    };
    if (begun, completed) != (expected, expected) {
        return Some(format!(
            "its journal has {begun} begun and {completed} completed records, not {expected}"
        ));
    }
    if journal.closed != (death.end == End::Close) {
        return Some("its journal was closed otherwise".to_owned());
    }
    let last = journal.entries.iter().rev().find_map(|entry| match entry {
        Entry::Commit(commit) => Some(commit.answer),
        _ => None,
    });
    (death.point == Point::AfterCommit && last != Some(CommitAnswer::Ok))
        .then(|| "its last commit was not answered".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PartitionId;
    use crate::processing::{Commit, Processed};
    use crate::reading::CopyRun;

    fn journal(count: u64, completed: u64, closed: bool) -> Journal {
        let copies = CopyRun {
            offset: 0,
            count,
            producer: Default::default(),
            incarnation: Default::default(),
            attempt: Default::default(),
            home: PartitionId(0),
            sequence: 0,
            transaction: 0,
        };
        let run = Processed { partition: PartitionId(0), copies, completed, begun_ns: 1, completed_ns: 2 };
        let commit = Commit {
            partition: PartitionId(0),
            offset: 9,
            called_ns: 3,
            answered_ns: 4,
            answer: CommitAnswer::Ok,
        };
        Journal {
            member: MemberId(0),
            incarnation: Incarnation(0),
            closed,
            begun: count,
            completed,
            entries: vec![Entry::Processed(run), Entry::Commit(commit)],
        }
    }

    fn seen(death: Death, as_planned: bool) -> DeathRecord {
        let exit = "signal: 9 (SIGKILL)".to_owned();
        DeathRecord { death, member: MemberId(0), incarnation: Incarnation(0), seen_ns: 5, exit, as_planned }
    }

    #[test]
    fn a_death_counts_where_the_process_and_its_journal_agree() {
        let kill = |point| Death { record: 7, point, end: End::Kill, restart: true };
        let after = kill(Point::AfterProcessing);
        let check = |death, seen: &[DeathRecord], journal: Journal| unproven(&[death], seen, &[journal]);
        assert_eq!(check(after, &[seen(after, true)], journal(7, 7, false)), None);
        assert_eq!(check(kill(Point::AfterCommit), &[seen(after, true)], journal(6, 6, false)), None);
        assert!(check(after, &[], journal(7, 7, false)).is_some_and(|why| why.contains("did not happen")));
        assert!(check(after, &[seen(after, false)], journal(7, 7, false)).is_some());
        assert!(check(after, &[seen(after, true)], journal(8, 8, false)).is_some());
        assert!(check(after, &[seen(after, true)], journal(7, 6, false)).is_some());
        assert!(check(after, &[seen(after, true)], journal(7, 7, true)).is_some());
        assert_eq!(unproven(&[], &[], &[]), None);
    }
}
