//! The layout of a member's journal file, as functions on bytes; the program owns the mapping.
//!
//! Little endian. Header (64 bytes): magic `KBJOURNL` · version u32 · member u16 · incarnation u8 · closed u8 · entries
//! u64 · begun u64 · completed u64 · rows called u64 · rows answered u64 · zeros. Then entries of 64 bytes: kind u8 (1 assigned, 2 revoked, 3 lost, 4 processed,
//! 5 commit) · u8 · partition u16 · u16 · u16 · offset i64 · four u64 whose meaning depends on the kind ([`Entry`] and
//! `slots` below) · zeros. A run of processed records is one entry that grows in place.
//!
//! Each store leaves a file that reads as something true: counters follow what they count.

use super::{Commit, CommitAnswer, Entry, Journal, Move, Processed};
use crate::ids::{Attempt, Incarnation, MemberId, PartitionId, ProducerId};
use crate::reading::CopyRun;
use std::sync::atomic::{Ordering, compiler_fence};

/// Bytes of one entry.
pub const ENTRY_BYTES: usize = 64;
/// A run is not continued after this time, so that progress within it is known well enough for a course by second.
const RUN_NS: u64 = 250_000_000;
const _: () = assert!(ENTRY_BYTES as u64 == crate::plan::Assumptions::JOURNAL_ENTRY_BYTES);

const MAGIC: &[u8; 8] = b"KBJOURNL";
const VERSION: u32 = 1;
const HEADER: usize = 64;
const VERSION_AT: usize = 8;
const MEMBER_AT: usize = 12;
const INCARNATION_AT: usize = 14;
const CLOSED_AT: usize = 15;
const ENTRIES_AT: usize = 16;
const BEGUN_AT: usize = 24;
const COMPLETED_AT: usize = 32;
const CALLED_AT: usize = 40;
const ANSWERED_AT: usize = 48;

/// Kinds of entries, as stored.
const ASSIGNED: u8 = 1;
const REVOKED: u8 = 2;
const LOST: u8 = 3;
const PROCESSED: u8 = 4;
const COMMIT: u8 = 5;

/// What is not completed never will be: it was left at an orderly end, or the sink refused it.
const LEFT: u8 = 1;
const REFUSED: u8 = 2;

/// Offsets within an entry.
mod at {
    pub const KIND: usize = 0;
    pub const ATTEMPT: usize = 1;
    pub const PARTITION: usize = 2;
    pub const PRODUCER: usize = 4;
    pub const HOME: usize = 6;
    pub const OFFSET: usize = 8;
    pub const BEGUN: usize = 16;
    /// Of moves; one more than it, 0: unknown.
    pub const GENERATION: usize = 16;
    pub const COMPLETED: usize = 24;
    pub const BEGUN_NS: usize = 32;
    pub const COMPLETED_NS: usize = 40;
    pub const SEQUENCE: usize = 48;
    pub const INCARNATION: usize = 56;
    pub const GIVEN_UP: usize = 57;
}

/// Why bytes are no journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Shorter than its header says (or than a header).
    #[error("journal has {bytes} bytes, needs {needed}")]
    TooShort {
        /// Found.
        bytes: usize,
        /// Needed.
        needed: usize,
    },
    /// Another kind of file.
    #[error("not a journal: the magic is wrong")]
    NotAJournal,
    /// Written by another version.
    #[error("journal version {0} is not {VERSION}")]
    Version(u32),
    /// An entry of no known kind.
    #[error("journal entry {index} is of kind {kind}, which is none")]
    Kind {
        /// Which entry, from 0.
        index: u64,
        /// The byte.
        kind: u8,
    },
}

/// Bytes of a journal with room for so many entries.
pub fn file_bytes(entries: u64) -> usize {
    HEADER + entries as usize * ENTRY_BYTES
}

fn get<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

fn get_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(get(bytes, at))
}

fn get_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(get(bytes, at))
}

/// A journal being written. One thread, no allocation after `create`.
#[derive(Debug)]
pub struct JournalMut<'a> {
    bytes: &'a mut [u8],
    room: u64,
    entries: u64,
    begun: u64,
    completed: u64,
    /// With a sink: runs of the batch that is begun and not yet ended, as (place, partition, count).
    hand: Vec<(usize, PartitionId, u64)>,
    /// Records that may be begun and not completed at once: 1, with a sink those of a batch.
    most: u64,
    called: u64,
    answered: u64,
    /// The run that may still grow: its place, the next offset and sequence, and what else must be equal.
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    at: usize,
    count: u64,
    completed: u64,
    partition: PartitionId,
    next: CopyRun,
    /// From here on another run begins: within a run, only its first and last instant are known.
    until_ns: u64,
}

