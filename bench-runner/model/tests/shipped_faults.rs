//! The recipes of broker faults that ship: instants leave room on both sides, and what is expected is plain arithmetic.

mod shipped;

use bench_model::fault::{Action, Api, FaultStep, Lose, Target, When};
use bench_model::plan::Cell;
use bench_model::settings::{Acks, Arrival, TransactionSpan};
use shipped::cells;

const MS: u64 = 1_000_000;

/// The instants and sizes of the two bursts: to warm up, and to lose.
fn bursts<const N: usize>(cell: &Cell) -> [(u64, u64); N] {
    let Arrival::Bursts(bursts) = &cell.settings.load.arrival else { panic!("{}", cell.id) };
    assert_eq!(cell.settings.topic.partitions, 1, "one leader holds everything");
    std::array::from_fn(|at| (bursts[at].at_ns, bursts[at].records))
}

/// A broker takes the next request of a connection only when it has answered the one before: the burst must be one.
fn one_request(cell: &Cell) {
    let [_, (_, records)] = bursts(cell);
    let producer = &cell.settings.producer;
    assert!(records * u64::from(cell.settings.load.record_bytes + 50) < u64::from(producer.batch_bytes));
    assert!(producer.linger_ns >= 50 * MS);
}

fn at_ns(step: &FaultStep) -> u64 {
    step.when.at_ns().expect("an instant")
}

/// Whoever stands still is put out of the ISR so long after it, at the earliest and at the latest (session 3 s, heartbeats every 500 ms).
const FENCED: std::ops::Range<u64> = 2_500 * MS..3_600 * MS;

#[test]
fn l4_sends_to_a_leader_alone_and_kills_it() {
    for cell in cells("recipes/l4") {
        let [_, (burst_ns, records)] = bursts(&cell);
        let [stop, kill, on, start] = cell.faults[..] else { panic!("{:?}", cell.faults) };
        assert!(burst_ns > at_ns(&stop) + FENCED.end + 500 * MS && burst_ns < at_ns(&kill));
        assert_eq!((on.action, on.when), (Action::Continue, kill.when), "in the next statement");
        let topic = &cell.settings.topic;
        let unclean = topic.extra.contains_key("unclean.leader.election.enable");
        // Who may not be elected is not waited for.
        assert_eq!(start.when == When::NewLeader, unclean);
        let lost = if unclean && topic.min_insync_replicas == 1 { records } else { 0 };
        assert_eq!(cell.expect["log_loss"], lost, "{}", cell.id);
    }
}

#[test]
fn l2_cuts_the_leader_off_and_sends_before_anybody_else_leads() {
    for cell in cells("recipes/l2") {
        let [_, (burst_ns, records)] = bursts(&cell);
        let [cut, back] = cell.faults[..] else { panic!("{:?}", cell.faults) };
        assert_eq!((cut.action, cut.target, back.when), (Action::Isolate, Target::Leader, When::NewLeader));
        assert!(at_ns(&cut) + 300 * MS < burst_ns && burst_ns + 500 * MS < at_ns(&cut) + FENCED.start);
        let tally = |tally: &str| cell.expect.get(tally).copied();
        let lost = |acks| if cell.settings.producer.acks == acks { records } else { 0 };
        assert_eq!((tally("log_loss"), tally("acks0_drop")), (Some(lost(Acks::One)), Some(lost(Acks::Zero))));
    }
}

#[test]
fn l2_full_sends_before_and_after_the_others_elect_and_connects_behind_both() {
    for cell in cells("recipes/l2-full") {
        let [_, (before_ns, records), (after_ns, more)] = bursts(&cell);
        let [cut, back] = cell.faults[..] else { panic!("{:?}", cell.faults) };
        assert_eq!(
            (cut.action, cut.target, back.action),
            (Action::IsolateFully, Target::Leader, Action::Reconnect)
        );
        assert!(at_ns(&cut) + 300 * MS < before_ns && before_ns + 500 * MS < at_ns(&cut) + FENCED.start);
        assert!(at_ns(&cut) + FENCED.end + 500 * MS < after_ns && after_ns + 500 * MS < at_ns(&back));
        let tally = |tally: &str| cell.expect.get(tally).copied();
        let lost = |acks| if cell.settings.producer.acks == acks { records + more } else { 0 };
        assert_eq!((tally("log_loss"), tally("acks0_drop")), (Some(lost(Acks::One)), Some(lost(Acks::Zero))));
    }
}

