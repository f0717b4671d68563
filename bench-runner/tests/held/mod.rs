//! A cluster held by the real binary's hidden verb, for tests that need one. Proves nothing by itself.
#![allow(dead_code, reason = "each test program uses a part of it")]

use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The binary's verb `cluster` with its state in `state` (downloads stay in the user's cache).
pub fn verb(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-runner"));
    command.arg("cluster").args(arguments).env("BENCH_RUNNER_STATE", state);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running `cluster --hold`.
pub struct Held {
    child: Child,
    /// What it printed when the cluster was ready.
    pub ready: Value,
}

impl Held {
    /// Starts it and waits until it is ready.
    pub fn start(state: &Path, arguments: &[&str]) -> Held {
        Self::begin(state, arguments).wait_ready()
    }

    /// Starts it.
    pub fn begin(state: &Path, arguments: &[&str]) -> Held {
        let mut command = verb(state, arguments);
        let child = command.arg("--hold").stderr(Stdio::inherit()).spawn().expect("the binary starts");
        Held { child, ready: Value::Null }
    }

    /// Waits for its line.
    pub fn wait_ready(mut self) -> Held {
        let mut line = String::new();
        let output = self.child.stdout.as_mut().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("readable");
        self.ready = serde_json::from_str(&line).expect("one JSON line; Java 17 and Maven are needed once");
        self
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its children now.
    pub fn children(&self) -> Vec<u32> {
        let list =
            std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid())).unwrap_or_default();
        list.split_whitespace().map(|pid| pid.parse().expect("a number")).collect()
    }

    /// The cluster's bootstrap servers.
    pub fn bootstrap(&self) -> &str {
        self.ready["bootstrap"].as_str().expect("bootstrap")
    }

    /// The cluster's directory (local).
    pub fn directory(&self) -> PathBuf {
        self.ready["facts"]["facts"]["directory"].as_str().expect("directory").into()
    }

    /// The Java and the class path that its brokers run with (local).
    pub fn java(&self) -> (String, String) {
        let line = std::fs::read_to_string(format!("/proc/{}/cmdline", self.children()[0])).expect("a JVM");
        let java = line.split('\0').next().expect("a program");
        let class_path = line.split('\0').skip_while(|word| *word != "-cp").nth(1).expect("a class path");
        (java.to_owned(), class_path.to_owned())
    }

    /// Sends a signal to the harness only.
    pub fn signal(&self, signal: i32) {
        // SAFETY: takes no pointers; the child is not reaped before `self` is waited for.
        assert_eq!(unsafe { libc::kill(self.pid() as i32, signal) }, 0);
    }

    /// Closes its standard input, if asked to, and waits for its end.
    pub fn end(mut self, close: bool) -> (ExitStatus, Duration) {
        let began = Instant::now();
        if close {
            drop(self.child.stdin.take());
        }
        // `wait` closes standard input itself, which would end the verb by another way.
        let input = self.child.stdin.take();
        let status = self.child.wait().expect("it ends");
        drop(input);
        (status, began.elapsed())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the verb to its end: exit code and what it said on standard error, on one line.
pub fn outcome(state: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut child = verb(state, arguments).spawn().expect("the binary starts");
    drop(child.stdin.take());
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    (child.wait().expect("it ends").code(), unfolded(&said))
}

/// Text on one line: errors are folded at 80 columns, so where a phrase breaks depends on the lengths of paths.
pub fn unfolded(text: &str) -> String {
    text.replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a process exists and is no zombie.
pub fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z')))
}

/// Waits until none of the processes lives; what is left after `limit`.
pub fn survivors(pids: &[u32], limit: Duration) -> Vec<u32> {
    let began = Instant::now();
    loop {
        let left: Vec<u32> = pids.iter().copied().filter(|pid| lives(*pid)).collect();
        if left.is_empty() || began.elapsed() > limit {
            return left;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
