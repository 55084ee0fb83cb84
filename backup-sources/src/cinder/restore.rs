//! From a backup to a volume, or a file.

use std::collections::BTreeMap;

use backup_core::{BackupReader, Error, JobContext, RestoreReport, RestoreTarget, Result};
use serde_json::json;

use super::access::{FileVolume, Place, VolumeWriter};
use super::client::{CreateVolume, GIB, Mode, Volume, gone};
use super::codes;
use super::format;
use super::source::CinderSource;
use super::target::{Into, NewVolume, Target};
use super::temporary::{CLEANUP, FAILED, Mark, OWNER, ROLE, Role, Temporaries, half_unmarked, retried};
use super::volume_meta::VolumeMeta;

pub(super) async fn restore(
    source: &CinderSource,
    cx: &JobContext,
    reader: &dyn BackupReader,
    target: &RestoreTarget,
) -> Result<RestoreReport> {
    cx.check()?;
    let into = target.parse::<Target>()?.check()?;
    // Cinder may be in the middle of a restart when nothing of the backup can be read.
    reader.parents(cx).await?;
    reader.check_sizes(cx).await?;
    if target.dry_run {
        check(source, cx, reader, &into).await?;
        return Ok(RestoreReport::new(size(reader).unwrap_or_default()));
    }
    match into {
        Into::Existing(id) => into_existing(source, cx, reader, &id).await,
        Into::New(new) => {
            let order = order(reader, &new)?;
            let mut temporaries = Temporaries::new(&source.cinder, &source.options.owner);
            let made = temporaries.volume(cx, Role::Restoring, order, source.options.patience).await;
            into_new(source, cx, reader, &new, made, temporaries).await
        }
        Into::Prepared(id, new) => {
            let mut temporaries = Temporaries::new(&source.cinder, &source.options.owner);
            let volume = prepared(source, cx, &id, &mut temporaries).await;
            into_new(source, cx, reader, &new, volume, temporaries).await
        }
        Into::File(path) => {
            let size = size(reader).ok_or_else(|| {
                Error::new(&codes::TOO_SMALL, "the backup does not say how big its volume was: restore it into a volume")
            })?;
            let bytes = fill(cx, reader, FileVolume::create(cx, &path, size).await?, true).await?;
            Ok(RestoreReport::new(bytes).details(json!({ "file": path })))
        }
    }
}

/// What a dry run looks at.
async fn check(source: &CinderSource, cx: &JobContext, reader: &dyn BackupReader, into: &Into) -> Result<()> {
    match into {
        Into::Existing(id) => check_existing(&source.cinder.volume(cx, id).await?, reader),
        Into::Prepared(id, _) => check_prepared(source, &source.cinder.volume(cx, id).await?),
        Into::New(new) => {
            order(reader, new)?;
            let Some(wanted) = &new.volume_type else { return Ok(()) };
            let types = source.cinder.volume_types(cx).await?;
            match types.iter().any(|there| there.name == *wanted || there.id == *wanted) {
                true => Ok(()),
                false => Err(Error::new(&codes::NOT_FOUND, format!("Cinder has no volume type `{wanted}`"))),
            }
        }
        Into::File(path) => match path.try_exists() {
            Ok(false) => Ok(()),
            Ok(true) => {
                let text = format!("{} is there already", path.display());
                Err(Error::new(&backup_core::error::codes::STORE_EXISTS, text))
            }
            Err(error) => {
                let text = format!("looking at {}", path.display());
                Err(Error::new(&backup_core::error::codes::STORE_IO, text).with_source(error))
            }
        },
    }
}

fn check_existing(volume: &Volume, reader: &dyn BackupReader) -> Result<()> {
    let id = &volume.id;
    if volume.status != "available" {
        let text = format!("the volume {id} is `{}`; a backup is restored into one that is `available`", volume.status);
        return Err(Error::new(&codes::STATE, text));
    }
    check_encryption(volume)?;
    match size(reader) {
        Some(size) if volume.bytes() < size => {
            let text = format!("the volume {id} has {} bytes, and the backup is of {size}", volume.bytes());
            Err(Error::new(&codes::TOO_SMALL, text))
        }
        _ => Ok(()),
    }
}

