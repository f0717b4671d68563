//! Disks of brokers that are full or read-only: by mounts of ours, in a mount namespace of this process and its children.
//!
//! Nobody else sees them, and the kernel takes them away with the last process of the namespace, however that ends. Only for
//! runs that ask for it; to be opened before any other thread looks at the brokers' files.

use super::{Ask, ClusterError};
use bench_model::fault::Action;
use bench_model::ids::BrokerId;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What the brokers write beside the cells' records: internal topics, metadata, the warm-up.
const SPARE_BYTES: u64 = 2 << 30;
/// The broker goes on writing while its disk is being filled.
const TRIES: u32 = 1_000;

/// A broker's disk as it was broken.
#[derive(Debug)]
struct Broken {
    action: Action,
    data: PathBuf,
    /// What the file system said then.
    state: String,
    log: PathBuf,
    /// What stands before in the broker's log is not about this.
    log_from: u64,
}

/// The disks of all brokers.
#[derive(Debug, Default)]
pub struct Disks {
    /// So much fits on each of them; `None`: they are directories like any other.
    room_bytes: Option<u64>,
    mounted: Vec<PathBuf>,
    broken: BTreeMap<BrokerId, Broken>,
}

impl Disks {
    /// Makes a mount namespace of our own, where the plan asks for faults of disks.
    pub fn open(ask: &Ask) -> Result<Self, ClusterError> {
        if !ask.disks.fills && !ask.disks.protects {
            return Ok(Disks::default());
        }
        if ask.disks.fills && ask.keep {
            return Err(ClusterError::unfit(
                "the data of brokers whose disks are to be filled lie in memory, and cannot be kept",
                "leave out --keep-cluster-data, or the cells with fill-disk",
            ));
        }
        // SAFETY: takes no pointers.
        if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
            return Err(refused(&io::Error::last_os_error()));
        }
        // What others mount is still seen here, and nothing of ours there.
        mount(Path::new("none"), Path::new("/"), None, libc::MS_REC | libc::MS_SLAVE, "")
            .map_err(|error| refused(&error))?;
        let room_bytes = ask.disks.fills.then(|| ask.disks.bytes.saturating_add(SPARE_BYTES));
        let mut disks = Disks::default();
        disks.room_bytes = room_bytes;
        Ok(disks)
    }

    /// Makes the directory in which a broker keeps its data, and tries what will be done to it.
    pub fn place(&mut self, data: &Path, ask: &Ask) -> Result<(), ClusterError> {
        let failed = |error: &io::Error| ClusterError::failed(format!("make {}", data.display()), error);
        fs::create_dir_all(data).map_err(|error| failed(&error))?;
        if let Some(bytes) = self.room_bytes {
            let size = format!("size={bytes},mode=0700");
            mount(Path::new("tmpfs"), data, Some("tmpfs"), 0, &size).map_err(|error| refused(&error))?;
            self.mounted.push(data.to_owned());
        }
        if ask.disks.protects {
            protect(data).and_then(|_| unmount(data)).map_err(|error| refused(&error))?;
        }
        Ok(())
    }

    /// Fills the disk below `data`, or lets nothing more be opened for writing there.
    pub fn carry_out(&mut self, broker: BrokerId, action: Action, data: &Path, log: &Path) -> io::Result<()> {
        let log_from = fs::metadata(log).map(|found| found.len()).unwrap_or(0);
        let state = match (action, self.room_bytes) {
            (Action::WriteProtect, _) => protect(data)?,
            (_, Some(_)) => fill(data)?,
            (_, None) => return Err(io::Error::other("its data lie on a disk that is not ours to fill")),
        };
        let (data, log) = (data.to_owned(), log.to_owned());
        self.broken.insert(broker, Broken { action, data, state, log, log_from });
        Ok(())
    }

    /// What was done to a broker's disk, and what the broker has said of it since; `None`: it has not.
    pub fn prove(&self, broker: BrokerId) -> Option<String> {
        let broken = self.broken.get(&broker)?;
        let said = match broken.action {
            Action::WriteProtect => "Read-only file system",
            _ => "No space left on device",
        };
        let text = fs::read(&broken.log).ok()?;
        // It may have begun a new one.
        let since = text.get(usize::try_from(broken.log_from).ok()?..).unwrap_or(&text);
        let since = String::from_utf8_lossy(since);
        let line = since.lines().find(|line| line.contains(said))?;
        Some(format!("{}, it says: {}", broken.state, line.trim()))
    }

    /// Room again, and writable; `false`: nothing was wrong with it.
    pub fn mend(&mut self, broker: BrokerId) -> io::Result<bool> {
        let Some(broken) = self.broken.remove(&broker) else { return Ok(false) };
        match broken.action {
            Action::WriteProtect => unmount(&broken.data)?,
            _ => resize(&broken.data, self.room_bytes.unwrap_or(SPARE_BYTES))?,
        }
        Ok(true)
    }
}

