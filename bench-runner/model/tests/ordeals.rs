//! What profiles do to workers: deaths of producers, stops, kills and joins; what is read, refused or skipped, and what a
//! plan makes of them.

use bench_model::fault::{Death, End, Join, Kill, KillAsk, Point, Victim};
use bench_model::plan::{self, Cell};
use bench_model::profile::{Profile, ProfileErrors, parse};
use miette::{GraphicalReportHandler, GraphicalTheme};
use proptest::prelude::*;

const HEAD: &str = "name = \"p\"\nwhy = \"w\"\n[load]\nrate = \"100/s\"\nwarmup = \"0 s\"\nduration = \"10 s\"\nproducers = 2\n";
const GROUP: &str = "[consumer]\nmembers = 2\n";
const STOP: &str = "[[death]]\nrecord = 7\npoint = \"after-processing\"\nend = \"stop\"\n";
const SEND: &str = "[[death]]\nworker = \"producer\"\nrecord = 500\npoint = \"after-send\"\nend = \"kill\"\n";
const KILLS: &str = "[[kill]]\nworker = \"producer\"\nat = \"random\"\ntimes = 20\nresend = true\n";
const JOIN: &str = "[[join]]\nafter = 400\n";

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

fn cells(rest: &str) -> Vec<Cell> {
    plan::build(&[valid(rest)], &[]).expect("within limits").cells
}

fn said(cell: &Cell, wanted: &str) -> Option<String> {
    cell.effective().into_iter().find(|(key, _)| key == wanted).map(|(_, text)| text)
}

#[test]
fn wrong_ordeals_are_shown_in_place() {
    let text = format!("{HEAD}{}", include_str!("wrong_ordeals.toml"));
    insta::assert_snapshot!(rendered(&parse("p.toml", &text, &[], &()).expect_err("wrong")));
}

#[test]
fn producers_die_and_members_stop_where_the_profile_says() {
    let [cell] = cells(&format!("{GROUP}{STOP}{SEND}resend = true\n")).try_into().expect("one cell");
    let stop = Death {
        worker: Victim::Member,
        record: 7,
        point: Point::AfterProcessing,
        end: End::Stop,
        restart: false,
        continue_after_ns: None,
        resend: false,
    };
    let send = Death {
        worker: Victim::Producer,
        record: 500,
        point: Point::AfterSend,
        end: End::Kill,
        restart: true,
        resend: true,
        ..stop
    };
    assert_eq!(cell.deaths, [stop, send]);
    let expected = "stop member 0 after-processing of record 7 (continued when another one has taken over), \
                    kill producer 0 after-send of record 500 (restart, resend)";
    assert_eq!(said(&cell, "death").as_deref(), Some(expected));
    let later = cells(&format!("{GROUP}{STOP}continue-after = \"50 s\"\n")).remove(0);
    assert_eq!(later.deaths[0].continue_after_ns, Some(50_000_000_000));
    // A producer needs no group.
    assert_eq!(cells(SEND)[0].deaths, [Death { resend: false, ..send }]);
    let never = told(&SEND.replace("500", "501"));
    assert!(
        never[0].starts_with("record 501 never comes: producer 0 of cell \"base\" sends 500"),
        "{never:?}"
    );
}

