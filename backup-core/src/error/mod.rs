//! The one public error: what failed, on what, whether trying again helps, and whether the effect happened.

pub mod codes;

use std::borrow::Cow;
use std::fmt;

pub use codes::Code;

/// The result of everything in this workspace.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What class of failure it is: the few cases in which a caller does something different.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request or the configuration is wrong; it has to be changed first.
    InvalidInput,
    /// The thing named is not there.
    NotFound,
    /// The thing is there already and is left as it is.
    AlreadyExists,
    /// Credentials are missing, wrong or not sufficient.
    PermissionDenied,
    /// The store is full, read-only or over its quota.
    NoSpace,
    /// The driver or the other side cannot do this.
    Unsupported,
    /// The other side did not answer, or answered that it cannot now.
    Unavailable,
    /// A time limit ran out.
    Timeout,
    /// The job was cancelled.
    Cancelled,
    /// Stored or transmitted bytes are not what they were.
    Corrupt,
    /// Another job, writer or cleaner holds the thing or won the race.
    Conflict,
    /// The source itself failed (a script, a server, a program).
    Source,
    /// A mistake in this software.
    Internal,
}

/// Whether trying the same thing again helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Retry {
    /// No: something has to be changed first.
    Never,
    /// Yes, after a pause.
    Later,
}

/// Whether the effect that was asked for happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effect {
    /// Nothing happened.
    None,
    /// It may or may not have happened.
    Unknown,
    /// It happened, although an error is reported.
    Applied,
}

/// An error with a stable [`Code`], a [`Retry`] class, an [`Effect`] and the context it happened in.
///
/// `Display` gives the context, the message, the code and the effect; it never holds a secret, because drivers never put one in.
pub struct Error(Box<Inner>);

struct Inner {
    code: &'static Code,
    message: Cow<'static, str>,
    context: Vec<String>,
    retry: Retry,
    effect: Effect,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `code`; `message` says what failed and on what. Retry comes from the code, effect is [`Effect::None`].
    pub fn new(code: &'static Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            code,
            message: message.into(),
            context: Vec::new(),
            retry: code.retry,
            effect: Effect::None,
            source: None,
        }))
    }

    /// Adds what was being done, outermost last: `reading the manifest of etcd/prod`.
    #[must_use]
    pub fn context(mut self, doing: impl Into<String>) -> Self {
        self.0.context.push(doing.into());
        self
    }

    /// Sets whether the effect happened.
    #[must_use]
    pub fn with_effect(mut self, effect: Effect) -> Self {
        self.0.effect = effect;
        self
    }

    /// Overrides the retry class of the code.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Keeps the error underneath, for `source()`.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The stable code, documented in `docs/errors.md`.
    pub fn code(&self) -> &'static Code {
        self.0.code
    }

    /// The class of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.code.kind
    }

    /// Whether trying again helps.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// Whether the effect happened.
    pub fn effect(&self) -> Effect {
        self.0.effect
    }

    /// The message alone, without context and advice.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// True for [`ErrorKind::NotFound`].
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// True for [`ErrorKind::AlreadyExists`].
    pub fn is_already_exists(&self) -> bool {
        self.kind() == ErrorKind::AlreadyExists
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for doing in self.0.context.iter().rev() {
            write!(f, "{doing}: ")?;
        }
        write!(f, "{}", self.0.message)?;
        if let Some(source) = &self.0.source {
            let cause = source.to_string();
            if !self.0.message.contains(&cause) {
                write!(f, ": {cause}")?;
            }
        }
        write!(f, " [{}", self.0.code.name)?;
        match self.0.effect {
            Effect::None => {}
            Effect::Unknown => write!(f, ", effect unknown")?,
            Effect::Applied => write!(f, ", effect applied")?,
        }
        write!(f, "]")
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.0.code.name)
            .field("message", &self.0.message)
            .field("context", &self.0.context)
            .field("retry", &self.0.retry)
            .field("effect", &self.0.effect)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

/// Adds context to the error of a `Result`.
pub trait ResultExt<T> {
    /// Adds what was being done; the text is made only when there is an error.
    fn context(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T> ResultExt<T> for Result<T> {
    fn context(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| error.context(doing()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_reads_from_the_outside_in_and_ends_with_code_and_effect() {
        let error = Error::new(&codes::STORE_IO, "write failed on a/b")
            .with_source(std::io::Error::other("disk on fire"))
            .with_effect(Effect::Unknown)
            .context("writing artifact `db`")
            .context("backing up etcd/prod");
        assert_eq!(
            error.to_string(),
            "backing up etcd/prod: writing artifact `db`: write failed on a/b: disk on fire [store.io, effect unknown]"
        );
    }

    #[test]
    fn code_names_are_unique_and_dotted() {
        let mut names: Vec<_> = codes::ALL.iter().map(|code| code.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "a code name is used twice");
        assert!(names.iter().all(|name| name.contains('.')));
    }
}
