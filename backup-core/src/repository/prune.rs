//! Retention in two steps: a plan that removes nothing, and the prune that carries it out.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Repository;
use super::info::{BackupInfo, State};
use super::removal::Removal;
use super::taken::read_all;
use crate::context::JobContext;
use crate::error::{Error, Result, ResultExt, codes};
use crate::event::{Event, Phase};
use crate::layout::Place;
use crate::name::{BackupId, SetName};
use crate::record::Intent;
use crate::retention::{self, Candidate, Plan, Reason, RetentionPolicy};

/// What a prune did.
#[derive(Debug, Default)]
#[must_use]
pub struct PruneReport {
    /// Gone.
    pub removed: Vec<BackupId>,
    /// Planned to go, and stayed after all, with the reason.
    pub withdrawn: Vec<(BackupId, String)>,
    /// Could not be removed; they, or what is left of them, are taken up again later.
    pub failed: Vec<(BackupId, Error)>,
}

/// How a single backup is removed.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct DeleteOptions {
    /// Remove it even when it is the newest good one: for somebody who named it and knows.
    pub even_newest: bool,
}

impl DeleteOptions {
    /// Sets [`DeleteOptions::even_newest`].
    #[must_use]
    pub fn even_newest(mut self) -> Self {
        self.even_newest = true;
        self
    }
}

impl Repository {
    /// What `policy` would do to a set now, with the reason for each backup. This is the dry run; [`Repository::prune`] takes the plan.
    ///
    /// # Errors
    /// `retention.no_rule`; those of the store.
    pub async fn plan(&self, cx: &JobContext, set: &SetName, policy: &RetentionPolicy) -> Result<Plan> {
        policy.check()?;
        let backups = self.list_with_parents(cx, set).await?;
        let needed = self.needed_by_intents(cx, set).await?;
        let candidates: Vec<_> = backups.iter().map(|info| candidate(info, &needed)).collect();
        retention::plan(policy, cx.clock().now(), &candidates)
    }

    /// Removes what a plan says goes. Each backup is looked at once more: what was pinned or came to be needed since stays.
    ///
    /// # Errors
    /// Those of the lease and of the listing; failures of single backups stand in the report.
    pub async fn prune(&self, cx: &JobContext, set: &SetName, plan: &Plan) -> Result<PruneReport> {
        cx.event(Event::Phase(Phase::Removing));
        let lease = self.leases().acquire(cx, set, true).await?;
        let mut report = PruneReport::default();
        // Listed anew: since the plan the newest good one may have turned out damaged, or gone.
        let mut backups = self.list_with_parents(cx, set).await?;
        for item in plan.removed() {
            cx.check()?;
            lease.still_held().await?;
            let Some(place) = backups.iter().position(|info| info.id == item.id) else { continue };
            let info = backups.remove(place);
            if let Some(why) = protection(cx, &info, &backups) {
                backups.insert(place, info);
                report.withdrawn.push((item.id.clone(), why));
                continue;
            }
            let reasons: Vec<_> = item.reasons.iter().map(Reason::to_string).collect();
            match self.remove_backup(cx, &info, &reasons.join("; "), false).await {
                Ok(Removal::Removed) => report.removed.push(item.id.clone()),
                Ok(Removal::Withdrawn(why)) => report.withdrawn.push((item.id.clone(), why)),
                Err(error) => report.failed.push((item.id.clone(), error)),
            }
        }
        Ok(report)
    }

    /// Removes one backup, whatever the policy, unless it is protected.
    ///
    /// # Errors
    /// `backup.not_found`; `backup.not_removable` for one that is pinned, locked, the newest good one, or needed by another.
    pub async fn delete(&self, cx: &JobContext, set: &SetName, id: &BackupId) -> Result<()> {
        self.delete_with(cx, set, id, DeleteOptions::default()).await
    }

    /// As [`Repository::delete`], with options.
    ///
    /// # Errors
    /// As [`Repository::delete`].
    pub async fn delete_with(&self, cx: &JobContext, set: &SetName, id: &BackupId, options: DeleteOptions) -> Result<()> {
        cx.event(Event::Phase(Phase::Removing));
        let doing = || format!("removing backup {id} of {set}");
        let _lease = self.leases().acquire(cx, set, true).await?;
        let backups = self.list_with_parents(cx, set).await.context(doing)?;
        let found = backups.iter().find(|info| info.id == *id);
        let info = found.ok_or_else(|| Error::new(&codes::BACKUP_NOT_FOUND, format!("there is no backup {id} in {set}")))?;
        let refused = |why: String| Err(Error::new(&codes::BACKUP_NOT_REMOVABLE, format!("backup {id} of {set} stays: {why}")));
        let newest = || newest_protection(info, &backups).filter(|_| !options.even_newest);
        if let Some(why) = lasting_protection(cx, info, &backups).or_else(newest) {
            return refused(why);
        }
        match self.remove_backup(cx, info, "removed by request", true).await.context(doing)? {
            Removal::Removed => Ok(()),
            Removal::Withdrawn(why) => refused(why),
        }
    }

    /// The parents that backups under way name.
    async fn needed_by_intents(&self, cx: &JobContext, set: &SetName) -> Result<BTreeSet<BackupId>> {
        let mut needed = BTreeSet::new();
        for intent in read_all::<Intent>(self, cx, Place::Intents, set).await? {
            if !intent.parents.is_empty() && !self.is_given_up(cx, &intent).await? {
                needed.extend(intent.parents);
            }
        }
        Ok(needed)
    }
}

/// Why retention must not remove a backup.
fn protection(cx: &JobContext, info: &BackupInfo, all: &[Arc<BackupInfo>]) -> Option<String> {
    lasting_protection(cx, info, all).or_else(|| newest_protection(info, all))
}

/// Why a backup must not be removed, whoever asks.
fn lasting_protection(cx: &JobContext, info: &BackupInfo, all: &[Arc<BackupInfo>]) -> Option<String> {
    if info.pinned {
        return Some("it is pinned".into());
    }
    if let State::Unsupported(why) = &info.state {
        return Some(format!("it was written by a newer version: {why}"));
    }
    if let Some(until) = info.retain_until.filter(|until| *until > cx.clock().now()) {
        return Some(format!("it is locked until {until}"));
    }
    let child = all.iter().find(|other| other.parents.contains(&info.id))?;
    Some(format!("backup {} needs it", child.id))
}

/// Why a backup stays unless it is asked for by somebody who knows that it is the last.
fn newest_protection(info: &BackupInfo, all: &[Arc<BackupInfo>]) -> Option<String> {
    let newer_good = |other: &&Arc<BackupInfo>| other.is_good() && other.id > info.id;
    let has_newer = all.iter().any(|other| newer_good(&other));
    match info.is_good() {
        true if !has_newer => Some("it is the newest good backup".into()),
        false if !has_newer => Some("it is damaged, but there is no newer good one".into()),
        _ => None,
    }
}

fn candidate(info: &BackupInfo, needed: &BTreeSet<BackupId>) -> Candidate {
    let mut candidate = Candidate::new(info.id.clone(), info.created_at, info.stored_size);
    candidate.state = match info.state {
        _ if !info.is_good() => retention::State::Damaged,
        State::Adopted => retention::State::Adopted,
        _ => retention::State::Good,
    };
    // What a newer version wrote is left alone, with all that it needs.
    candidate.pinned = info.pinned || matches!(info.state, State::Unsupported(_));
    candidate.locked_until = info.retain_until;
    candidate.parents = info.parents.clone();
    candidate.needed_by_intent = needed.contains(&info.id);
    candidate
}
