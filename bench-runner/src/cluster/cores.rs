//! Whether this machine's cores sleep when they have nothing to do.

use std::fs::File;
use std::io::Write;

/// Idle cores wait awake until this is dropped, if the kernel let us ask for it.
#[derive(Debug)]
pub struct Awake(Option<File>);

impl Awake {
    /// Asks that waking take 0 µs (the kernel's PM QoS interface: a request stands for as long as its file is open).
    ///
    /// Waking a core takes tens of microseconds in a virtual machine, and milliseconds where its host has other guests; of a thread's
    /// way through brokers, each wait is followed by one. Only a privileged user may ask.
    pub fn ask() -> Self {
        let asked = File::options().write(true).open("/dev/cpu_dma_latency");
        Awake(asked.and_then(|mut file| file.write_all(&0_i32.to_ne_bytes()).map(|()| file)).ok())
    }

    /// As a fact of the run.
    pub fn as_str(&self) -> &'static str {
        if self.0.is_some() { "kept awake" } else { "sleep" }
    }
}
