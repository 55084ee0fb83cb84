//! A volume back to one of its snapshots.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use backup_core::state::Expected;
use backup_core::{Error, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::kept;
use crate::openstack::errors::{Failure, shown};
use crate::openstack::locks::{self, Lock};
use crate::openstack::{Caller, Inner, Leave, Principal, Snapshot, Volume, why};

/// Under this prefix of the state rollbacks that have not ended lie, under their volume.
const PREFIX: &str = "openstack/rollbacks/";

/// How often it is tried to free a volume before that is left for later, with a pause in between.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(5);

/// A rollback that has not ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::openstack) struct Rollback {
    pub(in crate::openstack) volume_id: String,
    pub(in crate::openstack) snapshot_id: String,
    pub(in crate::openstack) project: String,
    pub(in crate::openstack) owner: String,
    /// It ended, and the volume is not free yet.
    #[serde(default)]
    pub(in crate::openstack) ended: bool,
    /// How it failed then.
    #[serde(default)]
    pub(in crate::openstack) failed: Option<String>,
}

impl Rollback {
    fn key(&self) -> String {
        key(&self.volume_id)
    }
}

fn key(volume: &str) -> String {
    format!("{PREFIX}{volume}")
}

/// A rollback that is noted and has not begun.
pub(in crate::openstack) struct Noted {
    leave: Leave,
    by: Principal,
    volume: Volume,
    snapshot: Snapshot,
    lock: Lock,
}

/// The end of a rollback, to be waited for.
pub(in crate::openstack) type Rolled = oneshot::Receiver<Result<()>>;

/// The live work on a volume's rollback.
pub(in crate::openstack) fn live_id(volume: &str) -> String {
    format!("rollback/{volume}")
}

impl Inner {
    /// Rolls a volume back, and waits for it.
    ///
    /// # Errors
    /// 404, 409; 504 when it takes longer than requests wait: then it goes on, and the volume stays locked.
    ///
    /// # Cancel safety
    /// Not cancel safe: to be called from a task that nobody drops.
    pub(in crate::openstack) async fn rollback_volume(
        self: &Arc<Self>,
        caller: Arc<Caller>,
        id: &str,
        snapshot: &str,
    ) -> Result<(), Failure> {
        let by = Principal::Caller(caller);
        let volume = self.quiet_volume(&by, id).await?;
        self.snapshot_of(&by, &volume, snapshot).await?;
        let lock = self.lock_volume_now(&volume.id).await?;
        // Looked at again: until now others could work on it.
        let volume = self.quiet_volume(&by, id).await?;
        let snapshot = self.snapshot_of(&by, &volume, snapshot).await?;
        let id = volume.id.clone();
        let noted = self.note_rollback(by, volume, snapshot, lock).await?;
        let rolled = self.begin_rollback(noted);
        self.await_rollback(&format!("volume {id}"), vec![rolled]).await
    }

    /// # Errors
    /// 409 while somebody works on the volume.
    pub(in crate::openstack) async fn lock_volume_now(&self, id: &str) -> Result<Lock, Failure> {
        let lock = self.locks.try_lock(&locks::volume(id)).await.map_err(|error| Failure::internal(&error))?;
        lock.ok_or_else(|| Failure::conflict(format!("Volume {} is in use by a backup or a rollback!", shown(id))))
    }

    /// Notes that a volume, which was looked at under its lock, is rolled back from now on.
    ///
    /// # Errors
    /// Those of the state; then nothing comes of it later, either.
    pub(in crate::openstack) async fn note_rollback(
        self: &Arc<Self>,
        by: Principal,
        volume: Volume,
        snapshot: Snapshot,
        lock: Lock,
    ) -> Result<Noted, Failure> {
        let rollback = Rollback {
            volume_id: volume.id.clone(),
            snapshot_id: snapshot.id.clone(),
            project: by.project().to_owned(),
            owner: self.owner.name().to_owned(),
            ended: false,
            failed: None,
        };
        let (leave, _) = self.claim(&live_id(&volume.id));
        let noted = Noted { leave, by, volume, snapshot, lock };
        if let Err(error) = kept::set(&*self.state, &rollback.key(), Expected::Any, &rollback).await {
            self.take_back(noted);
            return Err(Failure::internal(&error));
        }
        Ok(noted)
    }

    /// Ends a rollback that was not begun. Until its note is gone nobody else works on the volume, so that nobody takes the note up.
    pub(in crate::openstack) fn take_back(self: &Arc<Self>, noted: Noted) {
        let Noted { leave, volume, lock, .. } = noted;
        let this = Arc::clone(self);
        self.running.spawn(async move {
            while let Err(error) = this.forget_rollback(&volume.id).await {
                tracing::warn!(volume = volume.id, %error, "a rollback that does not take place is still noted");
                if this.stopping.is_cancelled() {
                    break;
                }
                this.pause(Duration::from_secs(1)).await;
            }
            // In this order: who has the lock finds no work here.
            drop(leave);
            drop(lock);
        });
    }

