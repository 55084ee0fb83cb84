//! The open file: how it is opened and checked, and transactions on it.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use backup_core::{Effect, Error, Result};
use redb::{Database, ReadTransaction, ReadableDatabase, WriteTransaction};

use super::error::{damaged, failed, io_failed};
use super::tables::{self, Origin};

/// Memory for pages of the file.
const CACHE: usize = 1 << 20;
/// A file that is smaller is not worth compacting.
const COMPACT_ABOVE: u64 = 4 << 20;

/// The state file. Opened anew after a failure of the medium, because redb refuses everything from then on.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    database: RwLock<Option<Database>>,
}

impl File {
    pub(super) fn open(path: PathBuf) -> Result<Self> {
        let database = RwLock::new(Some(open(&path)?));
        Ok(Self { path, database })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads as of one instant.
    pub(super) fn read<T>(&self, work: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>) -> Result<T> {
        self.with("reading", |database| {
            let worked = database.begin_read().map_err(redb::Error::from).and_then(|transaction| work(&transaction));
            worked.map_err(|error| (error, Effect::None))
        })
    }

    /// Changes something, durable when this returns. `None` from `work` leaves everything as it is.
    pub(super) fn write<T>(&self, work: impl FnOnce(&WriteTransaction) -> Result<Option<T>, redb::Error>) -> Result<Option<T>> {
        self.with("writing to", |database| {
            let begun = database.begin_write().map_err(redb::Error::from);
            let worked = begun.and_then(|transaction| Ok((work(&transaction)?, transaction)));
            let (value, transaction) = worked.map_err(|error| (error, Effect::None))?;
            match value {
                Some(value) => {
                    transaction.commit().map_err(|error| (error.into(), Effect::Unknown))?;
                    Ok(Some(value))
                }
                None => {
                    transaction.abort().map_err(|error| (error.into(), Effect::None))?;
                    Ok(None)
                }
            }
        })
    }

    fn with<T>(&self, doing: &str, work: impl FnOnce(&Database) -> Result<T, (redb::Error, Effect)>) -> Result<T> {
        let worked = {
            let opened = self.database.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(database) = &*opened {
                work(database)
            } else {
                drop(opened);
                let mut closed = self.database.write().unwrap_or_else(PoisonError::into_inner);
                match &mut *closed {
                    Some(database) => work(database),
                    None => work(closed.insert(open(&self.path)?)),
                }
            }
        };
        worked.map_err(|(error, effect)| {
            if matches!(error, redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::DatabaseClosed) {
                *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
            }
            failed(doing, &self.path, error).with_effect(effect)
        })
    }
}

/// Opens the file, made when it is missing, and checks it whole.
fn open(path: &Path) -> Result<Database> {
    let shown = path.display().to_string();
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| io_failed("making the directory of", &shown, error))?;
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(|error| io_failed("opening", &shown, error))?;
    // Damage can make redb panic, although rarely; that is no reason for this process to end without a word.
    let opened = catch_unwind(AssertUnwindSafe(|| set_up(path, file)));
    let database = opened.unwrap_or_else(|_| Err(damaged(&shown, "reading it fails")))?;
    let synced = std::fs::File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|error| io_failed("syncing the directory of", &shown, error))?;
    Ok(database)
}

fn set_up(path: &Path, file: std::fs::File) -> Result<Database> {
    let opening = |error: redb::Error| failed("opening", path, error);
    let mut database = Database::builder().set_cache_size(CACHE).create_file(file).map_err(|error| opening(error.into()))?;
    let transaction = database.begin_write().map_err(|error| opening(error.into()))?;
    match tables::set_up(&transaction).map_err(opening)? {
        Origin::New => transaction.commit().map_err(|error| opening(error.into()))?,
        Origin::Ours => transaction.abort().map_err(|error| opening(error.into()))?,
        Origin::Foreign => return Err(damaged(&path.display().to_string(), "it is the database of another program")),
        Origin::Newer(format) => {
            let text =
                format!("a newer version wrote the state file {} (format {format}); upgrade, or move it away", path.display());
            return Err(Error::new(&super::codes::STATE_NEWER, text));
        }
    }
    if !database.check_integrity().map_err(|error| opening(error.into()))? {
        tracing::warn!(path = %path.display(), "the state file was not closed well and has been repaired");
    }
    if let Err(error) = compact(path, &mut database) {
        tracing::warn!(path = %path.display(), %error, "the state file could not be compacted");
    }
    Ok(database)
}

/// Gives space back when less than half of a bigger file is in use.
fn compact(path: &Path, database: &mut Database) -> Result<(), redb::Error> {
    let size = std::fs::metadata(path)?.len();
    if size <= COMPACT_ABOVE {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    let stats = transaction.stats()?;
    transaction.abort()?;
    let used = stats.allocated_pages().saturating_mul(stats.page_size() as u64);
    if used < size / 2 {
        database.compact()?;
    }
    Ok(())
}
