//! The strong entity tag and the modification time of what is downloaded.

use axum::http::header::{ETAG, LAST_MODIFIED};
use axum::http::{HeaderMap, HeaderValue};
use backup_core::Digest;
use chrono::{DateTime, Utc};

use super::date::HttpTime;

#[derive(Debug, Clone)]
pub(super) struct Validators {
    /// The opaque tag with its quotes.
    tag: String,
    pub(super) modified: Option<HttpTime>,
}

impl Validators {
    pub(super) fn of(sha256: &Digest) -> Self {
        Self { tag: format!("\"{sha256}\""), modified: None }
    }

    pub(super) fn modified(&mut self, time: DateTime<Utc>) {
        self.modified = Some(HttpTime::of(time));
    }

    /// Strong comparison: a weak tag never matches.
    pub(super) fn matches_strongly(&self, tag: &str) -> bool {
        tag == self.tag
    }

    /// Weak comparison: `W/` is ignored.
    pub(super) fn matches_weakly(&self, tag: &str) -> bool {
        tag.strip_prefix("W/").unwrap_or(tag) == self.tag
    }

    pub(super) fn write(&self, headers: &mut HeaderMap) {
        headers.extend(HeaderValue::from_str(&self.tag).ok().map(|value| (ETAG, value)));
        headers.extend(self.modified.and_then(HttpTime::header).map(|value| (LAST_MODIFIED, value)));
    }
}

/// The members of a list of entity tags, each with its quotes and its `W/`; a malformed rest is left out.
pub(super) fn tags(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = list;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let quote = if rest.starts_with("W/\"") { 2 } else { 0 };
        let opaque = rest.get(quote..)?.strip_prefix('"')?;
        let end = quote + 1 + opaque.find('"')? + 1;
        let (tag, after) = rest.split_at_checked(end)?;
        rest = after;
        Some(tag)
    })
}