impl<'a> JournalMut<'a> {
    /// Lays out an empty journal over bytes that are all zero.
    ///
    /// # Panics
    /// When there is no room for a header.
    pub fn create(bytes: &'a mut [u8], member: MemberId, incarnation: Incarnation) -> Self {
        assert!(bytes.len() >= HEADER, "journal has {} bytes", bytes.len());
        let room = ((bytes.len() - HEADER) / ENTRY_BYTES) as u64;
        let mut journal = JournalMut {
            bytes,
            room,
            entries: 0,
            begun: 0,
            completed: 0,
            hand: Vec::new(),
            most: 1,
            called: 0,
            answered: 0,
            open: None,
        };
        journal.put(VERSION_AT, &VERSION.to_le_bytes());
        journal.put(MEMBER_AT, &member.0.to_le_bytes());
        journal.put(INCARNATION_AT, &[incarnation.0]);
        compiler_fence(Ordering::SeqCst);
        journal.put(0, MAGIC);
        journal
    }

    /// From now on so many records are begun together and completed together, by `end_batch` instead of `complete`.
    pub fn in_batches(mut self, records: u32) -> Self {
        self.most = u64::from(records);
        self.hand = Vec::with_capacity(records as usize);
        self
    }

    /// Records of the batch that is begun and not yet ended.
    pub fn in_hand(&self) -> u64 {
        self.hand.iter().map(|(_, _, count)| count).sum()
    }

    /// How many more entries fit; a record needs one at most.
    #[inline]
    pub fn room(&self) -> u64 {
        self.room - self.entries
    }

    #[inline]
    fn put(&mut self, at: usize, field: &[u8]) {
        self.bytes[at..at + field.len()].copy_from_slice(field);
    }

    /// The next entry's place.
    ///
    /// # Panics
    /// When there is no [`room`](Self::room).
    #[inline]
    fn next_at(&self) -> usize {
        assert!(self.entries < self.room, "the journal is full");
        HEADER + self.entries as usize * ENTRY_BYTES
    }

    /// Counts the entry that stands at the end.
    #[inline]
    fn count_entry(&mut self) {
        compiler_fence(Ordering::SeqCst);
        self.entries += 1;
        self.put(ENTRIES_AT, &self.entries.to_le_bytes());
    }

    /// Marks a record begun; call it before anything is done for it. `copy.count` is ignored.
    ///
    /// # Panics
    /// When the record before it was not completed (with a sink: the batch is full), or there is no room.
    #[inline]
    pub fn begin(&mut self, partition: PartitionId, copy: &CopyRun, now_ns: u64) {
        if self.hand.capacity() == 0 {
            assert_eq!(self.begun, self.completed, "one record at a time");
        }
        self.begun += 1;
        match &mut self.open {
            Some(open)
                if now_ns < open.until_ns
                    && open.partition == partition
                    && open.next == (CopyRun { count: 0, ..*copy }) =>
            {
                open.count += 1;
                open.next.offset += 1;
                open.next.sequence += 1;
                let (at, count) = (open.at, open.count);
                self.put(at + at::BEGUN, &count.to_le_bytes());
                if let Some(run) = self.hand.last_mut() {
                    run.2 = count;
                }
            }
            _ => self.begin_run(partition, copy, now_ns),
        }
        compiler_fence(Ordering::SeqCst);
        self.put(BEGUN_AT, &self.begun.to_le_bytes());
    }

    fn begin_run(&mut self, partition: PartitionId, copy: &CopyRun, now_ns: u64) {
        let at = self.next_at();
        self.put(at + at::KIND, &[PROCESSED]);
        self.put(at + at::ATTEMPT, &[copy.attempt.0]);
        self.put(at + at::INCARNATION, &[copy.incarnation.0]);
        self.put(at + at::PARTITION, &partition.0.to_le_bytes());
        self.put(at + at::PRODUCER, &copy.producer.0.to_le_bytes());
        self.put(at + at::HOME, &copy.home.0.to_le_bytes());
        self.put(at + at::OFFSET, &copy.offset.to_le_bytes());
        self.put(at + at::SEQUENCE, &copy.sequence.to_le_bytes());
        self.put(at + at::BEGUN, &1_u64.to_le_bytes());
        self.put(at + at::BEGUN_NS, &now_ns.to_le_bytes());
        self.count_entry();
        if self.hand.capacity() > 0 {
            assert!((self.hand.len() as u64) < self.most, "one batch at a time");
            self.hand.push((at, partition, 1));
        }
        let next = CopyRun { count: 0, offset: copy.offset + 1, sequence: copy.sequence + 1, ..*copy };
        self.open = Some(Open { at, count: 1, completed: 0, partition, next, until_ns: now_ns + RUN_NS });
    }

