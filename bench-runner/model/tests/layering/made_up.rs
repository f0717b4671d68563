//! Made-up sources that break each rule once, to prove that the rules can fail.

use super::*;

/// Asserts that a made-up file is refused with these words, or accepted when there are none.
#[track_caller]
fn judged(krate: Crate, file: &str, source: &str, expected: &str) {
    let wrong = judge(krate, Path::new(file), source).join("\n");
    assert!(
        if expected.is_empty() { wrong.is_empty() } else { wrong.contains(expected) },
        "{source}\n-> {wrong:?}"
    );
}

#[test]
fn an_import_that_goes_up_is_found_in_every_spelling() {
    let above = "`kafka` imports `run`, which is above it";
    for source in [
        "use crate::run::Outcome;",
        "use crate::{clock, run::Outcome};",
        "use crate::{clock::{self, Clock}, run as r};",
        "fn f() { crate::run::go(); }",
        "mod tests { use crate::run; }",
        "#[serde(with = \"crate::run::hex\")] struct S;",
        "fn f() -> &'static str { let c = '{'; \"}\"; crate::run::go() }",
        "use super::super::run;",
        "mod inner { use super::super::super::run; }",
        "type T = Vec<crate::run::Outcome>;",
    ] {
        judged(Crate::Program, "kafka/admin.rs", source, above);
    }
    judged(Crate::Program, "kafka/mod.rs", "use super::{clock, run};", above);
    judged(Crate::Model, "ids.rs", "use crate::verdict::Tally;", "which is above it");
    judged(Crate::Program, "kafka/mod.rs", "use super::*;", "name the room");
    judged(Crate::Program, "kafka/mod.rs", "use crate as c;", "name the room");
    judged(Crate::Program, "kafka/mod.rs", "use crate::nowhere::X;", "is no room");
    judged(Crate::Program, "attic/mod.rs", "", "not in the list");
}

#[test]
fn imports_that_go_down_or_stay_are_accepted() {
    for source in [
        "pub(crate) fn f() {}",
        "use super::Handle; use crate::clock::now_ns; use crate::{store, kafka::admin};",
        "// use crate::run;\n/* crate::run /* nested */ crate::cli */ fn f() { \"crate run\"; r#\"use crate::run\"#; }",
        "mod tests { use super::*; use super::super::Handle; }",
        "fn run() {} fn f() { run(); self.run(); other::run::go(); }",
        "impl<'a> X<'a> { fn f(c: char) -> bool { c == '\\'' || c == '\"' } }",
    ] {
        judged(Crate::Program, "kafka/admin.rs", source, "");
    }
    judged(Crate::Program, "main.rs", "use crate::cli;", "");
}

#[test]
fn a_door_opened_in_the_wrong_room_is_found() {
    let program = |file, source, expected| judged(Crate::Program, file, source, expected);
    program("run/mod.rs", "use rdkafka::ClientConfig;", "`rdkafka` is named only in kafka");
    program("worker/mod.rs", "fn f() { rdkafka_sys::rd_kafka_version(); }", "named only in kafka");
    program("kafka/mod.rs", "use rdkafka::ClientConfig;", "");
    program("run/mod.rs", "use std::process::{self, Command};", "named only in cluster and supervisor");
    program("injector.rs", "use libc::{SIGSTOP, kill};", "`libc::kill` is named only in");
    program("cli/run.rs", "fn f() { tokio::process::Command::new(\"x\"); }", "named only in");
    program("cluster/local.rs", "use tokio::process::Command; fn f() { unsafe { libc::kill(1, 9) }; }", "");
    program("run/mod.rs", "use std::process::ExitCode; fn f() { Command::Start; process::id(); }", "");
    program("report/mod.rs", "use crate::kafka;", "`report` may not import `kafka`");
    program("report/mod.rs", "use crate::run;", "`report` may not import `run`");
    program("report/mod.rs", "use crate::store::Run;", "");
    program("worker/mod.rs", "use crate::cluster;", "`worker` may not import `cluster`");
    program("worker/mod.rs", "use crate::{clock, kafka};", "");
}

#[test]
fn a_model_that_touches_the_world_is_found() {
    for source in [
        "use std::fs;",
        "use std::{collections::BTreeMap, fs::File};",
        "fn f() { std::time::Instant::now(); }",
        "use std::time::{Duration, SystemTime};",
        "use tokio::time;",
        "use rdkafka::Message;",
        "fn f() { std::process::exit(1) }",
        "use std::net::TcpStream;",
    ] {
        judged(Crate::Model, "verdict/mod.rs", source, "the model is pure");
    }
    judged(Crate::Model, "verdict/mod.rs", "use std::time::Duration; use crate::ledger::Entry;", "");
}

#[test]
fn a_file_of_the_wrong_shape_is_found() {
    let shape = |file: &str, source: &str| judge_shape(Path::new(file), source).join("\n");
    assert!(shape("src/clock.rs", "use std::time;").contains("starts without"));
    assert!(shape("src/clock.rs", &format!("//! Time.\n{}", "\n".repeat(MAX_LINES))).contains("501 lines"));
    assert!(shape("src/kafka/utils.rs", "//! Things.").contains("`utils` says nothing"));
    assert!(shape("src/common/mod.rs", "//! Things.").contains("`common` says nothing"));
    assert!(shape("src/clock.rs", "//! Time.\nmod helpers { }").contains("`mod helpers` says nothing"));
    assert_eq!(shape("src/clock.rs", "//! Time.\n// mod helpers\nfn f() { core::mem::drop(1) }"), "");
    assert_eq!(
        declared("//! x\nmod clock;\n// mod gone;\npub mod store;\nmod tests { }"),
        ["clock", "store"]
    );
}
