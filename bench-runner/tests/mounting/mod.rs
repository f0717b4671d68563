//! Whether disks can be broken here: root of a container may often not mount.

use std::process::Command;

/// Set by `scripts/test --without-mounts`, which says so in its summary.
const SWITCH: &str = "BENCH_RUNNER_WITHOUT_MOUNTS";

/// Whether broken disks are to be tested; fails where they are and mounting is refused.
pub fn is_wanted() -> bool {
    if std::env::var_os(SWITCH).is_some() {
        return false;
    }
    let tried = Command::new("unshare").args(["--mount", "true"]).output();
    let allowed = tried.is_ok_and(|output| output.status.success());
    assert!(
        allowed,
        "broken disks are made by mounting, which is refused here: run as root with CAP_SYS_ADMIN, or leave them out by name: \
         scripts/test --without-mounts"
    );
    true
}
