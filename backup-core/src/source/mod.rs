//! The [`Source`] trait: what is backed up.
//!
//! The source drives: the engine hands it a [`Sink`], it writes its artifacts and says at the end what they are.
//! A source knows neither keys nor manifests.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::context::JobContext;
use crate::digest::Digest;
use crate::error::{Error, Result, codes};
use crate::manifest::Manifest;
use crate::name::ArtifactName;
use crate::revision::Revision;
use crate::store::{ExternalLocation, NativePlace};

/// Something that can be backed up.
#[async_trait]
pub trait Source: Send + Sync + fmt::Debug + 'static {
    /// The kind of source, as manifests name it: `etcd`, `script`.
    fn kind(&self) -> &str;

    /// Where the source stands, found cheaply and without changing it.
    ///
    /// A source that cannot know answers [`Probe::default`]; then nothing is ever skipped as unchanged.
    async fn probe(&self, cx: &JobContext) -> Result<Probe>;

    /// How many artifacts it holds open at the same time, at most. A job reserves a store's buffers for that many before it begins, so
    /// a source that writes one after the other says 1: on an object store that is tens of megabytes less.
    fn open_artifacts(&self) -> usize {
        4
    }

    /// The bytes of memory that a capture holds of its own at most, besides what it hands to artifact writers: whole artifacts for
    /// [`Sink::put`], say. The job reserves them before it begins.
    fn working_memory(&self) -> u64 {
        0
    }

    /// Writes the artifacts of one backup into `sink`, closes each, and says what they are.
    ///
    /// # Errors
    /// Any error means that nothing is published. An artifact still open on return is `source.incomplete`.
    ///
    /// # Cancel safety
    /// Not dropped by the engine: it cancels `cx`, and the source returns soon after, having undone what it did
    /// to the thing it backs up.
    async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary>;

    /// Brings a backup back. `target.value` has the shape that the source documents.
    ///
    /// A stream of the reader that ends without an error was checked to its end; only then the target may be told that
    /// the data is good. With `target.dry_run` everything is checked and nothing is changed.
    ///
    /// # Errors
    /// `source.unsupported` unless the source implements it.
    async fn restore(&self, cx: &JobContext, reader: &dyn BackupReader, target: &RestoreTarget) -> Result<RestoreReport> {
        let _ = (cx, reader, target);
        Err(Error::new(&codes::SOURCE_UNSUPPORTED, format!("a {} source does not restore", self.kind())))
    }

    /// Checks what only this source can check about a stored backup (a trailer, a page magic), beyond sizes and digests.
    /// Findings are faults of the backup; an error means that the check could not be made.
    async fn inspect(&self, cx: &JobContext, reader: &dyn BackupReader) -> Result<Inspection> {
        let _ = (cx, reader);
        Ok(Inspection::default())
    }
}

/// Where a source stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probe {
    /// Which instance it is (a cluster id): two histories of one set differ here.
    pub identity: Option<String>,
    /// Its position.
    pub revision: Option<Revision>,
    /// Its software version.
    pub version: Option<String>,
    /// About how many bytes its biggest artifact would have: by this the job reserves what the store's writers need.
    pub size_hint: Option<u64>,
}

impl Probe {
    /// Sets [`Probe::identity`].
    #[must_use]
    pub fn identity(mut self, identity: impl Into<String>) -> Self {
        self.identity = Some(identity.into());
        self
    }

    /// Sets [`Probe::revision`].
    #[must_use]
    pub fn revision(mut self, revision: Revision) -> Self {
        self.revision = Some(revision);
        self
    }

    /// Sets [`Probe::version`].
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Sets [`Probe::size_hint`].
    #[must_use]
    pub fn size_hint(mut self, bytes: u64) -> Self {
        self.size_hint = Some(bytes);
        self
    }
}

