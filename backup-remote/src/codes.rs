//! The error catalogue of calls to remote services.

backup_core::error_codes! {
    UNREACHABLE = "remote.unreachable", Unavailable, Later,
        "The service could not be reached, or the connection broke.", "Check the address, the network, and that the service is up.";
    TIMEOUT = "remote.timeout", Timeout, Later,
        "The service did not answer within the time limit of one attempt.", "Check the service's load; raise `timeout-in-second` if it is only slow.";
    OVERLOADED = "remote.overloaded", Unavailable, Later,
        "The service answered that it cannot now.", "Try again later; the message holds what the service said.";
    ANSWER = "remote.answer", Unavailable, Later,
        "The service's answer broke off or makes no sense.", "Check what lies between here and the service; try again.";
    CERTIFICATE = "remote.certificate", InvalidInput, Never,
        "The service's certificate is not trusted, or is for another name.", "Give its authority in `ca-file`, or correct the address or the certificate.";
    CONFIG = "remote.config", InvalidInput, Never,
        "The connection to a service is configured wrongly.", "Correct the value that the message names.";
}
