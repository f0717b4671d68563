//! Consumer groups and deaths in profiles: what is read, what is refused or skipped, and what a plan makes of them.

use bench_model::fault::{Death, End, Point, Victim};
use bench_model::plan;
use bench_model::profile::{Profile, ProfileErrors, parse};
use bench_model::settings::{CommitStrategy, GroupSettings, ServiceSpread, SinkKind, SinkSettings};
use miette::{GraphicalReportHandler, GraphicalTheme};
use proptest::prelude::*;

const HEAD: &str = "name = \"p\"\nwhy = \"w\"\n[load]\nbursts = [{ at = \"0 s\", records = 400 }]\n";
const DEATH: &str = "[[death]]\nrecord = 237\npoint = \"after-processing\"\nend = \"kill\"\n";

fn rendered(errors: &ProfileErrors) -> String {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100);
    let mut text = String::new();
    handler.render_report(&mut text, errors).expect("writes to a string");
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn valid(rest: &str) -> Profile {
    parse("p.toml", &format!("{HEAD}{rest}"), &[], &())
        .unwrap_or_else(|errors| panic!("{}", rendered(&errors)))
}

fn told(rest: &str) -> Vec<String> {
    let errors = parse("p.toml", &format!("{HEAD}{rest}"), &[], &()).expect_err("this profile is wrong");
    errors.problems().iter().map(|problem| format!("{} | {}", problem.message(), problem.help())).collect()
}

fn groups(rest: &str) -> Vec<GroupSettings> {
    valid(rest).combinations.into_iter().map(|cell| cell.settings.group.expect("a group")).collect()
}

fn skipped(rest: &str) -> Vec<String> {
    valid(rest).impossible.into_iter().map(|cell| format!("{}: {}", cell.label, cell.reason)).collect()
}

#[test]
fn without_the_section_there_is_no_group_and_an_empty_one_is_a_group_by_default() {
    assert_eq!(valid("").combinations[0].settings.group, None);
    let [group] = groups("[consumer]\n").try_into().expect("one cell");
    let expected = GroupSettings {
        members: 1,
        commit: CommitStrategy::SyncAfter,
        commit_interval_ns: 5_000_000_000,
        commit_on_revoke: true,
        batch_records: 500,
        batch_wait_ns: 0,
        service_ns: 0,
        service_spread: Default::default(),
        assignor: "range".into(),
        protocol: "classic".into(),
        isolation: "read_committed".into(),
        session_timeout_ns: 45_000_000_000,
        fetch: Default::default(),
        extra: [].into(),
        sink: None,
    };
    assert_eq!(group, expected);
}

#[test]
fn every_setting_of_a_group_varies_under_its_own_key() {
    for (axis, values) in [
        ("members", "[1, 64]"),
        ("commit", "[\"auto\", \"none\"]"),
        ("commit-interval", "[\"1 ms\", \"24 h\"]"),
        ("commit-on-revoke", "[true, false]"),
        ("batch", "[1, 100000]"),
        ("service-time", "[{ exponential = \"2 ms\" }, { uniform = [\"1 ms\", \"5 ms\"] }]"),
        ("assignor", "[\"roundrobin\", \"cooperative-sticky\"]"),
        ("protocol", "[\"classic\", \"consumer\"]"),
        ("isolation", "[\"read_committed\", \"read_uncommitted\"]"),
        ("session-timeout", "[\"1 s\", \"30 min\"]"),
        ("fetch-min-size", "[\"1 B\", \"50 MiB\"]"),
        ("fetch-wait", "[\"1 ms\", \"59 s\"]"),
        ("partition-fetch-size", "[\"1 B\", \"50 MiB\"]"),
        ("sink", "[\"none\", \"sqlite-upsert\"]"),
    ] {
        let text = format!(
            "[consumer]\n[matrix]\n{axis} = {values}\n[[expect]]\ncells = {{ {axis} = {values} }}\nredelivery = 0\n"
        );
        let profile = valid(&text);
        assert_eq!(profile.combinations.len(), 2, "{axis}");
        let [first, second] = [0, 1].map(|index| &profile.combinations[index]);
        assert!(first.axes.contains_key(axis) && first.axes != second.axes, "{first:?}");
        assert_ne!(first.settings.group, second.settings.group, "{axis}");
        assert!(profile.combinations.iter().all(|cell| cell.expect["redelivery"] == 0));
        let without = told(&format!("[matrix]\n{axis} = {values}\n"));
        assert!(without[0].starts_with(&format!("{axis} is of a consumer group")), "{without:?}");
    }
}

