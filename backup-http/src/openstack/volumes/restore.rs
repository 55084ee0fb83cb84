//! A new volume from a backup.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backup_core::service::{SubmitOptions, Target};
use backup_core::state::Expected;
use backup_core::{BackupId, BackupRequest, Result, SetName};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::kept;
use crate::openstack::body::Fields;
use crate::openstack::errors::{Failure, shown};
use crate::openstack::id::job_id;
use crate::openstack::record::{Status, VolumeBackup};
use crate::openstack::volume_backups::{check_text, count};
use crate::openstack::{Caller, Inner, Principal, VolumeOrder, why};

/// Under this prefix of the state restores that have not ended lie, under the id of their backup.
const PREFIX: &str = "openstack/restores/";

/// How often the end of a restore is tried at the cloud before that is left for later, with a pause in between.
const SETTLE_TRIES: u32 = 5;

/// How often it is tried to note that a restore has its data, with a second in between.
const KEEP_TRIES: u32 = 10;

const SETTLE_PAUSE: Duration = Duration::from_secs(5);

/// What the body of a request says.
#[derive(Debug, Clone, Default)]
pub(in crate::openstack) struct RestoreOrder {
    pub(in crate::openstack) backup_id: String,
    pub(in crate::openstack) name: String,
    volume_type: String,
    size: u64,
    availability_zone: String,
    metadata: BTreeMap<String, String>,
}

impl RestoreOrder {
    /// # Errors
    /// 422 for a wrong shape, 400 for a wrong value.
    pub(in crate::openstack) fn read(mut fields: Fields) -> Result<Self, Failure> {
        let (backup_id, name, volume_type) = (fields.required("backup_id"), fields.text("name"), fields.text("volume_type"));
        let (size, availability_zone, metadata) =
            (fields.number("size"), fields.text("availability_zone"), fields.map("metadata"));
        fields.end()?;
        for (field, text) in [("name", &name), ("volume_type", &volume_type), ("availability_zone", &availability_zone)] {
            check_text(field, text)?;
        }
        let mut texts = BTreeMap::new();
        for (key, value) in metadata {
            let value = match value {
                Value::String(text) => text,
                _ => return Err(Failure::bad("Argument metadata is invalid!")),
            };
            check_text("metadata", &key)?;
            check_text("metadata", &value)?;
            // What says that a thing is ours is not for others to write.
            if key.starts_with("backup:") {
                return Err(Failure::bad("Argument metadata is invalid!"));
            }
            texts.insert(key, value);
        }
        Ok(Self { backup_id, name, volume_type, size: count("size", size)?, availability_zone, metadata: texts })
    }

    /// All of a backup into a volume like the one that it is of.
    pub(in crate::openstack) fn of(backup_id: String, name: String) -> Self {
        Self { backup_id, name, ..Self::default() }
    }
}

/// A restore that has not ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::openstack) struct Restore {
    /// The id of its job: a UUID.
    pub(in crate::openstack) id: String,
    pub(in crate::openstack) backup: String,
    /// The project that the volume is made in.
    pub(in crate::openstack) project: String,
    pub(in crate::openstack) owner: String,
    pub(in crate::openstack) volume_id: Option<String>,
    /// All of the data is in the volume.
    pub(in crate::openstack) restored: bool,
    set: SetName,
    link: BackupId,
    order: VolumeOrder,
}

impl Restore {
    fn key(&self) -> String {
        format!("{PREFIX}{}/{}", self.backup, self.id)
    }
}

