//! A cloud of volumes with their bytes, held running by a gate. It outlives the processes that use it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use backup_core::error::codes;
use backup_core::source::{ArtifactOptions, Probe, RestoreReport, RestoreTarget, Sink, Source, Summary};
use backup_core::{
    ArtifactName, BackupReader, Bytes, Certainty, Error, JobContext, Position, Result, Revision, Secret, async_trait,
};
use futures::TryStreamExt;
use http_body_util::BodyExt;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::openstack::{
    Attachment, Caller, Cloud, Forward, Leftover, LeftoverKind, Principal, Resource, Role, Server, Service, Snapshot,
    SnapshotOrder, SourceOrder, Volume, VolumeOrder,
};

#[derive(Debug, Clone)]
pub(super) struct FakeVolume {
    pub(super) project: String,
    pub(super) volume: Volume,
    pub(super) bytes: String,
    /// What it is being made for.
    pub(super) restoring: Option<String>,
    /// All of the data is in it.
    pub(super) restored: bool,
    /// A rollback began, and has not come to its end.
    pub(super) overwriting: bool,
}

impl FakeVolume {
    /// Ends the attachment of a rollback.
    fn detach(&mut self) {
        if self.volume.status == "attaching" {
            self.volume.status = "available".to_owned();
            self.volume.attachments.clear();
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct FakeSnapshot {
    pub(super) project: String,
    pub(super) snapshot: Snapshot,
    pub(super) bytes: String,
    pub(super) role: Option<Role>,
    pub(super) job: String,
}

/// What the test holds in its hand.
#[derive(Debug, Default)]
pub(super) struct Things {
    pub(super) callers: BTreeMap<String, Caller>,
    pub(super) volumes: BTreeMap<String, FakeVolume>,
    pub(super) snapshots: BTreeMap<String, FakeSnapshot>,
    pub(super) servers: BTreeMap<String, (String, Server)>,
    pub(super) limits: BTreeMap<&'static str, u64>,
    /// Snapshots of these volumes are refused.
    pub(super) no_snapshots: Vec<String>,
    /// Snapshots cannot be deleted now.
    pub(super) stuck: bool,
    /// Attachments of ours cannot be ended now.
    pub(super) held: bool,
    /// What was asked of it, in words.
    pub(super) asked: Vec<String>,
    /// Each capture: the volume, and whether it was incremental, from which base.
    pub(super) captured: Vec<(String, Option<Option<String>>)>,
    pub(super) forwarded: Vec<(Service, String, String)>,
}

#[derive(Debug)]
pub(super) struct Hand {
    pub(super) things: Mutex<Things>,
    /// With `gated`, one permit lets one capture, restore or rollback end.
    pub(super) gate: Semaphore,
    pub(super) gated: AtomicBool,
    pub(super) running: AtomicUsize,
    pub(super) fails: AtomicBool,
    pub(super) unreachable: AtomicBool,
    /// Volumes of this cloud are read and compared as a whole.
    pub(super) no_bases: AtomicBool,
    ids: AtomicU64,
}

impl Hand {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            things: Mutex::default(),
            gate: Semaphore::new(0),
            gated: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            fails: AtomicBool::new(false),
            unreachable: AtomicBool::new(false),
            no_bases: AtomicBool::new(false),
            ids: AtomicU64::new(1),
        })
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Things) -> T) -> T {
        look(&mut self.things.lock().unwrap())
    }

    fn id(&self, kind: u8) -> String {
        format!("{kind:08x}-0000-4000-8000-{:012x}", self.ids.fetch_add(1, Ordering::SeqCst))
    }

    pub(super) fn volume(&self, project: &str, name: &str, bytes: &str) -> String {
        let id = self.id(1);
        let mut volume = Volume::new(&id, "available", 2);
        volume.name = name.to_owned();
        volume.volume_type = "rbd1".to_owned();
        let volume = FakeVolume {
            project: project.to_owned(),
            volume,
            bytes: bytes.to_owned(),
            restoring: None,
            restored: false,
            overwriting: false,
        };
        self.with(|things| things.volumes.insert(id.clone(), volume));
        id
    }

    pub(super) fn server(&self, project: &str, status: &str, volumes: &[String]) -> String {
        let id = self.id(2);
        let server = Server::new(&id, "vm", status).volumes(volumes.iter().cloned());
        self.with(|things| {
            things.servers.insert(id.clone(), (project.to_owned(), server));
            for volume in volumes {
                let volume = &mut things.volumes.get_mut(volume).unwrap().volume;
                volume.status = "in-use".to_owned();
                volume.attachments = vec![Attachment::to_server(&id)];
            }
        });
        id
    }

    /// A snapshot of a user.
    pub(super) fn snapshot(&self, volume: &str) -> String {
        let project = self.with(|things| things.volumes[volume].project.clone());
        self.take(&project, volume, "mine", None, "")
    }

    fn take(&self, project: &str, volume: &str, name: &str, role: Option<Role>, job: &str) -> String {
        let id = self.id(3);
        let snapshot = Snapshot::new(&id, volume, "available").name(name);
        self.with(|things| {
            let bytes = things.volumes[volume].bytes.clone();
            let (project, job) = (project.to_owned(), job.to_owned());
            things.snapshots.insert(id.clone(), FakeSnapshot { project, snapshot, bytes, role, job });
        });
        id
    }

    /// The snapshots of ours that are there, by their roles.
    pub(super) fn ours(&self) -> Vec<(String, &'static str)> {
        self.with(|things| {
            let ours = things.snapshots.values().filter_map(|found| Some((found.snapshot.id.clone(), found.role?.as_str())));
            ours.collect()
        })
    }

    pub(super) fn bytes(&self, volume: &str) -> String {
        self.with(|things| things.volumes[volume].bytes.clone())
    }

    pub(super) fn write(&self, volume: &str, bytes: &str) {
        self.with(|things| things.volumes.get_mut(volume).unwrap().bytes = bytes.to_owned());
    }

    async fn pass(&self, cx: &JobContext) -> Result<()> {
        if !self.gated.load(Ordering::SeqCst) {
            return Ok(());
        }
        struct Leaving<'a>(&'a AtomicUsize);
        impl Drop for Leaving<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.running.fetch_add(1, Ordering::SeqCst);
        let _leaving = Leaving(&self.running);
        cx.run(async {
            self.gate.acquire().await.unwrap().forget();
            Ok(())
        })
        .await
    }
}

