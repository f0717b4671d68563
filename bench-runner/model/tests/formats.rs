//! Holds `docs/formats.md` against the code: every field and every word that is stored or sent is documented there.

use bench_model::assess::{Statements, Usage};
use bench_model::fault::{Death, DeathRecord, End, Join, JoinRecord, Kill, KillRecord, Marks, Point, Victim};
use bench_model::ids::{Attempt, BookKey, BrokerId, Incarnation, MemberId, PartitionId, ProducerId};
use bench_model::latency::{LatencySummary, Percentile};
use bench_model::ledger::{Ledger, PartitionLedger, Resend, State, StateRun};
use bench_model::plan::{Cell, Skipped};
use bench_model::reading::{LogReading, Oddity, PartitionReading, Source};
use bench_model::result::*;
use bench_model::settings::{
    Acks, Arrival, Burst, CellSettings, CommitStrategy, GroupSettings, Length, Load, ProducerSettings,
    ServiceSpread, SinkKind, TopicSettings,
};
use bench_model::transactions;
use bench_model::verdict::{
    Alike, Class, ClassCount, Contingency, Identity, Offender, Promise, Tally, TallyKind, Verdict, Weight,
};
use bench_model::wire::*;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

#[path = "formats/faults.rs"]
mod faults;
#[path = "formats/sinks.rs"]
mod sinks;

const FORMATS: &str = include_str!("../../docs/formats.md");
const SUMMARY: &str = include_str!("../../src/report/snapshots/bench_runner__report__tests__summary.snap");

/// Names in a document, those of maps with free keys left out.
fn names(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                found.insert(name.clone());
                let free = ["settings", "axes", "properties", "extra"].contains(&name.as_str());
                if !free || value.get("producer").is_some() || value.get("acks").is_some() {
                    names(value, found);
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| names(value, found)),
        _ => {}
    }
}

fn document(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("plain data")
}

/// The words of an enumeration; a variant with content is an object of one name.
fn words<T: Serialize>(all: &[T]) -> Vec<String> {
    let word = |value: Value| match value {
        Value::String(word) => word,
        Value::Object(object) => object.keys().next().expect("a name").clone(),
        other => panic!("{other} is no word"),
    };
    all.iter().map(|value| word(document(value))).collect()
}

/// Inside of backticks, as a whole word.
fn is_documented(name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    let holds = |code: &str| {
        code.match_indices(name)
            .any(|(at, _)| !code[..at].ends_with(word) && !code[at + name.len()..].starts_with(word))
    };
    FORMATS.lines().any(|line| line.split('`').skip(1).step_by(2).any(holds))
}

fn load() -> Load {
    Load {
        arrival: Arrival::Bursts(vec![Burst { at_ns: 0, records: 1 }]),
        record_bytes: 48,
        warmup_ns: 0,
        length: Length::Time(1),
        producers: 1,
        compressible_percent: 0,
        drain_ns: 0,
    }
}

fn settings() -> CellSettings {
    let producer = ProducerSettings {
        acks: Acks::All,
        retries: 0,
        idempotence: false,
        linger_ns: 0,
        batch_bytes: 1,
        compression: String::new(),
        max_in_flight: 1,
        queue_records: 1,
        queue_bytes: 1,
        request_timeout_ns: 1,
        delivery_timeout_ns: 1,
        extra: BTreeMap::new(),
        transaction: None,
    };
    let topic = TopicSettings {
        partitions: 1,
        replication_factor: 1,
        min_insync_replicas: 1,
        extra: BTreeMap::new(),
    };
    CellSettings { producer, topic, load: load(), group: None }
}

fn death() -> Death {
    Death {
        worker: Victim::Producer,
        record: 1,
        point: Point::AfterSend,
        end: End::Stop,
        restart: true,
        continue_after_ns: Some(1),
        resend: true,
    }
}

fn kill() -> Kill {
    Kill { worker: Victim::Member, index: 0, at_ns: 0, resend: true }
}