/// What a capture turned out to be. Exit codes, trailers and final positions are known only at the end.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// As [`Probe::identity`]; the probe's when `None`.
    pub identity: Option<String>,
    /// The position that was captured. Not taken from the probe: a capture that does not say has none.
    pub revision: Option<Revision>,
    /// As [`Probe::version`]; the probe's when `None`.
    pub version: Option<String>,
    /// What the source itself checked, as it wants it in the manifest: `{"sha256": "…"}`.
    pub integrity: Option<Value>,
    /// What somebody should know although the backup is whole; any makes the outcome "completed with warnings".
    pub warnings: Vec<String>,
    /// What the source printed, bounded, without secrets.
    pub log: Option<String>,
}

impl Summary {
    /// Sets [`Summary::identity`].
    #[must_use]
    pub fn identity(mut self, identity: impl Into<String>) -> Self {
        self.identity = Some(identity.into());
        self
    }

    /// Sets [`Summary::revision`].
    #[must_use]
    pub fn revision(mut self, revision: Revision) -> Self {
        self.revision = Some(revision);
        self
    }

    /// Sets [`Summary::version`].
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Sets [`Summary::integrity`].
    #[must_use]
    pub fn integrity(mut self, integrity: Value) -> Self {
        self.integrity = Some(integrity);
        self
    }

    /// Adds a warning.
    #[must_use]
    pub fn warning(mut self, text: impl Into<String>) -> Self {
        self.warnings.push(text.into());
        self
    }

    /// Sets [`Summary::log`].
    #[must_use]
    pub fn log(mut self, text: impl Into<String>) -> Self {
        self.log = Some(text.into());
        self
    }
}

/// Takes the artifacts of one backup. Given to [`Source::capture`] by the engine.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Opens an artifact. May be called again while others are open.
    ///
    /// # Errors
    /// `artifact.name_taken`; `artifact.encoding` when [`Encoding::AsIs`] meets a configured compression; those of the store.
    async fn artifact(&self, name: &ArtifactName, options: ArtifactOptions) -> Result<Box<dyn ArtifactWriter>>;

    /// Stores an artifact whose bytes all lie in memory: what [`Sink::artifact`], one write and a close do, in one step and with nothing
    /// kept back. Several may be under way at a time; how many is the source's to bound, and their bytes are its own
    /// ([`Source::working_memory`]).
    ///
    /// # Errors
    /// As [`Sink::artifact`] and [`ArtifactWriter::close`].
    ///
    /// # Cancel safety
    /// Not cancel safe: a dropped call leaves it open whether the object is there, and the backup is not published then.
    async fn put(&self, name: &ArtifactName, data: Bytes, options: ArtifactOptions) -> Result<ArtifactReceipt> {
        let mut writer = self.artifact(name, options.size_hint(data.len() as u64)).await?;
        writer.write(data).await?;
        writer.close().await
    }

    /// What other programs call the place of this backup's artifacts, where each has its own name: for formats that say in their
    /// own records where their parts lie. `None` when nobody else can reach them.
    fn native_place(&self) -> Option<NativePlace> {
        None
    }

    /// Where a source that writes by itself shall write. The engine inventories that place before it publishes: it reads what lies there
    /// for its digests, but for the objects that the source vouches for.
    ///
    /// # Errors
    /// `source.unsupported` when the store cannot be written from outside.
    fn external_location(&self) -> Result<ExternalLocation>;

    /// Reads an object at the external location as it lies there: `name` is its path below it. Nothing is checked; only the source knows
    /// what it should be.
    ///
    /// # Errors
    /// `store.not_found`; those of the store.
    async fn read_external(&self, name: &ArtifactName) -> Result<ArtifactStream> {
        Err(Error::new(&codes::SOURCE_UNSUPPORTED, format!("this sink cannot read {name} back")))
    }

    /// Tells size and SHA-256 of an object at the external location, as metadata says that the source has checked itself. The engine
    /// then looks only that the object is there with that size, and a verify reads it against that digest.
    ///
    /// # Errors
    /// `artifact.name_taken` when something else was said of that object before.
    fn vouch(&self, name: &ArtifactName, size: u64, sha256: Digest) -> Result<()> {
        let _ = (size, sha256);
        Err(Error::new(&codes::SOURCE_UNSUPPORTED, format!("this sink takes no word for {name}")))
    }
}

