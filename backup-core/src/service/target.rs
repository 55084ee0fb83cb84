//! What a service protects.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::SetName;
use crate::repository::{BackupRequest, Repository, VerifyLevel};
use crate::retention::RetentionPolicy;
use crate::source::Source;

/// A backup set with all that a job of it needs: its repository, its source, how it is backed up and what of it is kept.
#[derive(Debug, Clone)]
pub struct Target {
    pub(super) repository: Repository,
    pub(super) source: Option<Arc<dyn Source>>,
    pub(super) request: BackupRequest,
    pub(super) retention: Option<RetentionPolicy>,
    pub(super) objective: Objective,
    pub(super) verify: VerifyLevel,
}

/// How old the newest backup of a set may be before its health is called bad. Without a limit it never is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Objective {
    /// For the last good backup. A skipped one counts: it says that the older one still holds.
    pub backup: Option<Duration>,
    /// For the last backup that a verify found good, counted from that verify.
    pub verified: Option<Duration>,
}

impl Target {
    /// The set that `request` names, backed up from `source` into `repository`.
    pub fn new(repository: Repository, source: Arc<dyn Source>, request: BackupRequest) -> Self {
        Self { source: Some(source), ..Self::without_source(repository, request.set.clone()).with_request(request) }
    }

    /// A set that is only listed, read, verified and pruned.
    pub fn without_source(repository: Repository, set: SetName) -> Self {
        let request = BackupRequest::new(set);
        let (objective, verify) = (Objective::default(), VerifyLevel::default());
        Self { repository, source: None, request, retention: None, objective, verify }
    }

    fn with_request(self, request: BackupRequest) -> Self {
        Self { request, ..self }
    }

    /// Sets what is kept. It applies after each backup, and to prunes that bring no policy of their own.
    #[must_use]
    pub fn retention(mut self, policy: RetentionPolicy) -> Self {
        self.retention = Some(policy);
        self
    }

    /// Sets how old the last good backup may be.
    #[must_use]
    pub fn backup_objective(mut self, age: Duration) -> Self {
        self.objective.backup = Some(age);
        self
    }

    /// Sets how old the last good verify may be.
    #[must_use]
    pub fn verified_objective(mut self, age: Duration) -> Self {
        self.objective.verified = Some(age);
        self
    }

    /// Sets how closely a scheduled verify looks.
    #[must_use]
    pub fn verify_level(mut self, level: VerifyLevel) -> Self {
        self.verify = level;
        self
    }

    /// The set.
    pub fn set(&self) -> &SetName {
        &self.request.set
    }

    /// Where its backups are.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }
}
