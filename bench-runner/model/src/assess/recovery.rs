//! How each fault of a cell was got over, from what workers and brokers told. It reads no clock and judges nothing.

use super::statements::Statements;
use crate::fault::{Span, Victim, spans};
use crate::ids::PartitionId;
use crate::outage::{MOST, Outage, SHORTEST_NS};
use crate::result::{CellResult, PartitionChange, PartitionRecovery, Recovery, Second, Stretch};
use crate::settings::{Acks, Arrival, Length, Load};
use crate::verdict::TallyKind;
use std::collections::BTreeMap;

const SECOND_NS: u64 = 1_000_000_000;
/// A p99 is back within so many hundredths of its baseline.
const WITHIN_PERCENT: u64 = 110;

/// One entry for each act that was carried out; the result has its course by second already.
pub(super) fn recovery(result: &CellResult, statements: &Statements) -> Vec<Recovery> {
    let spans = spans(&result.faults);
    let watched = Watched { result, statements, outages: outages(result, statements) };
    let first_ns = spans.iter().map(|span| span.from_ns).min().unwrap_or(0);
    let baseline = baseline_p99_ns(result, first_ns);
    spans.iter().map(|span| watched.over(span, until_ns(span, &spans), &baseline)).collect()
}

/// The next act that begins after this one was undone: what is seen from there on is of that one.
fn until_ns(span: &Span, spans: &[Span]) -> u64 {
    let after_ns = span.to_ns.unwrap_or(u64::MAX);
    spans.iter().map(|next| next.from_ns).filter(|from_ns| *from_ns >= after_ns).min().unwrap_or(u64::MAX)
}

/// Outages as whoever counts saw them, after T0; an error says why there are none.
fn outages(result: &CellResult, statements: &Statements) -> Result<Vec<Outage>, String> {
    let cell = &result.cell;
    let of_producer = |victim: Victim| victim == Victim::Producer;
    if cell.deaths.iter().any(|death| of_producer(death.worker))
        || cell.kills.iter().any(|kill| of_producer(kill.worker))
    {
        return Err("a producer died, and what it had noted with it".into());
    }
    let acks0 = cell.settings.producer.acks == Acks::Zero;
    let workers: Vec<_> = match acks0 {
        true => vec![&statements.reader],
        false => statements.producers.iter().collect(),
    };
    let mut all = Vec::new();
    for worker in workers {
        let Some(found) = &worker.outages else {
            return Err("not noted by the version that made this run".into());
        };
        if found.len() >= MOST {
            return Err(format!("more than {MOST} outages were noted"));
        }
        let after = |ns: u64| ns.saturating_sub(statements.t0_ns);
        all.extend(found.iter().map(|it| Outage {
            from_ns: after(it.from_ns),
            error_ns: it.error_ns.map(after),
            to_ns: it.to_ns.map(after),
            ..*it
        }));
    }
    Ok(all)
}

/// The median of the p99 of the whole seconds between the warm-up and the first fault.
fn baseline_p99_ns(result: &CellResult, first_ns: u64) -> Result<u64, String> {
    let load = &result.cell.settings.load;
    if load.arrival.is_bursts() {
        return Err("bursts have no steady latency".into());
    }
    let before = |second: &&Second| {
        let from_ns = u64::from(second.second) * SECOND_NS;
        load.warmup_ns <= from_ns && from_ns + SECOND_NS <= first_ns
    };
    let seconds = result.seconds.iter().filter(before);
    let mut values: Vec<u64> = seconds.filter_map(|second| p99_ns(result, second)).collect();
    values.sort_unstable();
    let middle = values.get(values.len() / 2).copied().filter(|_| values.len() >= 2);
    middle.ok_or("fewer than two measured seconds before the first fault".into())
}

/// Of the latency that counts: with acks=0 end to end.
fn p99_ns(result: &CellResult, second: &Second) -> Option<u64> {
    let acks0 = result.cell.settings.producer.acks == Acks::Zero;
    let figures = if acks0 { second.end_to_end_ns } else { second.publish_ns };
    figures.map(|[_, p99, _]| p99)
}

/// Records are due between these instants after T0.
fn is_asked(load: &Load, from_ns: u64, until_ns: u64) -> bool {
    match (&load.arrival, load.length) {
        (Arrival::Bursts(bursts), _) => bursts.iter().any(|burst| (from_ns..until_ns).contains(&burst.at_ns)),
        // As long as it takes.
        (Arrival::Max, Length::Records(_)) => true,
        _ => from_ns < load.span_ns(),
    }
}

