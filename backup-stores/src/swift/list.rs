//! Listings: pages by marker, until one is empty.

use std::collections::VecDeque;

use backup_core::{Error, JobContext, KeyPrefix, ObjectKey, ObjectMeta, Result};
use backup_remote::Call;
use backup_remote::http::http::{Method, StatusCode};
use chrono::{DateTime, NaiveDateTime, Utc};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use serde::Deserialize;

use super::account::{Account, Shared};
use super::error::refused;
use super::place::{Place, escaped, escaped_value};

/// Entries of a page at most: the answer lies in memory.
const PAGE: usize = 1000;
/// A name has 1,024 bytes, each of them six in JSON.
const ANSWER: u64 = 16 << 20;

/// A line of a listing.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    /// Absent in lines that stand for a common start of names.
    pub(super) name: Option<String>,
    #[serde(default)]
    bytes: u64,
    hash: Option<String>,
    /// That of a large object, whose `hash` is the manifest's.
    slo_etag: Option<String>,
    last_modified: Option<String>,
}

impl Entry {
    pub(super) fn modified(&self) -> Option<DateTime<Utc>> {
        let text = self.last_modified.as_deref()?;
        NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok().map(|time| time.and_utc())
    }
}

impl Account {
    /// The lines of names that start as the place's and sort after `marker`, a page at a time; none when there is no such container.
    pub(super) async fn page(&self, cx: &JobContext, place: &Place, marker: &str) -> Result<Vec<Entry>> {
        let query = format!(
            "/{}?format=json&limit={}&prefix={}&marker={}",
            escaped(&place.container),
            PAGE.min(self.limits.page),
            escaped_value(&place.name),
            escaped_value(marker)
        );
        let request = self.request(Method::GET, &query)?;
        let answer = self.service.fetch(cx, &Call::reading("ListObjects"), request, ANSWER).await?;
        match answer.status() {
            StatusCode::NO_CONTENT | StatusCode::NOT_FOUND => Ok(Vec::new()),
            StatusCode::OK => serde_json::from_slice(answer.body()).map_err(|error| {
                Error::new(&backup_remote::codes::ANSWER, format!("the listing of `{}` makes no sense: {error}", place.container))
            }),
            status => Err(refused("listing", &place.container, status, answer.body())),
        }
    }

    /// All lines of names that start as the place's: for places known to hold few.
    pub(super) async fn lines(&self, cx: &JobContext, place: &Place) -> Result<Vec<Entry>> {
        let (mut lines, mut marker) = (Vec::new(), String::new());
        loop {
            let page = self.page(cx, place, &marker).await?;
            let Some(last) = page.iter().rev().find_map(|entry| entry.name.clone()) else { return Ok(lines) };
            marker = last;
            lines.extend(page);
        }
    }
}

pub(super) fn list(
    account: Shared,
    cx: JobContext,
    prefix: &KeyPrefix,
    start_after: Option<ObjectKey>,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let places = &account.places;
    let place = Place { container: places.container.clone(), name: format!("{}{prefix}", places.prefix) };
    let marker = start_after.map(|key| format!("{}{key}", places.prefix)).unwrap_or_default();
    let begin = (account, cx, place, marker, VecDeque::<Entry>::new());
    stream::try_unfold(begin, |(account, cx, place, mut marker, mut page)| async move {
        loop {
            if page.is_empty() {
                page = account.page(&cx, &place, &marker).await?.into();
                // A page may be shorter than asked for and not be the last one.
                let Some(last) = page.iter().rev().find_map(|entry| entry.name.clone()) else { return Ok(None) };
                marker = last;
            }
            while let Some(entry) = page.pop_front() {
                if let Some(meta) = meta(&account, &entry) {
                    return Ok(Some((meta, (account, cx, place, marker, page))));
                }
            }
            cx.check()?;
        }
    })
    .boxed()
}

/// `None` for names that are no keys: somebody else's.
fn meta(account: &Account, entry: &Entry) -> Option<ObjectMeta> {
    let key = account.places.key(entry.name.as_deref()?)?;
    let etag = entry.slo_etag.as_deref().or(entry.hash.as_deref()).map(super::account::unquoted);
    Some(ObjectMeta::new(key, entry.bytes).modified(entry.modified()).etag(etag))
}
