//! A batch: taken into hand, processed record by record, committed by the strategy. No allocation, lock, log line or float
//! per record, except where each record is committed or stored.

use super::commits::{tell, tell_if_not};
use super::life::{ASK, Client, Ending, Life};
use crate::clock;
use crate::kafka::member::At;
use crate::kafka::reader::Item;
use bench_model::fault::{End, Point};
use bench_model::ids::PartitionId;
use bench_model::message;
use bench_model::reading::CopyRun;
use bench_model::settings::CommitStrategy;

const SECOND_NS: u64 = 1_000_000_000;
/// How long nothing may happen before the loop looks around.
pub(super) const IDLE_NS: u64 = SECOND_NS / 100;

/// Processings of one intended second that took equally long.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Alike {
    second: usize,
    value_ns: u64,
    count: u64,
}

/// A record in hand.
#[derive(Debug, Clone, Copy)]
pub(super) struct InHand {
    pub(super) partition: u16,
    pub(super) copy: CopyRun,
    pub(super) intended_ns: u64,
    pub(super) handed_ns: u64,
}

impl Life<'_> {
    /// Takes the next batch into hand.
    pub(super) fn take(&mut self, client: &mut Client<'_>) {
        let most = client.settings.batch_records as usize;
        self.poll(client, most, self.now_ns + IDLE_NS);
        let full_by_ns = self.now_ns + client.settings.batch_wait_ns;
        let waits = !self.batch.is_empty();
        while waits && self.batch.len() < most && self.now_ns < full_by_ns && !client.member.has_changes() {
            self.poll(client, most, full_by_ns);
            self.tick(client);
            self.commits.take_answers(&mut client.member, 0);
        }
        let lost = client.member.lost();
        if !lost.is_empty() {
            self.batch.retain(|record| !lost.contains(&record.partition));
        }
    }

    #[inline]
    pub(super) fn poll(&mut self, client: &mut Client<'_>, most: usize, until_ns: u64) {
        let (batch, book) = (&mut self.batch, self.book);
        // The clock is read once for each array of records: they were handed over together.
        let mut handed_ns = 0;
        client.member.poll_until(most - batch.len(), until_ns, |item| match item {
            Item::Record { partition, offset, payload } => {
                // What is not of this book cannot be processed; the independent reader tells of it.
                let Some(header) = message::peek(payload, book) else { return };
                if handed_ns == 0 {
                    handed_ns = clock::now_ns();
                }
                let copy = CopyRun {
                    offset,
                    count: 1,
                    producer: header.producer,
                    incarnation: header.incarnation,
                    attempt: header.attempt,
                    home: header.partition,
                    sequence: header.sequence,
                    // A journal has no place for it; the log says it again.
                    transaction: 0,
                };
                batch.push(InHand { partition, copy, intended_ns: header.intended_ns, handed_ns });
            }
            Item::End { .. } => {}
            Item::Error { partition, text, .. } => {
                tell(format!("reading partition {partition}: {text}"), false)
            }
        });
        self.now_ns = clock::now_ns();
    }

    /// Processes what is in hand, and commits as the strategy says.
    pub(super) fn process(&mut self, client: &mut Client<'_>) -> Option<Ending> {
        if self.batch.is_empty() {
            return None;
        }
        self.time_in_hand();
        // Of the first record of a batch, "after the poll" is before the commit that some strategies call here.
        if let Some(ending) = self.death_at(self.begun + 1, Point::AfterPoll) {
            return Some(ending);
        }
        if client.settings.commit == CommitStrategy::SyncBefore {
            self.commit_ahead(client);
        }
        for index in 0..self.batch.len() {
            let record = self.batch[index];
            if let Some(ending) = self.process_one(client, &record) {
                return Some(ending);
            }
        }
        self.batch.clear();
        self.commit_batch(client);
        None
    }

    /// Commits a batch that was processed, if the strategy does that by batches.
    pub(super) fn commit_batch(&mut self, client: &mut Client<'_>) {
        match client.settings.commit {
            CommitStrategy::SyncAfter => self.commit_now(client),
            CommitStrategy::AsyncAfter => {
                let offsets = self.commits.not_asked();
                self.commits.call(&mut client.member, &offsets);
            }
            CommitStrategy::AutoStored => self.commits.store(&mut client.member),
            _ => {}
        }
    }

    /// Times the records in hand, those that were in hand before apart.
    #[inline]
    pub(super) fn time_in_hand(&mut self) {
        for record in &self.batch {
            let handed = &mut self.handed[usize::from(record.partition)];
            let again = record.copy.offset < *handed;
            *handed = (*handed).max(record.copy.offset + 1);
            let second = (record.intended_ns.saturating_sub(self.t0_ns) / SECOND_NS) as usize;
            let series = if again { &mut self.in_hand_again } else { &mut self.in_hand };
            series.record(second, record.handed_ns.saturating_sub(record.intended_ns));
        }
    }

    /// Marks a record begun and takes the time that processing it takes, unless this life ends before.
    #[inline]
    pub(super) fn begin_one(&mut self, client: &Client<'_>, record: &InHand) -> Option<Ending> {
        let settings = client.settings;
        if self.commits.journal.room() <= self.commits.reserve() {
            let advice = "shorten the cell or lengthen the commit interval or batch";
            return Some(Ending::Early(format!("the journal is full; {advice}")));
        }
        let ordinal = self.begun + 1;
        if self.death.is_some() {
            let committed = settings.commit == CommitStrategy::SyncBefore;
            let here = self.death_at(ordinal, Point::AfterPoll);
            let here =
                here.or_else(|| committed.then(|| self.death_at(ordinal, Point::AfterCommit)).flatten());
            if here.is_some() {
                return here;
            }
        }
        self.commits.journal.begin(PartitionId(record.partition), &record.copy, self.now_ns);
        self.begun = ordinal;
        if !self.service.is_none() {
            let service_ns = self.service.of(PartitionId(record.partition), record.copy.offset);
            clock::sleep_until(self.now_ns + service_ns);
            self.now_ns = clock::now_ns();
        }
        None
    }

    #[inline]
    fn process_one(&mut self, client: &mut Client<'_>, record: &InHand) -> Option<Ending> {
        let ending = self.begin_one(client, record);
        if ending.is_some() {
            return ending;
        }
        let (settings, ordinal) = (client.settings, self.begun);
        self.commits.journal.complete(self.now_ns);
        self.commits.completed(record.partition, record.copy.offset);
        self.done.total.records += 1;
        self.done.negative += u64::from(self.now_ns < record.intended_ns);
        let second = (record.intended_ns.saturating_sub(self.t0_ns) / SECOND_NS) as usize;
        self.processed(second, self.now_ns - record.handed_ns);
        self.time_effect(record, second, self.now_ns);
        let death = self.death_at(ordinal, Point::AfterProcessing);
        if death.is_some() {
            return death;
        }
        if settings.commit == CommitStrategy::SyncEach {
            self.commit_now(client);
        }
        if !self.service.is_none() {
            if settings.commit == CommitStrategy::AutoStored {
                self.commits.store(&mut client.member);
            }
            self.tick(client);
            self.commits.take_answers(&mut client.member, 0);
        }
        None
    }

    /// Times the way of a record to its effect; where that is not its first one as far as this life knows, apart.
    #[inline]
    pub(super) fn time_effect(&mut self, record: &InHand, second: usize, done_ns: u64) {
        let effected = &mut self.effected[usize::from(record.partition)];
        let again = record.copy.offset < *effected;
        *effected = (*effected).max(record.copy.offset + 1);
        let series = if again { &mut self.effect_again } else { &mut self.effect };
        series.record(second, done_ns.saturating_sub(record.intended_ns));
    }

    /// Times a processing. Records that were handed over together and take no time have one value: it is entered once.
    #[inline]
    fn processed(&mut self, second: usize, value_ns: u64) {
        let Alike { second: of, value_ns: value, count } = &mut self.alike;
        if (*of, *value) == (second, value_ns) {
            *count += 1;
            return;
        }
        self.enter_processed();
        self.alike = Alike { second, value_ns, count: 1 };
    }

    /// Enters what is counted and not entered yet.
    pub(super) fn enter_processed(&mut self) {
        let Alike { second, value_ns, count } = std::mem::take(&mut self.alike);
        self.processing.record_many(second, value_ns, count);
    }

    /// Ends this life, if its specification says that it ends here: at once, or by what is returned. A stopped life stands
    /// still with its batch in hand, and goes on with it when the supervisor continues the process.
    #[inline]
    pub(super) fn death_at(&mut self, record: u64, point: Point) -> Option<Ending> {
        let death = self.death.filter(|death| death.record == record && death.point == point)?;
        let signal = match death.end {
            End::Close => return Some(Ending::Closed),
            End::Kill => libc::SIGKILL,
            End::Stop => libc::SIGSTOP,
        };
        // Once: a record can be asked about twice.
        self.death = None;
        // SAFETY: takes no pointers; a kill does not return.
        unsafe { libc::raise(signal) };
        self.now_ns = clock::now_ns();
        None
    }

    /// Commits what was processed and waits for the answer.
    fn commit_now(&mut self, client: &mut Client<'_>) {
        let offsets = self.commits.not_asked();
        self.commits.call_and_wait(&mut client.member, &offsets);
        self.now_ns = clock::now_ns();
    }

    /// Commits past the batch in hand. What the group does not hold then must not be processed: it is put back.
    pub(super) fn commit_ahead(&mut self, client: &mut Client<'_>) {
        let (mut firsts, mut ahead): (Vec<At>, Vec<At>) = (Vec::new(), Vec::new());
        for InHand { partition, copy, .. } in &self.batch {
            // Records come in runs of one partition.
            match ahead.iter_mut().rev().find(|(other, _)| other == partition) {
                Some((_, offset)) => *offset = copy.offset + 1,
                None => {
                    firsts.push((*partition, copy.offset));
                    ahead.push((*partition, copy.offset + 1));
                }
            }
        }
        if !self.commits.call_and_wait(&mut client.member, &ahead) {
            let held = |partition: u16| self.commits.shares()[usize::from(partition)].held;
            let refused: Vec<u16> = ahead
                .iter()
                .filter(|(partition, offset)| held(*partition) < *offset)
                .map(|at| at.0)
                .collect();
            self.batch.retain(|record| !refused.contains(&record.partition));
            firsts.retain(|(partition, _)| refused.contains(partition));
            tell_if_not(client.member.seek(&firsts, ASK));
        }
        self.now_ns = clock::now_ns();
    }
}