/// An artifact being written.
///
/// Dropped without `close`, or closed after an error, it discards the artifact and frees its name.
#[async_trait]
pub trait ArtifactWriter: Send {
    /// Appends bytes, waiting while too many are under way.
    ///
    /// # Cancel safety
    /// Not cancel safe: a dropped call latches the writer as failed.
    async fn write(&mut self, data: Bytes) -> Result<()>;

    /// The SHA-256 of all bytes written so far: a source that knows what it should be compares here and fails before the
    /// artifact is closed. Costs the wait for the bytes under way, no second hashing.
    async fn digest(&mut self) -> Result<Digest>;

    /// Finishes the object at once. It stays invisible until the engine publishes a manifest that names it.
    async fn close(self: Box<Self>) -> Result<ArtifactReceipt>;
}

/// How an artifact may be stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// The engine compresses as configured.
    #[default]
    Free,
    /// Its bytes are part of a contract: the engine only hashes.
    AsIs,
}

/// Options of [`Sink::artifact`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ArtifactOptions {
    /// About how many bytes will come.
    pub size_hint: Option<u64>,
    /// Whether the engine may compress.
    pub encoding: Encoding,
    /// Where the source stands by now, if it knows better than at its probe: names that tell a position tell this one.
    pub probe: Option<Probe>,
}

impl ArtifactOptions {
    /// Sets [`ArtifactOptions::size_hint`].
    #[must_use]
    pub fn size_hint(mut self, bytes: u64) -> Self {
        self.size_hint = Some(bytes);
        self
    }

    /// Sets [`ArtifactOptions::probe`].
    #[must_use]
    pub fn probe(mut self, probe: Probe) -> Self {
        self.probe = Some(probe);
        self
    }

    /// Sets [`Encoding::AsIs`].
    #[must_use]
    pub fn as_is(mut self) -> Self {
        self.encoding = Encoding::AsIs;
        self
    }
}

/// What was written of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArtifactReceipt {
    /// Bytes the source wrote.
    pub size: u64,
    /// Their SHA-256.
    pub sha256: Digest,
    /// Bytes that were stored.
    pub stored_size: u64,
}

impl ArtifactReceipt {
    /// A receipt, for a sink of one's own.
    pub fn new(size: u64, sha256: Digest, stored_size: u64) -> Self {
        Self { size, sha256, stored_size }
    }
}

/// A published backup, open for reading. Given to [`Source::restore`] and [`Source::inspect`] by the engine.
#[async_trait]
pub trait BackupReader: Send + Sync {
    /// The manifest of the backup.
    fn manifest(&self) -> &Manifest;

    /// The names of its artifacts, in the order in which they were opened.
    fn artifacts(&self) -> Vec<ArtifactName>;

