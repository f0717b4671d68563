//! Whether what the plan did to workers happened where it says: the process's end and its own evidence must agree. It
//! counts nothing.

use super::points::{completed_at, is_there, misplaced};
use super::standstill::{self, Halted};
use super::statements::Statements;
use crate::fault::{Death, DeathRecord, End, Join, Kill, Marks, Point, Victim};
use crate::ids::{Incarnation, MemberId};
use crate::ledger::Ledger;
use crate::plan::Cell;
use crate::processing::{Entry, Journal, Move};
use crate::transactions::Transactions;

/// What was seen of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) statements: &'a Statements,
    pub(super) ledgers: &'a [Ledger],
    pub(super) transactions: &'a [Transactions],
    /// Those of members.
    pub(super) pipelines: &'a [Transactions],
    pub(super) journals: &'a [Journal],
    /// Most records of a batch, where a sink completes them together.
    pub(super) batch: Option<u32>,
}

/// The first planned death, kill or join without proof, in words.
pub(super) fn unproven(cell: &Cell, seen: Seen<'_>) -> Option<String> {
    let of = |worker| cell.deaths.iter().filter(move |death| death.worker == worker);
    let members = (0_u8..).zip(of(Victim::Member)).find_map(|(life, death)| {
        let what = member(life, death, seen)?;
        Some(format!("the death of member 0 in life {life} at record {}: {what}", death.record))
    });
    let producers = || {
        (0_u8..).zip(of(Victim::Producer)).find_map(|(life, death)| {
            let what = producer(cell, life, death, seen)?;
            Some(format!("the death of producer 0 in life {life} at record {}: {what}", death.record))
        })
    };
    let kills = || cell.kills.iter().find_map(|one| kill(one, seen));
    let joins = || (0_u16..).zip(&cell.joins).find_map(|(number, one)| join(cell, number, *one, seen));
    members.or_else(producers).or_else(kills).or_else(joins)
}

fn end_of<'a>(seen: Seen<'a>, worker: Victim, life: u8) -> Result<&'a DeathRecord, String> {
    let mut ends = seen.statements.deaths.iter();
    let end = ends.find(|end| {
        (end.death.worker, end.member, end.incarnation) == (worker, MemberId(0), Incarnation(life))
    });
    match end {
        None => Err("did not happen".to_owned()),
        Some(end) if !end.as_planned => Err(format!("ended otherwise ({})", end.exit)),
        Some(end) => Ok(end),
    }
}

/// What is missing to the proof of a member's death.
fn member(life: u8, death: &Death, seen: Seen<'_>) -> Option<String> {
    let end = match end_of(seen, Victim::Member, life) {
        Ok(end) => end,
        Err(what) => return Some(what),
    };
    let of_life = |journal: &&Journal| (journal.member.0, journal.incarnation.0) == (0, life);
    let Some(journal) = seen.journals.iter().find(of_life) else { return Some("did not happen".to_owned()) };
    if death.end == End::Stop {
        return stopped(death, end, journal, seen);
    }
    let mut pipelines = seen.pipelines.iter();
    let pipeline = pipelines.find(|one| (one.producer.0, one.incarnation.0) == (0, life));
    misplaced(death, seen.batch.map(u64::from), journal, pipeline)
        .or_else(|| same_generation(journal, seen.journals))
}

