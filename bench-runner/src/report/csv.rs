//! `cells.csv`: one line for each stored cell, for other programs. Rounds nothing.

use super::damage::DAMAGED;
use super::figures::zero_bound_per_million;
use super::table::Table;
use super::tables::LATENCY_FIGURES;
use super::view::{Group, View, is_whole, word};
use bench_model::profile::span_text;
use bench_model::result::{CellResult, GroupCourse};
use bench_model::verdict::{Class, ClassCount, TallyKind};

/// Columns before those of latencies.
const COLUMNS: [&str; 61] = [
    "run",
    "stamp",
    "profile",
    "cell",
    "label",
    "repeat",
    "again",
    "acks",
    "retries",
    "idempotence",
    "outcome",
    "guarantee",
    "promise",
    "expectation",
    "caveats",
    "records",
    "acked",
    "lost",
    "lost_bound_per_million_95",
    "sent_acks0",
    "dropped_acks0",
    "unknown_present",
    "unknown_absent",
    "duplicates_same_attempt",
    "duplicates_cross_attempt",
    "reordered",
    "never_written",
    "phantoms",
    "throughput_per_s",
    "asked_per_s",
    "client_cpu_ns_per_record",
    "broker_cpu_ns_per_record",
    "disk_bytes_per_record",
    "network_bytes_per_record",
    "blocked_ns",
    "commit",
    "never_processed",
    "processed_again",
    "commits",
    "commits_per_s",
    "failed_commits",
    "unanswered_commits",
    "max_lag_records",
    "max_lag_ns",
    "rebalances",
    "longest_pause_ns",
    "completed",
    "processed_per_s",
    "begun_only",
    "vanished",
    "commit_ahead",
    "poll_skips",
    "processed_though_aborted",
    "sink",
    "sink_duplicates",
    "missing_in_sink",
    "sink_refused",
    "transaction",
    "aborted_copies",
    "aborted_reads",
    "torn_transactions",
];

/// One line for each cell, unrounded, outcome before every figure.
pub fn every_cell(view: &View) -> Table {
    const SERIES: [(&str, &str); 20] = [
        ("publish", "publish"),
        ("handover", "publish"),
        ("end_to_end", "end_to_end"),
        ("in_hand", "in_hand"),
        ("effect", "effect"),
        ("output", "output"),
        ("commit", "commit"),
        ("processing", "processing"),
        ("sink_write", "sink_write"),
        ("init", "init"),
        ("transaction", "transaction"),
        ("offsets_call", "offsets_call"),
        ("commit_call", "commit_call"),
        ("abort", "abort"),
        ("visible", "visible"),
        ("output_init", "output_init"),
        ("output_transaction", "output_transaction"),
        ("output_commit_call", "output_commit_call"),
        ("output_abort", "output_abort"),
        ("output_visible", "output_visible"),
    ];
    let mut columns = COLUMNS.map(str::to_owned).to_vec();
    for (name, _) in SERIES {
        for (figure, _) in LATENCY_FIGURES {
            columns.push(format!("{name}_{figure}_ns"));
            columns.push(format!("{name}_{figure}_is_lower_bound"));
        }
    }
    let mut table = Table::new(columns);
    for group in &view.groups {
        for cell in &group.cells {
            let mut row = facts(view, group, &cell.result);
            for (name, series) in SERIES {
                let handed_over = name == "handover";
                let shown = is_whole(&cell.result, series)
                    && (series != "publish" || handed_over == group.is_acks0());
                for (_, figure) in LATENCY_FIGURES {
                    let value =
                        cell.result.latencies.get(series).filter(|_| shown).and_then(|it| figure.of(it));
                    row.push(value.map_or(String::new(), |(ns, _)| ns.to_string()));
                    row.push(value.map_or(String::new(), |(_, at_least)| at_least.to_string()));
                }
            }
            table.row(row);
        }
    }
    table
}

