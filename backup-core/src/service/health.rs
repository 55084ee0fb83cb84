//! Whether the backups are as young as they were declared to be.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::job::{JobKind, JobState};
use super::{BackupService, Target};
use crate::name::{BackupId, SetName};
use crate::schedule::Action;

/// An answer is good for so long, unless a job ends meanwhile: probes come often, and each would list every set.
const FRESH: Duration = Duration::from_secs(5);

/// How long looking at one set may take.
const LOOK: Duration = Duration::from_secs(10);

/// How the service and each of its sets are.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// False once the service is being stopped.
    pub accepting: bool,
    /// Whether every set meets its objective.
    pub healthy: bool,
    /// The sets.
    pub sets: Vec<SetHealth>,
}

/// How a set is.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SetHealth {
    /// The set.
    pub set: SetName,
    /// The newest good backup.
    pub last_backup: Option<BackupId>,
    /// When it was begun, or when it was last found to say it all still.
    pub last_backup_at: Option<DateTime<Utc>>,
    /// The age of that in seconds.
    pub last_backup_age: Option<u64>,
    /// When a backup of the set was last verified and found good.
    pub last_verified_at: Option<DateTime<Utc>>,
    /// The age of that in seconds.
    pub last_verified_age: Option<u64>,
    /// The declared limit for the backup's age, in seconds.
    pub backup_objective: Option<u64>,
    /// The declared limit for the verify's age, in seconds.
    pub verified_objective: Option<u64>,
    /// Whether both limits are kept. A set without a backup is given its limit from the start of the service.
    pub met: bool,
    /// When a schedule makes the next backup.
    pub next_backup_at: Option<DateTime<Utc>>,
    /// Why the set could not be looked at.
    pub error: Option<String>,
}

#[derive(Debug)]
pub(super) struct Remembered {
    at: Duration,
    health: Health,
}

/// What jobs and schedules tell of all sets, gathered once a look: there may be thousands of each.
#[derive(Debug, Default)]
struct Told {
    /// When a set was last found to stand as this backup says.
    confirmed: HashMap<(SetName, BackupId), DateTime<Utc>>,
    /// When a schedule makes the next backup of a set.
    next: HashMap<SetName, DateTime<Utc>>,
}

impl BackupService {
    /// How every target of the service is. Asks the stores at most every five seconds.
    pub async fn health(&self) -> Health {
        let now = self.inner.environment.clock.monotonic();
        // One looks, the others wait for what it finds.
        let mut remembered = self.inner.health.lock().await;
        let forgotten = self.inner.health_forgotten.swap(false, std::sync::atomic::Ordering::AcqRel);
        if let Some(remembered) = remembered.as_ref().filter(|remembered| !forgotten && now.saturating_sub(remembered.at) < FRESH)
        {
            return Health { accepting: !self.inner.stopping.is_cancelled(), ..remembered.health.clone() };
        }
        let told = self.told_of_sets();
        let mut sets = Vec::new();
        for target in self.targets() {
            sets.push(self.set_health(&target, &told).await);
        }
        let health = Health { accepting: !self.inner.stopping.is_cancelled(), healthy: sets.iter().all(|set| set.met), sets };
        *remembered = Some(Remembered { at: now, health: health.clone() });
        health
    }

    pub(super) fn forget_health(&self) {
        self.inner.health_forgotten.store(true, std::sync::atomic::Ordering::Release);
    }

    async fn set_health(&self, target: &Target, told: &Told) -> SetHealth {
        let now = self.inner.environment.clock.now();
        let cx = target.repository.context().with_limit(LOOK);
        let (backups, error) = match self.inner.listings.list(&cx, target).await {
            Ok(backups) => (backups, None),
            Err(error) => (std::sync::Arc::default(), Some(error.to_string())),
        };
        let last = backups.iter().rev().find(|info| info.is_good());
        let confirmed = last.and_then(|info| told.confirmed.get(&(target.set().clone(), info.id.clone())).copied());
        let last_backup_at = last.map(|info| confirmed.map_or(info.created_at, |confirmed| confirmed.max(info.created_at)));
        let verified = backups.iter().filter_map(|info| info.verified.filter(|(_, good)| *good));
        let last_verified_at = verified.map(|(at, _)| at).max();

        let age = |at: DateTime<Utc>| (now - at).to_std().unwrap_or_default();
        let kept = |limit: Option<Duration>, at: Option<DateTime<Utc>>| {
            limit.is_none_or(|limit| age(at.unwrap_or(self.inner.started_at)) <= limit)
        };
        let objective = target.objective;
        SetHealth {
            set: target.set().clone(),
            last_backup: last.map(|info| info.id.clone()),
            last_backup_at,
            last_backup_age: last_backup_at.map(|at| age(at).as_secs()),
            last_verified_at,
            last_verified_age: last_verified_at.map(|at| age(at).as_secs()),
            backup_objective: objective.backup.map(|limit| limit.as_secs()),
            verified_objective: objective.verified.map(|limit| limit.as_secs()),
            met: error.is_none() && kept(objective.backup, last_backup_at) && kept(objective.verified, last_verified_at),
            next_backup_at: told.next.get(target.set()).copied(),
            error,
        }
    }

    fn told_of_sets(&self) -> Told {
        let mut told = Told::default();
        for record in self.jobs() {
            if let (JobKind::Backup, JobState::Skipped, Some(backup), Some(ended)) =
                (record.kind, record.state, record.backup, record.ended_at)
            {
                let last = told.confirmed.entry((record.set, backup)).or_insert(ended);
                *last = ended.max(*last);
            }
        }
        let schedules = self.inner.schedules.read().unwrap_or_else(PoisonError::into_inner);
        let makes_backups = |name: &String| schedules.get(name).is_some_and(|schedule| schedule.action == Action::Backup);
        // The earliest first.
        for run in self.next_runs().into_iter().filter(|run| makes_backups(&run.schedule)) {
            told.next.entry(run.set).or_insert(run.at);
        }
        told
    }

    fn targets(&self) -> Vec<Target> {
        self.inner.targets.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