/// The cloud as one process sees it.
#[derive(Debug, Clone)]
pub(super) struct Fake {
    pub(super) hand: Arc<Hand>,
    /// A process that died asks nothing any more.
    pub(super) dead: Arc<AtomicBool>,
}

impl Fake {
    async fn enter(&self, what: impl Into<String>) -> Result<()> {
        self.alive().await;
        self.hand.with(|things| things.asked.push(what.into()));
        match self.hand.unreachable.load(Ordering::SeqCst) {
            true => Err(Error::new(&codes::STORE_UNAVAILABLE, "the cloud was told to be unreachable")),
            false => Ok(()),
        }
    }

    async fn alive(&self) {
        if self.dead.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }
}

fn sees(by: &Principal, project: &str) -> bool {
    match by {
        Principal::Caller(caller) => caller.is_admin || caller.project_id == project,
        Principal::Project(_) => true,
    }
}

#[async_trait]
impl Cloud for Fake {
    async fn validate(&self, _: &JobContext, token: &Secret) -> Result<Option<Caller>> {
        self.enter("validate").await?;
        Ok(self.hand.with(|things| things.callers.get(token.expose()).cloned()))
    }

    async fn volume(&self, _: &JobContext, by: &Principal, id: &str) -> Result<Option<Volume>> {
        self.enter(format!("volume {id}")).await?;
        Ok(self.hand.with(|things| {
            let found = things.volumes.get(id).filter(|found| sees(by, &found.project));
            found.map(|found| found.volume.clone())
        }))
    }

