//! Doubts about a cell's numbers, each with what was seen and what to do about it.

use super::statements::{Statements, Stolen};
use crate::fault::Victim;
use crate::latency::Percentile;
use crate::plan::Cell;
use crate::result::{Caveat, CellResult};
use crate::settings::TransactionSpan;
use crate::verdict::{Class, Verdict};

/// Own lateness above this makes a cell generator-bound.
const LATENESS_NS: u64 = 1_000_000;
/// Share of the window during which the client's queue was full, above which the cell is called backpressured.
const BLOCKED_SHARE: f64 = 0.001;
/// Share of the asked rate below which a cell is said to have missed it.
const REACHED: f64 = 0.95;
/// Wake-ups per request above which an idempotent client is spinning (docs/bias.md).
const WAKEUPS: f64 = 20.0;
/// First and last third of the window may differ by this factor in their median latency.
const DRIFT: f64 = 1.5;

/// Share of the machine's CPU time that its host may keep before it is told.
const STOLEN: f64 = 0.01;

/// Every kind that is found here; others are added by the run, which sees more than one cell.
pub(super) const KINDS: [&str; 15] = [
    "generator-bound",
    "stolen-cpu",
    "backpressured",
    "rate-not-reached",
    "transaction-bound",
    "client-spinning",
    "few-samples",
    "drift",
    "stopped-early",
    "clock",
    "unknown-fates",
    "moved-leaders",
    "untimed-answers",
    "lied-to",
    "proxied",
];

fn caveat(kind: &str, what: String, advice: &str) -> Caveat {
    Caveat { kind: kind.into(), what, advice: advice.into() }
}

/// All doubts about a cell.
pub(super) fn of_cell(observed: &Statements, result: &CellResult, verdict: &Verdict) -> Vec<Caveat> {
    let cell = &result.cell;
    let mut caveats = Vec::new();
    caveats.extend(generator(observed));
    caveats.extend(stolen(observed));
    caveats.extend(backpressure(observed, result));
    caveats.extend(rate_not_reached(result));
    caveats.extend(transaction_bound(result));
    caveats.extend(spinning(cell, observed));
    caveats.extend(few_samples(cell, result));
    caveats.extend(drift(cell, result));
    caveats.extend(early(observed));
    if observed.reader.negative > 0 {
        let what = format!("{} end-to-end latencies were below zero", observed.reader.negative);
        caveats.push(caveat(
            "clock",
            what,
            "producers and reader do not share a clock: do not use end-to-end latency",
        ));
    }
    let unknown = verdict.classes.get(&Class::Unknown).map_or(0, |class| class.records);
    if unknown > 0 && cell.faults.is_empty() && !loses_a_producer(cell) {
        let what = format!("the fate of {unknown} records is unknown although no fault was injected");
        caveats.push(caveat(
            "unknown-fates",
            what,
            "look at the errors of the cell; lower the rate or raise the time-outs",
        ));
    }
    if observed.moved_leaders > 0 && cell.faults.is_empty() {
        let what = format!(
            "the leaders of {} partitions changed although no fault was injected",
            observed.moved_leaders
        );
        let advice =
            "a broker was too slow to show signs of life: use a machine that does less, and run again";
        caveats.push(caveat("moved-leaders", what, advice));
    }
    caveats.extend(untimed(observed));
    caveats.extend(lied_to(result));
    caveats.extend(proxied(cell));
    caveats
}

/// Findings that our own proxies have made are never Kafka's.
fn lied_to(result: &CellResult) -> Option<Caveat> {
    let lies = result.faults.iter().filter(|fault| fault.done_ns.is_some() && fault.step.action.is_lie());
    let lies: Vec<String> =
        lies.map(|fault| fault.step.phrase(fault.step.action.as_str(), fault.step.target.as_str())).collect();
    (!lies.is_empty()).then(|| {
        caveat(
            "lied-to",
            format!("proxies lied in place of brokers: {}", lies.join(", ")),
            "this cell checks the checker: take what it finds for the proxies' doing, and for nothing that Kafka did",
        )
    })
}

