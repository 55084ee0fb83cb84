//! The answer of `/healthz`.

use backup_core::service::{Health, SetHealth};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// How the process and its sets are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[non_exhaustive]
pub struct HealthAnswer {
    /// What the process is doing.
    pub status: ProcessState,
    /// Whether every set meets its objective.
    pub healthy: bool,
    /// The sets that this process looks after.
    pub sets: Vec<SetAnswer>,
}

/// What the process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProcessState {
    /// It reads its state; no request is worked on yet.
    Starting,
    /// It works.
    Ok,
    /// It ends what runs and takes nothing more.
    Stopping,
}

/// How a set is. Ages and objectives are in seconds; `null` where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[non_exhaustive]
pub struct SetAnswer {
    /// The set.
    pub set: String,
    /// Whether the objectives are met and the store could be asked.
    pub met: bool,
    /// The newest good backup.
    pub last_backup: Option<String>,
    /// When the source last stood as that backup says.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_backup_at: Option<DateTime<Utc>>,
    /// Its age.
    pub last_backup_age: Option<u64>,
    /// When a backup was last verified and found good.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_verified_at: Option<DateTime<Utc>>,
    /// The age of that.
    pub last_verified_age: Option<u64>,
    /// How old the newest good backup may be.
    pub backup_objective: Option<u64>,
    /// How long ago the last good verify may be.
    pub verified_objective: Option<u64>,
    /// When the schedule makes the next backup.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_backup_at: Option<DateTime<Utc>>,
    /// Why the set could not be looked at.
    pub error: Option<String>,
}

impl HealthAnswer {
    pub(super) fn starting() -> Self {
        Self { status: ProcessState::Starting, healthy: false, sets: Vec::new() }
    }

    pub(super) fn of(health: Health) -> Self {
        let status = if health.accepting { ProcessState::Ok } else { ProcessState::Stopping };
        Self { status, healthy: health.healthy, sets: health.sets.into_iter().map(SetAnswer::of).collect() }
    }

    pub(super) fn is_good(&self) -> bool {
        self.status == ProcessState::Ok && self.healthy
    }
}

impl SetAnswer {
    fn of(set: SetHealth) -> Self {
        Self {
            set: set.set.to_string(),
            met: set.met,
            last_backup: set.last_backup.map(|id| id.to_string()),
            last_backup_at: set.last_backup_at,
            last_backup_age: set.last_backup_age,
            last_verified_at: set.last_verified_at,
            last_verified_age: set.last_verified_age,
            backup_objective: set.backup_objective,
            verified_objective: set.verified_objective,
            next_backup_at: set.next_backup_at,
            error: set.error,
        }
    }
}
