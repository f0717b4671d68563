//! Facts about host, time and revision: a result of something unnamed is no result.

use bench_model::assess::Stolen;
use bench_model::result::HostFacts;
use std::path::Path;
use std::process::id;
use std::time::{SystemTime, UNIX_EPOCH};

fn seconds_since_epoch() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |duration| duration.as_secs())
}

/// Year, month, day, hour, minute, second in UTC (days to civil date as in Howard Hinnant's "chrono-compatible
/// low-level date algorithms").
fn civil(seconds: u64) -> [u64; 6] {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    [year, month, day, rest / 3600, rest / 60 % 60, rest % 60]
}

/// Now, RFC 3339, UTC.
pub fn utc_now() -> String {
    let [year, month, day, hour, minute, second] = civil(seconds_since_epoch());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// A new run id, e.g. `20261123-193000-quickstart-l1-3f2a`: sorts by time, unique on a machine.
pub fn run_id(profiles: &[&str]) -> String {
    let [year, month, day, hour, minute, second] = civil(seconds_since_epoch());
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |duration| duration.subsec_nanos());
    let salt = crc32c::crc32c(&[nanos.to_le_bytes(), id().to_le_bytes()].concat()) & 0xffff;
    let name: Vec<String> =
        profiles.iter().map(|name| name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")).collect();
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}-{}-{salt:04x}", name.join("-"))
}

/// Our version and the git revision that it was built from.
pub fn revision() -> String {
    format!("{} ({})", env!("CARGO_PKG_VERSION"), env!("BENCH_RUNNER_REVISION"))
}

/// The machine.
pub fn facts(results: &Path) -> HostFacts {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let after_colon = |text: &str, key: &str| {
        text.lines()
            .find(|line| line.starts_with(key))
            .and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim().to_owned())
    };
    let memory_kib = after_colon(&read("/proc/meminfo"), "MemTotal")
        .and_then(|value| value.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()));
    HostFacts {
        os: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
        cpu: after_colon(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".into()),
        cores: std::thread::available_parallelism().map_or(0, |cores| cores.get() as u32),
        memory_bytes: memory_kib.unwrap_or(0) * 1024,
        disk: file_system(results, &read("/proc/mounts")),
    }
}

/// CPU time of the whole machine so far, in ticks of the kernel.
#[derive(Debug, Clone, Copy)]
pub struct CpuTicks {
    /// With nothing to do, or nothing but waiting for disks.
    pub idle: u64,
    /// Wanted, and kept by the machine's own host.
    pub stolen: u64,
    /// All of it.
    pub all: u64,
}

impl CpuTicks {
    /// Until now (`/proc/stat`: user, nice, system, idle, waiting for disks, interrupts twice, stolen).
    pub fn now() -> Self {
        let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let words = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
        let ticks: Vec<u64> = words.filter_map(|word| word.parse().ok()).take(8).collect();
        CpuTicks {
            idle: ticks.iter().skip(3).take(2).sum(),
            stolen: ticks.get(7).copied().unwrap_or(0),
            all: ticks.iter().sum(),
        }
    }

    /// What the machine's host has kept since.
    pub fn stolen_since(self) -> Stolen {
        let now = Self::now();
        Stolen { ticks: now.stolen.saturating_sub(self.stolen), of: now.all.saturating_sub(self.all) }
    }
}

/// Device and type of the file system that holds a directory: the longest mount point that is a prefix of it.
fn file_system(directory: &Path, mounts: &str) -> String {
    let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            Some((fields.next()?, fields.next()?, fields.next()?))
        })
        .filter(|(_, mount, _)| directory.starts_with(mount))
        .max_by_key(|(_, mount, _)| mount.len())
        .map_or_else(|| "unknown".into(), |(device, _, kind)| format!("{kind} on {device}"))
}

#[cfg(test)]
mod tests {
    use super::{civil, file_system};
    use std::path::Path;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(civil(0), [1970, 1, 1, 0, 0, 0]);
        assert_eq!(civil(951_782_400), [2000, 2, 29, 0, 0, 0]);
        assert_eq!(civil(1_795_462_245), [2026, 11, 23, 19, 30, 45]);
    }

    #[test]
    fn the_longest_mount_point_holds_a_directory() {
        let mounts = "/dev/a / ext4 rw\n/dev/b /proc/fs xfs rw\n";
        assert_eq!(file_system(Path::new("/proc/fs/x"), mounts), "xfs on /dev/b");
        assert_eq!(file_system(Path::new("/x"), mounts), "ext4 on /dev/a");
    }
}