#[test]
fn random_kills_are_drawn_from_seed_and_repeat_within_the_load() {
    let text = format!("{GROUP}[[kill]]\nworker = \"member\"\nat = \"2 s\"\n{KILLS}");
    let ask = KillAsk { worker: Victim::Producer, at_ns: None, times: 20, resend: true };
    assert_eq!(valid(&text).combinations[0].kills[1], ask);
    let plan = |seed: u64| {
        let profile = parse("p.toml", &format!("repeats = 2\nseed = {seed}\n{HEAD}{text}"), &[], &());
        plan::build(&[profile.expect("valid")], &[]).expect("within limits").cells
    };
    let [first, second] = plan(1).try_into().expect("two repeats");
    assert_eq!(first.kills, plan(1)[0].kills);
    assert_ne!(first.kills, second.kills);
    assert_ne!(first.kills, plan(2)[0].kills);
    assert_eq!(first.kills.len(), 21);
    assert!(first.kills.is_sorted_by_key(|kill| kill.at_ns));
    assert!(first.kills.iter().all(|kill| kill.at_ns < 10_000_000_000 && kill.index < 2));
    for producer in [0, 1] {
        let hit = |kill: &&Kill| (kill.worker, kill.index) == (Victim::Producer, producer);
        assert!(first.kills.iter().any(|kill| hit(&kill)), "{:?}", first.kills);
    }
    let member = first.kills.iter().find(|kill| kill.worker == Victim::Member).expect("one");
    assert_eq!((member.at_ns, member.resend), (2_000_000_000, false));
    let text = said(&first, "kill").expect("kills");
    assert!(text.contains(&format!("kill member {} at 2000 ms, ", member.index)), "{text}");
    assert_eq!(text.matches(" ms (resend)").count(), 20);
}

#[test]
fn a_join_is_of_the_cells_that_it_names() {
    let text = "[consumer]\n[matrix]\ncommit = [\"none\", \"interval\"]\n[[join]]\ncells = { commit = \"none\" }\nafter = 400\n";
    let cells = cells(text);
    let find = |label: &str| cells.iter().find(|cell| cell.label == label).expect(label);
    assert_eq!(find("commit=none").joins, [Join { after: 400 }]);
    assert!(find("commit=interval").joins.is_empty());
    let said = said(find("commit=none"), "join");
    assert_eq!(said.as_deref(), Some("a member after member 0 has completed 400 records"));
}

#[test]
fn producers_with_transactions_die_and_stand_still_before_a_commit() {
    const TRANSACTIONS: &str = "[producer]\nidempotence = true\ntransaction = 20\n";
    let stop = SEND.replace("after-send", "before-commit").replace("kill", "stop");
    let [cell] = cells(&format!("{TRANSACTIONS}{stop}resend = true\n")).try_into().expect("one cell");
    let expected = Death {
        worker: Victim::Producer,
        record: 500,
        point: Point::BeforeCommit,
        end: End::Stop,
        restart: true,
        continue_after_ns: None,
        resend: true,
    };
    assert_eq!(cell.deaths, [expected]);
    let told =
        "stop producer 0 before-commit of record 500 (continued when another one has taken over, resend)";
    assert_eq!(said(&cell, "death").as_deref(), Some(told));
    let later = cells(&format!("{TRANSACTIONS}{stop}continue-after = \"4 s\"\n")).remove(0);
    assert_eq!(later.deaths[0], Death { continue_after_ns: Some(4_000_000_000), resend: false, ..expected });
    for dies in [SEND, &SEND.replace("after-send", "before-commit"), KILLS] {
        assert_eq!(cells(&format!("{TRANSACTIONS}{dies}")).len(), 1, "{dies}");
    }
    // A member's stop is its group's business, a producer's is not.
    assert_eq!(cells(&format!("{TRANSACTIONS}{GROUP}{stop}{JOIN}")).len(), 1);
    let without = told_of(&format!("[producer]\n{stop}"));
    assert!(without.contains("a death before-commit needs transactions, not transaction=none"), "{without}");
    let after_send = told_of(&format!("{TRANSACTIONS}{}", SEND.replace("kill", "stop")));
    assert!(after_send.contains("a producer ends by kill, or stands still before-commit"), "{after_send}");
    let member = told_of(&format!("{GROUP}{}", STOP.replace("after-processing", "before-commit")));
    assert!(member.contains("a member sends nothing"), "{member}");
}

fn told_of(rest: &str) -> String {
    told(rest).join("; ")
}

