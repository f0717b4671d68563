//! How far a group is: what was begun by anyone, and whether its living members have nothing left to do. It judges nothing.

use super::{Entry, Journal};
use crate::ids::PartitionId;
use std::collections::BTreeMap;

/// The first partition that no living member owns, or whose owner has not got to its end; `None`: all is processed.
///
/// `ends` are the end offsets by partition. A dead member's partitions count as soon as somebody else owns them.
pub fn undrained(living: &[Journal], ends: &[i64]) -> Option<String> {
    let mut owned: BTreeMap<PartitionId, i64> = BTreeMap::new();
    for journal in living {
        let mut own: BTreeMap<PartitionId, i64> = BTreeMap::new();
        for entry in &journal.entries {
            match entry {
                Entry::Assigned(moved) => {
                    own.insert(moved.partition, moved.position);
                }
                Entry::Revoked(moved) | Entry::Lost(moved) => {
                    own.remove(&moved.partition);
                }
                Entry::Processed(run) => {
                    own.insert(run.partition, run.copies.offset + run.completed as i64);
                }
                Entry::Commit(_) => {}
            }
        }
        owned.extend(own);
    }
    ends.iter().enumerate().find_map(|(index, end)| match owned.get(&PartitionId(index as u16)) {
        None => Some(format!("no member owns partition {index}")),
        Some(position) if position < end => {
            Some(format!("partition {index} is processed up to {position} of {end}"))
        }
        Some(_) => None,
    })
}

/// By partition, the offset behind the furthest record that any life has begun.
pub fn begun(lives: &[Journal]) -> Vec<i64> {
    let mut begun: Vec<i64> = Vec::new();
    for entry in lives.iter().flat_map(|journal| &journal.entries) {
        let Entry::Processed(run) = entry else { continue };
        let partition = usize::from(run.partition.0);
        if begun.len() <= partition {
            begun.resize(partition + 1, 0);
        }
        begun[partition] = begun[partition].max(run.copies.offset + run.copies.count as i64);
    }
    begun
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Incarnation, MemberId};
    use crate::processing::Move;

    #[test]
    fn a_group_is_done_when_the_owners_of_all_partitions_are() {
        let assigned = |partition, position| {
            Entry::Assigned(Move { partition: PartitionId(partition), position, at_ns: 0, generation: None })
        };
        let revoked =
            Entry::Revoked(Move { partition: PartitionId(1), position: 5, at_ns: 0, generation: None });
        let journal = |entries: &[Entry]| Journal {
            member: MemberId(0),
            incarnation: Incarnation(0),
            closed: false,
            begun: 0,
            completed: 0,
            called: 0,
            answered: 0,
            entries: entries.to_vec(),
        };
        let both = journal(&[assigned(0, 3), assigned(1, 5)]);
        assert_eq!(undrained(std::slice::from_ref(&both), &[3, 5]), None);
        assert_eq!(undrained(&[both], &[3, 6]).as_deref(), Some("partition 1 is processed up to 5 of 6"));
        let one = journal(&[assigned(0, 3), assigned(1, 5), revoked]);
        assert_eq!(
            undrained(std::slice::from_ref(&one), &[3, 5]).as_deref(),
            Some("no member owns partition 1")
        );
        assert_eq!(undrained(&[one, journal(&[assigned(1, 5)])], &[3, 5]), None);
    }
}
