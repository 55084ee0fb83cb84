//! The error codes of TiDB backups.

backup_core::error_codes! {
    UNREACHABLE = "br.unreachable", Unavailable, Later,
        "The TiDB server or PD did not answer.", "Check that it runs, and that the address and the network are right.";
    LOGIN = "br.login", PermissionDenied, Never,
        "TiDB did not accept the user.", "Check `user` and `password`.";
    DENIED = "br.denied", PermissionDenied, Never,
        "The user, or the credentials of the storage, may not do this.", "The user needs BACKUP_ADMIN and RESTORE_ADMIN; TiDB and every TiKV must be able to use the storage.";
    FAILED = "br.failed", Source, Later,
        "BR ended with an error.", "Read its text in the message; TiKV's logs say more.";
    GC_PASSED = "br.gc_passed", Source, Never,
        "What the incremental backup would build on was removed by TiDB's garbage collection.", "Make a full backup; raise `tidb_gc_life_time` above the time between two backups.";
    ENDED = "br.ended", Source, Later,
        "Somebody else ended the task of BR.", "Look in TiDB who did; start it again.";
    NOT_EMPTY = "br.not_empty", AlreadyExists, Never,
        "The place for the backup is not empty.", "Nothing is overwritten: choose another place, or remove what lies there.";
    NOT_WHOLE = "br.not_whole", Corrupt, Later,
        "What BR left is not a whole backup.", "Make another one; the message says what is missing.";
    META_DAMAGED = "br.meta_damaged", Corrupt, Never,
        "The backup's metadata cannot be read.", "Check that encryption method and key are those it was made with; otherwise restore another backup.";
    VERSION = "br.version", Conflict, Never,
        "The backup does not suit the version of the cluster.", "Restore it into a cluster of a version that the message names.";
    CONFIG = "br.config", InvalidInput, Never,
        "The configuration of the source cannot be used.", "Correct what the message names.";
}
