//! The layout of the ledger file, as functions on bytes; the program owns the mapping.
//!
//! Little endian. Header (128 bytes): magic `KBLEDGER` · version u32 · producer u16 · partitions u16 · incarnation u8 ·
//! closed u8 · two zero bytes · book u32 · capacity per partition u64 · resend capacity u64 · resends u64 · settle calls
//! by state 7 x u64 · CRC-32C u32, written on an orderly close over everything in use before and behind it. Then one
//! (first sequence u64, next sequence u64) per partition; then one region of `capacity` state bytes per partition; then
//! the resends: sequence u64 · partition u16 · attempt u8 · state u8 · transaction u32.

use super::{Ledger, PartitionLedger, Resend, STATES, State, StateRun, push_run};
use crate::ids::{Attempt, BookKey, Incarnation, PartitionId, ProducerId};
use std::ops::Range;
use std::sync::atomic::{Ordering, compiler_fence};

/// Bytes of one entry for an attempt after the first.
pub const RESEND_BYTES: usize = 16;

const MAGIC: &[u8; 8] = b"KBLEDGER";
const VERSION: u32 = 1;
const HEADER: usize = 128;
const TABLE_ENTRY: usize = 16;
const VERSION_AT: usize = 8;
const PRODUCER_AT: usize = 12;
const PARTITIONS_AT: usize = 14;
const INCARNATION_AT: usize = 16;
const CLOSED_AT: usize = 17;
const BOOK_AT: usize = 20;
const CAPACITY_AT: usize = 24;
const RESEND_CAPACITY_AT: usize = 32;
const RESENDS_AT: usize = 40;
const SETTLED_AT: usize = 48;
const CRC_AT: usize = SETTLED_AT + STATES * 8;

/// Why bytes are no ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Shorter than its header says (or than a header).
    #[error("ledger has {bytes} bytes, needs {needed}")]
    TooShort {
        /// Found.
        bytes: usize,
        /// Needed.
        needed: usize,
    },
    /// Another kind of file.
    #[error("not a ledger: the magic is wrong")]
    NotALedger,
    /// Written by another version.
    #[error("ledger version {0} is not {VERSION}")]
    Version(u32),
    /// A counter in the header points outside of its region.
    #[error("ledger header is damaged: {0}")]
    Header(&'static str),
    /// A byte that stands for no state of a begun record.
    #[error("ledger entry of partition {partition}, sequence {sequence} is {byte}, which is no state")]
    Entry {
        /// The partition.
        partition: u16,
        /// The sequence.
        sequence: u64,
        /// The byte.
        byte: u8,
    },
    /// Closed in good order, and changed since.
    #[error("ledger checksum is {found:08x}, its content gives {computed:08x}")]
    Checksum {
        /// In the file.
        found: u32,
        /// Over the content.
        computed: u32,
    },
}

fn get<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

#[inline]
fn get_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(get(bytes, at))
}

#[inline]
fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

/// Bytes of a ledger without room for resends; each resend needs [`RESEND_BYTES`] more behind it.
pub fn file_bytes(partitions: u16, capacity: u64) -> usize {
    regions_at(partitions) + usize::from(partitions) * capacity as usize
}

fn regions_at(partitions: u16) -> usize {
    HEADER + usize::from(partitions) * TABLE_ENTRY
}

#[inline]
fn table_at(partition: usize) -> usize {
    HEADER + partition * TABLE_ENTRY
}

/// A ledger being written. One thread, no allocation after `create`.
#[derive(Debug)]
pub struct LedgerMut<'a> {
    bytes: &'a mut [u8],
    regions: usize,
    capacity: u64,
    resends: usize,
    resend_capacity: u64,
}

impl<'a> LedgerMut<'a> {
    /// Lays out an empty ledger over zeroed bytes (this also populates a fresh mapping); what `bytes` holds beyond
    /// [`file_bytes`] becomes room for resends.
    ///
    /// # Panics
    /// When `bytes` is shorter than [`file_bytes`].
    pub fn create(
        bytes: &'a mut [u8],
        producer: ProducerId,
        incarnation: Incarnation,
        book: BookKey,
        partitions: u16,
        capacity: u64,
    ) -> Self {
        let firsts = vec![0; usize::from(partitions)];
        Self::create_after(bytes, producer, incarnation, book, capacity, &firsts)
    }

