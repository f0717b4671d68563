//! The role `consume`: joins the group, waits for its share and the start, lives, and writes its files.

mod batch;
mod commits;
mod life;
mod serve;

use super::control::Control;
use super::{WorkerError, emit, write_file};
use crate::clock;
use crate::kafka::member::Member;
use crate::kafka::{client_version, properties};
use bench_model::latency::Set;
use bench_model::processing::{JournalMut, file_bytes};
use bench_model::wire::{ConsumeSpec, Event, WorkerSpec};
use commits::Commits;
use life::{Client, Life};

/// Plays the role; ends at `Finish`, or where the specification says.
pub(super) fn consume(spec: &WorkerSpec, role: &ConsumeSpec, control: &Control) -> Result<(), WorkerError> {
    let path = std::path::Path::new(&spec.directory).join("journal.bin");
    let file_error = |error| WorkerError::File(path.display().to_string(), error);
    let mut mapping = map_journal(&path, role.journal_entries).map_err(file_error)?;
    let journal = JournalMut::create(&mut mapping, role.member, role.incarnation);
    let client = format!("bench-runner-member-{}-{}", role.member, role.incarnation);
    let properties = properties::member(&spec.bootstrap, &client, &role.group, &role.settings);
    let member = Member::join(&properties, &spec.topic, role.settings.batch_records as usize)?;
    let mut life = Life::new(spec, role, Commits::new(journal, spec.partitions, role.load.seconds()));
    let mut client = Client { member, settings: &role.settings };
    // Who joins later takes what the others leave.
    let together = role.incarnation.0 == 0 && role.member.0 < role.settings.members;
    life.await_assignment(&mut client, together)?;
    clock::tighten_timers();
    clock::prefer_this_thread();
    emit(&Event::Ready { client: client_version(), settings: client.member.settings().clone() });
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

/// The journal's file, as large as it will ever be and resident, so that no store waits for a page.
fn map_journal(path: &std::path::Path, entries: u64) -> Result<memmap2::MmapMut, std::io::Error> {
    let file = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    file.set_len(file_bytes(entries) as u64)?;
    // SAFETY: the file lies in this worker's own directory; nobody else writes to it or truncates it.
    unsafe { memmap2::MmapOptions::new().populate().map_mut(&file) }
}
