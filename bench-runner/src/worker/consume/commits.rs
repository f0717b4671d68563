//! What one life of a group member owns and has processed, and its commits: noted in the journal before they are called,
//! and answered there. It decides nothing about when to commit.

use super::super::emit;
use crate::clock;
use crate::kafka::KafkaError;
use crate::kafka::member::{Answer, At, Member};
use bench_model::ids::PartitionId;
use bench_model::latency::Series;
use bench_model::processing::{CommitAnswer, JournalMut, Move};
use bench_model::wire::Event;
use std::collections::{BTreeMap, VecDeque};

const SECOND_NS: u64 = 1_000_000_000;

/// How far this life is in one partition. Offsets are the next to process; -1: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// The partition is ours.
    pub(super) owned: bool,
    /// Behind the last completed record, or where processing begins.
    pub(super) next: i64,
    /// The highest that a commit was called for.
    pub(super) asked: i64,
    /// The highest that a commit was answered Ok for.
    pub(super) held: i64,
}

const NOT_OURS: Share = Share { owned: false, next: -1, asked: -1, held: -1 };

/// A commit that was called and not answered.
#[derive(Debug)]
struct Outstanding {
    number: usize,
    called_ns: u64,
    /// Partition and place in the journal.
    entries: Vec<(u16, u64)>,
}

/// See the file's purpose.
#[derive(Debug)]
pub(super) struct Commits<'a> {
    pub(super) journal: JournalMut<'a>,
    shares: Vec<Share>,
    /// By partition, how often it was assigned to this life.
    tenures: Vec<u32>,
    /// The group's generation at the latest assignment, where known.
    generation: Option<i32>,
    outstanding: VecDeque<Outstanding>,
    last_number: usize,
    t0_ns: u64,
    /// Call to answer, by the second of the call.
    latency: Series,
    /// Calls answered Ok.
    pub(super) answered: u64,
    /// Calls that failed, by error.
    pub(super) failed: BTreeMap<String, u64>,
}

impl<'a> Commits<'a> {
    pub(super) fn new(journal: JournalMut<'a>, partitions: u16, seconds: usize) -> Self {
        Commits {
            journal,
            shares: vec![NOT_OURS; usize::from(partitions)],
            tenures: vec![0; usize::from(partitions)],
            generation: None,
            outstanding: VecDeque::with_capacity(64),
            last_number: 0,
            t0_ns: 0,
            latency: Series::new(seconds),
            answered: 0,
            failed: BTreeMap::new(),
        }
    }

    pub(super) fn start(&mut self, t0_ns: u64) {
        self.t0_ns = t0_ns;
    }

    pub(super) fn shares(&self) -> &[Share] {
        &self.shares
    }

    /// How many partitions are ours.
    pub(super) fn owned(&self) -> usize {
        self.shares.iter().filter(|share| share.owned).count()
    }

    /// The partitions that are ours.
    pub(super) fn ours(&self) -> Vec<u16> {
        let ours = self.shares.iter().enumerate().filter(|(_, share)| share.owned);
        ours.map(|(partition, _)| partition as u16).collect()
    }

    /// Which of our assignments of a partition goes on.
    pub(super) fn tenure(&self, partition: u16) -> u32 {
        self.tenures[usize::from(partition)]
    }

    /// Room that the journal must keep for the end: a commit of everything, giving everything up, and one of the client's own.
    pub(super) fn reserve(&self) -> u64 {
        3 * self.shares.len() as u64 + 8
    }

    /// What is assigned from here on is of this generation.
    pub(super) fn enter(&mut self, generation: Option<i32>) {
        self.generation = generation;
    }

    /// Notes a partition that was given to us; a negative position is not known.
    pub(super) fn assigned(&mut self, (partition, position): At, now_ns: u64) {
        self.tenures[usize::from(partition)] += 1;
        self.shares[usize::from(partition)] =
            Share { owned: true, next: position, asked: position, held: position };
        self.moved(|journal, moved| journal.assigned(moved), partition, position, now_ns);
    }