#[test]
fn service_times_are_constant_or_drawn_and_nothing_else() {
    let of = |text: &str| {
        let [group] = groups(&format!("[consumer]\nservice-time = {text}\n")).try_into().expect("one");
        (group.service_ns, group.service_spread)
    };
    assert_eq!(of("\"2 ms\""), (2_000_000, ServiceSpread::Constant));
    assert_eq!(of("{ exponential = \"2 ms\" }"), (2_000_000, ServiceSpread::Exponential));
    let range = ServiceSpread::Uniform { least_ns: 1_000_000, most_ns: 5_000_000 };
    assert_eq!(of("{ uniform = [\"1 ms\", \"5 ms\"] }"), (3_000_000, range));
    for (text, said) in [
        ("{ normal = \"2 ms\" }", "normal is no distribution"),
        ("{ exponential = \"0 s\" }", "out of range"),
        ("{ uniform = [\"5 ms\", \"1 ms\"] }", "does not begin before"),
        ("{ uniform = \"5 ms\" }", "a range has two ends"),
        ("{ uniform = [\"5 ms\", 7] }", "expected a text with a unit"),
        ("{}", "0 names of a distribution"),
    ] {
        let told = told(&format!("[consumer]\nservice-time = {text}\n"));
        assert!(told.len() == 1 && told[0].contains(said), "{text}: {told:?}");
    }
}

#[test]
fn wrong_values_of_a_group_and_its_deaths_are_shown_in_place() {
    let text = format!("{HEAD}{}", include_str!("wrong_group.toml"));
    insta::assert_snapshot!(rendered(&parse("p.toml", &text, &[], &()).expect_err("wrong")));
}

#[test]
fn a_group_takes_the_defaults_of_its_protocol_and_nothing_of_the_other() {
    let both = groups("[consumer]\n[matrix]\nprotocol = [\"classic\", \"consumer\"]\n");
    assert_eq!(both.iter().map(|group| group.assignor.as_str()).collect::<Vec<_>>(), ["range", "uniform"]);
    let brokers = "[cluster]\nsettings = { \"group.consumer.session.timeout.ms\" = 7000 }\n";
    let [group] = groups(&format!("{brokers}[consumer]\nprotocol = \"consumer\"\n")).try_into().expect("one");
    assert_eq!(group.session_timeout_ns, 7_000_000_000);

    let both = "[matrix]\nprotocol = [\"classic\", \"consumer\"]\nsession-timeout = [\"2 s\", \"45 s\"]\n";
    let reasons = skipped(&format!("[consumer]\n{both}"));
    assert_eq!(reasons.len(), 1);
    assert!(reasons[0].starts_with("protocol=consumer, session-timeout=2 s: "), "{reasons:?}");

    let matrix = "[matrix]\nprotocol = [\"classic\", \"consumer\"]\n";
    let skipped = |rest: &str| skipped(&format!("[consumer]\n{rest}{matrix}"));
    assert_eq!(
        skipped("assignor = \"roundrobin\"\n"),
        ["protocol=consumer: protocol=consumer knows no assignor=roundrobin, only uniform, range"]
    );
    assert_eq!(
        skipped("assignor = \"uniform\"\n"),
        [
            "protocol=classic: protocol=classic knows no assignor=uniform, only range, roundrobin, cooperative-sticky"
        ]
    );
    assert!(skipped("assignor = \"range\"\n").is_empty());
    let session = skipped("session-timeout = \"2 s\"\n");
    let expected = "protocol=consumer: with protocol=consumer the brokers' group.consumer.session.timeout.ms of 45 s counts";
    assert!(session[0].starts_with(expected), "{session:?}");
    let heartbeat = skipped("settings = { \"heartbeat.interval.ms\" = 100 }\n");
    assert!(heartbeat[0].contains("the brokers choose heartbeat.interval.ms"), "{heartbeat:?}");
    // The default of one protocol, written down under it, is the same cell.
    let twice = told("[consumer]\n[[include]]\nprotocol = \"classic\"\n[[include]]\nassignor = \"range\"\n");
    assert!(twice[0].starts_with("this cell is there already"), "{twice:?}");
}

