//! What is left of jobs that are gone.

use std::collections::BTreeMap;
use std::fmt;

use backup_core::{JobContext, Result};

use super::super::client::{Cinder, VolumeFilter, gone};
use super::mark::{FAILED, JOB, OURS, OWNER, ROLE, Role, check_owner};
use super::remove::retried;

/// What a [`Leftover`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftoverKind {
    /// A volume, with its attachments.
    Volume,
    /// A snapshot.
    Snapshot,
}

impl fmt::Display for LeftoverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Volume => "volume",
            Self::Snapshot => "snapshot",
        })
    }
}

/// Something of ours at Cinder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftover {
    /// What it is.
    pub kind: LeftoverKind,
    /// Its id.
    pub id: String,
    /// What it is for.
    pub role: Role,
    /// The job that made it.
    pub job: String,
    /// Its name.
    pub name: String,
    /// Its state.
    pub status: String,
    /// Of a snapshot, its volume.
    pub volume_id: Option<String>,
    /// Its project, where Cinder says so.
    pub project_id: Option<String>,
    /// When it was made, in UTC, as Cinder says it.
    pub created_at: Option<String>,
}

impl Cinder {
    /// Everything at Cinder that carries the mark of this owner, in the order in which it can be removed: volumes first. With the token of
    /// an admin these are those of all projects, otherwise those of its own.
    ///
    /// # Behavior
    /// Whether something is left over, the caller knows: by its job, which still runs or not, and for a [`Role::Base`] by the records that
    /// name it. One of [`Role::Kept`] is a user's.
    ///
    /// # Errors
    /// As every call.
    pub async fn leftovers(&self, cx: &JobContext, owner: &str) -> Result<Vec<Leftover>> {
        let filter = VolumeFilter::with_metadata(OWNER, check_owner(owner)?);
        let mut found = Vec::new();
        for volume in self.volumes(cx, &filter).await? {
            let half = || half_unmarked(&volume.metadata, owner).then(|| (Role::Restored, String::new()));
            let Some((role, job)) = marks(&volume.metadata).or_else(half) else { continue };
            found.push(Leftover {
                kind: LeftoverKind::Volume,
                id: volume.id,
                role,
                job,
                name: volume.name,
                status: volume.status,
                volume_id: None,
                project_id: volume.project_id,
                created_at: volume.created_at,
            });
        }
        for snapshot in self.snapshots(cx, &filter).await? {
            let Some((role, job)) = marks(&snapshot.metadata) else { continue };
            found.push(Leftover {
                kind: LeftoverKind::Snapshot,
                id: snapshot.id,
                role,
                job,
                name: snapshot.name,
                status: snapshot.status,
                volume_id: Some(snapshot.volume_id),
                project_id: snapshot.project_id,
                created_at: snapshot.created_at,
            });
        }
        Ok(found)
    }

    /// Removes what is left over, and returns when it is gone. What is not there is removed.
    ///
    /// # Behavior
    /// A temporary volume, or a new one that was being restored into, is detached and deleted. Somebody's own volume
    /// ([`Role::Overwriting`]) is detached and stays, with the reason in its metadata ([`FAILED`]); one that is whole ([`Role::Restored`]) is
    /// given back. Before a snapshot goes, temporary volumes
    /// that were made of it do. Tried again while Cinder does not answer, until the context ends.
    ///
    /// # Errors
    /// The last try's.
    pub async fn remove_leftover(&self, cx: &JobContext, leftover: &Leftover) -> Result<()> {
        match (leftover.kind, leftover.role) {
            (LeftoverKind::Volume, Role::Overwriting) => {
                let why =
                    format!("the job {} that wrote into this volume did not come to its end: it is not whole", leftover.job);
                retried(cx, || async { gone(self.give_back(cx, &leftover.id, Some(&why)).await).map(drop) }).await
            }
            (LeftoverKind::Volume, Role::Restored) => {
                retried(cx, || async { gone(self.give_back_whole(cx, &leftover.id).await).map(drop) }).await
            }
            (LeftoverKind::Volume, _) => self.remove_thing(cx, LeftoverKind::Volume, &leftover.id).await,
            (LeftoverKind::Snapshot, _) => self.remove_snapshot_for_good(cx, &leftover.id).await,
        }
    }

    /// The temporary volumes that were made of a snapshot.
    async fn made_of(&self, cx: &JobContext, snapshot: &str) -> Result<Vec<String>> {
        let filter = VolumeFilter::with_metadata(ROLE, Role::Temporary.as_str());
        let volumes = self.volumes(cx, &filter).await?.into_iter();
        Ok(volumes.filter(|volume| volume.snapshot_id.as_deref() == Some(snapshot)).map(|volume| volume.id).collect())
    }

    /// Gives a volume back that was written into: says in its metadata why it is not whole, or no longer that it is not, ends our
    /// attachment, and takes our mark away.
    pub(in super::super) async fn give_back(&self, cx: &JobContext, volume: &str, failed: Option<&str>) -> Result<()> {
        match failed {
            Some(why) => self.mark_failed(cx, volume, why).await?,
            None => self.remove_volume_metadata(cx, volume, FAILED).await?,
        }
        self.detach_unfinished(cx, volume, &[]).await?;
        self.unmark(cx, volume).await
    }

    /// Gives a volume back that is whole, or goes on with taking our mark away: what its metadata say else is its owner's by then.
    async fn give_back_whole(&self, cx: &JobContext, volume: &str) -> Result<()> {
        match self.volume(cx, volume).await?.metadata.contains_key(ROLE) {
            true => self.give_back(cx, volume, None).await,
            false => self.unmark(cx, volume).await,
        }
    }

    /// Takes our mark from a volume.
    pub(in super::super) async fn unmark(&self, cx: &JobContext, volume: &str) -> Result<()> {
        for key in OURS {
            self.remove_volume_metadata(cx, volume, key).await?;
        }
        Ok(())
    }

    /// Removes a volume that was made for a restore, and returns when it is gone; tried again while Cinder does not answer.
    pub(in super::super) async fn remove_made_volume(&self, cx: &JobContext, id: &str) -> Result<()> {
        self.remove_thing(cx, LeftoverKind::Volume, id).await
    }

    /// Removes a snapshot, and what was made of it, and returns when it is gone; tried again while Cinder does not answer.
    pub(in super::super) async fn remove_snapshot_for_good(&self, cx: &JobContext, id: &str) -> Result<()> {
        for volume in self.made_of(cx, id).await? {
            self.remove_thing(cx, LeftoverKind::Volume, &volume).await?;
        }
        self.remove_thing(cx, LeftoverKind::Snapshot, id).await
    }

    /// Writes into the metadata of a volume why what it holds cannot be trusted.
    ///
    /// # Errors
    /// As every call.
    pub async fn mark_failed(&self, cx: &JobContext, volume: &str, why: &str) -> Result<()> {
        // Cinder takes so much.
        let why: String = why.chars().take(200).collect();
        self.set_volume_metadata(cx, volume, &BTreeMap::from([(FAILED.to_owned(), why)])).await
    }
}

/// Whether our mark was being taken from a volume, which is its owner's again: whose it was goes last.
pub(in super::super) fn half_unmarked(metadata: &BTreeMap<String, String>, owner: &str) -> bool {
    !metadata.contains_key(ROLE) && metadata.get(OWNER).is_some_and(|found| found == owner)
}

fn marks(metadata: &BTreeMap<String, String>) -> Option<(Role, String)> {
    let role = metadata.get(ROLE).and_then(|role| Role::of(role))?;
    Some((role, metadata.get(JOB).cloned().unwrap_or_default()))
}