    async fn has_volume_type(&self, _: &JobContext, _: &Principal, volume_type: &str) -> Result<bool> {
        self.enter(format!("type {volume_type}")).await?;
        Ok(["rbd1", "nfs1"].contains(&volume_type))
    }

    async fn server(&self, _: &JobContext, by: &Principal, id: &str) -> Result<Option<Server>> {
        self.enter(format!("server {id}")).await?;
        Ok(self.hand.with(|things| {
            let found = things.servers.get(id).filter(|(project, _)| sees(by, project));
            found.map(|(_, server)| server.clone())
        }))
    }

    async fn snapshot(&self, _: &JobContext, by: &Principal, id: &str) -> Result<Option<Snapshot>> {
        self.enter(format!("snapshot {id}")).await?;
        Ok(self.hand.with(|things| {
            let found = things.snapshots.get(id).filter(|found| sees(by, &found.project));
            found.map(|found| found.snapshot.clone())
        }))
    }

    async fn create_snapshot(&self, _: &JobContext, by: &Principal, order: &SnapshotOrder) -> Result<Snapshot> {
        self.enter(format!("create snapshot {}", order.volume_id)).await?;
        if self.hand.with(|things| things.no_snapshots.contains(&order.volume_id)) {
            return Err(Error::new(&codes::STORE_NO_SPACE, "the quota of snapshots is used up"));
        }
        let id = self.hand.take(by.project(), &order.volume_id, &order.name, Some(order.role), &order.job);
        Ok(self.hand.with(|things| things.snapshots[&id].snapshot.clone()))
    }

    async fn await_snapshot(&self, _: &JobContext, _: &Principal, id: &str) -> Result<()> {
        self.enter(format!("await {id}")).await
    }

    async fn delete_snapshot(&self, _: &JobContext, _: &Principal, id: &str) -> Result<()> {
        self.enter(format!("delete snapshot {id}")).await?;
        if self.hand.with(|things| things.stuck) {
            return Err(Error::new(&codes::STORE_UNAVAILABLE, "told to be stuck"));
        }
        self.hand.with(|things| things.snapshots.remove(id));
        Ok(())
    }

    async fn limit(&self, _: &JobContext, _: &Principal, resource: Resource) -> Result<Option<u64>> {
        self.enter(format!("limit {}", resource.as_str())).await?;
        Ok(self.hand.with(|things| things.limits.get(resource.as_str()).copied()))
    }

    fn keeps_bases(&self) -> bool {
        !self.hand.no_bases.load(Ordering::SeqCst)
    }