/// Its clients take a way that others do not.
fn proxied(cell: &Cell) -> Option<Caveat> {
    cell.is_proxied().then(|| {
        caveat(
            "proxied",
            "clients reached the brokers through proxies on the runner's own thread, so every answer came later".into(),
            "compare its latencies with those of other proxied cells only; see bench-runner/docs/bias.md",
        )
    })
}

/// What a killed process measured is gone with it; the answers themselves are in its ledger.
fn untimed(observed: &Statements) -> Option<Caveat> {
    (observed.untimed > 0).then(|| {
        caveat(
            "untimed-answers",
            format!(
                "killed producers took the latencies of {} answered records with them: they count as cut off at 0, and are \
                 missing in throughput and cost",
                observed.untimed
            ),
            "compare end-to-end latencies, which the reader measured of every record",
        )
    })
}

fn generator(observed: &Statements) -> Option<Caveat> {
    let lateness_ns = observed.producers.iter().filter_map(|done| done.lateness_p99_ns).max()?;
    (lateness_ns > LATENESS_NS).then(|| {
        caveat(
            "generator-bound",
            format!(
                "records left {:.1} ms late (p99) while the client's queue had room",
                lateness_ns as f64 / 1e6
            ),
            "lower the rate, add producers, or give the machine more cores; do not compare this cell",
        )
    })
}

/// A virtual machine's host has other guests, and gives it less than it asks for.
fn stolen(observed: &Statements) -> Option<Caveat> {
    let Stolen { ticks, of } = observed.stolen?;
    let share = ticks as f64 / of.max(1) as f64;
    (share > STOLEN).then(|| {
        caveat(
            "stolen-cpu",
            format!("the host of this virtual machine kept {:.0} % of its CPU time from it", share * 100.0),
            "the latencies are also those of its neighbours: use a machine of its own, or run again when they rest",
        )
    })
}

fn backpressure(observed: &Statements, result: &CellResult) -> Option<Caveat> {
    let blocked_ns = observed.producers.iter().map(|done| done.total.blocked_ns).max()?;
    result.asked_per_s?;
    (blocked_ns as f64 > result.window_ns as f64 * BLOCKED_SHARE).then(|| {
        caveat(
            "backpressured",
            format!(
                "the client's queue was full for {:.0} ms; the wait is in the latencies",
                blocked_ns as f64 / 1e6
            ),
            "the cluster could not take the asked rate all the time; this is a finding, not an error",
        )
    })
}

/// A producer is to die or to be killed.
fn loses_a_producer(cell: &Cell) -> bool {
    cell.deaths.iter().any(|death| death.worker == Victim::Producer)
        || cell.kills.iter().any(|kill| kill.worker == Victim::Producer)
}

fn rate_not_reached(result: &CellResult) -> Option<Caveat> {
    let reached = result.throughput_per_s;
    // What is aborted on purpose is not to be answered for.
    let abort_every = result.cell.settings.producer.transaction.as_ref().map_or(0, |one| one.abort_every);
    let kept = if abort_every == 0 { 1.0 } else { 1.0 - 1.0 / f64::from(abort_every) };
    let asked = result.asked_per_s? * kept;
    let cell = &result.cell;
    // A fault, or a producer's death, takes its share of the window, and what it does to the rate is what was asked for.
    let disturbed = !result.faults.is_empty() || loses_a_producer(cell);
    // The records of a transaction become visible at once, on this side of the window's end or on the other.
    let at_the_edge = match cell.settings.producer.transaction.as_ref().map(|one| &one.span) {
        Some(TransactionSpan::Records(records)) => f64::from(*records) * 1e9 / result.window_ns.max(1) as f64,
        _ => 0.0,
    };
    (!disturbed && reached + at_the_edge < asked * REACHED).then(|| {
        let but = if abort_every == 0 { "" } else { " and not to be aborted" };
        caveat(
            "rate-not-reached",
            format!("{reached:.0} records/s were answered in the window, {asked:.0} were due{but}"),
            "latencies tell of a backlog that grew, not of this rate: lower it, or take it for the finding",
        )
    })
}

