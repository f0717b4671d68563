//! A life with a sink: at most one batch on its way to the sink, at most one in hand behind it, and a client that is polled
//! all the while.
//!
//! The order of marks: all records of a batch are begun, the sink is asked, it answers, all are completed; only then does
//! the next batch begin.

use super::batch::{IDLE_NS, InHand};
use super::commits::tell_if_not;
use super::life::{ASK, Client, Ending, Life};
use super::pipeline::{Errors, Membership, Shared};
use super::timings::Timings;
use super::writer::{Writer, Written};
use crate::clock;
use crate::sink::{SinkError, SinkRow};
use bench_model::effects::{EffectRun, Held};
use bench_model::fault::Point;
use bench_model::ids::{Incarnation, MemberId, PartitionId};
use bench_model::latency::Series;
use bench_model::settings::CommitStrategy;
use std::ops::RangeInclusive;

const SECOND_NS: u64 = 1_000_000_000;
/// With a full hand: how long the client is not polled before fetching is paused, so that it can be.
const PAUSE_NS: u64 = SECOND_NS / 2;
/// Between two polls then.
const PAUSED_POLL_NS: u64 = SECOND_NS / 10;

/// A partition's part of the batch on its way.
#[derive(Debug, Clone, Copy)]
struct Part {
    held: Held,
    /// Which of our assignments of the partition it belongs to.
    tenure: u32,
}

/// See the file's purpose.
pub(super) struct Outlet {
    writer: Writer,
    member: MemberId,
    life: Incarnation,
    /// The batch on its way, the number of its first record, and its partitions.
    flying: Vec<InHand>,
    first: u64,
    parts: Vec<Part>,
    rows: Vec<SinkRow>,
    /// By partition, where the sink keeps the offsets.
    epochs: Vec<u64>,
    /// Where the group's words for us go before each batch, if the sink commits for us.
    membership: Option<Membership>,
    /// Of its transactions, if the sink has any.
    timings: Option<Timings>,
    /// Of its transactions.
    errors: Errors,
    /// Call to durable, by the second of the call.
    write: Series,
    pub(super) refused: u64,
    /// The batch in hand goes without more company at this instant.
    full_by_ns: u64,
    polled_ns: u64,
    pub(super) longest_unpolled_ns: u64,
}

impl Outlet {
    pub(super) fn new(
        writer: Writer,
        who: (MemberId, Incarnation),
        partitions: u16,
        seconds: usize,
        transactional: Option<(Shared, Timings)>,
    ) -> Self {
        let (shared, timings) = transactional.unzip();
        let (membership, errors) =
            shared.map(|Shared { membership, errors, .. }| (membership, errors)).unzip();
        let errors = errors.unwrap_or_default();
        Outlet {
            writer,
            member: who.0,
            life: who.1,
            flying: Vec::new(),
            first: 1,
            parts: Vec::new(),
            rows: Vec::new(),
            epochs: vec![0; usize::from(partitions)],
            membership,
            timings,
            errors,
            write: Series::new(seconds),
            refused: 0,
            full_by_ns: 0,
            polled_ns: u64::MAX,
            longest_unpolled_ns: 0,
        }
    }

    /// The series of writes and transactions, by name.
    pub(super) fn into_series(mut self, t0_ns: u64) -> Vec<(&'static str, Series)> {
        self.enter_timings(t0_ns);
        let mut series = vec![("sink_write", self.write)];
        series.extend(self.timings.into_iter().flat_map(Timings::into_series));
        series
    }

    fn enter_timings(&mut self, t0_ns: u64) {
        if let Some(timings) = &mut self.timings {
            timings.enter(t0_ns);
        }
    }

