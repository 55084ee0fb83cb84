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
        "The task of BR was ended from outside.", "Look in TiDB who did. Signal 9 is also how the system ends what takes too much memory: look in its log. Then start it again.";
    NOT_EMPTY = "br.not_empty", AlreadyExists, Never,
        "The place for the backup is not empty.", "Nothing is overwritten: choose another place, or remove what lies there.";
    NOT_WHOLE = "br.not_whole", Corrupt, Later,
        "What BR left is not a whole backup.", "Make another one; the message says what is missing.";
    META_DAMAGED = "br.meta_damaged", Corrupt, Never,
        "The backup's metadata cannot be read.", "Check that encryption method and key are those it was made with; otherwise restore another backup.";
    VERSION = "br.version", Conflict, Never,
        "The backup does not suit the version of the cluster.", "Restore it into a cluster of a version that the message names.";
    OTHER_CLUSTER = "br.other_cluster", Conflict, Never,
        "The cluster is another one than that of the backups before.", "Check the addresses of the source; keep the backups of another cluster in a set of its own.";
    NOT_FRESH = "br.not_fresh", AlreadyExists, Never,
        "The cluster to restore into is not empty.", "A full backup goes into a cluster without databases and tables of users: restore it into a new one.";
    CONFIG = "br.config", InvalidInput, Never,
        "The configuration of the source cannot be used.", "Correct what the message names.";
    NOTE = "br.note", Unavailable, Later,
        "The note of a running `br` could not be written, read or removed.", "Check the directory of the notes: space, owner and mode.";
    LEFT_ELSEWHERE = "br.left_elsewhere", Conflict, Later,
        "A `br` may still work on the place, on another host or in another container.", "See there that it has ended; then remove the note that the message names.";
}
