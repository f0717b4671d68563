//! Newtypes for the identities that would otherwise all be integers.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// One producer lane of a cell, from 0.
    ProducerId(u16)
);
id!(
    /// A topic partition, from 0.
    PartitionId(u16)
);
id!(
    /// A broker's node id.
    BrokerId(i32)
);
id!(
    /// One member of a cell's consumer group, from 0.
    MemberId(u16)
);
id!(
    /// Which life of a worker this is, from 0.
    Incarnation(u8)
);
id!(
    /// Application-level resend number, 0 for the first send.
    Attempt(u8)
);
id!(
    /// Names the book (run and cell) that a record belongs to; a record with another key is alien.
    BookKey(u32)
);

impl BookKey {
    /// The key of one cell of one run: CRC-32C over both names, so that it can be recomputed anywhere.
    pub fn of(run: &str, cell: &str) -> Self {
        BookKey(crc32c::crc32c_append(crc32c::crc32c(run.as_bytes()), cell.as_bytes()))
    }
}
