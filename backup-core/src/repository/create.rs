//! Creating a record, with its ambiguity settled.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::context::JobContext;
use crate::error::{Effect, Error, Result, codes};
use crate::key::ObjectKey;
use crate::record::MAX_RECORD;
use crate::store::{PutOptions, Store, StoreExt};

const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);
const LOOK: Duration = Duration::from_secs(30);

/// How a create ended.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Creation {
    /// The key holds our bytes.
    Created,
    /// The key holds these other bytes.
    Taken(Bytes),
}

/// Puts `bytes` at `key` unless something is there. An answer that leaves the effect open, or a conflict that may be
/// with our own earlier try, is settled by reading back and comparing; the put is repeated only when nothing is there.
///
/// # Errors
/// The store's, with effect none when it said so; `publish.unsettled` with effect unknown when it cannot be told.
pub(crate) async fn create(
    store: &dyn Store,
    cx: &JobContext,
    key: &ObjectKey,
    bytes: &Bytes,
    retain_until: Option<DateTime<Utc>>,
) -> Result<Creation> {
    let mut unsettled = false;
    for attempt in 1..=ATTEMPTS {
        let put = store.put(cx, key, bytes.clone(), PutOptions::if_absent().retain_until(retain_until)).await;
        match put {
            Ok(_) => return Ok(Creation::Created),
            Err(error) if error.is_already_exists() || error.effect() != Effect::None => {}
            Err(error) if !unsettled => return Err(error),
            Err(_) => {}
        }
        unsettled = true;
        // The put may have eaten all the time there was, and a cancel does not undo it: looking has time of its own.
        match store.get_opt(&cx.for_cleanup(LOOK), key, MAX_RECORD).await {
            Ok(Some(found)) if found == *bytes => return Ok(Creation::Created),
            Ok(Some(found)) => return Ok(Creation::Taken(found)),
            // Absent after an open answer: it did not land, or not yet. The same put again is harmless: it creates or conflicts.
            Ok(None) | Err(_) => {}
        }
        if attempt < ATTEMPTS && cx.sleep(PAUSE * attempt).await.is_err() {
            break;
        }
    }
    Err(Error::new(&codes::PUBLISH_UNSETTLED, format!("the store did not say whether {key} was stored"))
        .with_effect(Effect::Unknown))
}