    /// Begins what was noted.
    pub(in crate::openstack) fn begin_rollback(self: &Arc<Self>, noted: Noted) -> Rolled {
        let Noted { leave, by, volume, snapshot, lock } = noted;
        self.run_rollback(leave, by, volume, snapshot, lock)
    }

    /// Rolls back in the background. The volume is free before anybody hears of the end.
    pub(in crate::openstack) fn run_rollback(
        self: &Arc<Self>,
        leave: Leave,
        by: Principal,
        volume: Volume,
        snapshot: Snapshot,
        lock: Lock,
    ) -> Rolled {
        let (tell, rolled) = oneshot::channel();
        let this = Arc::clone(self);
        self.running.spawn(async move {
            tracing::info!(volume = volume.id, snapshot = snapshot.id, "a rollback began");
            // Not bounded but by the cloud's own limits: half a rollback is no volume.
            let cx = this.repository.context();
            let mut result = this.cloud.rollback(&cx, &by, &volume, &snapshot).await;
            match &result {
                Ok(()) => tracing::info!(volume = volume.id, snapshot = snapshot.id, "a rollback is done"),
                Err(error) => tracing::error!(volume = volume.id, snapshot = snapshot.id, %error, "a rollback failed"),
            }
            let rollback = Rollback {
                volume_id: volume.id,
                snapshot_id: snapshot.id,
                project: by.project().to_owned(),
                owner: this.owner.name().to_owned(),
                ended: true,
                failed: result.as_ref().err().map(why),
            };
            if let Err(error) = this.end_rollback(&rollback).await {
                result = result.and(Err(error));
            }
            // In this order: who has the lock finds no work here.
            drop(leave);
            drop(lock);
            let _ = tell.send(result);
        });
        rolled
    }

    /// Waits for the end of rollbacks, and says how they ended.
    pub(in crate::openstack) async fn await_rollback(&self, what: &str, rolled: Vec<Rolled>) -> Result<(), Failure> {
        let all = futures::future::join_all(rolled);
        let ended = tokio::select! {
            biased;
            ended = all => ended,
            () = self.environment.clock.sleep(self.rollback_timeout) => {
                return Err(Failure::new(StatusCode::GATEWAY_TIMEOUT, format!("Rollback of {what} is still running!")));
            }
        };
        let lost = || Error::new(&backup_core::error::codes::INTERNAL, "a rollback ended without a result");
        let failed: Vec<Error> = ended.into_iter().filter_map(|ended| ended.unwrap_or_else(|_| Err(lost())).err()).collect();
        match failed.as_slice() {
            [] => Ok(()),
            [only] => Err(Failure::of_cloud(only)),
            many => {
                let texts: Vec<String> = many.iter().map(ToString::to_string).collect();
                Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, texts.join("; ")))
            }
        }
    }

    /// Frees the volume, and forgets the rollback: nothing may begin it again. While the state fails the volume stays locked, and its client
    /// is not told that it is done.
    async fn end_rollback(&self, rollback: &Rollback) -> Result<()> {
        let mut freed = Ok(false);
        for attempt in 1..=TRIES {
            freed = self.let_go(rollback, rollback.failed.as_deref()).await;
            let Err(error) = &freed else { break };
            tracing::warn!(volume = rollback.volume_id, %error, "a volume that was rolled back is not free yet");
            if attempt < TRIES {
                self.pause(PAUSE).await;
            }
        }
        loop {
            let noted = match &freed {
                Ok(_) => self.forget_rollback(&rollback.volume_id).await,
                Err(_) => kept::set(&*self.state, &rollback.key(), Expected::Any, rollback).await.map(drop),
            };
            match noted {
                Err(error) if !self.stopping.is_cancelled() => {
                    tracing::warn!(volume = rollback.volume_id, %error, "a rollback that has ended is still noted");
                    self.pause(PAUSE).await;
                }
                noted => break noted?,
            }
        }
        if freed.is_err() {
            self.disorder.notify_one();
        }
        freed.map(drop)
    }

    /// Ends what we hold of a volume; false when half a rollback is in it, and `failed` does not say so.
    pub(in crate::openstack) async fn let_go(&self, rollback: &Rollback, failed: Option<&str>) -> Result<bool> {
        let (cx, by) = (self.changing(), Principal::Project(rollback.project.clone()));
        cx.run(self.cloud.end_rollback(&cx, &by, &rollback.volume_id, failed)).await
    }

    pub(in crate::openstack) async fn rollback_of(&self, volume: &str) -> Result<Option<Rollback>> {
        kept::get(&*self.state, &key(volume)).await
    }

    pub(in crate::openstack) async fn forget_rollback(&self, volume: &str) -> Result<()> {
        kept::remove(&*self.state, &key(volume)).await
    }

    /// Rollbacks that have not ended.
    pub(in crate::openstack) async fn rollbacks(&self) -> Result<Vec<Rollback>> {
        let mut open = Vec::new();
        kept::each(&*self.state, PREFIX, None, |_, rollback: Rollback| open.push(rollback)).await?;
        Ok(open)
    }
}
