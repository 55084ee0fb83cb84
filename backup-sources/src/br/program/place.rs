//! How `br` is told a place (`br/pkg/storage/parse.go` of pingcap/tidb).

use backup_core::{Error, Result};

use crate::br::{codes, percent};

/// The value of `--storage`. `url` is a store's, in which nothing is escaped.
///
/// # Errors
/// `br.config` for a store to which BR does not write.
pub(super) fn storage(url: &str, query: &[(&str, &str)]) -> Result<String> {
    let refused = || Error::new(&codes::CONFIG, format!("`br` does not write to {url:?}"));
    let (scheme, path) = url.split_once("://").ok_or_else(refused)?;
    let scheme = match scheme {
        // Of these BR takes the path alone, and a relative one would lie wherever we happen to work.
        "file" | "local" if path.starts_with('/') => "local",
        "s3" if !path.is_empty() && !path.starts_with('/') => "s3",
        _ => return Err(refused()),
    };
    let mut storage = format!("{scheme}://{}", percent::path(path));
    for (at, (name, value)) in query.iter().enumerate() {
        let separator = if at == 0 { '?' } else { '&' };
        storage.push_str(&format!("{separator}{name}={}", percent::value(value)));
    }
    Ok(storage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_path_holds_arrives_as_part_of_the_path() {
        for (url, query, expected) in [
            ("file:///srv/nfs/tidb/a", &[][..], "local:///srv/nfs/tidb/a"),
            ("file:///a b/100%/x?y#z&+'\"\\\n", &[], "local:///a%20b/100%25/x%3Fy%23z%26%2B%27%22%5C%0A"),
            ("s3://bucket/pre fix/ü", &[("force-path-style", "true")], "s3://bucket/pre%20fix/%C3%BC?force-path-style=true"),
            ("s3://b", &[("one", "a&b=c"), ("two", "d+e")], "s3://b?one=a%26b%3Dc&two=d%2Be"),
        ] {
            assert_eq!(storage(url, query).unwrap(), expected);
        }
    }

    #[test]
    fn where_br_does_not_write_is_refused() {
        for url in ["/srv/backup", "file://relative/path", "nfs://host/export", "swift://container", "s3://", "s3:///key"] {
            assert_eq!(storage(url, &[]).unwrap_err().code().name, "br.config", "{url}");
        }
    }
}
