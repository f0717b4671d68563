//! What holds of every plan: blocks, ids, seeds, and ledgers with enough room.

use bench_model::ids::ProducerId;
use bench_model::plan::{self, Cell, PlanError};
use bench_model::profile::{Profile, parse};
use bench_model::schedule::{Placement, Schedule};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn profile(name: &str, rest: &str) -> Profile {
    let text = format!("name = \"{name}\"\nwhy = \"w\"\n{rest}");
    parse("p.toml", &text, &[], &()).unwrap_or_else(|errors| panic!("{:?}", miette::Report::new(errors)))
}

fn ids(cells: &[Cell]) -> Vec<&str> {
    cells.iter().map(|cell| cell.id.as_str()).collect()
}

/// Some values of some axes, as lines of a matrix.
fn matrix() -> impl Strategy<Value = String> {
    let axis = |key: &'static str, values: &'static [&'static str]| {
        proptest::sample::subsequence(values, 0..=values.len()).prop_map(move |values| {
            if values.is_empty() { String::new() } else { format!("{key} = [{}]\n", values.join(", ")) }
        })
    };
    let first = (axis("acks", &["0", "1", "\"all\""]), axis("retries", &["0", "3", "\"max\""]));
    let second = (axis("idempotence", &["true", "false"]), axis("linger", &["\"0 s\"", "\"500 us\""]));
    let third = (axis("rate", &["\"1.5k/s\"", "\"max\""]), axis("record-size", &["\"100 B\"", "\"1 KiB\""]));
    (first, second, third).prop_map(|((a, b), (c, d), (e, f))| [a, b, c, d, e, f].concat())
}

proptest! {
    #[test]
    fn every_block_holds_every_cell_once_and_every_id_is_fit_for_a_directory(
        matrix in matrix(), seed in 0..1000u64, repeats in 1..4u16, again: bool,
    ) {
        let head = format!("seed = {seed}\nrepeats = {repeats}\nagain = {again}\n");
        let text = format!("{head}[load]\nrate = \"1k/s\"\nduration = \"1 s\"\nwarmup = \"0 s\"\n[[include]]\nacks = 1\nmax-in-flight = 3\n[matrix]\n{matrix}");
        let profile = profile("p", &text);
        let plan = plan::build(std::slice::from_ref(&profile), &[]).unwrap();
        prop_assert_eq!(&plan, &plan::build(std::slice::from_ref(&profile), &[]).unwrap());
        let labels: BTreeSet<&str> = profile.combinations.iter().map(|cell| cell.label.as_str()).collect();
        prop_assert_eq!(labels.len(), profile.combinations.len());
        let body = labels.len() * usize::from(repeats);
        prop_assert_eq!(plan.cells.len(), body + usize::from(again));
        for (repeat, block) in plan.cells[..body].chunks(labels.len()).enumerate() {
            let here: BTreeSet<&str> = block.iter().map(|cell| cell.label.as_str()).collect();
            prop_assert_eq!(&here, &labels);
            prop_assert!(block.iter().all(|cell| usize::from(cell.repeat) == repeat && cell.seed == block[0].seed));
        }
        prop_assert_eq!(ids(&plan.cells).into_iter().collect::<BTreeSet<_>>().len(), plan.cells.len());
        let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        prop_assert!(plan.cells.iter().all(|cell| cell.id.chars().all(fit) && cell.id.len() <= 200));
        if again {
            let (first, last) = (&plan.cells[0], &plan.cells[body]);
            let same = Cell { id: first.id.clone(), again: false, ..last.clone() };
            prop_assert_eq!(first, &same);
        }
    }

    #[test]
    fn the_ledger_has_room_for_exactly_what_the_schedule_sends(
        rate in 1..5000u64, window_ms in 2000..4000u64, warmup_ms in 0..500u64, by_records: bool,
        producers in 1..5u16, partitions in 1..7u16, batch in 1..5000u32,
    ) {
        let length = if by_records { format!("records = {}", window_ms - 1999) } else { format!("duration = \"{window_ms} ms\"") };
        let text = format!(
            "[topic]\npartitions = {partitions}\n[producer]\nbatch-size = \"{batch} B\"\n[load]\nrate = \"{rate}/s\"\n\
             record-size = \"100 B\"\nwarmup = \"{warmup_ms} ms\"\nproducers = {producers}\n{length}\n"
        );
        let plan = plan::build(&[profile("p", &text)], &[]).unwrap();
        let cell = &plan.cells[0];
        let (mut all, mut largest) = (0, 0);
        for producer in (0..producers).map(ProducerId) {
            let mut schedule = Schedule::new(&cell.settings.load, cell.seed, producer);
            let mut placement = Placement::new(partitions, producer, batch, 100);
            let mut sent: BTreeMap<usize, u64> = BTreeMap::new();
            while schedule.peek().is_some() {
                *sent.entry(placement.peek().0).or_default() += 1;
                placement.advance(1);
                schedule.advance();
            }
            all += sent.values().sum::<u64>();
            largest = largest.max(sent.values().copied().max().unwrap_or(0));
        }
        prop_assert_eq!(all, cell.records());
        let room = cell.ledger_capacity();
        let spare = if by_records { 2 } else { 1 };
        prop_assert!(largest <= room && room <= largest.max(1) + spare, "{} of {}", largest, room);
    }
}

