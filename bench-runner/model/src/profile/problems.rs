//! Everything that is wrong with a profile, each with its place and what to write instead.

use miette::{Diagnostic, NamedSource, SourceSpan};
use std::cell::RefCell;
use std::ops::Range;
use thiserror::Error;

/// The name of an override in messages.
pub(super) const OVERRIDE: &str = "--set";

/// Where something stands: the file (source 0) or one override.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub source: usize,
    pub span: Range<usize>,
}

/// One thing that is wrong with a profile.
#[derive(Debug, Error, Diagnostic)]
#[error("{message}")]
pub struct Problem {
    message: String,
    #[source_code]
    source_code: NamedSource<String>,
    #[label("here")]
    span: SourceSpan,
    #[help]
    help: String,
}

impl Problem {
    /// What is wrong, without its place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to write instead.
    pub fn help(&self) -> &str {
        &self.help
    }
}

/// Everything that is wrong with one profile, in the order of its text.
#[derive(Debug, Error, Diagnostic)]
#[error("{name} is not a valid profile: {}", count(.problems.len()))]
#[diagnostic(code(profile::invalid))]
pub struct ProfileErrors {
    name: String,
    #[related]
    problems: Vec<Problem>,
}

impl ProfileErrors {
    /// The problems, at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// One of them stands in an override, not in the file.
    pub fn has_override(&self) -> bool {
        self.problems.iter().any(|problem| problem.source_code.name() == OVERRIDE)
    }
}

fn count(problems: usize) -> String {
    if problems == 1 { "1 problem".into() } else { format!("{problems} problems") }
}

/// Collects problems while a profile is read; shared by all sections, hence the cell.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: RefCell<Vec<(Place, String, String)>>,
}

impl Problems {
    /// Notes a problem.
    pub fn add(&self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        let problem = (place.clone(), message.into(), help.into());
        let mut found = self.found.borrow_mut();
        if !found.contains(&problem) {
            found.push(problem);
        }
    }

    /// Nothing was found so far.
    pub fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// The error, if anything was found; `sources` are (name, text) by number.
    pub fn into_result(self, sources: &[(String, String)]) -> Result<(), ProfileErrors> {
        let mut found = self.found.into_inner();
        if found.is_empty() {
            return Ok(());
        }
        found.sort_by_key(|(place, _, _)| (place.source, place.span.start, place.span.end));
        let problems = found.into_iter().map(|(place, message, help)| {
            let (name, text) = &sources[place.source];
            Problem {
                message,
                source_code: NamedSource::new(name, text.clone()),
                span: place.span.into(),
                help,
            }
        });
        Err(ProfileErrors { name: sources[0].0.clone(), problems: problems.collect() })
    }
}
