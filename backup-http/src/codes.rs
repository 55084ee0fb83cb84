//! The error catalogue of this crate.

backup_core::error_codes! {
    CONFIG_INVALID = "http.config_invalid", InvalidInput, Never,
        "A setting of the HTTP server cannot be used.", "Correct the setting that the message names.";
    BIND_FAILED = "http.bind_failed", Unavailable, Later,
        "The server cannot listen on its address.", "Stop the program that holds the address, or set another `listen`.";
    TLS_FILE = "http.tls_file", InvalidInput, Never,
        "A certificate or key file cannot be used.", "Correct the file that the message names: PEM, readable, the key belonging to the certificate.";
    STREAM_LENGTH = "http.stream_length", Corrupt, Never,
        "A stored artifact gave another number of bytes than its manifest says.", "Verify the backup; the download was cut.";
    CLIENT_STALLED = "http.client_stalled", Timeout, Later,
        "A client took nothing of its download for longer than the stall limit.", "Nothing is wrong here: the client can ask for the rest with a range.";
}