    /// As [`create`](Self::create), of a later life: `firsts` says by partition where the predecessor's ledger ends. The
    /// file is a ledger only when all of it stands, so that a kill leaves none that begins anywhere else.
    ///
    /// # Panics
    /// When `bytes` is shorter than [`file_bytes`].
    pub fn create_after(
        bytes: &'a mut [u8],
        producer: ProducerId,
        incarnation: Incarnation,
        book: BookKey,
        capacity: u64,
        firsts: &[u64],
    ) -> Self {
        let partitions = firsts.len() as u16;
        let resends = file_bytes(partitions, capacity);
        assert!(bytes.len() >= resends, "ledger has {} bytes, needs {resends}", bytes.len());
        let resend_capacity = ((bytes.len() - resends) / RESEND_BYTES) as u64;
        bytes.fill(0);
        put(bytes, VERSION_AT, &VERSION.to_le_bytes());
        put(bytes, PRODUCER_AT, &producer.0.to_le_bytes());
        put(bytes, PARTITIONS_AT, &partitions.to_le_bytes());
        bytes[INCARNATION_AT] = incarnation.0;
        put(bytes, BOOK_AT, &book.0.to_le_bytes());
        put(bytes, CAPACITY_AT, &capacity.to_le_bytes());
        put(bytes, RESEND_CAPACITY_AT, &resend_capacity.to_le_bytes());
        for (partition, first) in firsts.iter().enumerate() {
            put(bytes, table_at(partition), &first.to_le_bytes());
            put(bytes, table_at(partition) + 8, &first.to_le_bytes());
        }
        compiler_fence(Ordering::SeqCst);
        put(bytes, 0, MAGIC);
        LedgerMut { bytes, regions: regions_at(partitions), capacity, resends, resend_capacity }
    }

    /// The sequence that the next `begin` of this partition must name.
    #[inline]
    pub fn next_sequence(&self, partition: PartitionId) -> u64 {
        get_u64(self.bytes, table_at(usize::from(partition.0)) + 8)
    }

    /// How many more records fit into this partition.
    #[inline]
    pub fn room(&self, partition: PartitionId) -> u64 {
        let at = table_at(usize::from(partition.0));
        self.capacity - (get_u64(self.bytes, at + 8) - get_u64(self.bytes, at))
    }

    #[inline]
    fn slot(&self, partition: PartitionId, sequence: u64) -> usize {
        let partition = usize::from(partition.0);
        let index = sequence.wrapping_sub(get_u64(self.bytes, table_at(partition)));
        assert!(index < self.capacity, "sequence {sequence} is outside of the ledger");
        self.regions + partition * self.capacity as usize + index as usize
    }

    /// Marks `count` records unreported; call it before the send.
    ///
    /// # Panics
    /// When `first_sequence` is not the next one, or there is no [`room`](Self::room).
    #[inline]
    pub fn begin(&mut self, partition: PartitionId, first_sequence: u64, count: u64) {
        assert_eq!(first_sequence, self.next_sequence(partition), "sequences are dense");
        assert!(count <= self.room(partition), "ledger of partition {partition} is full");
        if count == 0 {
            return;
        }
        let slot = self.slot(partition, first_sequence);
        self.bytes[slot..slot + count as usize].fill(State::Unreported as u8);
        // A kill between the two stores must leave entries without a counter, never a counter without entries.
        compiler_fence(Ordering::SeqCst);
        let next = first_sequence + count;
        put(self.bytes, table_at(usize::from(partition.0)) + 8, &next.to_le_bytes());
    }

    /// Takes back the last `count` records of a partition: never handed to the client, so never an attempt.
    ///
    /// # Panics
    /// When they are not the last ones.
    #[inline]
    pub fn retract(&mut self, partition: PartitionId, first_sequence: u64, count: u64) {
        assert_eq!(
            first_sequence + count,
            self.next_sequence(partition),
            "only the last records are taken back"
        );
        if count == 0 {
            return;
        }
        put(self.bytes, table_at(usize::from(partition.0)) + 8, &first_sequence.to_le_bytes());
        compiler_fence(Ordering::SeqCst);
        let slot = self.slot(partition, first_sequence);
        self.bytes[slot..slot + count as usize].fill(State::Empty as u8);
    }

    /// Writes what became of a record; call it once, after its report (or its refusal for good).
    ///
    /// # Panics
    /// When the sequence is outside of the partition's region.
    #[inline]
    pub fn settle(&mut self, partition: PartitionId, sequence: u64, state: State) {
        let slot = self.slot(partition, sequence);
        self.bytes[slot] = state as u8;
        self.count(state);
    }

