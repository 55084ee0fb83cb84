//! The janitor: removes what an expired intent or a left tombstone names, and unfinished writes under names of our own.
//!
//! Never by the mere absence of a manifest. It settles with a late publisher through one object alone: whoever creates the record
//! at the manifest key, aborted or manifest, has decided.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use futures::TryStreamExt;

use super::create::{Creation, create};
use super::removal::Resumed;
use super::{Repository, artifacts, external};
use crate::context::JobContext;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Phase};
use crate::key::ObjectKey;
use crate::layout::{self, Place};
use crate::manifest::Manifest;
use crate::name::{BackupId, SetName};
use crate::record::{self, Aborted, IntendedArtifact, Intent, MAX_RECORD, Record, Tombstone};
use crate::store::{ListOptions, StoreExt, SweepOptions};

/// What a run of the janitor did.
#[derive(Debug, Default)]
#[must_use]
pub struct JanitorReport {
    /// Backups that were given up now: their writers can no longer publish.
    pub aborted: Vec<(SetName, BackupId)>,
    /// Objects of given-up and removed backups that were removed.
    pub objects: u64,
    /// Intents that were dropped, each of a backup that is published or cleaned up.
    pub intents: u64,
    /// Removals left in the middle that were finished.
    pub removals: u64,
    /// Removals left before their first step, taken back.
    pub withdrawn: u64,
    /// Unfinished writes removed.
    pub unfinished: u64,
    /// Sets left for later, because a job works on them.
    pub busy: Vec<SetName>,
    /// What could not be done, and why.
    pub problems: Vec<Error>,
}

/// All generations of one backup's intent.
#[derive(Debug, Default)]
struct Generations {
    keys: Vec<ObjectKey>,
    newest: Option<Intent>,
}

impl Repository {
    /// Cleans up what crashed jobs left, after the grace period. Safe beside running jobs, here and elsewhere.
    ///
    /// # Errors
    /// Only when it cannot even look; single failures stand in the report.
    pub async fn janitor(&self, cx: &JobContext) -> Result<JanitorReport> {
        cx.event(Event::Phase(Phase::Removing));
        let now = cx.clock().now();
        let mut report = JanitorReport::default();
        let intents = self.all_intents(cx, &mut report).await?;
        let tombstones = self.all_tombstones(cx, &mut report).await?;
        let alive = |intent: &&Intent| intent.expires_at + self.grace() >= now;
        let jobs = intents.values().filter_map(|generations| generations.newest.as_ref()).filter(alive);
        let keep = jobs.map(|intent| intent.job.clone()).collect();

        let sets: BTreeSet<SetName> =
            intents.keys().map(|(set, _)| set).chain(tombstones.iter().map(|t| &t.set)).cloned().collect();
        for set in sets {
            let Ok(_lease) = self.leases().acquire(cx, &set, false).await else {
                report.busy.push(set);
                continue;
            };
            for ((_, id), generations) in intents.iter().filter(|((of, _), _)| *of == set) {
                let settled = self.settle_intent(cx, &set, id, generations, now, &mut report).await;
                report.problems.extend(settled.err().map(|error| error.context(format!("cleaning up backup {id} of {set}"))));
            }
            for tombstone in tombstones.iter().filter(|tombstone| tombstone.set == set) {
                match self.resume_removal(cx, tombstone, now - self.grace()).await {
                    Ok(Resumed::TooYoung) => {}
                    Ok(Resumed::Withdrawn) => report.withdrawn += 1,
                    Ok(Resumed::Finished(objects)) => {
                        report.removals += 1;
                        report.objects += objects;
                    }
                    Err(error) => report.problems.push(error.context(format!("removing backup {} of {set}", tombstone.id))),
                }
            }
        }
        let swept = self.store().sweep(cx, SweepOptions::new(now - self.grace(), keep)).await?;
        report.unfinished = swept.removed;
        report.problems.extend(swept.failed);
        Ok(report)
    }

