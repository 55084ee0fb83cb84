//! The errors that only an NFS store has; the others are in [`backup_core::error::codes`] and [`backup_remote::codes`].

backup_core::error_codes! {
    NFS_EXPORT = "nfs.export", InvalidInput, Never,
        "The server has no such export.", "Correct `export` in the configuration, or export the directory on the server.";
    NFS_SERVICE = "nfs.service", Unsupported, Never,
        "The server does not serve NFS version 3 over TCP there.", "Check `server`, `nfs-port` and `mount-port`; enable version 3 on the server.";
    NFS_ROOT = "nfs.root_unusable", InvalidInput, Never,
        "The root of the store is no directory that can be used.", "Correct `root` in the configuration.";
    NFS_SYMLINK = "nfs.symlink", PermissionDenied, Never,
        "A symbolic link stands below the export; none is followed there.", "Find out who made it, and remove it.";
    NFS_IN_THE_WAY = "nfs.in_the_way", Conflict, Never,
        "On a file system a name is either an object or a directory, and the other one is there already.",
        "Choose another name, or move away what the message names.";
    NFS_OTHER_FILE_SYSTEM = "nfs.other_file_system", InvalidInput, Never,
        "A directory below the root is on another file system of the server than `.backup/tmp`, so nothing can be published there in one step.",
        "Export the other file system, and give it a store of its own.";
    NFS_LOST_WRITES = "nfs.lost_writes", Unavailable, Later,
        "The server forgot what was written to it, again and again.", "Look why it restarts; nothing half-written is visible.";
}
