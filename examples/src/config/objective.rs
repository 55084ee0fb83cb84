//! The block `objective:`: how old the last good backup may be before `/healthz` says so.

use std::time::Duration;

use backup_core::service::Target;
use backup_http::duration;
use serde::{Deserialize, Deserializer};

/// Without the block, or a key of it, any age will do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ObjectiveConfig {
    /// The last good backup; one that was skipped as unchanged counts as made then.
    #[serde(deserialize_with = "some")]
    backup: Option<Duration>,
    /// The last verify that found a backup good.
    #[serde(deserialize_with = "some")]
    verified: Option<Duration>,
}

impl ObjectiveConfig {
    /// Declares the objective for a target.
    #[must_use]
    pub fn declare(self, mut target: Target) -> Target {
        if let Some(age) = self.backup {
            target = target.backup_objective(age);
        }
        if let Some(age) = self.verified {
            target = target.verified_objective(age);
        }
        target
    }
}

fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration::deserialize(deserializer).map(Some)
}
