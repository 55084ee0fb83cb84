//! Listings that many ask for at the same time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// By repository and set, as long as somebody asks.
    sets: Mutex<HashMap<(usize, SetName), Arc<Shared>>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Numbers questions and beginnings in the order in which they happen.
    time: AtomicU64,
    last: tokio::sync::Mutex<Option<(u64, Infos)>>,
}

/// One who asks; the last to leave takes what is shared along.
struct Asking<'a> {
    listings: &'a Listings,
    key: (usize, SetName),
    shared: Arc<Shared>,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut sets = self.listings.locked();
        // The table's and this one.
        if Arc::strong_count(&self.shared) == 2 {
            sets.remove(&self.key);
        }
    }
}

impl Listings {
    fn locked(&self) -> MutexGuard<'_, HashMap<(usize, SetName), Arc<Shared>>> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn list(&self, cx: &JobContext, target: &Target) -> Result<Infos> {
        let key = (target.repository.identity(), target.set().clone());
        let asking = Asking { shared: Arc::clone(self.locked().entry(key.clone()).or_default()), listings: self, key };
        let shared = &asking.shared;
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
