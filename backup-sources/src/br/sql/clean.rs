//! Texts of TiDB and BR without the credentials that they may echo.

use std::fmt;

use backup_core::Secret;
use backup_core::store::ExternalLocation;

use super::super::percent;
use crate::process::Secrets;

/// Parts of the names of parameters that hold a secret.
const SECRET_NAMES: [&str; 6] = ["key", "secret", "token", "password", "credential", "sas"];

/// Takes secrets out of texts: by their value, in every encoding, and whatever stands behind their name in a URL.
#[derive(Clone)]
pub(super) struct Cleaner {
    secrets: Secrets,
    names: Vec<String>,
}

impl Cleaner {
    pub(super) fn new(password: &Secret, location: Option<&ExternalLocation>) -> Self {
        let parameters = location.map(|location| location.parameters.as_slice()).unwrap_or_default();
        let secret = |name: &str| SECRET_NAMES.iter().any(|part| name.to_ascii_lowercase().contains(part));
        let (names, values): (Vec<_>, Vec<_>) = parameters.iter().filter(|(name, _)| secret(name)).cloned().unzip();
        let values = values.iter().map(String::as_str).chain([password.expose()]);
        let all: Vec<Secret> = values.flat_map(forms).map(Secret::from).collect();
        let names = names.iter().map(|name| format!("{}=", name.to_ascii_lowercase())).collect();
        Self { secrets: Secrets::new(&all), names }
    }

    pub(super) fn clean(&self, text: &str) -> String {
        let mut text = self.secrets.struck_from(text);
        for name in &self.names {
            text = without_value(&text, name);
        }
        text
    }
}

impl fmt::Debug for Cleaner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cleaner")
    }
}

/// A value as it is, as we encode it, as Go does in a query, and as a quoted text of Go's.
fn forms(value: &str) -> Vec<String> {
    let ours = percent::value(value);
    let go = ours.replace("%20", "+");
    let quoted = value.escape_default().to_string();
    vec![value.to_owned(), ours.to_ascii_lowercase(), ours, go, quoted]
}

/// Cuts out what follows each `name=`, to the end of the value in a URL.
fn without_value(text: &str, name: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // Lower case of ASCII alone keeps every position.
    while let Some(at) = rest.to_ascii_lowercase().find(name) {
        let (before, value) = rest.split_at(at + name.len());
        out.push_str(before);
        out.push_str("***");
        let end = value.find(|c: char| c.is_whitespace() || "&'\"\\)]},".contains(c)).unwrap_or(value.len());
        rest = value.get(end..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_in_every_encoding_and_by_its_name() {
        let location = ExternalLocation::new("s3://b/p")
            .parameter("endpoint", "http://store:9000")
            .parameter("access-key", "AKIA+77/x y")
            .parameter("secret-access-key", "tiny");
        let cleaner = Cleaner::new(&"hunter's 2".into(), Some(&location));
        for text in [
            "user root with hunter's 2 refused",
            "access AKIA+77/x y refused",
            "s3://b/p?access-key=AKIA%2B77%2Fx%20y&x=1",
            "s3://b/p?access-key=AKIA%2b77%2fx%20y&x=1",
            "s3://b/p?Access-Key=QUtJQSs3Nw&x=1 and ACCESS-KEY=again",
            "s3://b/p?secret-access-key=tiny&x=1",
            "near 's3://b/p?secret-access-key=tiny'",
        ] {
            let clean = cleaner.clean(text);
            assert!(clean.contains("***"), "{clean}");
            for secret in ["hunter", "AKIA", "QUtJ", "tiny", "again", "%2F", "%2f"] {
                assert!(!clean.contains(secret), "{secret} in {clean}");
            }
        }
        assert_eq!(cleaner.clean("http://store:9000 is down"), "http://store:9000 is down");
    }
}