impl Inner {
    /// Makes a volume, and answers with its id when Cinder has given it; the data comes in the background.
    ///
    /// # Cancel safety
    /// Not cancel safe: to be called from a task that nobody drops.
    pub(in crate::openstack) async fn restore_volume(
        self: &Arc<Self>,
        caller: Arc<Caller>,
        order: RestoreOrder,
    ) -> Result<String, Failure> {
        let failed = |error| Failure::internal(&error);
        let record = self.visible::<VolumeBackup>(&caller, &order.backup_id).await?;
        let by = Principal::Caller(Arc::clone(&caller));
        restorable(&record)?;
        self.check_volume_type(&by, volume_type(&record, &order)).await?;
        let lock = self.lock_project(&record.project_id).await?;
        let gone = || Failure::not_found(format!("Volume backup {} is not found!", record.id));
        let record = self.get::<VolumeBackup>(&record.project_id, &record.id).await.map_err(failed)?.ok_or_else(gone)?;
        let link = restorable(&record)?.clone();
        // Of the point that is brought back, and no earlier one.
        let volume = volume_order(&record, &order)?;
        let mut restore = Restore {
            id: self.new_id(),
            backup: record.id.clone(),
            project: caller.project_id.clone(),
            owner: self.owner.name().to_owned(),
            volume_id: None,
            restored: false,
            set: record.set.clone(),
            link,
            order: volume,
        };
        restore.order.job = job_id(&restore.id).map_err(failed)?.as_str().to_owned();
        let (leave, cancel) = self.claim(&restore.id);
        self.keep_restore(&restore).await.map_err(failed)?;
        drop(lock);
        let cx = self.looking();
        let made = match cx.run(self.cloud.create_volume(&cx, &by, &restore.order)).await {
            Ok(id) => id,
            Err(error) => {
                // A volume that was made all the same carries the job of no restore, and is removed as such.
                self.forget_restore(&restore).await;
                return Err(Failure::of_cloud(&error));
            }
        };
        restore.volume_id = Some(made.clone());
        if let Err(error) = self.keep_restore(&restore).await {
            self.forget_restore(&restore).await;
            return Err(failed(error));
        }
        tracing::info!(backup = record.id, volume = made, user = caller.user, "a volume is made from a backup");
        let this = Arc::clone(self);
        self.spawn(leave, async move { this.run_restore(by, restore, cancel).await });
        Ok(made)
    }

    /// # Errors
    /// 400 for a type that is not there; those of the cloud.
    async fn check_volume_type(&self, by: &Principal, volume_type: &str) -> Result<(), Failure> {
        if volume_type.is_empty() {
            return Ok(());
        }
        let cx = self.looking();
        let known = cx.run(self.cloud.has_volume_type(&cx, by, volume_type)).await;
        match known.map_err(|error| Failure::of_cloud(&error))? {
            true => Ok(()),
            false => Err(Failure::bad(format!("Volume type {} is not found!", shown(volume_type)))),
        }
    }