impl Drop for Disks {
    fn drop(&mut self) {
        let broken = std::mem::take(&mut self.broken).into_values();
        let protected =
            broken.filter(|broken| broken.action == Action::WriteProtect).map(|broken| broken.data);
        for data in protected.chain(self.mounted.drain(..)) {
            if let Err(error) = unmount(&data) {
                tracing::warn!(%error, data = %data.display(), "could not unmount");
            }
        }
    }
}

fn refused(error: &io::Error) -> ClusterError {
    ClusterError::unfit(
        format!(
            "fill-disk and write-protect need the right to mount file systems, which is refused: {error}"
        ),
        "run as root (CAP_SYS_ADMIN; in a container with --cap-add SYS_ADMIN), or take these steps out of the profile",
    )
}

/// Takes all room that is left. The size of the file system is set to what is used, so that nothing has to be written.
fn fill(data: &Path) -> io::Result<String> {
    for _ in 0..TRIES {
        let used = space(data)?;
        match resize(data, used.total_bytes - used.free_bytes) {
            // More is used by now.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            done => {
                done?;
                let now = space(data)?;
                return Ok(format!("{} of {} bytes of its disk are free", now.free_bytes, now.total_bytes));
            }
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

fn resize(data: &Path, bytes: u64) -> io::Result<()> {
    mount(Path::new("none"), data, None, libc::MS_REMOUNT, &format!("size={bytes}"))
}

/// Mounts the directory over itself, read-only: what is open stays as it is, and nothing more can be opened to be written.
fn protect(data: &Path) -> io::Result<String> {
    mount(data, data, None, libc::MS_BIND, "")?;
    let sealed = mount(Path::new("none"), data, None, libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY, "");
    if let Err(error) = sealed {
        unmount(data)?;
        return Err(error);
    }
    match fs::File::create(data.join(".bench-runner-probe")) {
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            Ok("nothing can be written into its log directory any more".to_owned())
        }
        _ => unmount(data).and(Err(io::Error::other("the directory is writable still"))),
    }
}

struct Space {
    total_bytes: u64,
    free_bytes: u64,
}

fn space(data: &Path) -> io::Result<Space> {
    let path = CString::new(data.as_os_str().as_bytes())?;
    // SAFETY: all zeros are a value of this struct of numbers.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends with a zero, and the struct is ours.
    if unsafe { libc::statvfs(path.as_ptr(), &raw mut found) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Space { total_bytes: bytes(found.f_blocks), free_bytes: bytes(found.f_bfree) })
}

fn mount(
    source: &Path,
    target: &Path,
    kind: Option<&str>,
    flags: libc::c_ulong,
    data: &str,
) -> io::Result<()> {
    let text = |bytes: &[u8]| CString::new(bytes).map_err(io::Error::from);
    let source = text(source.as_os_str().as_bytes())?;
    let target = text(target.as_os_str().as_bytes())?;
    let kind = text(kind.unwrap_or("none").as_bytes())?;
    let data = text(data.as_bytes())?;
    // SAFETY: all four are strings that end with a zero and outlive the call.
    let answer =
        unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast()) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes the uppermost mount away, also while somebody has files open there.
fn unmount(target: &Path) -> io::Result<()> {
    let target = CString::new(target.as_os_str().as_bytes())?;
    // SAFETY: the string ends with a zero and outlives the call.
    if unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_is_needed() {
        let ClusterError::Unfit { reason, advice } = refused(&io::Error::from_raw_os_error(libc::EPERM))
        else {
            panic!("the cluster is not fit");
        };
        assert!(reason.contains("right to mount") && reason.contains("not permitted"), "{reason}");
        assert!(advice.contains("CAP_SYS_ADMIN"), "{advice}");
    }

    #[test]
    fn only_what_the_broker_has_said_since_is_about_its_disk() {
        let place = tempfile::tempdir().expect("a directory");
        let log = place.path().join("server.log");
        let old = "ERROR IOException: No space left on device\n";
        fs::write(&log, old).expect("written");
        let said = |action, log_from| {
            let broken = Broken {
                action,
                data: place.path().to_owned(),
                state: "0 of 8192 bytes of its disk are free".into(),
                log: log.clone(),
                log_from,
            };
            let mut disks = Disks::default();
            disks.broken.insert(BrokerId(1), broken);
            let said = disks.prove(BrokerId(1));
            // Nothing was mounted.
            disks.broken.clear();
            said
        };
        assert_eq!(said(Action::FillDisk, old.len() as u64), None);
        let told = said(Action::FillDisk, 0).expect("it has said so");
        assert_eq!(
            told,
            "0 of 8192 bytes of its disk are free, it says: ERROR IOException: No space left on device"
        );
        assert_eq!(said(Action::WriteProtect, 0), None);
    }
}
