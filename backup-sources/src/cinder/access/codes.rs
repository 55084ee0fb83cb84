//! The error codes of reaching the bytes of volumes.

backup_core::error_codes! {
    ACCESS_CONFIG = "cinder.access_config", InvalidInput, Never,
        "The configuration of `volume-access` cannot be used.", "Correct what the message names.";
    NOT_THERE = "cinder.not_there", NotFound, Never,
        "The volume or the snapshot is not where its bytes should be.", "Check that `volume-access` names the pools or directories of the backend that holds it.";
    NO_BASE = "cinder.no_base", Conflict, Never,
        "The snapshot that an incremental backup would build on is gone, or is none of the past of the one to be read.", "Make a full backup.";
    OUTSIDE = "cinder.outside", PermissionDenied, Never,
        "What was asked for lies outside of the configured directories.", "If it is right, configure its directory; links and `..` are not followed.";
    UNREADABLE = "cinder.unreadable", Source, Never,
        "The bytes of the volume cannot be read rightly.", "The message says why; nothing is guessed. Check the volume, and the versions of the programs.";
    UNWRITABLE = "cinder.unwritable", Source, Never,
        "The volume cannot be written rightly.", "The message says why; restore into another volume.";
    PROGRAM = "cinder.program", Source, Later,
        "`rbd` or `qemu-img` did not do what it was asked for.", "Read the end of its log in the message; check its configuration, its user's rights and the cluster.";
    IO = "cinder.io", Unavailable, Later,
        "Reading from or writing to a volume's file or device failed.", "Look at the cause in the message; check the share or the disk.";
}
