//! Offending records by name: when they were due, and which fault was active at that instant.

use super::figures::duration;
use super::page::Block;
use super::table::Table;
use super::view::{View, word};
use bench_model::fault::{Span, spans};
use bench_model::ids::ProducerId;
use bench_model::plan::Cell;
use bench_model::profile::grouped;
use bench_model::schedule::{Placement, Schedule};
use bench_model::settings::Arrival;
use bench_model::verdict::Offender;
use std::collections::{BTreeMap, BTreeSet};

/// Producer, home partition, sequence.
type Identity = (u16, u16, u64);

/// Offenders in a row that share everything but their sequence and instant.
#[derive(Debug)]
struct Stretch {
    producer: String,
    partition: u16,
    first: Option<u64>,
    last: Option<u64>,
    due_ns: Option<[u64; 2]>,
    fault: String,
}

/// The table of offending records, where there are any.
pub fn describe(view: &View, blocks: &mut Vec<Block>) {
    let mut table = Table::new([
        "cell",
        "finding",
        ">producer",
        ">partition",
        ">sequences",
        ">due after T0",
        "fault active when due",
    ]);
    for cell in &view.run.cells {
        let result = &cell.result;
        let spans = spans(&result.faults);
        for (kind, tally) in result.judged().iter().flat_map(|verdict| &verdict.tallies) {
            if tally.offenders.is_empty() {
                continue;
            }
            let (shown, count) = (tally.offenders.len() as u64, tally.count);
            let finding = match shown < count {
                true => format!("{}: first {} of {}", word(kind), grouped(shown), grouped(count)),
                false => format!("{}: {}", word(kind), grouped(count)),
            };
            for stretch in stretches(&tally.offenders, &due_instants(&result.cell, &tally.offenders), &spans)
            {
                table.row([
                    result.cell.id.clone(),
                    finding.clone(),
                    stretch.producer,
                    stretch.partition.to_string(),
                    range(stretch.first.map(grouped), stretch.last.map(grouped)),
                    range(
                        stretch.due_ns.map(|[first, _]| duration(first as f64)),
                        stretch.due_ns.map(|[_, last]| duration(last as f64)),
                    ),
                    stretch.fault,
                ]);
            }
        }
    }
    if !table.is_empty() {
        blocks.push(Block::Heading(2, "Offending records".into()));
        blocks.push(Block::Table(table));
    }
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
        let producer = offender.producer.map_or("n/a".into(), |producer| producer.to_string());
        let due_ns = identity(offender).and_then(|identity| due.get(&identity)).copied();
        let fault = match due_ns {
            None if spans.is_empty() => "none".into(),
            None => "unknown: no planned instant".into(),
            Some(due_ns) => active(spans, due_ns),
        };
        if let Some(open) = list.last_mut()
            && open.producer == producer
            && open.partition == offender.partition.0
            && open.fault == fault
            && open.last.is_some()
            && open.last.map(|last| last + 1) == offender.sequence
        {
            open.last = offender.sequence;
            if let (Some([_, last_ns]), Some(due_ns)) = (&mut open.due_ns, due_ns) {
                *last_ns = due_ns;
            }
            continue;
        }
        list.push(Stretch {
            producer,
            partition: offender.partition.0,
            first: offender.sequence,
            last: offender.sequence,
            due_ns: due_ns.map(|ns| [ns, ns]),
            fault,
        });
    }
    list
}

fn active(spans: &[Span], due_ns: u64) -> String {
    let names: Vec<String> = spans.iter().filter(|span| span.holds_at(due_ns)).map(Span::words).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
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
        let (partitions, batch_bytes) = (cell.settings.topic.partitions, cell.settings.producer.batch_bytes);
        let mut placement = Placement::new(partitions, id, batch_bytes, load.record_bytes);
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
