//! The error codes of Cinder's backup format.

backup_core::error_codes! {
    GROWN = "cinder.grown", Conflict, Never,
        "The volume has another size, or the backup that it would build on another block size.", "Make a full backup.";
    OTHER_PARENT = "cinder.other_parent", Conflict, Never,
        "A backup is not of the volume, or not the parent, that the one behind it builds on.", "Make a full backup; a chain that does not fit together cannot be restored past that link.";
    DAMAGED = "cinder.damaged", Corrupt, Never,
        "The backup is not whole, or not as Cinder's chunked format has it.", "Use another backup; find out what changed its objects.";
    FORMAT = "cinder.format", Unsupported, Never,
        "The backup uses a version, a compression or a size that is not known here.", "Restore it with Cinder itself.";
    CONTENT = "cinder.content", Source, Never,
        "What was read of the volume came out of order or beyond its end.", "Report it with the message: how volumes are reached is at fault.";
    RECORD = "cinder.record", InvalidInput, Never,
        "A record of an exported backup cannot be used, or none can be made.", "Take what `cinder backup-export` printed, unchanged; the message says what is wrong.";
}
