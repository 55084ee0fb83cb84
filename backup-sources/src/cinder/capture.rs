//! From a volume to a backup.

use std::sync::PoisonError;

use backup_core::error::codes as core_codes;
use backup_core::{Error, JobContext, Probe, Result, Revision, Sink, Summary};
use chrono::{DateTime, NaiveDateTime, Utc};

use super::access::{Extents, Place};
use super::client::{CreateVolume, Mode, NewSnapshot, Snapshot, Volume, gone, new_id};
use super::format::{self, BLOCK, Content, Written};
use super::source::{CinderSource, Parent};
use super::temporary::{Role, Temporaries};
use super::volume_meta::VolumeMeta;
use super::{access, codes};

pub(super) async fn probe(source: &CinderSource, cx: &JobContext) -> Result<Probe> {
    let volume = source.cinder.volume(cx, volume_id(source)?).await?;
    let version = source.cinder.newest(cx).await?;
    Ok(Probe::default().identity(volume.id.clone()).version(version.to_string()).size_hint(format::digests_size(volume.bytes())))
}

pub(super) async fn capture(source: &CinderSource, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
    cx.check()?;
    let mut temporaries = Temporaries::new(&source.cinder, &source.options.owner);
    let captured = captured(source, cx, sink, &mut temporaries).await;
    let warnings = temporaries.remove(cx).await;
    let mut summary = captured?;
    summary.warnings.extend(warnings);
    Ok(summary)
}

async fn captured(source: &CinderSource, cx: &JobContext, sink: &dyn Sink, temporaries: &mut Temporaries) -> Result<Summary> {
    let volume = source.cinder.volume(cx, volume_id(source)?).await?;
    check_volume(&volume)?;
    if let Some(parent) = &source.parent {
        check_parent(source, cx, parent, &volume).await?;
    }
    let snapshot = snapshot(source, cx, &volume, temporaries).await?;
    let meta = VolumeMeta::new(&volume);
    let backup = format::NewBackup {
        backup_id: source.naming.backup_id.clone().unwrap_or_else(|| new_id(&*cx.environment().random)),
        volume_id: volume.id.clone(),
        name: source.naming.name.clone().unwrap_or_else(|| volume.name.clone()),
        description: source.naming.description.clone(),
        created_at: snapshot.created_at.as_deref().and_then(time).unwrap_or_else(|| cx.clock().now()),
        size: snapshot.bytes(),
        volume_meta: meta.text(),
    };
    if let Some(parent) = &source.parent {
        check_size(parent, &volume.id, backup.size)?;
    }
    let content = content(source, cx, &volume, &snapshot, temporaries).await?;
    let parent = source.parent.as_ref().map(|parent| &*parent.reader);
    let written = format::write(cx, sink, &source.options.format, &backup, parent, content).await?;
    let mut integrity = written.integrity()?;
    meta.note(&mut integrity);
    let mut summary = Summary::default().identity(volume.id.clone()).integrity(integrity);
    summary.version = Some(source.cinder.newest(cx).await?.to_string());
    if source.keep && source.snapshot.is_none() {
        temporaries.keep(cx, &snapshot.id, Role::Base).await?;
        *source.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(snapshot.id.clone());
    }
    // Only what is there still is a position that something can build on.
    if source.keep || source.snapshot.is_some() {
        summary.revision =
            Some(Revision { position: backup_core::Position::Name(snapshot.id), certainty: backup_core::Certainty::Exact });
    }
    Ok(summary)
}

/// The snapshot that is read: the one that was given, or a new one.
async fn snapshot(source: &CinderSource, cx: &JobContext, volume: &Volume, temporaries: &mut Temporaries) -> Result<Snapshot> {
    if let Some(id) = &source.snapshot {
        let snapshot = source.cinder.wait_for_snapshot(cx, id, source.options.patience).await?;
        return of_volume(snapshot, &volume.id);
    }
    let job = cx.job().as_str();
    let name = if source.keep { format!("backup-base-{job}") } else { format!("backup-{job}") };
    let order = NewSnapshot { volume_id: volume.id.clone(), name, ..NewSnapshot::default() };
    let snapshot = temporaries.snapshot(cx, order, source.options.patience).await?;
    of_volume(snapshot, &volume.id)
}

fn of_volume(snapshot: Snapshot, volume: &str) -> Result<Snapshot> {
    match snapshot.volume_id == volume {
        true => Ok(snapshot),
        false => Err(Error::new(&codes::NOT_FOUND, format!("the snapshot {} is none of the volume {volume}", snapshot.id))),
    }
}

