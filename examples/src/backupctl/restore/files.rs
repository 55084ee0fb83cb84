//! Artifacts as files in a directory: all of them appear when all of them are whole, durable, and under names that were free.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use backup_core::{JobContext, Result};
use futures::TryStreamExt;
use serde_json::json;
use tempfile::TempPath;

use super::super::arguments::Restore;
use super::super::failure::{Class, Failure};
use super::super::session::Session;
use super::super::table::Table;
use super::{bytes, file_name, open};
use crate::quickstart::text;

/// One file of a restore.
struct Restored {
    artifact: String,
    path: PathBuf,
    size: u64,
    /// The whole and durable content under a name that nobody looks at; removed when it is dropped.
    temporary: Option<TempPath>,
}

pub(super) async fn run(session: &Session, restore: &Restore, directory: &Path) -> Result<(), Failure> {
    let cx = session.context();
    let work = async {
        let (backup, artifacts) = open(session, &cx, restore).await?;
        let paths: Vec<_> = artifacts.iter().map(|artifact| directory.join(file_name(artifact, restore.decompressed))).collect();
        paths.iter().try_for_each(|path| free(path))?;
        let mut restored = Vec::new();
        for (artifact, path) in artifacts.iter().zip(paths) {
            let mut stream = bytes(&cx, &backup, artifact, restore.decompressed).await?;
            let mut target = if restore.dry_run { None } else { Some(temporary(&path)?) };
            let mut size = 0;
            while let Some(piece) = stream.try_next().await? {
                size += piece.len() as u64;
                cx.progress().add(piece.len() as u64);
                if let Some(file) = target.take() {
                    target = Some(blocking(move || write(file, &piece)).await?);
                }
            }
            let temporary = match target {
                Some(file) => Some(blocking(move || synced(file)).await?),
                None => None,
            };
            restored.push(Restored { artifact: artifact.name.to_string(), path, size, temporary });
        }
        publish(&cx, &mut restored)?;
        Ok(restored)
    };
    let restored = session.job("restoring", &cx, work).await?;
    session.output.document(&json!({
        "set": restore.backup.set,
        "dry_run": restore.dry_run,
        "files": restored.iter().map(|file| json!({ "artifact": file.artifact, "path": file.path, "size": file.size })).collect::<Vec<_>>(),
    }));
    let mut table = Table::new(&["SIZE", if restore.dry_run { "WOULD BE RESTORED" } else { "RESTORED" }], &[0]);
    restored.iter().for_each(|file| table.row([text::size(file.size), file.path.display().to_string()]));
    session.output.table(&table);
    Ok(())
}

/// Refuses a path that is taken, before anything is read.
pub(super) fn free(path: &Path) -> Result<(), Failure> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Err(taken(path)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("looking for", path, &error)),
    }
}

pub(super) fn taken(path: &Path) -> Failure {
    Failure::new(
        Class::Refused,
        format!("{} exists already and was left as it is; restore into another directory", path.display()),
    )
}

pub(super) fn failed(doing: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Class::Failed, format!("{doing} {} failed: {error}", path.display()))
}

pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file beside the final one, readable by its owner alone.
pub(super) fn temporary(path: &Path) -> Result<tempfile::NamedTempFile, Failure> {
    let directory = parent(path);
    std::fs::create_dir_all(directory).map_err(|error| failed("making the directory", directory, &error))?;
    let made = tempfile::Builder::new().prefix(".restore-").suffix(".partial").tempfile_in(directory);
    made.map_err(|error| failed("making a file in", directory, &error))
}

fn write(mut file: tempfile::NamedTempFile, piece: &[u8]) -> std::io::Result<tempfile::NamedTempFile> {
    file.as_file_mut().write_all(piece)?;
    Ok(file)
}

fn synced(file: tempfile::NamedTempFile) -> std::io::Result<TempPath> {
    file.as_file().sync_all()?;
    Ok(file.into_temp_path())
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let ended = tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?;
    ended.map_err(|error| Failure::new(Class::Failed, format!("writing a restored file failed: {error}")))
}

/// Gives all files their names. Reached only when every byte of every one was checked and is on the disk.
fn publish(cx: &JobContext, restored: &mut [Restored]) -> Result<(), Failure> {
    cx.check()?;
    for file in restored.iter_mut() {
        let Some(temporary) = file.temporary.take() else { continue };
        temporary.persist_noclobber(&file.path).map_err(|failure| match failure.error.kind() {
            std::io::ErrorKind::AlreadyExists => taken(&file.path),
            _ => failed("renaming to", &file.path, &failure.error),
        })?;
        let directory = parent(&file.path);
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| failed("syncing", directory, &error))?;
    }
    Ok(())
}
