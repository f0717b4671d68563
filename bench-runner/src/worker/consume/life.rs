//! One life of a group member, from its first assignment to its ending: the loop over batches and what is due by the clock.

use super::batch::{Alike, InHand};
use super::commits::Commits;
use super::outlet::Outlet;
use crate::clock;
use crate::kafka::member::Member;
use crate::worker::control::Control;
use crate::worker::{WorkerError, emit};
use bench_model::fault::Death;
use bench_model::ids::BookKey;
use bench_model::latency::Series;
use bench_model::processing::JournalMut;
use bench_model::service::ServiceTimes;
use bench_model::settings::{CommitStrategy, GroupSettings};
use bench_model::wire::{ConsumeSpec, Done, Event, Progress, WorkerSpec};
use std::time::Duration;

const SECOND_NS: u64 = 1_000_000_000;
/// How long the group may take to give partitions, once it has given up its dead members.
const ASSIGNMENT_NS: u64 = 30 * SECOND_NS;
/// How long the client may take to answer a question about offsets.
pub(super) const ASK: Duration = Duration::from_secs(10);

/// How a life ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The runner said that everything is processed.
    Finished,
    /// By its specification, in mid-batch: the consumer is closed and nothing else is done.
    Closed,
    /// Something that the runner has to know.
    Early(String),
}

/// The client and what it was asked to do.
pub(super) struct Client<'s> {
    pub(super) member: Member,
    pub(super) settings: &'s GroupSettings,
}

/// See the file's purpose.
pub(super) struct Life<'a> {
    pub(super) book: BookKey,
    pub(super) commits: Commits<'a>,
    pub(super) batch: Vec<InHand>,
    /// Where rows go, if there is a sink.
    pub(super) outlet: Option<Outlet>,
    /// The last instant that was read.
    pub(super) now_ns: u64,
    pub(super) t0_ns: u64,
    pub(super) begun: u64,
    pub(super) death: Option<Death>,
    pub(super) service: ServiceTimes,
    /// Found while a change was served.
    pub(super) ending: Option<Ending>,
    pub(super) next_progress_ns: u64,
    pub(super) next_commit_ns: u64,
    /// A change was answered, so the group has said what is ours.
    pub(super) assigned: bool,
    pub(super) members: usize,
    /// By partition, the offset below which records were handed over before.
    pub(super) handed: Vec<i64>,
    /// Intended send to record in hand, by intended second; first deliveries.
    pub(super) in_hand: Series,
    /// The same of records that were handed over, or begun in an earlier life, before.
    pub(super) in_hand_again: Series,
    /// Record in hand to completed, by intended second.
    pub(super) processing: Series,
    pub(super) alike: Alike,
    /// By partition, the offset below which records were completed before, or begun in an earlier life.
    pub(super) effected: Vec<i64>,
    /// Intended send to completed, by intended second; first processings.
    pub(super) effect: Series,
    /// The same of records below `effected`.
    pub(super) effect_again: Series,
    pub(super) done: Done,
}

impl<'a> Life<'a> {
    pub(super) fn new(
        spec: &WorkerSpec,
        role: &ConsumeSpec,
        commits: Commits<'a>,
        outlet: Option<Outlet>,
    ) -> Self {
        let begun = || -> Vec<i64> {
            let partitions = 0..usize::from(spec.partitions);
            partitions.map(|partition| role.begun.get(partition).copied().unwrap_or(0)).collect()
        };
        Life {
            book: spec.book,
            commits,
            batch: Vec::with_capacity(role.settings.batch_records as usize + 1),
            outlet,
            now_ns: clock::now_ns(),
            t0_ns: 0,
            begun: 0,
            death: role.death,
            service: ServiceTimes::new(role.settings.service_ns, role.settings.service_spread, role.seed),
            ending: None,
            next_progress_ns: u64::MAX,
            next_commit_ns: u64::MAX,
            assigned: false,
            members: usize::from(role.settings.members.max(1)),
            handed: begun(),
            in_hand: Series::stocked(role.load.seconds()),
            in_hand_again: Series::new(role.load.seconds()),
            processing: Series::stocked(role.load.seconds()),
            alike: Alike::default(),
            effected: begun(),
            effect: Series::stocked(role.load.seconds()),
            effect_again: Series::new(role.load.seconds()),
            done: Done::default(),
        }
    }

