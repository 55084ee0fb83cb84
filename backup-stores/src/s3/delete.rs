//! Removing objects.

use std::collections::{HashMap, HashSet};

use backup_core::error::codes as core_codes;
use backup_core::store::DeleteReport;
use backup_core::{Bytes, Effect, Error, JobContext, ObjectKey, Result};
use futures::{StreamExt, stream};
use http::{HeaderValue, Method};
use md5::{Digest, Md5};
use serde::Deserialize;

use super::bucket::Bucket;
use super::codes;
use super::error::Refusal;
use super::wire::{Ask, checksum};
use super::xml::document;

/// The most keys of one request.
const BATCH: usize = 1000;
/// How many objects are looked at, or removed one by one, at the same time.
const AT_ONCE: usize = 16;

/// An object that is there, and the version to remove where the bucket keeps versions under lock.
struct Target {
    key: ObjectKey,
    name: String,
    version: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Answer {
    deleted: Vec<Named>,
    error: Vec<Failed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failed {
    key: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// S3 says of a missing object that it was deleted; so each is looked at first.
pub(super) async fn delete(bucket: &Bucket, cx: &JobContext, keys: &[ObjectKey]) -> Result<DeleteReport> {
    cx.check()?;
    let mut report = DeleteReport::default();
    for batch in keys.chunks(BATCH) {
        let looks = batch.iter().cloned().map(|key| async move {
            let seen = bucket.stat_opt(cx, &key).await;
            (key, seen)
        });
        let mut looks = stream::iter(looks).buffered(AT_ONCE);
        let mut targets = Vec::new();
        while let Some((key, seen)) = looks.next().await {
            match seen {
                Ok(Some(seen)) => {
                    let version = seen.version.filter(|_| bucket.found.lock);
                    targets.push(Target { name: bucket.names.object(&key), key, version });
                }
                Ok(None) => report.missing.push(key),
                Err(error) => report.failed.push((key, error)),
            }
        }
        let (single, several) = targets.into_iter().partition(|target| awkward(&target.name));
        remove_several(bucket, cx, several, &mut report).await;
        remove_single(bucket, cx, single, &mut report).await;
    }
    Ok(report)
}

/// A name that readers and writers of XML may change.
fn awkward(name: &str) -> bool {
    name.trim() != name || name.chars().any(|c| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'))
}

async fn remove_single(bucket: &Bucket, cx: &JobContext, targets: Vec<Target>, report: &mut DeleteReport) {
    let removals = stream::iter(targets).map(|target| async move {
        let mut ask = Ask::new("DeleteObject", Method::DELETE, target.name);
        if let Some(version) = target.version {
            ask = ask.query("versionId", version);
        }
        (target.key, bucket.wire.ask(cx, ask).await)
    });
    let mut removals = removals.buffered(AT_ONCE);
    while let Some((key, removed)) = removals.next().await {
        match removed {
            Err(error) if !error.is_not_found() => report.failed.push((key, error)),
            _ => report.deleted.push(key),
        }
    }
}

async fn remove_several(bucket: &Bucket, cx: &JobContext, targets: Vec<Target>, report: &mut DeleteReport) {
    if targets.is_empty() {
        return;
    }
    let answer = match ask(bucket, cx, &targets).await {
        Ok(answer) => answer,
        // Some servers refuse all for one, and some know no batches.
        Err(error) if [&core_codes::STORE_DENIED, &codes::S3_REFUSED, &codes::S3_UNSUPPORTED].contains(&error.code()) => {
            return remove_single(bucket, cx, targets, report).await;
        }
        Err(error) => {
            for target in targets {
                report.failed.push((target.key, again(&error)));
            }
            return;
        }
    };
    let deleted: HashSet<&str> = answer.deleted.iter().map(|deleted| deleted.key.as_str()).collect();
    let failed: HashMap<&str, &Failed> = answer.error.iter().map(|failed| (failed.key.as_str(), failed)).collect();
    for target in targets {
        if let Some(failed) = failed.get(target.name.as_str()) {
            let refusal = Refusal { code: failed.code.clone(), message: failed.message.clone(), ..Refusal::default() };
            report.failed.push((target.key, refusal.error(http::StatusCode::BAD_REQUEST, &http::HeaderMap::new())));
        } else if deleted.contains(target.name.as_str()) {
            report.deleted.push(target.key);
        } else {
            let error = Error::new(&backup_remote::codes::ANSWER, "the server did not say what became of it");
            report.failed.push((target.key, error.with_effect(Effect::Unknown)));
        }
    }
}

async fn ask(bucket: &Bucket, cx: &JobContext, targets: &[Target]) -> Result<Answer> {
    let mut list = String::from("<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>false</Quiet>");
    for target in targets {
        list.push_str("<Object><Key>");
        list.push_str(&quick_xml::escape::escape(target.name.as_str()));
        list.push_str("</Key>");
        if let Some(version) = &target.version {
            list.push_str("<VersionId>");
            list.push_str(&quick_xml::escape::escape(version.as_str()));
            list.push_str("</VersionId>");
        }
        list.push_str("</Object>");
    }
    list.push_str("</Delete>");
    let digest = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(Md5::digest(list.as_bytes()))
    };
    let body = vec![Bytes::from(list)];
    let sum = checksum(&body);
    let ask = Ask::new("DeleteObjects", Method::POST, "").query("delete", "").body(body, sum);
    // Older servers know no other checksum here.
    let ask = ask.header("content-md5", HeaderValue::from_str(&digest).unwrap_or(HeaderValue::from_static("")));
    document(bucket.wire.ask(cx, ask).await?.body())
}

/// The same error once more, for another key.
fn again(error: &Error) -> Error {
    Error::new(error.code(), error.to_string()).with_effect(error.effect()).with_retry(error.retry())
}
