//! Why the program ends early: what it says, and its exit code.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use backup_core::error::{Code, codes};
use backup_core::{Error, ErrorKind};

/// The exit codes, as documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    Damaged = 4,
    Refused = 5,
    Busy = 6,
    Interrupted = 130,
}

/// An end of the program that is no success.
#[derive(Debug)]
pub(super) struct Failure {
    class: Class,
    text: String,
    advice: Option<&'static str>,
}

impl Failure {
    pub(super) fn new(class: Class, text: impl Into<String>) -> Self {
        Self { class, text: text.into(), advice: None }
    }

    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self::new(Class::Usage, text)
    }

    pub(super) fn not_found(text: impl Into<String>) -> Self {
        Self::new(Class::NotFound, text)
    }

    pub(super) fn interrupted() -> Self {
        Self::new(Class::Interrupted, "interrupted; nothing half-done is left")
    }

    pub(super) fn class(&self) -> Class {
        self.class
    }

    /// Says it on standard error.
    pub(super) fn report(&self) -> ExitCode {
        let _ = writeln!(std::io::stderr(), "{self}");
        ExitCode::from(self.class as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begin = if self.class == Class::Interrupted { "" } else { "error: " };
        let lines: Vec<_> = self.text.lines().map(super::table::clean).collect();
        write!(f, "{begin}{}", lines.join("\n"))?;
        self.advice.iter().try_for_each(|advice| write!(f, "\n{advice}"))
    }
}

/// What an error of the library means for the one who typed the command.
fn class(error: &Error) -> Class {
    let is = |code: &'static Code| error.code() == code;
    match error.kind() {
        _ if is(&codes::BACKUP_NOT_REMOVABLE) => Class::Refused,
        _ if is(&codes::LEASE_BUSY) || is(&codes::STORE_BUSY) || is(&codes::STORE_UNAVAILABLE) => Class::Busy,
        ErrorKind::InvalidInput => Class::Usage,
        ErrorKind::NotFound => Class::NotFound,
        ErrorKind::Corrupt => Class::Damaged,
        ErrorKind::AlreadyExists => Class::Refused,
        _ => Class::Failed,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { class: class(&error), text: error.to_string(), advice: Some(error.code().action) }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Class::Failed, error.to_string())
    }
}
