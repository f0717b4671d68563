//! Documents of cells with a sink, for the test that holds every stored field against the page.

use super::document;
use bench_model::assess::Statements;
use bench_model::effects::{self, EffectRun, Effects, Held};
use bench_model::ids::{Attempt, Incarnation, MemberId, PartitionId, ProducerId};
use bench_model::processing::{self, Entry, Journal, Processed};
use bench_model::reading::CopyRun;
use bench_model::settings::{SinkKind, SinkSettings};
use bench_model::wire::SinkPlace;
use serde_json::Value;

/// What cells with a sink add to settings, specifications and evidence.
pub fn of_sinks() -> Vec<Value> {
    let copies = CopyRun {
        offset: 0,
        count: 1,
        producer: ProducerId(0),
        incarnation: Incarnation(0),
        attempt: Attempt(0),
        home: PartitionId(0),
        sequence: 0,
        transaction: 0,
    };
    let (partition, member, life) = (PartitionId(0), MemberId(0), Incarnation(0));
    let held = vec![Held { partition, epoch: 1, next: 0 }];
    let runs = vec![EffectRun { partition, copies, member, life, processing: 1 }];
    let effects = effects::to_jsonl(&Effects { rows: 1, records: 1, runs, held });
    let run = Processed {
        partition,
        copies,
        completed: 0,
        begun_ns: 1,
        completed_ns: 0,
        given_up: true,
        refused: true,
    };
    let journal = Journal {
        member,
        incarnation: life,
        closed: false,
        begun: 1,
        completed: 0,
        called: 1,
        answered: 1,
        entries: vec![Entry::Processed(run)],
    };
    let journal = processing::to_jsonl(&[journal]);
    let word = || Some(String::new());
    let settings = SinkSettings {
        kind: SinkKind::SqliteAppend,
        journal_mode: word(),
        synchronous: word(),
        url: word(),
        synchronous_commit: word(),
    };
    let place = SinkPlace { file: String::new(), table: String::new() };
    let lines = effects.lines().chain(journal.lines());
    let mut all: Vec<Value> = lines.map(|line| serde_json::from_str(line).expect(line)).collect();
    let unread = Statements { unread_sink: word(), ..Statements::default() };
    all.extend([document(&settings), document(&place), document(&unread)]);
    all
}