#[test]
fn properties_of_a_member_with_a_key_of_their_own_are_refused() {
    for (name, help) in [
        ("isolation.level", "write isolation = … in [consumer]"),
        ("enable.auto.commit", "write commit = … in [consumer]"),
        ("session.timeout.ms", "write session-timeout = … in [consumer]"),
        ("fetch.min.bytes", "write fetch-min-size = … in [consumer]"),
        ("fetch.wait.max.ms", "write fetch-wait = … in [consumer]"),
        ("max.partition.fetch.bytes", "write partition-fetch-size = … in [consumer]"),
        ("acks", "write acks = … in [producer]"),
        ("group.instance.id", "remove it: the harness needs this property for itself"),
        ("auto.offset.reset", "remove it: the harness needs this property for itself"),
    ] {
        let answer = told(&format!("[consumer]\nsettings = {{ \"{name}\" = \"1\" }}\n"));
        assert_eq!(answer, [format!("settings: {name} cannot be set here | {help}")]);
    }
    let [group] = groups("[consumer]\nsettings = { queued.min.messages = 5 }\n").try_into().expect("one");
    assert_eq!(group.extra["queued.min.messages"], "5");
}

#[test]
fn a_key_of_a_group_under_its_name_elsewhere_is_understood() {
    for (written, meant) in [
        ("consumers = 1", "members"),
        ("max_poll_records = 1", "batch"),
        ("isolation_level = 1", "isolation"),
        ("auto-commit-interval-ms = 1", "commit-interval"),
        ("session_timeout_ms = 1", "session-timeout"),
        ("fetch_min_bytes = 1", "fetch-min-size"),
        ("fetch_max_wait_ms = 1", "fetch-wait"),
        ("max_partition_fetch_bytes = 1", "partition-fetch-size"),
        ("assigner = 1", "assignor"),
    ] {
        let answer = told(&format!("[consumer]\n{written}\n"));
        assert!(answer[0].ends_with(&format!("did you mean {meant}?")), "{written}: {answer:?}");
    }
}

#[test]
fn a_member_that_its_group_or_its_client_would_not_have_is_skipped_with_the_reason() {
    let with = |settings: &str| {
        format!(
            "[consumer]\nsession-timeout = \"6 s\"\nsettings = {{ {settings} }}\n[matrix]\nmembers = [1, 2]\n"
        )
    };
    for (settings, reason) in [
        ("\"heartbeat.interval.ms\" = 6000", "heartbeat.interval.ms is not below session-timeout of 6 s"),
        ("\"max.poll.interval.ms\" = 5999", "max.poll.interval.ms is below session-timeout of 6 s"),
    ] {
        let told = told(&with(settings));
        assert!(told.iter().any(|one| one.contains(reason)), "{told:?}");
    }
    valid(&with("\"heartbeat.interval.ms\" = 5999, \"max.poll.interval.ms\" = 6000"));
}

#[test]
fn what_transactions_are_like_is_refused_where_no_cell_has_any() {
    for key in ["abort-every = 3", "abort-flush = false", "transaction-timeout = \"130 s\""] {
        let refused = told(&format!("[producer]\nidempotence = true\n{key}\n"));
        let expected = "this key says what transactions are like, and no cell has any";
        assert!(refused.len() == 1 && refused[0].starts_with(expected), "{key}: {refused:?}");
        valid(&format!("[producer]\nidempotence = true\n{key}\n[matrix]\ntransaction = [\"none\", 10]\n"));
        valid(&format!("[producer]\nidempotence = true\n{key}\ntransaction = \"none\"\n"));
    }
}

