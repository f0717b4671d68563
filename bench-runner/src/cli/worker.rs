//! `worker`: the hidden verb behind every producer and reader process.

use super::exit::{Exit, Failure};

/// Does what the specification on standard input says.
pub fn worker() -> Result<Exit, Failure> {
    match crate::worker::main() {
        Ok(()) => Ok(Exit::Ok),
        Err(error) => Err(Failure::new(Exit::Failure, miette::miette!("{error}"))),
    }
}
