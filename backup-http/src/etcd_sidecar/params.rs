//! The parameters of a request, read as Go's `Request.FormValue` reads a query.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::errors::Refusal;

/// The parameters of `/v1/backup`; empty when absent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Params {
    pub(super) version: String,
    pub(super) revision: String,
}

impl Params {
    /// The first value of a name counts. Go leaves out what it cannot decode; here it is refused, for it might have been the check that the
    /// client relies on.
    fn parse(query: &str) -> Result<Self, Refusal> {
        let (mut version, mut revision) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            if pair.contains(';') {
                return Err(Refusal::bad_query("invalid semicolon separator in query"));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            match name.as_str() {
                "etcdVersion" => version.get_or_insert(value),
                "etcdRevision" => revision.get_or_insert(value),
                _ => continue,
            };
        }
        Ok(Self { version: version.unwrap_or_default(), revision: revision.unwrap_or_default() })
    }
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

/// Undoes query escaping: `+` is a space. What is no UTF-8 then is no version either, and is shown with replacement characters.
fn decode(text: &str) -> Result<String, Refusal> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
                    return Err(Refusal::bad_query("invalid URL escape"));
                };
                decoded.extend(u8::try_from(high * 16 + low));
            }
            other => decoded.push(other),
        }
    }
    Ok(String::from_utf8_lossy(&decoded).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_as_go_reads_them() {
        for (query, version, revision) in [
            ("", "", ""),
            ("etcdVersion=", "", ""),
            ("etcdVersion=3.5.1&etcdRevision=7", "3.5.1", "7"),
            ("etcdVersion=3.5.1%2Bh2", "3.5.1+h2", ""),
            ("etcdVersion=3.5.1+h2", "3.5.1 h2", ""),
            ("etcdVersion=a&etcdVersion=b", "a", ""),
            ("etcdVersion=&etcdVersion=b", "", ""),
            ("&&x=1&etcdversion=no&etcdRevision", "", ""),
            ("%65tcdVersion=a=b", "a=b", ""),
            ("etcdVersion=%00%ff", "\0\u{fffd}", ""),
        ] {
            let expected = Params { version: version.into(), revision: revision.into() };
            assert_eq!(Params::parse(query).unwrap(), expected, "{query}");
        }
    }

    #[test]
    fn what_cannot_be_decoded_is_refused() {
        for query in ["etcdVersion=%zz", "etcdVersion=%", "etcdRevision=%1", "x=%", "etcdVersion=1;2", "%=1"] {
            assert!(Params::parse(query).is_err(), "{query}");
        }
    }
}
