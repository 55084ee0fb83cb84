//! Keeps the intent of a running backup: declared before anything is written, renewed while it runs, dropped at the end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::create::{Creation, create};
use super::later;
use crate::context::JobContext;
use crate::error::{Error, Result, codes};
use crate::key::ObjectKey;
use crate::layout;
use crate::record::{self, IntendedArtifact, Intent};
use crate::store::Store;

/// The live intent of one backup.
#[derive(Debug)]
pub(crate) struct IntentKeeper {
    store: Arc<dyn Store>,
    cx: JobContext,
    ttl: Duration,
    /// Renewals are serialised by this: at most one new generation at a time.
    renewing: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    current: Intent,
    /// Objects of other generations that are, or may be, still there.
    stale: Vec<ObjectKey>,
    /// A generation is tried once: after an open answer its object may exist.
    next_generation: u64,
    /// Monotonic time after which the job must not publish any more.
    expires: Duration,
}

impl IntentKeeper {
    /// Writes generation 0. `expires_at` is set here.
    pub(crate) async fn declare(store: Arc<dyn Store>, cx: &JobContext, mut intent: Intent, ttl: Duration) -> Result<Self> {
        let expires = cx.clock().monotonic().saturating_add(ttl);
        intent.expires_at = later(cx.clock().now(), ttl);
        put(&*store, cx, &intent).await?;
        let state = State { current: intent, stale: Vec::new(), next_generation: 1, expires };
        Ok(Self { store, cx: cx.clone(), ttl, renewing: tokio::sync::Mutex::default(), state: Mutex::new(state) })
    }

    /// Renews for ever; ends only with an error. Run beside the capture.
    pub(crate) async fn keep_alive(&self) -> Error {
        loop {
            if let Err(error) = self.cx.sleep(self.ttl / 3).await {
                return error;
            }
            if let Err(error) = self.renew(None).await {
                // A store that is away for a while is no reason to give up before the intent has run out.
                if self.check_alive().is_err() {
                    return error;
                }
            }
        }
    }

    /// Names an object outside of the prefix, just before it becomes visible.
    pub(crate) async fn announce(&self, artifact: IntendedArtifact) -> Result<()> {
        self.renew(Some(artifact)).await
    }

    async fn renew(&self, announced: Option<IntendedArtifact>) -> Result<()> {
        let _one = self.renewing.lock().await;
        let (mut next, previous) = {
            let mut state = self.locked();
            let next = Intent { generation: state.next_generation, ..state.current.clone() };
            state.next_generation += 1;
            (next, layout::intent_key(&state.current.set, &state.current.id, state.current.generation)?)
        };
        next.artifacts.extend(announced);
        let expires = self.cx.clock().monotonic().saturating_add(self.ttl);
        next.expires_at = later(self.cx.clock().now(), self.ttl);
        // Noted before it is tried: this call may be dropped half-way, when the capture ends.
        let key = layout::intent_key(&next.set, &next.id, next.generation)?;
        self.locked().stale.push(key.clone());
        put(&*self.store, &self.cx, &next).await?;
        let mut stale = {
            let mut state = self.locked();
            state.current = next;
            state.expires = expires;
            state.stale.retain(|stale| *stale != key);
            state.stale.push(previous);
            state.stale.clone()
        };
        // The newest generation counts; older ones that cannot be removed now go with the next, or at the end.
        if let Ok(report) = self.store.delete(&self.cx, &stale).await {
            stale.retain(|key| !report.failed.iter().any(|(failed, _)| failed == key));
            self.locked().stale.retain(|key| !stale.contains(key));
        }
        Ok(())
    }

    /// # Errors
    /// `publish.aborted` when the intent has run out: a cleaner may have given this backup up.
    pub(crate) fn check_alive(&self) -> Result<()> {
        if self.cx.clock().monotonic() >= self.locked().expires {
            return Err(Error::new(&codes::PUBLISH_ABORTED, "the backup's intent ran out before it was published"));
        }
        Ok(())
    }

    /// Removes every generation. What stays is found by the janitor.
    pub(crate) async fn drop_all(&self, cx: &JobContext) -> Result<()> {
        let (mut keys, intent) = {
            let state = self.locked();
            (state.stale.clone(), state.current.clone())
        };
        keys.push(layout::intent_key(&intent.set, &intent.id, intent.generation)?);
        self.store.delete(cx, &keys).await?.into_result()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn put(store: &dyn Store, cx: &JobContext, intent: &Intent) -> Result<()> {
    let key = layout::intent_key(&intent.set, &intent.id, intent.generation)?;
    match create(store, cx, &key, &record::seal(intent)?, None).await? {
        Creation::Created => Ok(()),
        Creation::Taken(_) => Err(Error::new(&codes::PUBLISH_CONFLICT, format!("{key} exists although its id is new"))),
    }
}
