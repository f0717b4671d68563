//! Holds the order of the rooms and their borders: an import that goes up, or a door opened in the wrong room, fails.
//!
//! Of both crates, and here, where it is soon built. Reads sources as text (comments and strings taken out) and runs nothing. `layering/made_up.rs` proves
//! that each rule can fail.

use source::{Mention, mentions, tokens};
use std::path::{Path, PathBuf};

#[path = "layering/made_up.rs"]
mod made_up;
#[path = "layering/source.rs"]
mod source;

/// The program's rooms, from the ground floor up. `main` stands above them all.
const PROGRAM: &[&str] = &[
    "clock",
    "store",
    "kafka",
    "sink",
    "proxy",
    "cluster",
    "worker",
    "supervisor",
    "injector",
    "run",
    "report",
    "cli",
];

/// The model's rooms, from the ground floor up.
const MODEL: &[&str] = &[
    "ids",
    "outage",
    "settings",
    "fault",
    "profile",
    "plan",
    "schedule",
    "service",
    "message",
    "ledger",
    "transactions",
    "reading",
    "processing",
    "effects",
    "segment",
    "latency",
    "visibility",
    "wire",
    "verdict",
    "result",
    "expectation",
    "assess",
];

/// Rooms that may import less than everything below them.
const NARROW: &[(&str, &[&str])] =
    &[("report", &["store"]), ("worker", &["clock", "store", "kafka", "sink"])];

/// A path, and the rooms of the program that may name it.
const DOORS: &[(&[&str], &[&str])] = &[
    (&["rdkafka"], &["kafka"]),
    (&["rdkafka_sys"], &["kafka"]),
    (&["rusqlite"], &["sink"]),
    (&["postgres"], &["sink"]),
    (&["kafka_protocol"], &["proxy"]),
    (&["process", "Command"], &["cluster", "supervisor"]),
    (&["Command", "new"], &["cluster", "supervisor"]),
    (&["CommandExt"], &["cluster", "supervisor"]),
    (&["libc", "fork"], &["cluster", "supervisor"]),
    (&["libc", "kill"], &["cluster", "supervisor"]),
    (&["libc", "killpg"], &["cluster", "supervisor"]),
    (&["libc", "SYS_pidfd_send_signal"], &["cluster", "supervisor"]),
    (&["libc", "unshare"], &["cluster"]),
    (&["libc", "mount"], &["cluster"]),
    (&["libc", "umount2"], &["cluster"]),
];

/// What the model may not name: it takes values and returns values.
const IMPURE: &[&[&str]] = &[
    &["rdkafka"],
    &["rdkafka_sys"],
    &["tokio"],
    &["libc"],
    &["memmap2"],
    &["std", "fs"],
    &["std", "net"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "env"],
    &["Instant"],
    &["SystemTime"],
];

/// Names that say nothing about what is inside.
const VAGUE: &[&str] =
    &["util", "utils", "common", "helper", "helpers", "manager", "core", "types", "config", "misc"];

const MAX_LINES: usize = 500;

#[derive(Clone, Copy, PartialEq)]
enum Crate {
    Program,
    Model,
}

impl Crate {
    fn rooms(self) -> &'static [&'static str] {
        match self {
            Crate::Program => PROGRAM,
            Crate::Model => MODEL,
        }
    }
}

/// The modules that a file stands for: `kafka/admin.rs` is `kafka::admin`, `kafka/mod.rs` is `kafka`.
fn module_of(file: &Path) -> Vec<String> {
    let mut path: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|last| ["mod", "main", "lib"].contains(&last.as_str())) {
        path.pop();
    }
    path
}

/// The room that a path leads to, when it leads into this crate; an error when it hides which.
fn target(mention: &Mention, module: &[String]) -> Option<Result<String, String>> {
    let first = mention.path[0].as_str();
    let supers = mention.path.iter().take_while(|part| *part == "super").count();
    let (base, rest) = match first {
        "crate" => (0, &mention.path[1..]),
        "super" => ((module.len() + mention.inline).saturating_sub(supers), &mention.path[supers..]),
        _ => return None,
    };
    if base > 0 {
        return Some(Ok(module[0].clone()));
    }
    match rest.first().map(String::as_str) {
        None | Some("*") | Some("self") => Some(Err("names the crate's root: name the room".into())),
        Some(room) => Some(Ok(room.to_owned())),
    }
}

