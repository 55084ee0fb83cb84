//! The error catalogue of `volume-backup`.

backup_core::error_codes! {
    CONFIG = "volume_backup.config", InvalidInput, Never,
        "A setting of `volume-backup` cannot be used.", "Correct the key that the message names.";
    NOVA_DENIED = "volume_backup.nova_denied", PermissionDenied, Never,
        "Nova refused access to an instance.", "Check the roles of the user in the project, and those of our own user.";
    NOVA_FAILED = "volume_backup.nova_failed", Unavailable, Later,
        "Nova could not be asked about an instance.", "Check the endpoint `compute` of the catalogue, and Nova's log.";
    LIMITS_UNKNOWN = "volume_backup.limits_unknown", Unavailable, Later,
        "How much the project may have could not be read.", "Try again with a token that still counts.";
}
