//! A proxy between real sockets: a broker that answers when it is told to, and clients that speak just heads.

use super::Proxy;
use super::answer::tests::produce;
use super::frame::{Frames, Head, correlation};
use bench_model::fault::{Action, Api, FaultStep, Hits, Refusal, Rule, Target, When};
use bytes::Bytes;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

/// The correlation ids of all requests that a broker has read, in their order, and how many it may still answer.
struct Broker {
    seen: mpsc::UnboundedReceiver<i32>,
    answers: Arc<Semaphore>,
}

async fn broker_and_proxy() -> (Broker, Proxy) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let proxy =
        Proxy::open(0, listener.local_addr().expect("an address").to_string()).await.expect("a proxy");
    let (tell, seen) = mpsc::unbounded_channel();
    let answers = Arc::new(Semaphore::new(0));
    let may_answer = answers.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, tell.clone(), may_answer.clone()));
        }
    });
    (Broker { seen, answers }, proxy)
}

async fn answer(stream: TcpStream, tell: mpsc::UnboundedSender<i32>, may_answer: Arc<Semaphore>) {
    let (from, mut to) = stream.into_split();
    let mut frames = Frames::of(from);
    while let Ok(Some(frame)) = frames.next().await {
        let Head { correlation, .. } = Head::of(&frame).expect("a head");
        let _ = tell.send(correlation);
        may_answer.acquire().await.expect("open").forget();
        let answer = [4i32.to_be_bytes(), correlation.to_be_bytes()].concat();
        if to.write_all(&answer).await.is_err() {
            return;
        }
    }
}

struct Client {
    answers: Frames<OwnedReadHalf>,
    to: OwnedWriteHalf,
}

impl Client {
    async fn of(proxy: &Proxy) -> Self {
        let (from, to) = TcpStream::connect(proxy.address).await.expect("connected").into_split();
        Client { answers: Frames::of(from), to }
    }

    /// A head of version 1 without a client's name, and no body.
    async fn ask(&mut self, api: Api, correlation: i32) {
        let mut frame = 10i32.to_be_bytes().to_vec();
        frame.extend(api.key().to_be_bytes());
        frame.extend(1i16.to_be_bytes());
        frame.extend(correlation.to_be_bytes());
        frame.extend((-1i16).to_be_bytes());
        self.to.write_all(&frame).await.expect("written");
    }

    async fn answer(&mut self) -> Bytes {
        self.answers.next().await.expect("no error").expect("an answer")
    }

    async fn answered(&mut self) -> Option<i32> {
        correlation(&self.answer().await)
    }
}

fn step(action: Action, requests: Option<u64>, wait_ns: Option<u64>) -> FaultStep {
    let error = (action == Action::Refuse).then_some(Refusal::NotCoordinator);
    let rule = action.has_rule().then_some(Rule { api: Api::EndTxn, requests, wait_ns, error, offset: None });
    FaultStep { rule, ..FaultStep::new(When::At(0), action, Target::All) }
}

