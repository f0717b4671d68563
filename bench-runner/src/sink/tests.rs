//! Sinks by real connections: SQLite in a file, PostgreSQL on a server that the test starts.

use super::{Sink, SinkRow, create, open, read};
use bench_model::effects::{EffectRun, Held};
use bench_model::ids::{Incarnation, MemberId, PartitionId};
use bench_model::reading::CopyRun;
use bench_model::settings::{SinkKind, SinkSettings};
use bench_model::wire::SinkPlace;
use std::sync::atomic::{AtomicU32, Ordering};

#[path = "../../tests/held/postgres.rs"]
mod server;

/// No partition was refused.
const NONE: [u16; 0] = [];

struct Case {
    settings: SinkSettings,
    place: SinkPlace,
    _directory: tempfile::TempDir,
}

impl Case {
    fn new(kind: SinkKind, url: &str) -> Self {
        static TABLES: AtomicU32 = AtomicU32::new(0);
        let directory = tempfile::tempdir().expect("a directory");
        let of = |postgres: bool, word: &str| (kind.is_postgres() == postgres).then(|| word.to_owned());
        let settings = SinkSettings {
            kind,
            journal_mode: of(false, "wal"),
            synchronous: of(false, "off"),
            url: of(true, url),
            synchronous_commit: of(true, "off"),
        };
        let file = directory.path().join("sink.sqlite").display().to_string();
        let table = format!("bench_runner_test_{}", TABLES.fetch_add(1, Ordering::Relaxed));
        let case = Case { settings, place: SinkPlace { file, table }, _directory: directory };
        create(&case.settings, &case.place).expect("tables");
        case
    }

    fn open(&self) -> Box<dyn Sink> {
        open(&self.settings, &self.place).expect("a connection")
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        let _ = super::remove(&self.settings, &self.place);
    }
}

fn row(partition: u16, offset: i64, life: u8, processing: u64) -> SinkRow {
    let copies = CopyRun {
        offset,
        count: 1,
        producer: Default::default(),
        incarnation: Default::default(),
        attempt: Default::default(),
        home: PartitionId(partition),
        sequence: offset as u64,
        transaction: 0,
    };
    let life = Incarnation(life);
    let partition = PartitionId(partition);
    SinkRow { effect: EffectRun { partition, copies, member: MemberId(0), life, processing }, intended_ns: 0 }
}

fn rows(partition: u16, offsets: std::ops::Range<i64>, life: u8) -> Vec<SinkRow> {
    offsets.zip(1..).map(|(offset, processing)| row(partition, offset, life, processing)).collect()
}

fn keeps_every_write_or_the_last(kind: SinkKind, url: &str) {
    {
        let case = Case::new(kind, url);
        let mut sink = case.open();
        assert_eq!(sink.write(&rows(0, 0..10, 0), &[]).expect("written"), NONE);
        assert_eq!(sink.write(&rows(0, 5..10, 1), &[]).expect("written"), NONE);
        // One record twice in a batch: the log may hold it twice.
        let twice = [row(1, 7, 1, 6), row(1, 7, 1, 7)];
        assert_eq!(sink.write(&twice, &[]).expect("written"), NONE);
        let effects = read(&case.settings, &case.place).expect("read");
        assert_eq!((effects.rows, effects.records), if kind.is_idempotent() { (11, 11) } else { (17, 11) });
        let lengths: Vec<(u8, u64, u64)> =
            effects.runs.iter().map(|run| (run.life.0, run.processing, run.copies.count)).collect();
        if kind.is_idempotent() {
            assert_eq!(lengths, [(0, 1, 5), (1, 1, 5), (1, 7, 1)]);
        } else {
            assert_eq!(lengths, [(0, 1, 10), (1, 1, 5), (1, 6, 1), (1, 7, 1)]);
        }
        assert!(!sink.effective().is_empty());
    }
}

