//! The recipes of broker faults that ship: instants leave room on both sides, and what is expected is plain arithmetic.

mod shipped;

use bench_model::fault::{Action, FaultStep, Lose, Target, When};
use bench_model::plan::Cell;
use bench_model::settings::{Acks, Arrival};
use shipped::cells;

const MS: u64 = 1_000_000;

/// The instants and sizes of the two bursts: to warm up, and to lose.
fn bursts(cell: &Cell) -> [(u64, u64); 2] {
    let Arrival::Bursts(bursts) = &cell.settings.load.arrival else { panic!("{}", cell.id) };
    assert_eq!(cell.settings.topic.partitions, 1, "one leader holds everything");
    [0, 1].map(|at| (bursts[at].at_ns, bursts[at].records))
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
        let [(_, warm), (burst_ns, records)] = bursts(&cell);
        let [cut, start] = cell.faults[..] else { panic!("{:?}", cell.faults) };
        assert!(burst_ns + 1_000 * MS < at_ns(&cut), "all are acknowledged by then");
        assert_eq!((cut.action, cut.lose, start.target), (Action::PowerCut, Some(Lose::All), cut.target));
        let flushed = cell.settings.topic.extra.contains_key("flush.messages");
        let lost = if cut.target == Target::All && !flushed { warm + records } else { 0 };
        assert_eq!(cell.expect["log_loss"], lost, "{}", cell.id);
    }
}