    /// Marks the record that was begun last completed; call it when its effect is durable.
    ///
    /// # Panics
    /// When no record is begun.
    #[inline]
    pub fn complete(&mut self, now_ns: u64) {
        assert_eq!(self.begun, self.completed + 1, "a record is begun");
        let Some(open) = &mut self.open else { unreachable!("a begun record has a run") };
        open.completed += 1;
        let (at, completed) = (open.at, open.completed);
        self.put(at + at::COMPLETED_NS, &now_ns.to_le_bytes());
        self.put(at + at::COMPLETED, &completed.to_le_bytes());
        self.completed += 1;
        compiler_fence(Ordering::SeqCst);
        self.put(COMPLETED_AT, &self.completed.to_le_bytes());
    }

    /// Counts the rows of the batch in hand as asked for; call it before the sink is.
    pub fn call_write(&mut self) {
        self.called += self.in_hand();
        self.put(CALLED_AT, &self.called.to_le_bytes());
    }

    /// Ends the batch in hand: what lies in partitions of which `written` says so is durable, hence completed; the rest was
    /// refused, and is given up.
    pub fn end_batch(&mut self, now_ns: u64, written: impl Fn(PartitionId) -> bool) {
        self.end(now_ns, REFUSED, written);
    }

    /// Gives the batch in hand up: nobody has said what became of it.
    pub fn leave_batch(&mut self, now_ns: u64) {
        self.end(now_ns, LEFT, |_| false);
    }

    fn end(&mut self, now_ns: u64, otherwise: u8, written: impl Fn(PartitionId) -> bool) {
        let durable = self.hand.iter().filter(|(_, partition, _)| written(*partition));
        self.answered += durable.map(|(_, _, count)| count).sum::<u64>();
        self.put(ANSWERED_AT, &self.answered.to_le_bytes());
        // The next batch may not go on with a run of this one: it is completed at another instant.
        self.open = None;
        for index in 0..self.hand.len() {
            let (at, partition, count) = self.hand[index];
            if !written(partition) {
                self.put(at + at::GIVEN_UP, &[otherwise]);
                continue;
            }
            self.put(at + at::COMPLETED_NS, &now_ns.to_le_bytes());
            self.put(at + at::COMPLETED, &count.to_le_bytes());
            self.completed += count;
            compiler_fence(Ordering::SeqCst);
            self.put(COMPLETED_AT, &self.completed.to_le_bytes());
        }
        self.hand.clear();
    }

    fn moved(&mut self, kind: u8, moved: &Move) {
        let at = self.next_at();
        self.open = None;
        self.put(at + at::KIND, &[kind]);
        self.put(at + at::PARTITION, &moved.partition.0.to_le_bytes());
        self.put(at + at::OFFSET, &moved.position.to_le_bytes());
        self.put(at + at::BEGUN_NS, &moved.at_ns.to_le_bytes());
        let generation = moved.generation.map_or(0, |generation| i64::from(generation) + 1);
        self.put(at + at::GENERATION, &generation.to_le_bytes());
        self.count_entry();
    }

    /// Notes that a partition was given to the member.
    pub fn assigned(&mut self, moved: &Move) {
        self.moved(ASSIGNED, moved);
    }

    /// Notes that a partition was given back.
    pub fn revoked(&mut self, moved: &Move) {
        self.moved(REVOKED, moved);
    }

    /// Notes that a partition was lost.
    pub fn lost(&mut self, moved: &Move) {
        self.moved(LOST, moved);
    }

    /// Notes one partition's part of a commit; call it before the client is asked. Gives its place for
    /// [`answer`](Self::answer).
    pub fn commit(&mut self, partition: PartitionId, offset: i64, called_ns: u64) -> u64 {
        let at = self.next_at();
        // What is processed from here on was not completed when the commit was called.
        self.open = None;
        self.put(at + at::KIND, &[COMMIT]);
        self.put(at + at::PARTITION, &partition.0.to_le_bytes());
        self.put(at + at::OFFSET, &offset.to_le_bytes());
        self.put(at + at::BEGUN_NS, &called_ns.to_le_bytes());
        self.count_entry();
        self.entries - 1
    }

    /// Writes how a commit was answered.
    ///
    /// # Panics
    /// When there is no such entry.
    pub fn answer(&mut self, commit: u64, answer: CommitAnswer, now_ns: u64) {
        assert!(commit < self.entries, "commit {commit} is no entry");
        let at = HEADER + commit as usize * ENTRY_BYTES;
        self.put(at + at::COMPLETED_NS, &now_ns.to_le_bytes());
        self.put(at + at::ATTEMPT, &[answer as u8]);
    }