#[test]
fn d4_goes_on_after_the_first_time_out_and_before_the_second_or_the_end_of_the_session() {
    for cell in cells("recipes/d4") {
        let [_, (burst_ns, records)] = bursts(&cell);
        let [stop, on] = cell.faults[..] else { panic!("{:?}", cell.faults) };
        let producer = &cell.settings.producer;
        let sent_ns = burst_ns + producer.linger_ns;
        let [first_ns, second_ns] = [1, 2].map(|attempts| sent_ns + attempts * producer.request_timeout_ns);
        assert!(at_ns(&stop) < burst_ns && at_ns(&on) < at_ns(&stop) + FENCED.start);
        assert!(first_ns + 500 * MS < at_ns(&on) && at_ns(&on) + 500 * MS < second_ns);
        one_request(&cell);
        let waits = producer.acks == Acks::All;
        let again = waits && !producer.idempotence && producer.retries > 0;
        assert_eq!(cell.expect["duplicate_same_attempt"], if again { records } else { 0 }, "{}", cell.id);
        let unknown = waits && producer.retries == 0;
        assert_eq!(cell.expect["unknown_present"], if unknown { records } else { 0 }, "{}", cell.id);
    }
}

#[test]
fn d2_hands_over_while_the_answer_waits_for_who_stands_still() {
    for cell in cells("recipes/d2") {
        let [_, (burst_ns, records)] = bursts(&cell);
        let [stop, elect, on] = cell.faults[..] else { panic!("{:?}", cell.faults) };
        let producer = &cell.settings.producer;
        one_request(&cell);
        assert_eq!(
            (stop.target, elect.action, elect.target),
            (Target::OtherFollowers, Action::Elect, Target::Follower)
        );
        assert!(at_ns(&stop) < burst_ns && burst_ns + producer.linger_ns + 500 * MS < at_ns(&elect));
        assert!(at_ns(&elect) + 1_000 * MS < at_ns(&on) && at_ns(&on) < at_ns(&stop) + FENCED.start);
        let again = producer.acks == Acks::All && !producer.idempotence;
        assert_eq!(cell.expect["duplicate_same_attempt"], if again { records } else { 0 }, "{}", cell.id);
    }
}

#[test]
fn s1_gives_up_before_the_follower_is_out_or_waits_until_it_is() {
    const LOOK: u64 = 1_000 * MS;
    for cell in cells("recipes/s1") {
        let [_, (burst_ns, records)] = bursts(&cell);
        one_request(&cell);
        let patience_ns = cell.settings.producer.delivery_timeout_ns;
        let Some(stop) = cell.faults.first() else {
            assert_eq!((cell.expect["unknown_present"], cell.settings.producer.acks), (0, Acks::All));
            continue;
        };
        assert_eq!((stop.target, cell.settings.topic.min_insync_replicas), (Target::Follower, 2));
        assert!(at_ns(stop) < burst_ns && at_ns(&cell.faults[1]) > at_ns(stop) + FENCED.end);
        // librdkafka looks for time-outs once a second.
        let impatient = burst_ns + patience_ns + LOOK <= at_ns(stop) + FENCED.start;
        assert!(impatient || burst_ns + patience_ns > at_ns(stop) + FENCED.end);
        let unknown = impatient && cell.settings.producer.acks == Acks::All;
        assert_eq!(cell.expect["unknown_present"], if unknown { records } else { 0 }, "{}", cell.id);
    }
}

#[test]
fn p1_loses_all_where_nothing_was_flushed_and_nobody_has_power() {
    for cell in cells("recipes/p1") {
        let [(_, warm), (_, records)] = bursts(&cell);
        let [cut, start] = cell.faults[..] else { panic!("{:?}", cell.faults) };
        assert_eq!(cut.when, When::Acked(warm + records), "all are acknowledged by then");
        assert_eq!((cut.action, cut.lose, start.target), (Action::PowerCut, Some(Lose::All), cut.target));
        let flushed = cell.settings.topic.extra.contains_key("flush.messages");
        let lost = if cut.target == Target::All && !flushed { warm + records } else { 0 };
        assert_eq!(cell.expect["log_loss"], lost, "{}", cell.id);
    }
}

#[test]
fn recipes_at_a_proxy_rule_it_around_the_burst_and_expect_what_was_sent_then() {
    for (name, action, tally) in [
        ("l3", Action::Discard, "acks0_drop"),
        ("d1", Action::Withhold, "duplicate_same_attempt"),
        ("o1", Action::Refuse, "reorder"),
    ] {
        let cells = cells(&format!("recipes/{name}"));
        for cell in &cells {
            let (rule, pass) = (&cell.faults[0], &cell.faults[1]);
            assert_eq!((rule.action, rule.target, pass.action), (action, Target::Leader, Action::Pass));
            let [(warm_ns, _), (burst_ns, records)] = bursts(cell);
            assert!(warm_ns + 500 * MS < at_ns(rule) && at_ns(rule) + 500 * MS < burst_ns, "{}", cell.id);
            // However slow the machine: everything has arrived at the proxy.
            let met = rule.rule.and_then(|rule| rule.requests).unwrap_or(records);
            assert_eq!(pass.when, When::Met(met), "{}", cell.id);
            let broken = cell.faults.get(2).map(|step| (step.action, step.when));
            // Who waits for an answer must learn that there will be none.
            let waits = name != "o1" && cell.settings.producer.acks != Acks::Zero;
            assert_eq!(broken, waits.then_some((Action::Reset, pass.when)), "{}", cell.id);
        }
        let fires = |cell: &&Cell| cell.expect.get(tally).is_some_and(|count| *count > 0);
        let counts: Vec<u64> = cells.iter().filter(fires).map(|cell| cell.expect[tally]).collect();
        let [_, (_, records)] = bursts(&cells[0]);
        assert!(counts.iter().all(|count| *count == if name == "o1" { 1 } else { records }), "{counts:?}");
        assert!(!counts.is_empty() && counts.len() < cells.len(), "{name} has no control");
    }
    ["recipes/d1", "recipes/l3"].iter().flat_map(|name| cells(name)).for_each(|cell| one_request(&cell));
    for cell in cells("recipes/o1") {
        assert!(cell.settings.producer.batch_bytes < cell.settings.load.record_bytes, "one record a request");
        assert!(cell.settings.producer.max_in_flight > 1);
        assert_eq!(cell.faults[0].rule.and_then(|rule| rule.requests), Some(1));
    }
}