/// What is missing to the proof that a producer died behind this record, or ended so in the transaction that has it.
fn producer(cell: &Cell, life: u8, death: &Death, seen: Seen<'_>) -> Option<String> {
    let end = match end_of(seen, Victim::Producer, life) {
        Ok(end) => end,
        Err(what) => return Some(what),
    };
    let mut ledgers = seen.ledgers.iter();
    let own = ledgers.find(|ledger| (ledger.producer.0, ledger.incarnation.0) == (0, life));
    let Some(own) = own else { return Some("it left no ledger".to_owned()) };
    if death.point == Point::BeforeCommit {
        let mut lives = seen.transactions.iter();
        let of_life = |one: &&Transactions| (one.producer.0, one.incarnation.0) == (0, life);
        let Some(transactions) = lives.find(of_life) else {
            return Some("it left no transactions".to_owned());
        };
        let timeout_ns = cell.settings.producer.transaction.as_ref().map_or(0, |one| one.timeout_ns);
        let t0_ns = seen.statements.t0_ns;
        return standstill::unproven(Halted { death, end, ledger: own, transactions, timeout_ns, t0_ns });
    }
    let begun: u64 = own.partitions.iter().map(|part| part.next_sequence - part.first_sequence).sum();
    (begun != death.record || own.closed)
        .then(|| format!("its ledger has {begun} records, closed: {}", own.closed))
}

/// What is missing to the proof that a member stood still until others had what it held, and learnt of that afterwards.
fn stopped(death: &Death, end: &DeathRecord, journal: &Journal, seen: Seen<'_>) -> Option<String> {
    let Some(marks) = end.marks else { return Some("its journal could not be read".to_owned()) };
    let Marks { begun, completed, .. } = marks;
    let (fits, exact) = is_there(death, seen.batch.map(u64::from), begun, completed);
    if !fits {
        let expected = completed_at(death);
        return Some(format!(
            "its journal had {begun} begun and {completed} completed records, not {exact}{expected}"
        ));
    }
    let Some(continued_ns) = end.continued_ns else { return Some("it was never continued".to_owned()) };
    let t0_ns = seen.statements.t0_ns;
    let (stopped_ns, continued_ns) = (t0_ns + marks.last_ns, t0_ns + continued_ns);
    let lost: Vec<&Move> = journal.entries.iter().filter_map(lost).collect();
    let Some(noticed) = lost.iter().find(|lost| lost.at_ns >= continued_ns) else {
        return Some("it lost no partition by it".to_owned());
    };
    let others = seen.journals.iter().filter(|other| other.member != journal.member);
    let taken = others.flat_map(|other| &other.entries).filter_map(assigned).any(|moved| {
        moved.partition == noticed.partition
            && (stopped_ns..continued_ns).contains(&moved.at_ns)
            && is_later(moved, noticed)
    });
    (!taken).then(|| "nobody had taken over before it was continued".to_owned())
}

/// Whoever goes on with what a member has left was given it in a later generation of its group.
fn same_generation(own: &Journal, all: &[Journal]) -> Option<String> {
    let latest = own.entries.iter().rev().find_map(assigned)?;
    let generation = latest.generation?;
    let is_other = |one: &&Journal| (one.member, one.incarnation) != (own.member, own.incarnation);
    let mut others = all.iter().filter(is_other).flat_map(|one| &one.entries).filter_map(assigned);
    let is_later = |given: &Move| given.at_ns > latest.at_ns && given.generation > Some(generation);
    (!others.any(is_later)).then(|| format!("no generation of its group after {generation} was seen"))
}

/// A partition was given in a later generation than the one in which it was given up was assigned, where both are known.
fn is_later(given: &Move, given_up: &Move) -> bool {
    given.generation.zip(given_up.generation).is_none_or(|(given, before)| given > before)
}

fn assigned(entry: &Entry) -> Option<&Move> {
    if let Entry::Assigned(moved) = entry { Some(moved) } else { None }
}

fn lost(entry: &Entry) -> Option<&Move> {
    if let Entry::Lost(moved) = entry { Some(moved) } else { None }
}

fn given_up(entry: &Entry) -> Option<&Move> {
    if let Entry::Lost(moved) | Entry::Revoked(moved) = entry { Some(moved) } else { None }
}