    #[inline]
    fn count(&mut self, state: State) {
        let at = SETTLED_AT + state as usize * 8;
        let count = get_u64(self.bytes, at) + 1;
        put(self.bytes, at, &count.to_le_bytes());
    }

    /// Marks a resend unreported and gives its place for [`settle_resend`](Self::settle_resend); `None`: no room.
    pub fn begin_resend(&mut self, partition: PartitionId, sequence: u64, attempt: Attempt) -> Option<u64> {
        self.begin_resend_in(partition, sequence, attempt, 0)
    }

    /// As [`begin_resend`](Self::begin_resend), into the transaction of this ordinal.
    pub fn begin_resend_in(
        &mut self,
        partition: PartitionId,
        sequence: u64,
        attempt: Attempt,
        transaction: u32,
    ) -> Option<u64> {
        let index = get_u64(self.bytes, RESENDS_AT);
        if index >= self.resend_capacity {
            return None;
        }
        let at = self.resends + index as usize * RESEND_BYTES;
        put(self.bytes, at, &sequence.to_le_bytes());
        put(self.bytes, at + 8, &partition.0.to_le_bytes());
        self.bytes[at + 10] = attempt.0;
        self.bytes[at + 11] = State::Unreported as u8;
        put(self.bytes, at + 12, &transaction.to_le_bytes());
        compiler_fence(Ordering::SeqCst);
        put(self.bytes, RESENDS_AT, &(index + 1).to_le_bytes());
        Some(index)
    }

    /// Writes what became of a resend.
    ///
    /// # Panics
    /// When the place is outside of the region of resends.
    pub fn settle_resend(&mut self, index: u64, state: State) {
        assert!(index < self.resend_capacity, "resend {index} is outside of the ledger");
        self.bytes[self.resends + index as usize * RESEND_BYTES + 11] = state as u8;
        self.count(state);
    }

    /// Closes the ledger in good order: from now on every byte in use is under its checksum.
    pub fn close(self) {
        self.bytes[CLOSED_AT] = 1;
        let crc = checksum(self.bytes).to_le_bytes();
        put(self.bytes, CRC_AT, &crc);
    }
}

/// CRC-32C over header, table, used entries and used resends; the caller has made sure that they are inside.
fn checksum(bytes: &[u8]) -> u32 {
    let layout = Layout::of(bytes);
    let mut crc = crc32c::crc32c(&bytes[..CRC_AT]);
    crc = crc32c::crc32c_append(crc, &bytes[CRC_AT + 4..regions_at(layout.partitions)]);
    for partition in 0..usize::from(layout.partitions) {
        crc = crc32c::crc32c_append(crc, &bytes[layout.used(bytes, partition)]);
    }
    let resends = file_bytes(layout.partitions, layout.capacity);
    crc32c::crc32c_append(crc, &bytes[resends..resends + layout.resends as usize * RESEND_BYTES])
}

struct Layout {
    partitions: u16,
    capacity: u64,
    resends: u64,
}

impl Layout {
    fn of(bytes: &[u8]) -> Self {
        Layout {
            partitions: u16::from_le_bytes(get(bytes, PARTITIONS_AT)),
            capacity: get_u64(bytes, CAPACITY_AT),
            resends: get_u64(bytes, RESENDS_AT),
        }
    }

    fn used(&self, bytes: &[u8], partition: usize) -> Range<usize> {
        let at = table_at(partition);
        let begun = get_u64(bytes, at + 8) - get_u64(bytes, at);
        let start = regions_at(self.partitions) + partition * self.capacity as usize;
        start..start + begun as usize
    }

