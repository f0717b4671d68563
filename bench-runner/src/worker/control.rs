//! The runner's commands, read by a thread of their own so that the hot path only looks at two atomics.

use super::WorkerError;
use bench_model::wire::Command;
use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};

#[derive(Debug, Default)]
struct Shared {
    /// 0: not yet asked to finish.
    finish_by_ns: AtomicU64,
    end_offsets: Mutex<Vec<i64>>,
}

/// What the runner has said so far.
#[derive(Debug)]
pub(super) struct Control {
    shared: Arc<Shared>,
    start: mpsc::Receiver<u64>,
}

impl Control {
    /// Begins to listen to standard input.
    pub(super) fn listen() -> Self {
        let shared = Arc::new(Shared::default());
        let (started, start) = mpsc::channel();
        let heard = Arc::clone(&shared);
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                match serde_json::from_str(&line) {
                    Ok(Command::Start { t0_ns }) => drop(started.send(t0_ns)),
                    Ok(Command::Finish { deadline_ns, end_offsets }) => {
                        if let Ok(mut offsets) = heard.end_offsets.lock() {
                            *offsets = end_offsets;
                        }
                        heard.finish_by_ns.store(deadline_ns.max(1), Ordering::Release);
                    }
                    Err(error) => drop(writeln!(std::io::stderr(), "unknown command {line}: {error}")),
                }
            }
        });
        Control { shared, start }
    }

    /// Waits for the start command; `None` if standard input ends before it.
    pub(super) fn wait_for_start(&self) -> Option<u64> {
        self.start.recv().ok()
    }

    /// The start command, if it has come; `Err` if standard input ended before it.
    pub(super) fn started(&self) -> Result<Option<u64>, WorkerError> {
        match self.start.try_recv() {
            Ok(t0_ns) => Ok(Some(t0_ns)),
            Err(mpsc::TryRecvError::Empty) => Ok(None),
            Err(mpsc::TryRecvError::Disconnected) => Err(WorkerError::NoStart),
        }
    }

    /// The instant by which to be finished, once asked.
    #[inline]
    pub(super) fn finish_by_ns(&self) -> Option<u64> {
        match self.shared.finish_by_ns.load(Ordering::Acquire) {
            0 => None,
            instant_ns => Some(instant_ns),
        }
    }

    /// The offsets at which reading ends; read after `finish_by_ns` has said something.
    pub(super) fn end_offsets(&self) -> Vec<i64> {
        self.shared.end_offsets.lock().map(|offsets| offsets.clone()).unwrap_or_default()
    }
}
