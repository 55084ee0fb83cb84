//! Why the program ends early, and what to do about it.

use std::fmt;
use std::process::ExitCode;

#[derive(Debug, PartialEq, Eq)]
enum Class {
    Failed,
    Usage,
    Interrupted,
}

/// The end of the program that is no success.
#[derive(Debug)]
pub(super) struct Failure {
    class: Class,
    what: String,
    advice: Option<String>,
}

impl Failure {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { class: Class::Failed, what: what.into(), advice: None }
    }

    pub(super) fn usage(what: impl Into<String>) -> Self {
        Self { class: Class::Usage, what: what.into(), advice: Some("try: quickstart --help".to_owned()) }
    }

    pub(super) fn interrupted() -> Self {
        Self { class: Class::Interrupted, what: "interrupted; everything that was started is stopped".to_owned(), advice: None }
    }

    /// What the reader can do.
    pub(super) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.class {
            Class::Failed => 1,
            Class::Usage => 2,
            Class::Interrupted => 130,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.class == Class::Interrupted { "" } else { "error: " };
        write!(f, "{name}{}", self.what)?;
        self.advice.iter().try_for_each(|advice| write!(f, "\n{advice}"))
    }
}

impl From<backup_core::Error> for Failure {
    fn from(error: backup_core::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}
