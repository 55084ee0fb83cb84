//! The error catalogue of Keystone.

backup_core::error_codes! {
    CONFIG = "keystone.config", InvalidInput, Never,
        "The credentials for Keystone are incomplete or contradict each other.", "Give a user with password and project, or an application credential; the message names what is missing.";
    ADDRESS = "keystone.address", InvalidInput, Never,
        "What answers at `auth-url` is no Keystone v3.", "Check `auth-url`; it usually ends in /v3.";
    REFUSED = "keystone.refused", PermissionDenied, Never,
        "Keystone refused the credentials.", "Check user, domain and password, or the application credential; a user or credential may be disabled or expired.";
    NO_PROJECT = "keystone.no_project", PermissionDenied, Never,
        "The credentials are right, but the user may not work in that project, or there is none of that name.", "Check `project` and `project-domain`; the message names the projects that the user has.";
    NO_ENDPOINT = "keystone.no_endpoint", InvalidInput, Never,
        "Keystone's catalogue has no endpoint of that kind.", "Check `region` and `interface`; the message says what the catalogue has.";
}
