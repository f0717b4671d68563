//! What both directions of a connection know of each other: what the broker was given, and what is answered in its place.

use super::frame::Head;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// A request that the broker was given.
#[derive(Debug)]
pub struct Forwarded {
    /// How many went before it.
    place: u64,
    pub head: Head,
    pub touched: Option<Touched>,
}

/// What a rule has done to it, or will do to its answer.
#[derive(Debug, Clone, Copy)]
pub struct Touched {
    pub step: usize,
    pub fate: Fate,
}

/// What becomes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is passed on.
    Passes,
    /// It goes no further.
    Withheld,
    /// It waits for the one behind it, whose request came first.
    Waits,
    /// It shows nothing from this offset on.
    Cut(i64),
}

/// An answer in the broker's place that is not written yet.
#[derive(Debug)]
pub struct OwnAnswer {
    pub frame: Bytes,
    pub step: usize,
    api: i16,
    /// How many requests had gone before it.
    place: u64,
    due: Instant,
}

/// What is under way.
#[derive(Debug, Default)]
struct Open {
    /// Requests that the broker was given so far.
    places: u64,
    forwarded: VecDeque<Forwarded>,
    own: Vec<OwnAnswer>,
    /// The broker is gone.
    closed: bool,
}

/// One connection's.
#[derive(Debug, Default)]
pub struct Line {
    open: Mutex<Open>,
    changed: Notify,
    added: Notify,
}

impl Line {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brokers answer in order, so what stands before the request with this id will have no answer any more (acks=0).
    pub fn answered(&self, correlation: i32) -> Option<Forwarded> {
        let mut open = self.open();
        let at = open.forwarded.iter().position(|one| one.head.correlation == correlation)?;
        let answered = open.forwarded.drain(..=at).next_back();
        self.changed.notify_one();
        answered
    }

    /// The broker is gone.
    pub fn close(&self) {
        self.open().closed = true;
        self.changed.notify_one();
    }

    /// Everything that a rule has touched is answered, or will never be.
    pub async fn settled(&self) {
        let is_settled = || {
            let open = self.open();
            open.closed || open.forwarded.iter().all(|one| one.touched.is_none())
        };
        while !is_settled() {
            self.changed.notified().await;
        }
    }

    /// The broker is given a request.
    pub fn forward(&self, head: Head, touched: Option<Touched>) {
        let mut open = self.open();
        let place = open.places;
        open.places += 1;
        open.forwarded.push_back(Forwarded { place, head, touched });
    }

    /// There will be an answer that is not the broker's.
    pub fn answer(&self, frame: Bytes, (step, api): (usize, i16), due: Instant) {
        let mut open = self.open();
        let place = open.places;
        open.own.push(OwnAnswer { frame, step, api, place, due });
        self.added.notify_one();
    }

    /// Own answers that are due by now, or waited for the answer to this request.
    pub fn due(&self, answered: Option<&Forwarded>) -> Vec<OwnAnswer> {
        let now = Instant::now();
        let is_behind = |one: &OwnAnswer| {
            answered.is_some_and(|answered| answered.head.api == one.api && answered.place >= one.place)
        };
        self.open().own.extract_if(.., |one| one.due <= now || is_behind(one)).collect()
    }

    /// Waits until an own answer is due.
    pub async fn is_due(&self) {
        loop {
            let next = self.open().own.iter().map(|one| one.due).min();
            match next {
                None => self.added.notified().await,
                Some(due) => tokio::select! {
                    () = sleep_until(due) => return,
                    () = self.added.notified() => {}
                },
            }
        }
    }
}
