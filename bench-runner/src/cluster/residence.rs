//! Where living clusters keep their data, who else is alive on this machine, and what dead runs left behind.
//!
//! Never ends a process without having verified that it is the one that was written down.

use super::broker_process::Identity;
use super::{ClusterError, places};
use serde::{Deserialize, Serialize};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const PRESENCE_PREFIX: &str = "bench-runner/run/";
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Tells other runs on this machine that this one is alive; the kernel takes it back when the process ends.
pub struct Presence {
    _listener: UnixListener,
}

impl Presence {
    /// Announces this process.
    pub fn announce() -> Result<Self, ClusterError> {
        let failed = |error| ClusterError::failed("announce this run to others on the machine", error);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PRESENCE_PREFIX}{}/{number}", std::process::id());
        let name = SocketAddr::from_abstract_name(name).map_err(failed)?;
        Ok(Presence { _listener: UnixListener::bind_addr(&name).map_err(failed)? })
    }

    /// The other living runs, as `pid 123`.
    pub fn others(&self) -> Vec<String> {
        let table = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
        let own = std::process::id().to_string();
        let mut pids: Vec<&str> = table
            .lines()
            .filter_map(|line| line.split_once(&format!("@{PRESENCE_PREFIX}"))?.1.split('/').next())
            .filter(|pid| *pid != own)
            .collect();
        pids.sort_unstable();
        pids.dedup();
        pids.into_iter().map(|pid| format!("pid {pid}")).collect()
    }
}

/// `cluster.json`: which processes belong to the directory.
#[derive(Debug, Serialize, Deserialize)]
struct Inhabitants {
    harness: Identity,
    processes: Vec<(String, Identity)>,
}

/// The directory of one living cluster. Dropping it removes it, unless it is to be kept.
#[derive(Debug)]
pub struct Residence {
    /// The directory, absolute.
    pub directory: PathBuf,
    keep: bool,
}

impl Residence {
    /// Makes an empty directory whose name tells whose it is.
    pub fn create(keep: bool) -> Result<Self, ClusterError> {
        let failed = |error| ClusterError::failed("create the cluster's directory", error);
        let own = Identity::own().map_err(failed)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = places::clusters()?.join(format!("{}-{}-{number}", own.pid, own.started_ticks));
        std::fs::create_dir_all(&directory).map_err(failed)?;
        if keep {
            // Tells the next start that this one is not to be cleared away.
            std::fs::write(directory.join("kept"), "").map_err(failed)?;
        }
        Ok(Residence { directory, keep })
    }

    /// Writes down who lives here now.
    pub fn record(&self, processes: Vec<(String, Identity)>) -> std::io::Result<()> {
        let inhabitants = Inhabitants { harness: Identity::own()?, processes };
        let aside = self.directory.join("cluster.json.new");
        std::fs::write(&aside, serde_json::to_vec_pretty(&inhabitants)?)?;
        std::fs::rename(aside, self.directory.join("cluster.json"))
    }
}

impl Drop for Residence {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // Killed processes may still create a file in the instant in which the kernel ends them.
        let mut removed = std::fs::remove_dir_all(&self.directory);
        for _ in 0..25 {
            if removed.is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
            removed = std::fs::remove_dir_all(&self.directory);
        }
        tracing::warn!(?removed, directory = %self.directory.display(), "could not remove the cluster's data");
    }
}

/// Stops the processes and removes the directories of runs that are dead; one line for each thing found.
pub fn clear_leftovers() -> Vec<String> {
    let Ok(entries) = places::clusters().and_then(|place| {
        std::fs::read_dir(place).map_err(|error| ClusterError::failed("list clusters", error))
    }) else {
        return Vec::new();
    };
    entries.flatten().flat_map(|entry| clear(&entry.path())).collect()
}

