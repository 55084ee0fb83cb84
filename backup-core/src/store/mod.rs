//! The [`Store`] trait: where objects live.
//!
//! A store knows objects, not backups. Writing one takes an afternoon: implement [`Store`] and run
//! `testkit::store_suite` on it.

mod ext;
mod notes;
mod payload;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;

pub use ext::StoreExt;
pub use notes::UploadNotes;
pub use payload::{Payload, by_writer};

use crate::context::JobContext;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::key::{KeyPrefix, ObjectKey};
use crate::name::JobId;

/// A store of immutable objects.
///
/// # Behavior
/// - An object is visible to `head`, `read` and `list` only when it is whole, and then to all three.
/// - When `put` or [`ObjectWriter::finish`] returns `Ok`, the object is durable: it survives a crash of the machine
///   (for a remote store, of this machine).
/// - Calls on different keys are independent and may run at the same time.
///
/// # Errors
/// Every error carries its effect. A call that may or may not have taken place (a timeout, a reset connection) settles
/// that itself by looking again where it can, and otherwise returns [`Effect::Unknown`](crate::Effect::Unknown).
///
/// # Cancel safety
/// Dropping the future of `read`, `head`, `list` has no effect. Dropping that of `put`, `delete` or of a writer's method leaves
/// the effect unknown; the engine does not do so, it cancels the context.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// What this store can do.
    fn capabilities(&self) -> Capabilities;

    /// The bytes of memory that one writer holds at most for an object of about `size_hint` bytes.
    fn writer_memory(&self, size_hint: Option<u64>) -> u64 {
        let _ = size_hint;
        0
    }

    /// Stores a small object in one step.
    ///
    /// # Errors
    /// `store.exists` (effect none) with [`PutOptions::if_absent`] when the key is taken, whoever took it.
    async fn put(&self, cx: &JobContext, key: &ObjectKey, body: Bytes, options: PutOptions) -> Result<ObjectMeta>;

    /// Starts writing a big object. Nothing is visible before [`ObjectWriter::finish`].
    async fn writer(&self, cx: &JobContext, key: &ObjectKey, options: WriteOptions) -> Result<Box<dyn ObjectWriter>>;

    /// Stores an object whose bytes can be read again, in the way that suits the store best; by a writer unless it has a better one.
    ///
    /// # Errors
    /// As [`ObjectWriter::finish`]; those of the payload.
    async fn put_from(
        &self,
        cx: &JobContext,
        key: &ObjectKey,
        payload: Arc<dyn Payload>,
        options: WriteOptions,
    ) -> Result<ObjectMeta> {
        payload::by_writer(self, cx, key, payload, options).await
    }

    /// The bytes of memory that [`Store::put_from`] holds at most for an object of `size` bytes.
    fn put_memory(&self, size: u64) -> u64 {
        self.writer_memory(Some(size))
    }

    /// Removes what is left of an upload whose writer died, by the name that [`WriteOptions::notes`] kept. An object that it made is
    /// left alone, and so is everything else.
    async fn give_up(&self, cx: &JobContext, key: &ObjectKey, upload: &str) -> Result<()> {
        let _ = (cx, key, upload);
        Ok(())
    }

    /// Reads an object, or the bytes of `options.range`, which is cut at the object's end.
    ///
    /// The stream is `'static`: it holds a cloned context and what else it needs. A body that ends early is an error
    /// item, never a short stream.
    ///
    /// # Errors
    /// `store.not_found`; `input.invalid` for a range that starts behind the end.
    async fn read(&self, cx: &JobContext, key: &ObjectKey, options: ReadOptions) -> Result<ObjectRead>;

    /// What is known of an object without reading it.
    ///
    /// # Errors
    /// `store.not_found`.
    async fn head(&self, cx: &JobContext, key: &ObjectKey) -> Result<ObjectMeta>;

    /// The objects under `prefix`, at any depth, in byte order of their keys, each once.
    fn list(&self, cx: &JobContext, prefix: &KeyPrefix, options: ListOptions) -> BoxStream<'static, Result<ObjectMeta>>;

    /// Removes objects. A missing one is reported, not an error. Goes on after a failure.
    ///
    /// # Errors
    /// Only when nothing could be tried; failures of single keys stand in the report.
    async fn delete(&self, cx: &JobContext, keys: &[ObjectKey]) -> Result<DeleteReport>;

    /// Removes what writers that died left behind: temporary files, unfinished uploads; only under names or ids that
    /// this store made itself, last changed before `options.older_than`, and not owned by a job in `options.keep`.
    async fn sweep(&self, cx: &JobContext, options: SweepOptions) -> Result<SweepReport>;

    /// Where a program that writes by itself shall write so that its objects lie under `prefix`, or `None` when this store
    /// cannot be written from outside.
    fn external_location(&self, prefix: &KeyPrefix) -> Option<ExternalLocation> {
        let _ = prefix;
        None
    }

    /// What other programs call the place of the objects under `prefix`; `None` when nothing but this store reaches them.
    fn native_place(&self, prefix: &KeyPrefix) -> Option<NativePlace> {
        let _ = prefix;
        None
    }
}

