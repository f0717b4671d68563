//! Latencies, throughput and cost of a cell, from its series and from what its workers stated. It doubts nothing.

use super::killed::AGAIN;
use super::statements::Statements;
use crate::latency::{Series, Set};
use crate::plan::Cell;
use crate::result::{CellResult, Cost, Second};
use crate::settings::{Acks, Length};
use crate::wire::Progress;

/// Series of the cell that are summed up over its window: producers', the reader's, group members'.
const SERIES: [&str; 23] = [
    "publish",
    "service",
    "lateness",
    "end_to_end",
    "in_hand",
    "in_hand_again",
    "processing",
    "effect",
    "effect_again",
    "output",
    "commit",
    "sink_write",
    "init",
    "transaction",
    "offsets_call",
    "commit_call",
    "abort",
    "output_init",
    "output_transaction",
    "output_commit_call",
    "output_abort",
    "visible",
    "output_visible",
];
const SECOND_NS: u64 = 1_000_000_000;

/// Seconds of the measured window, for series that are kept by second.
fn window_seconds(cell: &Cell, set: &Set) -> std::ops::Range<usize> {
    let all = set.get("publish").map_or(0, Series::seconds);
    let first =
        usize::try_from(cell.settings.load.warmup_ns.div_ceil(SECOND_NS)).unwrap_or(usize::MAX).min(all);
    // Nothing is due after the window, so its end needs no cut; the overflow second belongs to it.
    first..all + 1
}

/// Percentiles over the window, and the course by second.
pub(super) fn latencies(result: &mut CellResult, set: &Set) {
    let window = window_seconds(&result.cell, set);
    result.latencies = SERIES
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), set.get(name)?.summary(window.clone())?)))
        .collect();
    let (publish, end_to_end) = (set.get("publish"), set.get("end_to_end"));
    let seconds = publish.map_or(0, Series::seconds);
    let count = |name, second| set.get(name).map_or(0, |series| series.count(second));
    let cut =
        |series: Option<&Series>, second| series.map_or([false; 3], |series| series.second_is_cut(second));
    let records = |second| count("publish", second).saturating_sub(count(AGAIN, second));
    result.seconds = (0..seconds)
        .map(|second| Second {
            second: u32::try_from(second).unwrap_or(u32::MAX),
            records: records(second),
            acked: publish.map_or(0, |series| series.ended(second)),
            arrived: None,
            publish_ns: publish.and_then(|series| series.second_ns(second)),
            end_to_end_ns: end_to_end.and_then(|series| series.second_ns(second)),
            publish_at_least: cut(publish, second),
            end_to_end_at_least: cut(end_to_end, second),
        })
        .collect();
    while result.seconds.last().is_some_and(|second| second.records == 0) {
        result.seconds.pop();
    }
    result.window_records = window.map(records).sum();
}

/// Beside what was due in each second: the answers that came in it, also after the last record was due.
fn arrivals(result: &mut CellResult, arrivals: &[u64]) {
    let known = result.seconds.len();
    result.seconds.extend(
        (known..arrivals.len())
            .map(|second| Second { second: u32::try_from(second).unwrap_or(u32::MAX), ..Second::default() }),
    );
    for (at, second) in result.seconds.iter_mut().enumerate() {
        second.arrived = Some(arrivals.get(at).copied().unwrap_or(0));
    }
}

/// Records that the reader was handed in the whole seconds of the window, and how long those are.
fn delivered(result: &CellResult, statements: &Statements, set: &Set) -> (u64, u64) {
    let warmup_ns = result.cell.settings.load.warmup_ns;
    let whole = warmup_ns.div_ceil(SECOND_NS)..(warmup_ns + result.window_ns) / SECOND_NS;
    let acks0 = result.cell.settings.producer.acks == Acks::Zero;
    let handed = statements.delivered.as_ref().or(statements.arrivals.as_ref().filter(|_| acks0));
    let counted = match handed {
        Some(handed) => {
            handed.iter().zip(0..).filter(|(_, at)| whole.contains(at)).map(|(count, _)| count).sum()
        }
        // Stored before it was kept: of those due in the window, whatever came at last.
        None => set
            .get("end_to_end")
            .map_or(0, |series| window_seconds(&result.cell, set).map(|second| series.ended(second)).sum()),
    };
    (counted, whole.end.saturating_sub(whole.start) * SECOND_NS)
}

