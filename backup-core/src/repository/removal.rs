//! Removing one backup: tombstone, a last look, manifest, data, tombstone. Whatever instant it dies at, no visible backup is
//! without its data, and what is left is named by the tombstone.

use chrono::{DateTime, Utc};
use futures::TryStreamExt;

use super::create::{Creation, create};
use super::info::{BackupInfo, State};
use super::taken::{check_directory, keys_of};
use super::{Repository, artifacts};
use crate::context::JobContext;
use crate::error::{Error, ErrorKind, Result, codes};
use crate::key::ObjectKey;
use crate::layout::{self, Place};
use crate::manifest::Manifest;
use crate::name::{BackupId, SetName};
use crate::naming::own_prefix;
use crate::record::{self, Tombstone};
use crate::store::{PutOptions, StoreExt};

/// How the removal of one backup ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Removal {
    /// It is gone, and so are its objects.
    Removed,
    /// It stays: since the plan was made, something came to need it.
    Withdrawn(String),
}

impl Repository {
    /// Removes one backup of which the caller decided that it may go. He holds the lease of its set. A removal that was left in the middle is
    /// for the janitor, unless `asked` for this very backup.
    pub(crate) async fn remove_backup(&self, cx: &JobContext, info: &BackupInfo, reason: &str, asked: bool) -> Result<Removal> {
        let began = cx.clock().monotonic();
        let tombstone = self.tombstone(cx, info, reason).await?;
        let key = layout::tombstone_key(&info.set, &info.id)?;
        let sealed = record::seal(&tombstone)?;
        match create(&**self.store(), cx, &key, &sealed, None).await {
            Ok(Creation::Created) => {}
            // Under the lease nobody else is at it: who wrote it is gone, and had not begun to remove what is still listed.
            Ok(Creation::Taken(_)) if asked => {
                self.store().put(cx, &key, sealed, PutOptions::default()).await?;
            }
            Ok(Creation::Taken(_)) => {
                return Ok(Removal::Withdrawn("an earlier removal has to be finished by the janitor first".into()));
            }
            Err(error) if error.kind() == ErrorKind::NoSpace && !tombstone.adopted => {
                return self.remove_from_full_store(cx, &tombstone).await;
            }
            Err(error) => return Err(error),
        }
        match self.came_to_be_needed(cx, &info.set, &info.id).await {
            Ok(None) => {}
            Ok(Some(why)) => {
                self.store().delete(cx, &[key]).await?.into_result()?;
                return Ok(Removal::Withdrawn(why));
            }
            Err(error) => {
                // Nothing was removed. A tombstone that stays all the same is taken back by the janitor.
                let _ = self.store().delete(cx, &[key]).await;
                return Err(error);
            }
        }
        // After the grace a janitor may take the tombstone away, and must not find the manifest gone behind its back.
        if cx.clock().monotonic().saturating_sub(began) > self.grace() / 2 {
            return Err(Error::new(&codes::JOB_DEADLINE, format!("removing backup {} took too long to be safe", info.id)));
        }
        self.finish_removal(cx, &tombstone).await?;
        Ok(Removal::Removed)
    }

    /// A full store has no room for a tombstone, and removing is how room is made: here the manifest goes first, and the tombstone
    /// takes its place. A crash just between the two leaves data that no record names; it is invisible, and lies under the backup's id.
    async fn remove_from_full_store(&self, cx: &JobContext, tombstone: &Tombstone) -> Result<Removal> {
        let (set, id) = (&tombstone.set, &tombstone.id);
        if let Some(why) = self.came_to_be_needed(cx, set, id).await? {
            return Ok(Removal::Withdrawn(why));
        }
        self.store().delete(cx, &[layout::manifest_key(set, id)?]).await?.into_result()?;
        // Without room even now the removal goes on all the same: its data is the room.
        let _ = create(&**self.store(), cx, &layout::tombstone_key(set, id)?, &record::seal(tombstone)?, None).await;
        self.finish_removal(cx, tombstone).await?;
        Ok(Removal::Removed)
    }