fn kill(planned: &Kill, seen: Seen<'_>) -> Option<String> {
    let what = match seen.statements.kills.iter().find(|done| done.kill == *planned) {
        None => "did not happen".to_owned(),
        Some(done) if !done.as_planned => format!("its process ended otherwise ({})", done.exit),
        Some(_) => return None,
    };
    let worker = if planned.worker == Victim::Member { "member" } else { "producer" };
    let at_ms = planned.at_ns / 1_000_000;
    Some(format!("the kill of {worker} {} at {at_ms} ms: {what}", planned.index))
}

/// A join is proven when the new member was given what an old one had given up for it.
fn join(cell: &Cell, number: u16, planned: Join, seen: Seen<'_>) -> Option<String> {
    let first = cell.settings.group.as_ref().map_or(0, |group| group.members);
    let member = MemberId(first.saturating_add(number));
    let what = match seen.statements.joins.iter().find(|done| done.member == member) {
        None => "did not happen".to_owned(),
        Some(done) if done.completed < planned.after => "came too early".to_owned(),
        Some(done) => {
            let started_ns = seen.statements.t0_ns + done.started_ns;
            let (own, others): (Vec<&Journal>, Vec<&Journal>) =
                seen.journals.iter().partition(|journal| journal.member == member);
            let mut given = own.iter().flat_map(|journal| &journal.entries).filter_map(assigned);
            let moved = given.any(|given| {
                let mut old = others.iter().flat_map(|journal| &journal.entries).filter_map(given_up);
                old.any(|old| {
                    old.partition == given.partition && old.at_ns >= started_ns && is_later(given, old)
                })
            });
            if moved {
                return None;
            }
            "nothing was taken from others for it".to_owned()
        }
    };
    Some(format!("the join of member {member} after record {}: {what}", planned.after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{JoinRecord, KillRecord};
    use crate::ids::{BookKey, PartitionId, ProducerId};
    use crate::ledger::{PartitionLedger, STATES};
    use crate::processing::{Commit, CommitAnswer, Processed};
    use crate::reading::CopyRun;
    use crate::transactions::{State, Transaction};
    use crate::{plan, profile};

    const T0_NS: u64 = 1_000;

    fn cell(rest: &str) -> Cell {
        let head = "name = \"p\"\nwhy = \"w\"\n[load]\nrate = \"1k/s\"\n[consumer]\nmembers = 2\n";
        let profile = profile::parse("p", &format!("{head}{rest}"), &[], &()).expect(rest);
        plan::build(&[profile], &[]).expect("within limits").cells.remove(0)
    }

    fn death(point: &str, end: &str, more: &str) -> Cell {
        cell(&format!("[[death]]\nrecord = 7\npoint = \"{point}\"\nend = \"{end}\"\n{more}"))
    }

    fn journal(member: u16, count: u64, completed: u64, closed: bool) -> Journal {
        let copies = CopyRun {
            offset: 0,
            count,
            producer: Default::default(),
            incarnation: Default::default(),
            attempt: Default::default(),
            home: PartitionId(0),
            sequence: 0,
            transaction: 0,
        };
        let (partition, given_up, refused) = (PartitionId(0), false, false);
        let run = Processed { partition, copies, completed, begun_ns: 1, completed_ns: 2, given_up, refused };
        let commit = Commit {
            partition: PartitionId(0),
            offset: 9,
            called_ns: 3,
            answered_ns: 4,
            answer: CommitAnswer::Ok,
        };
        Journal {
            member: MemberId(member),
            incarnation: Incarnation(0),
            closed,
            begun: count,
            completed,
            called: 0,
            answered: 0,
            entries: vec![Entry::Processed(run), Entry::Commit(commit)],
        }
    }

    fn moved(at_ns: u64) -> Move {
        Move { partition: PartitionId(0), position: 9, at_ns: T0_NS + at_ns, generation: None }
    }

    fn with(mut journal: Journal, entry: Entry) -> Journal {
        journal.entries.push(entry);
        journal
    }

    fn end(cell: &Cell, as_planned: bool) -> DeathRecord {
        DeathRecord {
            death: cell.deaths[0],
            member: MemberId(0),
            incarnation: Incarnation(0),
            seen_ns: 5,
            exit: "signal: 9 (SIGKILL)".to_owned(),
            as_planned,
            marks: None,
            continued_ns: None,
            taken_ns: None,
            transaction_errors: Default::default(),
        }
    }

    fn statements(deaths: Vec<DeathRecord>) -> Statements {
        Statements { t0_ns: T0_NS, deaths, ..Statements::default() }
    }

    fn check(cell: &Cell, statements: &Statements, journals: &[Journal]) -> String {
        let group = cell.settings.group.as_ref().expect("a group");
        let batch = group.sink.as_ref().map(|_| group.batch_records);
        unproven(cell, Seen { statements, ledgers: &[], transactions: &[], pipelines: &[], journals, batch })
            .unwrap_or_default()
    }

    #[test]
    fn a_death_counts_where_the_process_and_its_journal_agree() {
        let after = death("after-processing", "kill", "");
        let dead = statements(vec![end(&after, true)]);
        assert_eq!(check(&after, &dead, &[journal(0, 7, 7, false)]), "");
        let poll = death("after-poll", "kill", "");
        assert_eq!(check(&poll, &statements(vec![end(&poll, true)]), &[journal(0, 6, 6, false)]), "");
        assert!(check(&after, &statements(vec![]), &[journal(0, 7, 7, false)]).contains("did not happen"));
        let otherwise = statements(vec![end(&after, false)]);
        assert!(check(&after, &otherwise, &[journal(0, 7, 7, false)]).contains("ended otherwise"));
        for wrong in [journal(0, 8, 8, false), journal(0, 7, 6, false), journal(0, 7, 7, true)] {
            assert_ne!(check(&after, &dead, &[wrong]), "");
        }
        assert_eq!(check(&cell(""), &statements(vec![]), &[]), "");
    }

    #[test]
    fn a_death_between_write_and_commit_counts_at_the_end_of_its_batch() {
        let with_sink = |point: &str| {
            let more = format!("[[death]]\nrecord = 7\npoint = \"{point}\"\nend = \"kill\"\n");
            cell(&format!("sink = \"sqlite-append\"\nbatch = 5\n{more}"))
        };
        let written = with_sink("between-write-and-commit");
        let dead = statements(vec![end(&written, true)]);
        let check_all =
            |cell: &Cell, journal: Journal| check(cell, &statements(vec![end(cell, true)]), &[journal]);
        let without_commit = |mut journal: Journal| {
            journal.entries.retain(|entry| !matches!(entry, Entry::Commit(_)));
            journal
        };
        assert_eq!(check(&written, &dead, &[without_commit(journal(0, 10, 10, false))]), "");
        for (begun, completed) in [(5, 5), (12, 12), (10, 5)] {
            assert_ne!(check_all(&written, without_commit(journal(0, begun, completed, false))), "");
        }
        assert!(check_all(&written, journal(0, 10, 10, false)).ends_with("its last batch was committed"));
        let poll = with_sink("after-poll");
        assert_eq!(check_all(&poll, journal(0, 6, 5, false)), "");
        assert_ne!(check_all(&poll, journal(0, 6, 0, false)), "");
    }

    #[test]
    fn a_death_counts_where_what_it_left_was_given_in_a_later_generation() {
        let after = death("after-processing", "kill", "");
        let dead = statements(vec![end(&after, true)]);
        let in_generation =
            |at_ns, generation| Entry::Assigned(Move { generation: Some(generation), ..moved(at_ns) });
        let own = || with(journal(0, 7, 7, false), in_generation(1, 3));
        let next = |at_ns, generation| {
            let life = Journal { incarnation: Incarnation(1), ..journal(0, 3, 3, true) };
            check(&after, &dead, &[own(), with(life, in_generation(at_ns, generation))])
        };
        assert_eq!(next(9, 4), "");
        for seen in [next(9, 3), next(1, 4), check(&after, &dead, &[own()])] {
            assert!(seen.ends_with("no generation of its group after 3 was seen"), "{seen}");
        }
    }

    #[test]
    fn a_death_between_offsets_and_commit_counts_in_an_open_transaction_that_has_them() {
        let more = "[[death]]\nrecord = 7\npoint = \"between-offsets-and-commit\"\nend = \"kill\"\n";
        let group = "sink = \"topic\"\ncommit = \"transaction\"\nbatch = 5\n[producer]\nidempotence = true\n";
        let cell = cell(&format!("{group}{more}"));
        let dead = statements(vec![end(&cell, true)]);
        let check = |called, state: Option<State>| {
            let transaction = |state| Transaction {
                ordinal: 1,
                state,
                begun_ns: 1,
                called_ns: 0,
                answered_ns: 0,
                records: 5,
                first_sequences: Vec::new(),
            };
            let mut pipeline = Transactions::none(ProducerId(0), Incarnation(0));
            pipeline.transactions.extend(state.map(transaction));
            let seen = Seen {
                statements: &dead,
                ledgers: &[],
                transactions: &[],
                pipelines: &[pipeline],
                journals: &[Journal { called, ..journal(0, 10, 5, false) }],
                batch: Some(5),
            };
            unproven(&cell, seen).unwrap_or_default()
        };
        assert_eq!(check(10, Some(State::OffsetsSent)), "");
        let states = [State::Open, State::CommitCalled, State::Committed].map(|state| check(10, Some(state)));
        for unproven in states.into_iter().chain([check(5, Some(State::OffsetsSent)), check(10, None)]) {
            assert!(unproven.ends_with("was not open with its offsets in it"), "{unproven}");
        }
    }

    #[test]
    fn a_stop_counts_where_others_had_taken_over_before_it_was_continued() {
        let stop = death("after-processing", "stop", "");
        let marks = |begun| Marks { begun, completed: 7, last_ns: 5 };
        let record = DeathRecord { marks: Some(marks(7)), continued_ns: Some(50), ..end(&stop, true) };
        let seen = statements(vec![record.clone()]);
        let zombie = || with(journal(0, 9, 9, true), Entry::Lost(moved(60)));
        let other = |at_ns| with(journal(1, 3, 3, true), Entry::Assigned(moved(at_ns)));
        assert_eq!(check(&stop, &seen, &[zombie(), other(20)]), "");
        let none = "nobody had taken over before it was continued";
        for early_or_late in [other(3), other(55), journal(1, 3, 3, true)] {
            assert!(check(&stop, &seen, &[zombie(), early_or_late]).ends_with(none));
        }
        let unaware = with(journal(0, 9, 9, true), Entry::Revoked(moved(60)));
        assert!(check(&stop, &seen, &[unaware, other(20)]).ends_with("it lost no partition by it"));
        let begun = statements(vec![DeathRecord { marks: Some(marks(8)), ..record.clone() }]);
        assert!(
            check(&stop, &begun, &[zombie(), other(20)]).contains("8 begun and 7 completed records, not 7")
        );
        let for_ever = statements(vec![DeathRecord { continued_ns: None, ..record }]);
        assert!(check(&stop, &for_ever, &[zombie(), other(20)]).ends_with("it was never continued"));
    }

    #[test]
    fn a_stop_before_the_write_counts_with_a_batch_begun_and_nothing_asked_of_the_sink() {
        let with_sink = |end: &str| {
            let more = format!("[[death]]\nrecord = 7\npoint = \"before-write\"\nend = \"{end}\"\n");
            cell(&format!("sink = \"sqlite-append\"\nbatch = 5\n{more}"))
        };
        let stop = with_sink("stop");
        let check_at = |begun, completed| {
            let marks = Some(Marks { begun, completed, last_ns: 5 });
            let record = DeathRecord { marks, continued_ns: Some(50), ..end(&stop, true) };
            let zombie = with(journal(0, 10, 5, true), Entry::Lost(moved(60)));
            let other = with(journal(1, 5, 5, true), Entry::Assigned(moved(20)));
            check(&stop, &statements(vec![record]), &[zombie, other])
        };
        assert_eq!(check_at(10, 5), "");
        // Not begun as a whole, written already, or of another batch.
        for (begun, completed) in [(6, 5), (10, 10), (5, 5), (12, 5)] {
            assert_ne!(check_at(begun, completed), "", "{begun} {completed}");
        }
        let kill = with_sink("kill");
        let dead = statements(vec![end(&kill, true)]);
        let called = |called| Journal { called, ..journal(0, 10, 5, false) };
        assert_eq!(check(&kill, &dead, &[called(5)]), "");
        assert!(check(&kill, &dead, &[called(10)]).ends_with("its sink had been asked for its last batch"));
    }

    #[test]
    fn a_producers_death_counts_where_its_ledger_ends() {
        let dies = death("after-send", "kill", "worker = \"producer\"\n");
        let seen = statements(vec![end(&dies, true)]);
        let ledger = |records: u64, closed| Ledger {
            producer: ProducerId(0),
            incarnation: Incarnation(0),
            book: BookKey(0),
            closed,
            settled: [0; STATES],
            partitions: vec![PartitionLedger {
                partition: PartitionId(0),
                first_sequence: 3,
                next_sequence: records + 3,
                runs: vec![],
            }],
            resends: vec![],
        };
        let check = |ledgers: &[Ledger]| {
            let seen = Seen {
                statements: &seen,
                ledgers,
                transactions: &[],
                pipelines: &[],
                journals: &[],
                batch: None,
            };
            unproven(&dies, seen).unwrap_or_default()
        };
        assert_eq!(check(&[ledger(7, false)]), "");
        assert!(check(&[ledger(8, false)]).ends_with("its ledger has 8 records, closed: false"));
        assert!(check(&[ledger(7, true)]).ends_with("closed: true"));
        assert!(check(&[]).ends_with("it left no ledger"));
    }

    #[test]
    fn each_kill_counts_by_the_exit_of_its_process() {
        let killed = cell("[[kill]]\nworker = \"member\"\nat = \"random\"\ntimes = 2\n");
        let done = |place: usize, as_planned| KillRecord {
            kill: killed.kills[place],
            incarnation: Incarnation(place as u8),
            done_ns: 9,
            exit: "signal: 9 (SIGKILL)".to_owned(),
            as_planned,
        };
        let check = |kills: Vec<KillRecord>| check(&killed, &Statements { kills, ..statements(vec![]) }, &[]);
        assert_eq!(check(vec![done(0, true), done(1, true)]), "");
        assert!(check(vec![done(0, true)]).ends_with("did not happen"));
        assert!(check(vec![done(0, true), done(1, false)]).contains("its process ended otherwise"));
    }

    #[test]
    fn a_join_counts_where_something_went_from_an_old_member_to_the_new_one() {
        let joined = cell("[[join]]\nafter = 6\n");
        let check = |completed, old: Entry, new: Entry| {
            let join = JoinRecord { join: joined.joins[0], member: MemberId(2), completed, started_ns: 10 };
            let seen = Statements { joins: vec![join], ..statements(vec![]) };
            check(&joined, &seen, &[with(journal(0, 6, 6, true), old), with(journal(2, 1, 1, true), new)])
        };
        let (revoked, assigned) = (|at| Entry::Revoked(moved(at)), |at| Entry::Assigned(moved(at)));
        assert_eq!(check(6, revoked(20), assigned(30)), "");
        assert!(check(6, revoked(5), assigned(30)).ends_with("nothing was taken from others for it"));
        assert!(check(6, revoked(20), revoked(30)).ends_with("nothing was taken from others for it"));
        assert!(check(5, revoked(20), assigned(30)).ends_with("came too early"));
    }
}
