//! `restore`: into files, to standard output, into an etcd data directory, or a volume into an image or onto a device. But for a device nothing is ever
//! overwritten.

#[cfg(feature = "etcd")]
mod etcd;
mod files;
mod stream;
#[cfg(feature = "cinder")]
mod volume;

use std::path::Path;

use backup_core::manifest::Artifact;
use backup_core::repository::StoredBackup;
use backup_core::source::{ArtifactStream, BackupReader};
use backup_core::{JobContext, Result};

use super::arguments::Restore;
use super::failure::Failure;
use super::output::note;
use super::session::Session;
#[cfg(feature = "etcd")]
pub(super) use etcd::source_of as etcd_source;

pub(super) async fn run(session: &Session, restore: Restore) -> Result<(), Failure> {
    if restore.etcd.etcd_data_dir.is_some() {
        #[cfg(feature = "etcd")]
        return etcd::run(session, &restore).await;
        #[cfg(not(feature = "etcd"))]
        return Err(Failure::usage(
            "this backupctl was built without etcd: build it with --features etcd, or restore with --to and run etcdutl snapshot restore",
        ));
    }
    // Beside `--to` clap lets them pass, because `--to` rules out the flag that they belong to.
    if restore.etcd.is_used() {
        return Err(Failure::usage("--name and the other flags of etcdutl go with --etcd-data-dir"));
    }
    if restore.volume_image.is_some() || restore.volume_device.is_some() {
        #[cfg(feature = "cinder")]
        return volume::run(session, &restore).await;
        #[cfg(not(feature = "cinder"))]
        return Err(Failure::usage("this backupctl was built without volumes: build it with --features cinder"));
    }
    match restore.to.as_deref() {
        Some(path) if path == Path::new("-") => stream::run(session, &restore).await,
        Some(path) => files::run(session, &restore, path).await,
        None => Err(Failure::usage("where to? give --to PATH or --to -")),
    }
}

/// The backup, open for reading, and those of its artifacts that were asked for.
async fn open(session: &Session, cx: &JobContext, restore: &Restore) -> Result<(StoredBackup, Vec<Artifact>), Failure> {
    let repository = session.place.read_only(cx).await?;
    let info = session.place.find(cx, &repository, &restore.backup.set, &restore.backup.id).await?;
    note(&format!("backup {} of {}", info.id, info.set));
    let backup = repository.open(cx, &info.set, &info.id).await?;
    let all = backup.entries();
    if let Some(missing) = restore.artifact.iter().find(|name| !all.iter().any(|artifact| artifact.name == **name)) {
        let names: Vec<_> = all.iter().take(20).map(|artifact| artifact.name.to_string()).collect();
        return Err(Failure::not_found(format!("backup {} has no artifact `{missing}`; it has {}", info.id, names.join(", "))));
    }
    let chosen: Vec<_> =
        all.iter().filter(|artifact| restore.artifact.is_empty() || restore.artifact.contains(&artifact.name)).cloned().collect();
    let bytes = chosen.iter().map(|artifact| if restore.decompressed { artifact.size } else { artifact.stored.size });
    cx.progress().expect(bytes.fold(0, u64::saturating_add));
    Ok((backup, chosen))
}

/// The checked bytes of an artifact, as stored or as the source wrote them.
async fn bytes(cx: &JobContext, backup: &StoredBackup, artifact: &Artifact, decompressed: bool) -> Result<ArtifactStream> {
    match decompressed {
        true => backup.open(cx, &artifact.name).await,
        false => backup.open_stored(cx, &artifact.name, None).await,
    }
}

/// The file's name below the directory: the artifact's, with the suffix that tools expect of stored bytes.
fn file_name(artifact: &Artifact, decompressed: bool) -> String {
    let (name, suffix) = (artifact.name.as_str(), artifact.compression.suffix());
    match decompressed {
        false if !name.ends_with(suffix) => format!("{name}{suffix}"),
        true => name.strip_suffix(suffix).unwrap_or(name).to_owned(),
        false => name.to_owned(),
    }
}
