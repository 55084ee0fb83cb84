//! The URL of a remote store, taken apart.

use std::borrow::Cow;
use std::collections::BTreeMap;

use backup_core::error::codes;
use backup_core::{Error, Result};
use url::Url;

/// The parts of a URL, unescaped. What a store does not take out of it is refused by name.
pub(crate) struct StoreUrl {
    kind: String,
    host: String,
    port: Option<u16>,
    path: String,
    query: BTreeMap<String, String>,
}

impl StoreUrl {
    /// Takes a URL apart. No error quotes it.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let refused = |what: String| Error::new(&codes::INPUT_INVALID, what);
        let url = Url::parse(text).map_err(|error| refused(format!("the store's URL cannot be read: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused(
                "the URL of a store holds no credentials: others would see them; use the environment or a configuration file"
                    .to_owned(),
            ));
        }
        if url.fragment().is_some() {
            return Err(refused("the URL of a store has no part behind `#`; write it as %23".to_owned()));
        }
        let mut query = BTreeMap::new();
        for (name, value) in url.query_pairs() {
            if query.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(refused(format!("the store's URL gives `{name}` twice")));
            }
        }
        let path = unescaped(url.path())?;
        let host = unescaped(url.host_str().unwrap_or_default())?;
        Ok(Self { kind: url.scheme().to_owned(), host, port: url.port(), path, query })
    }

    /// The host, or what stands in its place.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The port behind the host.
    pub(crate) fn port(&self) -> Option<u16> {
        self.port
    }

    /// The path with its leading slash.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Takes a parameter.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.query.remove(name)
    }

    /// Takes a parameter that is not text.
    pub(crate) fn take_as<T: std::str::FromStr>(&mut self, name: &str) -> Result<Option<T>> {
        let parsed = self.take(name).map(|value| value.parse::<T>());
        parsed
            .transpose()
            .map_err(|_| Error::new(&codes::INPUT_INVALID, format!("`{name}` of the store's URL has no usable value")))
    }

    /// Refuses what nobody took.
    pub(crate) fn finish(self) -> Result<()> {
        match self.query.into_keys().next() {
            None => Ok(()),
            Some(name) => {
                Err(Error::new(&codes::INPUT_INVALID, format!("`{name}` is no parameter of a URL of the store `{}`", self.kind)))
            }
        }
    }
}

fn unescaped(text: &str) -> Result<String> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8().map(Cow::into_owned);
    decoded.map_err(|_| Error::new(&codes::INPUT_INVALID, "the store's URL is not UTF-8 when it is unescaped"))
}
