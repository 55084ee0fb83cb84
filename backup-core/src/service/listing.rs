//! Listings that many ask for at the same time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Target;
use crate::context::JobContext;
use crate::error::Result;
use crate::name::SetName;
use crate::repository::BackupInfo;

type Infos = Arc<Vec<Arc<BackupInfo>>>;

/// One listing of a set at a time. Whoever asks gets one that began after the question, shared with all who asked before it began: so a
/// crowd costs the store no more than one after the other, and nobody is told what was true before they asked.
#[derive(Debug, Default)]
pub(super) struct Listings {
    sets: Mutex<HashMap<SetName, Arc<Shared>>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Numbers questions and beginnings in the order in which they happen.
    time: AtomicU64,
    last: tokio::sync::Mutex<Option<(u64, Infos)>>,
}

impl Listings {
    pub(super) async fn list(&self, cx: &JobContext, target: &Target) -> Result<Infos> {
        let shared = {
            let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(sets.entry(target.set().clone()).or_default())
        };
        let asked = shared.time.fetch_add(1, Ordering::SeqCst);
        let work = async {
            let mut last = shared.last.lock().await;
            if let Some((_, infos)) = last.as_ref().filter(|(began, _)| *began > asked) {
                return Ok(Arc::clone(infos));
            }
            let began = shared.time.fetch_add(1, Ordering::SeqCst);
            let infos = Arc::new(target.repository.list(cx, target.set()).await?);
            *last = Some((began, Arc::clone(&infos)));
            Ok(infos)
        };
        cx.run(work).await
    }
}
