//! Values in the state, as JSON.

use backup_core::error::codes;
use backup_core::state::{Expected, State};
use backup_core::{Bytes, Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Values read at a time.
const PAGE: usize = 1000;

pub(crate) fn encode(value: &impl Serialize) -> Result<Bytes> {
    let unwritable = |error| Error::new(&codes::INTERNAL, "a value cannot be written down").with_source(error);
    serde_json::to_vec(value).map(Bytes::from).map_err(unwritable)
}

pub(crate) fn decode<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T> {
    let unreadable = |error| Error::new(&codes::RECORD_CORRUPT, format!("{key} in the state cannot be read")).with_source(error);
    serde_json::from_slice(value).map_err(unreadable)
}

pub(crate) async fn get<T: DeserializeOwned>(state: &dyn State, key: &str) -> Result<Option<T>> {
    match state.get(key).await? {
        Some(entry) => decode(key, &entry.value).map(Some),
        None => Ok(None),
    }
}

/// False when it is otherwise than expected.
pub(crate) async fn set(state: &dyn State, key: &str, expected: Expected, value: &impl Serialize) -> Result<bool> {
    state.compare_and_set(key, expected, Some(encode(value)?)).await
}

pub(crate) async fn remove(state: &dyn State, key: &str) -> Result<()> {
    state.compare_and_set(key, Expected::Any, None).await.map(drop)
}

/// All values below `prefix` whose keys come after `after`, in the order of keys. One that cannot be read is left alone.
pub(crate) async fn each<T: DeserializeOwned>(
    state: &dyn State,
    prefix: &str,
    after: Option<&str>,
    mut take: impl FnMut(&str, T) + Send,
) -> Result<()> {
    walk(state, prefix, after, |key, value| {
        match value {
            Ok(value) => take(key, value),
            Err(error) => tracing::warn!(%error, "a value in the state is left alone"),
        }
        Ok(())
    })
    .await
}

/// All values below `prefix`, none left out.
///
/// # Errors
/// Also when one of them cannot be read.
#[cfg(feature = "openstack")]
pub(crate) async fn every<T: DeserializeOwned + Send>(state: &dyn State, prefix: &str) -> Result<Vec<T>> {
    let mut all = Vec::new();
    walk(state, prefix, None, |_, value| value.map(|value| all.push(value))).await?;
    Ok(all)
}

async fn walk<T: DeserializeOwned>(
    state: &dyn State,
    prefix: &str,
    after: Option<&str>,
    mut take: impl FnMut(&str, Result<T>) -> Result<()> + Send,
) -> Result<()> {
    let mut after: Option<String> = after.map(str::to_owned);
    loop {
        let page = state.range(prefix, after.as_deref(), PAGE).await?;
        for (key, entry) in &page {
            take(key, decode(key, &entry.value))?;
        }
        match page.last() {
            Some((last, _)) if page.len() == PAGE => after = Some(last.clone()),
            _ => return Ok(()),
        }
    }
}
