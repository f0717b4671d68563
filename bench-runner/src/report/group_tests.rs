//! What views say of consumer groups, and of what happened to workers.

use super::fixture::stored;
use super::view::View;
use super::{delivery, durability, ordeals, plots, transactions};
use crate::store::StoredRun;
use bench_model::fault::{Action, End, FaultRecord, FaultStep, Join, Kill, Target, Victim, When};
use bench_model::latency::Percentile;
use bench_model::plan::Cell;
use bench_model::result::{CellResult, Outcome};
use bench_model::settings::{TransactionSettings, TransactionSpan};
use bench_model::verdict::TallyKind;

const AFTER: &str = "c1.commit-sync-after.r0";

const HUNDRED: TransactionSettings = TransactionSettings {
    span: TransactionSpan::Records(100),
    abort_every: 0,
    abort_flush: true,
    timeout_ns: 1,
};

/// The made-up run with one cell of it changed, and alone.
fn only(id: &str, change: impl FnOnce(&mut CellResult)) -> StoredRun {
    let results = tempfile::tempdir().expect("a temporary directory");
    let mut run = stored(results.path(), "local");
    run.cells.retain(|cell| cell.result.cell.id == id);
    change(&mut run.cells[0].result);
    run
}

fn met_with(run: &StoredRun) -> String {
    ordeals::met_with(&View::of(run).groups[0])
}

fn calm(cell: &mut Cell) {
    cell.deaths.clear();
}

/// The row of the only cell, by column.
fn semantics(run: &StoredRun) -> String {
    let table = delivery::semantics(&View::of(run)).expect("a group");
    table.csv().lines().nth(1).expect("a row").to_owned()
}

#[test]
fn what_happened_to_workers_is_said_by_its_kind_and_takes_the_bound_of_each_record_away() {
    let nothing = only(AFTER, |result| calm(&mut result.cell));
    assert_eq!(met_with(&nothing), "nothing");
    assert!(semantics(&nothing).contains("ppm"));
    for (end, word) in [(End::Kill, "1 kill"), (End::Close, "1 close"), (End::Stop, "1 stop")] {
        assert_eq!(met_with(&only(AFTER, |result| result.cell.deaths[0].end = end)), word);
    }
    let kill = |worker| Kill { worker, index: 0, at_ns: 1, resend: false };
    let killed = only(AFTER, |result| {
        calm(&mut result.cell);
        result.cell.kills = vec![kill(Victim::Member), kill(Victim::Member), kill(Victim::Producer)];
    });
    assert_eq!(met_with(&killed), "2 kills, 1 producer kill");
    let joined = only(AFTER, |result| {
        calm(&mut result.cell);
        result.cell.joins = vec![Join { after: 7 }];
    });
    assert_eq!(met_with(&joined), "1 join");
    for run in [killed, joined] {
        assert!(!semantics(&run).contains("ppm"));
        let charts = plots::charts(&View::of(&run));
        assert!(charts.iter().any(|chart| chart.file.starts_with("restarts-")));
    }
}

#[test]
fn an_inconclusive_cell_has_met_with_what_was_proven_and_no_other_has() {
    let cut = FaultStep::new(When::At(1), Action::PowerCut, Target::All);
    let record = FaultRecord { done_ns: Some(2), proof: vec!["dead".into()], ..FaultRecord::planned(cut) };
    let with = |outcome, record: FaultRecord| {
        only(AFTER, |result| {
            calm(&mut result.cell);
            result.cell.faults = vec![cut];
            result.faults = vec![record];
            result.outcome = outcome;
        })
    };
    assert_eq!(met_with(&with(Outcome::Inconclusive, record.clone())), "1 fault");
    assert_eq!(met_with(&with(Outcome::Inconclusive, FaultRecord::planned(cut))), "nothing proven");
    assert_eq!(met_with(&with(Outcome::NotInjected, record)), "nothing proven");
}

#[test]
fn copies_that_the_application_sent_again_are_duplicates_in_the_log() {
    let again = only(AFTER, |result| {
        let verdict = result.verdict.as_mut().expect("books");
        verdict.tallies.get_mut(&TallyKind::DuplicateSameAttempt).expect("a tally").count = 3;
        verdict.tallies.get_mut(&TallyKind::DuplicateCrossAttempt).expect("a tally").count = 4;
    });
    assert!(semantics(&again).contains(",\"7 of 10,000\","), "{}", semantics(&again));
}

#[test]
fn a_killed_cell_is_no_cell_without_a_fault() {
    let killed = only("quickstart.acks-all.r0", |result| {
        result.cell.kills = vec![Kill { worker: Victim::Producer, index: 0, at_ns: 1, resend: false }];
    });
    let trials = durability::trials(&View::of(&killed));
    assert_eq!(trials.len(), 1);
    assert_eq!(trials[0].fault, "1 producer kill");
    assert!(trials[0].p99_under_fault && trials[0].is_untested());
}

