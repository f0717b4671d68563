//! Offending records by name: where they are, when they were due, and what the fault was doing at that instant.

use super::figures::duration;
use super::page::Block;
use super::table::Table;
use super::view::{View, word};
use bench_model::fault::{Span, spans};
use bench_model::ids::ProducerId;
use bench_model::plan::Cell;
use bench_model::profile::grouped;
use bench_model::result::CellResult;
use bench_model::schedule::{Placement, Schedule};
use bench_model::settings::Arrival;
use bench_model::verdict::{Offender, Tally, TallyKind, Weight};
use std::collections::{BTreeMap, BTreeSet};

/// Producer, home partition, sequence.
type Identity = (u16, u16, u64);

/// Offenders in a row that share everything but their sequence, offset and instant.
#[derive(Debug)]
struct Stretch {
    producer: String,
    partition: u16,
    class: String,
    sequences: Option<[u64; 2]>,
    offsets: Option<[i64; 2]>,
    due_ns: Option<[u64; 2]>,
    /// Names of the faults that were active when the first one was due.
    active: Vec<String>,
}

/// What a finding is to its cell, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Violation,
    Predicted,
    Other,
}

impl Standing {
    /// Predicted is what the profile expects, or what the table of expectations allows under a fault.
    fn of(result: &CellResult, kind: TallyKind, tally: &Tally) -> Self {
        let planned = &result.cell;
        let is_price = tally.weight == Weight::Allowed || kind == TallyKind::Acks0Drop;
        let by_table = planned.expect.is_empty() && !planned.faults.is_empty() && is_price;
        let by_profile = planned.expect.get(kind.as_str()).is_some_and(|count| *count > 0);
        match tally.weight {
            _ if by_profile || by_table => Standing::Predicted,
            Weight::Violation => Standing::Violation,
            Weight::Allowed | Weight::Reported => Standing::Other,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Standing::Violation => "breaks the promise",
            Standing::Predicted => "predicted",
            Standing::Other => "allowed or reported",
        }
    }
}

/// A section for each finding that breaks a promise or was predicted, and one for all others; the first offenders of each.
pub fn describe(view: &View, blocks: &mut Vec<Block>) {
    let mut found: Vec<(Standing, &CellResult, TallyKind, &Tally)> = Vec::new();
    for result in view.run.cells.iter().map(|cell| &cell.result) {
        for (kind, tally) in result.judged().iter().flat_map(|verdict| &verdict.tallies) {
            if !tally.offenders.is_empty() {
                found.push((Standing::of(result, *kind, tally), result, *kind, tally));
            }
        }
    }
    found.sort_by_key(|(standing, ..)| *standing);
    if found.is_empty() {
        return;
    }
    blocks.push(Block::Heading(2, "Offending records".into()));
    let mut others = Vec::new();
    for (standing, result, kind, tally) in found {
        let (shown, count) = (tally.offenders.len() as u64, tally.count);
        let counts = match shown < count {
            true => format!("first {} of {}", grouped(shown), grouped(count)),
            false => grouped(count),
        };
        let (id, words) = (&result.cell.id, standing.words());
        let heading = format!("{id}: {}: {counts}, {words}", word(&kind));
        let table = Block::Table(table(result, tally));
        if standing == Standing::Other {
            others.push(Block::Details(heading, vec![table]));
        } else {
            blocks.push(Block::Heading(3, heading));
            blocks.push(Block::Text(format!("{}.", kind.explain())));
            blocks.push(table);
        }
    }
    blocks.append(&mut others);
}

fn table(result: &CellResult, tally: &Tally) -> Table {
    let spans = spans(&result.faults);
    let due = due_instants(&result.cell, &tally.offenders);
    let mut table = Table::new([
        ">producer",
        ">partition",
        ">sequences",
        ">offsets",
        "class",
        ">due after T0",
        "the fault when the first was due",
    ]);
    for stretch in stretches(&tally.offenders, &due, &spans) {
        let [first_ns, last_ns] = stretch.due_ns.map_or([None; 2], |ends| ends.map(Some));
        let [first, last] = stretch.sequences.map_or([None; 2], |ends| ends.map(Some));
        let [low, high] = stretch.offsets.map_or([None; 2], |ends| ends.map(Some));
        table.row([
            stretch.producer,
            stretch.partition.to_string(),
            range(first.map(grouped), last.map(grouped)),
            range(low.map(|offset| offset.to_string()), high.map(|offset| offset.to_string())),
            stretch.class,
            range(first_ns.map(|ns| duration(ns as f64)), last_ns.map(|ns| duration(ns as f64))),
            match first_ns {
                None if spans.is_empty() => "none".into(),
                None => "unknown: no planned instant".into(),
                Some(due_ns) => doing(&spans, due_ns),
            },
        ]);
    }
    table
}

