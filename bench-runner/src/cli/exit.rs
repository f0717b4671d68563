//! The one table of exit codes; `docs/method.md` prints it, `main` alone hands it to the shell.

use crate::store::StoreError;
use std::process::ExitCode;

/// How the program ends. When several apply, the one that stands first in [`Exit::PRECEDENCE`] wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything ran, every expectation is met.
    Ok = 0,
    /// Our failure, void books included.
    Failure = 1,
    /// The command line is wrong (clap ends with the same code).
    Usage = 2,
    /// A profile is invalid, or the plan cannot be.
    Profile = 3,
    /// The cluster is not fit for the plan.
    Cluster = 4,
    /// The generator could not keep its schedule.
    GeneratorBound = 6,
    /// No verdict is possible, or a fault was not injected.
    Inconclusive = 7,
    /// A promise is violated, or an expectation unmet.
    Violation = 10,
    /// Interrupted by the user.
    Interrupted = 130,
}

impl Exit {
    /// From the strongest claim on the exit code to the weakest.
    pub const PRECEDENCE: [Exit; 9] = [
        Exit::Interrupted,
        Exit::Usage,
        Exit::Profile,
        Exit::Cluster,
        Exit::Failure,
        Exit::Violation,
        Exit::Inconclusive,
        Exit::GeneratorBound,
        Exit::Ok,
    ];

    /// The one of both that takes precedence.
    pub fn and(self, other: Exit) -> Exit {
        Self::PRECEDENCE.into_iter().find(|exit| *exit == self || *exit == other).unwrap_or(self)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// A verb that could not do its work: the code and what to tell the user.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What went wrong and what to do.
    pub report: miette::Report,
}

impl Failure {
    /// A failure with this code.
    pub fn new(exit: Exit, report: impl Into<miette::Report>) -> Self {
        Failure { exit, report: report.into() }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = if matches!(error, StoreError::NoRun { .. }) { Exit::Usage } else { Exit::Failure };
        Failure::new(exit, error)
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn the_stronger_claim_wins_whatever_the_order() {
        assert_eq!(Exit::Ok.and(Exit::Inconclusive), Exit::Inconclusive);
        assert_eq!(Exit::Violation.and(Exit::Inconclusive), Exit::Violation);
        assert_eq!(Exit::Violation.and(Exit::Failure), Exit::Failure);
        assert_eq!(Exit::Interrupted.and(Exit::Failure), Exit::Interrupted);
    }
}