struct Watched<'a> {
    result: &'a CellResult,
    statements: &'a Statements,
    outages: Result<Vec<Outage>, String>,
}

impl Watched<'_> {
    fn over(&self, span: &Span, until_ns: u64, baseline: &Result<u64, String>) -> Recovery {
        let partitions = self.partitions(span, until_ns);
        let worst = partitions.iter().max_by_key(|it| length(&it.unavailable));
        let unavailable = match (worst, &self.outages) {
            (_, Err(why)) => Stretch::Unknown(why.clone()),
            (Some(worst), Ok(_)) => worst.unavailable.clone(),
            (None, Ok(_)) => Stretch::Below(SHORTEST_NS),
        };
        let first_success = match (&unavailable, worst) {
            (Stretch::Ns(_), Some(worst)) => {
                let first_ns = worst.first_success_ns.unwrap_or(span.from_ns);
                Stretch::Ns(first_ns.saturating_sub(span.from_ns))
            }
            (Stretch::AtLeast(_), _) => Stretch::AtLeast(self.ended_ns().saturating_sub(span.from_ns)),
            (other, _) => other.clone(),
        };
        Recovery {
            fault: span.words(),
            from_ns: span.from_ns,
            to_ns: span.to_ns,
            unavailable,
            first_success,
            baseline_p99_ns: baseline.as_ref().ok().copied(),
            p99_back: match baseline {
                Ok(baseline_ns) => self.p99_back(span, until_ns, *baseline_ns),
                Err(why) => Stretch::Unknown(why.clone()),
            },
            isr_full: self.isr_full(span, until_ns),
            drained: self.drained(span, until_ns),
            partitions,
        }
    }

    /// When the last producer ended, after T0.
    fn ended_ns(&self) -> u64 {
        let ended = self.statements.producers.iter().map(|done| done.ended_ns);
        ended.max().unwrap_or(0).saturating_sub(self.statements.t0_ns)
    }

    /// The longest outage of each partition while the fault or its traces lasted.
    fn partitions(&self, span: &Span, until_ns: u64) -> Vec<PartitionRecovery> {
        let Ok(outages) = &self.outages else { return Vec::new() };
        let ended_ns = self.ended_ns();
        // Where nothing was due, nobody would have seen an outage.
        let is_asked = is_asked(&self.result.cell.settings.load, span.from_ns, until_ns);
        let lasted = |it: &Outage| it.to_ns.unwrap_or(ended_ns).saturating_sub(it.from_ns);
        // What begins when all is undone is not its doing.
        let undone_ns = span.to_ns.map_or(until_ns, |to_ns| until_ns.min(to_ns.saturating_add(SECOND_NS)));
        let concerns =
            |it: &&Outage| it.from_ns < undone_ns && it.to_ns.is_none_or(|to_ns| to_ns > span.from_ns);
        let partitions = (0..self.result.cell.settings.topic.partitions).map(PartitionId);
        partitions
            .map(|partition| {
                let own = outages.iter().filter(|it| it.partition == partition).filter(concerns);
                let longest = own.max_by_key(|it| lasted(it));
                PartitionRecovery {
                    partition,
                    unavailable: match longest {
                        None if !is_asked => Stretch::Unknown("nothing was due from then on".into()),
                        None => Stretch::Below(SHORTEST_NS),
                        Some(it) if it.to_ns.is_none() => Stretch::AtLeast(lasted(it)),
                        Some(it) => Stretch::Ns(lasted(it)),
                    },
                    last_success_ns: longest.map(|it| it.from_ns),
                    first_error_ns: longest.and_then(|it| it.error_ns),
                    first_success_ns: longest.and_then(|it| it.to_ns),
                }
            })
            .collect()
    }

    /// Seconds from the one of the act up to the next fault.
    fn seconds(&self, span: &Span, until_ns: u64) -> impl Iterator<Item = &Second> {
        let first = span.from_ns / SECOND_NS;
        let concerns = move |second: &&Second| {
            u64::from(second.second) >= first && u64::from(second.second) * SECOND_NS < until_ns
        };
        self.result.seconds.iter().filter(concerns)
    }

    fn p99_back(&self, span: &Span, until_ns: u64, baseline_ns: u64) -> Stretch {
        let limit_ns = baseline_ns.saturating_mul(WITHIN_PERCENT) / 100;
        let known =
            self.seconds(span, until_ns).filter_map(|second| Some((second, p99_ns(self.result, second)?)));
        // By the second in which records were due: the first good one begins where it begins.
        back(span, known.map(|(second, ns)| (second.second, ns > limit_ns)), 0)
    }

    fn drained(&self, span: &Span, until_ns: u64) -> Stretch {
        let unknown = |why: &str| Stretch::Unknown(why.to_owned());
        let dropped = self.result.verdict.as_ref().and_then(|it| it.tallies.get(&TallyKind::Acks0Drop));
        if dropped.is_some_and(|tally| tally.count > 0) {
            return unknown("what was dropped never arrives");
        }
        if self.result.seconds.iter().any(|second| second.arrived.is_none()) {
            return unknown("when answers came was not stored by the version that made this run");
        }
        let mut failed: BTreeMap<u32, u64> = BTreeMap::new();
        for [second, count] in self.result.failed_by_second.values().flatten() {
            *failed.entry(u32::try_from(*second).unwrap_or(u32::MAX)).or_default() += count;
        }
        let (mut due, mut answered) = (0_u64, 0_u64);
        let mut waiting: BTreeMap<u32, u64> = BTreeMap::new();
        for second in &self.result.seconds {
            due += second.records;
            answered += second.arrived.unwrap_or(0) + failed.get(&second.second).copied().unwrap_or(0);
            waiting.insert(second.second, due.saturating_sub(answered));
        }
        let act = u32::try_from(span.from_ns / SECOND_NS).unwrap_or(u32::MAX);
        let before = waiting.range(..act).map(|(_, count)| *count).max().unwrap_or(0);
        let counts = self
            .seconds(span, until_ns)
            .filter_map(|second| Some((second.second, *waiting.get(&second.second)?)));
        // Known at the end of a second only.
        back(span, counts.map(|(second, count)| (second, count > before)), SECOND_NS)
    }

    fn isr_full(&self, span: &Span, until_ns: u64) -> Stretch {
        let changes = &self.statements.partitions;
        if changes.is_empty() {
            return Stretch::Unknown("nobody watched the replicas".into());
        }
        let replicas = usize::from(self.result.cell.settings.topic.replication_factor);
        let mut short: BTreeMap<PartitionId, bool> = BTreeMap::new();
        let mut was_short = false;
        let mut last_ns = span.from_ns;
        for PartitionChange { at_ns, partition, leader, isr, .. } in
            changes.iter().filter(|it| it.at_ns < until_ns)
        {
            let before = short.values().any(|short| *short);
            short.insert(*partition, isr.len() < replicas || leader.is_none());
            let now = short.values().any(|short| *short);
            if *at_ns < span.from_ns {
                continue;
            }
            was_short |= before || now;
            last_ns = *at_ns;
            if before && !now {
                return Stretch::Ns(at_ns - span.from_ns);
            }
        }
        match was_short || short.values().any(|short| *short) {
            true => Stretch::AtLeast(last_ns - span.from_ns),
            false => Stretch::Unknown("no replica left".into()),
        }
    }
}

