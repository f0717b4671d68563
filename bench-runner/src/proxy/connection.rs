//! One client's connection and the one to the broker that belongs to it: requests go one way, answers the other.
//!
//! The broker's side lives on without the client until everything is answered that a rule has touched.

use super::Desk;
use super::answer::Asked;
use super::cut::shorten;
use super::frame::{Frames, Head, correlation};
use super::line::{Fate, Forwarded, Line, Touched};
use super::rules::Deed;
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// So long a broker would wait for records that a reader is not to see.
const NOTHING_NEW: Duration = Duration::from_millis(100);

/// A request that waits until the next one has gone before it.
struct Kept {
    head: Head,
    frame: Bytes,
    asked: Asked,
    step: usize,
    ends: watch::Receiver<u64>,
}

/// What is to go to the broker next.
enum Next {
    /// It has just come.
    Came(Bytes),
    /// No other will go before it: rules have ended, or its client is gone.
    Stays(Kept),
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
    let client = Some(Frames::of(from_client));
    let requests = Requests { client, resets: resets.clone(), kept: None, line: &line, desk };
    let client = Some((to_client, Present::of(desk)));
    let answers = Answers { client, resets, waiting: None, line: &line, desk };
    tokio::join!(requests.run(to_broker), answers.run(Frames::of(from_broker)));
}

/// From the client to the broker.
struct Requests<'a> {
    client: Option<Frames<OwnedReadHalf>>,
    resets: watch::Receiver<u64>,
    kept: Option<Kept>,
    line: &'a Line,
    desk: &'a Desk,
}

