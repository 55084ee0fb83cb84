//! From what redb says to an error that says what to do.

use std::io;
use std::path::Path;

use backup_core::Error;
use backup_core::error::codes as core_codes;

use super::codes;

/// What a failure while `doing` (a gerund) something with the state file means.
pub(super) fn failed(doing: &str, path: &Path, error: redb::Error) -> Error {
    let path = path.display();
    match error {
        redb::Error::DatabaseAlreadyOpen => Error::new(
            &codes::STATE_LOCKED,
            format!(
                "the state file {path} is open in another process, most likely a server that runs with the same state; stop it, or give \
                 this one a file of its own (`fuser {path}` names the process)"
            ),
        ),
        redb::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => damaged(&path.to_string(), "it ends too early"),
        redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => damaged(&path.to_string(), &error.to_string()),
        redb::Error::Io(error) => io_failed(doing, &path.to_string(), error),
        redb::Error::Corrupted(what) => damaged(&path.to_string(), &what),
        redb::Error::UpgradeRequired(version) => damaged(&path.to_string(), &format!("its format {version} is too old")),
        // Some call before this one failed; this one is told so, and the next opens the file anew.
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => {
            Error::new(&codes::STATE_IO, format!("{doing} the state file {path} failed, as a call before did")).with_source(error)
        }
        other => Error::new(&core_codes::INTERNAL, format!("{doing} the state file {path} failed")).with_source(other),
    }
}

/// The same for a call to the operating system.
pub(super) fn io_failed(doing: &str, path: &str, error: io::Error) -> Error {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => &codes::STATE_NO_SPACE,
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::AlreadyExists
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::NotFound
        | io::ErrorKind::ReadOnlyFilesystem => &codes::STATE_UNUSABLE,
        _ => &codes::STATE_IO,
    };
    Error::new(code, format!("{doing} the state file {path} failed")).with_source(error)
}

/// The file is damaged, or it is another program's.
pub(super) fn damaged(path: &str, what: &str) -> Error {
    Error::new(
        &codes::STATE_DAMAGED,
        format!(
            "the state file {path} cannot be used: {what}. No backup is lost by that: move it away (`mv {path} {path}.damaged`) and start \
             again, the state begins anew"
        ),
    )
}