#[test]
fn a_death_is_of_the_cells_that_it_names_one_for_each_life() {
    let second = "[[death]]\ncells = { commit = \"none\" }\nrecord = 5\npoint = \"after-poll\"\nend = \"close\"\nrestart = false\n";
    let profile = valid(&format!(
        "[consumer]\nmembers = 2\n[matrix]\ncommit = [\"sync-after\", \"none\"]\n{DEATH}{second}"
    ));
    let first = Death {
        worker: Victim::Member,
        record: 237,
        point: Point::AfterProcessing,
        end: End::Kill,
        restart: true,
        continue_after_ns: None,
        resend: false,
    };
    let other = Death { record: 5, point: Point::AfterPoll, end: End::Close, restart: false, ..first };
    assert_eq!(profile.combinations[0].deaths, [first]);
    assert_eq!(profile.combinations[1].deaths, [first, other]);
    let plan = plan::build(&[profile], &[]).expect("within limits");
    let cell = plan.cells.iter().find(|cell| cell.label == "commit=none").expect("planned");
    assert_eq!(cell.deaths, [first, other]);
    let texts = cell.effective();
    let text = texts.iter().find(|(key, _)| key == "death").map(|(_, text)| text.as_str());
    let expected = "kill member 0 after-processing of record 237 (restart), close member 0 after-poll of record 5 (no restart)";
    assert_eq!(text, Some(expected));
}

#[test]
fn tallies_of_what_a_cell_does_not_have_cannot_be_expected() {
    let expect = |tally: &str| format!("[consumer]\ncommit = \"sync-after\"\n[[expect]]\n{tally} = 0\n");
    valid(&expect("redelivery"));
    valid(&expect("sink_loss").replace("[[", "sink = \"sqlite-append\"\n[["));
    for (tally, what) in [("sink_loss", "sink"), ("torn_transaction", "transactions")] {
        let told = told(&expect(tally));
        let expected = format!("cell \"base\" has no {what} for {tally} to count");
        assert!(told.len() == 1 && told[0].starts_with(&expected), "{told:?}");
    }
}

#[test]
fn deaths_that_cannot_be_died_are_refused_or_skipped() {
    let none = told(DEATH);
    assert!(none[0].starts_with("a death is one of a group member, and there is no group"), "{none:?}");
    let group = |rest: &str| format!("[consumer]\n{rest}");
    let death = |record: u64, more: &str| {
        format!("[[death]]\nrecord = {record}\npoint = \"after-poll\"\nend = \"kill\"\n{more}")
    };
    valid(&group(&death(400, "")));
    let late = told(&group(&death(401, "")));
    let expected =
        "record 401 never comes: cell \"base\" sends 400 | write a smaller number, or lengthen the load";
    assert_eq!(late, [expected]);
    let after = told(&group(&format!("members = 2\n{}{DEATH}", death(3, "restart = false\n"))));
    assert!(after[0].starts_with("in cell \"base\" nobody is left to die"), "{after:?}");
    let nobody = told(&group(&format!("{DEATH}cells = {{ commit = \"auto\" }}\n")));
    assert!(nobody[0].starts_with("this death matches no cell that can run"), "{nobody:?}");

    let members = format!("[matrix]\nmembers = [1, 2]\n{}", death(3, "restart = false\n"));
    let expected = "members=1: a death without restart needs members=2 or more: somebody has to take over";
    assert_eq!(skipped(&group(&members)), [expected]);
    let commit = format!(
        "[matrix]\ncommit = [\"sync-before\", \"sync-after\", \"auto\", \"none\"]\n{}",
        DEATH.replace("after-processing", "after-commit")
    );
    let skipped = skipped(&group(&commit));
    assert_eq!(skipped.len(), 3);
    for (skipped, commit) in skipped.iter().zip(["sync-after", "auto", "none"]) {
        let expected = format!("commit={commit}: a death after-commit needs commit=sync-before, ");
        assert!(skipped.starts_with(&expected), "{skipped}");
    }
}

#[test]
fn tallies_of_a_group_are_expected_only_where_there_is_one() {
    let without = told("[[expect]]\nprocessing_loss = 0\n");
    assert!(without[0].starts_with("processing_loss counts what a consumer group does"), "{without:?}");
    valid("[[expect]]\nlog_loss = 0\n");
    valid("[consumer]\n[[expect]]\nprocessing_loss = 0\nlog_loss = 0\n");
}