impl Requests<'_> {
    async fn run(mut self, mut broker: OwnedWriteHalf) {
        while let Some(next) = self.next().await {
            let taken = match next {
                Next::Stays(Kept { head, frame, .. }) => {
                    self.forward(&[(head, None)], &[&frame], &mut broker).await
                }
                Next::Came(frame) => match Head::of(&frame) {
                    Some(head) => self.pass(head, frame, &mut broker).await,
                    None => false,
                },
            };
            if !taken {
                break;
            }
        }
        self.client = None;
        self.line.settled().await;
    }

    /// `None`: the client is gone, and nothing is kept.
    async fn next(&mut self) -> Option<Next> {
        let Some(mut kept) = self.kept.take() else { return self.arrived().await.map(Next::Came) };
        tokio::select! {
            biased;
            _ = kept.ends.changed() => Some(Next::Stays(kept)),
            frame = self.arrived() => match frame {
                Some(frame) => {
                    self.kept = Some(kept);
                    Some(Next::Came(frame))
                }
                None => Some(Next::Stays(kept)),
            },
        }
    }

    /// The next request of the client; `None`: it is gone.
    async fn arrived(&mut self) -> Option<Bytes> {
        let client = self.client.as_mut()?;
        let arrived = tokio::select! {
            biased;
            _ = self.resets.changed() => None,
            frame = client.next() => frame.ok().flatten(),
        };
        if arrived.is_none() {
            self.client = None;
        }
        arrived
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
        if let Some(kept) = self.kept.take_if(|kept| kept.head.api == head.api) {
            return self.overtake(kept, (head, &frame), broker).await;
        }
        let Some((step, deed, asked)) = self.meant(head, &frame) else {
            self.desk.rules().passed();
            return self.forward(&[(head, None)], &[&frame], broker).await;
        };
        let ends = self.desk.ends.subscribe();
        self.desk.rules().take(step);
        if deed != Deed::Swap {
            self.desk.rules().hit(step, asked.records());
        }
        let touched = |fate| asked.is_answered().then_some(Touched { step, fate });
        let fate = match deed {
            Deed::Discard => return true,
            Deed::Refuse(error, wait) => {
                self.answer(&asked, asked.refusal(error), (step, head.api), wait.unwrap_or_default());
                return true;
            }
            Deed::Acknowledge => {
                self.answer(&asked, asked.acknowledgement(), (step, head.api), Duration::ZERO);
                return true;
            }
            Deed::Swap => {
                self.kept = Some(Kept { head, frame, asked, step, ends });
                return true;
            }
            Deed::Duplicate => {
                let copies = [(head, None), (head, touched(Fate::Withheld))];
                return self.forward(&copies, &[&frame, &frame], broker).await;
            }
            Deed::Delay(time) => {
                self.meanwhile(sleep(time)).await;
                Fate::Passes
            }
            Deed::Hold => {
                self.meanwhile(next(ends)).await;
                Fate::Passes
            }
            Deed::Withhold => Fate::Withheld,
            Deed::Truncate(offset) => Fate::Cut(offset),
        };
        self.forward(&[(head, touched(fate))], &[&frame], broker).await
    }

    /// Passes a request on before the one that came first.
    async fn overtake(
        &mut self,
        kept: Kept,
        (head, frame): (Head, &Bytes),
        broker: &mut OwnedWriteHalf,
    ) -> bool {
        let Kept { head: first, frame: overtaken, asked, step, .. } = kept;
        self.desk.rules().hit(step, asked.records());
        let touched = |fate| asked.is_answered().then_some(Touched { step, fate });
        let order = [(head, touched(Fate::Waits)), (first, touched(Fate::Passes))];
        self.forward(&order, &[frame, &overtaken], broker).await
    }

    /// Writes requests to the broker; `false`: it takes no more.
    async fn forward(
        &mut self,
        heads: &[(Head, Option<Touched>)],
        frames: &[&Bytes],
        broker: &mut OwnedWriteHalf,
    ) -> bool {
        for (head, touched) in heads {
            self.line.forward(*head, *touched);
        }
        for frame in frames {
            if self.meanwhile(broker.write_all(frame)).await.is_err() {
                return false;
            }
        }
        true
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

    /// Answers in the broker's place, if an answer is owed.
    fn answer(&self, asked: &Asked, answer: Result<Bytes, String>, of: (usize, i16), wait: Duration) {
        match answer {
            _ if !asked.is_answered() => {}
            Ok(frame) => self.line.answer(frame, of, Instant::now() + wait),
            Err(error) => tracing::warn!(error, "a proxy cannot answer a request"),
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
    /// An answer whose request went before another one that came first.
    waiting: Option<Bytes>,
    line: &'a Line,
    desk: &'a Desk,
}

impl Answers<'_> {
    async fn run(mut self, mut broker: Frames<OwnedReadHalf>) {
        loop {
            tokio::select! {
                biased;
                _ = self.resets.changed(), if self.client.is_some() => self.cut_off(),
                () = self.line.is_due() => self.write_own(None).await,
                frame = broker.next() => match frame {
                    Ok(Some(frame)) => self.pass(&frame).await,
                    _ => break,
                },
            }
        }
        self.line.close();
    }

    async fn pass(&mut self, frame: &Bytes) {
        let answered = correlation(frame).and_then(|correlation| self.line.answered(correlation));
        let frame = &match self.directed(answered.as_ref(), frame) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::error!(error, "a proxy breaks off with its clients, who would go around it");
                return self.desk.resets.send_modify(|count| *count += 1);
            }
        };
        match answered.as_ref().and_then(|one| Some((one.head, one.touched?))) {
            None => self.write(frame).await,
            Some((head, Touched { step, fate })) => self.meet((head, step), fate, frame).await,
        }
        if answered.is_some() {
            self.write_own(answered.as_ref()).await;
        }
    }

    /// The answer with brokers where clients are to find them.
    fn directed(&self, answered: Option<&Forwarded>, frame: &Bytes) -> Result<Bytes, String> {
        let rewritten = match (answered, self.desk.directory.get()) {
            (Some(one), Some(directory)) => directory.rewrite(one.head, frame)?,
            _ => None,
        };
        Ok(rewritten.unwrap_or_else(|| frame.clone()))
    }

    /// Does to an answer what is to be done.
    async fn meet(&mut self, (head, step): (Head, usize), fate: Fate, frame: &Bytes) {
        let count = || self.desk.rules().answered(step);
        match fate {
            Fate::Passes => {
                count();
                self.write(frame).await;
                if let Some(later) = self.waiting.take() {
                    self.write(&later).await;
                }
            }
            Fate::Withheld => count(),
            Fate::Waits => self.waiting = Some(frame.clone()),
            Fate::Cut(offset) => match shorten(head, frame, offset) {
                Ok(None) => self.write(frame).await,
                Ok(Some(shown)) => {
                    count();
                    if shown.lacks_records {
                        sleep(NOTHING_NEW).await;
                    }
                    self.write(&shown.frame).await;
                }
                Err(error) => {
                    tracing::warn!(error, "a proxy lets an answer pass that it cannot read");
                    self.write(frame).await;
                }
            },
        }
    }

    async fn write_own(&mut self, answered: Option<&Forwarded>) {
        for own in self.line.due(answered) {
            self.write(&own.frame).await;
            self.desk.rules().answered(own.step);
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
