//! The profiles that ship: valid, within limits, and what they promise to be.

use bench_model::fault::{Action, Target, When};
use bench_model::plan::{self, Cell, Plan};
use bench_model::profile::{self, Profile};
use bench_model::settings::{Acks, Arrival};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../profiles")
}

fn shipped(name: &str) -> Profile {
    let text = std::fs::read_to_string(folder().join(format!("{name}.toml"))).expect("the profile ships");
    profile::parse(name, &text, &[], &()).unwrap_or_else(|errors| panic!("{:?}", miette::Report::new(errors)))
}

fn plan_of(names: &[&str]) -> Plan {
    let profiles: Vec<Profile> = names.iter().map(|name| shipped(name)).collect();
    plan::build(&profiles, &[]).expect("within limits")
}

#[test]
fn every_file_in_the_folder_is_valid_and_within_limits() {
    let mut seen = 0;
    for entry in [folder(), folder().join("recipes")].iter().flat_map(|dir| std::fs::read_dir(dir).unwrap()) {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let name = path.strip_prefix(folder()).unwrap().with_extension("");
            let name = name.to_str().unwrap();
            assert!(!plan_of(&[name]).cells.is_empty(), "{name}");
            assert_eq!(shipped(name).name, path.file_stem().unwrap().to_str().unwrap());
            seen += 1;
        }
    }
    assert!(seen >= 6, "only {seen} profiles found");
}

#[test]
fn all_recipes_fit_into_one_run_on_one_cluster() {
    let files = std::fs::read_dir(folder().join("recipes")).expect("recipes");
    let mut names: Vec<String> = files
        .map(|entry| format!("recipes/{}", entry.expect("a file").file_name().to_string_lossy()))
        .map(|name| name.trim_end_matches(".toml").to_owned())
        .collect();
    names.sort();
    let plan = plan_of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(plan.cells.iter().any(Cell::is_proxied) && !plan.cells.iter().all(Cell::is_proxied));
    assert_eq!(plan.cells.iter().map(|cell| &*cell.profile).collect::<BTreeSet<_>>().len(), names.len());
}

#[test]
fn every_way_to_acknowledge_meets_every_fault() {
    let plan = plan_of(&["faults"]);
    let mut met: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for cell in &plan.cells {
        let producer = &cell.settings.producer;
        let kind = format!("{:?} {} {}", producer.acks, producer.idempotence, producer.transaction.is_some());
        met.entry(&cell.axes["fault"]).or_default().insert(kind);
    }
    assert_eq!(met.len(), 8, "{met:?}");
    assert_eq!(met["none"].len(), 5);
    for (fault, kinds) in &met {
        // With acks=0 there is no answer to lose.
        let all = met["none"].iter().filter(|kind| *fault != "response-lost" || !kind.starts_with("Zero"));
        assert!(kinds.iter().eq(all), "{fault}: {kinds:?}");
    }
}

#[test]
fn quickstart_is_six_steps_of_15_s_the_first_one_twice_and_fits_with_l1_into_one_short_run() {
    let profile = shipped("quickstart");
    let mut labels: Vec<&str> = profile.combinations.iter().map(|cell| cell.label.as_str()).collect();
    labels.sort_unstable();
    let expected = [
        "acks=0",
        "acks=1",
        "acks=1, retries=0",
        "acks=all",
        "acks=all, idempotence=true",
        "acks=all, retries=0",
    ];
    assert_eq!(labels, expected);
    assert!(plan_of(&["quickstart"]).estimate.cells_ns <= 154_000_000_000);
    let both = plan_of(&["quickstart", "recipes/l1"]);
    assert_eq!(both.cells.len(), 10);
    assert!(both.cells[..7].iter().all(|cell| cell.profile == "quickstart"));
    assert!(both.estimate.duration_ns < 270_000_000_000, "{:?}", both.estimate);
}

#[test]
fn l1_stops_the_followers_long_enough_before_the_burst() {
    let profile = shipped("recipes/l1");
    let steps: Vec<_> =
        profile.combinations[0].faults.iter().map(|step| (step.when, step.action, step.target)).collect();
    let ms = 1_000_000;
    let expected = [
        (When::At(1_200 * ms), Action::Stop, Target::Followers),
        (When::At(2_900 * ms), Action::Kill, Target::Leader),
        (When::At(2_900 * ms), Action::Continue, Target::Followers),
        (When::NewLeader, Action::Start, Target::Leader),
    ];
    assert_eq!(steps, expected);
    for cell in &profile.combinations {
        let Arrival::Bursts(bursts) = &cell.settings.load.arrival else { panic!("{cell:?}") };
        assert!(bursts[1].at_ns >= (1_200 + 600) * ms && bursts[1].at_ns < 2_900 * ms);
        assert_eq!(bursts[1].records, 1_000);
        assert_eq!(cell.settings.topic.partitions, 1);
        let lost = if cell.settings.producer.acks == Acks::One { 1_000 } else { 0 };
        assert_eq!(cell.expect["log_loss"], lost);
    }
}

#[test]
fn the_ladder_lists_what_cannot_be() {
    let plan = plan_of(&["durability-ladder"]);
    assert_eq!(plan.skipped.len(), 8);
    assert!(plan.skipped.iter().all(|skipped| skipped.reason.starts_with("idempotence needs acks=all")));
    assert_eq!(plan.cells.len(), 16 * 3 + 1);
    let (first, last) = (&plan.cells[0], &plan.cells[48]);
    assert!(last.again && last.label == first.label && last.seed == first.seed);
    assert!(last.id.ends_with(".again"));
}

#[test]
fn the_examples_of_the_readme_are_valid_and_the_first_shows_every_key() {
    let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let blocks: Vec<&str> =
        readme.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let example = profile::parse("README.md", blocks[0], &[], &());
    let example = example.unwrap_or_else(|errors| panic!("{:?}", miette::Report::new(errors)));
    assert_eq!(example.combinations.len(), 4);
    let bursts = format!("name = \"b\"\nwhy = \"w\"\n{}", blocks[1]);
    assert!(profile::parse("README.md", &bursts, &[], &()).is_ok());
    // An unknown key makes the reader list what it knows: all of that must be in the example or the text around it.
    for section in ["", "cluster.", "topic.", "load.", "producer.", "consumer.", "matrix."] {
        let errors =
            profile::parse("README.md", blocks[0], &[format!("{section}qqqqqqqqqqqq=1")], &()).unwrap_err();
        let known = errors.problems()[0].help().strip_prefix("known keys: ").expect("a list of keys");
        for key in known.split(", ") {
            assert!(readme.contains(key), "{section}{key} is not documented");
        }
    }
}
