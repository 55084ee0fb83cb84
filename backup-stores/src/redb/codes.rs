//! What only the state can say.

backup_core::error_codes! {
    STATE_LOCKED = "state.locked", Conflict, Later,
        "Another process has the state file open.",
        "Stop the other process, or give this one a state file of its own; `fuser FILE` names who holds it.";
    STATE_DAMAGED = "state.damaged", Corrupt, Never,
        "The state file is damaged, or it is none.",
        "Move it away and start again: the state begins anew, and no backup is lost by that.";
    STATE_NEWER = "state.newer", Unsupported, Never,
        "A newer version wrote the state file.", "Upgrade this software, or move the file away: no backup is lost by that.";
    STATE_UNUSABLE = "state.unusable", PermissionDenied, Never,
        "The state file or its directory cannot be made or opened.", "Correct the path in the configuration, or owner and mode of its directory.";
    STATE_NO_SPACE = "state.no_space", NoSpace, Later,
        "The file system of the state file is full.", "Free space; nothing has to be restarted.";
    STATE_IO = "state.io", Unavailable, Later,
        "Reading from or writing to the state file failed.", "Look at the cause in the message; check the medium before you trust it again.";
}
