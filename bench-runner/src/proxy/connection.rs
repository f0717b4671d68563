//! One client's connection and the one to the broker that belongs to it: requests go one way, answers the other.
//!
//! The broker's side lives on without the client until everything is answered that a rule has touched.

use super::Desk;
use super::answer::Asked;
use super::frame::{Frames, Head, correlation};
use super::rules::Deed;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// A request that the broker was given.
#[derive(Debug)]
struct Forwarded {
    /// How many went before it.
    place: u64,
    head: Head,
    touched: Option<Touched>,
}

/// What a rule has done to it.
#[derive(Debug, Clone, Copy)]
struct Touched {
    step: usize,
    withheld: bool,
}

/// A refusal that is not written yet.
#[derive(Debug)]
struct Refused {
    frame: Bytes,
    step: usize,
    api: i16,
    /// How many requests had gone before it.
    place: u64,
    due: Instant,
}

/// What both directions know of each other.
#[derive(Debug, Default)]
struct Open {
    /// Requests that the broker was given so far.
    places: u64,
    forwarded: VecDeque<Forwarded>,
    refused: Vec<Refused>,
    /// The broker is gone.
    closed: bool,
}

#[derive(Debug, Default)]
struct Line {
    open: Mutex<Open>,
    changed: Notify,
    refused: Notify,
}

impl Line {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brokers answer in order, so what stands before the request with this id will have no answer any more (acks=0).
    fn answered(&self, correlation: i32) -> Option<Forwarded> {
        let mut open = self.open();
        let at = open.forwarded.iter().position(|one| one.head.correlation == correlation)?;
        let answered = open.forwarded.drain(..=at).next_back();
        self.changed.notify_one();
        answered
    }

    /// Everything that a rule has touched is answered, or will never be.
    async fn settled(&self) {
        let is_settled = || {
            let open = self.open();
            open.closed || open.forwarded.iter().all(|one| one.touched.is_none())
        };
        while !is_settled() {
            self.changed.notified().await;
        }
    }

    fn forward(&self, head: Head, touched: Option<Touched>) {
        let mut open = self.open();
        let place = open.places;
        open.places += 1;
        open.forwarded.push_back(Forwarded { place, head, touched });
    }

    fn refuse(&self, frame: Bytes, (step, api): (usize, i16), due: Instant) {
        let mut open = self.open();
        let place = open.places;
        open.refused.push(Refused { frame, step, api, place, due });
        self.refused.notify_one();
    }

    /// Refusals that are due by now, or waited for the answer to this request.
    fn due(&self, answered: Option<&Forwarded>) -> Vec<Refused> {
        let now = Instant::now();
        let is_behind = |one: &Refused| {
            answered.is_some_and(|answered| answered.head.api == one.api && answered.place >= one.place)
        };
        self.open().refused.extract_if(.., |one| one.due <= now || is_behind(one)).collect()
    }

    /// Waits until a refusal is due.
    async fn is_due(&self) {
        loop {
            let next = self.open().refused.iter().map(|one| one.due).min();
            match next {
                None => self.refused.notified().await,
                Some(due) => tokio::select! {
                    () = sleep_until(due) => return,
                    () = self.refused.notified() => {}
                },
            }
        }
    }
}

/// A client that is counted as connected.
struct Present<'a> {
    clients: &'a AtomicU64,
}

impl<'a> Present<'a> {
    fn of(desk: &'a Desk) -> Self {
        desk.clients.fetch_add(1, Ordering::Relaxed);
        Present { clients: &desk.clients }
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Passes frames on until both sides are done.
pub(super) async fn serve(client: TcpStream, broker: TcpStream, desk: &Desk) {
    // Without this the kernel would gather small frames.
    if client.set_nodelay(true).and_then(|()| broker.set_nodelay(true)).is_err() {
        return;
    }
    let (line, resets) = (Line::default(), desk.resets.subscribe());
    let (from_client, to_client) = client.into_split();
    let (from_broker, to_broker) = broker.into_split();
    let requests =
        Requests { client: Some(Frames::of(from_client)), resets: resets.clone(), line: &line, desk };
    let answers = Answers { client: Some((to_client, Present::of(desk))), resets, line: &line, desk };
    tokio::join!(requests.run(to_broker), answers.run(Frames::of(from_broker)));
}

/// From the client to the broker.
struct Requests<'a> {
    client: Option<Frames<OwnedReadHalf>>,
    resets: watch::Receiver<u64>,
    line: &'a Line,
    desk: &'a Desk,
}

impl Requests<'_> {
    async fn run(mut self, mut broker: OwnedWriteHalf) {
        while let Some(frame) = self.next().await {
            let Some(head) = Head::of(&frame) else { break };
            if !self.pass(head, frame, &mut broker).await {
                break;
            }
        }
        self.client = None;
        self.line.settled().await;
    }

