//! An object in one request, sent while it is read.

use std::sync::Arc;

use backup_core::store::{Payload, WriteOptions};
use backup_core::{JobContext, ObjectKey, ObjectMeta, Result};

use super::SwiftStore;
use super::account::Account;
use super::create::{Content, NewObject};
use super::digest::md5_of_payload;

/// What is held of a payload: two pieces of it, and those that are being read and sent.
pub(super) const MEMORY: u64 = 4 << 20;

/// Whether the cluster takes so many bytes at once.
pub(super) fn in_one_piece(account: &Account, size: u64) -> bool {
    (1..=account.limits.object).contains(&size)
}

/// The payload is read twice: what Swift compares with what it received has to be known when the request begins. Otherwise an object that
/// was damaged on its way could be seen for a moment.
pub(super) async fn put_from(
    store: &SwiftStore,
    cx: &JobContext,
    key: &ObjectKey,
    payload: Arc<dyn Payload>,
    options: WriteOptions,
) -> Result<ObjectMeta> {
    cx.check()?;
    let (account, size) = (&store.account, payload.size());
    if !in_one_piece(account, size) {
        return backup_core::store::by_writer(store, cx, key, payload, options).await;
    }
    let etag = md5_of_payload(cx, &*payload).await?;
    let new = NewObject { key, query: "", etag, size, if_absent: options.if_absent, sha256: options.sha256 };
    account.create(cx, new, Content::Payload(payload)).await
}
