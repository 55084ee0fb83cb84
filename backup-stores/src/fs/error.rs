//! From an errno to an error that says what to do.

use backup_core::error::{Code, codes};
use backup_core::{Effect, Error};
use rustix::io::Errno;

use super::codes as own;

/// The error for `errno` while `doing` (a gerund) something to `path`, which is relative to the root. Effect none.
pub(super) fn failed(errno: Errno, doing: &str, path: &str) -> Error {
    let (code, why) = classify(errno);
    Error::new(code, format!("{doing} `{path}`: {why}")).with_source(std::io::Error::from(errno))
}

fn classify(errno: Errno) -> (&'static Code, &'static str) {
    match errno {
        Errno::NOSPC => (&codes::STORE_NO_SPACE, "the file system is full; free space, then run it again"),
        Errno::DQUOT => (&codes::STORE_NO_SPACE, "the disk quota is used up; raise it or free space, then run it again"),
        Errno::FBIG => (&codes::STORE_NO_SPACE, "the file size limit is reached; raise `ulimit -f` (LimitFSIZE)"),
        Errno::ROFS => {
            (&codes::STORE_READ_ONLY, "the file system is mounted read-only; remount it, and look why in the kernel log")
        }
        Errno::ACCESS | Errno::PERM => {
            (&codes::STORE_DENIED, "permission denied; the user of this process needs read, write and search permission there")
        }
        Errno::MFILE => {
            (&codes::STORE_BUSY, "this process has no file descriptor left; raise `ulimit -n` (LimitNOFILE) or run fewer jobs")
        }
        Errno::NFILE => (&codes::STORE_BUSY, "the machine has no file descriptor left; raise the sysctl fs.file-max"),
        Errno::NOENT => (&codes::STORE_NOT_FOUND, "it is not there"),
        Errno::NAMETOOLONG => (&codes::INPUT_INVALID, "the name is too long for this file system; choose a shorter one"),
        Errno::LOOP => (&own::FS_SYMLINK, "a symbolic link is on the way, and none is followed below the root; remove it"),
        Errno::NOTDIR | Errno::ISDIR => (
            &own::FS_IN_THE_WAY,
            "a file stands where a directory is needed, or the other way round; move it or choose another name",
        ),
        Errno::XDEV => {
            (&own::FS_OTHER_FILE_SYSTEM, "it is on another file system than the store's `.backup/tmp`; mount that at the root")
        }
        _ => (&codes::STORE_IO, "the file system failed; look into the kernel log before trusting this disk again"),
    }
}

/// An object that is not there, or that is no regular file and thus none of ours.
pub(super) fn not_found(path: &str) -> Error {
    Error::new(&codes::STORE_NOT_FOUND, format!("there is no object `{path}`"))
}

pub(super) fn exists(path: &str) -> Error {
    Error::new(&codes::STORE_EXISTS, format!("the object `{path}` exists and was left untouched"))
}

pub(super) fn in_the_way(path: &str) -> Error {
    Error::new(&own::FS_IN_THE_WAY, format!("`{path}` is a directory or a special file; move it or choose another name"))
}

pub(super) fn symlink(path: &str) -> Error {
    failed(Errno::LOOP, "using", path)
}

/// The object is visible and whole, but its name may not survive a crash.
pub(super) fn not_durable(errno: Errno, path: &str) -> Error {
    failed(errno, "making the name durable of", path).with_effect(Effect::Unknown)
}
