//! Jobs in the state: what is shown of each under one key, and what its scripts printed, which may be long, under another.

use std::sync::Arc;

use backup_core::error::codes;
use backup_core::state::{Expected, State};
use backup_core::{Bytes, Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Key;
use crate::backup_agent::record::Record;
use crate::backup_agent::work::Logs;

const JOBS: &str = "agent/jobs/";
const LOGS: &str = "agent/logs/";

/// Records read at a time.
const PAGE: usize = 500;

#[derive(Debug)]
pub(super) struct Records {
    state: Arc<dyn State>,
}

fn job_key(key: &Key) -> String {
    format!("{JOBS}{}/{}", key.operation.as_str(), key.id)
}

fn log_key(key: &Key) -> String {
    format!("{LOGS}{}/{}", key.operation.as_str(), key.id)
}

fn encode(value: &impl Serialize) -> Result<Bytes> {
    let unwritable = |error| Error::new(&codes::INTERNAL, "a job cannot be written down").with_source(error);
    serde_json::to_vec(value).map(Bytes::from).map_err(unwritable)
}

fn decode<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T> {
    let unreadable = |error| Error::new(&codes::RECORD_CORRUPT, format!("{key} in the state cannot be read")).with_source(error);
    serde_json::from_slice(value).map_err(unreadable)
}

impl Records {
    pub(super) fn new(state: Arc<dyn State>) -> Self {
        Self { state }
    }

    /// Keeps a new job; false when there is one of that id.
    pub(super) async fn create(&self, record: &Record) -> Result<bool> {
        self.state.compare_and_set(&job_key(&Key::of(record)), Expected::Absent, Some(encode(record)?)).await
    }

    /// Keeps what is known of a job by now.
    pub(super) async fn update(&self, record: &Record) -> Result<()> {
        self.state.compare_and_set(&job_key(&Key::of(record)), Expected::Any, Some(encode(record)?)).await.map(drop)
    }

    /// Keeps the end of a job with its logs. The end comes second, so that a job that has ended has all of its logs.
    pub(super) async fn finish(&self, record: &Record, logs: &Logs) -> Result<()> {
        self.state.compare_and_set(&log_key(&Key::of(record)), Expected::Any, Some(encode(logs)?)).await?;
        self.update(record).await
    }

    pub(super) async fn get(&self, key: &Key) -> Result<Option<Record>> {
        let name = job_key(key);
        match self.state.get(&name).await? {
            Some(entry) => decode(&name, &entry.value).map(Some),
            None => Ok(None),
        }
    }

    pub(super) async fn logs(&self, key: &Key) -> Result<Logs> {
        let name = log_key(key);
        match self.state.get(&name).await? {
            Some(entry) => decode(&name, &entry.value),
            None => Ok(Logs::default()),
        }
    }

    /// Forgets a job; false when somebody else did, or there was none.
    pub(super) async fn remove(&self, key: &Key) -> Result<bool> {
        let name = job_key(key);
        let Some(entry) = self.state.get(&name).await? else { return Ok(false) };
        // First what nobody would find again without the other.
        self.state.compare_and_set(&log_key(key), Expected::Any, None).await?;
        self.state.compare_and_set(&name, Expected::Version(entry.version), None).await
    }

    /// All jobs that `wanted` chooses. One that cannot be read is left alone.
    pub(super) async fn all(&self, wanted: impl Fn(&Record) -> bool + Send) -> Result<Vec<Record>> {
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.state.range(JOBS, after.as_deref(), PAGE).await?;
            for (key, entry) in &page {
                match decode::<Record>(key, &entry.value) {
                    Ok(record) if wanted(&record) => found.push(record),
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%error, "a job is left alone"),
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => after = Some(last.clone()),
                _ => return Ok(found),
            }
        }
    }
}