#[test]
fn a_transactional_cell_is_a_setting_of_its_own() {
    let results = tempfile::tempdir().expect("a temporary directory");
    let mut run = stored(results.path(), "local");
    run.cells.retain(|cell| cell.result.cell.profile == "quickstart");
    let names = |run: &StoredRun| -> Vec<String> {
        durability::trials(&View::of(run)).iter().map(|trial| trial.setting.name()).collect()
    };
    assert!(names(&run).iter().all(|name| !name.contains("transaction")));
    let idempotent = run.cells.iter_mut().find(|cell| cell.result.cell.settings.producer.idempotence);
    let mut other = idempotent.expect("a cell").clone();
    other.result.cell.settings.producer.transaction = Some(HUNDRED);
    run.cells.push(other);
    let names = names(&run);
    for name in ["acks=all, idempotence=true", "acks=all, idempotence=true, transaction=100"] {
        assert_eq!(names.iter().filter(|known| *known == name).count(), 1, "{names:?}");
    }
}

#[test]
fn latencies_of_a_group_that_lack_records_give_no_percentile_and_say_how_many_are_known() {
    let whole = only("c1.commit-sync-before.r0", |_| ());
    assert!(semantics(&whole).contains("\"7,937 of 8,000\""), "{}", semantics(&whole));
    // As schema 1.2 stored it: what was lost has no value.
    let lacking = only("c1.commit-sync-before.r0", |result| {
        let effect = result.latencies.get_mut("effect").expect("a series");
        effect.count -= effect.censored;
        effect.censored = 0;
    });
    let row = semantics(&lacking);
    assert!(row.contains("\"7,937 of 8,000\""), "{row}");
    // End to end both have theirs.
    let latencies = |row: &str| row.matches(" ms,").count();
    assert_eq!((latencies(&semantics(&whole)), latencies(&row)), (4, 2), "{row}");
}

#[test]
fn transactions_of_producers_and_of_a_pipeline_stand_on_lines_of_their_own() {
    let lines = |run: &StoredRun| -> Vec<String> {
        let table = transactions::timings(&View::of(run)).expect("transactions");
        table.csv().lines().skip(1).map(str::to_owned).collect()
    };
    let alone = lines(&only("c1.commit-transaction.r0", |_| ()));
    let both = lines(&only("c1.commit-transaction.r0", |result| {
        result.cell.settings.producer.transaction = Some(HUNDRED);
        for name in ["init", "transaction", "commit_call", "abort"] {
            let pipelines = result.latencies[name].clone();
            result.latencies.insert(format!("output_{name}"), pipelines);
        }
        let producers = result.latencies.get_mut("transaction").expect("a series");
        producers.percentiles.insert("50".into(), Percentile::Exactly(123_000_000));
    }));
    assert_eq!((alone.len(), both.len()), (1, 2));
    assert!(both[0].contains("producers") && both[0].contains("123 ms"), "{both:?}");
    assert_eq!(both[1], alone[0]);
}

#[test]
fn a_zero_is_backed_by_workers_that_end_at_the_same_record_and_bounded_by_trials() {
    let row = |change: fn(&mut CellResult), repeats: u16| {
        let results = tempfile::tempdir().expect("a temporary directory");
        let mut run = stored(results.path(), "local");
        run.cells.retain(|cell| [AFTER, "c1.commit-sync-before.r0"].contains(&cell.result.cell.id.as_str()));
        let zeros = run.cells.iter().position(|cell| cell.result.cell.id != AFTER).expect("at most once");
        change(&mut run.cells[zeros].result);
        for repeat in 1..repeats {
            let mut again = run.cells[zeros].clone();
            again.result.cell.id = format!("c1.commit-sync-before.r{repeat}");
            again.result.cell.repeat = repeat;
            run.cells.push(again);
        }
        let table = delivery::semantics(&View::of(&run)).expect("groups").csv();
        table.lines().find(|row| row.contains("at most once")).expect("its row").to_owned()
    };
    let once = row(|_| (), 1);
    assert!(once.contains("; controls fired in 1 trial") && !once.contains("1 trial ("), "{once}");
    let often = row(|_| (), 4);
    assert!(often.contains("; controls fired in 4 trials (< 75.0 %)"), "{often}");
    let elsewhere = row(|result| result.cell.deaths[0].record += 1, 1);
    assert!(elsewhere.contains("; untested") && !elsewhere.contains("fired"), "{elsewhere}");
}
