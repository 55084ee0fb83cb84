//! The error catalogue of this dialect.

backup_core::error_codes! {
    NAME_TAKEN = "etcd_backup.name_taken", AlreadyExists, Later,
        "The file name of this second is taken.", "Nothing to do: a backup takes the name of a later second by itself.";
    NO_NAME = "etcd_backup.no_name", AlreadyExists, Later,
        "The file names of several seconds in a row were taken.", "Check the machine's clock: it was probably set back to a time of which there are backups.";
    MISNAMED = "etcd_backup.misnamed", InvalidInput, Never,
        "A backup does not have the form of this dialect: one tar named after its second, compressed with gzip.", "Wrap the source in `TimestampedSource`, let it write one tar, and ask for gzip.";
}
