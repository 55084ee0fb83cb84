//! Plain data of the protocol, and how a procedure fails.

use backup_core::{Effect, Error};
use chrono::{DateTime, Utc};
use nfs3_client::nfs3_types::nfs3::{FSF3_LINK, FSINFO3resok, fattr3, ftype3, nfs_fh3};
pub(in crate::nfs) use nfs3_client::nfs3_types::nfs3::{nfsstat3 as Status, writeverf3 as Verifier};

/// A file handle.
pub(in crate::nfs) type Handle = nfs_fh3;

/// The most bytes that are read or written at once, whatever the server allows.
pub(in crate::nfs) const LARGEST: u32 = 1 << 20;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::nfs) enum Kind {
    File,
    Directory,
    Symlink,
    Other,
}

/// What the store wants to know of a file.
#[derive(Debug, Clone, Copy)]
pub(in crate::nfs) struct Attr {
    pub(in crate::nfs) kind: Kind,
    pub(in crate::nfs) size: u64,
    pub(in crate::nfs) modified: Option<DateTime<Utc>>,
    pub(in crate::nfs) id: FileId,
}

/// The same file or another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::nfs) struct FileId {
    file_system: u64,
    /// In its file system. A server that restarts may number file systems anew, never files.
    pub(in crate::nfs) number: u64,
}

impl From<&fattr3> for Attr {
    fn from(attr: &fattr3) -> Self {
        let kind = match attr.type_ {
            ftype3::NF3REG => Kind::File,
            ftype3::NF3DIR => Kind::Directory,
            ftype3::NF3LNK => Kind::Symlink,
            _ => Kind::Other,
        };
        let modified = DateTime::from_timestamp(i64::from(attr.mtime.seconds), attr.mtime.nseconds.min(999_999_999));
        Self { kind, size: attr.size, modified, id: FileId { file_system: attr.fsid, number: attr.fileid } }
    }
}

/// A name that was looked up.
#[derive(Debug, Clone)]
pub(in crate::nfs) struct Found {
    pub(in crate::nfs) handle: Handle,
    pub(in crate::nfs) attr: Attr,
}

/// What the server allows.
#[derive(Debug, Clone, Copy)]
pub(in crate::nfs) struct Limits {
    /// The most bytes of one read.
    pub(in crate::nfs) read: u32,
    /// The most bytes of one write.
    pub(in crate::nfs) write: u32,
    /// Whether it says that it has hard links.
    pub(in crate::nfs) links: bool,
}

impl From<&FSINFO3resok> for Limits {
    fn from(info: &FSINFO3resok) -> Self {
        // A server that says zero means nothing in particular.
        let bounded = |max: u32| if max == 0 { 8 << 10 } else { max.min(LARGEST) };
        Self { read: bounded(info.rtmax), write: bounded(info.wtmax), links: info.properties & FSF3_LINK != 0 }
    }
}

/// Why a procedure did not do what it was asked for.
#[derive(Debug)]
pub(in crate::nfs) enum Fault {
    /// The server answered so.
    Status(Status),
    /// No answer came, or the step was refused here.
    Error(Error),
}

impl Fault {
    pub(in crate::nfs) fn is(&self, status: Status) -> bool {
        matches!(self, Self::Status(is) if *is == status)
    }

    /// The name, or a directory on the way to it, is not there.
    pub(in crate::nfs) fn is_missing(&self) -> bool {
        self.is(Status::NFS3ERR_NOENT) || self.is(Status::NFS3ERR_NOTDIR)
    }

    /// A handle means nothing to the server any more.
    pub(in crate::nfs) fn is_stale(&self) -> bool {
        self.is(Status::NFS3ERR_STALE) || self.is(Status::NFS3ERR_BADHANDLE)
    }

    /// Nobody knows whether the server did it.
    pub(in crate::nfs) fn is_unknown(&self) -> bool {
        matches!(self, Self::Error(error) if error.effect() == Effect::Unknown)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}
