//! The error catalogue of Cinder volumes.

backup_core::error_codes! {
    CONFIG = "cinder.config", InvalidInput, Never,
        "The configuration of the source cannot be used.", "Correct what the message names.";
    ID = "cinder.id", InvalidInput, Never,
        "What was given is no id of OpenStack.", "Give the UUID that Cinder shows.";
    ADDRESS = "cinder.address", InvalidInput, Never,
        "What answers there is no Cinder with the API version 3.", "Check the endpoint of `volumev3` or `block-storage` in the catalogue.";
    VERSION = "cinder.version", Unsupported, Never,
        "Cinder is too old for what is wanted.", "The message names the microversion that is needed, and the newest that Cinder has.";
    DENIED = "cinder.denied", PermissionDenied, Never,
        "Cinder refused access.", "Check the roles of the user in the project; a caller's token is taken after its end only beside ours with the role `service`.";
    NOT_FOUND = "cinder.not_found", NotFound, Never,
        "Cinder has no such thing, or not in this project.", "Check the id and the project; it may have been deleted meanwhile.";
    REFUSED = "cinder.refused", InvalidInput, Never,
        "Cinder refused the request.", "Read what it said in the message.";
    STATE = "cinder.state", Conflict, Later,
        "A volume, snapshot or attachment is in a state that does not allow it.", "Wait until what else works on it has ended; the message names the state.";
    QUOTA = "cinder.quota", NoSpace, Never,
        "A quota of the project is used up.", "Raise the quota, or delete volumes or snapshots; temporary ones count too.";
    BUSY = "cinder.busy", Unavailable, Later,
        "Cinder limits the rate of requests, and asked to wait longer than makes sense.", "Try again later.";
    FAILED = "cinder.failed", Unavailable, Later,
        "Cinder failed.", "Look at Cinder's log; the message holds what it said.";
    ERROR_STATE = "cinder.error_state", Source, Later,
        "What Cinder was to make or to remove ended in an error.", "Look at the log of cinder-volume; the message names the volume or snapshot.";
    SLOW = "cinder.slow", Timeout, Later,
        "Cinder did not get done in the time that the size allows.", "Look whether cinder-volume works, and at the load of its storage.";
    ENCRYPTED = "cinder.encrypted", Unsupported, Never,
        "The volume is encrypted by Cinder, and its bytes are of no use without its key.", "Back it up from inside of the instance.";
    TOO_SMALL = "cinder.too_small", InvalidInput, Never,
        "The volume to restore into is smaller than the backup.", "Give a size that is at least the backup's.";
}