/// What is wrong with the imports and borders of one source file, `file` relative to the crate's `src`.
fn judge(krate: Crate, file: &Path, source: &str) -> Vec<String> {
    let module = module_of(file);
    let Some(room) = module.first() else { return Vec::new() };
    let order = |name: &str| krate.rooms().iter().position(|known| *known == name);
    let mut wrong = Vec::new();
    if order(room).is_none() {
        return vec![format!("{}: room `{room}` is not in the list of this test", file.display())];
    }
    for mention in mentions(source) {
        let mut say = |what: String| wrong.push(format!("{}:{}: {what}", file.display(), mention.line));
        match target(&mention, &module) {
            Some(Err(what)) => say(what),
            Some(Ok(other)) if other != *room => match order(&other) {
                None => say(format!("`{other}` is no room")),
                Some(place) if Some(place) > order(room) => {
                    say(format!("`{room}` imports `{other}`, which is above it"))
                }
                _ => {
                    let narrow = NARROW.iter().find(|(name, _)| krate == Crate::Program && name == room);
                    if narrow.is_some_and(|(_, may)| !may.contains(&other.as_str())) {
                        say(format!("`{room}` may not import `{other}`"));
                    }
                }
            },
            _ => {}
        }
        let names = |door: &[&str]| mention.path.windows(door.len()).any(|part| part == door);
        match krate {
            Crate::Model => {
                for door in IMPURE.iter().filter(|door| names(door)) {
                    say(format!("the model is pure and may not name `{}`", door.join("::")));
                }
            }
            Crate::Program => {
                for (door, may) in
                    DOORS.iter().filter(|(door, may)| names(door) && !may.contains(&room.as_str()))
                {
                    say(format!("`{}` is named only in {}", door.join("::"), may.join(" and ")));
                }
            }
        }
    }
    wrong
}

/// What is wrong with the shape of any source file: opening, length, names.
fn judge_shape(file: &Path, source: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if !source.starts_with("//! ") {
        wrong.push(format!("{}: starts without `//!`, its purpose", file.display()));
    }
    let lines = source.lines().count();
    if lines > MAX_LINES {
        wrong.push(format!("{}: {lines} lines, more than {MAX_LINES}", file.display()));
    }
    for part in file.with_extension("").iter().filter_map(|part| part.to_str()) {
        if VAGUE.contains(&part) {
            wrong.push(format!("{}: `{part}` says nothing about what is inside", file.display()));
        }
    }
    let all = tokens(source);
    for pair in all.windows(2).filter(|pair| pair[0].0 == "mod" && VAGUE.contains(&pair[1].0.as_str())) {
        wrong.push(format!("{}:{}: `mod {}` says nothing", file.display(), pair[1].1, pair[1].0));
    }
    wrong
}

/// The rooms that a root file declares, in its order.
fn declared(source: &str) -> Vec<String> {
    let all = tokens(source);
    let is_room = |triple: &&[(String, usize)]| triple[0].0 == "mod" && triple[2].0 == ";";
    all.windows(3).filter(is_room).map(|triple| triple[1].0.clone()).collect()
}

/// Every Rust source below a directory, as (path relative to it, text).
fn sources(root: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten() {
            let path = entry.expect("directory entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("source");
                found.push((path.strip_prefix(root).expect("below its root").to_path_buf(), text));
            }
        }
    }
    found.sort();
    found
}

/// The directory of both crates.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the model lies in it").to_path_buf()
}

fn assert_clean(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn the_program_imports_only_downwards_and_through_its_doors() {
    let files = sources(&root().join("src"));
    assert!(files.len() > PROGRAM.len(), "found only {} sources", files.len());
    assert_clean(files.iter().flat_map(|(file, text)| judge(Crate::Program, file, text)).collect());
}

#[test]
fn the_model_imports_only_downwards_and_is_pure() {
    let files = sources(&root().join("model/src"));
    assert!(files.len() > MODEL.len(), "found only {} sources", files.len());
    assert_clean(files.iter().flat_map(|(file, text)| judge(Crate::Model, file, text)).collect());
}

#[test]
fn the_rooms_are_declared_in_the_order_of_this_test() {
    for (file, rooms) in [("src/main.rs", PROGRAM), ("model/src/lib.rs", MODEL)] {
        let text = std::fs::read_to_string(root().join(file)).expect("root file");
        assert_eq!(declared(&text), rooms, "{file}");
    }
}

#[test]
fn every_source_says_its_purpose_and_stays_small() {
    let files = sources(&root());
    assert_clean(files.iter().flat_map(|(file, text)| judge_shape(file, text)).collect());
}

#[test]
fn the_models_manifest_names_no_impure_crate() {
    let manifest = std::fs::read_to_string(root().join("model/Cargo.toml")).expect("manifest");
    let dependencies = manifest.split("[dependencies]").nth(1).and_then(|rest| rest.split("\n[").next());
    for line in dependencies.expect("a list of dependencies").lines() {
        let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
        assert!(!["rdkafka", "rdkafka-sys", "tokio", "libc", "memmap2"].contains(&name), "{line}");
    }
}
