//! Object lock: objects are made with it, and it is looked at afterwards, because some servers ignore the headers.

use backup_core::{Bytes, Effect, Error, JobContext, ObjectKey, Result};
use chrono::{DateTime, Utc};
use http::Method;
use serde::Deserialize;

use super::bucket::{Bucket, Stamp, retain_text};
use super::codes;
use super::wire::{Ask, checksum};
use super::xml::document;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Retention {
    retain_until_date: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Configuration {
    #[serde(default)]
    object_lock_enabled: String,
}

impl Bucket {
    /// Makes sure that an object that was just stored is locked as its stamp says.
    ///
    /// # Errors
    /// With effect applied: the object is there, but not locked.
    pub(super) async fn ensure_locked(&self, cx: &JobContext, key: &ObjectKey, stamp: &Stamp) -> Result<()> {
        let (Some(until), Some(mode)) = (stamp.retain_until, self.lock) else { return Ok(()) };
        let name = self.names.object(key);
        let locked = async {
            if self.retention(cx, &name).await?.is_some_and(|locked| locked >= until) {
                return Ok(());
            }
            let document = format!(
                "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>{}</Mode><RetainUntilDate>{}</RetainUntilDate></Retention>",
                mode.as_str(),
                retain_text(until)
            );
            let body = vec![Bytes::from(document)];
            let sum = checksum(&body);
            self.wire
                .ask(cx, Ask::new("PutObjectRetention", Method::PUT, name.as_str()).query("retention", "").body(body, sum))
                .await?;
            Ok(())
        };
        locked
            .await
            .map_err(|error: Error| error.with_effect(Effect::Applied).context(format!("locking `{key}`, which is stored")))
    }

    async fn retention(&self, cx: &JobContext, name: &str) -> Result<Option<DateTime<Utc>>> {
        match self.wire.ask(cx, Ask::new("GetObjectRetention", Method::GET, name).query("retention", "")).await {
            Ok(answer) => Ok(document::<Retention>(answer.body())?.retain_until_date),
            Err(error) if error.is_not_found() || error.code() == &codes::S3_REFUSED => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the bucket has object lock.
    pub(super) async fn lock_enabled(&self, cx: &JobContext) -> Result<bool> {
        match self.wire.ask(cx, Ask::new("GetObjectLockConfiguration", Method::GET, "").query("object-lock", "")).await {
            Ok(answer) => Ok(document::<Configuration>(answer.body())?.object_lock_enabled == "Enabled"),
            Err(error) if error.is_not_found() || [&codes::S3_UNSUPPORTED, &codes::S3_REFUSED].contains(&error.code()) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}
