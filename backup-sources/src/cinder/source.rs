//! The source: a volume of Cinder.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use backup_core::{
    BackupReader, Inspection, JobContext, Probe, RestoreReport, RestoreTarget, Result, Sink, Source, Summary, async_trait,
};

use super::access::VolumeAccess;
use super::client::{Cinder, Patience, Volume, check_id};
use super::target::NewVolume;
use super::temporary::check_owner;
use super::{capture, format, restore};

/// How volumes are backed up and restored.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SourceOptions {
    /// How backups are written.
    pub format: format::Options,
    /// Whose our things at Cinder are: a text of the program, the same after a restart, and of no other program at that Cinder.
    pub owner: String,
    /// How long Cinder is waited for.
    pub patience: Patience,
}

impl SourceOptions {
    /// The defaults for everything but the owner.
    pub fn new(owner: impl Into<String>) -> Self {
        Self { format: format::Options::default(), owner: owner.into(), patience: Patience::default() }
    }

    /// Sets [`SourceOptions::format`].
    #[must_use]
    pub fn format(mut self, format: format::Options) -> Self {
        self.format = format;
        self
    }

    /// Sets [`SourceOptions::patience`].
    #[must_use]
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }
}

/// A volume of Cinder. Cheap to clone; clones share the snapshot that a capture has kept.
///
/// # Behavior
/// - A capture makes a snapshot, of a volume in use too, and reads it: where it is, or through a temporary volume and an attachment, as the access
///   needs it. Everything temporary is gone when it returns, on every way out; what cannot be removed is a warning, and is found again by
///   [`Cinder::leftovers`].
/// - With [`CinderSource::incremental`] it stores what changed since a parent. Where the access can tell what changed since the parent's
///   snapshot, only that is read; otherwise the whole volume is read, and compared with the parent's digests.
/// - With [`CinderSource::keep_snapshot`] the snapshot stays as the base of the next backup. Its id is the revision.
/// - A restore takes a [`Target`](super::Target).
///
/// # Errors
/// `cinder.grown`, `cinder.no_base` and `cinder.other_parent` say that a full backup is to be made instead. Those of Cinder, the access and the
/// format.
#[derive(Clone)]
pub struct CinderSource {
    pub(super) cinder: Cinder,
    pub(super) access: Arc<dyn VolumeAccess>,
    pub(super) options: SourceOptions,
    pub(super) volume: Option<String>,
    pub(super) naming: Naming,
    /// A snapshot that is there already, to be read and left alone.
    pub(super) snapshot: Option<String>,
    pub(super) parent: Option<Parent>,
    pub(super) keep: bool,
    /// The snapshot that the newest capture has kept.
    pub(super) kept: Arc<Mutex<Option<String>>>,
}

/// What a backup is called.
#[derive(Debug, Clone, Default)]
pub(super) struct Naming {
    pub(super) backup_id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
}

/// What an incremental backup builds on.
#[derive(Clone)]
pub(super) struct Parent {
    pub(super) reader: Arc<dyn BackupReader>,
    /// The snapshot that it was read from, while that is there.
    pub(super) base: Option<String>,
}

impl CinderSource {
    /// A source of no volume yet: [`CinderSource::volume`] says which. Connects to nothing.
    ///
    /// # Errors
    /// `cinder.config` for an owner that is none; `input.invalid` for what backups cannot be written with.
    pub fn new(cinder: Cinder, access: Arc<dyn VolumeAccess>, options: SourceOptions) -> Result<Self> {
        check_owner(&options.owner)?;
        options.format.check()?;
        let (naming, kept) = (Naming::default(), Arc::default());
        Ok(Self { cinder, access, options, volume: None, naming, snapshot: None, parent: None, keep: false, kept })
    }

    /// The same source, of this volume.
    ///
    /// # Errors
    /// `cinder.id`.
    pub fn volume(&self, id: &str) -> Result<Self> {
        let volume = Some(check_id("volume", id)?.to_owned());
        Ok(Self { volume, kept: Arc::default(), ..self.clone() })
    }

    /// The same source, whose next backup has this id at Cinder, a UUID that no other has; a random one otherwise.
    ///
    /// # Errors
    /// `cinder.id`.
    pub fn backup_id(&self, id: &str) -> Result<Self> {
        let backup_id = Some(check_id("backup", id)?.to_owned());
        Ok(Self { naming: Naming { backup_id, ..self.naming.clone() }, ..self.clone() })
    }

    /// The same source, whose backups are called so; otherwise as their volume.
    #[must_use]
    pub fn named(&self, name: impl Into<String>, description: Option<String>) -> Self {
        Self { naming: Naming { name: Some(name.into()), description, ..self.naming.clone() }, ..self.clone() }
    }

    /// The same source, which reads a snapshot of the volume that is there already, and leaves it alone.
    ///
    /// # Errors
    /// `cinder.id`.
    pub fn snapshot(&self, id: &str) -> Result<Self> {
        Ok(Self { snapshot: Some(check_id("snapshot", id)?.to_owned()), ..self.clone() })
    }

