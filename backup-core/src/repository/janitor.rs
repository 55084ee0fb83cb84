//! The janitor: removes what an expired intent or a left tombstone names, and unfinished writes under names of our own.
//!
//! Never by the mere absence of a manifest. It settles with a late publisher through one object alone: whoever creates the record
//! at the manifest key, aborted or manifest, has decided.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::create::{Creation, create};
use super::removal::Resumed;
use super::taken::{Placed, check_directory, read_all, read_placed};
use super::{Repository, artifacts, earlier, external, later};
use crate::context::JobContext;
use crate::error::{Error, ErrorKind, Result, codes};
use crate::event::{Event, Phase};
use crate::key::ObjectKey;
use crate::layout::{self, Place};
use crate::manifest::Manifest;
use crate::name::{BackupId, JobId, SetName};
use crate::record::{self, Aborted, IntendedArtifact, Intent, Record, Tombstone};
use crate::store::{StoreExt, SweepOptions};

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
#[derive(Debug)]
struct Generations {
    keys: Vec<ObjectKey>,
    /// `None` when the newest one cannot be read: then nothing is done about this backup, for an older one knows too little.
    newest: Option<Intent>,
    /// Its job may be alive, and the unfinished writes of all jobs stay when this one's is not known.
    may_live: bool,
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
        let intents = self.all_intents(cx, now, &mut report).await?;
        let tombstones = self.all_tombstones(cx, &mut report).await?;
        let alive = || intents.values().filter(|generations| generations.may_live);
        let all_known = alive().all(|generations| generations.newest.is_some());
        let keep = alive().filter_map(|generations| generations.newest.as_ref()).map(|intent| intent.job.clone()).collect();

