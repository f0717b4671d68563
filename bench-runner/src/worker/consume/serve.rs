//! What does not depend on records: rebalances, answers to commits, errors of the client, and leaving the group.

use super::commits::{tell, tell_if_not};
use super::life::{ASK, Client, Ending, Life};
use crate::clock;
use crate::kafka::member::{At, Change};
use bench_model::settings::CommitStrategy;
use bench_model::wire::Done;

const SECOND_NS: u64 = 1_000_000_000;
/// How long answers to commits are waited for at the end.
const LAST_ANSWERS_NS: u64 = 10 * SECOND_NS;

impl Life<'_> {
    /// Serves what has come; a fatal error is the ending.
    pub(super) fn serve(&mut self, client: &mut Client<'_>) -> Option<Ending> {
        self.commits.take_answers(&mut client.member, 0);
        while let Some(change) = client.member.next_change() {
            match change {
                Change::Given(partitions) => self.given(client, &partitions),
                Change::Taken { partitions, lost } => self.taken(client, &partitions, lost),
            }
        }
        let mut ending = self.ending.take();
        for trouble in client.member.troubles() {
            tell(trouble.text.clone(), trouble.fatal);
            ending = ending.or(trouble.fatal.then_some(Ending::Early(trouble.text)));
        }
        ending
    }

    fn given(&mut self, client: &mut Client<'_>, partitions: &[u16]) {
        // A fresh topic begins at 0, and so does a group that has committed nothing.
        let positions = match self.where_to_go_on(client, partitions) {
            Ok(positions) => positions,
            Err(what) => {
                tell(what, false);
                vec![-1; partitions.len()]
            }
        };
        self.commits.enter(client.member.generation());
        let given: Vec<At> = partitions.iter().copied().zip(positions).collect();
        self.now_ns = clock::now_ns();
        for at in &given {
            self.commits.assigned(*at, self.now_ns);
        }
        tell_if_not(client.member.assign(&given));
        self.assigned = true;
    }

    /// The sink's own offsets where it keeps them, else those that the group holds.
    fn where_to_go_on(&mut self, client: &mut Client<'_>, partitions: &[u16]) -> Result<Vec<i64>, String> {
        if let (CommitStrategy::InSink, Some(outlet)) = (client.settings.commit, &mut self.outlet) {
            let taken = outlet.take_over(partitions, || ());
            return taken.map_err(|error| {
                // Without an epoch nothing may be written.
                self.ending = Some(Ending::Early(error.to_string()));
                error.to_string()
            });
        }
        let committed = client.member.committed(partitions, ASK).map_err(|error| error.to_string())?;
        Ok(committed.into_iter().map(|offset| offset.unwrap_or(0)).collect())
    }

    fn taken(&mut self, client: &mut Client<'_>, partitions: &[u16], lost: bool) {
        if lost {
            self.drop_from_hand(partitions);
        } else if self.outlet.is_some() {
            let ending = self.settle(client);
            self.ending = self.ending.take().or(ending);
        }
        if !lost && client.settings.commit_on_revoke && commits_after(client.settings.commit) {
            let mut offsets = self.commits.not_held();
            offsets.retain(|(partition, _)| partitions.contains(partition));
            self.commits.call_and_wait(&mut client.member, &offsets);
        }
        self.now_ns = clock::now_ns();
        for partition in partitions {
            self.commits.taken(*partition, lost, self.now_ns);
        }
        tell_if_not(client.member.unassign(partitions));
    }

    /// Leaves the group, in good order unless the specification says that nothing more is done.
    pub(super) fn end(&mut self, client: Client<'_>, ending: Ending) -> Done {
        let Client { mut member, settings } = client;
        if self.outlet.is_some() {
            self.leave_sink(clock::now_ns() + LAST_ANSWERS_NS);
        }
        if settings.commit == CommitStrategy::AutoStored {
            // Without a service time records are stored by the batch; these ones are processed.
            self.commits.store(&mut member);
        }
        if ending != Ending::Closed {
            if commits_after(settings.commit) {
                let offsets = self.commits.not_held();
                self.commits.call_and_wait(&mut member, &offsets);
            }
            self.commits.take_answers(&mut member, clock::now_ns() + LAST_ANSWERS_NS);
        }
        let (changes, answers) = member.close();
        for answer in answers {
            self.commits.answer(&answer);
        }
        self.now_ns = clock::now_ns();
        for change in changes {
            if let Change::Taken { partitions, lost } = change {
                partitions.iter().for_each(|partition| self.commits.taken(*partition, lost, self.now_ns));
            }
        }
        Done {
            total: self.progress(),
            drained: ending == Ending::Finished,
            ended_ns: self.now_ns,
            stopped_early: match ending {
                Ending::Early(why) => Some(why),
                Ending::Finished | Ending::Closed => None,
            },
            commits: self.commits.answered,
            failed_commits: std::mem::take(&mut self.commits.failed),
            ..std::mem::take(&mut self.done)
        }
    }
}

/// Strategies that call commits of their own behind the processing.
fn commits_after(strategy: CommitStrategy) -> bool {
    use CommitStrategy::{AsyncAfter, Interval, SyncAfter, SyncEach};
    matches!(strategy, SyncAfter | SyncEach | AsyncAfter | Interval)
}