    /// The same source, for backups of what changed since `parent`; `base` is the snapshot that the parent was read from, if that was kept.
    ///
    /// # Errors
    /// `cinder.id`.
    pub fn incremental(&self, parent: Arc<dyn BackupReader>, base: Option<&str>) -> Result<Self> {
        let base = base.map(|base| check_id("snapshot", base).map(str::to_owned)).transpose()?;
        Ok(Self { parent: Some(Parent { reader: parent, base }), ..self.clone() })
    }

    /// The same source, whose snapshot stays at Cinder when a capture went well, in the role of a base; [`CinderSource::settle`] is called
    /// when it is known whether the backup was published.
    #[must_use]
    pub fn keep_snapshot(&self, yes: bool) -> Self {
        Self { keep: yes, kept: Arc::default(), ..self.clone() }
    }

    /// The snapshot that the newest capture has kept.
    pub fn kept_snapshot(&self) -> Option<String> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends what [`CinderSource::keep_snapshot`] began: of a backup that was published, the base of its parent is removed; of another one,
    /// the snapshot that its capture has kept. May be called again.
    ///
    /// # Errors
    /// Those of Cinder: then the snapshot is still there, in the role of a base that no record names.
    pub async fn settle(&self, cx: &JobContext, published: bool) -> Result<()> {
        let kept = self.kept_snapshot();
        let base = self.parent.as_ref().and_then(|parent| parent.base.clone());
        let over = if published { base.filter(|base| Some(base) != kept.as_ref()) } else { kept };
        let Some(over) = over else { return Ok(()) };
        self.cinder.remove_snapshot_for_good(cx, &over).await?;
        if !published {
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        Ok(())
    }

    /// Orders the volume of a restore, and answers as soon as Cinder has given it an id; a restore into
    /// `{"volume-id": …, "new": …}` brings the backup into it. Size at least that of the backup, which is also the default.
    ///
    /// # Errors
    /// `cinder.too_small`, `cinder.quota`; those of Cinder. With the effect `unknown` it may be there, in the role `restoring`.
    pub async fn create_volume(&self, cx: &JobContext, reader: &dyn BackupReader, new: &NewVolume) -> Result<Volume> {
        restore::create_volume(self, cx, reader, new).await
    }

    /// Ends a restore into a volume of [`CinderSource::create_volume`]: gives it what `new` says and frees it, or, when it `failed`, deletes
    /// it; one that cannot be deleted stays, and says why in its metadata. A restore does this by itself; who does not know whether one did calls
    /// it, again if need be. A volume that is gone is settled.
    ///
    /// # Errors
    /// Those of Cinder.
    pub async fn settle_volume(&self, cx: &JobContext, volume: &str, new: &NewVolume, failed: Option<&str>) -> Result<()> {
        restore::settle_volume(self, cx, volume, new, failed).await
    }

    /// Sets a volume back to one of its snapshots, whichever it is, and returns when all of it is done. It is `available`, or in use by an
    /// instance that is off, which the caller knows.
    ///
    /// # Behavior
    /// Its metadata say that it is being overwritten while this runs, and why it is not whole when it fails. May be called again then.
    ///
    /// # Errors
    /// `cinder.not_found` also when the snapshot is none of the volume; `cinder.state`; those of Cinder and the access.
    pub async fn rollback(&self, cx: &JobContext, volume: &str, snapshot: &str) -> Result<()> {
        super::rollback::rollback(self, cx, volume, snapshot).await
    }

    /// Ends what a rollback still holds of a volume, one that was interrupted or could not free it.
    ///
    /// # Behavior
    /// The metadata of the volume decide. Of one that is whole our attachment and mark are taken. One that half a rollback is in is freed of
    /// our attachment and stays marked, and the answer is `false`: to be rolled back again; with `failed` its metadata say that instead, and it
    /// is given back. One that is gone, or that carries no mark of ours, is left alone. May be called again.
    ///
    /// # Errors
    /// Those of Cinder.
    pub async fn end_rollback(&self, cx: &JobContext, volume: &str, failed: Option<&str>) -> Result<bool> {
        super::rollback::end(self, cx, volume, failed).await
    }

    /// Whether all of a backup is in a volume of [`CinderSource::create_volume`] that was not settled yet.
    ///
    /// # Errors
    /// Those of Cinder.
    pub async fn is_restored(&self, cx: &JobContext, volume: &str) -> Result<bool> {
        super::restore::is_restored(self, cx, volume).await
    }
}

#[async_trait]
impl Source for CinderSource {
    fn kind(&self) -> &str {
        "cinder"
    }

    async fn probe(&self, cx: &JobContext) -> Result<Probe> {
        capture::probe(self, cx).await
    }

    /// The digests, which are written while the objects are.
    fn open_artifacts(&self) -> usize {
        1
    }

    fn working_memory(&self) -> u64 {
        self.options.format.working_memory()
    }

    async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        capture::capture(self, cx, sink).await
    }

    async fn restore(&self, cx: &JobContext, reader: &dyn BackupReader, target: &RestoreTarget) -> Result<RestoreReport> {
        restore::restore(self, cx, reader, target).await
    }

    async fn inspect(&self, cx: &JobContext, reader: &dyn BackupReader) -> Result<Inspection> {
        format::inspect(cx, reader).await
    }
}

impl fmt::Debug for CinderSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CinderSource")
            .field("volume", &self.volume)
            .field("access", &self.access.kind())
            .field("incremental", &self.parent.is_some())
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}