    /// Takes partitions over in the sink, if it keeps the offsets; gives where processing goes on, in the order asked.
    pub(super) fn take_over(
        &mut self,
        partitions: &[u16],
        meanwhile: impl FnMut(),
    ) -> Result<Vec<i64>, SinkError> {
        let taken = self.writer.take(partitions, meanwhile)?;
        for held in &taken {
            self.epochs[usize::from(held.partition.0)] = held.epoch;
        }
        let next = |at: &u16| taken.iter().find(|held| held.partition.0 == *at).map_or(-1, |held| held.next);
        Ok(partitions.iter().map(|at| next(at).max(0)).collect())
    }
}

impl Life<'_> {
    /// One turn: hears the sink, hands it the next batch once it is free, and takes records into hand meanwhile.
    pub(super) fn pump(&mut self, client: &mut Client<'_>) -> Option<Ending> {
        if let Some(ending) = self.hear_sink(client, false) {
            return Some(ending);
        }
        let most = client.settings.batch_records as usize;
        let ready = |life: &Self, outlet: &Outlet| {
            !outlet.writer.is_writing()
                && !life.batch.is_empty()
                && (life.batch.len() >= most
                    || life.now_ns >= outlet.full_by_ns
                    || client.member.has_changes())
        };
        if self.outlet.as_ref().is_some_and(|outlet| ready(self, outlet)) {
            return self.hand_over(client);
        }
        None
    }

    /// Takes records into hand, up to a batch; a full hand takes none, and the client is polled all the same.
    pub(super) fn take_ahead(&mut self, client: &mut Client<'_>) {
        let most = client.settings.batch_records as usize;
        let Some(outlet) = &mut self.outlet else { return };
        let since_ns = outlet.polled_ns;
        if self.batch.len() < most {
            tell_if_not(client.member.resume(|_| true));
            self.poll_ahead(client, most);
        } else if self.now_ns < since_ns.saturating_add(PAUSE_NS) {
            client.member.rest_until((self.now_ns + IDLE_NS).min(since_ns.saturating_add(PAUSE_NS)));
        } else {
            let ours = self.commits.ours();
            if client.member.paused() != ours {
                tell_if_not(client.member.pause(&ours));
            }
            // Nothing comes of paused partitions; what the group wants does.
            client.member.rest_until(self.now_ns + PAUSED_POLL_NS);
            self.poll_ahead(client, most + 1);
        }
        self.now_ns = clock::now_ns();
    }

    fn poll_ahead(&mut self, client: &mut Client<'_>, most: usize) {
        let was_empty = self.batch.is_empty();
        let Some(outlet) = &mut self.outlet else { return };
        let unpolled_ns = self.now_ns.saturating_sub(outlet.polled_ns);
        outlet.longest_unpolled_ns = outlet.longest_unpolled_ns.max(unpolled_ns);
        let idle_ns = self.now_ns + IDLE_NS;
        // The sink's answer ends the wait, too.
        let alone = was_empty || outlet.writer.is_writing();
        let until_ns = if alone { idle_ns } else { idle_ns.min(outlet.full_by_ns) };
        let waits = most <= client.settings.batch_records as usize && !client.member.has_changes();
        self.poll(client, most, if waits { until_ns } else { self.now_ns });
        let Some(outlet) = &mut self.outlet else { return };
        outlet.polled_ns = self.now_ns;
        if was_empty && !self.batch.is_empty() {
            outlet.full_by_ns = self.now_ns + client.settings.batch_wait_ns;
        }
        let lost = client.member.lost();
        if !lost.is_empty() {
            self.drop_from_hand(&lost);
        }
    }

    /// What was not begun of these partitions is somebody else's now.
    pub(super) fn drop_from_hand(&mut self, partitions: &[u16]) {
        self.batch.retain(|record| !partitions.contains(&record.partition));
    }

    /// Begins every record in hand, and gives their rows to the sink.
    fn hand_over(&mut self, client: &mut Client<'_>) -> Option<Ending> {
        if let Some(ending) = self.death_at(self.begun + 1, Point::AfterPoll) {
            return Some(ending);
        }
        // While fetching is paused one more may have come than a batch holds.
        let most = client.settings.batch_records as usize;
        let more = if self.batch.len() > most { self.batch.split_off(most) } else { Vec::new() };
        self.time_in_hand();
        if client.settings.commit == CommitStrategy::SyncBefore {
            self.commit_ahead(client);
        }
        let first = self.begun + 1;
        let mut batch = std::mem::take(&mut self.batch);
        for record in &batch {
            if let Some(ending) = self.begin_one(client, record) {
                return Some(ending);
            }
            if !self.service.is_none() {
                self.tick(client);
                self.commits.take_answers(&mut client.member, 0);
            }
        }
        let with_offsets =
            matches!(client.settings.commit, CommitStrategy::InSink | CommitStrategy::Transaction);
        let Some(outlet) = &mut self.outlet else { return None };
        std::mem::swap(&mut outlet.flying, &mut batch);
        batch.clear();
        batch.extend(more);
        self.batch = batch;
        if outlet.flying.is_empty() {
            return None;
        }
        outlet.first = first;
        outlet.rows.clear();
        outlet.parts.clear();
        for (record, processing) in outlet.flying.iter().zip(first..) {
            let (partition, copies) = (PartitionId(record.partition), record.copy);
            let effect =
                EffectRun { partition, copies, member: outlet.member, life: outlet.life, processing };
            outlet.rows.push(SinkRow { effect, intended_ns: record.intended_ns });
            let next = copies.offset + 1;
            match outlet.parts.iter_mut().rev().find(|part| part.held.partition == partition) {
                Some(part) => part.held.next = next,
                None => {
                    let epoch = outlet.epochs[usize::from(record.partition)];
                    let tenure = self.commits.tenure(record.partition);
                    outlet.parts.push(Part { held: Held { partition, epoch, next }, tenure });
                }
            }
        }
        outlet.parts.sort_by_key(|part| part.held.partition);
        // The words of this batch's assignment: whoever loses it while the batch is in hand has no others.
        if let Some(membership) = &outlet.membership
            && let (Ok(mut words), Some(now)) = (membership.lock(), client.member.membership())
        {
            *words = now;
        }
        let marks =
            if with_offsets { outlet.parts.iter().map(|part| part.held).collect() } else { Vec::new() };
        let last = first + outlet.flying.len() as u64 - 1;
        let ending = self.death_within(first..=last, Point::BeforeWrite);
        if ending.is_some() {
            return ending;
        }
        self.commits.journal.call_write();
        let Some(outlet) = &mut self.outlet else { return None };
        outlet.writer.write(std::mem::take(&mut outlet.rows), marks);
        None
    }

    /// Marks what the sink has written as completed, and commits as the strategy says; waits for it a little, or not.
    fn hear_sink(&mut self, client: &mut Client<'_>, wait: bool) -> Option<Ending> {
        let written = self.outlet.as_mut()?.writer.answer(wait)?;
        self.now_ns = clock::now_ns();
        if let Err(error) = &written.refused {
            self.commits.journal.leave_batch(self.now_ns);
            return Some(Ending::Early(error.to_string()));
        }
        let refused = written.refused.as_ref().map_or(Vec::new(), Clone::clone);
        let last = self.completed_batch(written);
        if client.settings.commit == CommitStrategy::Transaction && !refused.is_empty() {
            self.go_back(client, &refused);
        }
        let first = self.outlet.as_ref().map_or(last, |outlet| outlet.first);
        let ending = self.death_within(first..=last, Point::BetweenWriteAndCommit);
        if ending.is_some() {
            return ending;
        }
        self.commit_batch(client);
        None
    }

    /// As `death_at`, for a batch of these records.
    fn death_within(&mut self, records: RangeInclusive<u64>, point: Point) -> Option<Ending> {
        let death = self.death.filter(|death| records.contains(&death.record))?;
        self.death_at(death.record, point)
    }

    /// What an aborted transaction held is processed again by whoever owns it: what is still ours, from its first record on.
    fn go_back(&mut self, client: &mut Client<'_>, refused: &[u16]) {
        self.drop_from_hand(refused);
        let Some(outlet) = &self.outlet else { return };
        let ours = self.commits.ours();
        let mut firsts: Vec<(u16, i64)> = Vec::new();
        for record in outlet.flying.iter().filter(|record| ours.contains(&record.partition)) {
            if !firsts.iter().any(|(partition, _)| *partition == record.partition) {
                firsts.push((record.partition, record.copy.offset));
            }
        }
        tell_if_not(client.member.seek(&firsts, ASK));
    }

    /// Gives the number of the batch's last record.
    fn completed_batch(&mut self, written: Written) -> u64 {
        let Written { rows, refused, called_ns, answered_ns } = written;
        let refused = refused.unwrap_or_default();
        let Some(outlet) = &mut self.outlet else { return 0 };
        outlet.rows = rows;
        let call_second = (called_ns.saturating_sub(self.t0_ns) / SECOND_NS) as usize;
        outlet.write.record(call_second, answered_ns - called_ns);
        outlet.enter_timings(self.t0_ns);
        self.commits.journal.end_batch(self.now_ns, |partition| !refused.contains(&partition.0));
        for Part { held, tenure } in &outlet.parts {
            let partition = held.partition.0;
            if !refused.contains(&partition) && self.commits.tenure(partition) == *tenure {
                self.commits.completed(partition, held.next - 1);
            }
        }
        let (flying, first) = (std::mem::take(&mut outlet.flying), outlet.first);
        let mut refused_rows = 0;
        for record in &flying {
            if refused.contains(&record.partition) {
                refused_rows += 1;
                continue;
            }
            self.done.total.records += 1;
            self.done.negative += u64::from(answered_ns < record.intended_ns);
            let second = (record.intended_ns.saturating_sub(self.t0_ns) / SECOND_NS) as usize;
            self.processing.record(second, answered_ns.saturating_sub(record.handed_ns));
            self.time_effect(record, second, answered_ns);
        }
        let last = first + flying.len() as u64 - 1;
        if let Some(outlet) = &mut self.outlet {
            outlet.refused += refused_rows;
            outlet.flying = flying;
        }
        last
    }

    /// Waits until nothing is on its way and nothing in hand: a partition is to be given back in order.
    pub(super) fn settle(&mut self, client: &mut Client<'_>) -> Option<Ending> {
        loop {
            while self.outlet.as_ref().is_some_and(|outlet| outlet.writer.is_writing()) {
                if let Some(ending) = self.hear_sink(client, true) {
                    return Some(ending);
                }
                self.commits.take_answers(&mut client.member, 0);
            }
            if self.batch.is_empty() {
                return None;
            }
            if let Some(ending) = self.hand_over(client) {
                return Some(ending);
            }
        }
    }

    /// At the end: waits until the instant for what is on its way; what was begun and is not written is given up.
    pub(super) fn leave_sink(&mut self, until_ns: u64) {
        while self.outlet.as_ref().is_some_and(|outlet| outlet.writer.is_writing())
            && clock::now_ns() < until_ns
        {
            let Some(written) = self.outlet.as_mut().and_then(|outlet| outlet.writer.answer(true)) else {
                continue;
            };
            self.now_ns = clock::now_ns();
            if written.refused.is_ok() {
                self.completed_batch(written);
            }
        }
        self.commits.journal.leave_batch(self.now_ns);
        if let Some(outlet) = &self.outlet {
            self.done.refused_rows = outlet.refused;
            self.done.transaction_errors =
                outlet.errors.lock().map(|errors| errors.clone()).unwrap_or_default();
            self.done.longest_unpolled_ns = outlet.longest_unpolled_ns;
        }
    }

    /// Begins to count how long the client is not polled.
    pub(super) fn watch_polls(&mut self) {
        if let Some(outlet) = &mut self.outlet {
            (outlet.polled_ns, outlet.full_by_ns) = (self.now_ns, self.now_ns);
        }
    }
}