    fn source(&self, by: &Principal, order: SourceOrder) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(Capture(self.clone(), by.project().to_owned(), order)))
    }

    async fn create_volume(&self, _: &JobContext, by: &Principal, order: &VolumeOrder) -> Result<String> {
        self.enter("create volume").await?;
        let id = self.hand.volume(by.project(), &order.name, "");
        self.hand.with(|things| {
            let made = things.volumes.get_mut(&id).unwrap();
            made.volume.status = "reserved".to_owned();
            made.volume.size = order.size;
            made.volume.volume_type.clone_from(&order.volume_type);
            made.restoring = Some(order.job.clone());
        });
        Ok(id)
    }

    fn restorer(&self, _: &Principal, volume_id: &str, _: &VolumeOrder) -> Result<(Arc<dyn Source>, RestoreTarget)> {
        let order = SourceOrder::new(Volume::new(volume_id, "reserved", 1), "", "");
        let target = RestoreTarget::new(json!({ "volume-id": volume_id }));
        Ok((Arc::new(Capture(self.clone(), String::new(), order)), target))
    }

    async fn is_restored(&self, _: &JobContext, _: &Principal, volume_id: &str) -> Result<bool> {
        self.enter(format!("is restored {volume_id}")).await?;
        Ok(self.hand.with(|things| things.volumes.get(volume_id).is_some_and(|volume| volume.restored)))
    }

    async fn settle_restored(
        &self,
        _: &JobContext,
        _: &Principal,
        volume_id: &str,
        order: &VolumeOrder,
        failed: Option<&str>,
    ) -> Result<()> {
        self.enter(format!("settle {volume_id}: {failed:?}")).await?;
        self.hand.with(|things| match failed {
            Some(_) => {
                things.volumes.remove(volume_id);
            }
            None => {
                if let Some(made) = things.volumes.get_mut(volume_id) {
                    (made.restoring, made.restored) = (None, false);
                    made.volume.status = "available".to_owned();
                    made.volume.bootable = order.bootable;
                    made.volume.metadata = order.metadata.clone();
                }
            }
        });
        Ok(())
    }

    async fn rollback(&self, cx: &JobContext, _: &Principal, volume: &Volume, snapshot: &Snapshot) -> Result<()> {
        self.enter(format!("rollback {}", volume.id)).await?;
        let attached = self.hand.with(|things| {
            let found = things.volumes.get_mut(&volume.id).unwrap();
            found.overwriting = true;
            match found.volume.status.as_str() {
                "available" => {
                    found.volume.status = "attaching".to_owned();
                    found.volume.attachments = vec![Attachment::default()];
                    Ok(())
                }
                "in-use" => Ok(()),
                other => Err(Error::new(&codes::LEASE_BUSY, format!("the volume is {other}"))),
            }
        });
        attached?;
        self.hand.pass(cx).await?;
        self.alive().await;
        let failed = self.hand.fails.load(Ordering::SeqCst);
        if failed {
            self.mark_volume(cx, &Principal::Project(String::new()), &volume.id, "rollback failed").await?;
        } else {
            let bytes = self.hand.with(|things| things.snapshots[&snapshot.id].bytes.clone());
            self.hand.write(&volume.id, &bytes);
        }
        self.hand.with(|things| {
            let found = things.volumes.get_mut(&volume.id).unwrap();
            found.overwriting = false;
            if !failed {
                found.volume.metadata.remove("backup:failed");
            }
            if !things.held {
                found.detach();
            }
        });
        if failed { Err(Error::new(&codes::SOURCE_FAILED, "rbd said no")) } else { Ok(()) }
    }

    async fn end_rollback(&self, _: &JobContext, _: &Principal, volume_id: &str, failed: Option<&str>) -> Result<bool> {
        self.enter(format!("end rollback {volume_id}: {failed:?}")).await?;
        self.hand.with(|things| {
            if things.held {
                return Err(Error::new(&codes::STORE_UNAVAILABLE, "told to be held"));
            }
            let Some(found) = things.volumes.get_mut(volume_id) else { return Ok(true) };
            found.detach();
            if let (true, Some(why)) = (found.overwriting, failed) {
                found.volume.metadata.insert("backup:failed".to_owned(), why.to_owned());
                found.overwriting = false;
            }
            Ok(!found.overwriting)
        })
    }

    async fn mark_volume(&self, _: &JobContext, _: &Principal, volume_id: &str, why: &str) -> Result<()> {
        self.enter(format!("mark {volume_id}")).await?;
        self.hand.with(|things| {
            let volume = &mut things.volumes.get_mut(volume_id).unwrap().volume;
            volume.metadata.insert("backup:failed".to_owned(), why.to_owned());
        });
        Ok(())
    }

    async fn leftovers(&self, _: &JobContext) -> Result<Vec<Leftover>> {
        self.enter("leftovers").await?;
        Ok(self.hand.with(|things| {
            let snapshots = things
                .snapshots
                .values()
                .filter_map(|found| Some(Leftover::new(LeftoverKind::Snapshot, &found.snapshot.id, found.role?, &found.job)));
            let volumes = things.volumes.values().filter_map(|found| {
                Some(Leftover::new(LeftoverKind::Volume, &found.volume.id, Role::Restoring, found.restoring.as_ref()?))
            });
            snapshots.chain(volumes).collect()
        }))
    }

    async fn remove_leftover(&self, _: &JobContext, leftover: &Leftover) -> Result<()> {
        self.enter(format!("remove {}", leftover.id)).await?;
        if leftover.kind == LeftoverKind::Snapshot && self.hand.with(|things| things.stuck) {
            return Err(Error::new(&codes::STORE_UNAVAILABLE, "told to be stuck"));
        }
        self.hand.with(|things| match leftover.kind {
            LeftoverKind::Volume => drop(things.volumes.remove(&leftover.id)),
            _ => drop(things.snapshots.remove(&leftover.id)),
        });
        Ok(())
    }
}

