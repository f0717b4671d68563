//! The role `consume`: joins the group, waits for its share and the start, lives, and writes its files.

mod batch;
mod commits;
mod life;
mod outlet;
mod pipeline;
mod serve;
mod timings;
mod writer;

use super::control::Control;
use super::{WorkerError, emit, write_file};
use crate::clock;
use crate::kafka::member::Member;
use crate::kafka::{client_version, properties};
use crate::sink::{self, Sink};
use bench_model::latency::Set;
use bench_model::processing::{JournalMut, file_bytes};
use bench_model::settings::CommitStrategy;
use bench_model::wire::{ConsumeSpec, Event, WorkerSpec};
use commits::Commits;
use life::{Client, Life};
use outlet::Outlet;
use pipeline::{Pipeline, Shared};
use std::collections::BTreeMap;
use timings::Timings;
use writer::Writer;

/// Plays the role; ends at `Finish`, or where the specification says.
pub(super) fn consume(spec: &WorkerSpec, role: &ConsumeSpec, control: &Control) -> Result<(), WorkerError> {
    let path = std::path::Path::new(&spec.directory).join("journal.bin");
    let file_error = |error| WorkerError::File(path.display().to_string(), error);
    let mut mapping = map_journal(&path, role.journal_entries).map_err(file_error)?;
    let mut journal = JournalMut::create(&mut mapping, role.member, role.incarnation);
    if role.settings.sink.is_some() {
        journal = journal.in_batches(role.settings.batch_records);
    }
    let client = format!("bench-runner-member-{}-{}", role.member, role.incarnation);
    let properties = properties::member(&spec.bootstrap, &client, &role.group, &role.settings);
    let member = Member::join(&properties, &spec.topic, role.settings.batch_records as usize)?;
    let (outlet, effective) = open_sink(spec, role, &member)?;
    let commits = Commits::new(journal, spec.partitions, role.load.seconds());
    let mut life = Life::new(spec, role, commits, outlet);
    let mut client = Client { member, settings: &role.settings };
    // Who joins later takes what the others leave.
    let together = role.incarnation.0 == 0 && role.member.0 < role.settings.members;
    life.await_assignment(&mut client, together)?;
    clock::tighten_timers();
    clock::prefer_this_thread();
    let mut settings = client.member.settings().clone();
    settings.extend(effective);
    emit(&Event::Ready { client: client_version(), settings });
    life.await_start(&mut client, control)?;
    let ending = life.run(&mut client, control);
    let done = life.end(client, ending);
    let (journal, latencies) = life.into_parts();
    journal.close();
    mapping.flush().map_err(file_error)?;
    let mut set = Set::default();
    for (name, series) in latencies {
        set.insert(name, series);
    }
    write_file(spec, "latency.hlog", set.to_text().as_bytes())?;
    emit(&Event::Done(Box::new(done)));
    Ok(())
}

/// The sink's connection on a thread of its own, and its durability settings as read back.
fn open_sink(
    spec: &WorkerSpec,
    role: &ConsumeSpec,
    member: &Member,
) -> Result<(Option<Outlet>, BTreeMap<String, String>), WorkerError> {
    let (Some(settings), Some(place)) = (&role.settings.sink, &role.sink) else {
        return Ok(Default::default());
    };
    let shared = (role.settings.commit == CommitStrategy::Transaction).then(Shared::default);
    let sink: Box<dyn Sink> = match &role.pipe {
        Some(pipe) => Box::new(Pipeline::open(spec, role, pipe, place, shared.clone())?),
        None => sink::open(settings, place)?,
    };
    let effective =
        sink.effective().iter().map(|(key, value)| (format!("sink.{key}"), value.clone())).collect();
    let waker = member.waker()?;
    let writer = Writer::start(sink, move || waker.wake());
    let who = (role.member, role.incarnation);
    let beside_producers = role.pipe.as_ref().is_some_and(|pipe| pipe.beside_producers);
    let timings =
        shared.as_ref().map(|shared| Timings::new(&shared.notes, role.load.seconds(), beside_producers));
    let outlet = Outlet::new(writer, who, spec.partitions, role.load.seconds(), shared.zip(timings));
    Ok((Some(outlet), effective))
}

/// Of a journal's file so much is resident before the start, so that no store waits for a page: a million entries. Its
/// room is for the worst case, which only strategies come near that commit each record: for five million records that is 1.2 GiB to touch.
const RESIDENT_BYTES: usize = 64 << 20;

/// The journal's file, as large as it will ever be.
fn map_journal(path: &std::path::Path, entries: u64) -> Result<memmap2::MmapMut, std::io::Error> {
    let file = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    file.set_len(file_bytes(entries) as u64)?;
    // SAFETY: the file lies in this worker's own directory; nobody else writes to it or truncates it.
    let mut mapping = unsafe { memmap2::MmapOptions::new().map_mut(&file)? };
    let resident = mapping.len().min(RESIDENT_BYTES);
    if mapping.advise_range(memmap2::Advice::PopulateWrite, 0, resident).is_err() {
        // Linux before 5.14 knows no such advice: touching does the same.
        mapping[..resident].fill(0);
    }
    Ok(mapping)
}