    /// The next request; `None`: the client is gone.
    async fn next(&mut self) -> Option<Bytes> {
        let client = self.client.as_mut()?;
        tokio::select! {
            biased;
            _ = self.resets.changed() => None,
            frame = client.next() => frame.ok().flatten(),
        }
    }

    /// Waits for something, and lets the client go meanwhile if it is to be cut off.
    async fn meanwhile<T>(&mut self, awaited: impl Future<Output = T>) -> T {
        tokio::pin!(awaited);
        tokio::select! {
            biased;
            _ = self.resets.changed(), if self.client.is_some() => self.client = None,
            done = &mut awaited => return done,
        }
        awaited.await
    }

    /// Does to a request what is to be done; `false`: the broker takes no more.
    async fn pass(&mut self, head: Head, frame: Bytes, broker: &mut OwnedWriteHalf) -> bool {
        let mut touched = None;
        if let Some((step, deed, asked)) = self.meant(head, &frame) {
            let ends = self.desk.ends.subscribe();
            self.desk.rules().hit(step, asked.records());
            match deed {
                Deed::Discard => return true,
                Deed::Refuse(error, wait) => {
                    self.refuse(&asked, (step, head.api), error, wait);
                    return true;
                }
                Deed::Delay(time) => self.meanwhile(sleep(time)).await,
                Deed::Hold => self.meanwhile(next(ends)).await,
                Deed::Withhold => {}
            }
            touched = asked.is_answered().then_some(Touched { step, withheld: deed == Deed::Withhold });
        } else {
            self.desk.rules().passed();
        }
        self.line.forward(head, touched);
        self.meanwhile(broker.write_all(&frame)).await.is_ok()
    }

    /// The rule that a request falls under, if it can be read.
    fn meant(&self, head: Head, frame: &Bytes) -> Option<(usize, Deed, Asked)> {
        let (step, deed) = self.desk.rules().of(head.api)?;
        match Asked::read(head, frame) {
            Ok(asked) => Some((step, deed, asked)),
            Err(error) => {
                tracing::warn!(error, "a proxy lets a request pass that it cannot read");
                None
            }
        }
    }

    fn refuse(&self, asked: &Asked, of: (usize, i16), error: i16, wait: Option<Duration>) {
        if !asked.is_answered() {
            return;
        }
        match asked.refusal(error) {
            Ok(frame) => self.line.refuse(frame, of, Instant::now() + wait.unwrap_or_default()),
            Err(error) => tracing::warn!(error, "a proxy cannot refuse a request"),
        }
    }
}

/// Waits until all rules have ended once more.
async fn next(mut ends: watch::Receiver<u64>) {
    // The sender lives as long as the proxy, and so longer than this.
    let _ = ends.changed().await;
}

/// From the broker to the client.
struct Answers<'a> {
    client: Option<(OwnedWriteHalf, Present<'a>)>,
    resets: watch::Receiver<u64>,
    line: &'a Line,
    desk: &'a Desk,
}

impl Answers<'_> {
    async fn run(mut self, mut broker: Frames<OwnedReadHalf>) {
        loop {
            tokio::select! {
                biased;
                _ = self.resets.changed(), if self.client.is_some() => self.cut_off(),
                () = self.line.is_due() => self.write_refusals(None).await,
                frame = broker.next() => match frame {
                    Ok(Some(frame)) => self.pass(&frame).await,
                    _ => break,
                },
            }
        }
        self.line.open().closed = true;
        self.line.changed.notify_one();
    }

    async fn pass(&mut self, frame: &Bytes) {
        let answered = correlation(frame).and_then(|correlation| self.line.answered(correlation));
        let touched = answered.as_ref().and_then(|one| one.touched);
        if let Some(Touched { step, .. }) = touched {
            self.desk.rules().answered(step);
        }
        if !touched.is_some_and(|touched| touched.withheld) {
            self.write(frame).await;
        }
        if answered.is_some() {
            self.write_refusals(answered.as_ref()).await;
        }
    }

    async fn write_refusals(&mut self, answered: Option<&Forwarded>) {
        for refused in self.line.due(answered) {
            self.write(&refused.frame).await;
            self.desk.rules().answered(refused.step);
        }
    }

    /// Whoever has gone is not missed: what the broker says is still heard.
    async fn write(&mut self, frame: &Bytes) {
        let Some((client, _)) = &mut self.client else { return };
        let written = tokio::select! {
            biased;
            _ = self.resets.changed() => None,
            written = client.write_all(frame) => Some(written.is_ok()),
        };
        match written {
            Some(true) => {}
            Some(false) => self.client = None,
            None => self.cut_off(),
        }
    }

    /// Breaks the connection: the last half that goes sends RST, and no half says goodbye.
    fn cut_off(&mut self) {
        let Some((client, _)) = self.client.take() else { return };
        if let Err(error) = client.as_ref().set_zero_linger() {
            tracing::warn!(%error, "a proxy closes a connection in good order");
        }
        client.forget();
    }
}