/// What happened to workers.
fn ordeals() -> Statements {
    let death = DeathRecord {
        death: death(),
        member: MemberId(0),
        incarnation: Incarnation(0),
        seen_ns: 0,
        exit: String::new(),
        as_planned: true,
        marks: Some(Marks { begun: 0, completed: 0, last_ns: 0 }),
        continued_ns: Some(0),
        taken_ns: Some(0),
        transaction_errors: [(String::new(), 1)].into(),
    };
    let kill = KillRecord {
        kill: kill(),
        incarnation: Incarnation(0),
        done_ns: 0,
        exit: String::new(),
        as_planned: true,
    };
    let join = JoinRecord { join: Join { after: 1 }, member: MemberId(0), completed: 0, started_ns: 0 };
    Statements {
        deaths: vec![death],
        kills: vec![kill],
        joins: vec![join],
        untimed: 1,
        ..Statements::default()
    }
}

fn cell() -> Cell {
    Cell {
        id: String::new(),
        profile: String::new(),
        label: String::new(),
        axes: BTreeMap::new(),
        repeat: 0,
        again: false,
        seed: 0,
        settings: settings(),
        deaths: vec![death()],
        kills: vec![kill()],
        joins: vec![Join { after: 1 }],
        faults: vec![faults::step()],
        expect: BTreeMap::new(),
    }
}

fn caveat() -> Caveat {
    Caveat { kind: String::new(), what: String::new(), advice: String::new() }
}

fn manifest() -> Manifest {
    let warm = Warm { cpu_ns_per_record: vec![], idle: vec![], compiling: vec![], stable: true, took_s: 0.0 };
    Manifest {
        schema: String::new(),
        run: String::new(),
        started: String::new(),
        ended: String::new(),
        command: vec![],
        revision: String::new(),
        client: String::new(),
        profiles: vec![ProfileSource {
            name: String::new(),
            why: String::new(),
            text: String::new(),
            overrides: vec![],
        }],
        plan: vec![cell()],
        skipped: vec![Skipped { profile: String::new(), label: String::new(), reason: String::new() }],
        cluster: ClusterFacts { warm: Some(warm), ..ClusterFacts::default() },
        host: HostFacts::default(),
        caveats: vec![caveat()],
        controls: true,
        interrupted: false,
    }
}

fn verdict() -> Verdict {
    let offender = Offender {
        producer: Some(ProducerId(0)),
        partition: PartitionId(0),
        sequence: Some(0),
        offset: Some(0),
        class: Some(Class::Acked),
    };
    let tally =
        Tally { count: 0, of: 0, weight: Weight::Allowed, offenders: vec![offender], not_checked: None };
    let alike = Alike {
        copies: 0,
        processed: 0,
        effects: 0,
        records: 0,
        sum_copies: 0,
        sum_processed: 0,
        sum_effects: 0,
    };
    Verdict {
        records: 0,
        attempts: 0,
        copies: 0,
        classes: Class::ALL.map(|class| (class, ClassCount::default())).into(),
        contingency: vec![Contingency {
            class: Class::Acked,
            copies_0: 0,
            copies_1: 0,
            copies_2: 0,
            alike: vec![alike],
        }],
        tallies: TallyKind::ALL.map(|kind| (kind, tally.clone())).into(),
        identities: vec![Identity { name: String::new(), holds: true, detail: String::new() }],
        inconclusive: None,
        undrained: None,
        promise: Promise::Kept,
    }
}

fn course() -> GroupCourse {
    let cause = RebalanceCause::Death;
    GroupCourse {
        completed: Some(1),
        processed_per_s: Some(1.0),
        failed_commits: [("killed".to_owned(), 1)].into(),
        seconds: vec![GroupSecond::default()],
        rebalances: vec![Rebalance { cause, start_ns: 0, end_ns: 0, pause_ns: 0, partitions: 0 }],
        ..GroupCourse::default()
    }
}

fn group() -> GroupSettings {
    GroupSettings {
        members: 1,
        commit: CommitStrategy::Auto,
        commit_interval_ns: 0,
        commit_on_revoke: true,
        batch_records: 1,
        batch_wait_ns: 0,
        service_ns: 1,
        service_spread: ServiceSpread::Uniform { least_ns: 0, most_ns: 2 },
        assignor: String::new(),
        protocol: String::new(),
        isolation: String::new(),
        session_timeout_ns: 0,
        fetch: Default::default(),
        extra: BTreeMap::new(),
        sink: None,
    }
}

