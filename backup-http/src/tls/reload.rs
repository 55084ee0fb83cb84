//! Taking up changed files.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use backup_core::{Error, Result};
use rustls::ServerConfig;
use tokio::time::Instant;

use super::TlsConfig;
use super::load::load;
use crate::codes;

/// How often the files are looked at.
pub(super) const PERIOD: Duration = Duration::from_secs(2);

/// What tells that a file is another one: a change within the resolution of its time is seen by length or inode.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp(Vec<Option<(Option<SystemTime>, u64, u64)>>);

pub(super) struct Reloading {
    config: TlsConfig,
    now: Mutex<Now>,
}

struct Now {
    server: Arc<ServerConfig>,
    stamp: Stamp,
    next_look: Instant,
}

impl Reloading {
    pub(super) async fn load(config: TlsConfig) -> Result<Self> {
        let (config, outcome) = read(config).await?;
        let (stamp, server) = outcome?;
        let now = Now { server: Arc::new(server), stamp, next_look: Instant::now() + PERIOD };
        Ok(Self { config, now: Mutex::new(now) })
    }

    pub(super) fn config(&self) -> &TlsConfig {
        &self.config
    }

    pub(super) async fn current(self: Arc<Self>) -> Arc<ServerConfig> {
        let look = {
            let mut now = self.now();
            let due = Instant::now() >= now.next_look;
            if due {
                // Set before looking: connections that come meanwhile take what there is.
                now.next_look = Instant::now() + PERIOD;
            }
            due
        };
        if look {
            let reloading = Arc::clone(&self);
            // A failed join means that the runtime is going down.
            let _ = tokio::task::spawn_blocking(move || reloading.look()).await;
        }
        Arc::clone(&self.now().server)
    }

    /// Blocking.
    fn look(&self) {
        // Before the files are read: a change in between is seen at the next look.
        let stamp = stamp(&self.config);
        if stamp == self.now().stamp {
            return;
        }
        let loaded = load(&self.config);
        let mut now = self.now();
        // Remembered also for files that cannot be used, so that they are warned of once.
        now.stamp = stamp;
        match loaded {
            Ok(server) => {
                now.server = Arc::new(server);
                tracing::info!(file = %self.config.cert_file.display(), "the TLS files changed and were taken up");
            }
            Err(error) => tracing::warn!(%error, "the TLS files changed and cannot be used; the old ones stay"),
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Loaded = (TlsConfig, Result<(Stamp, ServerConfig)>);

async fn read(config: TlsConfig) -> Result<Loaded> {
    let reading = move || {
        let stamp = stamp(&config);
        let loaded = load(&config).map(|server| (stamp, server));
        (config, loaded)
    };
    let stopped = |error| Error::new(&codes::TLS_FILE, "tls: reading the files was stopped").with_source(error);
    tokio::task::spawn_blocking(reading).await.map_err(stopped)
}

fn stamp(config: &TlsConfig) -> Stamp {
    let files = [Some(&config.cert_file), Some(&config.key_file), config.client_ca_file.as_ref()];
    Stamp(files.into_iter().flatten().map(|path| of(path)).collect())
}

fn of(path: &Path) -> Option<(Option<SystemTime>, u64, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Some((metadata.modified().ok(), metadata.len(), inode))
}
