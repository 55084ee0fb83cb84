//! From a fault of the protocol to an error that says what to do.

use backup_core::error::{Code, codes};
use backup_core::{Effect, Error};

use super::codes as own;
use super::wire::{Fault, Kind, Status};

/// The error for `fault` while `doing` (a gerund) something to `path`, which is relative to the root. A status has effect none.
pub(super) fn failed(fault: Fault, doing: &str, path: &str) -> Error {
    match fault {
        Fault::Error(error) => error.context(format!("{doing} `{path}`")),
        Fault::Status(status) => {
            let (code, why) = classify(status);
            Error::new(code, format!("{doing} `{path}`: {why} ({status})"))
        }
    }
}

fn classify(status: Status) -> (&'static Code, &'static str) {
    match status {
        Status::NFS3ERR_NOSPC => (&codes::STORE_NO_SPACE, "the server's file system is full; free space, then run it again"),
        Status::NFS3ERR_DQUOT => {
            (&codes::STORE_NO_SPACE, "the quota on the server is used up; raise it or free space, then run it again")
        }
        Status::NFS3ERR_FBIG => (&codes::STORE_NO_SPACE, "the file would be larger than the server's file system allows"),
        Status::NFS3ERR_ROFS => (&codes::STORE_READ_ONLY, "the export, or the file system behind it, is read-only"),
        Status::NFS3ERR_ACCES | Status::NFS3ERR_PERM => (
            &codes::STORE_DENIED,
            "permission denied; `uid` and `gid` need read, write and search permission there, and the export may turn them into another \
             user (`root_squash`, `all_squash`)",
        ),
        Status::NFS3ERR_NOENT => (&codes::STORE_NOT_FOUND, "it is not there"),
        Status::NFS3ERR_NAMETOOLONG => {
            (&codes::INPUT_INVALID, "the name is too long for the server's file system; choose a shorter one")
        }
        Status::NFS3ERR_INVAL => (&codes::INPUT_INVALID, "the server's file system takes no such name; choose another one"),
        Status::NFS3ERR_NOTDIR | Status::NFS3ERR_ISDIR => (
            &own::NFS_IN_THE_WAY,
            "a file stands where a directory is needed, or the other way round; move it or choose another name",
        ),
        Status::NFS3ERR_XDEV => (&own::NFS_OTHER_FILE_SYSTEM, "it is on another file system than the store's `.backup/tmp`"),
        Status::NFS3ERR_STALE | Status::NFS3ERR_BADHANDLE => {
            (&codes::STORE_IO, "it was removed or replaced meanwhile, or the server's file system is no longer the one it was")
        }
        Status::NFS3ERR_NOTSUPP => (&own::NFS_SERVICE, "the server cannot do that"),
        Status::NFS3ERR_EXIST => (&codes::STORE_IO, "the name is taken, although nobody else would choose it"),
        _ => (&codes::STORE_IO, "the server failed; look into its log before trusting its disk again"),
    }
}

/// An error before anything got its name: whatever the server did, nothing of it is visible.
pub(super) fn invisible(error: Error) -> Error {
    error.with_effect(Effect::None)
}

/// An object that is not there, or that is no regular file and thus none of ours.
pub(super) fn not_found(path: &str) -> Error {
    Error::new(&codes::STORE_NOT_FOUND, format!("there is no object `{path}`"))
}

pub(super) fn exists(path: &str) -> Error {
    Error::new(&codes::STORE_EXISTS, format!("the object `{path}` exists and was left untouched"))
}

pub(super) fn symlink(path: &str) -> Error {
    Error::new(&own::NFS_SYMLINK, format!("`{path}` is a symbolic link, and none is followed there; remove it"))
}

/// The error for a name that is taken: by an object, or by something that is none.
pub(super) fn taken(kind: Kind, path: &str) -> Error {
    match kind {
        Kind::Symlink => symlink(path),
        Kind::File => exists(path),
        Kind::Directory | Kind::Other => {
            let text = format!("`{path}` is a directory or a special file; move it or choose another name");
            Error::new(&own::NFS_IN_THE_WAY, text)
        }
    }
}
