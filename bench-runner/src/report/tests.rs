//! Golden reports of the made-up run, and what must hold in every one of them.

use super::fixture::{RUN, stored};
use super::*;
use bench_model::result::{Caveat, CellResult, Outcome};
use bench_model::verdict::{Promise, Weight};
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
    for line in terminal(&run).lines().filter(|line| line.contains("acks=1, retries=0 ")) {
        assert!(!line.contains(" ms") && !line.contains(" of "), "{line}");
    }
    let chart = read(&results, "plots/latency-publish-quickstart.svg");
    let names = texts(&chart);
    assert!(names.iter().all(|name| !name.starts_with("acks=1, retries=0")), "a void cell is not compared");
    assert!(names.iter().all(|name| !name.starts_with("acks=all, retries=0")), "nor a generator-bound one");
    assert!(!names.contains(&"acks=0".to_owned()), "a hand-over shares no axis with publish latency");
    let said = names.join(" ");
    for why in
        ["void: acks=1, retries=0", "generator-bound: acks=all, retries=0", "handed to a socket only: acks=0"]
    {
        assert!(said.contains(why), "a chart says what it leaves out: {why} in {said}");
    }
    assert!(!said.contains("[b]"), "no caveat of a cell that is not shown: {said}");
    assert!(texts(&read(&results, "plots/latency-end-to-end-quickstart.svg")).contains(&"acks=0".to_owned()));
}

#[test]
fn a_profile_without_a_comparable_cell_says_why_it_has_no_charts() {
    let (results, mut run) = rendered("local");
    assert!(!read(&results, "report.md").contains("has no charts of throughput"));
    for cell in run.cells.iter_mut().filter(|cell| cell.result.cell.profile == "quickstart") {
        cell.result.caveats.push(Caveat {
            kind: "generator-bound".into(),
            what: String::new(),
            advice: String::new(),
        });
    }
    render(&run, &results.path().join(RUN)).expect("it renders");
    let report = read(&results, "report.md");
    assert!(
        report.contains("## By cell\n\nquickstart has no charts of throughput and latency: none of its cells can be compared. Not shown, ")
    );
    assert!(!report.contains("Throughput by cell: quickstart"));
}

#[test]
fn a_zero_counts_only_where_a_control_fired() {
    let (_results, run) = rendered("local");
    let trials = durability::trials(&View::of(&run));
    let of = |name: &str| trials.iter().find(|trial| trial.setting.name() == name).expect("a setting");
    assert_eq!((of("acks=1").lost, of("acks=1").faults_with_loss), (1_000, 1));
    assert!(!of("acks=all").is_untested());
    assert!(of("acks=all, idempotence=true").is_untested(), "its fault was not injected");

    let mut without_control = run.clone();
    without_control.cells.retain(|cell| cell.result.cell.id != "l1.acks-1.r0");
    let trials = durability::trials(&View::of(&without_control));
    assert!(trials.iter().all(durability::Trial::is_untested));
}

#[test]
fn cells_that_differ_in_further_axes_of_their_profile_are_trials_of_their_own() {
    let (_results, mut run) = rendered("local");
    let sizes = ["48 B", "1 KiB"].into_iter().cycle();
    for (cell, size) in run.cells.iter_mut().zip(sizes) {
        if cell.result.cell.profile == "quickstart" {
            cell.result.cell.axes.insert("record-size".to_owned(), size.to_owned());
        }
    }
    let trials = durability::trials(&View::of(&run));
    let names: Vec<String> = trials.iter().map(|trial| trial.setting.name()).collect();
    assert!(names.iter().any(|name| name.ends_with("record-size=48 B")), "{names:?}");
    // The recipe has no such axis, and its cells have a size all the same.
    let lost = trials.iter().find(|trial| trial.lost > 0).expect("a loss");
    assert_eq!(lost.setting.name(), "acks=1, record-size=1 KiB");
}