#[test]
fn a_group_costs_time_memory_and_disk() {
    let estimate = |rest: &str| plan::build(&[valid(rest)], &[]).expect("within limits").estimate;
    let (without, with) = (estimate(""), estimate("[consumer]\nsession-timeout = \"2 s\"\n"));
    let died = estimate(&format!("[consumer]\nsession-timeout = \"2 s\"\n{DEATH}"));
    let closed =
        estimate(&format!("[consumer]\nsession-timeout = \"2 s\"\n{}", DEATH.replace("kill", "close")));
    let journal = 64 * (4 * 400 + 10_000);
    let mib = 1 << 20;
    assert_eq!(with.memory_bytes - without.memory_bytes, 128 * mib + journal);
    assert_eq!(with.disk_bytes - without.disk_bytes, journal);
    assert_eq!(died.disk_bytes - with.disk_bytes, journal);
    assert_eq!(died.memory_bytes, with.memory_bytes);
    let second = 1_000_000_000;
    assert_eq!(with.cells_ns - without.cells_ns, 3 * second);
    assert_eq!(died.cells_ns - with.cells_ns, 5 * second);
    assert_eq!(closed.cells_ns - with.cells_ns, 3 * second);
    let slow =
        |members| estimate(&format!("[consumer]\nmembers = {members}\nservice-time = \"100 ms\"\n")).cells_ns;
    assert_eq!(slow(1) - with.cells_ns, 40 * second);
    assert_eq!(slow(4) - with.cells_ns, 10 * second);
    // Beyond six partitions members have nothing to do.
    assert_eq!(slow(6), slow(12));
}

proptest! {
    #[test]
    fn whatever_is_written_of_a_group_is_answered_without_a_panic(
        key in "members|commit|batch|batch-wait|service-time|assignor|protocol|session-timeout|settings|record|point|end|cells",
        value in "[\\[\\]{}\"0-9a-z .=-]{0,16}",
        death: bool,
    ) {
        let sections = if death { ["[consumer]\n", DEATH] } else { [DEATH, "[consumer]\n"] };
        let _ = parse("p.toml", &format!("{HEAD}{}{key} = {value}\n", sections.concat()), &[], &());
    }
}

fn sink(kind: SinkKind) -> SinkSettings {
    SinkSettings { kind, journal_mode: None, synchronous: None, url: None, synchronous_commit: None }
}

#[test]
fn a_sink_has_the_durability_settings_of_its_own_database_and_every_one_of_them() {
    let text = "[consumer]\n[sink]\nurl = \"host=/run/pg user=b\"\nsynchronous = \"normal\"\nsynchronous-commit = \"off\"\n\
                [matrix]\nsink = [\"none\", \"sqlite-append\", \"postgres-upsert\"]\n";
    let [none, sqlite, postgres] = groups(text).try_into().expect("three");
    assert_eq!(none.sink, None);
    let (wal, normal) = (Some("wal".to_owned()), Some("normal".to_owned()));
    let expected = SinkSettings { journal_mode: wal, synchronous: normal, ..sink(SinkKind::SqliteAppend) };
    assert_eq!(sqlite.sink, Some(expected));
    let (url, off) = (Some("host=/run/pg user=b".to_owned()), Some("off".to_owned()));
    assert_eq!(
        postgres.sink,
        Some(SinkSettings { url, synchronous_commit: off, ..sink(SinkKind::PostgresUpsert) })
    );
}

#[test]
fn how_durable_a_sink_is_can_vary_and_cells_without_such_a_setting_are_skipped() {
    let text = "[consumer]\n[sink]\njournal-mode = \"delete\"\n[matrix]\nsink = [\"none\", \"sqlite-append\"]\n\
                synchronous = [\"off\", \"full\"]\n";
    let delete = Some("delete".to_owned());
    let with = |word: &str| SinkSettings {
        journal_mode: delete.clone(),
        synchronous: Some(word.to_owned()),
        ..sink(SinkKind::SqliteAppend)
    };
    let sinks: Vec<_> = groups(text).into_iter().map(|group| group.sink).collect();
    assert_eq!(sinks, [Some(with("off")), Some(with("full"))]);
    assert_eq!(
        skipped(text),
        [
            "sink=none, synchronous=off: sink=none has no synchronous",
            "sink=none, synchronous=full: sink=none has no synchronous"
        ]
    );
    let of_the_other = "[consumer]\nsink = \"sqlite-append\"\n[matrix]\nsynchronous-commit = [\"off\"]\n";
    assert!(
        told(of_the_other).iter().any(|line| line.contains("sink=sqlite-append has no synchronous-commit"))
    );
    let overruled = "[consumer]\nsink = \"sqlite-append\"\n[sink]\njournal-mode = \"wal\"\n[matrix]\njournal-mode = [\"wal\", \"persist\"]\n";
    assert!(told(overruled).iter().any(|line| line.starts_with("no cell has this journal-mode")));
}

