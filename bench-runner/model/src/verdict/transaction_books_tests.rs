//! Evidence of transactions against ledgers and copies: each of them alone tells of an error of the others.

use super::Identity;
use super::transaction_tests::{History, broken, judged, usual};
use crate::ids::Incarnation;
use crate::transactions::Transactions;

/// What breaks I11 where the usual transactions are told otherwise.
fn told(change: impl Fn(&mut Transactions)) -> String {
    let history = usual();
    let mut life = history.evidence();
    change(&mut life);
    let verdict = judged(&[history.ledger()], &[life], &history.readings());
    let i11 = verdict.identities.iter().find(|identity| identity.name == "I11").expect("checked");
    let Identity { holds, detail, .. } = i11;
    if *holds { String::new() } else { detail.clone() }
}

#[test]
fn the_first_transaction_has_the_first_record_unless_there_is_none() {
    let late = told(|life| {
        life.transactions[0].first_sequences[0] = 1;
        life.transactions[0].records -= 1;
    });
    assert!(late.contains("partition 0: records before the first transaction (1 in all)"), "{late}");
    let nothing = History { transactions: vec![], rejected: vec![], logs: Default::default() };
    let verdict = judged(&[nothing.ledger()], &[nothing.evidence()], &nothing.readings());
    assert_eq!(broken(&verdict), "", "a life that has begun none has sent none");
}

#[test]
fn no_transaction_begins_behind_the_next_one() {
    let back = told(|life| {
        life.transactions[1].first_sequences[0] = 5;
        life.transactions[0].records += 3;
        life.transactions[1].records -= 2;
    });
    assert!(back.contains("transaction 2 ends at 4, begins at 5"), "{back}");
}

#[test]
fn only_the_last_transaction_of_a_killed_life_may_have_counted_more_than_was_entered() {
    let counted = |closed: bool, at: usize, more: u64, less: u64| {
        told(|life| {
            life.closed = closed;
            life.transactions[at].records = life.transactions[at].records + more - less;
        })
    };
    assert_eq!(counted(false, 4, 1, 0), "");
    for told in [counted(true, 4, 1, 0), counted(false, 3, 1, 0), counted(false, 4, 0, 1)] {
        assert!(told.contains("records entered in transaction"), "{told}");
    }
}

#[test]
fn an_answer_may_be_missing_among_the_counters_of_a_killed_life_alone() {
    let missing = |closed, answers: u64| {
        told(|life| {
            life.closed = closed;
            life.answers[0] -= answers;
        })
    };
    assert_eq!([missing(false, 0), missing(false, 1)], ["", ""]);
    for told in [missing(true, 1), missing(false, 2)] {
        assert!(told.contains("by counters"), "{told}");
    }
}

#[test]
fn a_copy_says_which_transaction_it_went_into() {
    // A record more in the second one, and one less in the first: entries and counters agree.
    let other = told(|life| {
        life.transactions[1].first_sequences[0] = 1;
        life.transactions[0].records -= 1;
        life.transactions[1].records += 1;
    });
    assert!(other.contains("sequence 1: the copy says transaction 1 of life 0, the ledger 2"), "{other}");
    let history = usual();
    let mut readings = history.readings();
    let runs =
        readings.iter_mut().flat_map(|reading| &mut reading.partitions).flat_map(|part| &mut part.runs);
    runs.for_each(|run| run.incarnation = Incarnation(1));
    let verdict = judged(&[history.ledger()], &[history.evidence()], &readings);
    assert!(broken(&verdict).contains("I11"), "copies of another life");
}

#[test]
fn every_life_has_its_evidence_once() {
    let history = usual();
    let life = history.evidence();
    let twice = judged(&[history.ledger()], &[life.clone(), life.clone()], &history.readings());
    let stray = Transactions { incarnation: Incarnation(1), ..life.clone() };
    let strange = judged(&[history.ledger()], &[life, stray], &history.readings());
    assert!(broken(&twice).contains("I11") && broken(&strange).contains("I11"));
}
