//! Pins: backups that retention leaves alone.

use super::Repository;
use super::create::create;
use crate::context::JobContext;
use crate::error::{Effect, Error, Result, codes};
use crate::layout;
use crate::name::{BackupId, SetName};
use crate::record::{self, Pin};
use crate::store::StoreExt;

impl Repository {
    /// Exempts a backup from retention. Pinning a pinned one leaves the first pin as it is.
    ///
    /// # Errors
    /// `backup.not_found`; `lease.busy` (effect unknown) while the backup is being removed; those of the store.
    pub async fn pin(&self, cx: &JobContext, set: &SetName, id: &BackupId, reason: &str) -> Result<()> {
        self.get(cx, set, id).await?;
        let pin = Pin { set: set.clone(), id: id.clone(), pinned_at: cx.clock().now(), reason: reason.to_owned() };
        let _whoever = create(&**self.store(), cx, &layout::pin_key(set, id)?, &record::seal(&pin)?, None).await?;
        // A removal puts its tombstone, then looks for the pin: so either it sees ours, or we see what it left.
        if self.store().head_opt(cx, &layout::tombstone_key(set, id)?).await?.is_some() {
            let error =
                Error::new(&codes::LEASE_BUSY, format!("backup {id} of {set} is being removed; the pin may come too late"));
            return Err(error.with_effect(Effect::Unknown));
        }
        match self.get(cx, set, id).await {
            Err(gone) if gone.is_not_found() => {
                self.unpin(cx, set, id).await?;
                Err(gone)
            }
            other => other.map(drop),
        }
    }

    /// Takes a pin away; nothing happens when there is none.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn unpin(&self, cx: &JobContext, set: &SetName, id: &BackupId) -> Result<()> {
        self.store().delete(cx, &[layout::pin_key(set, id)?]).await?.into_result()
    }
}
