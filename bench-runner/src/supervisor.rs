//! Spawns, commands and reaps worker processes. Knows the wire contract and nothing of what a worker does.
//!
//! Workers die with the runner: each asks for a death signal, which follows the *thread* that spawned it, so spawning
//! happens on the main thread only (the runtime has no other).

use bench_model::wire::{Command, Event, WorkerSpec};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The very program that runs, even if another one has taken its place on disk.
const OURSELVES: &str = "/proc/self/exe";

/// What can go wrong between runner and worker.
#[derive(Debug, Error)]
pub enum SupervisorError {
    /// The process could not be started or spoken to.
    #[error("worker {0}: {1}")]
    Pipe(String, std::io::Error),
    /// The worker ended before it said `done`.
    #[error("worker {name} ended early ({status}); its log says: {log}")]
    Ended {
        /// Which.
        name: String,
        /// How.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// Not an event.
    #[error("worker {0} said something that is no event: {1}")]
    Babble(String, String),
}

/// What a worker says, or how it failed, with its place in the crew.
pub type Said = (usize, Result<Event, SupervisorError>);

/// The workers of one cell, heard through one channel. Dropping the crew kills those that still run.
pub struct Crew {
    workers: Vec<Worker>,
    heard: mpsc::UnboundedReceiver<Said>,
    tell: mpsc::UnboundedSender<Said>,
}

struct Worker {
    name: String,
    stdin: ChildStdin,
    listener: JoinHandle<()>,
    /// 0: reaped, so that its number may be anybody's. The runtime has one thread, which reaps and signals.
    pid: Arc<AtomicU32>,
}

/// What may be done to a worker that knows nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGKILL.
    Kill,
    /// SIGCONT.
    Continue,
}

impl Drop for Worker {
    fn drop(&mut self) {
        // At once, so that it writes nothing more to its log, whose checksum may be next. The listener owns the child and
        // reaps it when the runtime comes to dropping it.
        send(&self.pid, libc::SIGKILL);
        self.listener.abort();
    }
}

/// Signals a process, unless it was reaped; says whether there was one to signal.
fn send(pid: &AtomicU32, signal: libc::c_int) -> bool {
    let pid = pid.load(Ordering::Relaxed);
    // SAFETY: takes no pointers; a process that was not reaped keeps its number.
    pid != 0 && unsafe { libc::kill(pid as libc::pid_t, signal) } == 0
}

impl Default for Crew {
    fn default() -> Self {
        let (tell, heard) = mpsc::unbounded_channel();
        Crew { workers: Vec::new(), heard, tell }
    }
}

impl Crew {
    /// Starts one more worker of this very binary; its log goes to `log` in the worker's directory.
    pub async fn spawn(&mut self, name: &str, spec: &WorkerSpec) -> Result<(), SupervisorError> {
        let fail = |error| SupervisorError::Pipe(name.to_owned(), error);
        let log = Path::new(&spec.directory).join("log");
        let mut child = start(&log).map_err(fail)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(fail(std::io::ErrorKind::BrokenPipe.into()));
        };
        let pid = Arc::new(AtomicU32::new(child.id().unwrap_or(0)));
        let origin = Origin { index: self.workers.len(), name: name.to_owned(), log, pid: Arc::clone(&pid) };
        let listener = tokio::spawn(listen(origin, child, stdout, self.tell.clone()));
        self.workers.push(Worker { name: name.to_owned(), stdin, listener, pid });
        self.write(self.workers.len() - 1, spec).await
    }

    /// Number of workers.
    pub fn len(&self) -> usize {
        self.workers.len()
    }

    /// Sends a command to one worker.
    pub async fn command(&mut self, worker: usize, command: &Command) -> Result<(), SupervisorError> {
        self.write(worker, command).await
    }

    /// Signals one worker's process; says whether there was one to signal.
    pub fn signal(&self, worker: usize, signal: Signal) -> bool {
        let signal = match signal {
            Signal::Kill => libc::SIGKILL,
            Signal::Continue => libc::SIGCONT,
        };
        send(&self.workers[worker].pid, signal)
    }

    /// Whether one worker's process stands still (state T).
    pub fn is_stopped(&self, worker: usize) -> bool {
        let pid = self.workers[worker].pid.load(Ordering::Relaxed);
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        pid != 0 && stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    }

    /// The next thing that any worker says. Cancelling the wait loses nothing.
    pub async fn hear(&mut self) -> Option<Said> {
        self.heard.recv().await
    }

    async fn write(
        &mut self,
        worker: usize,
        document: &impl serde::Serialize,
    ) -> Result<(), SupervisorError> {
        let worker = &mut self.workers[worker];
        let fail = |error| SupervisorError::Pipe(worker.name.clone(), error);
        let mut line = serde_json::to_vec(document).map_err(|error| fail(error.into()))?;
        line.push(b'\n');
        worker.stdin.write_all(&line).await.map_err(fail)
    }
}

fn start(log: &Path) -> std::io::Result<Child> {
    let mut command = tokio::process::Command::new(OURSELVES);
    command.arg("worker").stdin(Stdio::piped()).stdout(Stdio::piped());
    // Ctrl-C in a terminal goes to a whole process group; the runner decides what its workers do about it.
    command.stderr(std::fs::File::create(log)?).kill_on_drop(true).process_group(0);
    let runner = std::process::id();
    // SAFETY: between fork and exec only async-signal-safe calls are made.
    unsafe {
        command.pre_exec(move || {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if libc::getppid() as u32 == runner { Ok(()) } else { Err(std::io::ErrorKind::BrokenPipe.into()) }
        });
    }
    command.spawn()
}

/// Which worker a listener listens to.
struct Origin {
    index: usize,
    name: String,
    log: PathBuf,
    pid: Arc<AtomicU32>,
}

/// Forwards events until the worker has ended; says so if it ended before `done`.
async fn listen(origin: Origin, mut child: Child, stdout: ChildStdout, tell: mpsc::UnboundedSender<Said>) {
    let Origin { index, name, log, pid } = origin;
    let mut lines = BufReader::new(stdout).lines();
    let mut done = false;
    while let Ok(Some(line)) = lines.next_line().await {
        let event = serde_json::from_str(&line)
            .map_err(|error| SupervisorError::Babble(name.clone(), format!("{line} ({error})")));
        done |= matches!(event, Ok(Event::Done(_)));
        let _ = tell.send((index, event));
    }
    let status = child.wait().await;
    pid.store(0, Ordering::Relaxed);
    if !done {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(5).collect();
        let log = tail.into_iter().rev().collect::<Vec<_>>().join(" | ");
        let error = match status {
            Ok(status) => SupervisorError::Ended { name, status, log },
            Err(error) => SupervisorError::Pipe(name, error),
        };
        let _ = tell.send((index, Err(error)));
    }
}
