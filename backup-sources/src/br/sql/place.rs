//! Where a backup lies: as BR is told, and as TiDB shows it.

use backup_core::store::ExternalLocation;
use backup_core::{Error, Result};
use percent_encoding::percent_decode_str;

use super::super::{codes, percent};

/// Schemes whose parameters TiDB takes out of the URL before it shows it.
const BUCKETS: [&str; 5] = ["s3", "gs", "gcs", "azure", "azblob"];

/// The URL for BR (`br/pkg/storage/parse.go` of pingcap/tidb), parameters included: letters, digits and `-._~/:?&=%` alone.
///
/// # Errors
/// `br.config` for a place that BR cannot reach.
pub(super) fn url(location: &ExternalLocation) -> Result<String> {
    let (scheme, rest) = split(&location.url)?;
    if matches!(scheme, "file" | "local") {
        if !location.parameters.is_empty() {
            return Err(Error::new(&codes::CONFIG, format!("{}: a directory takes no parameters", location.url)));
        }
        if !rest.starts_with('/') {
            return Err(Error::new(&codes::CONFIG, format!("{}: the path of a directory must be absolute", location.url)));
        }
        return Ok(format!("local://{}", percent::path(rest)));
    }
    if !BUCKETS.contains(&scheme) {
        return Err(Error::new(&codes::CONFIG, format!("{}: BR cannot write to a place of this kind", location.url)));
    }
    let mut url = format!("{scheme}://{}", percent::path(rest));
    for (at, (name, value)) in location.parameters.iter().enumerate() {
        url.push(if at == 0 { '?' } else { '&' });
        url.push_str(&format!("{}={}", percent::value(name), percent::value(value)));
    }
    Ok(url)
}

/// A place, comparable whichever way it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place(String);

impl Place {
    /// The place of a location, whose path is plain text.
    pub(super) fn of(location: &ExternalLocation) -> Result<Self> {
        let (scheme, rest) = split(&location.url)?;
        Ok(Self::new(scheme, rest))
    }

    /// The place of a `Destination`, a URL whose path is percent-encoded.
    pub(super) fn shown(destination: &str) -> Self {
        let (scheme, rest) = destination.split_once("://").unwrap_or(("local", destination));
        let path = rest.split(['?', '#']).next().unwrap_or_default();
        Self::new(scheme, &percent_decode_str(path).decode_utf8_lossy())
    }

    fn new(scheme: &str, path: &str) -> Self {
        let scheme = match scheme {
            "file" => "local",
            "gcs" => "gs",
            "azblob" => "azure",
            other => other,
        };
        Self(format!("{scheme}://{}", path.trim_end_matches('/')))
    }
}

fn split(url: &str) -> Result<(&str, &str)> {
    url.split_once("://").ok_or_else(|| Error::new(&codes::CONFIG, format!("{url}: the place for BR is not a URL")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ODD: &str = "it's \"a\\b\" 100%&+\nü?#;--";

    #[test]
    fn whatever_stands_in_path_and_parameters_the_url_holds_harmless_characters_alone() {
        let location = ExternalLocation::new(format!("s3://bucket/{ODD}/x")).parameter("secret-access-key", ODD);
        let url = url(&location).unwrap();
        assert!(url.chars().all(|c| c.is_ascii_alphanumeric() || "-._~/:?&=%".contains(c)), "{url}");
        assert_eq!(url.matches(['?', '&', '=']).count(), 2, "{url}");
        let value = url.rsplit('=').next().unwrap();
        assert_eq!(percent_decode_str(value).decode_utf8().unwrap(), ODD);
        assert_eq!(Place::shown(&url), Place::of(&location).unwrap());
    }

    #[test]
    fn a_directory_is_local_to_every_server() {
        assert_eq!(url(&ExternalLocation::new("file:///srv/a b/")).unwrap(), "local:///srv/a%20b/");
        for wrong in [
            ExternalLocation::new("file://srv"),
            ExternalLocation::new("/srv"),
            ExternalLocation::new("swift://container/p"),
            ExternalLocation::new("file:///srv").parameter("access-key", "k"),
        ] {
            assert_eq!(url(&wrong).unwrap_err().code().name, "br.config", "{wrong:?}");
        }
    }

    #[test]
    fn only_the_very_same_place_is_the_same() {
        let place = Place::of(&ExternalLocation::new("file:///srv/c1/one/")).unwrap();
        assert_eq!(place, Place::shown("local:///srv/c1/one"));
        assert_eq!(place, Place::shown("file:///srv/c1/%6fne/?x=y"));
        assert_eq!(place, Place::shown("/srv/c1/one"));
        for other in
            ["local:///srv/c1/one-more", "local:///srv/c1", "s3:///srv/c1/one", "local:///srv/c1/one/two", "local:///srv/c1/ONE"]
        {
            assert_ne!(place, Place::shown(other), "{other}");
        }
    }
}