    fn checked(bytes: &[u8]) -> Result<Self, LedgerError> {
        if bytes.len() < HEADER {
            return Err(LedgerError::TooShort { bytes: bytes.len(), needed: HEADER });
        }
        if &bytes[..8] != MAGIC {
            return Err(LedgerError::NotALedger);
        }
        let version = u32::from_le_bytes(get(bytes, VERSION_AT));
        if version != VERSION {
            return Err(LedgerError::Version(version));
        }
        let layout = Layout::of(bytes);
        let room = get_u64(bytes, RESEND_CAPACITY_AT);
        let needed = u128::from(layout.partitions) * (u128::from(layout.capacity) + TABLE_ENTRY as u128)
            + u128::from(room) * RESEND_BYTES as u128
            + HEADER as u128;
        if needed > bytes.len() as u128 {
            let needed = usize::try_from(needed).unwrap_or(usize::MAX);
            return Err(LedgerError::TooShort { bytes: bytes.len(), needed });
        }
        if layout.resends > room {
            return Err(LedgerError::Header("more resends than there is room for"));
        }
        if bytes[CLOSED_AT] > 1 {
            return Err(LedgerError::Header("neither open nor closed"));
        }
        for partition in 0..usize::from(layout.partitions) {
            let at = table_at(partition);
            let begun = get_u64(bytes, at + 8).checked_sub(get_u64(bytes, at));
            if begun.is_none_or(|begun| begun > layout.capacity) {
                return Err(LedgerError::Header("a next sequence outside of its region"));
            }
        }
        Ok(layout)
    }
}

/// Nothing was written yet: its process was killed before it could send anything.
pub fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().take(MAGIC.len()).all(|byte| *byte == 0)
}

/// Reads a ledger back; one that was never closed (its process was killed) is legal.
///
/// # Errors
/// When the bytes are no ledger, or were changed after an orderly close.
pub fn read(bytes: &[u8]) -> Result<Ledger, LedgerError> {
    let layout = Layout::checked(bytes)?;
    let closed = bytes[CLOSED_AT] == 1;
    if closed {
        let (found, computed) = (u32::from_le_bytes(get(bytes, CRC_AT)), checksum(bytes));
        if found != computed {
            return Err(LedgerError::Checksum { found, computed });
        }
    }
    let partitions = (0..layout.partitions)
        .map(|partition| {
            let first_sequence = get_u64(bytes, table_at(usize::from(partition)));
            let entries = &bytes[layout.used(bytes, usize::from(partition))];
            Ok(PartitionLedger {
                partition: PartitionId(partition),
                first_sequence,
                next_sequence: first_sequence + entries.len() as u64,
                runs: pack(partition, first_sequence, entries)?,
            })
        })
        .collect::<Result<_, LedgerError>>()?;
    let resends = file_bytes(layout.partitions, layout.capacity);
    Ok(Ledger {
        producer: ProducerId(u16::from_le_bytes(get(bytes, PRODUCER_AT))),
        incarnation: Incarnation(bytes[INCARNATION_AT]),
        book: BookKey(u32::from_le_bytes(get(bytes, BOOK_AT))),
        closed,
        settled: std::array::from_fn(|state| get_u64(bytes, SETTLED_AT + state * 8)),
        partitions,
        resends: bytes[resends..resends + layout.resends as usize * RESEND_BYTES]
            .chunks_exact(RESEND_BYTES)
            .map(resend)
            .collect::<Result<_, _>>()?,
    })
}

fn state(partition: u16, sequence: u64, byte: u8) -> Result<State, LedgerError> {
    match State::from_byte(byte) {
        None | Some(State::Empty) => Err(LedgerError::Entry { partition, sequence, byte }),
        Some(state) => Ok(state),
    }
}

fn resend(entry: &[u8]) -> Result<Resend, LedgerError> {
    let sequence = get_u64(entry, 0);
    let partition = u16::from_le_bytes(get(entry, 8));
    let state = state(partition, sequence, entry[11])?;
    let transaction = u32::from_le_bytes(get(entry, 12));
    Ok(Resend {
        partition: PartitionId(partition),
        sequence,
        attempt: Attempt(entry[10]),
        state,
        transaction,
    })
}

/// How many bytes at the front equal the first, eight at a time.
fn equal_bytes(bytes: &[u8]) -> usize {
    let word = [bytes[0]; 8];
    let words = bytes.chunks_exact(8).take_while(|chunk| **chunk == word).flatten().count();
    words + bytes[words..].iter().take_while(|byte| **byte == bytes[0]).count()
}

fn pack(partition: u16, first: u64, entries: &[u8]) -> Result<Vec<StateRun>, LedgerError> {
    let mut runs = Vec::new();
    let mut at = 0;
    while at < entries.len() {
        let first_sequence = first + at as u64;
        let count = equal_bytes(&entries[at..]);
        let state = state(partition, first_sequence, entries[at])?;
        push_run(&mut runs, StateRun { first_sequence, count: count as u64, state });
        at += count;
    }
    Ok(runs)
}

#[cfg(test)]
mod tests;
