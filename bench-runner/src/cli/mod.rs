//! The command line: arguments, one file for each verb, and the exit codes.

use std::process::ExitCode;

/// Runs the verb that was asked for.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
