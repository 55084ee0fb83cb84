//! How calls to one service are limited, as every configuration says it.

use std::time::Duration;

use serde::Deserialize;

/// The slowest upload that an attempt's time limit allows for, in bytes a second: a slow line that many attempts share.
const SLOWEST: u64 = 32 << 10;

/// How calls to one service are limited; the block `requests:` of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct CallLimits {
    /// Calls under way at the same time.
    pub parallel: usize,
    /// Bytes a second, both directions together. No limit when absent.
    pub bytes_per_second: Option<u64>,
    /// How often a call is attempted, the first time included. The default outlasts a service's restart of about half a minute.
    pub attempts: u32,
    /// How long one attempt waits for its answer, before the time that its own bytes take on a slow line.
    #[serde(rename = "timeout-in-second")]
    pub timeout_secs: u64,
    /// How long a body that is read may pause, and how long a connection may take to be made.
    #[serde(rename = "stall-timeout-in-second")]
    pub stall_secs: u64,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self { parallel: 32, bytes_per_second: None, attempts: 10, timeout_secs: 60, stall_secs: 30 }
    }
}

impl CallLimits {
    /// The time limit of one attempt that sends `bytes`.
    pub(crate) fn attempt(&self, bytes: u64) -> Duration {
        Duration::from_secs(self.timeout_secs.max(1).saturating_add(bytes / SLOWEST))
    }

    /// How long a body may pause.
    pub fn stall(&self) -> Duration {
        Duration::from_secs(self.stall_secs.max(1))
    }
}
