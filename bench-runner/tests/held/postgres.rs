//! A PostgreSQL server of a test's own: fresh data, a unix socket and no port, gone with the test. Proves nothing by itself.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server.
pub struct Server {
    child: Child,
    place: tempfile::TempDir,
}

/// The programs of the newest version that Debian's package has installed.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/initdb").is_file())
        .max_by_key(|path| number(path));
    let newest = newest.expect("these tests need a PostgreSQL server: apt-get install postgresql");
    newest.join("bin")
}

/// Who may run a server: whoever we are, unless that is root.
fn unprivileged() -> Option<(u32, u32)> {
    // SAFETY: takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("users");
    let line = users.lines().find(|line| line.starts_with("postgres:")).expect("the package's user postgres");
    let number = |at: usize| line.split(':').nth(at).and_then(|id| id.parse().ok()).expect("an id");
    Some((number(2), number(3)))
}

impl Server {
    /// Starts it and waits until it answers.
    pub fn start() -> Server {
        let place = tempfile::tempdir().expect("a directory");
        std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o755)).expect("open to all");
        let who = unprivileged();
        let here = place.path().to_owned();
        let run = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(programs().join(program));
            command.args(arguments).current_dir(&here).stdin(Stdio::null()).env("LC_ALL", "C");
            if let Some((user, group)) = who {
                command.uid(user).gid(group);
            }
            command
        };
        if let Some((user, group)) = who {
            chown(place.path(), Some(user), Some(group)).expect("root may");
        }
        let data = place.path().join("data").display().to_string();
        let output =
            run("initdb", &["-D", &data, "-A", "trust", "-U", "bench", "--no-sync", "-E", "UTF8"]).output();
        let output = output.expect("initdb runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let socket = place.path().display().to_string();
        let log = std::fs::File::create(place.path().join("log")).expect("a log");
        let child = run("postgres", &["-D", &data, "-k", &socket, "-c", "listen_addresses="])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("postgres starts");
        let server = Server { child, place };
        let began = Instant::now();
        while !run("pg_isready", &["-q", "-h", &socket]).status().expect("pg_isready runs").success() {
            let log = std::fs::read_to_string(server.place.path().join("log")).unwrap_or_default();
            assert!(began.elapsed() < Duration::from_secs(60), "the server does not answer:\n{log}");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// What it answers, columns and rows without ornament.
    #[allow(dead_code, reason = "each test program uses a part of it")]
    pub fn ask(&self, statement: &str) -> String {
        let mut command = Command::new(programs().join("psql"));
        command.args(["-X", "-q", "-A", "-t", "-d", &self.url(), "-c", statement]);
        let output = command.output().expect("psql runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Its address, as a profile writes it.
    pub fn url(&self) -> String {
        format!("host={} user=bench dbname=postgres", self.place.path().display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGINT: ends open sessions and shuts down in good order.
        // SAFETY: takes no pointers; the child is not reaped before it is waited for.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGINT) };
        let _ = self.child.wait();
    }
}