fn result() -> CellResult {
    let summary = LatencySummary {
        count: 0,
        censored: 0,
        failed: 0,
        min_ns: 0,
        max_ns: 0,
        max_cut_ns: 0,
        mean_ns: 0.0,
        overflow: 0,
        percentiles: BTreeMap::new(),
    };
    let series = ["publish", "service", "lateness", "end_to_end"];
    CellResult {
        verdict: Some(verdict()),
        expectation_unmet: vec![String::new()],
        faults: vec![faults::record()],
        latencies: series.map(|name| (name.to_owned(), summary.clone())).into(),
        seconds: vec![Second::default()],
        group: Some(course()),
        caveats: vec![caveat()],
        ..bench_model::assess::blank("", &cell())
    }
}

fn specifications() -> [WorkerSpec; 3] {
    let produce = ProduceSpec {
        producer: ProducerId(0),
        incarnation: Incarnation(0),
        seed: 0,
        settings: settings().producer,
        load: load(),
        ledger_capacity: 0,
        transaction_capacity: 0,
        predecessors: vec![String::new()],
        resend: true,
        death: Some(death()),
    };
    let read = ReadSpec { properties: BTreeMap::new(), load: load(), output: false };
    let consume = ConsumeSpec {
        member: MemberId(0),
        incarnation: Incarnation(0),
        group: String::new(),
        settings: group(),
        load: load(),
        seed: 0,
        journal_entries: 0,
        death: Some(death()),
        begun: vec![0],
        sink: Some(SinkPlace { file: String::new(), table: String::new() }),
        pipe: Some(PipeSpec {
            settings: settings().producer,
            book: BookKey(0),
            record_bytes: 72,
            transaction_capacity: 0,
            beside_producers: true,
        }),
    };
    [Role::Produce(produce), Role::Read(read), Role::Consume(Box::new(consume))].map(|role| WorkerSpec {
        version: WIRE_VERSION,
        bootstrap: String::new(),
        topic: String::new(),
        partitions: 1,
        book: BookKey(0),
        directory: String::new(),
        role,
    })
}

fn said() -> (Vec<Command>, Vec<Event>) {
    let done = Done { window: Some(Default::default()), ..Done::default() };
    let commands = vec![Command::Start { t0_ns: 0 }, Command::Finish { deadline_ns: 0, end_offsets: vec![] }];
    let events = vec![
        Event::Ready { client: String::new(), settings: BTreeMap::new() },
        Event::Progress(Progress::default()),
        Event::ClientError { at_ns: 0, text: String::new(), fatal: false },
        Event::Done(Box::new(done)),
    ];
    (commands, events)
}