#[test]
fn liars_lie_of_the_burst_and_the_books_show_all_of_it() {
    let cells = cells("liars");
    for cell in &cells {
        let [(warm_ns, _), (burst_ns, records)] = bursts(cell);
        let [lie] = cell.faults[..] else { panic!("{:?}", cell.faults) };
        assert!(lie.action.is_lie() && lie.target == Target::Leader, "{}", cell.id);
        assert!(warm_ns + 500 * MS < at_ns(&lie) && at_ns(&lie) + 500 * MS < burst_ns, "{}", cell.id);
        let producer = &cell.settings.producer;
        let tally = |tally: &str| cell.expect.get(tally).copied();
        match lie.action {
            Action::Acknowledge => assert_eq!(tally("log_loss"), Some(records), "whatever was asked for"),
            Action::Duplicate => {
                one_request(cell);
                let twice = if producer.idempotence { 0 } else { records };
                assert_eq!((tally("duplicate_same_attempt"), tally("log_loss")), (Some(twice), Some(0)));
            }
            _ => {
                assert!(producer.batch_bytes < cell.settings.load.record_bytes && producer.max_in_flight > 1);
                assert_eq!(lie.rule.and_then(|rule| rule.requests), Some(1), "one record is late");
                let late = u64::from(!producer.idempotence);
                assert_eq!((tally("reorder"), tally("log_loss")), (Some(late), Some(0)));
            }
        }
    }
    for lie in [Action::Acknowledge, Action::Duplicate, Action::Swap] {
        let kinds: Vec<bool> = cells
            .iter()
            .filter(|cell| cell.faults[0].action == lie)
            .map(|cell| cell.settings.producer.idempotence)
            .collect();
        assert!(kinds.contains(&true) && kinds.contains(&false), "{lie:?}");
    }
}

#[test]
fn t4_lets_the_end_of_one_transaction_go_while_the_next_is_open() {
    for (name, seen) in [("t4", 20), ("t4-torn", 10)] {
        let cells = cells(&format!("recipes/{name}"));
        for cell in &cells {
            let settings = &cell.settings;
            let transaction = settings.producer.transaction.as_ref().expect("transactions");
            let TransactionSpan::Time(span_ns) = transaction.span else { panic!("{}", cell.id) };
            let Arrival::Bursts(bursts) = &settings.load.arrival else { panic!("{}", cell.id) };
            let [hold, pass] = cell.faults[..] else { panic!("{:?}", cell.faults) };
            assert_eq!((hold.action, pass.action), (Action::Hold, Action::Pass));
            assert_eq!(hold.rule.map(|rule| (rule.api, rule.requests)), Some((Api::EndTxn, Some(1))));
            assert!(bursts[0].at_ns < at_ns(&hold) && at_ns(&hold) < span_ns, "{}", cell.id);
            let second_ns = bursts[1].at_ns;
            let is_late = at_ns(&pass) > second_ns;
            // Behind what is written by then, before what is not, and before the end.
            let before: u64 =
                bursts.iter().filter(|one| one.at_ns < at_ns(&pass)).map(|one| one.records).sum();
            assert_eq!(before, 20 + if is_late { seen } else { 0 }, "{}", cell.id);
            assert!(at_ns(&pass) + 500 * MS < second_ns + span_ns, "{}", cell.id);
            assert!(bursts.iter().all(|one| one.at_ns.abs_diff(at_ns(&pass)) >= 500 * MS), "{}", cell.id);
            // Nothing is due when the second one ends, and something is due later.
            assert!(bursts.last().is_some_and(|last| last.at_ns > second_ns + span_ns + 2_000 * MS));
            let expected = if is_late && transaction.aborts(2) { seen } else { 0 };
            assert_eq!(cell.expect["aborted_read"], expected, "{}", cell.id);
            assert_eq!(cell.expect["torn_transaction"], u64::from(expected == 10), "{}", cell.id);
        }
        let fires = |cell: &&Cell| cell.expect["aborted_read"] > 0;
        assert_eq!(cells.iter().filter(fires).count(), 1, "{name}");
        assert!(cells.len() > 1, "{name} has no control");
    }
}