fn facts(view: &View, group: &Group, result: &CellResult) -> Vec<String> {
    let producer = &result.cell.settings.producer;
    let number = |value: Option<u64>| value.map_or(String::new(), |value| value.to_string());
    // What the ledgers count is known of any cell; what the log lacks only where it was judged.
    let (books, verdict) = (result.verdict.as_ref(), result.judged());
    let class = |class: Class| books.and_then(|books| books.classes.get(&class)).copied();
    let absent = |count: Option<ClassCount>| number(count.filter(|_| verdict.is_some()).map(|it| it.absent));
    let real = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    let tally =
        |kind| number(verdict.and_then(|verdict| verdict.tallies.get(&kind)).map(|tally| tally.count));
    let (acked, sent) = (class(Class::Acked), class(Class::Sent));
    let claimed = acked.filter(|_| !group.is_acks0());
    let bound = claimed
        .filter(|count| count.absent == 0 && verdict.is_some() && !group.is_mock)
        .and_then(|count| zero_bound_per_million(count.records));
    let mut kinds: Vec<&str> = result.caveats.iter().map(|caveat| caveat.kind.as_str()).collect();
    kinds.extend(view.damage.iter().any(|damage| damage.cell == result.cell.id).then_some(DAMAGED));
    let rate = !group.is_bursts();
    let mut row = vec![
        result.run.clone(),
        view.stamp().unwrap_or_default().to_owned(),
        result.cell.profile.clone(),
        result.cell.id.clone(),
        result.cell.label.clone(),
        result.cell.repeat.to_string(),
        result.cell.again.to_string(),
        producer.acks.as_str().into(),
        producer.retries.to_string(),
        producer.idempotence.to_string(),
        word(&result.outcome),
        group.guarantee().delivery.as_str().into(),
        verdict.map_or(String::new(), |verdict| group.promise_of(verdict).to_lowercase()),
        word(&result.expectation),
        kinds.join(" "),
        number(books.map(|books| books.records)),
        number(claimed.map(|count| count.records)),
        absent(claimed),
        real(bound),
        number(sent.filter(|_| group.is_acks0()).map(|count| count.records)),
        absent(sent.filter(|_| group.is_acks0())),
        tally(TallyKind::UnknownPresent),
        tally(TallyKind::UnknownAbsent),
        tally(TallyKind::DuplicateSameAttempt),
        tally(TallyKind::DuplicateCrossAttempt),
        tally(TallyKind::Reorder),
        number(verdict.map(|_| super::tables::never_written(result))),
        tally(TallyKind::Phantom),
        real(rate.then_some(result.throughput_per_s)),
        real(result.asked_per_s),
        real(result.cost.client_cpu_ns_per_record.filter(|_| rate)),
        real(result.cost.broker_cpu_ns_per_record),
        real(result.cost.disk_bytes_per_record),
        real(result.cost.network_bytes_per_record),
        result.blocked_ns.to_string(),
    ];
    row.extend(of_group(result, tally));
    row.extend(of_pipeline(result, tally));
    row
}

/// What became of a group's records, its sink and transactions; empty without them.
fn of_pipeline(result: &CellResult, tally: impl Fn(TallyKind) -> String) -> [String; 15] {
    let course = result.group.as_ref();
    let settings = &result.cell.settings;
    let sink = settings.group.as_ref().and_then(|group| group.sink.as_ref());
    let transaction = settings.producer.transaction.as_ref();
    [
        course.and_then(|course| course.completed).map_or(String::new(), |count| count.to_string()),
        course.and_then(|course| course.processed_per_s).map_or(String::new(), |rate| rate.to_string()),
        tally(TallyKind::BegunOnly),
        tally(TallyKind::Vanished),
        tally(TallyKind::CommitAhead),
        tally(TallyKind::PollSkip),
        tally(TallyKind::ConsumerAbortedRead),
        sink.map_or("", |sink| sink.kind.as_str()).into(),
        tally(TallyKind::SinkDuplicate),
        tally(TallyKind::SinkLoss),
        tally(TallyKind::SinkRefused),
        transaction.map_or(String::new(), |one| span_text(Some(one.span))),
        tally(TallyKind::AbortedCopies),
        tally(TallyKind::AbortedRead),
        tally(TallyKind::TornTransaction),
    ]
}

/// What a consumer group did; empty without one.
fn of_group(result: &CellResult, tally: impl Fn(TallyKind) -> String) -> [String; 11] {
    let course = result.group.as_ref();
    let number = |figure: fn(&GroupCourse) -> u64| course.map_or(String::new(), |it| figure(it).to_string());
    let commit = result.cell.settings.group.as_ref().map_or("", |group| group.commit.as_str());
    [
        commit.into(),
        tally(TallyKind::ProcessingLoss),
        tally(TallyKind::Redelivery),
        number(|course| course.commits),
        course.and_then(|course| course.commits_per_s).map_or(String::new(), |rate| rate.to_string()),
        number(|course| course.failed_commits.values().sum()),
        number(|course| course.unanswered_commits),
        number(|course| course.seconds.iter().map(|second| second.lag_records).max().unwrap_or(0)),
        number(|course| course.seconds.iter().map(|second| second.lag_ns).max().unwrap_or(0)),
        number(|course| course.rebalances.len() as u64),
        number(|course| course.rebalances.iter().map(|rebalance| rebalance.pause_ns).max().unwrap_or(0)),
    ]
}
