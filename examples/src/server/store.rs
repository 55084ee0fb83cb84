//! Opening the store of a server.

use std::sync::Arc;

use backup_core::error::codes;
use backup_core::{JobContext, Result, Store};
use backup_http::observe::Metrics;
use backup_stores::{OpenOptions, StoreConfig};

use super::calls::MeasuredCalls;

/// Opens the store, for reading alone when nothing can be written there: what lies in it is still served, and the first backup says what
/// is wrong.
pub(super) async fn open(config: &StoreConfig, cx: &JobContext, metrics: &Metrics) -> Result<Arc<dyn Store>> {
    let options = OpenOptions::default().observer(MeasuredCalls::shared(metrics));
    match config.open_with(cx, &options).await {
        Err(error) if *error.code() == codes::STORE_READ_ONLY => {
            tracing::error!(%error, store = %config, "the store is read-only: its backups are served, and no new one can be made");
            config.open_with(cx, &options.read_only(true)).await
        }
        opened => opened,
    }
}
