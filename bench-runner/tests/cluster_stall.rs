//! The known answer of a stall, through the real binary on a real local cluster. It measures, so nothing runs beside it.
//! Needs Java 17 (and Maven once).

mod runs;

use bench_model::latency::Set;
use runs::{cells, code, has_caveat, manifests, run};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

/// A percentile in milliseconds, exact or a bound.
fn percentile_ms(cell: &Value, latency: &str, percentile: &str) -> f64 {
    let value = &cell["latencies"][latency]["percentiles"][percentile];
    value.as_object().and_then(|value| value.values().next()).and_then(Value::as_f64).expect("a value") / 1e6
}

/// p98.9 of the measured window of a stall in milliseconds, from the stored histograms.
fn p989_ms(place: &Path, cell: &Value, latency: &str) -> f64 {
    const NINES: f64 = 1.96;
    let (run, id) = (cell["run"].as_str().expect("a run"), cell["cell"]["id"].as_str().expect("an id"));
    let path = place.join(run).join("cells").join(id).join("latency.hlog");
    let text = std::fs::read_to_string(path).expect("histograms");
    let series = Set::from_text(&text).expect("a latency log");
    let curve = series.get(latency).expect("a series").curve(2..23);
    curve.iter().find(|point| point.nines >= NINES).expect("enough records").value_ns as f64 / 1e6
}

/// How late the generator says that it was by itself (p99); 0: not worth a caveat.
fn own_lateness_ms(cell: &Value) -> f64 {
    let mut caveats = cell["caveats"].as_array().expect("caveats").iter();
    let Some(caveat) = caveats.find(|caveat| caveat["kind"] == "generator-bound") else { return 0.0 };
    let what = caveat["what"].as_str().expect("words");
    what.split(' ').find_map(|word| word.parse().ok()).expect(what)
}

#[test]
fn a_stall_of_two_seconds_is_reported_as_arithmetic_says_also_behind_a_full_queue() {
    // A broker let go answers some 10 ms later where idle cores are kept awake, up to 40 where they sleep, and other work on
    // the machine moves the last percentiles by as much: the bands of arithmetic leave it 30. A clock at the actual send, or one that skips what was not sent in
    // time, is wrong by more than a second every time, which no further try excuses.
    const ROUNDS: usize = 3;
    let mut left =
        vec!["tests/stall/roomy.toml", "tests/stall/small-queue.toml", "tests/stall/replicated.toml"];
    let mut told = String::new();
    for round in 1..=ROUNDS {
        let place = tempfile::tempdir().expect("a directory");
        code(&run(place.path(), &left, &[]).output().expect("the binary runs"));
        quick(place.path());
        for cell in &cells(place.path()) {
            let (lines, fits) = stall(place.path(), cell);
            let id = cell["cell"]["id"].as_str().expect("an id");
            let verdict = if fits { "fits" } else { "does not fit" };
            writeln!(told, "known answer of a stall, {id}, round {round}: {verdict}\n{lines}")
                .expect("a string");
            left.retain(|profile| !(fits && profile.ends_with(&cell_file(cell))));
        }
        if left.is_empty() {
            break;
        }
    }
    // Written past the test program, which keeps what a good test prints: how often the first try fits is a figure too.
    std::io::stderr().write_all(told.as_bytes()).expect("standard error");
    assert!(left.is_empty(), "{told}");
}

/// What the quickstart promises of a prepared machine: a cluster within 20 s, and 3 s a cell beyond warm-up and window. The
/// best of each is held, for others may use the machine as well.
fn quick(place: &Path) {
    let starts = manifests(place).into_iter().map(|it| it["cluster"]["start_s"].as_f64().expect("seconds"));
    let start_s = starts.fold(f64::MAX, f64::min);
    assert!(start_s <= 20.0, "the cluster took {start_s} s to start");
    let beyond = |cell: &Value| {
        let stages = cell["stages_ns"].as_object().expect("stages").values();
        let spent: u64 = stages.map(|ns| ns.as_u64().expect("an integer")).sum();
        let load = cell["cell"]["settings"]["load"]["warmup_ns"].as_u64().expect("an integer");
        spent - load - cell["window_ns"].as_u64().expect("an integer")
    };
    let beyond_ns = cells(place).iter().map(beyond).min().expect("a cell");
    assert!(beyond_ns <= 3_000_000_000, "a cell took {beyond_ns} ns beyond warm-up and window");
}

/// The file of a cell's profile, `stall-NAME`.
fn cell_file(cell: &Value) -> String {
    let name = cell["cell"]["profile"].as_str().and_then(|name| name.strip_prefix("stall-"));
    format!("/{}.toml", name.expect("a stall"))
}

/// What a cell says of its stall, and whether that is what arithmetic says.
fn stall(place: &Path, cell: &Value) -> (String, bool) {
    assert_eq!(cell["outcome"], "finished");
    let small = cell["cell"]["profile"] == "stall-small-queue";
    let mut lines = String::new();
    let mut fits = true;
    for latency in ["publish", "end_to_end"] {
        let p99 = percentile_ms(cell, latency, "99");
        let p999 = percentile_ms(cell, latency, "99.9");
        let max = cell["latencies"][latency]["max_ns"].as_f64().expect("a maximum") / 1e6;
        writeln!(lines, "  {latency}: p99 {p99}, p99.9 {p999}, maximum {max} ms").expect("a string");
        let gross = !(1600.0..=2600.0).contains(&p99) || p999 < 1900.0 || max < 1950.0;
        assert!(!gross, "no noise of the machine explains this: {lines}");
        fits &= (1780.0..=1890.0).contains(&p99) && (1960.0..=2010.0).contains(&p999) && max >= 1990.0;
    }
    // 1 MiB of 1 KiB records are 1.02 % of the window: p99 just still sees those that waited in the queue, p98.9 does not.
    let [publish, service] = ["publish", "service"].map(|latency| p989_ms(place, cell, latency));
    writeln!(lines, "  p98.9: {publish} ms from the intended instant, {service} ms from the actual send")
        .expect("a string");
    fits &= publish > 1700.0 && (service < 100.0) == small;
    // A full queue is the cluster speaking, not the generator. A busy machine's few milliseconds are seen in the other cell, too.
    let own_ms = own_lateness_ms(cell);
    fits &= has_caveat(cell, "backpressured") == small && own_ms <= if small { 0.0 } else { 10.0 };
    writeln!(lines, "  {}", cell["caveats"]).expect("a string");
    (lines, fits)
}
