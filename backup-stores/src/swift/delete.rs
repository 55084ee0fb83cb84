//! Removing: many at once where the cluster can, with what really happened read from the answer's body.

use std::collections::BTreeMap;

use backup_core::store::DeleteReport;
use backup_core::{Effect, Error, JobContext, ObjectKey, Result};
use backup_remote::http::http::{HeaderValue, Method, Request, StatusCode, header};
use backup_remote::http::unsettled;
use backup_remote::{Call, Repeat};
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use serde::Deserialize;

use super::account::{Account, Shared};
use super::error::refused;
use super::place::Place;

/// How many answers are waited for at the same time.
const PARALLEL: usize = 8;
/// Names of one request: Swift works at it for a while, and fewer are repeated when it breaks.
const BATCH: usize = 1000;
/// Errors with a name each.
const ANSWER: u64 = 16 << 20;
/// How often a removal is asked for whose answer broke off.
const ATTEMPTS: u32 = 3;

/// What a removal of many came to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) removed: usize,
    /// By the place as `/container/name`.
    pub(super) failed: BTreeMap<String, Error>,
}

impl Outcome {
    /// How many there were, unless one failed.
    pub(super) fn into_result(self) -> Result<usize> {
        match self.failed.into_values().next() {
            Some(error) => Err(error),
            None => Ok(self.removed),
        }
    }

    fn add(&mut self, other: Self) {
        self.removed += other.removed;
        self.failed.extend(other.failed);
    }
}

/// The body of an answer whose status is 200 whatever happened.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(rename = "Number Deleted", default)]
    deleted: usize,
    #[serde(rename = "Response Status", default)]
    status: String,
    #[serde(rename = "Response Body", default)]
    body: String,
    #[serde(rename = "Errors", default)]
    errors: Vec<(String, String)>,
}

impl Account {
    /// Removes objects that are no manifests; those that are not there are as good.
    pub(super) async fn remove_all(&self, cx: &JobContext, places: &[Place]) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let Some(most) = self.limits.deletes else {
            let removals = stream::iter(places.to_vec()).map(|place| async move {
                let removal = self.remove(cx, &place).await;
                (place, removal)
            });
            let mut removals = removals.buffer_unordered(PARALLEL);
            while let Some((place, removal)) = removals.next().await {
                match removal {
                    Ok(was_there) => outcome.removed += usize::from(was_there),
                    Err(error) => drop(outcome.failed.insert(place.plain(), error)),
                }
            }
            return Ok(outcome);
        };
        for batch in places.chunks(most.min(BATCH)) {
            cx.check()?;
            let names: Vec<String> = batch.iter().map(Place::path).collect();
            let mut request = self.request(Method::POST, "?bulk-delete")?;
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            request.body_mut().push(Bytes::from(names.join("\n")));
            outcome.add(self.many(cx, "BulkDelete", request).await?);
        }
        Ok(outcome)
    }

    /// Removes a large object with its segments; the manifest goes last.
    async fn remove_large(&self, cx: &JobContext, place: &Place) -> Result<usize> {
        let request = self.request(Method::DELETE, &format!("{}?multipart-manifest=delete", place.path()))?;
        self.many(cx, "DeleteLargeObject", request).await?.into_result()
    }

    /// A request whose answer's head comes at once, and whose body comes when everything was tried.
    async fn many(&self, cx: &JobContext, operation: &'static str, mut request: Request<Vec<Bytes>>) -> Result<Outcome> {
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let mut attempt = 0;
        loop {
            attempt += 1;
            let call = Call::changing(operation, Repeat::Always);
            let answer = self.service.open(cx, &call, request.clone()).await?;
            let (status, earlier) = (answer.status(), unsettled(&answer));
            let body = match answer.into_body().whole(ANSWER).await {
                Ok(body) => body,
                // What was removed then is not there now, which is as good.
                Err(_) if attempt < ATTEMPTS && cx.check().is_ok() => continue,
                Err(error) => return Err(error.with_effect(Effect::Unknown).context(operation)),
            };
            return match status {
                StatusCode::OK => read(operation, &body),
                status => {
                    let error = refused(operation, &self.places.container, status, &body);
                    Err(if earlier { error.with_effect(Effect::Unknown) } else { error })
                }
            };
        }
    }
}

