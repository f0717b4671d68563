//! Text to standard output and standard error whose reader may be gone (`plan … | head`): that is no error of ours,
//! and the exit code goes on to say what became of the work.

use super::exit::{Exit, Failure};
use std::io::{ErrorKind, Write};

/// Writes text to standard output as it is.
///
/// # Errors
/// The text could not be written for another reason than that nobody reads it (a full disk).
pub fn print(text: &str) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let report = miette::miette!("standard output could not be written: {error}");
            Err(Failure::new(Exit::Failure, report))
        }
        _ => Ok(()),
    }
}

/// Writes a line to standard output.
///
/// # Errors
/// As [`print`].
pub fn line(text: &str) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}

/// Writes a line to standard error; if it cannot be written there is nobody to tell.
pub fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