/// From the act to the first second that is not disturbed after those that are, and `late_ns` more; by second and whether it is
/// disturbed. What begins more than two seconds after the act is not its doing.
fn back(span: &Span, seconds: impl Iterator<Item = (u32, bool)>, late_ns: u64) -> Stretch {
    let latest = span.from_ns / SECOND_NS + 2;
    let mut last: Option<u32> = None;
    let since_ns = |second: u32| (u64::from(second) * SECOND_NS).saturating_sub(span.from_ns);
    for (second, is_disturbed) in seconds {
        match (is_disturbed, last) {
            (true, None) if u64::from(second) > latest => break,
            (true, _) => last = Some(second),
            (false, Some(_)) => return Stretch::Ns(since_ns(second) + late_ns),
            (false, None) => {}
        }
    }
    match last {
        Some(last) => Stretch::AtLeast(since_ns(last + 1)),
        None => Stretch::Below(SECOND_NS),
    }
}

/// To compare by.
fn length(stretch: &Stretch) -> (bool, u64) {
    match stretch {
        Stretch::Ns(ns) => (false, *ns),
        Stretch::AtLeast(ns) => (true, *ns),
        Stretch::Below(_) | Stretch::Unknown(_) => (false, 0),
    }
}

#[cfg(test)]
mod tests;