fn range(first: Option<String>, last: Option<String>) -> String {
    match (first, last) {
        (Some(first), Some(last)) if first != last => format!("{first} – {last}"),
        (Some(first), _) => first,
        (None, _) => "n/a".into(),
    }
}

fn stretches(offenders: &[Offender], due: &BTreeMap<Identity, u64>, spans: &[Span]) -> Vec<Stretch> {
    let mut list: Vec<Stretch> = Vec::new();
    for offender in offenders {
        let due_ns = identity(offender).and_then(|identity| due.get(&identity)).copied();
        let active = spans.iter().filter(|span| due_ns.is_some_and(|due_ns| span.holds_at(due_ns)));
        let one = Stretch {
            producer: offender.producer.map_or("n/a".into(), |producer| producer.to_string()),
            partition: offender.partition.0,
            class: offender.class.map_or("n/a".into(), |class| word(&class)),
            sequences: offender.sequence.map(|sequence| [sequence; 2]),
            offsets: offender.offset.map(|offset| [offset; 2]),
            due_ns: due_ns.map(|ns| [ns; 2]),
            active: active.map(Span::words).collect(),
        };
        match list.last_mut() {
            Some(open) if open.goes_on_with(&one) => open.take(&one),
            _ => list.push(one),
        }
    }
    list
}

impl Stretch {
    fn goes_on_with(&self, next: &Stretch) -> bool {
        let common = |it: &Stretch| (it.producer.clone(), it.partition, it.class.clone(), it.active.clone());
        let follows = match (self.sequences, next.sequences) {
            (Some([_, last]), Some([first, _])) => last + 1 == first,
            _ => false,
        };
        let offsets = match (self.offsets, next.offsets) {
            (Some([_, last]), Some([first, _])) => last < first,
            (None, None) => true,
            _ => false,
        };
        common(self) == common(next) && follows && offsets
    }

    fn take(&mut self, next: &Stretch) {
        fn prolong<T: Copy>(own: &mut Option<[T; 2]>, next: Option<[T; 2]>) {
            if let (Some(own), Some(next)) = (own, next) {
                own[1] = next[1];
            }
        }
        prolong(&mut self.sequences, next.sequences);
        prolong(&mut self.offsets, next.offsets);
        prolong(&mut self.due_ns, next.due_ns);
    }
}

/// E.g. `followers stopped since 700 ms`, `20.0 ms before: leader killed`.
fn doing(spans: &[Span], due_ns: u64) -> String {
    let active: Vec<String> = spans
        .iter()
        .filter(|span| span.holds_at(due_ns))
        .map(|span| format!("{} since {}", span.words(), duration((due_ns - span.from_ns) as f64)))
        .collect();
    let next = spans.iter().filter(|span| span.from_ns > due_ns).min_by_key(|span| span.from_ns);
    match (active.is_empty(), next) {
        (false, _) => active.join(", "),
        (true, Some(next)) => {
            format!("none; {} before: {}", duration((next.from_ns - due_ns) as f64), next.words())
        }
        (true, None) => "none any more".into(),
    }
}

fn identity(offender: &Offender) -> Option<Identity> {
    Some((offender.producer?.0, offender.partition.0, offender.sequence?))
}

/// The intended instants of these records, nanoseconds after T0: schedule and placement are functions of the stored
/// cell. At full speed there are none.
fn due_instants(cell: &Cell, offenders: &[Offender]) -> BTreeMap<Identity, u64> {
    let mut due = BTreeMap::new();
    let load = &cell.settings.load;
    if matches!(load.arrival, Arrival::Max) {
        return due;
    }
    let mut wanted: BTreeSet<Identity> = offenders.iter().filter_map(identity).collect();
    let producers: BTreeSet<u16> = wanted.iter().map(|(producer, ..)| *producer).collect();
    for producer in producers {
        let id = ProducerId(producer);
        let mut schedule = Schedule::new(load, cell.seed, id);
        let partitions = cell.settings.topic.partitions;
        let in_a_row_bytes = cell.settings.producer.in_a_row_bytes(partitions, load.record_bytes);
        let mut placement = Placement::new(partitions, id, in_a_row_bytes, load.record_bytes);
        while let Some(due_ns) = schedule.peek()
            && wanted.iter().any(|(wanted, ..)| *wanted == producer)
        {
            let (partition, sequence, _) = placement.peek();
            let identity = (producer, partition as u16, sequence);
            if wanted.remove(&identity) {
                due.insert(identity, due_ns);
            }
            schedule.advance();
            placement.advance(1);
        }
    }
    due
}