#[test]
fn a_run_with_controls_says_of_each_zero_whether_they_fired() {
    let (_results, mut run) = rendered("local");
    let rows = |run: &StoredRun| tables::books(&View::of(run)).markdown();
    let of_cell =
        |text: &str, name: &str| text.lines().find(|line| line.contains(name)).expect(name).to_owned();
    let calm = of_cell(&rows(&run), "acks=all, idempotence=true [");
    assert!(calm.contains("0 of 10,000 (<"), "nobody asked for controls, and there is no fault: {calm}");
    run.manifest.controls = true;
    let found = rows(&run);
    let clean = of_cell(&found, "acks=all, idempotence=true [");
    assert!(clean.contains("0 of 10,000; controls fired (<"), "l1 has lost what it expected: {clean}");
    assert!(clean.contains("0 of 10,000; untested"), "no recipe has doubled or reordered anything: {clean}");
    let tallies = &summary(&run)["cells"][1]["verdict"]["tallies"];
    assert_eq!(tallies["log_loss"]["zero"], "controls fired");
    assert_eq!(tallies["reorder"]["zero"], "untested");

    run.cells.retain(|cell| cell.result.cell.id != "l1.acks-1.r0");
    assert!(!rows(&run).contains("controls fired;"), "without the cell that lost nothing has fired for loss");
    assert_eq!(summary(&run)["cells"][1]["verdict"]["tallies"]["log_loss"]["zero"], "untested");
}

/// Every text that people and programs are given of a run.
fn views(results: &tempfile::TempDir, run: &StoredRun) -> Vec<(&'static str, String)> {
    render(run, &results.path().join(RUN)).expect("room for a report");
    vec![
        ("terminal", terminal(run)),
        ("report.md", read(results, "report.md")),
        ("report.html", read(results, "report.html")),
        ("cells.csv", read(results, "cells.csv")),
        ("summary", summary(run).to_string()),
    ]
}

#[test]
fn an_inconclusive_or_void_cell_claims_no_loss_in_any_view_whatever_is_stored() {
    let (results, run) = rendered("local");
    for outcome in [Outcome::Inconclusive, Outcome::Void] {
        let mut unjudged = run.clone();
        unjudged.cells.retain(|cell| cell.result.cell.id == "l1.acks-1.r0");
        let result = &mut unjudged.cells[0].result;
        result.outcome = outcome;
        let verdict = result.verdict.as_mut().expect("books");
        // As schema 1.1 stored it.
        verdict.promise = Promise::Violated;
        for tally in verdict.tallies.values_mut().filter(|tally| tally.count > 0) {
            tally.weight = Weight::Violation;
        }
        match outcome {
            Outcome::Void => verdict.identities[0].holds = false,
            _ => verdict.inconclusive = Some("partition 0 begins at offset 5".into()),
        }
        for (name, text) in views(&results, &unjudged) {
            for claim in
                ["iolated", "VIOLATED", "violation", "1,000 of", "Offending records", "\"lost\":1000"]
            {
                assert!(!text.contains(claim), "{name} of a cell that is {outcome:?} says {claim}: {text}");
            }
        }
        let tallies = &summary(&unjudged)["cells"][0]["verdict"]["tallies"];
        assert_eq!(tallies.as_object().map(serde_json::Map::len), Some(0));
        let csv = read(&results, "cells.csv");
        assert_eq!((column(&csv, "lost"), column(&csv, "promise")), (String::new(), String::new()));
        assert_eq!(column(&csv, "acked"), "10000", "the ledger alone knows that");
    }
}

/// The value of this column in the first row.
fn column(csv: &str, name: &str) -> String {
    let mut lines = csv.lines().map(|line| line.split(','));
    let at = lines.next().and_then(|mut heads| heads.position(|head| head == name)).expect(name);
    lines.next().and_then(|mut row| row.nth(at)).expect("a row").to_owned()
}

