//! The role `read`: every partition is read while records are produced; each record's first delivery is timed.

use super::control::Control;
use super::{WorkerError, emit, write_file};
use crate::clock;
use crate::kafka::reader::{Item, Reader};
use crate::kafka::{KafkaError, client_version};
use bench_model::effects::output;
use bench_model::ids::{BookKey, PartitionId, ProducerId};
use bench_model::latency::{Series, Set};
use bench_model::message;
use bench_model::outage::Outages;
use bench_model::visibility::{VISIBLE, Visible, to_json};
use bench_model::wire::{Done, Event, Progress, ReadSpec, WorkerSpec};
use std::collections::BTreeMap;
use std::time::Duration;

const SECOND_NS: u64 = 1_000_000_000;
const CONNECT: Duration = Duration::from_secs(30);

/// Plays the role; ends at the offsets that `Finish` names, or at its deadline.
pub(super) fn read(spec: &WorkerSpec, role: &ReadSpec, control: &Control) -> Result<(), WorkerError> {
    let starts = (0..spec.partitions).map(|partition| (partition, 0)).collect();
    let open = |starts: &BTreeMap<u16, i64>| Reader::open(&role.properties, &spec.topic, starts, CONNECT);
    let reader = open(&starts)?;
    let settings = reader.settings().clone();
    let mut state = Deliveries {
        book: spec.book,
        is_output: role.output,
        t0_ns: 0,
        end_to_end: Series::stocked(role.load.seconds()),
        seen: BTreeMap::new(),
        stranded: Vec::new(),
        again: vec![false; usize::from(spec.partitions)],
        next_offset: vec![-1; usize::from(spec.partitions)],
        end_of_records: vec![0; usize::from(spec.partitions)],
        visible: Visible::new(),
        outages: Outages::new(spec.partitions),
        done: Done::default(),
    };
    prove_position(reader, &mut state, spec).and_then(|mut reader| {
        clock::tighten_timers();
        clock::prefer_this_thread();
        emit(&Event::Ready { client: client_version(), settings });
        state.t0_ns = control.wait_for_start().ok_or(WorkerError::NoStart)?;
        state.outages.start(state.t0_ns);
        state.done.drained = state.follow(&mut reader, control, &open);
        state.done.ended_ns = clock::now_ns();
        state.done.total = state.progress(state.done.ended_ns);
        let mut set = Set::default();
        set.insert(if role.output { "output" } else { "end_to_end" }, state.end_to_end);
        write_file(spec, "latency.hlog", set.to_text().as_bytes())?;
        if !state.visible.is_empty() {
            write_file(spec, VISIBLE, to_json(&state.visible).as_bytes())?;
        }
        state.done.ends_of_records = state.end_of_records;
        state.done.outages = Some(state.outages.finish([].into_iter(), state.done.ended_ns));
        emit(&Event::Done(Box::new(state.done)));
        Ok(())
    })
}

/// Reads until the (empty) end of every partition was seen: from here on nothing can be missed.
fn prove_position(
    mut reader: Reader,
    state: &mut Deliveries,
    spec: &WorkerSpec,
) -> Result<Reader, WorkerError> {
    let deadline_ns = clock::now_ns() + CONNECT.as_nanos() as u64;
    while state.next_offset.contains(&-1) {
        let now_ns = clock::now_ns();
        if now_ns > deadline_ns {
            let act =
                format!("the reader did not reach the end of every partition of {} in time", spec.topic);
            return Err(WorkerError::File(act, std::io::ErrorKind::TimedOut.into()));
        }
        reader.poll_until(now_ns + SECOND_NS / 10, |item| state.take(&item, now_ns));
    }
    Ok(reader)
}

/// Opens a reader at these offsets.
type Open<'a> = &'a dyn Fn(&BTreeMap<u16, i64>) -> Result<Reader, KafkaError>;

struct Deliveries {
    book: BookKey,
    /// Of a pipeline: a transaction is told by the life of the member that wrote it.
    is_output: bool,
    t0_ns: u64,
    end_to_end: Series,
    /// By (producer, partition): which sequences were delivered.
    seen: BTreeMap<(u16, u16), Seen>,
    /// Partitions whose log ends before what was read of them.
    stranded: Vec<u16>,
    /// Partitions that are read from their beginning for another time: what was delivered before does not count again.
    again: Vec<bool>,
    /// -1 until something is known.
    next_offset: Vec<i64>,
    end_of_records: Vec<i64>,
    visible: Visible,
    outages: Outages,
    done: Done,
}