#[test]
fn a_sink_that_cannot_be_is_skipped_with_the_reason_or_shown_in_place() {
    let matrix =
        "[consumer]\n[matrix]\nsink = [\"none\", \"sqlite-append\"]\ncommit = [\"in-sink\", \"sync-each\"]\n";
    assert_eq!(
        skipped(matrix),
        [
            "commit=in-sink, sink=none: commit=in-sink keeps offsets in the sink's transaction, and sink=none has none",
            "commit=sync-each, sink=sqlite-append: sink=sqlite-append writes a batch as a whole, so commit=sync-each has no record of its own to commit: use sync-after with batch=1",
        ]
    );
    let server = "[consumer]\n[matrix]\nsink = [\"none\", \"postgres-append\"]\n";
    assert_eq!(
        skipped(server),
        ["sink=postgres-append: sink=postgres-append needs a server: write url in [sink]"]
    );
    for (wrong, said) in [
        ("[sink]\n", "a sink is of a consumer group"),
        (
            "[consumer]\nsink = \"mysql\"\n",
            "sink: \"mysql\" is no sink | write one of \"none\", \"sqlite-append\"",
        ),
        (
            "[consumer]\n[sink]\nsynchronus = \"full\"\n",
            "unknown key synchronus in sink | did you mean synchronous?",
        ),
        ("[consumer]\n[sink]\nsynchronous = \"on\"\n", "synchronous: \"on\" is no synchronous setting"),
        ("[consumer]\n[sink]\nurl = \"postgresql://a:b@c/d\"\n", "url: an address with a password"),
        ("[consumer]\n[sink]\nurl = \"mysql://c/d\"\n", "url: mysql://c/d is no address of PostgreSQL"),
    ] {
        assert!(told(wrong).iter().any(|line| line.starts_with(said)), "{wrong}: {:?}", told(wrong));
    }
}

#[test]
fn a_death_around_the_write_needs_a_sink_and_one_after_processing_needs_none() {
    let death = DEATH.replace("after-processing", "between-write-and-commit");
    let both = "[consumer]\n[matrix]\nsink = [\"none\", \"sqlite-append\"]\n";
    assert_eq!(
        skipped(&format!("{both}{death}")),
        ["sink=none: a death between-write-and-commit needs a sink that is written to, not sink=none"]
    );
    assert_eq!(
        skipped(&format!("{both}{DEATH}")),
        [
            "sink=sqlite-append: sink=sqlite-append completes a batch as a whole: a death after it is one between-write-and-commit, not after-processing"
        ]
    );
    assert_eq!(
        skipped(&format!("{both}{}", DEATH.replace("after-processing", "before-write"))),
        ["sink=none: a death before-write needs a sink that is written to, not sink=none"]
    );
    let [cell] = valid(&format!("[consumer]\nsink = \"sqlite-append\"\n{death}"))
        .combinations
        .try_into()
        .expect("one");
    assert_eq!(cell.deaths[0].point, Point::BetweenWriteAndCommit);
}

#[test]
fn a_member_with_a_sink_stands_still_outside_of_its_transactions_only() {
    let stop = |point: &str| format!("[[death]]\nrecord = 7\npoint = \"{point}\"\nend = \"stop\"\n");
    let sink = "[consumer]\nmembers = 2\nsink = \"sqlite-append\"\n";
    for point in ["after-poll", "before-write", "between-write-and-commit"] {
        let cells = valid(&format!("{sink}{}", stop(point))).combinations;
        assert_eq!(cells[0].deaths[0].end, End::Stop, "{point}");
    }
    let pipe = "[producer]\nidempotence = true\n[consumer]\nmembers = 2\nsink = \"topic\"\ncommit = \"transaction\"\n";
    let refused = told(&format!("{pipe}{}", stop("between-offsets-and-commit")));
    let why = "a death between-offsets-and-commit is a kill: an open transaction keeps its offsets from whoever takes over";
    assert!(refused.iter().any(|line| line.contains(why)), "{refused:?}");
}
