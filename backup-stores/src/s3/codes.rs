//! The errors that only S3 has; the others are in [`backup_core::error::codes`] and [`backup_remote::codes`].

backup_core::error_codes! {
    S3_CONFIG = "s3.config", InvalidInput, Never,
        "The configuration of the S3 store cannot be used.", "Correct the value that the message names.";
    S3_NO_BUCKET = "s3.no_bucket", InvalidInput, Never,
        "The bucket does not exist.", "Create it, or correct `bucket` in the configuration.";
    S3_CREDENTIALS = "s3.credentials", PermissionDenied, Never,
        "The server does not know the access key, or the signature does not match the secret.",
        "Correct the credentials that the configuration names.";
    S3_EXPIRED = "s3.credentials_expired", PermissionDenied, Later,
        "The session token of the credentials has expired.", "Get new credentials, or use a source of credentials that renews them.";
    S3_REGION = "s3.region", InvalidInput, Never,
        "The bucket lies in another region than the configuration says.", "Set `region` and `endpoint` to the bucket's own.";
    S3_CLOCK = "s3.clock", Unavailable, Later,
        "The clocks of this machine and of the server differ too much for signed requests.", "Set the clock of this machine, best by NTP.";
    S3_REFUSED = "s3.refused", InvalidInput, Never,
        "The server refused a request for a reason that has no code of its own.", "Read what the server said in the message.";
    S3_UNSUPPORTED = "s3.unsupported", Unsupported, Never,
        "The server lacks an operation.", "Leave out the option that needs it, or use a server that has it.";
    S3_DIGEST = "s3.digest", Corrupt, Later,
        "The server got other bytes than were sent: their checksum does not match.",
        "Try again; when it repeats, look for what damages bytes on the way.";
    S3_CONFLICT = "s3.conflict", Conflict, Later,
        "Another request for the same key was under way.", "Try again.";
    S3_UPLOAD_GONE = "s3.upload_gone", Conflict, Later,
        "The multipart upload was aborted by somebody else before it was completed.",
        "Start the backup again; if it repeats, look for a lifecycle rule or a janitor that aborts uploads too early.";
    S3_TOO_BIG = "s3.too_big", InvalidInput, Never,
        "The object is bigger than `max-object-size`, or needs more than the 10,000 parts that S3 allows.",
        "Set `max-object-size` to the size of the biggest object.";
    S3_NO_LOCK = "s3.no_lock", InvalidInput, Never,
        "The configuration asks for object lock, and the bucket has none.",
        "Make a bucket with object lock switched on, or leave out `object-lock`.";
}