fn check_encryption(volume: &Volume) -> Result<()> {
    if volume.encrypted {
        let text = format!("the volume {} is encrypted by Cinder: what is written beside that is of no use in it", volume.id);
        return Err(Error::new(&codes::ENCRYPTED, text));
    }
    Ok(())
}

/// Somebody's volume: our attachment holds it until all of it is written, and its metadata say what is being done to it.
async fn into_existing(source: &CinderSource, cx: &JobContext, reader: &dyn BackupReader, id: &str) -> Result<RestoreReport> {
    let volume = source.cinder.volume(cx, id).await?;
    check_existing(&volume, reader)?;
    let held = Held::take(source, cx, &volume).await?;
    let written = async {
        let writer = held.writer(source, cx, &volume, false).await?;
        fill(cx, reader, writer, false).await
    };
    let written = written.await;
    let warnings = held.release(source, cx, written.as_ref().err()).await?;
    let mut report = RestoreReport::new(written?).details(json!({ "volume-id": id }));
    report.warnings = warnings;
    Ok(report)
}

/// A volume of somebody's that we hold.
pub(super) struct Held {
    volume: String,
    temporaries: Temporaries,
    connection: Option<serde_json::Value>,
}

impl Held {
    /// Marks a volume, and attaches it when it is `available`: one in use is held by its instance.
    pub(super) async fn take(source: &CinderSource, cx: &JobContext, volume: &Volume) -> Result<Self> {
        let mark = Mark::new(cx, &source.options.owner, Role::Overwriting)?;
        source.cinder.set_volume_metadata(cx, &volume.id, &mark.metadata()).await?;
        let mut temporaries = Temporaries::new(&source.cinder, &source.options.owner);
        let mut connection = None;
        if volume.status == "available" {
            match temporaries.attach(cx, &volume.id, Mode::ReadWrite).await {
                Ok(attachment) => connection = attachment.connection_info,
                Err(error) => {
                    temporaries.remove(cx).await;
                    unmark(source, cx, &volume.id).await;
                    return Err(error);
                }
            }
        }
        Ok(Self { volume: volume.id.clone(), temporaries, connection })
    }

    async fn writer(
        &self,
        source: &CinderSource,
        cx: &JobContext,
        volume: &Volume,
        fresh: bool,
    ) -> Result<Box<dyn VolumeWriter>> {
        let place =
            Place { volume: volume.id.clone(), snapshot: None, size: volume.bytes(), connection: self.connection.clone() };
        source.access.write(cx, &place, fresh).await
    }

    /// Gives it back: its metadata say why it is not whole, or nothing more.
    pub(super) async fn release(self, source: &CinderSource, cx: &JobContext, failed: Option<&Error>) -> Result<Vec<String>> {
        let Self { volume, temporaries, .. } = self;
        let cleanup = &cx.for_cleanup(CLEANUP);
        let said = retried(cleanup, || async {
            match failed {
                Some(error) => source.cinder.mark_failed(cleanup, &volume, &not_whole(error)).await,
                None => say_restored(source, cleanup, &volume).await,
            }
        });
        let said = said.await;
        let warnings = temporaries.remove(cx).await;
        // Without a word of it in its metadata, a recovery has to find it.
        if said.is_ok() && warnings.is_empty() {
            unmark(source, cx, &volume).await;
        }
        match (said, failed) {
            (Err(error), None) => Err(error.with_effect(backup_core::Effect::Applied)),
            _ => Ok(warnings),
        }
    }
}

fn not_whole(error: &Error) -> String {
    format!("it is not whole: {error}")
}

async fn say_restored(source: &CinderSource, cx: &JobContext, volume: &str) -> Result<()> {
    let role = BTreeMap::from([(ROLE.to_owned(), Role::Restored.as_str().to_owned())]);
    source.cinder.set_volume_metadata(cx, volume, &role).await?;
    source.cinder.remove_volume_metadata(cx, volume, FAILED).await
}

/// Takes our mark from a volume. What stays of it is taken by a recovery.
async fn unmark(source: &CinderSource, cx: &JobContext, volume: &str) {
    let cleanup = &cx.for_cleanup(CLEANUP);
    if let Err(error) = retried(cleanup, || source.cinder.unmark(cleanup, volume)).await {
        tracing::warn!(%error, "the volume {volume} still carries our mark");
    }
}