/// A big object being written.
///
/// It can be neither finished twice nor finished after an error: `finish` and `abort` take the box, and the first failed
/// `write` latches the writer, so that everything but `abort` fails after it. There is no async drop: a bare drop leaves
/// what was written so far to [`Store::sweep`].
#[async_trait]
pub trait ObjectWriter: Send + fmt::Debug {
    /// Appends bytes, waiting while too many are under way.
    ///
    /// # Cancel safety
    /// Not cancel safe: a dropped call latches the writer as failed.
    async fn write(&mut self, data: Bytes) -> Result<()>;

    /// Makes the object visible, durable and final. The answer's size is that of the stored object.
    ///
    /// # Errors
    /// `store.exists` (effect none) with [`WriteOptions::if_absent`] when the key was taken meanwhile; the bytes
    /// written are then gone, as after every error with effect none.
    async fn finish(self: Box<Self>) -> Result<ObjectMeta>;

    /// Gives the object up and removes what was written of it. Works after a cancel.
    async fn abort(self: Box<Self>) -> Result<()>;
}

/// What a store can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Capabilities {
    /// `if_absent` is decided by the store in one step: of two racing writers exactly one wins.
    pub conditional_create: bool,
    /// `retain_until` is enforced by the store.
    pub retention_lock: bool,
}

impl Capabilities {
    /// Sets [`Capabilities::conditional_create`].
    #[must_use]
    pub fn conditional_create(mut self, yes: bool) -> Self {
        self.conditional_create = yes;
        self
    }

    /// Sets [`Capabilities::retention_lock`].
    #[must_use]
    pub fn retention_lock(mut self, yes: bool) -> Self {
        self.retention_lock = yes;
        self
    }
}

/// Options of [`Store::put`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct PutOptions {
    /// Fail when the key is taken.
    pub if_absent: bool,
    /// Lock the object until then, where the store can.
    pub retain_until: Option<DateTime<Utc>>,
}

impl PutOptions {
    /// Create, never replace: what the engine uses for every record.
    pub fn if_absent() -> Self {
        Self { if_absent: true, ..Self::default() }
    }

    /// Sets [`PutOptions::retain_until`].
    #[must_use]
    pub fn retain_until(mut self, until: Option<DateTime<Utc>>) -> Self {
        self.retain_until = until;
        self
    }
}

/// Options of [`Store::writer`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WriteOptions {
    /// The job that owns what is unfinished.
    pub owner: JobId,
    /// Fail in `finish` when the key is taken.
    pub if_absent: bool,
    /// About how many bytes will come, when somebody knows.
    pub size_hint: Option<u64>,
    /// Lock the object until then, where the store can.
    pub retain_until: Option<DateTime<Utc>>,
    /// The SHA-256 of all bytes that will come, when it is known before: the store keeps it with the object where it can, and
    /// [`ObjectMeta::sha256`] gives it back.
    pub sha256: Option<Digest>,
    /// Hears of what a crash would leave unfinished at the store.
    pub notes: Option<Arc<dyn UploadNotes>>,
}

impl WriteOptions {
    /// Options for a new object of the job `owner`; never replaces one.
    pub fn new(owner: JobId) -> Self {
        Self { owner, if_absent: true, size_hint: None, retain_until: None, sha256: None, notes: None }
    }

    /// Sets [`WriteOptions::if_absent`].
    #[must_use]
    pub fn if_absent(mut self, yes: bool) -> Self {
        self.if_absent = yes;
        self
    }

    /// Sets [`WriteOptions::size_hint`].
    #[must_use]
    pub fn size_hint(mut self, size: Option<u64>) -> Self {
        self.size_hint = size;
        self
    }

    /// Sets [`WriteOptions::sha256`].
    #[must_use]
    pub fn sha256(mut self, digest: Option<Digest>) -> Self {
        self.sha256 = digest;
        self
    }

    /// Sets [`WriteOptions::notes`].
    #[must_use]
    pub fn notes(mut self, notes: Option<Arc<dyn UploadNotes>>) -> Self {
        self.notes = notes;
        self
    }

    /// Sets [`WriteOptions::retain_until`].
    #[must_use]
    pub fn retain_until(mut self, until: Option<DateTime<Utc>>) -> Self {
        self.retain_until = until;
        self
    }
}

/// Options of [`Store::read`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ReadOptions {
    /// The bytes wanted, all when `None`.
    pub range: Option<Range<u64>>,
}