async fn counted(proxy: &Proxy, number: usize, is_so: impl Fn(Hits) -> bool) {
    while !is_so(proxy.hits(number)) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn in_time(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let limit = Duration::from_secs(60);
    runtime.block_on(async { tokio::time::timeout(limit, test).await.expect("it hangs") });
}

#[test]
fn what_no_rule_is_about_passes_in_its_order() {
    in_time(async {
        let (mut broker, proxy) = broker_and_proxy().await;
        broker.answers.add_permits(3);
        proxy.carry_out(0, &step(Action::Pass, None, None));
        proxy.carry_out(1, &step(Action::Discard, Some(1), None));
        let mut client = Client::of(&proxy).await;
        for (api, correlation) in [(Api::Fetch, 1), (Api::EndTxn, 2), (Api::Heartbeat, 3), (Api::EndTxn, 4)] {
            client.ask(api, correlation).await;
        }
        for expected in [1, 3, 4] {
            assert_eq!(broker.seen.recv().await, Some(expected));
            assert_eq!(client.answered().await, Some(expected));
        }
        assert_eq!((proxy.hits(0).requests, proxy.hits(1).requests), (3, 1));
    });
}

#[test]
fn what_is_held_arrives_when_all_passes_whatever_its_client_did_meanwhile() {
    in_time(async {
        let (mut broker, proxy) = broker_and_proxy().await;
        broker.answers.add_permits(2);
        proxy.carry_out(0, &step(Action::Hold, Some(1), None));
        let mut first = Client::of(&proxy).await;
        first.ask(Api::EndTxn, 1).await;
        counted(&proxy, 0, |hits| hits.requests == 1).await;
        drop(first);
        let mut second = Client::of(&proxy).await;
        second.ask(Api::EndTxn, 2).await;
        assert_eq!((broker.seen.recv().await, second.answered().await), (Some(2), Some(2)));
        proxy.carry_out(1, &step(Action::Pass, None, None));
        assert_eq!(broker.seen.recv().await, Some(1));
        counted(&proxy, 0, |hits| hits.answers == 1).await;
        assert_eq!(proxy.hits(1).rules, 1);
    });
}

#[test]
fn what_is_held_is_let_go_by_healing_too() {
    in_time(async {
        let (mut broker, proxy) = broker_and_proxy().await;
        broker.answers.add_permits(1);
        proxy.carry_out(0, &step(Action::Hold, None, None));
        let mut client = Client::of(&proxy).await;
        client.ask(Api::EndTxn, 1).await;
        counted(&proxy, 0, |hits| hits.requests == 1).await;
        assert_eq!((proxy.heal(), proxy.heal()), (1, 0));
        assert_eq!((broker.seen.recv().await, client.answered().await), (Some(1), Some(1)));
    });
}

#[test]
fn clients_are_cut_off_and_their_requests_are_answered_nevertheless() {
    in_time(async {
        let (mut broker, proxy) = broker_and_proxy().await;
        proxy.carry_out(0, &step(Action::Withhold, None, None));
        let mut client = Client::of(&proxy).await;
        for correlation in [1, 2] {
            client.ask(Api::EndTxn, correlation).await;
        }
        assert_eq!(broker.seen.recv().await, Some(1));
        counted(&proxy, 0, |hits| hits.requests == 2).await;
        proxy.carry_out(1, &step(Action::Pass, None, None));
        proxy.carry_out(2, &step(Action::Reset, None, None));
        let broken = client.answers.next().await.expect_err("the connection is broken");
        assert_eq!(broken.kind(), std::io::ErrorKind::ConnectionReset);
        assert_eq!(proxy.hits(2).connections, 1);
        // The broker answers only now, and is heard.
        broker.answers.add_permits(2);
        assert_eq!(broker.seen.recv().await, Some(2));
        counted(&proxy, 0, |hits| hits.answers == 2).await;
        proxy.carry_out(3, &step(Action::Reset, None, None));
        assert_eq!(proxy.hits(3).connections, 0);
    });
}

#[test]
fn an_answer_that_is_withheld_does_not_reach_the_client() {
    in_time(async {
        let (broker, proxy) = broker_and_proxy().await;
        broker.answers.add_permits(2);
        proxy.carry_out(0, &step(Action::Withhold, Some(1), None));
        let mut client = Client::of(&proxy).await;
        client.ask(Api::EndTxn, 1).await;
        client.ask(Api::EndTxn, 2).await;
        assert_eq!(client.answered().await, Some(2));
        assert_eq!((proxy.hits(0).requests, proxy.hits(0).answers), (1, 1));
    });
}

#[test]
fn a_refusal_comes_behind_the_answer_to_a_later_request_or_in_time() {
    in_time(async {
        let (mut broker, proxy) = broker_and_proxy().await;
        broker.answers.add_permits(9);
        const HOUR: u64 = 3_600_000_000_000;
        proxy.carry_out(0, &step(Action::Refuse, Some(1), Some(HOUR)));
        proxy.carry_out(1, &step(Action::Refuse, Some(1), Some(1)));
        let mut client = Client::of(&proxy).await;
        client.ask(Api::EndTxn, 1).await;
        client.ask(Api::EndTxn, 2).await;
        // The second rule's is due at once; it is no answer of the broker, so the first one waits for another.
        assert_eq!(client.answered().await, Some(2));
        client.ask(Api::Heartbeat, 3).await;
        assert_eq!(client.answered().await, Some(3));
        client.ask(Api::EndTxn, 4).await;
        assert_eq!(client.answered().await, Some(4));
        let refusal = client.answer().await;
        assert_eq!(correlation(&refusal), Some(1));
        // Version 1: throttle time, then the error.
        assert_eq!(refusal[12..], Refusal::NotCoordinator.code().to_be_bytes());
        assert_eq!((broker.seen.recv().await, broker.seen.recv().await), (Some(3), Some(4)));
        assert_eq!((proxy.hits(0).answers, proxy.hits(1).answers), (1, 1));
    });
}

#[test]
fn what_is_acknowledged_is_not_passed_on() {
    in_time(async {
        let (mut broker, proxy) = broker_and_proxy().await;
        broker.answers.add_permits(1);
        let mut lie = step(Action::Acknowledge, Some(1), None);
        lie.rule = lie.rule.map(|rule| Rule { api: Api::Produce, ..rule });
        proxy.carry_out(0, &lie);
        let mut client = Client::of(&proxy).await;
        let (_, produce) = produce(9, -1);
        client.to.write_all(&produce).await.expect("written");
        assert_eq!(client.answered().await, Some(77));
        client.ask(Api::EndTxn, 2).await;
        assert_eq!((broker.seen.recv().await, client.answered().await), (Some(2), Some(2)));
        let hits = proxy.hits(0);
        assert_eq!((hits.requests, hits.records, hits.answers), (1, 16, 1));
    });
}

#[test]
fn what_is_passed_on_twice_is_answered_once() {
    in_time(async {
        let (mut broker, proxy) = broker_and_proxy().await;
        broker.answers.add_permits(3);
        proxy.carry_out(0, &step(Action::Duplicate, Some(1), None));
        let mut client = Client::of(&proxy).await;
        client.ask(Api::EndTxn, 1).await;
        client.ask(Api::EndTxn, 2).await;
        for expected in [1, 1, 2] {
            assert_eq!(broker.seen.recv().await, Some(expected));
        }
        assert_eq!((client.answered().await, client.answered().await), (Some(1), Some(2)));
        assert_eq!((proxy.hits(0).requests, proxy.hits(0).answers), (1, 1));
    });
}

#[test]
fn swapped_requests_are_answered_in_the_order_of_their_client() {
    in_time(async {
        let (mut broker, proxy) = broker_and_proxy().await;
        broker.answers.add_permits(4);
        proxy.carry_out(0, &step(Action::Swap, Some(1), None));
        let mut client = Client::of(&proxy).await;
        client.ask(Api::EndTxn, 1).await;
        client.ask(Api::Heartbeat, 2).await;
        assert_eq!((broker.seen.recv().await, client.answered().await), (Some(2), Some(2)), "another kind");
        assert_eq!(proxy.hits(0).requests, 0, "nothing went before it yet");
        client.ask(Api::EndTxn, 3).await;
        client.ask(Api::EndTxn, 4).await;
        for expected in [3, 1, 4] {
            assert_eq!(broker.seen.recv().await, Some(expected));
        }
        for expected in [1, 3, 4] {
            assert_eq!(client.answered().await, Some(expected));
        }
        assert_eq!((proxy.hits(0).requests, proxy.hits(0).answers), (1, 1));
    });
}

#[test]
fn what_nothing_goes_before_is_passed_on_when_rules_end_or_its_client_is_gone() {
    in_time(async {
        let (mut broker, proxy) = broker_and_proxy().await;
        broker.answers.add_permits(2);
        proxy.carry_out(0, &step(Action::Swap, Some(2), None));
        let mut client = Client::of(&proxy).await;
        client.ask(Api::EndTxn, 1).await;
        client.ask(Api::Heartbeat, 2).await;
        assert_eq!((broker.seen.recv().await, client.answered().await), (Some(2), Some(2)));
        proxy.carry_out(1, &step(Action::Pass, None, None));
        assert_eq!((broker.seen.recv().await, client.answered().await), (Some(1), Some(1)));
        proxy.carry_out(2, &step(Action::Swap, Some(1), None));
        client.ask(Api::EndTxn, 3).await;
        drop(client);
        assert_eq!(broker.seen.recv().await, Some(3));
        assert_eq!((proxy.hits(0).requests, proxy.hits(2).requests), (0, 0));
    });
}

#[test]
fn what_is_delayed_waits_and_is_passed_on() {
    in_time(async {
        let (broker, proxy) = broker_and_proxy().await;
        broker.answers.add_permits(2);
        let wait = Duration::from_millis(50);
        proxy.carry_out(0, &step(Action::Delay, Some(1), Some(wait.as_nanos() as u64)));
        let mut client = Client::of(&proxy).await;
        let began = std::time::Instant::now();
        client.ask(Api::EndTxn, 1).await;
        assert_eq!(client.answered().await, Some(1));
        assert!(began.elapsed() >= wait);
        client.ask(Api::EndTxn, 2).await;
        assert_eq!(client.answered().await, Some(2));
        assert_eq!(proxy.hits(0).requests, 1);
    });
}