#[test]
fn the_order_depends_on_the_seed_alone_and_is_the_same_everywhere() {
    let order = |seed: u64| {
        let text = format!(
            "seed = {seed}\nrepeats = 2\n[load]\nrate = \"1k/s\"\n[matrix]\nacks = [0, 1, \"all\"]\n"
        );
        ids(&plan::build(&[profile("p", &text)], &[]).unwrap().cells).join(" ")
    };
    insta::assert_snapshot!([order(1), order(2)].join("\n"));
}

#[test]
fn only_keeps_order_and_a_pattern_that_matches_nothing_lists_the_cells() {
    let text = "repeats = 2\nagain = true\n[load]\nrate = \"1k/s\"\n[matrix]\nacks = [0, 1, \"all\"]\n";
    let profiles = [profile("a", text), profile("b", text)];
    let all = plan::build(&profiles, &[]).unwrap();
    let some = plan::build(&profiles, &["b.acks-1.*".into(), "acks=all".into()]).unwrap();
    let kept: Vec<&Cell> = all.cells.iter().filter(|cell| some.cells.contains(cell)).collect();
    let expected: Vec<&Cell> = some.cells.iter().filter(|cell| all.cells.contains(cell)).collect();
    assert_eq!(kept, expected);
    assert!(some.cells.iter().all(|cell| cell.label == "acks=all" || cell.id.starts_with("b.acks-1.")));
    let Err(PlanError::Unmatched { ids, .. }) = plan::build(&profiles, &["acks=2".into()]) else { panic!() };
    assert_eq!(ids.lines().count(), 12);
}

#[test]
fn profiles_that_cannot_share_a_cluster_or_a_name_are_refused() {
    let load = "[load]\nrate = \"1k/s\"\n";
    let (one, other) = (profile("a", load), profile("b", &format!("{load}[cluster]\nheap = \"1 GiB\"\n")));
    let refused = plan::build(&[one.clone(), other], &[]).unwrap_err();
    let expected = "profiles a and b ask for different clusters: heap 536870912 B and 1073741824 B";
    assert_eq!(refused.to_string(), expected);
    assert_eq!(plan::build(&[one.clone(), one], &[]).unwrap_err(), PlanError::SameName("a".into()));
    assert_eq!(plan::build(&[], &[]).unwrap_err(), PlanError::NoProfile);
}

#[test]
fn settings_are_shared_with_whom_they_do_not_reach() {
    let with = |name, rest: &str, setting: &str| {
        let cluster = format!("[cluster]\nsettings = {{ {setting} }}\n");
        profile(name, &format!("[load]\nrate = \"1k/s\"\n{rest}{cluster}"))
    };
    let (members, session) = ("[consumer]\nprotocol = \"consumer\"\n", "group.consumer.session.timeout.ms");
    let short = with("a", members, &format!("\"{session}\" = 6000"));
    let nobody = with("b", "", "");
    let classic = with("c", "[consumer]\n", "");
    let (open, other) = (with("d", members, ""), with("e", "", &format!("\"{session}\" = 7000")));
    let both = plan::build(&[nobody.clone(), classic.clone(), short.clone()], &[]).expect("one cluster");
    assert_eq!(both.cluster.settings[session], "6000");
    let refused = |profiles: &[&Profile]| {
        let profiles: Vec<Profile> = profiles.iter().map(|profile| (*profile).clone()).collect();
        plan::build(&profiles, &[]).expect_err("two clusters").to_string()
    };
    let expected = format!("profiles a and d ask for different clusters: {session} 6000 and left as it is");
    assert_eq!(refused(&[&nobody, &short, &open]), expected);
    assert!(refused(&[&short, &classic, &other]).contains("profiles a and e"));
    let threads = with("f", "", "\"num.io.threads\" = 3");
    let expected = "profiles b and f ask for different clusters: num.io.threads left as it is and 3";
    assert_eq!(refused(&[&nobody, &threads]), expected);
}

#[test]
fn a_plan_over_a_limit_is_refused_with_the_arithmetic() {
    let refused = |text: &str| plan::build(&[profile("p", text)], &[]).unwrap_err().to_string();
    let disk = refused("[load]\nrate = \"100k/s\"\nduration = \"10 min\"\nwarmup = \"0 s\"\n");
    assert!(disk.contains("60,000,000 records x 1024 B x 3 replicas + ledger"), "{disk}");
    let records = refused("[load]\nrate = \"1M/s\"\nduration = \"10 min\"\nwarmup = \"0 s\"\n");
    assert!(records.contains("1M/s x (0 s + 10 min) = 600,000,000 > 200,000,000"), "{records}");
    let cells = refused("repeats = 1000\n[load]\nrate = \"1/s\"\n[matrix]\nacks = [0, 1]\n");
    assert!(cells.contains("2000 cells"), "{cells}");
    let memory = refused("[cluster]\nheap = \"8 GiB\"\n[load]\nrate = \"1/s\"\n");
    assert!(memory.contains("3 brokers x (8 GiB heap"), "{memory}");
    assert!(memory.contains("the workers of p.base.r0: 2 workers x 64 MiB + 1 producers x"), "{memory}");
    let bursts = refused(
        "[load]\nbursts = [{ at = \"0 s\", records = 150000000 }, { at = \"9 s\", records = 60000000 }]\n",
    );
    assert!(bursts.contains("150,000,000 + 60,000,000 = 210,000,000"), "{bursts}");
}
