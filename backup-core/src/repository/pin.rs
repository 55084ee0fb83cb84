//! Pins: backups that retention leaves alone.

use super::Repository;
use super::create::create;
use crate::context::JobContext;
use crate::error::Result;
use crate::layout;
use crate::name::{BackupId, SetName};
use crate::record::{self, Pin};

impl Repository {
    /// Exempts a backup from retention. Pinning a pinned one leaves the first pin as it is.
    ///
    /// # Errors
    /// `backup.not_found`; those of the store.
    pub async fn pin(&self, cx: &JobContext, set: &SetName, id: &BackupId, reason: &str) -> Result<()> {
        self.get(cx, set, id).await?;
        let pin = Pin { set: set.clone(), id: id.clone(), pinned_at: cx.clock().now(), reason: reason.to_owned() };
        let _whoever = create(&**self.store(), cx, &layout::pin_key(set, id)?, &record::seal(&pin)?, None).await?;
        Ok(())
    }

    /// Takes a pin away; nothing happens when there is none.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn unpin(&self, cx: &JobContext, set: &SetName, id: &BackupId) -> Result<()> {
        self.store().delete(cx, &[layout::pin_key(set, id)?]).await?.into_result()
    }
}