        let sets: BTreeSet<SetName> =
            intents.keys().map(|(set, _)| set).chain(tombstones.iter().map(|t| &t.set)).cloned().collect();
        for set in sets {
            cx.check()?;
            let _lease = match self.leases().acquire(cx, &set, false).await {
                Ok(lease) => lease,
                Err(error) if *error.code() == codes::LEASE_BUSY => {
                    report.busy.push(set);
                    continue;
                }
                Err(error) => {
                    report.problems.push(error.context(format!("taking the lease of {set}")));
                    continue;
                }
            };
            for ((_, id), generations) in intents.iter().filter(|((of, _), _)| *of == set) {
                let settled = self.settle_intent(cx, &set, id, generations, now, &mut report).await;
                report.problems.extend(settled.err().map(|error| error.context(format!("cleaning up backup {id} of {set}"))));
            }
            for tombstone in tombstones.iter().filter(|tombstone| tombstone.set == set) {
                match self.resume_removal(cx, tombstone, earlier(now, self.grace())).await {
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
        // An intent that cannot be read has been reported; whose writes are unfinished is not known then.
        if all_known {
            let swept = self.store().sweep(cx, SweepOptions::new(earlier(now, self.grace()), keep)).await?;
            report.unfinished = swept.removed;
            report.problems.extend(swept.failed);
        }
        Ok(report)
    }

    async fn all_intents(
        &self,
        cx: &JobContext,
        now: DateTime<Utc>,
        report: &mut JanitorReport,
    ) -> Result<BTreeMap<(SetName, BackupId), Generations>> {
        let mut found: BTreeMap<_, Generations> = BTreeMap::new();
        // In key order the newest generation of a backup comes last, and stays.
        for Placed { key, set, id, modified, record, .. } in
            read_placed(self, cx, Place::Intents, &Place::Intents.root()?).await?
        {
            let expires = |intent: &Intent| later(intent.expires_at, self.grace());
            let may_live = match &record {
                Ok(intent) => expires(intent) >= now,
                Err(error) if error.kind() == ErrorKind::Unsupported => true,
                Err(_) => modified.is_none_or(|modified| later(later(modified, self.intent_ttl()), self.grace()) >= now),
            };
            let newest = record.map_err(|error| report.problems.push(error.context(format!("reading {key}")))).ok();
            let generations = found.entry((set, id)).or_insert_with(|| Generations { keys: Vec::new(), newest: None, may_live });
            generations.keys.push(key);
            (generations.newest, generations.may_live) = (newest, may_live);
        }
        Ok(found)
    }

    async fn all_tombstones(&self, cx: &JobContext, report: &mut JanitorReport) -> Result<Vec<Tombstone>> {
        let mut found = Vec::new();
        for Placed { key, record, .. } in read_placed(self, cx, Place::Tombstones, &Place::Tombstones.root()?).await? {
            match record {
                Ok(tombstone) => found.push(tombstone),
                Err(error) => report.problems.push(error.context(format!("reading {key}"))),
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
        if generations.may_live {
            return Ok(());
        }
        let (decided, by_us) = self.decide(cx, intent, now).await?;
        if by_us {
            report.aborted.push((set.clone(), id.clone()));
        }
        let members = record::check(&decided)?;
        if record::format_of(&members) == Manifest::FORMAT {
            return self.drop_intents(cx, generations, report).await;
        }
        let aborted: Aborted = record::parse(members)?;
        let removed = self.clean(cx, intent).await?;
        report.objects += removed;
        // Its writer may sleep still, and finish an object when it wakes: so the intent keeps naming them for a while.
        if removed == 0 && later(aborted.aborted_at, self.grace().saturating_mul(2)) < now {
            self.drop_intents(cx, generations, report).await?;
        }
        Ok(())
    }

    /// Gives up what a job that will not go on was making in a set, without waiting for its intent to run out: none of it is published any
    /// more, and it keeps no other backup from being removed. What it wrote is removed by the janitor, later.
    ///
    /// The answer is whether nothing of it was published.
    ///
    /// # Errors
    /// Those of the store; may be called again then.
    pub async fn give_up(&self, cx: &JobContext, set: &SetName, job: &JobId) -> Result<bool> {
        let (intents, now) = (read_all::<Intent>(self, cx, Place::Intents, set).await?, cx.clock().now());
        let mut unpublished = true;
        for intent in intents.iter().filter(|intent| intent.job == *job) {
            let (decided, _) = self.decide(cx, intent, now).await?;
            unpublished &= record::format_of(&record::check(&decided)?) != Manifest::FORMAT;
        }
        Ok(unpublished)
    }

    /// What stands at the manifest key of a backup whose writer is gone, and whether it is an aborted record that was put there now.
    async fn decide(&self, cx: &JobContext, intent: &Intent, now: DateTime<Utc>) -> Result<(Bytes, bool)> {
        let key = layout::manifest_key(&intent.set, &intent.id)?;
        if let Some(found) = self.record_bytes(cx, &key).await? {
            return Ok((found, false));
        }
        let (set, id, job) = (intent.set.clone(), intent.id.clone(), intent.job.clone());
        let bytes = record::seal(&Aborted { set, id, job, aborted_at: now })?;
        match create(&**self.store(), cx, &key, &bytes, None).await? {
            Creation::Created => Ok((bytes, true)),
            Creation::Taken(found) => Ok((found, false)),
        }
    }

    /// The backup under way that needs another one, if there is one: one that was given up needs nothing.
    pub(super) async fn under_way_with(&self, cx: &JobContext, set: &SetName, parent: &BackupId) -> Result<Option<BackupId>> {
        for intent in read_all::<Intent>(self, cx, Place::Intents, set).await? {
            if intent.parents.contains(parent) && !self.is_given_up(cx, &intent).await? {
                return Ok(Some(intent.id));
            }
        }
        Ok(None)
    }

    pub(super) async fn is_given_up(&self, cx: &JobContext, intent: &Intent) -> Result<bool> {
        let key = layout::manifest_key(&intent.set, &intent.id)?;
        let Some(decided) = self.record_bytes(cx, &key).await? else { return Ok(false) };
        Ok(record::format_of(&record::check(&decided)?) == Aborted::FORMAT)
    }

    async fn drop_intents(&self, cx: &JobContext, generations: &Generations, report: &mut JanitorReport) -> Result<()> {
        self.store().delete(cx, &generations.keys).await?.into_result()?;
        report.intents += 1;
        Ok(())
    }

    /// Removes the objects of a backup that was given up. Of those under shared names only what no published backup names:
    /// another one may have won the name with the very same bytes.
    async fn clean(&self, cx: &JobContext, intent: &Intent) -> Result<u64> {
        check_directory(self, cx, &intent.set, &intent.id, &intent.prefix).await?;
        let mut keys = Vec::new();
        for artifact in &intent.artifacts {
            if self.is_still(cx, artifact).await? {
                keys.push(artifact.key.clone());
            }
        }
        if !keys.is_empty() {
            let wanted = keys.iter().cloned().collect();
            let named = self.named_by_manifests(cx, &intent.set, &HashSet::new(), &wanted).await?;
            keys.retain(|key| !named.contains(key));
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