impl Deliveries {
    fn follow(&mut self, reader: &mut Reader, control: &Control, open: Open<'_>) -> bool {
        let mut next_progress_ns = self.t0_ns + SECOND_NS;
        let mut ends: Option<Vec<i64>> = None;
        loop {
            let mut now_ns = clock::now_ns();
            if now_ns >= next_progress_ns {
                next_progress_ns += SECOND_NS;
                emit(&Event::Progress(self.progress(now_ns)));
            }
            if let Some(deadline_ns) = control.finish_by_ns() {
                let ends = ends.get_or_insert_with(|| control.end_offsets());
                if self.next_offset.iter().zip(ends.iter()).all(|(next, end)| next >= end) {
                    return true;
                }
                if now_ns >= deadline_ns {
                    return false;
                }
            }
            // The clock is read once for each array of records: they were handed over together.
            let mut first = true;
            reader.poll_until(now_ns + SECOND_NS / 100, |item| {
                if std::mem::take(&mut first) {
                    now_ns = clock::now_ns();
                }
                self.take(&item, now_ns);
            });
            if !self.stranded.is_empty() {
                self.begin_again(reader, open);
            }
        }
    }

    /// What was lost and what came in its place, nobody can tell here: the whole partition is read again.
    fn begin_again(&mut self, reader: &mut Reader, open: Open<'_>) {
        for partition in self.stranded.drain(..).map(usize::from) {
            self.next_offset[partition] = 0;
            self.end_of_records[partition] = 0;
            self.again[partition] = true;
        }
        let starts = (0_u16..).zip(self.next_offset.iter().copied()).collect();
        // By a client of its own: librdkafka aborts when partitions are assigned while they are still being given up.
        match open(&starts) {
            Ok(fresh) => *reader = fresh,
            // It will not reach the end then, which is told.
            Err(error) => {
                emit(&Event::ClientError { at_ns: clock::now_ns(), text: error.to_string(), fatal: false });
            }
        }
    }

    #[inline]
    fn take(&mut self, item: &Item<'_>, now_ns: u64) {
        match item {
            Item::Record { partition, offset, payload } => {
                self.next_offset[usize::from(*partition)] = offset + 1;
                self.end_of_records[usize::from(*partition)] = offset + 1;
                let again = self.again[usize::from(*partition)];
                self.done.total.records += u64::from(!again);
                let Some(header) = message::peek(payload, self.book) else { return };
                if header.transaction > 0 {
                    let of_member = if self.is_output { output::peek_writer(payload) } else { None };
                    let (writer, life) = of_member
                        .map_or((header.producer, header.incarnation), |(member, life)| {
                            (ProducerId(member.0), life)
                        });
                    let seen = self.visible.entry((writer, life)).or_default();
                    let index = header.transaction as usize - 1;
                    if seen.len() <= index {
                        seen.resize(index + 1, 0);
                    }
                    seen[index] = now_ns;
                }
                let seen = self.seen.entry((header.producer.0, header.partition.0)).or_default();
                // What is jumped over was due, and may never come.
                let asked_ns = if header.sequence > seen.next { 0 } else { header.intended_ns };
                if !seen.is_first(header.sequence) {
                    self.done.duplicates += u64::from(!again);
                    return;
                }
                self.done.total.records += u64::from(again);
                self.done.negative += u64::from(now_ns < header.intended_ns);
                let second = header.intended_ns.saturating_sub(self.t0_ns) / SECOND_NS;
                self.end_to_end.record(second as usize, now_ns.saturating_sub(header.intended_ns));
                self.outages.success(PartitionId(*partition), asked_ns, now_ns);
            }
            Item::End { partition, offset } => self.next_offset[usize::from(*partition)] = *offset,
            Item::Error { partition, text, stranded } => {
                self.stranded.extend(u16::try_from(*partition).ok().filter(|_| *stranded));
                emit(&Event::ClientError {
                    at_ns: now_ns,
                    text: format!("reading partition {partition}: {text}"),
                    fatal: false,
                });
            }
        }
    }

    fn progress(&self, now_ns: u64) -> Progress {
        Progress { at_ns: now_ns, cpu_ns: clock::process_cpu_ns(), ..self.done.total }
    }
}

/// Which sequences of one producer and partition were delivered: everything below `next` except the holes.
#[derive(Debug, Default)]
struct Seen {
    next: u64,
    /// Start to end (exclusive).
    holes: BTreeMap<u64, u64>,
}

impl Seen {
    #[inline]
    fn is_first(&mut self, sequence: u64) -> bool {
        if sequence >= self.next {
            if sequence > self.next {
                self.holes.insert(self.next, sequence);
            }
            self.next = sequence + 1;
            return true;
        }
        let Some((start, end)) = self.holes.range(..=sequence).next_back().map(|(start, end)| (*start, *end))
        else {
            return false;
        };
        if sequence >= end {
            return false;
        }
        self.holes.remove(&start);
        if start < sequence {
            self.holes.insert(start, sequence);
        }
        if sequence + 1 < end {
            self.holes.insert(sequence + 1, end);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Seen;

    #[test]
    fn only_the_first_delivery_of_a_sequence_counts() {
        let mut seen = Seen::default();
        let firsts: Vec<bool> =
            [0, 1, 5, 3, 3, 2, 4, 4, 0, 6].iter().map(|sequence| seen.is_first(*sequence)).collect();
        assert_eq!(firsts, [true, true, true, true, false, true, true, false, false, true]);
        assert!(seen.holes.is_empty());
    }
}