/// A record may wait for one transaction to end; where most wait for longer, transactions of this size are too slow.
fn transaction_bound(result: &CellResult) -> Option<Caveat> {
    // A pipeline's transactions have the same name where the producer has none, and hold up no producer.
    result.cell.settings.producer.transaction.as_ref()?;
    let lateness = result.latencies.get("lateness")?;
    let transaction = result.latencies.get("transaction")?;
    let (Percentile::Exactly(wait_ns) | Percentile::AtLeast(wait_ns)) = *lateness.percentiles.get("50")?
    else {
        return None;
    };
    (wait_ns > transaction.max_ns).then(|| {
        caveat(
            "transaction-bound",
            format!(
                "half of the records waited {:.0} ms and longer for earlier transactions to end; the longest one took {:.0} ms",
                wait_ns as f64 / 1e6,
                transaction.max_ns as f64 / 1e6
            ),
            "the rate is above what transactions of this size allow; put more records into each, or use more producers",
        )
    })
}

fn spinning(cell: &Cell, observed: &Statements) -> Option<Caveat> {
    // Bursts are mostly pauses, in which every client wakes for nothing; their CPU is compared with nothing.
    if !cell.settings.producer.idempotence || cell.settings.load.arrival.is_bursts() {
        return None;
    }
    let wakeups: Option<Vec<f64>> = observed.producers.iter().map(|done| done.wakeups_per_request).collect();
    let what = match wakeups.map(|each| each.into_iter().fold(0.0, f64::max)) {
        Some(wakeups) if wakeups <= WAKEUPS => return None,
        Some(wakeups) => {
            format!("the client woke {wakeups:.0} times for each request (librdkafka's idempotent busy wait)")
        }
        None => "the client showed no statistics, so whether it spun is unknown".to_owned(),
    };
    let advice =
        "CPU and throughput of this cell are not \"the cost of idempotence\"; see bench-runner/docs/bias.md";
    Some(caveat("client-spinning", what, advice))
}

fn few_samples(cell: &Cell, result: &CellResult) -> Option<Caveat> {
    let what = match result.latencies.get("publish") {
        None => "no whole second of the window holds a record: there are no latencies".to_owned(),
        Some(summary) if summary.percentiles.get("99") == Some(&Percentile::TooFew) => {
            format!("{} records in the window are too few for a p99", summary.count)
        }
        Some(_) => return None,
    };
    let calm = cell.faults.is_empty() && cell.deaths.is_empty() && cell.kills.is_empty();
    calm.then(|| caveat("few-samples", what, "measure longer or at a higher rate"))
}

fn drift(cell: &Cell, result: &CellResult) -> Option<Caveat> {
    let first = (cell.settings.load.warmup_ns / 1_000_000_000) as usize;
    let medians: Vec<u64> = result
        .seconds
        .iter()
        .skip(first)
        .filter_map(|second| second.end_to_end_ns)
        .map(|[p50, ..]| p50)
        .collect();
    let third = medians.len() / 3;
    if !cell.faults.is_empty() || third < 3 {
        return None;
    }
    let middle = |part: &[u64]| {
        let mut part = part.to_vec();
        part.sort_unstable();
        part[part.len() / 2] as f64
    };
    let (early, late) = (middle(&medians[..third]), middle(&medians[medians.len() - third..]));
    (early.max(late) > early.min(late) * DRIFT).then(|| {
        caveat(
            "drift",
            format!(
                "the median end-to-end latency went from {:.2} ms in the first third of the window to {:.2} ms in the last",
                early / 1e6,
                late / 1e6
            ),
            "warm longer, measure longer, or lower the rate: the cell had not settled",
        )
    })
}

