//! The error catalogue of the engine. Drivers keep a catalogue of their own in the same form.
//!
//! `docs/errors.md` lists every code; a test compares the two.

use super::{ErrorKind, Retry};

/// A stable error code: what it means and what to do.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// Dotted name, stable over releases: `store.no_space`.
    pub name: &'static str,
    /// The class of the failure.
    pub kind: ErrorKind,
    /// Whether trying again helps, unless the error says otherwise.
    pub retry: Retry,
    /// What it means, one sentence.
    pub meaning: &'static str,
    /// What to do, one sentence.
    pub action: &'static str,
}

/// Declares a catalogue: one static [`Code`] for each line, and `ALL`.
#[macro_export]
macro_rules! error_codes {
    ($($(#[$doc:meta])* $ident:ident = $name:literal, $kind:ident, $retry:ident, $meaning:literal, $action:literal;)*) => {
        $(
            #[doc = $meaning]
            pub static $ident: $crate::error::Code = $crate::error::Code {
                name: $name,
                kind: $crate::error::ErrorKind::$kind,
                retry: $crate::error::Retry::$retry,
                meaning: $meaning,
                action: $action,
            };
        )*
        /// Every code of this catalogue.
        pub static ALL: &[&$crate::error::Code] = &[$(&$ident),*];
    };
}

error_codes! {
    INPUT_INVALID = "input.invalid", InvalidInput, Never,
        "A value given by the caller cannot be used.", "Correct the value that the message names.";
    STORE_NOT_FOUND = "store.not_found", NotFound, Never,
        "The object is not in the store.", "Check the name; list the repository to see what is there.";
    STORE_EXISTS = "store.exists", AlreadyExists, Never,
        "An object of that name exists and was left untouched.", "Nothing is overwritten here: choose another name.";
    STORE_DENIED = "store.denied", PermissionDenied, Never,
        "The store refused access.", "Check the owner, mode or credentials of the store.";
    STORE_NO_SPACE = "store.no_space", NoSpace, Later,
        "The store is full or over its quota.", "Free space or raise the quota, then run the backup again; nothing half-written is visible.";
    STORE_READ_ONLY = "store.read_only", NoSpace, Never,
        "The store is read-only.", "Make it writable, or point the configuration at another place.";
    STORE_BUSY = "store.busy", Unavailable, Later,
        "The store or this process has no capacity left for the moment.", "Try again later, or raise the limit that the message names.";
    STORE_UNAVAILABLE = "store.unavailable", Unavailable, Later,
        "The store did not answer.", "Check that it is up and reachable, then try again.";
    STORE_IO = "store.io", Unavailable, Later,
        "Reading from or writing to the store failed.", "Look at the cause in the message; check the medium before you trust it again.";
    STORE_WRITER_FAILED = "store.writer_failed", Internal, Never,
        "A writer was used again after its first error.", "Abort the writer and write the object again from its start.";
    JOB_CANCELLED = "job.cancelled", Cancelled, Later,
        "The job was cancelled.", "Start it again when it is wanted.";
    JOB_DEADLINE = "job.deadline", Timeout, Later,
        "The job's deadline passed.", "Look for what was slow, or give the job more time.";
    JOB_STALLED = "job.stalled", Timeout, Later,
        "The other side sent nothing for longer than the stall limit.", "Check that the other side is alive; raise the limit if it is only slow.";
    LEASE_BUSY = "lease.busy", Conflict, Later,
        "Another job works on this backup set.", "Wait for it to end; there is one writer for each set.";
    LEASE_LOST = "lease.lost", Conflict, Later,
        "The exclusive right to the backup set was lost before publishing.", "Nothing was published: start the backup again.";
    PUBLISH_ABORTED = "publish.aborted", Conflict, Later,
        "The backup took longer than its intent and was given up by a cleaner.", "Nothing was published: start the backup again; raise `intent_ttl` if this repeats.";
    PUBLISH_CONFLICT = "publish.conflict", Conflict, Never,
        "The manifest key holds a record that this job did not write.", "Report it: ids are unique, so this must not happen.";
    PUBLISH_UNSETTLED = "publish.unsettled", Unavailable, Later,
        "The store did not say whether the manifest was stored.", "List the set once the store answers again: the backup is either there and whole, or not there.";
    RECORD_CORRUPT = "record.corrupt", Corrupt, Never,
        "A record's bytes do not match its own digest.", "Restore the record from another copy of the store; its artifacts may still be good (see docs/restore-without-us.md).";
    RECORD_UNSUPPORTED = "record.unsupported", Unsupported, Never,
        "The record was written by a newer version and needs a feature this one lacks.", "Upgrade this software.";
    ARTIFACT_CORRUPT = "artifact.corrupt", Corrupt, Never,
        "Stored bytes differ from the digests in the manifest.", "Use another backup; find out what damaged the store.";
    ARTIFACT_MISSING = "artifact.missing", Corrupt, Never,
        "An object that the manifest names is missing or has another size.", "Use another backup; find out who removed or changed the object.";
    ARTIFACT_NAME_TAKEN = "artifact.name_taken", Conflict, Never,
        "The source opened two artifacts of one name.", "Give each artifact of a backup a name of its own.";
    ARTIFACT_ENCODING = "artifact.encoding", InvalidInput, Never,
        "The configuration asks for compression of an artifact whose format is part of a contract.", "Set compression to none for this source.";
    SOURCE_FAILED = "source.failed", Source, Later,
        "The source could not be captured, restored or probed.", "Look at the cause in the message.";
    SOURCE_INCOMPLETE = "source.incomplete", Source, Never,
        "The source returned while an artifact was still open.", "Close every artifact writer before returning from `capture`.";
    SOURCE_UNSUPPORTED = "source.unsupported", Unsupported, Never,
        "This source cannot do that.", "Use the field's own tools; docs/restore-without-us.md says how.";
    RETENTION_NO_RULE = "retention.no_rule", InvalidInput, Never,
        "A retention policy without a rule would remove everything.", "Give it at least one rule that keeps backups, or no policy at all.";
    BACKUP_NOT_FOUND = "backup.not_found", NotFound, Never,
        "There is no such published backup.", "List the set to see what is there.";
    BACKUP_OTHER_HISTORY = "backup.other_history", Conflict, Never,
        "The backup would build on one of another instance.", "Make a full backup; check that the address still leads to the instance that was meant.";
    BACKUP_NOT_REMOVABLE = "backup.not_removable", Conflict, Never,
        "The backup is pinned, locked, the newest good one, or another backup needs it.", "Unpin it or remove what depends on it first.";
    COMPAT_REFUSED = "compat.refused", InvalidInput, Never,
        "The backup's version does not suit the requested version.", "Choose a backup of the same minor version or one lower.";
    BUDGET_TOO_SMALL = "budget.too_small", InvalidInput, Never,
        "One job alone needs more memory than the whole budget.", "Raise the memory budget, or lower the part size.";
    INTERNAL = "internal.error", Internal, Never,
        "A mistake in this software.", "Report it with the message.";
}