    async fn tombstone(&self, cx: &JobContext, info: &BackupInfo, reason: &str) -> Result<Tombstone> {
        let (set, id) = (&info.set, &info.id);
        let (prefix, artifacts) = match info.state {
            State::Adopted => (own_prefix(set, id)?, self.keys_of_adopted(cx, info).await?),
            // The prefix of its id is all that can be known.
            State::Damaged(_) | State::Unsupported(_) => (own_prefix(set, id)?, Vec::new()),
            State::Published => {
                let manifest = self.manifest(cx, set, id).await?;
                let keys = self.keys_outside(cx, &manifest).await?;
                (manifest.prefix, keys)
            }
        };
        Ok(Tombstone {
            set: set.clone(),
            id: id.clone(),
            reason: reason.to_owned(),
            created_at: cx.clock().now(),
            prefix,
            artifacts,
            adopted: info.state == State::Adopted,
        })
    }

    /// The files of a backup that has no manifest.
    async fn keys_of_adopted(&self, cx: &JobContext, info: &BackupInfo) -> Result<Vec<ObjectKey>> {
        match &info.group {
            Some(group) => self.members(cx, &info.set, group).map_ok(|(object, _)| object.key).try_collect().await,
            None => Ok(info.first_key.clone().into_iter().collect()),
        }
    }

    /// What does not lie under the backup's own prefix.
    async fn keys_outside(&self, cx: &JobContext, manifest: &Manifest) -> Result<Vec<ObjectKey>> {
        let outside = |key: &ObjectKey| key.strip_prefix(&manifest.prefix).is_none();
        let mut keys: Vec<_> = manifest.inventory.iter().map(|inventory| inventory.key.clone()).filter(outside).collect();
        match artifacts::of(self, cx, manifest).await {
            Ok(artifacts) => {
                let keys_there = artifacts.iter().map(|artifact| artifact.key).filter(outside);
                keys.extend(keys_there.filter(|key| layout::check_artifact_key(&manifest.prefix, key).is_ok()));
            }
            // As with a damaged manifest: its own prefix is all that can be known.
            Err(error) if error.kind() == ErrorKind::Corrupt => {}
            Err(error) => return Err(error),
        }
        Ok(keys)
    }

    /// Why a backup with a tombstone must stay after all.
    async fn came_to_be_needed(&self, cx: &JobContext, set: &SetName, id: &BackupId) -> Result<Option<String>> {
        if self.store().head_opt(cx, &layout::pin_key(set, id)?).await?.is_some() {
            return Ok(Some("it was pinned meanwhile".into()));
        }
        let needs_it = self.under_way_with(cx, set, id).await?;
        Ok(needs_it.map(|needing| format!("backup {needing} that is being made needs it")))
    }

    /// Removes what a tombstone names, and the tombstone last.
    pub(crate) async fn finish_removal(&self, cx: &JobContext, tombstone: &Tombstone) -> Result<u64> {
        let (set, id) = (&tombstone.set, &tombstone.id);
        check_directory(self, cx, set, id, &tombstone.prefix).await?;
        // Of a writer that died right after it had published: once the manifest is gone it would name the parents as needed.
        let intents = keys_of(self, cx, Place::Intents, set, id).await?;
        self.store().delete(cx, &intents).await?.into_result()?;
        self.store().delete(cx, &[layout::manifest_key(set, id)?]).await?.into_result()?;
        self.catalogue().forget(set, id);
        let removed = artifacts::remove(self, cx, &tombstone.prefix, &tombstone.artifacts).await?;
        let mut beside = keys_of(self, cx, Place::Verified, set, id).await?;
        beside.push(layout::pin_key(set, id)?);
        self.store().delete(cx, &beside).await?.into_result()?;
        self.store().delete(cx, &[layout::tombstone_key(set, id)?]).await?.into_result()?;
        Ok(removed)
    }

    /// Takes up a removal that was left in the middle before `before`; what was done about it.
    pub(crate) async fn resume_removal(&self, cx: &JobContext, tombstone: &Tombstone, before: DateTime<Utc>) -> Result<Resumed> {
        if tombstone.created_at >= before {
            return Ok(Resumed::TooYoung);
        }
        let manifest = layout::manifest_key(&tombstone.set, &tombstone.id)?;
        // While the manifest is there nothing was removed yet: the next plan decides anew.
        if !tombstone.adopted && self.store().head_opt(cx, &manifest).await?.is_some() {
            let key = layout::tombstone_key(&tombstone.set, &tombstone.id)?;
            self.store().delete(cx, &[key]).await?.into_result()?;
            return Ok(Resumed::Withdrawn);
        }
        self.finish_removal(cx, tombstone).await.map(Resumed::Finished)
    }
}

/// What became of a removal that was left in the middle.
pub(crate) enum Resumed {
    TooYoung,
    Withdrawn,
    Finished(u64),
}