fn lines_of_evidence() -> Vec<Value> {
    let runs = vec![StateRun { first_sequence: 0, count: 1, state: State::Acked }];
    let (partition, sequence, attempt, state) = (PartitionId(0), 0, Attempt(1), State::Acked);
    let resend = |transaction| Resend { partition, sequence, attempt, state, transaction };
    let resends = vec![resend(0), resend(1)];
    let ledger = Ledger {
        producer: ProducerId(0),
        incarnation: Incarnation(0),
        book: BookKey(0),
        closed: true,
        settled: [0; 7],
        partitions: vec![PartitionLedger {
            partition: PartitionId(0),
            first_sequence: 0,
            next_sequence: 1,
            runs,
        }],
        resends,
    };
    let partition = PartitionReading {
        partition: PartitionId(0),
        start: 0,
        end: 0,
        last_stable: 0,
        reached: 0,
        runs: vec![],
        oddities: vec![(0, Oddity::Alien)],
        batches_digest: None,
        invisible: Vec::new(),
    };
    let reading = LogReading { source: Source::Segments(BrokerId(1)), partitions: vec![partition] };
    let texts =
        [bench_model::ledger::to_jsonl(&[ledger]), bench_model::reading::to_jsonl(&[reading])].concat();
    texts.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn every_field_is_documented() {
    let statements = Statements { usage: [Some(Usage::default()); 2], delivered: Some(vec![0]), ..ordeals() };
    let (commands, events) = said();
    let summary: Value =
        serde_json::from_str(SUMMARY.splitn(3, "---\n").last().expect("a document")).expect("JSON");
    let documents = [
        document(&manifest()),
        document(&result()),
        document(&statements),
        document(&specifications()),
        document(&commands),
        document(&events),
        json!(lines_of_evidence()),
        faults::recovered(),
        json!(sinks::of_sinks()),
        summary,
    ];
    let mut found = BTreeSet::new();
    documents.iter().for_each(|document| names(document, &mut found));
    assert!(found.len() > 150, "{} names", found.len());
    let missing: Vec<String> = found.into_iter().filter(|name| !is_documented(name)).collect();
    assert!(missing.is_empty(), "docs/formats.md says nothing about {missing:?}");
}

#[test]
fn every_word_is_documented() {
    let (commands, events) = said();
    let tagged = |value: Value, tag: &str| value[tag].as_str().expect(tag).to_owned();
    let mut all: Vec<String> = [
        words(&[
            Outcome::Finished,
            Outcome::Void,
            Outcome::Inconclusive,
            Outcome::NotInjected,
            Outcome::CouldNotStart,
            Outcome::Interrupted,
        ]),
        words(&[Expectation::None, Expectation::NoEntry, Expectation::Met]),
        words(&[Expectation::BetterThanRequired, Expectation::Unmet]),
        words(&[Promise::Kept, Promise::Allowed, Promise::Violated]),
        words(&[Weight::Reported, Weight::Allowed, Weight::Violation]),
        words(&Class::ALL),
        words(&State::ALL),
        words(&TallyKind::ALL),
        words(&[Percentile::Exactly(0), Percentile::AtLeast(0), Percentile::TooFew]),
        faults::all_words(),
        words(&CommitStrategy::ALL),
        words(&SinkKind::ALL),
        words(&[Point::BeforeWrite, Point::BetweenWriteAndCommit, Point::BetweenOffsetsAndCommit]),
        words(&[Point::AfterPoll, Point::AfterProcessing, Point::AfterCommit, Point::AfterSend]),
        words(&[End::Kill, End::Close, End::Stop]),
        words(&[Victim::Member, Victim::Producer]),
        words(&[Acks::Zero, Acks::One, Acks::All]),
        words(&[Length::Time(0), Length::Records(0)]),
        words(&[
            Arrival::Constant { per_second: 0 },
            Arrival::Poisson { per_second: 0 },
            Arrival::Max,
            Arrival::Bursts(vec![]),
        ]),
        words(&[RebalanceCause::Revoked, RebalanceCause::Lost, RebalanceCause::Death]),
        words(&CommitStrategy::ALL),
        words(&[
            ServiceSpread::Constant,
            ServiceSpread::Exponential,
            ServiceSpread::Uniform { least_ns: 0, most_ns: 1 },
        ]),
        words(&[Oddity::Alien, Oddity::Corrupt, Oddity::Control]),
        words(&[
            Source::Reader,
            Source::SecondReader,
            Source::Segments(BrokerId(0)),
            Source::CommittedReader,
        ]),
        words(&transactions::State::ALL),
    ]
    .concat();
    all.extend(commands.iter().map(|command| tagged(document(command), "command")));
    all.extend(events.iter().map(|event| tagged(document(event), "event")));
    all.push(SCHEMA_VERSION.to_owned());
    all.retain(|word| !is_documented(word) && !FORMATS.contains(&format!("writes {word}.")));
    assert!(all.is_empty(), "docs/formats.md says nothing about {all:?}");
}

/// The lines of the page that follow a heading, inside of its first fenced block.
fn block(heading: &str) -> &'static str {
    let after = FORMATS.split(heading).nth(1).expect(heading);
    after.split("```").nth(1).and_then(|block| block.split_once('\n')).expect("a block").1
}

#[test]
fn the_examples_are_read_by_the_code() {
    let specification: WorkerSpec =
        serde_json::from_str(block("### Specification")).expect("a specification");
    assert_eq!(specification.version, WIRE_VERSION);
    let events: Vec<Event> =
        block("### Events").lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(events.len(), said().1.len(), "one of each");
    let commands: Vec<Command> = FORMATS
        .split('`')
        .filter(|code| code.starts_with("{\"command\""))
        .map(|code| serde_json::from_str(code).expect(code))
        .collect();
    assert_eq!(commands.len(), said().0.len(), "one of each");
    let latencies = bench_model::latency::Set::default().to_text();
    assert_eq!(latencies.lines().next(), block("## Latencies").lines().next(), "the first line of a log");
}
