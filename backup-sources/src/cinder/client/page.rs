//! Lists, page by page.

use std::collections::BTreeMap;

use backup_core::{Error, JobContext, Result};
use backup_remote::codes as remote;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::request::{Ask, PAGE};
use super::{Cinder, Microversion};

/// How many are asked for at once; Cinder may give fewer.
const PER_PAGE: usize = 200;
/// More pages than a project can have.
const PAGES: usize = 5_000;

const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What goes on in a list after its page.
pub(super) trait Listed: DeserializeOwned {
    fn id(&self) -> &str;
}

/// A part of a query, as it may be sent.
pub(super) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// A query for what has these metadata, or these members of them.
pub(super) fn with_metadata(metadata: &BTreeMap<String, String>) -> Option<String> {
    // Cinder reads it as Python; what JSON escapes of text, Python does alike.
    let text = serde_json::to_string(metadata).ok().filter(|_| !metadata.is_empty())?;
    Some(format!("metadata={}", escaped(&text)))
}

impl Cinder {
    /// Every entry of the list `kind` at `path`, whose query has these parts.
    pub(super) async fn list<T: Listed>(
        &self,
        cx: &JobContext,
        operation: &'static str,
        path: &str,
        kind: &str,
        query: &[String],
    ) -> Result<Vec<T>> {
        self.list_at(cx, operation, path, kind, query, Microversion::BASE).await
    }

    /// The same, of a version of the API.
    pub(super) async fn list_at<T: Listed>(
        &self,
        cx: &JobContext,
        operation: &'static str,
        path: &str,
        kind: &str,
        query: &[String],
        version: Microversion,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        for _ in 0..PAGES {
            let marker = all.last().map(|last: &T| format!("&marker={}", escaped(last.id()))).unwrap_or_default();
            let parts: String = query.iter().map(|part| format!("&{part}")).collect();
            let path = format!("{path}?limit={PER_PAGE}{parts}{marker}");
            let ask = Ask::get(operation, path, format!("listing {kind}")).version(version).limit(PAGE);
            let page: Page = self.read(cx, ask).await?;
            let (entries, more) = page.take(kind)?;
            let before = all.len();
            all.extend(entries);
            if !more || all.len() == before {
                return Ok(all);
            }
        }
        Err(Error::new(&remote::ANSWER, format!("the list of {kind} does not end")))
    }
}

/// `{"volumes": […], "volumes_links": [{"rel": "next", …}]}`.
#[derive(Deserialize)]
struct Page(BTreeMap<String, Value>);

impl Page {
    fn take<T: DeserializeOwned>(mut self, kind: &str) -> Result<(Vec<T>, bool)> {
        let senseless = |why: String| Error::new(&remote::ANSWER, format!("the list of {kind} makes no sense: {why}"));
        let entries = self.0.remove(kind).ok_or_else(|| senseless("it is not there".to_owned()))?;
        let entries = serde_json::from_value(entries).map_err(|error| senseless(error.to_string()))?;
        let links = self.0.remove(&format!("{kind}_links"));
        let links = links.as_ref().and_then(Value::as_array);
        let more = links.is_some_and(|links| links.iter().any(|link| link.get("rel").and_then(Value::as_str) == Some("next")));
        Ok((entries, more))
    }
}
