#![doc = include_str!("docs.md")]

pub mod codes;
mod error;
mod file;
mod leases;
mod tables;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use backup_core::error::codes as core_codes;
use backup_core::lease::Lease;
use backup_core::state::{Entry, Expected, State};
use backup_core::{Bytes, Effect, Error, Result, async_trait};

use file::File;
use leases::Held;

/// Longest key, in bytes.
const MAX_KEY: usize = 500;

/// The state of one process in one file. Cheap to clone; see the [module](self) for what it promises.
#[derive(Debug, Clone)]
pub struct RedbState {
    file: Arc<File>,
    held: Held,
}

impl RedbState {
    /// Opens the state file, and makes it and its directory when they are missing.
    ///
    /// Blocks: it reads the whole file once, and after a crash writes to it.
    ///
    /// # Errors
    /// `state.locked` when another process has it open; `state.damaged`, `state.newer`; `state.unusable` when it cannot be made or
    /// opened; `state.io`, `state.no_space`.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let file = File::open(path.into())?;
        Ok(Self { file: Arc::new(file), held: Held::default() })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Runs `work` on a thread for blocking work.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&File) -> Result<T> + Send + 'static) -> Result<T> {
        let file = Arc::clone(&self.file);
        let ended = tokio::task::spawn_blocking(move || work(&file)).await;
        ended.unwrap_or_else(|error| {
            let text = "a blocking task of the state panicked, or the runtime is shutting down";
            Err(Error::new(&core_codes::INTERNAL, text).with_effect(Effect::Unknown).with_source(error))
        })
    }
}

#[async_trait]
impl State for RedbState {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        let key = checked(key)?;
        self.blocking(move |file| file.read(|transaction| tables::get(transaction, &key))).await
    }

    async fn compare_and_set(&self, key: &str, expected: Expected, value: Option<Bytes>) -> Result<bool> {
        let key = checked(key)?;
        let changed = self.blocking(move |file| {
            file.write(|transaction| tables::compare_and_set(transaction, &key, expected, value.as_deref()))
        });
        Ok(changed.await?.is_some())
    }

    async fn range(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, Entry)>> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.blocking(move |file| file.read(|transaction| tables::range(transaction, &prefix, after.as_deref(), limit))).await
    }

    async fn lease(&self, name: &str) -> Result<Option<Box<dyn Lease>>> {
        let name = checked(name)?;
        let Some(right) = self.held.take(&name) else { return Ok(None) };
        let generation =
            self.blocking(move |file| file.write(|transaction| tables::next_generation(transaction, &name).map(Some))).await?;
        Ok(generation.map(|generation| Box::new(right.of_generation(generation)) as Box<dyn Lease>))
    }
}

fn checked(key: &str) -> Result<String> {
    if key.len() > MAX_KEY {
        let start: String = key.chars().take(40).collect();
        return Err(Error::new(
            &core_codes::INPUT_INVALID,
            format!("the state's key {start:?}… has {} bytes, more than {MAX_KEY}", key.len()),
        ));
    }
    Ok(key.to_owned())
}