    async fn run_restore(self: Arc<Self>, by: Principal, mut restore: Restore, cancel: CancellationToken) {
        let result = self.restore_into(&by, &restore, &cancel).await;
        let mut reason = result.as_ref().err().map(why);
        if result.is_ok() {
            restore.restored = true;
            // Not before it is noted is the volume anybody's: what is not noted is deleted when it is taken up.
            if !self.keep_restored(&restore).await {
                self.disorder.notify_one();
                return;
            }
        }
        for attempt in 1..=SETTLE_TRIES {
            match self.settle(&by, &restore, reason.as_deref()).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::error!(restore = restore.id, volume = restore.volume_id, %error, "a restore could not be ended yet");
                    if error.retry() == backup_core::Retry::Never {
                        // What it lacks it will not get: a volume that is not as it was asked for is none.
                        reason.get_or_insert_with(|| why(&error));
                    }
                }
            }
            if attempt < SETTLE_TRIES {
                self.pause(SETTLE_PAUSE).await;
            }
        }
        self.disorder.notify_one();
    }

    async fn restore_into(&self, by: &Principal, restore: &Restore, cancel: &CancellationToken) -> Result<()> {
        let volume = restore.volume_id.as_deref().unwrap_or_default();
        let (source, to) = self.cloud.restorer(by, volume, &restore.order)?;
        let target = Target::new(self.repository.clone(), source, BackupRequest::new(restore.set.clone()));
        let options = SubmitOptions::default().id(job_id(&restore.id)?).label("backup", restore.backup.as_str());
        let handle = self.service.restore(&target, &restore.link, to, options).await?;
        self.ended(handle, cancel).await.map(drop)
    }

    /// Ends a restore at the cloud and in the state.
    pub(in crate::openstack) async fn settle(&self, by: &Principal, restore: &Restore, failed: Option<&str>) -> Result<()> {
        if let Some(volume) = &restore.volume_id {
            let cx = self.changing();
            cx.run(self.cloud.settle_restored(&cx, by, volume, &restore.order, failed)).await?;
            match failed {
                None => tracing::info!(backup = restore.backup, volume, "a volume was made from a backup"),
                Some(why) => tracing::error!(backup = restore.backup, volume, why, "a volume could not be made from a backup"),
            }
        }
        kept::remove(&*self.state, &restore.key()).await
    }

    async fn keep_restore(&self, restore: &Restore) -> Result<()> {
        kept::set(&*self.state, &restore.key(), Expected::Any, restore).await.map(drop)
    }

    /// Notes that all data is there; false when the state fails for long.
    async fn keep_restored(&self, restore: &Restore) -> bool {
        for _ in 0..KEEP_TRIES {
            match self.keep_restore(restore).await {
                Ok(()) => return true,
                Err(error) => tracing::warn!(restore = restore.id, %error, "that a restore has all its data could not be noted"),
            }
            self.pause(Duration::from_secs(1)).await;
        }
        false
    }

    /// One that stays noted is ended later.
    async fn forget_restore(&self, restore: &Restore) {
        if let Err(error) = kept::remove(&*self.state, &restore.key()).await {
            tracing::warn!(restore = restore.id, %error, "a restore that did not begin is still noted");
        }
        self.disorder.notify_one();
    }

    /// Restores that have not ended: of a backup, or all.
    pub(in crate::openstack) async fn restores(&self, backup: Option<&str>) -> Result<Vec<Restore>> {
        let prefix = backup.map_or_else(|| PREFIX.to_owned(), |backup| format!("{PREFIX}{backup}/"));
        let mut open = Vec::new();
        kept::each(&*self.state, &prefix, None, |_, restore: Restore| open.push(restore)).await?;
        Ok(open)
    }

    /// The same, none left out.
    ///
    /// # Errors
    /// Also when one of them cannot be read.
    pub(in crate::openstack) async fn every_restore(&self) -> Result<Vec<Restore>> {
        kept::every(&*self.state, PREFIX).await
    }

    /// A restore as it is noted by now; `None` when it has ended.
    pub(in crate::openstack) async fn restore_by_now(&self, restore: &Restore) -> Result<Option<Restore>> {
        kept::get(&*self.state, &restore.key()).await
    }

    pub(in crate::openstack) async fn is_being_restored(&self, backup: &str) -> Result<bool> {
        Ok(!self.restores(Some(backup)).await?.is_empty())
    }
}

fn volume_type<'a>(record: &'a VolumeBackup, order: &'a RestoreOrder) -> &'a str {
    if order.volume_type.is_empty() { &record.volume_type } else { &order.volume_type }
}

/// # Errors
/// 400 for a size that is too small.
fn volume_order(record: &VolumeBackup, order: &RestoreOrder) -> Result<VolumeOrder, Failure> {
    let least = record.size.unwrap_or(0);
    if order.size > 0 && order.size < least {
        return Err(Failure::bad(format!("Size {} is less than {least} of the backup!", order.size)));
    }
    let own_name = (record.volume_name != record.volume_id).then_some(record.volume_name.as_str());
    Ok(VolumeOrder {
        name: if order.name.is_empty() { own_name.unwrap_or_default().to_owned() } else { order.name.clone() },
        volume_type: volume_type(record, order).to_owned(),
        size: order.size.max(least),
        bootable: record.property == "bootable=true",
        metadata: order.metadata.clone(),
        availability_zone: order.availability_zone.clone(),
        job: String::new(),
    })
}

/// The newest point of a backup.
///
/// # Errors
/// 409 when there is none, and when it is being removed.
fn restorable(record: &VolumeBackup) -> Result<&BackupId, Failure> {
    let refused = || Failure::conflict(format!("Volume backup {} is {} and not whole!", record.id, record.status.as_str()));
    match record.status {
        Status::Deleting | Status::Importing => Err(refused()),
        _ => record.links.last().ok_or_else(refused),
    }
}
