//! The error codes of the etcd source.

backup_core::error_codes! {
    UNREACHABLE = "etcd.unreachable", Unavailable, Later,
        "An etcd member did not answer.", "Check that it runs, and that the endpoint and the network are right.";
    TLS = "etcd.tls", PermissionDenied, Never,
        "The secure connection to an etcd member was refused.", "Check `tls-ca-file`, `tls-cert-file` and `tls-key-file` against the member's certificates.";
    LOGIN = "etcd.login", PermissionDenied, Never,
        "etcd did not accept the user or asks for one.", "Check `username` and `password`.";
    DENIED = "etcd.denied", PermissionDenied, Never,
        "The user may not do this.", "A snapshot needs a user with the role `root`.";
    FAILED = "etcd.failed", Source, Later,
        "An etcd member answered with an error.", "Read its answer in the message.";
    SNAPSHOT_DAMAGED = "etcd.snapshot_damaged", Corrupt, Later,
        "The bytes are not a whole etcd snapshot.", "Take or use another snapshot; nothing was kept of this one.";
    TOOL_MISSING = "etcd.tool_missing", Unsupported, Never,
        "The etcd program that this needs was not found or lacks what was asked for.", "Install a suitable `etcdutl`, or name it with `etcdutl`.";
}
