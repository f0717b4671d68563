//! The role `consume`: joins the group, waits for its share and the start, lives, and writes its files.

mod batch;
mod commits;
mod life;
mod outlet;
mod pipeline;
mod serve;
mod writer;

use super::control::Control;
use super::{WorkerError, emit, map, write_file};
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
use pipeline::{Membership, Pipeline};
use std::collections::BTreeMap;
use writer::Writer;

/// Plays the role; ends at `Finish`, or where the specification says.
pub(super) fn consume(spec: &WorkerSpec, role: &ConsumeSpec, control: &Control) -> Result<(), WorkerError> {
    let mut mapping = map(spec, "journal.bin", file_bytes(role.journal_entries))?;
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
    mapping.flush().map_err(|error| WorkerError::File(spec.directory.clone(), error))?;
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
    let membership = (role.settings.commit == CommitStrategy::Transaction).then(Membership::default);
    let sink: Box<dyn Sink> = match &role.pipe {
        Some(pipe) => Box::new(Pipeline::open(spec, role, pipe, place, membership.clone())?),
        None => sink::open(settings, place)?,
    };
    let effective =
        sink.effective().iter().map(|(key, value)| (format!("sink.{key}"), value.clone())).collect();
    let waker = member.waker()?;
    let writer = Writer::start(sink, move || waker.wake());
    let who = (role.member, role.incarnation);
    let outlet = Outlet::new(writer, who, spec.partitions, role.load.seconds(), membership);
    Ok((Some(outlet), effective))
}
