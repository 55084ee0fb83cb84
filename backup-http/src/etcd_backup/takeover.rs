//! Files of the original program: read once, so that a half-written one is known before anybody is told of it.
//!
//! The original compresses in place, so its directory may hold half a file, and only reading a gzip file to its end tells whether it is
//! whole. A verify does just that: a whole file gets its manifest, a broken one a record that it is damaged. Both are kept in the store.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use backup_core::repository::{BackupInfo, State};
use backup_core::service::Target;
use backup_core::{BackupId, BackupService, Result};
use tokio::sync::Mutex;

use super::naming;
use crate::untended::first_read;

/// When reading a file failed for a reason that says nothing about it, it is not tried again for so long.
const PAUSE: Duration = Duration::from_secs(60);

/// One file is read at a time; whoever waits for one file does not wait for all the others.
#[derive(Debug, Default)]
pub(super) struct TakeOver {
    tried: Mutex<HashMap<BackupId, Duration>>,
}

impl TakeOver {
    /// Reads the files that are still to be read, or the one called `name`. What cannot be read now is left for later.
    pub(super) async fn all(&self, service: &BackupService, target: &Target, name: Option<&str>) {
        loop {
            match self.next(service, target, name).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return tracing::warn!(%error, "files of the original program cannot be looked for"),
            }
        }
    }

    /// Reads one file. False when there is none to read.
    async fn next(&self, service: &BackupService, target: &Target, name: Option<&str>) -> Result<bool> {
        let mut tried = self.tried.lock().await;
        let clock = Arc::clone(target.repository().context().clock());
        let now = clock.monotonic();
        let infos = service.list(target).await?;
        tried.retain(|id, at| now < *at + PAUSE && infos.iter().any(|info| info.id == *id));
        let Some(info) = infos.iter().find(|info| wanted(info, name) && !tried.contains_key(&info.id)) else { return Ok(false) };

        match first_read(service, target, &info.id).await {
            Ok(report) if report.is_good() => tracing::info!(file = file(info), "a file of the original program was taken over"),
            Ok(report) => {
                tracing::warn!(file = file(info), findings = ?report.record.findings, "a file is not whole, and not listed")
            }
            Err(error) => {
                tracing::warn!(file = file(info), %error, "a file of the original program could not be read");
                tried.insert(info.id.clone(), clock.monotonic());
            }
        }
        Ok(true)
    }
}

/// True for a listing that holds a file, or the file called `name`, of which nobody knows whether it is whole.
pub(super) fn is_needed(infos: &[Arc<BackupInfo>], name: Option<&str>) -> bool {
    infos.iter().any(|info| wanted(info, name))
}

fn wanted(info: &BackupInfo, name: Option<&str>) -> bool {
    let unread = info.state == State::Adopted && info.verified.is_none();
    unread && name.is_none_or(|name| file(info) == Some(name))
}

fn file(info: &BackupInfo) -> Option<&str> {
    info.first_key.as_ref().and_then(naming::file_name)
}
