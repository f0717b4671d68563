//! SQLite: a file beside the workers, opened by each of them. One transaction writes at a time; the others wait.

use super::{Sink, SinkError, SinkRow, sql};
use bench_model::effects::{Effects, Held};
use bench_model::ids::PartitionId;
use bench_model::settings::SinkSettings;
use bench_model::wire::SinkPlace;
use rusqlite::{Connection, Row, TransactionBehavior, params, params_from_iter};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a transaction waits for another one.
const BUSY: Duration = Duration::from_secs(300);
/// `synchronous` as SQLite numbers it.
const SYNCHRONOUS: [&str; 4] = ["off", "normal", "full", "extra"];
const VALUES: &str = "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

/// A connection that writes.
pub(super) struct Sqlite {
    connection: Connection,
    effective: BTreeMap<String, String>,
    insert: String,
    mark: String,
    take: String,
}

fn said(act: &'static str) -> impl Fn(rusqlite::Error) -> SinkError {
    move |error| SinkError::act(act)(error.to_string())
}

fn connect(
    settings: &SinkSettings,
    place: &SinkPlace,
) -> Result<(Connection, BTreeMap<String, String>), SinkError> {
    let connection = Connection::open(&place.file).map_err(said("open its file"))?;
    connection.busy_timeout(BUSY).map_err(said("open its file"))?;
    let mut effective = BTreeMap::from([("sqlite".to_owned(), rusqlite::version().to_owned())]);
    let pragma = |text: &str| {
        connection.query_row(text, [], |row| {
            row.get_ref(0).map(|value| match value {
                rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                value => value.as_str().unwrap_or_default().to_owned(),
            })
        })
    };
    if let Some(asked) = &settings.journal_mode {
        let found =
            pragma(&format!("PRAGMA journal_mode = {asked}")).map_err(said("set its journal mode"))?;
        as_asked("journal_mode", asked, &found)?;
        effective.insert("journal_mode".into(), found);
    }
    if let Some(asked) = &settings.synchronous {
        let act = "set how it syncs";
        connection.execute_batch(&format!("PRAGMA synchronous = {asked}")).map_err(said(act))?;
        let number = pragma("PRAGMA synchronous").map_err(said(act))?;
        let found = number.parse().ok().and_then(|number: usize| SYNCHRONOUS.get(number)).copied();
        let found = found.unwrap_or_default().to_owned();
        as_asked("synchronous", asked, &found)?;
        effective.insert("synchronous".into(), found);
    }
    Ok((connection, effective))
}

fn as_asked(key: &'static str, asked: &str, found: &str) -> Result<(), SinkError> {
    if asked == found {
        return Ok(());
    }
    Err(SinkError::Setting { key, asked: asked.to_owned(), found: found.to_owned() })
}

fn held(partition: i64, row: &Row<'_>, at: usize) -> rusqlite::Result<Held> {
    Ok(Held {
        partition: PartitionId(partition as u16),
        epoch: row.get::<_, i64>(at)? as u64,
        next: row.get(at + 1)?,
    })
}

impl Sqlite {
    pub(super) fn open(settings: &SinkSettings, place: &SinkPlace) -> Result<Self, SinkError> {
        let (connection, effective) = connect(settings, place)?;
        let table = &place.table;
        // To SQLite $3 is a name, numbered by where it stands; ?3 is the third.
        let numbered = |statement: String| statement.replace('$', "?");
        Ok(Sqlite {
            connection,
            effective,
            insert: numbered(sql::insert(settings.kind, table, VALUES)),
            mark: numbered(sql::mark(table)),
            take: numbered(sql::take(table)),
        })
    }

    fn write_all(&mut self, rows: &[SinkRow], marks: &[Held]) -> rusqlite::Result<Vec<u16>> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut refused = Vec::new();
        {
            let mut mark = transaction.prepare_cached(&self.mark)?;
            for Held { partition, epoch, next } in marks {
                if mark.execute(params![i64::from(partition.0), *epoch as i64, next])? == 0 {
                    refused.push(partition.0);
                }
            }
            let mut insert = transaction.prepare_cached(&self.insert)?;
            for row in rows.iter().filter(|row| !refused.contains(&row.effect.partition.0)) {
                insert.execute(params_from_iter(sql::numbers(&row.effect)))?;
            }
        }
        transaction.commit()?;
        Ok(refused)
    }
}

impl Sink for Sqlite {
    fn effective(&self) -> &BTreeMap<String, String> {
        &self.effective
    }

    fn take(&mut self, partitions: &[u16]) -> Result<Vec<Held>, SinkError> {
        let act = "take partitions over";
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior).map_err(said(act))?;
        let taken = {
            let mut take = transaction.prepare_cached(&self.take).map_err(said(act))?;
            let mut one = |partition: i64| take.query_row(params![partition], |row| held(partition, row, 0));
            let taken: rusqlite::Result<Vec<Held>> =
                partitions.iter().map(|at| one(i64::from(*at))).collect();
            taken.map_err(said(act))?
        };
        transaction.commit().map_err(said(act))?;
        Ok(taken)
    }

    fn write(&mut self, rows: &[SinkRow], marks: &[Held]) -> Result<Vec<u16>, SinkError> {
        self.write_all(rows, marks).map_err(said("write a batch"))
    }
}

/// Makes the tables of a cell.
pub(super) fn create(settings: &SinkSettings, place: &SinkPlace) -> Result<(), SinkError> {
    let (connection, _) = connect(settings, place)?;
    let tables = sql::create(settings.kind, &place.table).join("; ");
    connection.execute_batch(&tables).map_err(said("make its tables"))
}

/// Reads everything that the tables hold.
pub(super) fn read(settings: &SinkSettings, place: &SinkPlace) -> Result<Effects, SinkError> {
    const ACT: &str = "read its rows";
    let (connection, _) = connect(settings, place)?;
    let table = &place.table;
    let read = || -> rusqlite::Result<Effects> {
        let mut effects = Effects::default();
        (effects.rows, effects.records) = connection.query_row(&sql::counts(table), [], |row| {
            Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64))
        })?;
        let mut statement = connection.prepare(&sql::held(table))?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            effects.held.push(held(row.get(0)?, row, 1)?);
        }
        let mut statement = connection.prepare(&sql::rows(table))?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            let mut numbers = sql::Numbers::default();
            for (at, number) in numbers.iter_mut().enumerate() {
                *number = row.get(at)?;
            }
            let row = sql::row(numbers).ok_or(rusqlite::Error::IntegralValueOutOfRange(0, numbers[0]))?;
            effects.push(row);
        }
        Ok(effects)
    };
    read().map_err(said(ACT))
}
