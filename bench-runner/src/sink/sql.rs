//! What both databases are told: tables, columns, statements, and rows as numbers. Runs nothing.

use bench_model::effects::EffectRun;
use bench_model::ids::{Attempt, Incarnation, MemberId, PartitionId, ProducerId};
use bench_model::reading::CopyRun;
use bench_model::settings::SinkKind;

/// Columns of a row, in the order of [`numbers`].
const COLUMNS: [&str; 10] = [
    "producer",
    "home",
    "sequence",
    "attempt",
    "incarnation",
    "source_partition",
    "source_offset",
    "member",
    "life",
    "processing",
];
/// What makes a record: the first three.
const KEY: &str = "producer, home, sequence";

/// A row, column by column.
pub(super) type Numbers = [i64; COLUMNS.len()];

/// A row as numbers.
pub(super) fn numbers(row: &EffectRun) -> Numbers {
    let copy = &row.copies;
    [
        i64::from(copy.producer.0),
        i64::from(copy.home.0),
        copy.sequence as i64,
        i64::from(copy.attempt.0),
        i64::from(copy.incarnation.0),
        i64::from(row.partition.0),
        copy.offset,
        i64::from(row.member.0),
        i64::from(row.life.0),
        row.processing as i64,
    ]
}

/// A row of numbers, if they are in the ranges of what they mean.
pub(super) fn row(numbers: Numbers) -> Option<EffectRun> {
    let [producer, home, sequence, attempt, incarnation, partition, offset, member, life, processing] =
        numbers;
    let copies = CopyRun {
        offset,
        count: 1,
        producer: ProducerId(producer.try_into().ok()?),
        incarnation: Incarnation(incarnation.try_into().ok()?),
        attempt: Attempt(attempt.try_into().ok()?),
        home: PartitionId(home.try_into().ok()?),
        sequence: sequence.try_into().ok()?,
        transaction: 0,
    };
    Some(EffectRun {
        partition: PartitionId(partition.try_into().ok()?),
        copies,
        member: MemberId(member.try_into().ok()?),
        life: Incarnation(life.try_into().ok()?),
        processing: processing.try_into().ok()?,
    })
}

/// Makes both tables.
pub(super) fn create(kind: SinkKind, table: &str) -> [String; 2] {
    let mut columns = COLUMNS.map(|column| format!("{column} bigint NOT NULL")).join(", ");
    if kind.is_idempotent() {
        columns.push_str(&format!(", PRIMARY KEY ({KEY})"));
    }
    [
        format!("CREATE TABLE {table} ({columns})"),
        format!(
            "CREATE TABLE {table}_offsets (source_partition bigint PRIMARY KEY, epoch bigint NOT NULL, next_offset bigint NOT NULL)"
        ),
    ]
}

/// Adds rows that come from `values`, in the order of the columns.
pub(super) fn insert(kind: SinkKind, table: &str, values: &str) -> String {
    let mut statement = format!("INSERT INTO {table} ({}) {values}", COLUMNS.join(", "));
    if kind.is_idempotent() {
        let others: Vec<String> =
            COLUMNS[3..].iter().map(|column| format!("{column} = excluded.{column}")).collect();
        statement.push_str(&format!(" ON CONFLICT ({KEY}) DO UPDATE SET {}", others.join(", ")));
    }
    statement
}

/// Moves the offset of partition $1 to $3, if epoch $2 is the latest.
pub(super) fn mark(table: &str) -> String {
    format!("UPDATE {table}_offsets SET next_offset = $3 WHERE source_partition = $1 AND epoch = $2")
}

/// Takes partition $1 over; gives its epoch and offset.
pub(super) fn take(table: &str) -> String {
    format!(
        "INSERT INTO {table}_offsets AS held (source_partition, epoch, next_offset) VALUES ($1, 1, -1) \
         ON CONFLICT (source_partition) DO UPDATE SET epoch = held.epoch + 1 RETURNING epoch, next_offset"
    )
}

/// All rows, in the order of their processings.
pub(super) fn rows(table: &str) -> String {
    format!(
        "SELECT {} FROM {table} ORDER BY member, life, processing, source_partition, source_offset",
        COLUMNS.join(", ")
    )
}

/// Rows, and distinct records among them, as the database counts.
pub(super) fn counts(table: &str) -> String {
    format!(
        "SELECT (SELECT count(*) FROM {table}), (SELECT count(*) FROM (SELECT DISTINCT {KEY} FROM {table}) AS records)"
    )
}

/// Offsets that the sink keeps.
pub(super) fn held(table: &str) -> String {
    format!("SELECT source_partition, epoch, next_offset FROM {table}_offsets ORDER BY source_partition")
}

/// Takes both tables away.
pub(super) fn drop(table: &str) -> String {
    format!("DROP TABLE IF EXISTS {table}, {table}_offsets")
}