/// A new volume: nobody's until all of it is written.
async fn into_new(
    source: &CinderSource,
    cx: &JobContext,
    reader: &dyn BackupReader,
    new: &NewVolume,
    made: Result<Volume>,
    mut temporaries: Temporaries,
) -> Result<RestoreReport> {
    let written = match made {
        Ok(volume) => match write_new(source, cx, reader, new, &volume, &mut temporaries).await {
            Ok(bytes) => Ok((bytes, volume)),
            Err(error) => {
                // Before it is deleted: should that fail, it says what it is.
                let cleanup = &cx.for_cleanup(CLEANUP);
                if let Err(error) = source.cinder.mark_failed(cleanup, &volume.id, &not_whole(&error)).await {
                    tracing::warn!(%error, "the volume {} does not say yet that it is not whole", volume.id);
                }
                Err(error)
            }
        },
        Err(error) => Err(error),
    };
    let warnings = temporaries.remove(cx).await;
    match written {
        Ok((bytes, volume)) => {
            unmark(source, cx, &volume.id).await;
            let mut report = RestoreReport::new(bytes).details(json!({ "volume-id": volume.id }));
            report.warnings = warnings;
            Ok(report)
        }
        Err(error) => Err(warnings.into_iter().fold(error, Error::context)),
    }
}

async fn write_new(
    source: &CinderSource,
    cx: &JobContext,
    reader: &dyn BackupReader,
    new: &NewVolume,
    volume: &Volume,
    temporaries: &mut Temporaries,
) -> Result<u64> {
    check_encryption(volume)?;
    if size(reader).is_some_and(|size| volume.bytes() < size) {
        let text = format!("the volume {} has {} bytes, and the backup is of more", volume.id, volume.bytes());
        return Err(Error::new(&codes::TOO_SMALL, text));
    }
    let attachment = temporaries.attach(cx, &volume.id, Mode::ReadWrite).await?;
    let place = Place { volume: volume.id.clone(), snapshot: None, size: volume.bytes(), connection: attachment.connection_info };
    let bytes = fill(cx, reader, source.access.write(cx, &place, true).await?, true).await?;
    let meta = VolumeMeta::of(cx, reader).await?;
    describe(source, cx, &volume.id, new, &meta).await?;
    say_restored(source, cx, &volume.id).await?;
    temporaries.kept(&volume.id);
    Ok(bytes)
}

/// Name, flags and metadata: what was asked for, and otherwise what the backup has.
async fn describe(source: &CinderSource, cx: &JobContext, id: &str, new: &NewVolume, meta: &VolumeMeta) -> Result<()> {
    let cinder = &source.cinder;
    let name = new.name.as_deref().or(meta.name());
    let description = new.description.as_deref().or(meta.description());
    cinder.rename_volume(cx, id, name, description).await?;
    let image = meta.image_metadata();
    if !image.is_empty() {
        cinder.set_image_metadata(cx, id, &image).await?;
    }
    if new.bootable.unwrap_or(meta.bootable()) {
        cinder.set_bootable(cx, id, true).await?;
    }
    let mut metadata = meta.metadata();
    metadata.extend(new.metadata.clone());
    if metadata.is_empty() {
        return Ok(());
    }
    cinder.set_volume_metadata(cx, id, &metadata).await
}

/// A volume that [`create_volume`] made, waited for.
async fn prepared(source: &CinderSource, cx: &JobContext, id: &str, temporaries: &mut Temporaries) -> Result<Volume> {
    let volume = source.cinder.volume(cx, id).await?;
    check_prepared(source, &volume)?;
    temporaries.adopt(cx, Role::Restoring, id)?;
    let job = BTreeMap::from([(super::temporary::JOB.to_owned(), cx.job().as_str().to_owned())]);
    source.cinder.set_volume_metadata(cx, id, &job).await?;
    source.cinder.wait_for_volume(cx, id, "available", source.options.patience).await
}

