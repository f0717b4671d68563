//! Where a group's processing leaves its effects: a table of SQLite or PostgreSQL, or another topic; and how durable a write
//! to it is.

use serde::{Deserialize, Serialize};

/// The kind of a sink: which database, and what it does with a record that it has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SinkKind {
    /// SQLite; every processing adds a row.
    SqliteAppend,
    /// SQLite; one row for each record, replaced when it is processed again.
    SqliteUpsert,
    /// PostgreSQL; every processing adds a row.
    PostgresAppend,
    /// PostgreSQL; one row for each record, replaced when it is processed again.
    PostgresUpsert,
    /// Another topic of the same cluster; every processing adds a record. How durable it is the cell's producer and topic say.
    Topic,
}

impl SinkKind {
    /// Every kind.
    pub const ALL: [SinkKind; 5] = [
        SinkKind::SqliteAppend,
        SinkKind::SqliteUpsert,
        SinkKind::PostgresAppend,
        SinkKind::PostgresUpsert,
        SinkKind::Topic,
    ];

    /// As profiles write it.
    pub fn as_str(self) -> &'static str {
        match self {
            SinkKind::SqliteAppend => "sqlite-append",
            SinkKind::SqliteUpsert => "sqlite-upsert",
            SinkKind::PostgresAppend => "postgres-append",
            SinkKind::PostgresUpsert => "postgres-upsert",
            SinkKind::Topic => "topic",
        }
    }

    /// Keyed by record: a repeated write leaves one row.
    pub fn is_idempotent(self) -> bool {
        matches!(self, SinkKind::SqliteUpsert | SinkKind::PostgresUpsert)
    }

    /// Lives in a PostgreSQL server.
    pub fn is_postgres(self) -> bool {
        matches!(self, SinkKind::PostgresAppend | SinkKind::PostgresUpsert)
    }
}

/// A sink; every setting that decides how durable a write is stands here, and only those of its own database do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkSettings {
    /// Which.
    pub kind: SinkKind,
    /// SQLite's `journal_mode`: wal, delete, truncate, persist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal_mode: Option<String>,
    /// SQLite's `synchronous`: off, normal, full, extra.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synchronous: Option<String>,
    /// PostgreSQL's server and database, without a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// PostgreSQL's `synchronous_commit`: off, local, on, remote_write, remote_apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synchronous_commit: Option<String>,
}
