//! What processes have used, as the kernel counts it, and which of their threads go first.

pub use bench_model::assess::Usage;
use std::mem::MaybeUninit;
use std::path::PathBuf;

/// CPU and disk bytes of one process; zero once it is gone.
pub fn of_process(pid: u32) -> Usage {
    Usage {
        cpu_ns: cpu_ns(pid).unwrap_or(0),
        disk_write_bytes: write_bytes(pid).unwrap_or(0),
        network_bytes: 0,
    }
}

fn cpu_ns(pid: u32) -> Option<u64> {
    let mut clock: libc::clockid_t = 0;
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: both out-pointers are valid for writes for the whole call; `time` is read only if it was filled.
    let time = unsafe {
        if libc::clock_getcpuclockid(pid as libc::pid_t, &mut clock) != 0
            || libc::clock_gettime(clock, time.as_mut_ptr()) != 0
        {
            return None;
        }
        time.assume_init()
    };
    Some(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// The compiler threads of a Java process, as directories of the kernel's.
fn compilers(pid: u32) -> impl Iterator<Item = PathBuf> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads.map(|thread| thread.path()).filter(|thread| {
        let name = std::fs::read_to_string(thread.join("comm")).unwrap_or_default();
        name.starts_with("C1 Compiler") || name.starts_with("C2 Compiler")
    })
}

/// CPU that the compiler threads of a Java process have taken, in nanoseconds; what one took that has ended is left out.
pub fn compilers_ns(pid: u32) -> u64 {
    let taken = |thread: PathBuf| {
        let text = std::fs::read_to_string(thread.join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    compilers(pid).filter_map(taken).sum()
}

/// Sets the priority of a Java process's compiler threads: nice -15, or 0 as at their start. Needs a privileged user;
/// for others nothing changes.
pub fn favour_compilers(pid: u32, favour: bool) {
    for thread in compilers(pid) {
        if let Some(id) =
            thread.file_name().and_then(|name| name.to_string_lossy().parse::<libc::id_t>().ok())
        {
            // SAFETY: takes no pointers; a thread that has ended meanwhile is an error that changes nothing.
            unsafe { libc::setpriority(libc::PRIO_PROCESS, id, if favour { -15 } else { 0 }) };
        }
    }
}

fn write_bytes(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.parse().ok()
}

/// Bytes that the loopback interface has received since boot.
pub fn loopback_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/net/dev").ok()?;
    let counters = text.lines().find_map(|line| line.trim_start().strip_prefix("lo:"))?;
    counters.split_whitespace().next()?.parse().ok()
}