/// What is read, and how.
async fn content(
    source: &CinderSource,
    cx: &JobContext,
    volume: &Volume,
    snapshot: &Snapshot,
    temporaries: &mut Temporaries,
) -> Result<Content> {
    if !source.access.reads_snapshots() {
        return Ok(Content::Whole(through_a_volume(source, cx, volume, snapshot, temporaries).await?));
    }
    let (snapshot_id, size) = (Some(snapshot.id.clone()), snapshot.bytes());
    let place = Place { volume: volume.id.clone(), snapshot: snapshot_id, size, connection: None };
    if let Some(base) = source.parent.as_ref().and_then(|parent| parent.base.as_deref())
        && let Some(changes) = source.access.changes(cx, &place, base, BLOCK).await?
    {
        return Ok(Content::Changed(changes));
    }
    Ok(Content::Whole(source.access.read(cx, &place).await?))
}

/// Reads a snapshot that is not reached itself: through a volume that is made of it, and attached.
async fn through_a_volume(
    source: &CinderSource,
    cx: &JobContext,
    volume: &Volume,
    snapshot: &Snapshot,
    temporaries: &mut Temporaries,
) -> Result<Extents> {
    let order = CreateVolume {
        size: snapshot.size,
        name: Some(format!("backup-{}", cx.job().as_str())),
        volume_type: volume.volume_type.clone(),
        snapshot_id: Some(snapshot.id.clone()),
        ..CreateVolume::default()
    };
    let made = temporaries.volume(cx, Role::Temporary, order, source.options.patience).await?;
    let attachment = temporaries.attach(cx, &made.id, Mode::ReadOnly).await?;
    let place = Place { volume: made.id, snapshot: None, size: snapshot.bytes(), connection: attachment.connection_info };
    source.access.read(cx, &place).await
}

/// Whether it is a volume that can be backed up.
fn check_volume(volume: &Volume) -> Result<()> {
    if volume.encrypted {
        let text =
            format!("the volume {} is encrypted by Cinder: what can be read of it is of no use without its key", volume.id);
        return Err(Error::new(&codes::ENCRYPTED, text));
    }
    // Cinder knows best of what it can make a snapshot; of these it never can.
    match volume.status.as_str() {
        "creating" | "deleting" | "error" | "error_deleting" | "downloading" | "maintenance" => {
            Err(Error::new(&codes::STATE, format!("the volume {} is `{}`", volume.id, volume.status)))
        }
        _ => Ok(()),
    }
}

/// Whether the parent is one of this volume, and its base is there.
async fn check_parent(source: &CinderSource, cx: &JobContext, parent: &Parent, volume: &Volume) -> Result<()> {
    check_size(parent, &volume.id, volume.bytes())?;
    let Some(base) = &parent.base else { return Ok(()) };
    let no_base = |why: String| Err(Error::new(&access::codes::NO_BASE, why));
    let read_from = parent.reader.manifest().source.revision.as_ref().map(|revision| revision.position.to_string());
    if read_from.as_ref() != Some(base) {
        return no_base(format!("the backup to build on was not read from the snapshot {base}"));
    }
    match gone(source.cinder.snapshot(cx, base).await)? {
        None => no_base(format!("the snapshot {base} is gone")),
        Some(snapshot) if snapshot.volume_id != volume.id => no_base(format!("the snapshot {base} is one of another volume")),
        Some(snapshot) if snapshot.status != "available" => no_base(format!("the snapshot {base} is `{}`", snapshot.status)),
        Some(_) => Ok(()),
    }
}

fn check_size(parent: &Parent, volume: &str, size: u64) -> Result<()> {
    // Of one of Cinder's own, the format finds out by itself.
    let Ok(written) = Written::of(parent.reader.manifest()) else { return Ok(()) };
    if written.volume_id != volume {
        let text = format!("the backup to build on is one of the volume {}, and this is {volume}", written.volume_id);
        return Err(Error::new(&format::codes::OTHER_PARENT, text));
    }
    if written.size != size {
        let text = format!("the volume {volume} has {size} bytes, and had {} when the backup to build on was made", written.size);
        return Err(Error::new(&format::codes::GROWN, text));
    }
    Ok(())
}

pub(super) fn volume_id(source: &CinderSource) -> Result<&str> {
    source
        .volume
        .as_deref()
        .ok_or_else(|| Error::new(&core_codes::INPUT_INVALID, "the source was not told of which volume it is"))
}

/// A time as Cinder writes it: in UTC, and without saying so.
fn time(text: &str) -> Option<DateTime<Utc>> {
    NaiveDateTime::parse_from_str(text.trim_end_matches('Z'), "%Y-%m-%dT%H:%M:%S%.f").ok().map(|time| time.and_utc())
}
