//! The place that a request names: as a store, and as variables for scripts that move the data themselves.

use std::sync::Arc;

use backup_core::error::codes;
use backup_core::{Error, JobContext, ObjectKey, Result, Secret, Store};
use backup_http::backup_agent::{Destination, S3Destination, SwiftDestination};
use backup_stores::{OpenOptions, StoreConfig};

/// Variables that the agent sets itself: no parameter has their name.
pub(super) const RESERVED: &[&str] = &[
    "BACKUP_PASSWORD",
    "BACKUP_ENCRYPTION_KEY",
    "S3_BUCKET",
    "S3_ENDPOINT",
    "S3_AUTHKEY",
    "S3_AUTHSECRET",
    "S3_USESSL",
    "S3_SKIPSSL",
    "S3_REGION",
    "S3_FILENAMEPREFIX",
    "SWIFT_AUTHURL",
    "SWIFT_DOMAIN",
    "SWIFT_CONTAINERNAME",
    "SWIFT_PROJECTNAME",
    "SWIFT_USERNAME",
    "SWIFT_PASSWORD",
    "SWIFT_FILENAMEPREFIX",
];

/// The key of a file in its destination.
pub(super) fn key(destination: &Destination, file: &str) -> Result<ObjectKey> {
    ObjectKey::new(format!("{}{file}", destination.prefix()))
}

/// The place as a store's configuration.
pub(super) fn config(destination: &Destination) -> Result<StoreConfig> {
    match destination {
        Destination::S3(s3) => self::s3(s3),
        Destination::Swift(swift) => self::swift(swift),
        _ => Err(Error::new(&codes::INTERNAL, "a destination of an unknown type")),
    }
}

/// Opens a place. Nothing is written there: it is the client's.
pub(super) async fn open(cx: &JobContext, place: &StoreConfig, options: &OpenOptions) -> Result<Arc<dyn Store>> {
    place.open_with(cx, &options.clone().guest(true)).await
}

#[cfg(feature = "s3")]
fn s3(place: &S3Destination) -> Result<StoreConfig> {
    let mut config = backup_stores::s3::S3Config::new(&place.bucket);
    let region = Some(place.region.clone()).filter(|region| !region.is_empty());
    // Amazon's general address sends requests for another region away; the original's client knew the regional one, too.
    let url = match &region {
        Some(region) => place.url().replace("://s3.amazonaws.com", &format!("://s3.{region}.amazonaws.com")),
        None => place.url(),
    };
    config.endpoint = Some(url);
    config.region = region;
    // No certificate covers a host name with a bucket's dots in it.
    config.path_style = Some(!place.is_amazon() || place.bucket.contains('.'));
    config.access_key_id = Some(place.access_key.clone());
    config.secret_access_key = Some(place.secret_key.clone());
    Ok(StoreConfig::S3(config))
}

#[cfg(not(feature = "s3"))]
fn s3(_: &S3Destination) -> Result<StoreConfig> {
    Err(Error::new(&codes::SOURCE_UNSUPPORTED, "this agent was built without S3"))
}

#[cfg(feature = "swift")]
fn swift(place: &SwiftDestination) -> Result<StoreConfig> {
    let mut config = backup_stores::swift::SwiftConfig::default();
    config.auth_url.clone_from(&place.auth_url);
    config.username = Some(place.username.clone());
    config.password = Some(place.password.clone());
    config.user_domain = Some(place.domain.clone());
    config.project = Some(place.project.clone());
    config.project_domain = Some(place.domain.clone());
    // The original named no region and took the first one.
    config.region = Some(place.region.clone()).filter(|region| !region.is_empty());
    config.first_region = true;
    config.container.clone_from(&place.container);
    Ok(StoreConfig::Swift(config))
}

#[cfg(not(feature = "swift"))]
fn swift(_: &SwiftDestination) -> Result<StoreConfig> {
    Err(Error::new(&codes::SOURCE_UNSUPPORTED, "this agent was built without Swift"))
}

/// The variables that scripts are given which move the data by themselves.
pub(super) fn variables(destination: &Destination) -> Vec<(&'static str, Secret)> {
    let text = |text: &str| Secret::from(text);
    match destination {
        Destination::S3(s3) => vec![
            ("S3_BUCKET", text(&s3.bucket)),
            ("S3_ENDPOINT", text(&s3.endpoint)),
            ("S3_AUTHKEY", s3.access_key.clone()),
            ("S3_AUTHSECRET", s3.secret_key.clone()),
            ("S3_USESSL", Secret::new(s3.tls.to_string())),
            ("S3_SKIPSSL", Secret::new((!s3.tls).to_string())),
            ("S3_REGION", text(&s3.region)),
            ("S3_FILENAMEPREFIX", text(&s3.prefix)),
        ],
        Destination::Swift(swift) => vec![
            ("SWIFT_AUTHURL", text(&swift.auth_url)),
            ("SWIFT_DOMAIN", text(&swift.domain)),
            ("SWIFT_CONTAINERNAME", text(&swift.container)),
            ("SWIFT_PROJECTNAME", text(&swift.project)),
            ("SWIFT_USERNAME", text(&swift.username)),
            ("SWIFT_PASSWORD", swift.password.clone()),
            ("SWIFT_FILENAMEPREFIX", text(&swift.prefix)),
        ],
        _ => Vec::new(),
    }
}

/// Which of them no log shows.
pub(super) fn secrets(destination: &Destination) -> Vec<Secret> {
    match destination {
        Destination::S3(s3) => vec![s3.access_key.clone(), s3.secret_key.clone()],
        Destination::Swift(swift) => vec![swift.password.clone()],
        _ => Vec::new(),
    }
}