fn early(observed: &Statements) -> Option<Caveat> {
    let why = observed.producers.iter().find_map(|done| done.stopped_early.clone())?;
    Some(caveat(
        "stopped-early",
        why,
        "the plan asked for more than could be sent; the latencies hold what was due, cut off",
    ))
}

#[cfg(test)]
mod tests {
    use super::{KINDS, Statements, Stolen, rate_not_reached, stolen, transaction_bound};
    use crate::assess::blank;
    use crate::fault::{Kill, Victim};
    use crate::latency::Series;
    use crate::result::CellResult;
    use crate::{plan, profile};

    fn result(rest: &str) -> CellResult {
        let head = "name = \"p\"\nwhy = \"w\"\n[load]\nrate = \"1k/s\"\n[producer]\nidempotence = true\n";
        let profile = profile::parse("p", &format!("{head}{rest}"), &[], &()).expect("valid");
        blank("r", &plan::build(&[profile], &[]).expect("within limits").cells.remove(0))
    }

    #[test]
    fn only_a_producers_own_transactions_hold_it_up() {
        let late = |rest: &str| {
            let mut late = result(rest);
            for (name, ns) in [("lateness", 9_000_000), ("transaction", 2_000_000)] {
                let mut series = Series::new(1);
                (0..1_000).for_each(|_| series.record(0, ns));
                late.latencies.insert(name.into(), series.summary(0..2).expect("values"));
            }
            transaction_bound(&late).is_some()
        };
        assert!(late("transaction = 100\n"));
        assert!(!late("[consumer]\ncommit = \"transaction\"\nsink = \"topic\"\n"), "a pipeline's");
    }

    #[test]
    fn what_is_aborted_on_purpose_is_not_missed() {
        let missed = |abort_every: u32, per_s: f64| {
            let all = result(&format!("transaction = 100\nabort-every = {abort_every}\n"));
            let window_ns = 10_000_000_000;
            rate_not_reached(&CellResult { throughput_per_s: per_s, window_ns, ..all })
                .map(|caveat| caveat.what)
        };
        assert_eq!(missed(2, 499.0), None);
        assert_eq!(missed(0, 990.0), None);
        assert!(missed(0, 499.0).expect("half").ends_with("1000 were due"));
        assert!(missed(2, 400.0).expect("too few").ends_with("500 were due and not to be aborted"));
    }

    #[test]
    fn neither_a_transaction_at_the_windows_end_nor_a_producers_death_is_a_rate_that_was_not_reached() {
        let missed = |rest: &str, kills: Vec<Kill>| {
            let mut cut = result(rest);
            (cut.throughput_per_s, cut.window_ns, cut.cell.kills) = (917.0, 12_000_000_000, kills);
            rate_not_reached(&cut).is_some()
        };
        let kill = |worker| vec![Kill { worker, index: 0, at_ns: 1, resend: false }];
        assert!(
            !missed("transaction = 1000\n", Vec::new()),
            "83 records a second more stand in the last one"
        );
        assert!(missed("transaction = 100\n", Vec::new()), "8 more do not reach 950");
        assert!(!missed("", kill(Victim::Producer)));
        assert!(missed("", kill(Victim::Member)));
    }

    #[test]
    fn more_than_a_hundredth_of_the_machine_is_missed() {
        let told = |ticks| {
            let statements =
                Statements { stolen: Some(Stolen { ticks, of: 5_000 }), ..Statements::default() };
            stolen(&statements).map(|caveat| caveat.what)
        };
        assert_eq!(told(50), None);
        assert!(told(650).expect("a caveat").contains(" kept 13 % of its CPU time"));
        assert_eq!(stolen(&Statements::default()), None, "nobody has looked");
    }

    #[test]
    fn the_formats_page_explains_every_kind() {
        let page = include_str!("../../../docs/formats.md");
        for kind in KINDS {
            assert!(page.contains(&format!("| `{kind}` |")), "{kind}");
        }
    }
}