#[test]
fn ordeals_that_cannot_be_are_refused() {
    let refused = |rest: &str, expected: &str| {
        let told = told(rest);
        assert!(told.iter().any(|told| told.contains(expected)), "{rest}: {told:?}");
    };
    refused(JOIN, "a member is to join, and there is no group");
    refused(
        "[[kill]]\nworker = \"member\"\nat = \"random\"\n",
        "a member is to be killed, and there is no group",
    );
    refused(
        "[[kill]]\nworker = \"producer\"\nat = \"10 s\"\n",
        "10 s is too late: the load of cell \"base\" ends at 10 s",
    );
    refused(
        &format!("{GROUP}{}", JOIN.replace("400", "1001")),
        "record 1001 never comes: cell \"base\" sends 1000",
    );
    refused(&format!("[consumer]\n{STOP}"), "a death without restart needs members=2 or more");
    refused(
        &format!("{GROUP}{STOP}continue-after = \"45 s\"\n"),
        "continue-after must be longer than session-timeout",
    );
    refused(&format!("{GROUP}{STOP}{STOP}"), "nobody is left to die: the death above has no next life");
    refused(&format!("{GROUP}{STOP}{JOIN}"), "a stopped member and a join disturb each other");
    let member = KILLS.replace("producer", "member").replace("resend = true\n", "");
    refused(
        &format!("{GROUP}{STOP}{member}"),
        "a kill of members and a death or join of members disturb each other",
    );
    refused(
        &format!("{GROUP}{JOIN}{member}"),
        "a kill of members and a death or join of members disturb each other",
    );
    refused(
        &format!("{SEND}{KILLS}"),
        "a kill of producers and a death or join of producers disturb each other",
    );
    let unused = "[[kill]]\ncells = { acks = 0 }\nworker = \"producer\"\nat = \"random\"\n";
    refused(unused, "this kill matches no cell that can run");
    // Each kind of worker suffers its own.
    assert_eq!(cells(&format!("{GROUP}{STOP}{KILLS}"))[0].kills.len(), 20);

    let full = HEAD.replace("100/s", "max");
    for dies in [SEND, KILLS] {
        let errors = parse("p.toml", &format!("{full}{dies}"), &[], &()).expect_err("no cell");
        let told = rendered(&errors);
        assert!(told.contains("a producer that dies needs a rate"), "{told}");
    }
    let burst = "name = \"p\"\nwhy = \"w\"\n[load]\nbursts = [{ at = \"0 s\", records = 10 }]\n";
    let errors = parse("p.toml", &format!("{burst}{KILLS}"), &[], &()).expect_err("no instants");
    assert!(rendered(&errors).contains("are due at once"), "{}", rendered(&errors));
}

#[test]
fn later_lives_cost_time_and_disk() {
    let estimate = |rest: &str| plan::build(&[valid(rest)], &[]).expect("within limits").estimate;
    let second = 1_000_000_000;
    let session = "session-timeout = \"2 s\"\n";
    let without = estimate(&format!("{GROUP}{session}"));
    let cost = |rest: &str| {
        let with = estimate(&format!("{GROUP}{session}{rest}"));
        (with.cells_ns - without.cells_ns, with.disk_bytes - without.disk_bytes)
    };
    let journal = 64 * (4 * 1000 + 10_000);
    assert_eq!(cost(JOIN), (3 * second, journal));
    assert_eq!(cost(STOP).0, 5 * second);
    assert_eq!(cost(&format!("{STOP}continue-after = \"9 s\"\n")).0, 12 * second);
    assert_eq!(cost(SEND).0, second);
    assert_eq!(cost(KILLS).0, 20 * second);
    let member = KILLS.replace("producer", "member").replace("resend = true\n", "").replace("20", "3");
    assert_eq!(cost(&member), (15 * second, 3 * journal));
}

proptest! {
    #[test]
    fn whatever_is_written_of_ordeals_is_answered_without_a_panic(
        key in "worker|record|point|end|restart|resend|continue-after|at|times|after|cells",
        value in "[\\[\\]{}\"0-9a-z .=-]{0,16}",
        section in prop::sample::select(vec![STOP, SEND, KILLS, JOIN]),
    ) {
        let _ = parse("p.toml", &format!("{HEAD}{GROUP}{section}{key} = {value}\n"), &[], &());
    }
}