#[test]
fn a_mock_is_stamped_in_every_view_and_gives_no_bounds() {
    let (results, run) = rendered("mock");
    for (name, text) in views(&results, &run) {
        assert!(text.contains("mock: not Kafka; no durability claim"), "{name}");
    }
    let csv = read(&results, "cells.csv");
    assert_eq!(column(&csv, "lost_bound_per_million_95"), "");
    let bounds = |value: &serde_json::Value| value.to_string().matches("_95\":").count();
    let none = |value: &serde_json::Value| value.to_string().matches("_95\":null").count();
    let told = summary(&run);
    assert!(bounds(&told) > 10 && bounds(&told) == none(&told), "{told:#}");
}

#[test]
fn what_differs_between_a_cell_and_its_copy_is_said_or_why_not() {
    let (_results, run) = rendered("local");
    let noise = |run: &StoredRun| notes::noise(&View::of(run)).join("\n");
    assert!(noise(&run).contains("measured again at the end: throughput"), "{}", noise(&run));
    let copy = run.cells.iter().find(|cell| cell.result.cell.again).expect("a copy").result.cell.clone();
    let is_first = |result: &CellResult| {
        let cell = &result.cell;
        !cell.again && (&cell.profile, &cell.label) == (&copy.profile, &copy.label)
    };
    let mut bound = run.clone();
    for result in bound.cells.iter_mut().map(|cell| &mut cell.result).filter(|result| is_first(result)) {
        result.caveats.push(Caveat {
            kind: "generator-bound".into(),
            what: "late".into(),
            advice: "-".into(),
        });
    }
    assert!(noise(&bound).contains("the first measurement is generator-bound"), "{}", noise(&bound));
    let trial = durability::trials(&View::of(&bound))
        .into_iter()
        .find_map(|trial| trial.p99_from.filter(|from| from.contains(&copy.label)));
    assert!(trial.as_ref().is_some_and(|from| from.ends_with(" (again)")), "{trial:?}");
    let mut void = run.clone();
    for result in void.cells.iter_mut().map(|cell| &mut cell.result).filter(|result| result.cell.again) {
        result.outcome = Outcome::Inconclusive;
    }
    assert!(noise(&void).contains("the one at the end has no verdict (inconclusive)"), "{}", noise(&void));
}

#[test]
fn changed_evidence_is_named() {
    let (results, _) = rendered("local");
    let file = results.path().join(RUN).join("cells/l1.acks-1.r0/latency.hlog");
    fs::write(&file, "something else").expect("a writable file");
    let run = crate::store::load(&results.path().join(RUN)).expect("still a run");
    render(&run, &results.path().join(RUN)).expect("room for a report");
    let said = "l1.acks-1.r0: latency.hlog is torn";
    assert!(read(&results, "report.md").contains(&format!("- {said}")));
    assert!(terminal(&run).contains("damaged-evidence"));
    assert!(damaged(&run).iter().any(|line| line.contains(said)), "{:?}", damaged(&run));
    for chart in ["curves-publish-l1.svg", "curves-end-to-end-l1.svg"] {
        let said = texts(&read(&results, &format!("plots/{chart}"))).join(" ");
        assert!(said.contains("damaged-evidence: acks=1"), "{chart}: {said}");
    }
}

#[test]
fn missing_evidence_is_named_and_whole_evidence_is_not() {
    let (results, run) = rendered("local");
    assert_eq!(damaged(&run), Vec::<String>::new());
    assert!(!terminal(&run).contains("damaged-evidence"));
    fs::remove_file(results.path().join(RUN).join("cells/l1.acks-1.r0/latency.hlog")).expect("a file");
    let run = crate::store::load(&results.path().join(RUN)).expect("still a run");
    let lines = damaged(&run);
    assert!(matches!(lines.as_slice(), [line] if line.contains("latency.hlog is missing")), "{lines:?}");
}

