//! Golden reports of the made-up run, and what must hold in every one of them.

use super::fixture::{RUN, stored};
use super::*;
use std::fs;

fn rendered(provider: &str) -> (tempfile::TempDir, StoredRun) {
    let results = tempfile::tempdir().expect("a temporary directory");
    let run = stored(results.path(), provider);
    render(&run, &results.path().join(RUN)).expect("room for a report");
    (results, run)
}

fn read(results: &tempfile::TempDir, name: &str) -> String {
    fs::read_to_string(results.path().join(RUN).join(name)).expect("a rendered file")
}

#[test]
fn report_csv_terminal_and_summary_are_as_agreed() {
    let (results, run) = rendered("local");
    insta::assert_snapshot!("report.md", read(&results, "report.md"));
    insta::assert_snapshot!("cells.csv", read(&results, "cells.csv"));
    insta::assert_snapshot!("terminal", terminal(&run));
    let mut short = run.clone();
    short
        .cells
        .retain(|cell| ["quickstart.acks-0.r0", "l1.acks-1.r0"].contains(&cell.result.cell.id.as_str()));
    insta::assert_json_snapshot!("summary", summary(&short));
}

#[test]
fn every_chart_says_who_measured_and_what_it_shows() {
    for provider in ["local", "mock"] {
        let (results, run) = rendered(provider);
        let html = read(&results, "report.html");
        let mut charts = 0;
        for file in fs::read_dir(results.path().join(RUN).join("plots")).expect("plots") {
            let svg = fs::read_to_string(file.expect("a plot").path()).expect("a plot");
            assert!(svg.contains("<title>") && svg.contains("<desc>"));
            assert!(svg.contains("client: librdkafka 2.12.1"));
            assert_eq!(svg.contains("mock: not Kafka; no durability claim"), provider == "mock");
            assert!(html.contains(svg.trim()), "charts are inside of the page");
            charts += 1;
        }
        assert!(charts > 10);
        assert_eq!(html.matches("<figure>").count(), charts);
        assert_eq!(terminal(&run).contains("mock: not Kafka; no durability claim"), provider == "mock");
    }
}

#[test]
fn the_page_asks_nothing_of_the_network() {
    let (results, _) = rendered("local");
    let html = read(&results, "report.html").replace("http://www.w3.org/2000/svg", "");
    for foreign in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    assert!(html.contains("What &lt;durability&gt; costs &amp; buys."));
}

#[test]
fn cells_without_a_verdict_show_no_figures_and_generator_bound_cells_are_not_compared() {
    let (results, run) = rendered("local");
    for line in terminal(&run).lines().filter(|line| line.contains("acks=1, retries=0  ")) {
        assert!(!line.contains(" ms") && !line.contains(" of "), "{line}");
    }
    let chart = read(&results, "plots/latency-publish-quickstart.svg");
    assert!(!chart.contains("retries=0"), "void and generator-bound cells are not in a comparison");
    assert!(!chart.contains("acks=0"), "a hand-over shares no axis with publish latency");
    assert!(read(&results, "plots/latency-end-to-end-quickstart.svg").contains("acks=0"));
}

#[test]
fn a_zero_counts_only_where_a_control_fired() {
    let (_results, run) = rendered("local");
    let trials = durability::trials(&View::of(&run));
    let of = |name: &str| trials.iter().find(|trial| trial.setting.name() == name).expect("a setting");
    assert_eq!((of("acks=1, retries").lost, of("acks=1, retries").faults_with_loss), (1_000, 1));
    assert!(!of("acks=all, retries").is_untested());
    assert!(of("acks=all, idempotent").is_untested(), "its fault was not injected");

    let mut without_control = run.clone();
    without_control.cells.retain(|cell| cell.result.cell.id != "l1.acks-1.r0");
    let trials = durability::trials(&View::of(&without_control));
    assert!(trials.iter().all(durability::Trial::is_untested));
}

#[test]
fn changed_evidence_is_named() {
    let (results, _) = rendered("local");
    let file = results.path().join(RUN).join("cells/l1.acks-1.r0/latency.hlog");
    fs::write(&file, "something else").expect("a writable file");
    let run = crate::store::load(&results.path().join(RUN)).expect("still a run");
    render(&run, &results.path().join(RUN)).expect("room for a report");
    assert!(read(&results, "report.md").contains("- l1.acks-1.r0: latency.hlog"));
}