    /// Closes the journal in good order.
    pub fn close(mut self) {
        self.put(CLOSED_AT, &[1]);
    }
}

/// Nothing was written yet: its process was killed before it could join.
pub fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().take(MAGIC.len()).all(|byte| *byte == 0)
}

/// Bytes from the front that [`marks`] needs.
pub const MARKS_BYTES: usize = HEADER;

/// How many records a life has begun and completed, from the front of its journal; `None`: it is no journal (yet).
pub fn marks(front: &[u8]) -> Option<(u64, u64)> {
    let whole = front.len() >= HEADER && front.starts_with(MAGIC);
    whole.then(|| (get_u64(front, BEGUN_AT), get_u64(front, COMPLETED_AT)))
}

/// Reads a journal, also one whose writer was killed.
///
/// # Errors
/// See [`JournalError`].
pub fn parse(bytes: &[u8]) -> Result<Journal, JournalError> {
    let too_short = |needed| JournalError::TooShort { bytes: bytes.len(), needed };
    if bytes.len() < HEADER {
        return Err(too_short(HEADER));
    }
    if &get::<8>(bytes, 0) != MAGIC {
        return Err(JournalError::NotAJournal);
    }
    let version = u32::from_le_bytes(get(bytes, VERSION_AT));
    if version != VERSION {
        return Err(JournalError::Version(version));
    }
    let entries = get_u64(bytes, ENTRIES_AT);
    let room = ((bytes.len() - HEADER) / ENTRY_BYTES) as u64;
    if entries > room {
        return Err(too_short(HEADER.saturating_add((entries as usize).saturating_mul(ENTRY_BYTES))));
    }
    let entry = |index: u64| {
        let at = HEADER + index as usize * ENTRY_BYTES;
        entry(&bytes[at..at + ENTRY_BYTES]).map_err(|kind| JournalError::Kind { index, kind })
    };
    Ok(Journal {
        member: MemberId(get_u16(bytes, MEMBER_AT)),
        incarnation: Incarnation(bytes[INCARNATION_AT]),
        closed: bytes[CLOSED_AT] == 1,
        begun: get_u64(bytes, BEGUN_AT),
        completed: get_u64(bytes, COMPLETED_AT),
        called: get_u64(bytes, CALLED_AT),
        answered: get_u64(bytes, ANSWERED_AT),
        entries: (0..entries).map(entry).collect::<Result<_, _>>()?,
    })
}

fn entry(bytes: &[u8]) -> Result<Entry, u8> {
    let partition = PartitionId(get_u16(bytes, at::PARTITION));
    let offset = i64::from_le_bytes(get(bytes, at::OFFSET));
    let (first_ns, last_ns) = (get_u64(bytes, at::BEGUN_NS), get_u64(bytes, at::COMPLETED_NS));
    let generation = i64::from_le_bytes(get(bytes, at::GENERATION)).checked_sub(1);
    let generation = generation.and_then(|known| i32::try_from(known).ok()).filter(|known| *known >= 0);
    let moved = Move { partition, position: offset, at_ns: first_ns, generation };
    match bytes[at::KIND] {
        ASSIGNED => Ok(Entry::Assigned(moved)),
        REVOKED => Ok(Entry::Revoked(moved)),
        LOST => Ok(Entry::Lost(moved)),
        PROCESSED => Ok(Entry::Processed(Processed {
            partition,
            copies: CopyRun {
                offset,
                count: get_u64(bytes, at::BEGUN),
                producer: ProducerId(get_u16(bytes, at::PRODUCER)),
                incarnation: Incarnation(bytes[at::INCARNATION]),
                attempt: Attempt(bytes[at::ATTEMPT]),
                home: PartitionId(get_u16(bytes, at::HOME)),
                sequence: get_u64(bytes, at::SEQUENCE),
                transaction: 0,
            },
            completed: get_u64(bytes, at::COMPLETED),
            begun_ns: first_ns,
            completed_ns: last_ns,
            given_up: bytes[at::GIVEN_UP] != 0,
            refused: bytes[at::GIVEN_UP] == REFUSED,
        })),
        COMMIT => Ok(Entry::Commit(Commit {
            partition,
            offset,
            called_ns: first_ns,
            answered_ns: last_ns,
            answer: match bytes[at::ATTEMPT] {
                1 => CommitAnswer::Ok,
                2 => CommitAnswer::Failed,
                _ => CommitAnswer::None,
            },
        })),
        kind => Err(kind),
    }
}