fn clear(directory: &Path) -> Vec<String> {
    let Some(owner) = owner_of(directory) else { return Vec::new() };
    if owner.lives() || directory.join("kept").exists() {
        return Vec::new();
    }
    let mut lines = Vec::new();
    let inhabitants: Option<Inhabitants> = std::fs::read(directory.join("cluster.json"))
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok());
    for (name, identity) in inhabitants.into_iter().flat_map(|found| found.processes) {
        if identity.lives() && command_line(identity.pid).contains(&*directory.to_string_lossy()) {
            // SAFETY: takes no pointers; the process was verified by id, start time and command line.
            unsafe { libc::kill(identity.pid as libc::pid_t, libc::SIGKILL) };
            lines.push(format!("stopped {name} (pid {}) of the dead run {}", identity.pid, owner.pid));
        }
    }
    match std::fs::remove_dir_all(directory) {
        Ok(()) => {
            lines.push(format!("removed the data of the dead run {} ({})", owner.pid, directory.display()))
        }
        Err(error) => lines.push(format!("could not remove {}: {error}", directory.display())),
    }
    lines
}

/// Directories are named `PID-STARTTICKS-NUMBER`, so that an owner is known even of one without `cluster.json`.
fn owner_of(directory: &Path) -> Option<Identity> {
    let mut parts = directory.file_name()?.to_str()?.split('-');
    Some(Identity { pid: parts.next()?.parse().ok()?, started_ticks: parts.next()?.parse().ok()? })
}

fn command_line(pid: u32) -> String {
    String::from_utf8_lossy(&std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::broker_process::stat;
    use super::*;

    #[test]
    fn a_presence_is_seen_by_others_but_not_by_itself() {
        let presence = Presence::announce().expect("announced");
        assert!(!presence.others().contains(&format!("pid {}", std::process::id())));
        let name = SocketAddr::from_abstract_name(format!("{PRESENCE_PREFIX}1/0")).expect("a name");
        let _somebody = UnixListener::bind_addr(&name).expect("bound");
        assert!(presence.others().contains(&"pid 1".to_owned()));
    }

    #[test]
    fn only_directories_of_dead_owners_are_cleared() {
        let place = tempfile::tempdir().expect("a directory");
        let own = Identity::own().expect("own identity");
        let living = place.path().join(format!("{}-{}-0", own.pid, own.started_ticks));
        let dead = place.path().join(format!("{}-{}-0", own.pid, own.started_ticks + 1));
        let foreign = place.path().join("photos");
        for directory in [&living, &dead, &foreign] {
            std::fs::create_dir(directory).expect("created");
        }
        assert_eq!(clear(&living), Vec::<String>::new());
        assert_eq!(clear(&foreign), Vec::<String>::new());
        assert_eq!(clear(&dead).len(), 1);
        assert!(living.exists() && foreign.exists() && !dead.exists());
    }

    #[test]
    fn a_living_process_of_a_dead_owner_is_stopped_only_if_it_is_the_one_written_down() {
        let place = tempfile::tempdir().expect("a directory");
        let own = Identity::own().expect("own identity");
        let outcome = |started_later: u64| {
            let directory =
                place.path().join(format!("{}-{}-{started_later}", own.pid, own.started_ticks + 1));
            std::fs::create_dir(&directory).expect("created");
            let mut sleeper = std::process::Command::new("sh")
                .args(["-c", "sleep 30; true", &directory.to_string_lossy()])
                .spawn()
                .expect("a process whose command line names the directory");
            // A spawn returns before the kernel has laid out the new command line.
            while !command_line(sleeper.id()).contains(&*directory.to_string_lossy()) {
                std::thread::yield_now();
            }
            let mut identity = Identity::of(sleeper.id()).expect("its identity");
            identity.started_ticks += started_later;
            let inhabitants =
                Inhabitants { harness: own, processes: vec![("broker-1".to_owned(), identity)] };
            let text = serde_json::to_vec(&inhabitants).expect("json");
            std::fs::write(directory.join("cluster.json"), text).expect("written");
            let lines = clear(&directory);
            let mentioned = lines.iter().any(|line| line.starts_with("stopped broker-1"));
            let spared = stat(sleeper.id()).is_ok_and(|stat| stat.state != 'Z') && !mentioned;
            sleeper.kill().expect("killed");
            sleeper.wait().expect("reaped");
            spared
        };
        assert!(!outcome(0), "the process that was written down lives on");
        assert!(outcome(1), "another process with a reused id was ended");
    }
}
