//! Where downloads and the state of running clusters lie. Names directories; creates and removes nothing.

use super::ClusterError;
use std::path::{Path, PathBuf};

/// `$BENCH_RUNNER_CACHE`, else `bench-runner` under `$XDG_CACHE_HOME` or `~/.cache`: survives runs, may be deleted.
pub fn cache() -> Result<PathBuf, ClusterError> {
    let place = set("BENCH_RUNNER_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|place| place.join("bench-runner")))
        .or_else(|| set("HOME").map(|place| place.join(".cache/bench-runner")));
    match place {
        Some(place) => absolute(&place),
        None => Err(ClusterError::unfit(
            "there is no home directory for the cache",
            "set BENCH_RUNNER_CACHE to a directory",
        )),
    }
}

/// `$BENCH_RUNNER_STATE`, else `state` in the cache: one directory for each living cluster in its `clusters/`.
pub fn clusters() -> Result<PathBuf, ClusterError> {
    match set("BENCH_RUNNER_STATE") {
        Some(place) => absolute(&place.join("clusters")),
        None => Ok(cache()?.join("state/clusters")),
    }
}

fn set(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The processes of a cluster do not work in our directory.
fn absolute(place: &Path) -> Result<PathBuf, ClusterError> {
    std::path::absolute(place)
        .map_err(|error| ClusterError::failed(format!("find {}", place.display()), error))
}