    /// Waits for the first assignment. In a group that has just been made, for one of a fair size: before that, members are
    /// missing, and another rebalance is to come.
    pub(super) fn await_assignment(
        &mut self,
        client: &mut Client<'_>,
        fair: bool,
    ) -> Result<(), WorkerError> {
        let deadline_ns = self.now_ns + ASSIGNMENT_NS + client.settings.session_timeout_ns;
        let fewest = self.commits.shares().len() / self.members;
        let most = self.commits.shares().len().div_ceil(self.members);
        while !self.assigned || (fair && !(fewest..=most).contains(&self.commits.owned())) {
            self.now_ns = clock::now_ns();
            if self.now_ns > deadline_ns {
                let act = format!("the member was given {} partitions in time", self.commits.owned());
                return Err(WorkerError::File(act, std::io::ErrorKind::TimedOut.into()));
            }
            self.take(client);
            self.serve_before_start(client)?;
        }
        Ok(())
    }

    /// Stays in the group until the start command; records that come before are kept in hand.
    pub(super) fn await_start(
        &mut self,
        client: &mut Client<'_>,
        control: &Control,
    ) -> Result<(), WorkerError> {
        loop {
            if let Some(t0_ns) = control.started()? {
                self.t0_ns = t0_ns;
                break;
            }
            if self.batch.is_empty() {
                self.take(client);
                self.serve_before_start(client)?;
            } else {
                self.t0_ns = control.wait_for_start().ok_or(WorkerError::NoStart)?;
                break;
            }
        }
        self.commits.start(self.t0_ns);
        self.now_ns = clock::now_ns();
        self.next_progress_ns = self.t0_ns.max(self.now_ns) + SECOND_NS;
        self.next_commit_ns = self.now_ns + client.settings.commit_interval_ns;
        self.watch_polls();
        Ok(())
    }

    fn serve_before_start(&mut self, client: &mut Client<'_>) -> Result<(), WorkerError> {
        match self.serve(client) {
            Some(Ending::Early(why)) => {
                Err(WorkerError::File(why, std::io::ErrorKind::ConnectionAborted.into()))
            }
            _ => Ok(()),
        }
    }

    /// Lives until the runner says that all is processed, or an ending comes before.
    pub(super) fn run(&mut self, client: &mut Client<'_>, control: &Control) -> Ending {
        loop {
            let ending = if self.outlet.is_some() { self.pump(client) } else { self.process(client) };
            if let Some(ending) = ending {
                return ending;
            }
            if let Some(ending) = self.serve(client) {
                return ending;
            }
            self.now_ns = clock::now_ns();
            self.tick(client);
            if control.finish_by_ns().is_some() {
                return Ending::Finished;
            }
            if self.outlet.is_some() {
                self.take_ahead(client);
            } else {
                self.take(client);
            }
        }
    }

    /// What is due by the clock: progress once a second, a commit once an interval.
    #[inline]
    pub(super) fn tick(&mut self, client: &mut Client<'_>) {
        if self.now_ns >= self.next_progress_ns {
            self.next_progress_ns += SECOND_NS;
            emit(&Event::Progress(self.progress()));
        }
        if client.settings.commit == CommitStrategy::Interval && self.now_ns >= self.next_commit_ns {
            self.next_commit_ns = self.now_ns + client.settings.commit_interval_ns;
            let offsets = self.commits.not_asked();
            self.commits.call(&mut client.member, &offsets);
        }
    }

    pub(super) fn progress(&self) -> Progress {
        Progress { at_ns: self.now_ns, cpu_ns: clock::process_cpu_ns(), ..self.done.total }
    }

    /// The journal, to be closed, and the latencies by name.
    pub(super) fn into_parts(mut self) -> (JournalMut<'a>, Vec<(&'static str, Series)>) {
        self.enter_processed();
        let (journal, latency) = self.commits.into_parts(clock::now_ns());
        let mut series = vec![
            ("in_hand", self.in_hand),
            ("in_hand_again", self.in_hand_again),
            ("processing", self.processing),
            ("effect", self.effect),
            ("effect_again", self.effect_again),
            ("commit", latency),
        ];
        let t0_ns = self.t0_ns;
        series.extend(self.outlet.into_iter().flat_map(|outlet| outlet.into_series(t0_ns)));
        (journal, series)
    }
}