fn fences(kind: SinkKind, url: &str) {
    {
        let case = Case::new(kind, url);
        let (mut first, mut second) = (case.open(), case.open());
        let taken = first.take(&[0, 1]).expect("taken");
        assert_eq!(taken.iter().map(|held| (held.epoch, held.next)).collect::<Vec<_>>(), [(1, -1), (1, -1)]);
        let marks = |partitions: &[u16], epoch, next| -> Vec<Held> {
            partitions.iter().map(|at| Held { partition: PartitionId(*at), epoch, next }).collect()
        };
        assert_eq!(first.write(&rows(0, 0..10, 0), &marks(&[0], 1, 10)).expect("written"), NONE);
        // The other one takes partition 0 over, and finds where it goes on.
        let held = second.take(&[0]).expect("taken");
        assert_eq!((held[0].epoch, held[0].next), (2, 10));
        // The zombie's batch spans both: of the lost partition nothing is written, of the other one all.
        let both = [rows(0, 10..15, 0), rows(1, 0..5, 0)].concat();
        let refused =
            first.write(&both, &[marks(&[0], 1, 15), marks(&[1], 1, 5)].concat()).expect("answered");
        assert_eq!(refused, [0]);
        assert_eq!(second.write(&rows(0, 10..12, 1), &marks(&[0], 2, 12)).expect("written"), NONE);
        let effects = read(&case.settings, &case.place).expect("read");
        assert_eq!((effects.rows, effects.records), (17, 17));
        let held: Vec<(u64, i64)> = effects.held.iter().map(|held| (held.epoch, held.next)).collect();
        assert_eq!(held, [(2, 12), (1, 5)]);
    }
}

fn waits_for_a_write_that_has_begun(kind: SinkKind, url: &str) {
    {
        let case = Case::new(kind, url);
        let mut first = case.open();
        first.take(&[0]).expect("taken");
        let next_of = |epoch, next| Held { partition: PartitionId(0), epoch, next };
        // Whoever comes first: the rows are there exactly if the offset that the other one finds says so.
        let mut second = case.open();
        let writer = std::thread::spawn(move || first.write(&rows(0, 0..500, 0), &[next_of(1, 500)]));
        let held = second.take(&[0]).expect("taken");
        let refused = writer.join().expect("no panic").expect("answered");
        let effects = read(&case.settings, &case.place).expect("read");
        let expected = if refused.is_empty() { (500, 500) } else { (0, -1) };
        assert_eq!((effects.rows as i64, held[0].next), expected);
    }
}

const SQLITE: [SinkKind; 2] = [SinkKind::SqliteAppend, SinkKind::SqliteUpsert];

#[test]
fn an_append_sink_keeps_every_write_and_a_keyed_one_the_last() {
    SQLITE.into_iter().for_each(|kind| keeps_every_write_or_the_last(kind, ""));
}

#[test]
fn who_was_taken_over_cannot_write_and_the_next_goes_on_where_rows_end() {
    SQLITE.into_iter().for_each(|kind| fences(kind, ""));
}

#[test]
fn a_write_that_began_before_the_take_over_is_waited_for() {
    SQLITE.into_iter().for_each(|kind| waits_for_a_write_that_has_begun(kind, ""));
}

/// What needs a server.
mod postgres {
    use super::*;

    #[test]
    fn a_real_server_keeps_fences_and_waits_like_a_file() {
        let server = server::Server::start();
        for kind in [SinkKind::PostgresAppend, SinkKind::PostgresUpsert] {
            keeps_every_write_or_the_last(kind, &server.url());
            fences(kind, &server.url());
            waits_for_a_write_that_has_begun(kind, &server.url());
        }
        let nowhere = SinkSettings {
            url: Some("host=/nowhere user=bench".into()),
            ..Case::new(SinkKind::PostgresAppend, &server.url()).settings.clone()
        };
        let error =
            create(&nowhere, &SinkPlace { file: String::new(), table: "t".into() }).expect_err("no server");
        assert!(error.to_string().starts_with("the sink could not connect to its server"), "{error}");
    }
}

#[test]
fn a_setting_that_the_database_does_not_know_is_an_error() {
    let case = Case::new(SinkKind::SqliteAppend, "");
    let settings = SinkSettings { journal_mode: Some("journal".into()), ..case.settings.clone() };
    let error = open(&settings, &case.place).map(|_| ()).expect_err("no such mode");
    assert_eq!(error.to_string(), "the sink has journal_mode = wal, asked for was journal");
    let nowhere = SinkPlace { file: "/nowhere/sink.sqlite".into(), table: "t".into() };
    assert!(open(&case.settings, &nowhere).is_err());
}