#[test]
fn no_promise_is_kept_where_none_was_made() {
    let (results, run) = rendered("local");
    for text in [terminal(&run), read(&results, "report.md"), read(&results, "cells.csv")] {
        let dropped = text.lines().find(|line| line.contains("dropped 0") || line.contains(".acks-0.r0"));
        let dropped = dropped.expect("a line of acks=0");
        assert!(dropped.contains("none made") && !dropped.contains("kept"), "{dropped}");
    }
    let (results, run) = rendered("mock");
    for text in [
        terminal(&run),
        read(&results, "report.md"),
        read(&results, "report.html"),
        read(&results, "cells.csv"),
        summary(&run).to_string(),
    ] {
        let kept = |line: &&str| ["kept ", "kept<", "kept,", "\"kept\""].iter().any(|it| line.contains(it));
        let line = text.lines().filter(|line| !line.contains("kept by second")).find(kept);
        assert_eq!(line.filter(|line| !line.contains("kept apart")), None);
        assert!(text.contains("no claim"), "{text}");
    }
}

#[test]
fn answers_stand_in_the_second_in_which_they_came() {
    let (results, run) = rendered("local");
    let file = "plots/seconds-l1.acks-1.r0.svg";
    let by_arrival = read(&results, file);
    assert!(by_arrival.contains("acknowledged then"));
    let mut of_old = run.clone();
    for second in of_old.cells.iter_mut().flat_map(|cell| &mut cell.result.seconds) {
        second.arrived = None;
    }
    render(&of_old, &results.path().join(RUN)).expect("room for a report");
    let by_due = read(&results, file);
    assert!(by_due.contains("of these acknowledged") && !by_due.contains("acknowledged then"));
    let thin = |svg: &str| lines_of(svg, "#000000", 2);
    assert_ne!(thin(&by_arrival), thin(&by_due), "the line follows the answers, not the records due");
    assert!(!lines_of(&by_arrival, "#56B4E9", 8).is_empty(), "what was due is seen below what was answered");
}

/// A text of a picture: what it says, and the box that it takes at most, in pixels.
struct Placed {
    words: String,
    left: f64,
    right: f64,
    middle: f64,
}

fn placed(svg: &str) -> Vec<Placed> {
    let attribute = |tag: &str, name: &str| -> String {
        let value = tag.split_once(&format!(" {name}=\"")).and_then(|(_, rest)| rest.split('"').next());
        value.unwrap_or_else(|| panic!("{name} in {tag}")).to_owned()
    };
    let number = |tag: &str, name: &str| attribute(tag, name).parse::<f64>().expect("a number");
    let parts = svg.split("<text").skip(1).filter_map(|part| part.split_once('>'));
    let all = parts.map(|(tag, rest)| {
        let words = rest.split("</text>").next().unwrap_or_default().trim();
        let words =
            words.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
        // A character of a sans-serif font is at most so wide on average.
        let width = words.chars().count() as f64 * number(tag, "font-size") * 0.54;
        let left = number(tag, "x")
            - match attribute(tag, "text-anchor").as_str() {
                "start" => 0.0,
                "middle" => width / 2.0,
                _ => width,
            };
        Placed { words, left, right: left + width, middle: number(tag, "y") }
    });
    all.filter(|text| !text.words.is_empty()).collect()
}

/// As many cells as the largest shipped profile, with names of its kind.
fn crowded(run: &StoredRun) -> StoredRun {
    let of = |id: &str| run.cells.iter().find(|cell| cell.result.cell.id == id).expect("a cell").clone();
    let mut crowd = run.clone();
    crowd.cells = vec![of("l1.acks-1.r0"), of("l1.acks-all.r0")];
    for k in 0..24 {
        let mut cell = of(["quickstart.acks-all.r0", "quickstart.acks-0.r0"][usize::from(k % 6 == 0)]);
        let label = format!("acks=all, idempotence=true, min-insync-replicas={}, record-size={k} KiB", k % 3);
        cell.result.cell.id = format!("durability-ladder.{k}.r0");
        cell.result.cell.profile = "durability-ladder".into();
        cell.result.cell.label = label;
        cell.result.cell.settings.producer.retries = k;
        crowd.cells.push(cell);
    }
    crowd
}

