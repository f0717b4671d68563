//! PostgreSQL: a server of somebody else's, named by the profile. A batch is one statement, its transaction one commit.

use super::{Sink, SinkError, SinkRow, sql};
use ::postgres::error::SqlState;
use ::postgres::types::ToSql;
use ::postgres::{Client, Config, NoTls, Statement};
use bench_model::effects::{EffectRun, Effects, Held};
use bench_model::ids::PartitionId;
use bench_model::settings::{SinkKind, SinkSettings};
use bench_model::wire::SinkPlace;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(10);
/// How often a transaction is tried again that the server has rolled back for another one's sake.
const AGAIN: usize = 5;
/// What the server itself is set to, of what decides about durability.
const SERVERS: [&str; 4] = ["fsync", "full_page_writes", "wal_sync_method", "server_version"];
const VALUES: &str = "SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], \
                      $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])";

/// A connection that writes.
pub(super) struct Postgres {
    client: Client,
    kind: SinkKind,
    effective: BTreeMap<String, String>,
    insert: Statement,
    mark: Statement,
    take: Statement,
    /// Rows on their way, column by column.
    columns: [Vec<i64>; 10],
}

/// The server's words are in the source, not in the error's own.
fn said(act: &'static str) -> impl Fn(::postgres::Error) -> SinkError {
    move |error| {
        let cause = match error.as_db_error() {
            Some(db) => format!("{} ({})", db.message(), db.code().code()),
            None => match std::error::Error::source(&error) {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            },
        };
        SinkError::act(act)(cause)
    }
}

fn connect(settings: &SinkSettings) -> Result<(Client, BTreeMap<String, String>), SinkError> {
    const ACT: &str = "connect to its server";
    let url = settings.url.as_deref().unwrap_or_default();
    let mut config: Config = url.parse().map_err(said("read its address"))?;
    if let (None, Ok(password)) = (config.get_password(), std::env::var("PGPASSWORD")) {
        config.password(password);
    }
    config.connect_timeout(CONNECT).application_name("bench-runner");
    let mut client = config.connect(NoTls).map_err(said(ACT))?;
    let mut effective = BTreeMap::new();
    if let Some(asked) = &settings.synchronous_commit {
        // One of a list of words.
        client.batch_execute(&format!("SET synchronous_commit = {asked}")).map_err(said(ACT))?;
        let found = show(&mut client, "synchronous_commit")?;
        if found != *asked {
            return Err(SinkError::Setting { key: "synchronous_commit", asked: asked.clone(), found });
        }
        effective.insert("synchronous_commit".to_owned(), found);
    }
    for key in SERVERS {
        let value = show(&mut client, key)?;
        effective.insert(key.to_owned(), value);
    }
    Ok((client, effective))
}

fn show(client: &mut Client, key: &str) -> Result<String, SinkError> {
    let row = client.query_one(&format!("SHOW {key}"), &[]).map_err(said("say how it is set"))?;
    Ok(row.get(0))
}

/// Rolled back for the sake of another transaction: may be tried again.
fn is_rolled_back(error: &::postgres::Error) -> bool {
    let code = error.code();
    code == Some(&SqlState::T_R_DEADLOCK_DETECTED) || code == Some(&SqlState::T_R_SERIALIZATION_FAILURE)
}

/// Lays the rows of partitions that were not refused out by column; of a keyed record the last one, as one statement may
/// not replace what it has just written.
fn lay_out(columns: &mut [Vec<i64>; 10], kind: SinkKind, rows: &[SinkRow], refused: &[u16]) {
    columns.iter_mut().for_each(Vec::clear);
    let key = |row: &EffectRun| (row.copies.producer, row.copies.home, row.copies.sequence);
    let written = || rows.iter().map(|row| &row.effect).filter(|row| !refused.contains(&row.partition.0));
    let last: HashMap<_, u64> =
        written().filter(|_| kind.is_idempotent()).map(|row| (key(row), row.processing)).collect();
    for row in written() {
        let replaced = last.get(&key(row)).is_some_and(|last| *last != row.processing);
        for (column, number) in columns.iter_mut().zip(sql::numbers(row)).filter(|_| !replaced) {
            column.push(number);
        }
    }
}

