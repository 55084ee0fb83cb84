//! Where a backup lies: as BR is told, and as TiDB shows it.

use backup_core::store::ExternalLocation;
use backup_core::{Error, Result};
use percent_encoding::percent_decode_str;

use super::{codes, percent};

/// The URL for BR (`br/pkg/storage/parse.go` of pingcap/tidb): letters, digits and `-._~/:?&=%` alone. `url` is a store's, in which nothing
/// is escaped; nor are the parameters.
///
/// # Errors
/// `br.config` for a place that BR cannot reach.
pub(super) fn url<'a>(url: &str, parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<String> {
    let (scheme, path) = split(url)?;
    let refused = |why: &str| Err(Error::new(&codes::CONFIG, format!("{url:?}: {why}")));
    let mut parameters = parameters.into_iter().peekable();
    let scheme = match scheme {
        // Of these BR takes the path alone, and a relative one would lie wherever it happens to work.
        "file" | "local" if !path.starts_with('/') => return refused("the path of a directory must be absolute"),
        "file" | "local" if parameters.peek().is_some() => return refused("a directory takes no parameters"),
        "file" | "local" => "local",
        "s3" if path.is_empty() || path.starts_with('/') => return refused("the bucket is missing"),
        "s3" => "s3",
        _ => return refused("BR does not write to a place of this kind"),
    };
    let mut url = format!("{scheme}://{}", percent::path(path));
    for (at, (name, value)) in parameters.enumerate() {
        let separator = if at == 0 { '?' } else { '&' };
        url.push_str(&format!("{separator}{}={}", percent::value(name), percent::value(value)));
    }
    Ok(url)
}

/// A place, comparable whichever way it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place(String);

impl Place {
    /// The place of a location, whose path is plain text.
    pub(super) fn of(location: &ExternalLocation) -> Result<Self> {
        let (scheme, path) = split(&location.url)?;
        Ok(Self::new(scheme, path))
    }

    /// The place of a URL that TiDB shows: its path is percent-encoded, its parameters may be there or not.
    pub(super) fn shown(destination: &str) -> Self {
        let (scheme, rest) = destination.split_once("://").unwrap_or(("local", destination));
        let path = rest.split(['?', '#']).next().unwrap_or_default();
        Self::new(scheme, &percent_decode_str(path).decode_utf8_lossy())
    }

    fn new(scheme: &str, path: &str) -> Self {
        let scheme = if scheme == "file" { "local" } else { scheme };
        Self(format!("{scheme}://{}", path.trim_end_matches('/')))
    }
}

fn split(url: &str) -> Result<(&str, &str)> {
    url.split_once("://").ok_or_else(|| Error::new(&codes::CONFIG, format!("{url:?}: the place for BR is not a URL")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ODD: &str = "it's \"a\\b\" 100%&+\nü?#;--";

    #[test]
    fn whatever_stands_in_path_and_parameters_the_url_holds_harmless_characters_alone() {
        let location = ExternalLocation::new(format!("s3://bucket/{ODD}/x"));
        let url = url(&location.url, [("secret-access-key", ODD)]).unwrap();
        assert!(url.chars().all(|c| c.is_ascii_alphanumeric() || "-._~/:?&=%".contains(c)), "{url}");
        assert_eq!(url.matches(['?', '&', '=']).count(), 2, "{url}");
        let value = url.rsplit('=').next().unwrap();
        assert_eq!(percent_decode_str(value).decode_utf8().unwrap(), ODD);
        assert_eq!(Place::shown(&url), Place::of(&location).unwrap());
    }

    #[test]
    fn both_ways_to_br_are_told_the_same_url() {
        for (plain, parameters, expected) in [
            ("file:///srv/nfs/tidb/a", &[][..], "local:///srv/nfs/tidb/a"),
            ("local:///srv/a b/", &[], "local:///srv/a%20b/"),
            ("file:///a b/100%/x?y#z&+'\"\\\n", &[], "local:///a%20b/100%25/x%3Fy%23z%26%2B%27%22%5C%0A"),
            ("s3://bucket/pre fix/ü", &[("force-path-style", "true")], "s3://bucket/pre%20fix/%C3%BC?force-path-style=true"),
            ("s3://b", &[("role-arn", "a&b=c"), ("external-id", "d+e")], "s3://b?role-arn=a%26b%3Dc&external-id=d%2Be"),
        ] {
            assert_eq!(url(plain, parameters.iter().copied()).unwrap(), expected);
        }
    }

    #[test]
    fn where_br_does_not_write_is_refused() {
        for (wrong, parameters) in [
            ("/srv/backup", &[][..]),
            ("file://relative/path", &[]),
            ("file:///srv", &[("access-key", "k")]),
            ("s3://", &[]),
            ("s3:///key", &[]),
            ("gs://bucket/p", &[]),
            ("azure://container/p", &[]),
            ("nfs://host/export", &[]),
            ("swift://container/p", &[]),
        ] {
            assert_eq!(url(wrong, parameters.iter().copied()).unwrap_err().code().name, "br.config", "{wrong}");
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
