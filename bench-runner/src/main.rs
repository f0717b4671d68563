//! `bench-runner`: what does durability cost, and what does it buy?
//!
//! A table of contents: parse the command line, call one verb, turn its outcome into an exit code.
//! Rooms from the ground floor up; a lower one never imports a higher one (`model/tests/layering.rs`).

// They panic when nobody reads any more.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod clock;
mod store;
mod kafka;
mod sink;
mod proxy;
mod cluster;
mod worker;
mod supervisor;
mod injector;
mod run;
mod report;
mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