impl Postgres {
    pub(super) fn open(settings: &SinkSettings, place: &SinkPlace) -> Result<Self, SinkError> {
        let (mut client, effective) = connect(settings)?;
        let table = &place.table;
        let mut prepare = |statement: &str| client.prepare(statement).map_err(said("prepare its statements"));
        let insert = prepare(&sql::insert(settings.kind, table, VALUES))?;
        let mark = prepare(&sql::mark(table))?;
        let take = prepare(&sql::take(table))?;
        Ok(Postgres {
            client,
            kind: settings.kind,
            effective,
            insert,
            mark,
            take,
            columns: Default::default(),
        })
    }

    fn write_once(&mut self, rows: &[SinkRow], marks: &[Held]) -> Result<Vec<u16>, ::postgres::Error> {
        let mut refused = Vec::new();
        {
            let mut transaction = self.client.transaction()?;
            for Held { partition, epoch, next } in marks {
                let at = i64::from(partition.0);
                if transaction.execute(&self.mark, &[&at, &(*epoch as i64), next])? == 0 {
                    refused.push(partition.0);
                }
            }
            lay_out(&mut self.columns, self.kind, rows, &refused);
            let columns: Vec<&(dyn ToSql + Sync)> =
                self.columns.iter().map(|column| column as &(dyn ToSql + Sync)).collect();
            transaction.execute(&self.insert, &columns)?;
            transaction.commit()?;
        }
        Ok(refused)
    }
}

impl Sink for Postgres {
    fn effective(&self) -> &BTreeMap<String, String> {
        &self.effective
    }

    fn take(&mut self, partitions: &[u16]) -> Result<Vec<Held>, SinkError> {
        let act = "take partitions over";
        // In one order everywhere, so that two who take the same ones wait for each other in a line.
        let mut sorted = partitions.to_vec();
        sorted.sort_unstable();
        let mut transaction = self.client.transaction().map_err(said(act))?;
        let mut taken = Vec::with_capacity(sorted.len());
        for partition in sorted {
            let row = transaction.query_one(&self.take, &[&i64::from(partition)]).map_err(said(act))?;
            let epoch = row.get::<_, i64>(0) as u64;
            taken.push(Held { partition: PartitionId(partition), epoch, next: row.get(1) });
        }
        transaction.commit().map_err(said(act))?;
        Ok(taken)
    }

    fn write(&mut self, rows: &[SinkRow], marks: &[Held]) -> Result<Vec<u16>, SinkError> {
        for _ in 1..AGAIN {
            match self.write_once(rows, marks) {
                Err(error) if is_rolled_back(&error) => {}
                answer => return answer.map_err(said("write a batch")),
            }
        }
        self.write_once(rows, marks).map_err(said("write a batch"))
    }
}

/// Makes the tables of a cell.
pub(super) fn create(settings: &SinkSettings, place: &SinkPlace) -> Result<(), SinkError> {
    let (mut client, _) = connect(settings)?;
    let tables = sql::create(settings.kind, &place.table).join("; ");
    client.batch_execute(&tables).map_err(said("make its tables"))
}

/// Reads everything that the tables hold.
pub(super) fn read(settings: &SinkSettings, place: &SinkPlace) -> Result<Effects, SinkError> {
    let act = "read its rows";
    let (mut client, _) = connect(settings)?;
    let table = &place.table;
    let mut effects = Effects::default();
    let counts = client.query_one(&sql::counts(table), &[]).map_err(said(act))?;
    (effects.rows, effects.records) = (counts.get::<_, i64>(0) as u64, counts.get::<_, i64>(1) as u64);
    for row in client.query(&sql::held(table), &[]).map_err(said(act))? {
        effects.held.push(Held {
            partition: PartitionId(row.get::<_, i64>(0) as u16),
            epoch: row.get::<_, i64>(1) as u64,
            next: row.get(2),
        });
    }
    let mut found = client.query_raw(&sql::rows(table), std::iter::empty::<i64>()).map_err(said(act))?;
    while let Some(row) =
        ::postgres::fallible_iterator::FallibleIterator::next(&mut found).map_err(said(act))?
    {
        let mut numbers = sql::Numbers::default();
        for (at, number) in numbers.iter_mut().enumerate() {
            *number = row.get(at);
        }
        let row = sql::row(numbers).ok_or_else(|| SinkError::act(act)("a row out of range".to_owned()))?;
        effects.push(row);
    }
    Ok(effects)
}

/// Takes the tables of a cell away.
pub(super) fn remove(settings: &SinkSettings, place: &SinkPlace) -> Result<(), SinkError> {
    let (mut client, _) = connect(settings)?;
    client.batch_execute(&sql::drop(&place.table)).map_err(said("take its tables away"))
}