    /// Notes a partition that was taken from us.
    pub(super) fn taken(&mut self, partition: u16, lost: bool, now_ns: u64) {
        let share = std::mem::replace(&mut self.shares[usize::from(partition)], NOT_OURS);
        if !share.owned {
            return;
        }
        let note: fn(&mut JournalMut<'a>, &Move) = if lost { JournalMut::lost } else { JournalMut::revoked };
        self.moved(note, partition, share.next, now_ns);
    }

    fn moved(
        &mut self,
        note: impl Fn(&mut JournalMut<'a>, &Move),
        partition: u16,
        position: i64,
        at_ns: u64,
    ) {
        if self.journal.room() > 0 {
            let (partition, generation) = (PartitionId(partition), self.generation);
            note(&mut self.journal, &Move { partition, position, at_ns, generation });
        }
    }

    /// A record of this partition was completed.
    #[inline]
    pub(super) fn completed(&mut self, partition: u16, offset: i64) {
        self.shares[usize::from(partition)].next = offset + 1;
    }

    /// What was processed and is above `mark`, of our partitions.
    fn above(&self, mark: impl Fn(&Share) -> i64) -> Vec<At> {
        let ours =
            self.shares.iter().enumerate().filter(|(_, share)| share.owned && share.next > mark(share));
        ours.map(|(partition, share)| (partition as u16, share.next)).collect()
    }

    /// What was processed and no commit was called for.
    pub(super) fn not_asked(&self) -> Vec<At> {
        self.above(|share| share.asked)
    }

    /// What was processed and the group does not hold yet, as far as it has said.
    pub(super) fn not_held(&self) -> Vec<At> {
        self.above(|share| share.held)
    }

    /// Gives what was processed to the client's next auto commit.
    pub(super) fn store(&mut self, member: &mut Member) {
        let offsets = self.not_asked();
        if offsets.is_empty() {
            return;
        }
        match member.store(&offsets) {
            Ok(()) => offsets.iter().for_each(|(at, offset)| self.shares[usize::from(*at)].asked = *offset),
            Err(error) => tell(error.to_string(), false),
        }
    }

    /// Notes and calls a commit; gives its number, or none if there was nothing to commit or no room to note it.
    pub(super) fn call(&mut self, member: &mut Member, offsets: &[At]) -> Option<usize> {
        if offsets.is_empty() || self.journal.room() < offsets.len() as u64 {
            return None;
        }
        let number = self.note(offsets, clock::now_ns());
        if let Err(error) = member.commit(offsets, number) {
            let parts = offsets.iter().map(|at| (*at, false)).collect();
            self.answer(&Answer { number, at_ns: clock::now_ns(), error: Some(error.cause), parts });
            return None;
        }
        Some(number)
    }

    /// Notes a commit that is called now.
    fn note(&mut self, offsets: &[At], called_ns: u64) -> usize {
        self.last_number += 1;
        let mut entries = Vec::with_capacity(offsets.len());
        for (partition, offset) in offsets {
            let share = &mut self.shares[usize::from(*partition)];
            share.asked = share.asked.max(*offset);
            entries.push((*partition, self.journal.commit(PartitionId(*partition), *offset, called_ns)));
        }
        self.outstanding.push_back(Outstanding { number: self.last_number, called_ns, entries });
        self.last_number
    }

    /// As `call`, and waits for the answer; says whether the group holds all of it.
    pub(super) fn call_and_wait(&mut self, member: &mut Member, offsets: &[At]) -> bool {
        if let Some(number) = self.call(member, offsets) {
            while self.outstanding.iter().any(|one| one.number == number) {
                if let Some(answer) = member.answer(true) {
                    self.answer(&answer);
                }
            }
        }
        offsets.iter().all(|(partition, offset)| self.shares[usize::from(*partition)].held >= *offset)
    }

    /// Takes the answers that have come; `until_ns`: waits so long for those of all commits.
    pub(super) fn take_answers(&mut self, member: &mut Member, until_ns: u64) {
        loop {
            let wait = !self.outstanding.is_empty() && until_ns > 0 && clock::now_ns() < until_ns;
            match member.answer(wait) {
                Some(answer) => self.answer(&answer),
                None if wait => {}
                None => return,
            }
        }
    }

    /// Notes an answer in the journal and in the totals.
    pub(super) fn answer(&mut self, answer: &Answer) {
        match &answer.error {
            None => self.answered += 1,
            Some(name) => *self.failed.entry(name.clone()).or_default() += 1,
        }
        if answer.number == 0 {
            return self.note_own(answer);
        }
        let Some(place) = self.outstanding.iter().position(|one| one.number == answer.number) else { return };
        let Some(called) = self.outstanding.remove(place) else { return };
        let second = called.called_ns.saturating_sub(self.t0_ns) / SECOND_NS;
        let took_ns = answer.at_ns.saturating_sub(called.called_ns);
        match answer.error {
            None => self.latency.record(second as usize, took_ns),
            // A quick refusal is no quick commit.
            Some(_) => self.latency.fail(second as usize, took_ns),
        }
        for (partition, entry) in called.entries {
            let part = answer.parts.iter().find(|((other, _), _)| *other == partition);
            let held = part.is_some_and(|(_, held)| *held);
            self.journal.answer(entry, as_answer(held), answer.at_ns);
            let share = &mut self.shares[usize::from(partition)];
            match part {
                Some(((_, offset), true)) => share.held = share.held.max(*offset),
                // What was refused may be asked for again.
                _ => share.asked = share.held,
            }
        }
    }

    /// The journal, and the latencies of commits; one without an answer by now is cut off at its age.
    pub(super) fn into_parts(mut self, now_ns: u64) -> (JournalMut<'a>, Series) {
        for one in &self.outstanding {
            let second = one.called_ns.saturating_sub(self.t0_ns) / SECOND_NS;
            self.latency.censor(second as usize, now_ns.saturating_sub(one.called_ns));
        }
        (self.journal, self.latency)
    }

    /// A commit that the client called by itself: only its answer is seen, so it is noted as called and answered then.
    fn note_own(&mut self, answer: &Answer) {
        for ((partition, offset), held) in &answer.parts {
            if *offset >= 0 && self.journal.room() > 0 {
                let entry = self.journal.commit(PartitionId(*partition), *offset, answer.at_ns);
                self.journal.answer(entry, as_answer(*held), answer.at_ns);
            }
        }
    }
}

fn as_answer(held: bool) -> CommitAnswer {
    if held { CommitAnswer::Ok } else { CommitAnswer::Failed }
}

/// Tells the runner of an error that is not about one record.
pub(super) fn tell(text: String, fatal: bool) {
    emit(&Event::ClientError { at_ns: clock::now_ns(), text, fatal });
}

/// Tells the runner if the client did not do something.
pub(super) fn tell_if_not(done: Result<(), KafkaError>) {
    if let Err(error) = done {
        tell(error.to_string(), false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_model::ids::{Incarnation, MemberId};
    use bench_model::processing::{Entry, file_bytes, parse};

    fn with_commits(act: impl FnOnce(&mut Commits<'_>)) -> Vec<Entry> {
        let mut bytes = vec![0; file_bytes(16)];
        let journal = JournalMut::create(&mut bytes, MemberId(0), Incarnation(0));
        let mut commits = Commits::new(journal, 2, 1);
        act(&mut commits);
        parse(&bytes).expect("a journal").entries
    }

    fn answer(number: usize, error: Option<&str>, parts: &[(At, bool)]) -> Answer {
        Answer { number, at_ns: 9, error: error.map(str::to_owned), parts: parts.to_vec() }
    }

    #[test]
    fn what_a_commit_was_refused_for_is_asked_for_again() {
        let entries = with_commits(|commits| {
            commits.assigned((0, 0), 1);
            commits.assigned((1, 5), 1);
            assert_eq!(commits.not_asked(), []);
            commits.completed(0, 9);
            commits.completed(1, 5);
            assert_eq!(commits.not_asked(), [(0, 10), (1, 6)]);
            let number = commits.note(&[(0, 10), (1, 6)], 3);
            assert_eq!((commits.not_asked(), commits.not_held().len()), (vec![], 2));
            commits.answer(&answer(number, Some("NOT_COORDINATOR"), &[((1, 6), false), ((0, 10), true)]));
            assert_eq!((commits.not_asked(), commits.not_held()), (vec![(1, 6)], vec![(1, 6)]));
            assert_eq!((commits.answered, commits.failed["NOT_COORDINATOR"]), (0, 1));
        });
        let answers: Vec<CommitAnswer> = entries
            .iter()
            .filter_map(|entry| if let Entry::Commit(commit) = entry { Some(commit.answer) } else { None })
            .collect();
        assert_eq!(answers, [CommitAnswer::Ok, CommitAnswer::Failed]);
    }

    #[test]
    fn a_refused_commit_never_ends_and_one_without_an_answer_is_cut_off() {
        let mut bytes = vec![0; file_bytes(16)];
        let journal = JournalMut::create(&mut bytes, MemberId(0), Incarnation(0));
        let mut commits = Commits::new(journal, 1, 1);
        commits.assigned((0, 0), 1);
        for offset in 1..=3 {
            commits.note(&[(0, offset)], 2);
        }
        commits.answer(&answer(1, None, &[((0, 1), true)]));
        commits.answer(&answer(2, Some("ILLEGAL_GENERATION"), &[((0, 2), false)]));
        let (_, latency) = commits.into_parts(12);
        let summary = latency.summary(0..1).expect("values");
        assert_eq!((summary.count, summary.failed, summary.censored), (3, 1, 2));
        assert_eq!((summary.max_ns, summary.max_cut_ns), (7, 10));
    }

    #[test]
    fn what_was_taken_is_no_longer_committed() {
        let entries = with_commits(|commits| {
            commits.assigned((0, 4), 1);
            commits.completed(0, 4);
            commits.taken(0, true, 2);
            commits.taken(1, false, 2);
            assert_eq!((commits.not_held(), commits.owned()), (vec![], 0));
        });
        let expected = Move { partition: PartitionId(0), position: 5, at_ns: 2, generation: None };
        assert_eq!(entries[1..], [Entry::Lost(expected)]);
    }

    #[test]
    fn the_clients_own_commit_is_noted_when_its_answer_is_seen() {
        let entries = with_commits(|commits| {
            commits.answer(&answer(0, None, &[((0, 7), true), ((1, -1001), true)]));
            assert_eq!(commits.answered, 1);
        });
        let [Entry::Commit(commit)] = entries[..] else { panic!("{entries:?}") };
        assert_eq!((commit.offset, commit.called_ns, commit.answered_ns), (7, 9, 9));
        assert_eq!(commit.answer, CommitAnswer::Ok);
    }
}