impl ReadOptions {
    /// Only these bytes.
    pub fn range(range: Range<u64>) -> Self {
        Self { range: Some(range) }
    }
}

/// Options of [`Store::list`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ListOptions {
    /// Only keys that sort after this one.
    pub start_after: Option<ObjectKey>,
}

impl ListOptions {
    /// Only keys that sort after `key`.
    pub fn start_after(key: ObjectKey) -> Self {
        Self { start_after: Some(key) }
    }
}

/// Options of [`Store::sweep`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SweepOptions {
    /// Only what was last changed before.
    pub older_than: DateTime<Utc>,
    /// Jobs that may still be alive: what they own stays.
    pub keep: Vec<JobId>,
}

impl SweepOptions {
    /// Sweeps what is older than `older_than` and not owned by a job in `keep`.
    pub fn new(older_than: DateTime<Utc>, keep: Vec<JobId>) -> Self {
        Self { older_than, keep }
    }
}

/// What [`Store::sweep`] did.
#[derive(Debug, Default)]
pub struct SweepReport {
    /// How many unfinished writes were removed.
    pub removed: u64,
    /// Those that could not be removed.
    pub failed: Vec<Error>,
}

/// What is known of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectMeta {
    /// Its key.
    pub key: ObjectKey,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last changed, by the store's clock.
    pub modified: Option<DateTime<Utc>>,
    /// The store's own tag of the content.
    pub etag: Option<String>,
    /// The SHA-256 that its writer gave with it ([`WriteOptions::sha256`]); not checked by the store.
    pub sha256: Option<Digest>,
}

impl ObjectMeta {
    /// An object of `size` bytes, nothing else known.
    pub fn new(key: ObjectKey, size: u64) -> Self {
        Self { key, size, modified: None, etag: None, sha256: None }
    }

    /// Sets [`ObjectMeta::modified`].
    #[must_use]
    pub fn modified(mut self, time: Option<DateTime<Utc>>) -> Self {
        self.modified = time;
        self
    }

    /// Sets [`ObjectMeta::sha256`].
    #[must_use]
    pub fn sha256(mut self, digest: Option<Digest>) -> Self {
        self.sha256 = digest;
        self
    }

    /// Sets [`ObjectMeta::etag`].
    #[must_use]
    pub fn etag(mut self, etag: Option<String>) -> Self {
        self.etag = etag;
        self
    }
}

/// An object being read.
pub struct ObjectRead {
    /// The whole object, whatever range was asked for.
    pub meta: ObjectMeta,
    /// The bytes of the range, in order.
    pub body: BoxStream<'static, Result<Bytes>>,
}

impl fmt::Debug for ObjectRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectRead").field("meta", &self.meta).finish_non_exhaustive()
    }
}

/// What [`Store::delete`] did with each key.
#[derive(Debug, Default)]
pub struct DeleteReport {
    /// Removed now.
    pub deleted: Vec<ObjectKey>,
    /// Was not there.
    pub missing: Vec<ObjectKey>,
    /// Still there, or unknown.
    pub failed: Vec<(ObjectKey, Error)>,
}

impl DeleteReport {
    /// `Ok` when nothing failed, else the first failure.
    pub fn into_result(self) -> Result<()> {
        match self.failed.into_iter().next() {
            None => Ok(()),
            Some((key, error)) => Err(error.context(format!("deleting {key}"))),
        }
    }
}

/// A place for a program that writes by itself. `Debug` hides the parameters, which may hold credentials.
#[derive(Clone)]
#[non_exhaustive]
pub struct ExternalLocation {
    /// The place as a URL without credentials.
    pub url: String,
    /// What the program needs besides, by the names of the store's documentation.
    pub parameters: Vec<(String, String)>,
}

impl ExternalLocation {
    /// A place without further parameters.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), parameters: Vec::new() }
    }

    /// Adds a parameter.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }
}

/// What other programs call the place of some objects: an object's own name there is [`NativePlace::prefix`] and what its key has behind
/// the key prefix that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativePlace {
    /// What kind of store it is: `file`, `nfs`, `s3`, `swift`.
    pub kind: String,
    /// The bucket or container; of a tree of files the directory that they are in, absolute (on the server, for NFS).
    pub container: String,
    /// What names there begin with: empty, or ending in a slash.
    pub prefix: String,
}

impl NativePlace {
    /// A place.
    pub fn new(kind: impl Into<String>, container: impl Into<String>, prefix: impl Into<String>) -> Self {
        Self { kind: kind.into(), container: container.into(), prefix: prefix.into() }
    }
}

impl fmt::Debug for ExternalLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalLocation").field("url", &self.url).finish_non_exhaustive()
    }
}
