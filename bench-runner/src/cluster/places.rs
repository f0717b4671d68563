//! Where downloads and the state of running clusters lie. Names directories; creates and removes nothing.

use super::ClusterError;
use std::path::PathBuf;

/// `$BENCH_RUNNER_CACHE`, else `bench-runner` under `$XDG_CACHE_HOME` or `~/.cache`: survives runs, may be deleted.
pub fn cache() -> Result<PathBuf, ClusterError> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("BENCH_RUNNER_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|place| place.join("bench-runner")))
        .or_else(|| set("HOME").map(|place| place.join(".cache/bench-runner")))
        .ok_or_else(|| {
            ClusterError::unfit(
                "there is no home directory for the cache",
                "set BENCH_RUNNER_CACHE to a directory",
            )
        })
}

/// `$BENCH_RUNNER_STATE`, else `state` in the cache: one directory for each living cluster in its `clusters/`.
pub fn clusters() -> Result<PathBuf, ClusterError> {
    let state = match std::env::var_os("BENCH_RUNNER_STATE").filter(|value| !value.is_empty()) {
        Some(place) => PathBuf::from(place),
        None => cache()?.join("state"),
    };
    Ok(state.join("clusters"))
}