/// Nothing but a volume that was made for it is taken for new.
fn check_prepared(source: &CinderSource, volume: &Volume) -> Result<()> {
    let is = |key: &str, wanted: &str| volume.metadata.get(key).is_some_and(|value| value == wanted);
    if is(OWNER, &source.options.owner) && is(ROLE, Role::Restoring.as_str()) {
        return Ok(());
    }
    Err(Error::new(
        &codes::STATE,
        format!("the volume {} was not made for a restore, or one was made into it already", volume.id),
    ))
}

pub(super) async fn create_volume(
    source: &CinderSource,
    cx: &JobContext,
    reader: &dyn BackupReader,
    new: &NewVolume,
) -> Result<Volume> {
    let mark = Mark::new(cx, &source.options.owner, Role::Restoring)?;
    source.cinder.make_volume(cx, &mark, order(reader, new)?).await
}

pub(super) async fn is_restored(source: &CinderSource, cx: &JobContext, id: &str) -> Result<bool> {
    let volume = gone(source.cinder.volume(cx, id).await)?;
    let role = volume.as_ref().and_then(|volume| volume.metadata.get(ROLE)).and_then(|role| Role::of(role));
    let given_back = volume.as_ref().is_some_and(|volume| half_unmarked(&volume.metadata, &source.options.owner));
    Ok(role == Some(Role::Restored) || given_back)
}

pub(super) async fn settle_volume(
    source: &CinderSource,
    cx: &JobContext,
    id: &str,
    new: &NewVolume,
    failed: Option<&str>,
) -> Result<()> {
    let cinder = &source.cinder;
    let Some(volume) = gone(cinder.volume(cx, id).await)? else { return Ok(()) };
    let role = volume.metadata.get(ROLE).and_then(|role| Role::of(role));
    match (role, failed) {
        (Some(Role::Restored), None) => {
            describe(source, cx, id, new, &VolumeMeta::default()).await?;
            cinder.give_back(cx, id, None).await
        }
        (Some(Role::Restoring), None) => {
            Err(Error::new(&codes::STATE, format!("no restore into the volume {id} has come to its end")))
        }
        (Some(Role::Restored | Role::Restoring), Some(why)) => match cinder.remove_made_volume(cx, id).await {
            Ok(()) => Ok(()),
            Err(error) => {
                // What it says already is nearer to the cause.
                if !volume.metadata.contains_key(FAILED) {
                    cinder.mark_failed(cx, id, why).await?;
                }
                Err(error)
            }
        },
        _ if half_unmarked(&volume.metadata, &source.options.owner) => cinder.unmark(cx, id).await,
        // It was settled, and is its owner's now.
        _ => Ok(()),
    }
}

/// What is to be asked of Cinder.
fn order(reader: &dyn BackupReader, new: &NewVolume) -> Result<CreateVolume> {
    let bytes = size(reader);
    let needed = bytes.map(|bytes| bytes.div_ceil(GIB));
    let gib = new.size.or(needed).ok_or_else(|| {
        Error::new(&codes::TOO_SMALL, "the backup does not say how big its volume was: give the `size` of the new one")
    })?;
    if gib < needed.unwrap_or(1).max(1) {
        let text = format!("a volume of {gib} GiB is asked for, and the backup is of {} GiB", needed.unwrap_or(1));
        return Err(Error::new(&codes::TOO_SMALL, text));
    }
    Ok(CreateVolume {
        size: gib,
        // As Cinder calls one that it restores into.
        name: Some(format!("restore_backup_{}", reader.manifest().id)),
        volume_type: new.volume_type.clone(),
        availability_zone: new.availability_zone.clone(),
        ..CreateVolume::default()
    })
}

/// The size of the volume in bytes, where the manifest says so.
///
/// Backups of Cinder's own say less of themselves than ours, but this by the same name.
fn size(reader: &dyn BackupReader) -> Option<u64> {
    reader.manifest().source.integrity.as_ref()?.get("size")?.as_u64()
}

/// Writes everything, and makes it durable; or ends it.
async fn fill(cx: &JobContext, reader: &dyn BackupReader, mut writer: Box<dyn VolumeWriter>, fresh: bool) -> Result<u64> {
    match format::restore(cx, reader, &mut *writer, fresh).await {
        Ok(bytes) => {
            writer.finish().await?;
            Ok(bytes)
        }
        Err(error) => {
            writer.abort().await;
            Err(error)
        }
    }
}
