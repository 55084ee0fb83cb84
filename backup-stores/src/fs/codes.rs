//! The errors that only a file system has; the others are in [`backup_core::error::codes`].

backup_core::error_codes! {
    FS_ROOT = "fs.root_unusable", InvalidInput, Never,
        "The root of the store is no directory that can be used.", "Correct `root` in the configuration.";
    FS_SYMLINK = "fs.symlink", PermissionDenied, Never,
        "A symbolic link stands below the root of the store; none is followed there.",
        "Find out who made it, remove it, and mount a directory there if it was meant to lie elsewhere.";
    FS_IN_THE_WAY = "fs.in_the_way", Conflict, Never,
        "On a file system a name is either an object or a directory, and the other one is there already.",
        "Choose another name, or move away what the message names.";
    FS_OTHER_FILE_SYSTEM = "fs.other_file_system", InvalidInput, Never,
        "A directory below the root is on another file system than `.backup/tmp`, so nothing can be published there in one step.",
        "Mount the other file system at the root itself, or give it a store of its own.";
    FS_NOT_MOUNTED = "fs.not_mounted", Unavailable, Later,
        "The root of the store does not lie on a mount of the kind that `require-mount` asks for.",
        "Mount it; or correct `root` or `require-mount` in the configuration. Nothing was written.";
    FS_NO_ATOMIC_CREATE = "fs.no_atomic_create", Unsupported, Never,
        "The file system has neither hard links nor a rename that does not replace.",
        "Use a file system that has one of the two: ext4, xfs, btrfs, zfs, nfs and tmpfs do.";
}
