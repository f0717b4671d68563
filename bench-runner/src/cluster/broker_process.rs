//! One child process of a cluster: started so that it cannot outlive us, signalled, watched through /proc.
//!
//! May only be used on the main thread (see [`guard`]).

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Stdio;
use tokio::process::{Child, Command};

/// A process's name that is never reused: the id alone is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// Process id.
    pub pid: u32,
    /// Clock ticks after boot.
    pub started_ticks: u64,
}

impl Identity {
    /// This process.
    pub fn own() -> io::Result<Self> {
        Self::of(std::process::id())
    }

    /// The process that has this id now.
    pub fn of(pid: u32) -> io::Result<Self> {
        Ok(Identity { pid, started_ticks: stat(pid)?.started_ticks })
    }

    /// Whether this very process still lives (a zombie does not).
    pub fn lives(self) -> bool {
        stat(self.pid).is_ok_and(|stat| stat.started_ticks == self.started_ticks && stat.state != 'Z')
    }
}

/// What is needed of `/proc/PID/stat`.
#[derive(Debug, Clone, Copy)]
pub struct Stat {
    /// `R`, `S`, `T` (stopped), `Z` (dead, not yet reaped) and others of proc(5).
    pub state: char,
    /// Clock ticks after boot.
    pub started_ticks: u64,
}

/// Reads `/proc/PID/stat`.
pub fn stat(pid: u32) -> io::Result<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the command in parentheses and may contain anything, parentheses included.
    let rest = text.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    let mut fields = rest.split(' ');
    let state = fields.next().and_then(|field| field.chars().next());
    let started_ticks = fields.nth(18).and_then(|field| field.parse().ok());
    match (state, started_ticks) {
        (Some(state), Some(started_ticks)) => Ok(Stat { state, started_ticks }),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat: {text}"))),
    }
}

/// Ties a child to us: it gets SIGKILL when the spawning thread ends, and no signal of our terminal.
///
/// The signal belongs to the *thread* that spawns, hence: only the main thread, never `spawn_blocking`.
pub fn guard(command: &mut Command) -> &mut Command {
    let parent = std::process::id() as libc::pid_t;
    // SAFETY: between fork and exec only async-signal-safe calls are made (prctl, getppid); nothing is allocated.
    unsafe {
        command.process_group(0).kill_on_drop(true).pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have died before the line above took effect.
            if libc::getppid() != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        })
    }
}

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct BrokerProcess {
    child: Child,
    /// Who it is.
    pub identity: Identity,
}

impl BrokerProcess {
    /// Starts `command` with its output appended to `console`.
    pub fn spawn(mut command: Command, console: &Path) -> io::Result<Self> {
        let output = File::options().create(true).append(true).open(console)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = guard(&mut command).spawn()?;
        let pid = child.id().ok_or_else(|| io::Error::other("child ended at once"))?;
        Ok(BrokerProcess { child, identity: Identity::of(pid)? })
    }

    /// Sends a signal; an error if the process is gone.
    pub fn signal(&self, signal: libc::c_int) -> io::Result<()> {
        // Until the child is reaped its id cannot belong to anybody else, and it is reaped only through `self`.
        let Some(pid) = self.child.id() else { return Err(io::Error::from_raw_os_error(libc::ESRCH)) };
        // SAFETY: takes no pointers.
        if unsafe { libc::kill(pid as libc::pid_t, signal) } == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// The letter of `/proc/PID/stat`; `None`: gone.
    pub fn state(&self) -> Option<char> {
        stat(self.identity.pid).ok().map(|stat| stat.state)
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for its end, and brings it about if it takes longer.
    pub async fn end(&mut self, limit: std::time::Duration) -> io::Result<()> {
        if tokio::time::timeout(limit, self.wait()).await.is_err() {
            self.signal(libc::SIGKILL)?;
            self.wait().await?;
        }
        Ok(())
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> io::Result<std::process::ExitStatus> {
        self.child.wait().await
    }
}

/// The line that tells most of why a process ended, by its logs in `home`: an exception says more than the line that announces it.
pub fn last_words(name: &str, home: &Path) -> String {
    let read = |name: &str| fs::read_to_string(home.join(name)).unwrap_or_default();
    let text = read("server.log") + &read("console.log");
    let is_exception = |line: &&str| line.contains("Exception: ") && !line.trim_start().starts_with("at ");
    let telling =
        |line: &&str| line.contains(" ERROR ") || line.contains(" FATAL ") || line.contains("Error");
    let lines = || text.lines();
    let line = lines().rfind(is_exception).or_else(|| lines().rfind(telling)).or_else(|| lines().last());
    format!("{name} says: {}", line.unwrap_or("no log"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::{Duration, Instant};

    #[test]
    fn a_panic_that_is_caught_leaves_no_child_behind() {
        let place = tempfile::tempdir().expect("a directory");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut started = None;
        let caught = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                let mut command = Command::new("sleep");
                command.arg("60");
                let child = BrokerProcess::spawn(command, &place.path().join("console")).expect("it starts");
                assert!(child.identity.lives());
                started = Some(child.identity);
                panic!("made up");
            });
        }));
        assert!(caught.is_err());
        let identity = started.expect("it had started");
        let began = Instant::now();
        while identity.lives() && began.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!identity.lives(), "pid {} outlives the panic", identity.pid);
    }
}