#[test]
fn no_text_of_a_chart_is_cut_or_written_over_another() {
    let (_results, run) = rendered("local");
    for run in [&run, &crowded(&run)] {
        for chart in plots::charts(&View::of(run)) {
            let name = &chart.file;
            let width = chart.svg.split_once("width=\"").and_then(|(_, rest)| rest.split('"').next());
            let width: f64 = width.and_then(|width| width.parse().ok()).expect("a width");
            let texts = placed(&chart.svg);
            for (at, text) in texts.iter().enumerate() {
                let inside = text.left >= 0.0 && text.right <= width;
                assert!(inside, "{name}: {:?} from {} to {} of {width}", text.words, text.left, text.right);
                let meets = |other: &&Placed| {
                    (text.middle - other.middle).abs() < 12.0
                        && text.left < other.right
                        && other.left < text.right
                };
                let over = texts[at + 1..].iter().find(meets);
                assert!(over.is_none(), "{name}: {:?} over {:?}", text.words, over.map(|it| &it.words));
            }
        }
    }
}

#[test]
fn tables_of_many_long_names_fit_into_a_terminal() {
    let (_results, run) = rendered("local");
    for line in terminal(&crowded(&run)).lines() {
        assert!(line.chars().count() <= usize::from(TERMINAL_COLUMNS), "{line}");
    }
}

/// What a picture says, text by text.
fn texts(svg: &str) -> Vec<String> {
    let inside =
        svg.split("<text").skip(1).filter_map(|part| part.split_once('>')?.1.split("</text>").next());
    inside.map(|text| text.trim().to_owned()).collect()
}

/// The points of every line of this colour and width.
fn lines_of(svg: &str, colour: &str, width: u32) -> Vec<String> {
    let (colour, width) = (format!("stroke=\"{colour}\""), format!("stroke-width=\"{width}\""));
    let lines = svg.split("<polyline").skip(1).filter(|line| line.contains(&colour) && line.contains(&width));
    lines.filter_map(|line| Some(line.split_once("points=\"")?.1.split('"').next()?.to_owned())).collect()
}

#[test]
fn a_latency_under_a_fault_has_no_place_on_the_axis_of_those_without() {
    let (_results, run) = rendered("local");
    let mut faulty = run.clone();
    faulty
        .cells
        .retain(|cell| cell.result.cell.profile == "l1" || cell.result.cell.id == "quickstart.acks-all.r0");
    let view = View::of(&faulty);
    let chart = plots::charts(&view).swap_remove(0);
    let all = durability::trials(&view);
    assert!(all[0].setting.name() == "acks=1" && all[0].p99_under_fault);
    assert!(chart.svg.contains("p99 under a fault ≥ 8.99 s"));
    assert!(texts(&chart.svg).contains(&"no p99".to_owned()));
    // The first trial is the filled circle of the first colour; in the legend there is a second one.
    let discs =
        chart.svg.split("<circle").filter(|disc| disc.contains("r=\"5\"") && disc.contains("#0072B2"));
    let x = |disc: &str| disc.split_once("cx=\"")?.1.split('"').next()?.parse::<i32>().ok();
    assert!(discs.filter_map(x).any(|x| x > 480), "right of the latency axis");
}

#[test]
fn offending_records_name_the_fault_that_was_active_when_they_were_due() {
    let (results, _) = rendered("local");
    let report = read(&results, "report.md");
    assert!(
        report.contains("### l1.acks-1.r0: log loss: first 32 of 1,000, predicted\n"),
        "a section of its own"
    );
    let line = report.lines().find(|line| line.contains("1,096 – 1,127")).expect("offenders");
    assert!(line.contains("5.00 s – 5.03 s") && line.contains("acked"), "{line}");
    assert!(line.contains("followers stopped since 799 ms") && !line.contains("leader killed"), "{line}");
}

#[test]
fn tables_fit_into_a_terminal() {
    let (_results, run) = rendered("local");
    for line in terminal(&run).lines() {
        assert!(line.chars().count() <= usize::from(TERMINAL_COLUMNS), "{line}");
    }
}