/// Length of the window, time blocked, throughput and cost.
pub(super) fn from_statements(result: &mut CellResult, statements: &Statements, set: &Set) {
    if let Some(answers) = &statements.arrivals {
        arrivals(result, answers);
    }
    result.window_ns = window_ns(&result.cell, statements);
    result.blocked_ns = statements.producers.iter().map(|done| done.total.blocked_ns).sum();
    // Built anew: a result is assessed again when the log dump has been heard.
    result.failed_sends.clear();
    result.failed_by_second.clear();
    for (error, count) in statements.producers.iter().flat_map(|done| &done.failed_sends) {
        *result.failed_sends.entry(error.clone()).or_default() += count;
    }
    for (error, seconds) in statements.producers.iter().flat_map(|done| &done.failed_by_second) {
        let known = result.failed_by_second.entry(error.clone()).or_default();
        for [second, count] in seconds {
            match known.binary_search_by_key(second, |[second, _]| *second) {
                Ok(at) => known[at][1] += count,
                Err(at) => known.insert(at, [*second, *count]),
            }
        }
    }
    let windows: Vec<(Progress, Progress)> =
        statements.producers.iter().filter_map(|done| done.window).collect();
    let grown = |field: fn(&Progress) -> u64| -> u64 {
        windows.iter().map(|(begin, end)| field(end).saturating_sub(field(begin))).sum()
    };
    // What was answered in the window, because what waits in the client's queue has cost the brokers nothing yet.
    let (answered, cpu_ns) = (grown(|progress| progress.acked), grown(|progress| progress.cpu_ns));
    let (counted, over_ns) = match result.cell.settings.producer.answers_count() {
        true => (answered, result.window_ns),
        false => delivered(result, statements, set),
    };
    result.throughput_per_s = if over_ns > 0 { counted as f64 / (over_ns as f64 / 1e9) } else { 0.0 };
    let per_record = |total: u64| (answered > 0).then(|| total as f64 / answered as f64);
    result.cost = Cost { client_cpu_ns_per_record: per_record(cpu_ns), ..Cost::default() };
    if let [Some(begin), Some(end)] = &statements.usage {
        result.cost.broker_cpu_ns_per_record = per_record(end.cpu_ns.saturating_sub(begin.cpu_ns));
        result.cost.disk_bytes_per_record =
            per_record(end.disk_write_bytes.saturating_sub(begin.disk_write_bytes));
        result.cost.network_bytes_per_record =
            per_record(end.network_bytes.saturating_sub(begin.network_bytes));
    }
}

fn window_ns(cell: &Cell, statements: &Statements) -> u64 {
    let load = &cell.settings.load;
    match (load.length, load.window_end_ns()) {
        (Length::Time(window_ns), Some(_)) => window_ns,
        (_, Some(end_ns)) => end_ns - load.warmup_ns,
        (_, None) => {
            let last_ns = statements.producers.iter().map(|done| done.ended_ns).max().unwrap_or(0);
            last_ns.saturating_sub(statements.t0_ns + load.warmup_ns)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assess::blank;
    use crate::{plan, profile};

    #[test]
    fn what_promises_nothing_when_answered_counts_when_the_reader_has_it() {
        let text = "name = \"p\"\nwhy = \"w\"\n[load]\nrate = \"5k/s\"\nwarmup = \"2 s\"\nduration = \"3 s\"\n[producer]\nacks = 0\n";
        let profile = profile::parse("p", text, &[], &()).expect("valid");
        let cell = plan::build(&[profile], &[]).expect("within limits").cells.remove(0);
        let result = CellResult { window_ns: 3 * SECOND_NS, ..blank("r", &cell) };
        // Half of what is due in the window comes behind it.
        let handed = vec![5_000, 5_000, 2_400, 2_500, 2_600, 7_500];
        let of = |statements: Statements| delivered(&result, &statements, &Set::default());
        let whole = (7_500, 3 * SECOND_NS);
        assert_eq!(of(Statements { delivered: Some(handed.clone()), ..Statements::default() }), whole);
        assert_eq!(of(Statements { arrivals: Some(handed), ..Statements::default() }), whole);
    }
}