/// Captures and restores, the bytes as one artifact.
#[derive(Debug)]
struct Capture(Fake, String, SourceOrder);

#[async_trait]
impl Source for Capture {
    fn kind(&self) -> &str {
        "cinder"
    }

    async fn probe(&self, _: &JobContext) -> Result<Probe> {
        Ok(Probe::default())
    }

    async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        let Self(fake, project, order) = self;
        fake.enter(format!("capture {}", order.volume.id)).await?;
        let hand = &fake.hand;
        let base = order.parent.as_ref().map(|parent| parent.base.clone());
        hand.with(|things| things.captured.push((order.volume.id.clone(), base)));
        let role = if order.keep_base { Role::Base } else { Role::Temporary };
        let own = || hand.take(project, &order.volume.id, &order.backup_id, Some(role), cx.job().as_str());
        let snapshot = order.snapshot.clone().unwrap_or_else(own);
        let size = hand.with(|things| things.volumes[&order.volume.id].volume.size) << 30;
        let captured = async {
            hand.pass(cx).await?;
            fake.alive().await;
            if hand.fails.load(Ordering::SeqCst) {
                return Err(Error::new(&codes::SOURCE_FAILED, "rbd said no"));
            }
            let bytes = hand.with(|things| things.snapshots[&snapshot].bytes.clone());
            sink.put(&ArtifactName::new("data")?, Bytes::from(bytes), ArtifactOptions::default().as_is()).await
        };
        let captured = captured.await;
        fake.alive().await;
        if order.snapshot.is_none() && (captured.is_err() || !order.keep_base) {
            hand.with(|things| things.snapshots.remove(&snapshot));
        }
        captured?;
        let revision = Revision { position: Position::Name(snapshot), certainty: Certainty::Exact };
        Ok(Summary::default().revision(revision).integrity(json!({ "size": size })))
    }

    async fn restore(&self, cx: &JobContext, reader: &dyn BackupReader, target: &RestoreTarget) -> Result<RestoreReport> {
        let Self(fake, ..) = self;
        fake.enter("restore").await?;
        fake.hand.pass(cx).await?;
        fake.alive().await;
        if fake.hand.fails.load(Ordering::SeqCst) {
            return Err(Error::new(&codes::SOURCE_FAILED, "rbd said no"));
        }
        let data: Vec<Bytes> = reader.open(cx, &ArtifactName::new("data")?).await?.try_collect().await?;
        let bytes = String::from_utf8(data.concat()).unwrap();
        // A process that died while it read writes no more.
        fake.alive().await;
        let volume = target.value["volume-id"].as_str().unwrap();
        fake.hand.write(volume, &bytes);
        fake.hand.with(|things| things.volumes.get_mut(volume).unwrap().restored = true);
        Ok(RestoreReport::new(bytes.len() as u64))
    }
}

/// A source that somebody else brings.
#[derive(Debug)]
pub(super) struct Words;

#[async_trait]
impl Source for Words {
    fn kind(&self) -> &str {
        "cinder"
    }

    async fn probe(&self, _: &JobContext) -> Result<Probe> {
        Ok(Probe::default())
    }

    async fn capture(&self, _: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        sink.put(&ArtifactName::new("data")?, Bytes::from_static(b"words"), ArtifactOptions::default()).await?;
        Ok(Summary::default())
    }
}

#[async_trait]
impl Forward for Fake {
    async fn forward(&self, caller: &Caller, service: Service, path: &str, request: Request) -> Response {
        assert!(caller.is_admin || !caller.project_id.is_empty());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        let length = text.len();
        self.hand.with(|things| things.forwarded.push((service, path.to_owned(), text)));
        (axum::http::StatusCode::IM_A_TEAPOT, [("x-cinder", "yes")], format!("got {length} bytes")).into_response()
    }
}