    async fn all_intents(
        &self,
        cx: &JobContext,
        report: &mut JanitorReport,
    ) -> Result<BTreeMap<(SetName, BackupId), Generations>> {
        let mut found: BTreeMap<_, Generations> = BTreeMap::new();
        let mut listing = self.store().list(cx, &Place::Intents.root()?, ListOptions::default());
        while let Some(object) = listing.try_next().await? {
            let Some((set, id, _)) = Place::Intents.parse(&object.key) else { continue };
            let Some(bytes) = self.store().get_opt(cx, &object.key, MAX_RECORD).await? else { continue };
            let generations = found.entry((set, id)).or_default();
            generations.keys.push(object.key.clone());
            match record::open::<Intent>(&bytes) {
                Ok(intent) if generations.newest.as_ref().is_none_or(|newest| newest.generation < intent.generation) => {
                    generations.newest = Some(intent);
                }
                Ok(_) => {}
                Err(error) => report.problems.push(error.context(format!("reading {}", object.key))),
            }
        }
        Ok(found)
    }

    async fn all_tombstones(&self, cx: &JobContext, report: &mut JanitorReport) -> Result<Vec<Tombstone>> {
        let mut found = Vec::new();
        let mut listing = self.store().list(cx, &Place::Tombstones.root()?, ListOptions::default());
        while let Some(object) = listing.try_next().await? {
            if Place::Tombstones.parse(&object.key).is_none() {
                continue;
            }
            let Some(bytes) = self.store().get_opt(cx, &object.key, MAX_RECORD).await? else { continue };
            match record::open::<Tombstone>(&bytes) {
                Ok(tombstone) => found.push(tombstone),
                Err(error) => report.problems.push(error.context(format!("reading {}", object.key))),
            }
        }
        Ok(found)
    }

    async fn settle_intent(
        &self,
        cx: &JobContext,
        set: &SetName,
        id: &BackupId,
        generations: &Generations,
        now: DateTime<Utc>,
        report: &mut JanitorReport,
    ) -> Result<()> {
        let Some(intent) = &generations.newest else { return Ok(()) };
        if intent.expires_at + self.grace() >= now {
            return Ok(());
        }
        let key = layout::manifest_key(set, id)?;
        let decided = match self.store().get_opt(cx, &key, MAX_RECORD).await? {
            Some(bytes) => bytes,
            None => {
                let aborted = Aborted { set: set.clone(), id: id.clone(), job: intent.job.clone(), aborted_at: now };
                let bytes = record::seal(&aborted)?;
                match create(&**self.store(), cx, &key, &bytes, None).await? {
                    Creation::Created => {
                        report.aborted.push((set.clone(), id.clone()));
                        bytes
                    }
                    Creation::Taken(found) => found,
                }
            }
        };
        let members = record::check(&decided)?;
        if record::format_of(&members) == Manifest::FORMAT {
            return self.drop_intents(cx, generations, report).await;
        }
        let aborted: Aborted = record::parse(members)?;
        let removed = self.clean(cx, intent).await?;
        report.objects += removed;
        // Its writer may sleep still, and finish an object when it wakes: so the intent keeps naming them for a while.
        if removed == 0 && aborted.aborted_at + self.grace() * 2 < now {
            self.drop_intents(cx, generations, report).await?;
        }
        Ok(())
    }

    async fn drop_intents(&self, cx: &JobContext, generations: &Generations, report: &mut JanitorReport) -> Result<()> {
        self.store().delete(cx, &generations.keys).await?.into_result()?;
        report.intents += 1;
        Ok(())
    }

    /// Removes the objects of a backup that was given up.
    async fn clean(&self, cx: &JobContext, intent: &Intent) -> Result<u64> {
        let mut keys = Vec::new();
        for artifact in &intent.artifacts {
            if self.is_still(cx, artifact).await? {
                keys.push(artifact.key.clone());
            }
        }
        artifacts::remove(self, cx, &intent.prefix, &keys).await
    }

    /// True when the object under a shared name is still the one that the backup made, byte for byte.
    async fn is_still(&self, cx: &JobContext, artifact: &IntendedArtifact) -> Result<bool> {
        match self.store().head_opt(cx, &artifact.key).await? {
            Some(meta) if meta.size == artifact.size => {}
            _ => return Ok(false),
        }
        match external::digest(self, cx, &artifact.key).await {
            Ok(stored) => Ok(stored.sha256 == artifact.sha256),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}