    /// As [`BackupReader::artifacts`], one at a time: there may be very many.
    fn names(&self) -> Box<dyn Iterator<Item = ArtifactName> + Send + '_> {
        Box::new(self.artifacts().into_iter())
    }

    /// Size and SHA-256 of an artifact as it is stored; `None` when there is none of that name, or the reader cannot say.
    fn entry(&self, name: &ArtifactName) -> Option<(u64, Digest)> {
        let _ = name;
        None
    }

    /// Looks whether every artifact is there with its size. For a source whose restore is done by another program: nothing of what that
    /// reads passes through here.
    ///
    /// # Errors
    /// `artifact.missing`; those of the store.
    async fn check_sizes(&self, cx: &JobContext) -> Result<()> {
        let _ = cx;
        Ok(())
    }

    /// Where another program finds the backup, when the store can be reached from outside.
    fn external_location(&self) -> Option<ExternalLocation> {
        None
    }

    /// As [`Sink::native_place`].
    fn native_place(&self) -> Option<NativePlace> {
        None
    }

    /// The backups that this one needs for a restore, the oldest first; empty for one that stands alone.
    ///
    /// # Errors
    /// `backup.not_found` when one of them is gone; those of the store.
    async fn parents(&self, cx: &JobContext) -> Result<Vec<Arc<dyn BackupReader>>> {
        let _ = cx;
        Ok(Vec::new())
    }

    /// The bytes the source wrote, decompressed, from the start.
    ///
    /// Where another program wrote the artifact and a digest of the whole is all there is, bytes are handed out before they are checked;
    /// the check comes at the end there, too.
    ///
    /// No other byte is handed out before the block it was stored in was checked. The stream ends without an error only after
    /// the digest of the whole artifact was checked, too.
    ///
    /// # Errors
    /// `backup.not_found` for an unknown name; in the stream `artifact.corrupt`, `artifact.missing` and those of the store.
    async fn open(&self, cx: &JobContext, name: &ArtifactName) -> Result<ArtifactStream>;

    /// Bytes of the artifact as they are stored (compressed ones stay so), each block checked before it is handed out.
    ///
    /// # Errors
    /// As [`BackupReader::open`]; `input.invalid` for a range outside the object.
    async fn open_stored(
        &self,
        cx: &JobContext,
        name: &ArtifactName,
        range: Option<std::ops::Range<u64>>,
    ) -> Result<ArtifactStream>;
}

/// Checked bytes. An end without an error item means that everything promised was checked.
pub type ArtifactStream = BoxStream<'static, Result<Bytes>>;

/// Where to bring a backup back to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RestoreTarget {
    /// What the source documents: a path, a cluster, a command.
    pub value: Value,
    /// Check everything, change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

impl RestoreTarget {
    /// A real restore into what `value` describes.
    pub fn new(value: Value) -> Self {
        Self { value, dry_run: false }
    }

    /// Sets [`RestoreTarget::dry_run`].
    #[must_use]
    pub fn dry_run(mut self, yes: bool) -> Self {
        self.dry_run = yes;
        self
    }

    /// The value as the source's own type.
    ///
    /// # Errors
    /// `input.invalid`, naming the key.
    pub fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        T::deserialize(&self.value)
            .map_err(|error| Error::new(&codes::INPUT_INVALID, format!("the restore target is not usable: {error}")))
    }
}

/// What a restore did.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct RestoreReport {
    /// Bytes handed to the target.
    pub bytes: u64,
    /// What somebody should know.
    pub warnings: Vec<String>,
    /// What the source wants to tell about it.
    pub details: Value,
}

impl RestoreReport {
    /// A restore of `bytes` bytes.
    pub fn new(bytes: u64) -> Self {
        Self { bytes, ..Self::default() }
    }

    /// Adds a warning.
    #[must_use]
    pub fn warning(mut self, text: impl Into<String>) -> Self {
        self.warnings.push(text.into());
        self
    }

    /// Sets [`RestoreReport::details`].
    #[must_use]
    pub fn details(mut self, details: Value) -> Self {
        self.details = details;
        self
    }
}

/// What [`Source::inspect`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// What was checked, in words.
    pub checks: Vec<String>,
    /// What is wrong with the backup; empty when it is good.
    pub faults: Vec<String>,
}

impl Inspection {
    /// Adds a check that was made.
    #[must_use]
    pub fn check(mut self, text: impl Into<String>) -> Self {
        self.checks.push(text.into());
        self
    }

    /// Adds a fault.
    #[must_use]
    pub fn fault(mut self, text: impl Into<String>) -> Self {
        self.faults.push(text.into());
        self
    }
}
