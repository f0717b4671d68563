//! Mounts for broken disks: refused before anything starts where nobody may mount, and gone with the harness, also when it is
//! killed. Needs root and Java 17 (and Maven once).

use held::{survivors, unfolded};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

mod held;
mod mounting;

/// A run of `profiles/disk.toml` with its state and results in `place`.
fn run(place: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-runner"));
    command.args(["run", concat!(env!("CARGO_MANIFEST_DIR"), "/../profiles/disk.toml"), "--results"]);
    command.arg(place.join("results")).env("BENCH_RUNNER_STATE", place.join("state"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Places below `state` at which a process sees something mounted.
fn mounts(process: &str, state: &Path) -> Vec<String> {
    let table = std::fs::read_to_string(format!("/proc/{process}/mountinfo")).unwrap_or_default();
    let at = |line: &str| line.split(' ').nth(4).map(str::to_owned);
    table.lines().filter_map(at).filter(|place| Path::new(place).starts_with(state)).collect()
}

#[test]
fn who_may_not_mount_is_told_what_is_needed_before_anything_starts() {
    const CAP_SYS_ADMIN: libc::c_ulong = 21;
    let place = tempfile::tempdir().expect("a directory");
    let mut command = run(place.path());
    // SAFETY: only an async-signal-safe call is made.
    unsafe {
        command.pre_exec(|| {
            // Fails for who has no right to drop rights, and such a one has not the other right either.
            libc::prctl(libc::PR_CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0);
            Ok(())
        })
    };
    let output = command.output().expect("the binary runs");
    let said = unfolded(&String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("need the right to mount file systems, which is refused"), "{said}");
    assert!(said.contains("run as root (CAP_SYS_ADMIN"), "{said}");
}

#[test]
fn nobody_else_sees_the_mounts_and_none_outlives_a_harness_that_is_killed() {
    if !mounting::is_wanted() {
        return;
    }
    let place = tempfile::tempdir().expect("a directory");
    let state = place.path().canonicalize().expect("a path").join("state");
    let mut harness = run(place.path()).spawn().expect("the binary starts");
    let pid = harness.id();
    let began = Instant::now();
    let children = || -> Vec<u32> {
        let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        list.split_whitespace().map(|pid| pid.parse().expect("a number")).collect()
    };
    // Three brokers and the controller; before them there may be Maven.
    while children().len() < 4 {
        assert!(harness.try_wait().expect("a state").is_none(), "it has ended");
        assert!(began.elapsed() < Duration::from_secs(300), "no cluster");
        std::thread::sleep(Duration::from_millis(10));
    }
    let processes = children();
    let seen = mounts(&pid.to_string(), &state);
    let told_apart = [mounts(&processes[1].to_string(), &state).len(), mounts("self", &state).len()];
    harness.kill().expect("SIGKILL");
    harness.wait().expect("its end");
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert_eq!(told_apart, [3, 0], "its children see them, and nobody else");
    assert_eq!(survivors(&processes, Duration::from_secs(10)), [0; 0]);
    for data in seen {
        let left = std::fs::read_dir(&data).expect("the directory below").count();
        assert_eq!(left, 0, "{data}: what the brokers wrote was in memory, and is gone");
    }
}
