//! What every operation needs: the connection, the names, and what the configuration wants of objects.

use std::collections::BTreeMap;

use backup_core::error::codes as core_codes;
use backup_core::{Digest, Error, JobContext, JobId, ObjectKey, ObjectMeta, Result};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use http::{HeaderMap, HeaderName, HeaderValue};
use opendal::raw::{OpStat, Servicer};

use super::config::{LockMode, S3Config, ServerSideEncryption, refused};
use super::names::Names;
use super::parts::PartPlan;
use super::probe::Found;
use super::transport::Through;
use super::wire::Wire;

/// The user metadata that tells one attempt to create an object from another.
const TOKEN: &str = "backup-token";
/// The user metadata that says what the bytes of an object are.
const SHA256: &str = "backup-sha256";

#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) wire: Wire,
    /// opendal's service for the whole bucket.
    pub(super) service: Servicer,
    pub(super) names: Names,
    pub(super) lock: Option<LockMode>,
    pub(super) found: Found,
    /// Whether notes say whose unfinished uploads are.
    pub(super) notes: bool,
    part_size: Option<u64>,
    max_object: Option<u64>,
    /// Encryption and storage class.
    headers: HeaderMap,
}

/// What an object carries besides its bytes.
#[derive(Debug, Clone)]
pub(super) struct Stamp {
    pub(super) job: JobId,
    pub(super) token: String,
    pub(super) retain_until: Option<DateTime<Utc>>,
    pub(super) sha256: Option<Digest>,
}

/// What the server says of an object.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) meta: ObjectMeta,
    pub(super) token: Option<String>,
    pub(super) version: Option<String>,
}

impl Bucket {
    pub(super) fn new(wire: Wire, service: Servicer, names: Names, config: &S3Config) -> Result<Self> {
        let mut headers = HeaderMap::new();
        let mut set = |name, what: &str, value: &str| {
            let value =
                HeaderValue::from_str(value).map_err(|_| refused(format!("`{what}` holds a character that no header can")))?;
            headers.insert(HeaderName::from_static(name), value);
            Ok::<_, Error>(())
        };
        match &config.server_side_encryption {
            None => {}
            Some(ServerSideEncryption::S3) => set("x-amz-server-side-encryption", "server-side-encryption", "AES256")?,
            Some(ServerSideEncryption::Kms { key_id }) => {
                set("x-amz-server-side-encryption", "server-side-encryption", "aws:kms")?;
                if let Some(key) = key_id {
                    set("x-amz-server-side-encryption-aws-kms-key-id", "key-id", key)?;
                }
            }
        }
        if let Some(class) = &config.storage_class {
            set("x-amz-storage-class", "storage-class", class)?;
        }
        Ok(Self {
            wire,
            service,
            names,
            lock: config.object_lock,
            found: Found::default(),
            notes: true,
            part_size: config.part_size,
            max_object: config.max_object_size,
            headers,
        })
    }

    /// The stamp of a new attempt to create an object.
    pub(super) fn stamp(&self, cx: &JobContext, job: &JobId, retain_until: Option<DateTime<Utc>>) -> Stamp {
        let random = &cx.environment().random;
        let token = format!("{:016x}{:016x}", random.next_u64(), random.next_u64());
        Stamp { job: job.clone(), token, retain_until: retain_until.filter(|_| self.lock.is_some()), sha256: None }
    }

    /// The headers that a new object is made with.
    pub(super) fn headers(&self, stamp: &Stamp) -> HeaderMap {
        let mut headers = self.headers.clone();
        let mut set = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        set("x-amz-meta-backup-job", stamp.job.as_str());
        set("x-amz-meta-backup-token", &stamp.token);
        if let Some(digest) = &stamp.sha256 {
            set("x-amz-meta-backup-sha256", &digest.to_string());
        }
        if let (Some(until), Some(mode)) = (stamp.retain_until, self.lock) {
            set("x-amz-object-lock-mode", mode.as_str());
            set("x-amz-object-lock-retain-until-date", &retain_text(until));
        }
        headers
    }

    /// The most bytes of an object, where the configuration says.
    pub(super) fn max_object(&self) -> Option<u64> {
        self.max_object
    }

    pub(super) fn parts(&self, hint: Option<u64>) -> PartPlan {
        PartPlan::new(hint, self.part_size, self.max_object)
    }

    /// Looks at an object.
    ///
    /// # Errors
    /// `store.not_found`.
    pub(super) async fn stat(&self, cx: &JobContext, key: &ObjectKey) -> Result<Seen> {
        let name = self.names.object(key);
        let through = Through::new(&self.wire, cx, HeaderMap::new());
        let answer = self.service.stat_dyn(&through.context, &name, OpStat::new()).await;
        let answer = answer.map_err(|error| missing(key, through.error(error)))?;
        Ok(seen(key, &answer.into_metadata()))
    }

    /// Like [`Bucket::stat`], with `None` for an object that is not there.
    pub(super) async fn stat_opt(&self, cx: &JobContext, key: &ObjectKey) -> Result<Option<Seen>> {
        match self.stat(cx, key).await {
            Ok(seen) => Ok(Some(seen)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

pub(super) fn seen(key: &ObjectKey, metadata: &opendal::Metadata) -> Seen {
    let user: BTreeMap<_, _> = metadata.user_metadata().into_iter().flatten().collect();
    Seen {
        meta: meta(key.clone(), metadata).sha256(user.get(SHA256).and_then(|digest| Digest::from_hex(digest).ok())),
        token: user.get(TOKEN).map(|token| (*token).to_owned()),
        version: metadata.version().map(str::to_owned),
    }
}

pub(super) fn meta(key: ObjectKey, metadata: &opendal::Metadata) -> ObjectMeta {
    let modified = metadata.last_modified().and_then(|time| {
        let time = time.into_inner();
        DateTime::from_timestamp(time.as_second(), time.subsec_nanosecond().unsigned_abs())
    });
    ObjectMeta::new(key, metadata.content_length()).modified(modified).etag(metadata.etag().map(str::to_owned))
}

/// The error of a missing object, in the words of every store.
pub(super) fn missing(key: &ObjectKey, error: Error) -> Error {
    match error.is_not_found() {
        true => Error::new(&core_codes::STORE_NOT_FOUND, format!("there is no object `{key}`")),
        false => error.context(format!("`{key}`")),
    }
}

pub(super) fn exists(key: &ObjectKey) -> Error {
    Error::new(&core_codes::STORE_EXISTS, format!("the object `{key}` exists and was left untouched"))
}

/// A time in whole seconds, never earlier than asked for.
pub(super) fn retain_text(until: DateTime<Utc>) -> String {
    let whole = until.trunc_subsecs(0);
    let whole = if whole < until { whole + TimeDelta::seconds(1) } else { whole };
    whole.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
