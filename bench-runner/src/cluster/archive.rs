//! The class-data archive that halves a cold start. Its absence or failure never fails anything.

use super::distribution::Distribution;
use std::path::{Path, PathBuf};

/// Where the archive for these jars, this Java and these flags lies.
pub fn place(distribution: &Distribution, flags: &[String]) -> PathBuf {
    let mut key = crc32c::crc32c(distribution.class_path.as_bytes());
    key = crc32c::crc32c_append(key, distribution.java_version.as_bytes());
    for flag in flags {
        key = crc32c::crc32c_append(key, flag.as_bytes());
    }
    distribution.derived.join(format!("classes-{}-{key:08x}.jsa", distribution.version))
}

/// The flag that uses an archive, if it is there.
pub fn use_flag(place: &Path) -> Option<String> {
    place.exists().then(|| format!("-XX:SharedArchiveFile={}", place.display()))
}

/// The flag that makes a JVM write one at its orderly end, and the file that it writes.
pub fn record_flag(place: &Path) -> (String, PathBuf) {
    let aside = place.with_extension(format!("{}.new", std::process::id()));
    (format!("-XX:ArchiveClassesAtExit={}", aside.display()), aside)
}