/// The real outcome.
pub(super) fn read(operation: &str, body: &[u8]) -> Result<Outcome> {
    let senseless = |what: String| {
        Error::new(&backup_remote::codes::ANSWER, format!("the answer to {operation} makes no sense: {what}"))
            .with_effect(Effect::Unknown)
    };
    let answer: Answer = serde_json::from_slice(body).map_err(|error| senseless(error.to_string()))?;
    let mut failed = BTreeMap::new();
    for (path, status) in answer.errors {
        let name = percent_encoding::percent_decode_str(&path).decode_utf8_lossy().into_owned();
        let code = status.split(' ').next().and_then(|code| code.parse().ok());
        let code = code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        failed.insert(name.clone(), refused("deleting", &name, code, b"").with_effect(Effect::Unknown));
    }
    let good = answer.status.starts_with("200") || answer.status.starts_with("404");
    if failed.is_empty() && !good {
        return Err(senseless(format!("{}{}", answer.status, super::error::excerpt(answer.body.as_bytes()))));
    }
    Ok(Outcome { removed: answer.deleted, failed })
}

/// What is known of a key before its removal.
enum Found {
    Missing,
    Plain(Place),
    Large(Place),
}

pub(super) async fn delete(account: &Shared, cx: &JobContext, keys: &[ObjectKey]) -> Result<DeleteReport> {
    cx.check()?;
    let mut report = DeleteReport::default();
    let looks = stream::iter(keys.to_vec()).map(|key| async move {
        let found = look(account, cx, &key).await;
        (key, found)
    });
    let mut looks = looks.buffered(PARALLEL);
    let (mut plain, mut large) = (Vec::new(), Vec::new());
    while let Some((key, found)) = looks.next().await {
        match found {
            Ok(Found::Missing) => report.missing.push(key),
            Ok(Found::Plain(place)) => plain.push((key, place)),
            Ok(Found::Large(place)) => large.push((key, place)),
            Err(error) => report.failed.push((key, error)),
        }
    }
    remove_plain(account, cx, plain, &mut report).await;
    for (key, place) in large {
        match account.remove_large(cx, &place).await {
            Ok(_) => report.deleted.push(key),
            Err(error) => report.failed.push((key, error)),
        }
    }
    Ok(report)
}

async fn look(account: &Account, cx: &JobContext, key: &ObjectKey) -> Result<Found> {
    let place = account.places.object(key)?;
    Ok(match account.head(cx, &place).await? {
        None => Found::Missing,
        Some(head) if head.large => Found::Large(place),
        Some(_) => Found::Plain(place),
    })
}

async fn remove_plain(account: &Account, cx: &JobContext, plain: Vec<(ObjectKey, Place)>, report: &mut DeleteReport) {
    if let [(key, place)] = plain.as_slice() {
        match account.remove(cx, place).await {
            Ok(true) => report.deleted.push(key.clone()),
            Ok(false) => report.missing.push(key.clone()),
            Err(error) => report.failed.push((key.clone(), error)),
        }
        return;
    }
    for batch in plain.chunks(BATCH) {
        let places: Vec<Place> = batch.iter().map(|(_, place)| place.clone()).collect();
        match account.remove_all(cx, &places).await {
            Ok(mut outcome) => {
                for (key, place) in batch {
                    match outcome.failed.remove(&place.plain()) {
                        Some(error) => report.failed.push((key.clone(), error)),
                        // Gone, if not by us then by another in the same moment.
                        None => report.deleted.push(key.clone()),
                    }
                }
            }
            Err(error) => {
                let again = || Error::new(error.code(), error.message().to_owned()).with_effect(error.effect());
                report.failed.extend(batch.iter().map(|(key, _)| (key.clone(), again())));
            }
        }
    }
}
