//! The limits, as a configuration says them.

use std::time::Duration;

use backup_core::{Error, Result};
use serde::Deserialize;

use crate::codes;
use crate::duration;

/// The optional `limits` block. Durations are written as `500ms`, `30s`, `5m`, `1h`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a request's body; 1 MiB by default.
    pub body_bytes: u64,
    /// Bytes of a request's head (request line and header fields), at least 8192; 64 KiB by default.
    pub header_bytes: usize,
    /// Header fields of a request; 100 by default.
    pub header_count: usize,
    /// Requests worked on at once; one more is answered with 503. 256 by default.
    pub concurrent_requests: usize,
    /// Open connections; one more waits in the listen queue of the operating system. 1024 by default.
    pub connections: usize,
    /// The time for the TLS handshake, and for a whole request head, counted from when the connection is ready for one: over
    /// HTTP/1 it ends an idle connection, too. 30 s by default.
    #[serde(deserialize_with = "duration::deserialize")]
    pub header_read_timeout: Duration,
    /// The time for a whole request body; 30 s by default.
    #[serde(deserialize_with = "duration::deserialize")]
    pub body_read_timeout: Duration,
    /// How long a connection stays open without a request; 60 s by default.
    #[serde(deserialize_with = "duration::deserialize")]
    pub idle_timeout: Duration,
    /// How long a client may take nothing of an answer before its connection is cut; 60 s by default.
    #[serde(deserialize_with = "duration::deserialize")]
    pub write_stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1024 * 1024,
            header_bytes: 64 * 1024,
            header_count: 100,
            concurrent_requests: 256,
            connections: 1024,
            header_read_timeout: Duration::from_secs(30),
            body_read_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            write_stall: Duration::from_secs(60),
        }
    }
}

impl Limits {
    /// # Errors
    /// `http.config_invalid`, which names the setting.
    pub fn check(&self) -> Result<()> {
        let refuse = |why: &str| Err(Error::new(&codes::CONFIG_INVALID, format!("limits: {why}")));
        // hyper panics on a smaller buffer.
        if self.header_bytes < 8192 {
            return refuse("header-bytes is below 8192");
        }
        if self.header_bytes > 16 * 1024 * 1024 {
            return refuse("header-bytes is above 16777216");
        }
        if !(8..=10_000).contains(&self.header_count) {
            return refuse("header-count is not within 8 to 10000");
        }
        if self.concurrent_requests == 0 || self.connections == 0 {
            return refuse("concurrent-requests or connections is 0: nobody could be served");
        }
        if self.connections > tokio::sync::Semaphore::MAX_PERMITS
            || self.concurrent_requests > tokio::sync::Semaphore::MAX_PERMITS
        {
            return refuse("concurrent-requests or connections is too big");
        }
        Ok(())
    }
}
