//! What a volume's jobs make at Cinder is gone on every way out, or found again.
#![cfg(feature = "cinder")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backup_core::error::codes as core_codes;
use backup_core::testkit::{MemoryReader, RecordingSink};
use backup_core::{Error, JobContext, RestoreTarget, Result, Source, Summary, async_trait};
use backup_remote::testkit::{Reply, RequestFault, Which};
use backup_sources::cinder::access::{Extent, Extents, Place, VolumeAccess, VolumeWriter};
use backup_sources::cinder::{CinderSource, LeftoverKind, Mode, NewVolume, Role, SourceOptions};
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::json;
use support::cinder::StandIn;

const OWNER: &str = "test/volume-backup";

type Written = Arc<Mutex<BTreeMap<String, BTreeMap<u64, Bytes>>>>;

/// Bytes that are nowhere but here.
#[derive(Debug, Clone, Default)]
struct MemoryAccess {
    reads_snapshots: bool,
    /// Reading, writing or setting back fails so.
    fails: bool,
    /// By volume.
    written: Written,
    places: Arc<Mutex<Vec<Place>>>,
}

impl MemoryAccess {
    fn outcome<T>(&self, done: T) -> Result<T> {
        match self.fails {
            true => Err(Error::new(&core_codes::SOURCE_FAILED, "the disk is on fire")),
            false => Ok(done),
        }
    }
}

#[async_trait]
impl VolumeAccess for MemoryAccess {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn reads_snapshots(&self) -> bool {
        self.reads_snapshots
    }

    async fn read(&self, _cx: &JobContext, place: &Place) -> Result<Extents> {
        self.places.lock().unwrap().push(place.clone());
        let data = Extent::Data { offset: 1 << 20, bytes: Bytes::from_static(b"what the volume holds") };
        self.outcome(stream::iter([Ok(data)]).boxed())
    }

    async fn changes(&self, _cx: &JobContext, place: &Place, _since: &str, block: u64) -> Result<Option<Extents>> {
        self.places.lock().unwrap().push(place.clone());
        let data = Extent::Data { offset: 2 << 20, bytes: Bytes::from(vec![7; usize::try_from(block).unwrap()]) };
        self.outcome(Some(stream::iter([Ok(data)]).boxed()))
    }

    async fn write(&self, _cx: &JobContext, place: &Place, _fresh: bool) -> Result<Box<dyn VolumeWriter>> {
        assert!(place.connection.is_some(), "what is written is attached");
        let writer = MemoryWriter { fails: self.fails, volume: place.volume.clone(), written: Arc::clone(&self.written) };
        Ok(Box::new(writer))
    }

    async fn rollback(&self, _cx: &JobContext, _volume: &str, _snapshot: &str) -> Result<()> {
        self.outcome(()).map_err(|error| error.with_effect(backup_core::Effect::Unknown))
    }
}

#[derive(Debug)]
struct MemoryWriter {
    fails: bool,
    volume: String,
    written: Written,
}

#[async_trait]
impl VolumeWriter for MemoryWriter {
    async fn write(&mut self, offset: u64, data: Bytes) -> Result<()> {
        self.written.lock().unwrap().entry(self.volume.clone()).or_default().insert(offset, data);
        match self.fails {
            true => Err(Error::new(&core_codes::SOURCE_FAILED, "the disk is on fire")),
            false => Ok(()),
        }
    }

    async fn zero(&mut self, _offset: u64, _length: u64) -> Result<()> {
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<()> {
        Ok(())
    }

    async fn abort(self: Box<Self>) {}
}

fn source(stand_in: &StandIn, access: &MemoryAccess) -> CinderSource {
    CinderSource::new(stand_in.cinder.clone(), Arc::new(access.clone()), SourceOptions::new(OWNER)).unwrap()
}

/// A backup of a volume of 1 GiB.
async fn backup(stand_in: &StandIn, source: &CinderSource) -> (Summary, Arc<MemoryReader>) {
    let sink = RecordingSink::new();
    let summary = source.capture(&stand_in.cx, &sink).await.unwrap();
    let reader = MemoryReader::new("cinder", &summary, &sink.artifacts());
    (summary, Arc::new(reader))
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_read_itself_is_read_through_a_volume_and_nothing_is_left() {
    let stand_in = StandIn::start().await;
    let (access, id) = (MemoryAccess::default(), stand_in.volume(1));
    let (summary, _) = backup(&stand_in, &source(&stand_in, &access).volume(&id).unwrap()).await;
    assert_eq!((summary.identity.as_deref(), summary.revision), (Some(&*id), None));
    assert_eq!(summary.warnings, Vec::<String>::new());
    assert_eq!(summary.integrity.unwrap()["volume-id"], json!(id));
    let place = access.places.lock().unwrap()[0].clone();
    assert!(place.volume != id && place.snapshot.is_none() && place.connection.is_some());
    let snapshot = &stand_in.seen("POST", "/snapshots")[0].body["snapshot"];
    assert_eq!((&snapshot["force"], &snapshot["metadata"]["backup:owner"]), (&json!(true), &json!(OWNER)));
    assert_eq!(snapshot["metadata"]["backup:job"], json!(stand_in.cx.job().as_str()));
    let volume = &stand_in.seen("POST", "/volumes")[0].body["volume"];
    assert_eq!((&volume["volume_type"], &volume["metadata"]["backup:role"]), (&json!("rbd1"), &json!("temporary")));
    assert_eq!(stand_in.left(), (0, 0, 0));
}

#[tokio::test]
async fn a_lost_answer_makes_nothing_twice_and_leaves_nothing() {
    for part in ["/snapshots", "/volumes", "/attachments"] {
        let stand_in = StandIn::start().await;
        let (access, id) = (MemoryAccess::default(), stand_in.volume(1));
        let source = source(&stand_in, &access).volume(&id).unwrap();
        stand_in.cinder.newest(&stand_in.cx).await.unwrap();
        let lost = stand_in.proxy.requests(Which::next(), "POST", part, RequestFault::LoseAnswer);
        let (summary, _) = backup(&stand_in, &source).await;
        assert_eq!((lost.hits(), summary.warnings.len()), (1, 0), "{part}");
        // What was made of an attachment is told once; the others are found.
        let orders = if part == "/attachments" { 2 } else { 1 };
        assert_eq!(stand_in.seen("POST", part).len(), orders, "{part}");
        assert_eq!(stand_in.left(), (0, 0, 0), "{part}");
    }
}

#[tokio::test]
async fn a_failure_at_any_stage_leaves_nothing() {
    let refused = |status| RequestFault::Answer(Reply::status(status).body(r#"{"badRequest": {"code": 400, "message": "No."}}"#));
    for (part, fault) in [
        ("/snapshots", refused(400)),
        ("/volumes", refused(400)),
        ("/attachments", refused(400)),
        ("/snapshots", refused(500)),
        ("/volumes", refused(500)),
        ("/attachments", refused(500)),
    ] {
        let stand_in = StandIn::start().await;
        let (access, id) = (MemoryAccess::default(), stand_in.volume(1));
        stand_in.proxy.requests(Which::all(), "POST", part, fault);
        let source = source(&stand_in, &access).volume(&id).unwrap();
        source.capture(&stand_in.cx, &RecordingSink::new()).await.unwrap_err();
        assert_eq!(stand_in.left(), (0, 0, 0), "{part}");
    }
    for reads_snapshots in [true, false] {
        let stand_in = StandIn::start().await;
        let (access, id) = (MemoryAccess { fails: true, reads_snapshots, ..MemoryAccess::default() }, stand_in.volume(1));
        let error =
            source(&stand_in, &access).volume(&id).unwrap().capture(&stand_in.cx, &RecordingSink::new()).await.unwrap_err();
        assert_eq!(error.code().name, "source.failed");
        assert_eq!(stand_in.left(), (0, 0, 0));
    }
}

#[tokio::test]
async fn a_snapshot_that_ends_in_an_error_is_removed() {
    let stand_in = StandIn::start().await;
    stand_in.state().snapshots_become = "error";
    let id = stand_in.volume(1);
    let source = source(&stand_in, &MemoryAccess::default()).volume(&id).unwrap();
    let error = source.capture(&stand_in.cx, &RecordingSink::new()).await.unwrap_err();
    assert_eq!(error.code().name, "cinder.error_state");
    assert_eq!(stand_in.left(), (0, 0, 0));
}

#[tokio::test]
async fn a_cancel_while_a_snapshot_is_ordered_leaves_nothing() {
    let stand_in = StandIn::start().await;
    let (id, cx) = (stand_in.volume(1), stand_in.cx.clone());
    let source = source(&stand_in, &MemoryAccess::default()).volume(&id).unwrap();
    stand_in.cinder.newest(&cx).await.unwrap();
    let gate = backup_remote::testkit::Gate::default();
    stand_in.proxy.requests(Which::next(), "POST", "/snapshots", RequestFault::Hold(gate.clone()));
    let token = cx.cancel_token().clone();
    let cancel = async {
        gate.reached().await;
        token.cancel();
        gate.open();
    };
    let sink = RecordingSink::new();
    let (captured, ()) = tokio::join!(source.capture(&cx, &sink), cancel);
    assert_eq!(captured.unwrap_err().code().name, "job.cancelled");
    assert_eq!(stand_in.left(), (0, 0, 0));
}

#[tokio::test]
async fn what_cannot_be_removed_is_a_warning_and_found_again() {
    let stand_in = StandIn::start().await;
    let (access, id) = (MemoryAccess::default(), stand_in.volume(1));
    let broken = RequestFault::Answer(Reply::status(503).body("no workers"));
    stand_in.proxy.requests(Which::all(), "DELETE", "", broken);
    let (summary, _) = backup(&stand_in, &source(&stand_in, &access).volume(&id).unwrap()).await;
    assert_eq!(summary.warnings.len(), 3, "{:?}", summary.warnings);
    assert_eq!(stand_in.left(), (1, 1, 1));
    stand_in.proxy.clear();

    let left = stand_in.cinder.leftovers(&stand_in.cx, OWNER).await.unwrap();
    let kinds: Vec<_> = left.iter().map(|one| (one.kind, one.role)).collect();
    assert_eq!(kinds, [(LeftoverKind::Volume, Role::Temporary), (LeftoverKind::Snapshot, Role::Temporary)]);
    assert!(left.iter().all(|one| one.job == stand_in.cx.job().as_str()));
    assert_eq!(stand_in.cinder.leftovers(&stand_in.cx, "somebody/else").await.unwrap(), []);
    for one in &left {
        stand_in.cinder.remove_leftover(&stand_in.cx, one).await.unwrap();
        stand_in.cinder.remove_leftover(&stand_in.cx, one).await.unwrap();
    }
    assert_eq!(stand_in.left(), (0, 0, 0));
    assert!(stand_in.state().volumes.contains_key(&id), "the volume itself stays");
}

#[tokio::test]
async fn a_kept_snapshot_is_the_base_of_the_next_backup_and_goes_when_that_is_published() {
    let stand_in = StandIn::start().await;
    let (cx, id) = (&stand_in.cx, stand_in.volume(1));
    let access = MemoryAccess { reads_snapshots: true, ..MemoryAccess::default() };
    let full = source(&stand_in, &access).volume(&id).unwrap().keep_snapshot(true);
    let (summary, reader) = backup(&stand_in, &full).await;
    let base = full.kept_snapshot().unwrap();
    assert_eq!(summary.revision.unwrap().position.to_string(), base);
    full.settle(cx, true).await.unwrap();
    assert_eq!(stand_in.state().snapshots[&base]["metadata"]["backup:role"], "base");

    let next = full.incremental(reader.clone(), Some(&base)).unwrap().keep_snapshot(true);
    let (summary, _) = backup(&stand_in, &next).await;
    assert_eq!(summary.integrity.unwrap()["changed"], json!(32 << 10), "only what changed was read");
    let newer = next.kept_snapshot().unwrap();
    assert_eq!(stand_in.left(), (0, 2, 0));
    next.settle(cx, true).await.unwrap();
    assert_eq!(stand_in.state().snapshots.keys().collect::<Vec<_>>(), [&newer]);

    // What is not published leaves the base alone.
    let failed = full.incremental(reader, None).unwrap().keep_snapshot(true);
    backup(&stand_in, &failed).await;
    assert_eq!(stand_in.left(), (0, 2, 0));
    failed.settle(cx, false).await.unwrap();
    failed.settle(cx, false).await.unwrap();
    assert_eq!(stand_in.state().snapshots.keys().collect::<Vec<_>>(), [&newer]);
}

#[tokio::test]
async fn a_base_that_is_gone_and_a_volume_that_grew_ask_for_a_full_backup() {
    let stand_in = StandIn::start().await;
    let (cx, id) = (&stand_in.cx, stand_in.volume(1));
    let access = MemoryAccess { reads_snapshots: true, ..MemoryAccess::default() };
    let full = source(&stand_in, &access).volume(&id).unwrap().keep_snapshot(true);
    let (_, reader) = backup(&stand_in, &full).await;
    let base = full.kept_snapshot().unwrap();
    let capture = |source: CinderSource| async move { source.capture(cx, &RecordingSink::new()).await.unwrap_err().code().name };
    let other = stand_in.volume(1);
    let of_other = source(&stand_in, &access).volume(&other).unwrap().incremental(reader.clone(), None).unwrap();
    assert_eq!(capture(of_other).await, "cinder.other_parent");
    let wrong = full.incremental(reader.clone(), Some("542f55e5-84f4-4dd7-a816-00bf191b4001")).unwrap();
    assert_eq!(capture(wrong).await, "cinder.no_base");
    stand_in.state().volumes.get_mut(&id).unwrap()["size"] = json!(2);
    assert_eq!(capture(full.incremental(reader.clone(), Some(&base)).unwrap()).await, "cinder.grown");
    stand_in.state().volumes.get_mut(&id).unwrap()["size"] = json!(1);
    stand_in.state().snapshots.clear();
    assert_eq!(capture(full.incremental(reader, Some(&base)).unwrap()).await, "cinder.no_base");
    assert_eq!(stand_in.left(), (0, 0, 0));
}

#[tokio::test]
async fn a_new_volume_has_what_the_backup_had_and_no_mark_of_ours() {
    let stand_in = StandIn::start().await;
    let (cx, id) = (&stand_in.cx, stand_in.volume(1));
    {
        let mut state = stand_in.state();
        let volume = state.volumes.get_mut(&id).unwrap();
        volume["metadata"] = json!({ "tier": "gold" });
        volume["bootable"] = json!("true");
    }
    let access = MemoryAccess { reads_snapshots: true, ..MemoryAccess::default() };
    let source = source(&stand_in, &access);
    let (_, reader) = backup(&stand_in, &source.volume(&id).unwrap()).await;

    let target = json!({ "new": { "size": 2, "metadata": { "from": "backup" } } });
    let report = source.restore(cx, &*reader, &RestoreTarget::new(target)).await.unwrap();
    assert_eq!((report.bytes, &report.warnings), (1 << 30, &Vec::new()));
    let made = report.details["volume-id"].as_str().unwrap().to_owned();
    let volume = stand_in.state().volumes[&made].clone();
    assert_eq!((&volume["name"], &volume["size"], &volume["bootable"]), (&json!("data"), &json!(2), &json!("true")));
    assert_eq!((&volume["metadata"], &volume["status"]), (&json!({ "tier": "gold", "from": "backup" }), &json!("available")));
    let written =
        access.written.lock().unwrap()[&made].values().any(|bytes| bytes.windows(21).any(|at| at == b"what the volume holds"));
    assert!(written);
    assert_eq!(stand_in.left(), (0, 0, 0));

    // In two steps, as who has to tell the id at once.
    let new = NewVolume { name: Some("again".into()), ..NewVolume::default() };
    let prepared = source.create_volume(cx, &*reader, &new).await.unwrap();
    assert_eq!(source.settle_volume(cx, &prepared.id, &new, None).await.unwrap_err().code().name, "cinder.state");
    let target = json!({ "volume-id": prepared.id, "new": new });
    source.restore(cx, &*reader, &RestoreTarget::new(target.clone())).await.unwrap();
    source.settle_volume(cx, &prepared.id, &new, None).await.unwrap();
    source.settle_volume(cx, &prepared.id, &new, Some("too late")).await.unwrap();
    assert_eq!(stand_in.state().volumes[&prepared.id]["name"], "again");
    let error = source.restore(cx, &*reader, &RestoreTarget::new(target)).await.unwrap_err();
    assert_eq!(error.code().name, "cinder.state", "it is its owner's now");
    assert_eq!(stand_in.left(), (0, 0, 0));
}

#[tokio::test]
async fn a_restore_that_fails_deletes_the_new_volume_and_marks_somebodys_own() {
    let stand_in = StandIn::start().await;
    let (cx, id) = (&stand_in.cx, stand_in.volume(1));
    let good = MemoryAccess { reads_snapshots: true, ..MemoryAccess::default() };
    let bad = MemoryAccess { fails: true, ..good.clone() };
    let (_, reader) = backup(&stand_in, &source(&stand_in, &good).volume(&id).unwrap()).await;
    let before = stand_in.state().volumes.len();
    let (good, bad) = (source(&stand_in, &good), source(&stand_in, &bad));

    let error = bad.restore(cx, &*reader, &RestoreTarget::new(json!({ "new": {} }))).await.unwrap_err();
    assert_eq!(error.code().name, "source.failed");
    assert_eq!(stand_in.state().volumes.len(), before);
    assert_eq!(stand_in.left(), (0, 0, 0));

    let target = RestoreTarget::new(json!({ "volume-id": id }));
    bad.restore(cx, &*reader, &target).await.unwrap_err();
    let metadata = stand_in.state().volumes[&id]["metadata"].clone();
    assert!(metadata["backup:failed"].as_str().unwrap().contains("on fire"), "{metadata}");
    assert_eq!((metadata.as_object().unwrap().len(), stand_in.left()), (1, (0, 0, 0)));
    good.restore(cx, &*reader, &target).await.unwrap();
    assert_eq!(stand_in.state().volumes[&id]["metadata"], json!({}));

    stand_in.state().volumes.get_mut(&id).unwrap()["status"] = json!("in-use");
    assert_eq!(good.restore(cx, &*reader, &target).await.unwrap_err().code().name, "cinder.state");
    let small = RestoreTarget::new(json!({ "new": { "size": 0 } }));
    assert_eq!(good.restore(cx, &*reader, &small).await.unwrap_err().code().name, "cinder.too_small");
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let stand_in = StandIn::start().await;
    let (cx, id) = (&stand_in.cx, stand_in.volume(1));
    let access = MemoryAccess { reads_snapshots: true, ..MemoryAccess::default() };
    let source = source(&stand_in, &access);
    let (_, reader) = backup(&stand_in, &source.volume(&id).unwrap()).await;
    let before = stand_in.state().seen.len();
    for target in [json!({ "new": {} }), json!({ "volume-id": id })] {
        source.restore(cx, &*reader, &RestoreTarget::new(target).dry_run(true)).await.unwrap();
    }
    let missing = json!({ "volume-id": "542f55e5-84f4-4dd7-a816-00bf191b4001" });
    let error = source.restore(cx, &*reader, &RestoreTarget::new(missing).dry_run(true)).await.unwrap_err();
    assert_eq!(error.code().name, "cinder.not_found");
    for wrong in [json!({}), json!({ "file": "/x", "new": {} }), json!({ "volume": id })] {
        let error = source.restore(cx, &*reader, &RestoreTarget::new(wrong).dry_run(true)).await.unwrap_err();
        assert_eq!(error.code().name, "input.invalid");
    }
    assert!(stand_in.state().seen[before..].iter().all(|seen| seen.method == "GET"));
}

#[tokio::test]
async fn a_rollback_that_breaks_says_so_on_the_volume_and_one_that_is_done_takes_it_away() {
    let stand_in = StandIn::start().await;
    let (cx, id) = (&stand_in.cx, stand_in.volume(1));
    let good = MemoryAccess { reads_snapshots: true, ..MemoryAccess::default() };
    let bad = source(&stand_in, &MemoryAccess { fails: true, ..good.clone() });
    let good = source(&stand_in, &good);
    let kept = good.volume(&id).unwrap().keep_snapshot(true);
    backup(&stand_in, &kept).await;
    let snapshot = kept.kept_snapshot().unwrap();
    bad.rollback(cx, &id, &snapshot).await.unwrap_err();
    assert!(stand_in.state().volumes[&id]["metadata"]["backup:failed"].is_string());
    assert_eq!(stand_in.state().volumes[&id]["status"], "available");
    good.rollback(cx, &id, &snapshot).await.unwrap();
    assert_eq!(stand_in.state().volumes[&id]["metadata"], json!({}));
    let other = stand_in.volume(1);
    assert_eq!(good.rollback(cx, &other, &snapshot).await.unwrap_err().code().name, "cinder.not_found");
}

#[tokio::test]
async fn a_volume_that_an_interrupted_rollback_holds_is_freed_and_its_metadata_tell_what_is_in_it() {
    let stand_in = StandIn::start().await;
    let (cx, id) = (&stand_in.cx, stand_in.volume(1));
    let source = source(&stand_in, &MemoryAccess::default());
    let left = async |role: &str, owner: &str| {
        let mark = json!({ "backup:job": "j", "backup:role": role, "backup:owner": owner });
        stand_in.state().volumes.get_mut(&id).unwrap()["metadata"] = mark;
        stand_in.cinder.create_attachment(cx, &id, Mode::ReadWrite).await.unwrap();
    };
    let status = || stand_in.state().volumes[&id]["status"].clone();
    let metadata = || stand_in.state().volumes[&id]["metadata"].clone();

    left("overwriting", OWNER).await;
    assert!(!source.end_rollback(cx, &id, None).await.unwrap());
    assert_eq!((status(), metadata()["backup:role"].clone()), (json!("available"), json!("overwriting")));
    left("overwriting", OWNER).await;
    assert!(source.end_rollback(cx, &id, Some("half")).await.unwrap());
    assert_eq!((status(), metadata()), (json!("available"), json!({ "backup:failed": "half" })));
    left("restored", OWNER).await;
    assert!(source.end_rollback(cx, &id, Some("half")).await.unwrap());
    assert_eq!((status(), metadata()), (json!("available"), json!({})));
    left("overwriting", "somebody").await;
    assert!(source.end_rollback(cx, &id, Some("half")).await.unwrap());
    assert_eq!((status(), metadata()["backup:owner"].clone()), (json!("reserved"), json!("somebody")));
    stand_in.state().volumes.remove(&id);
    assert!(source.end_rollback(cx, &id, None).await.unwrap());
}

#[tokio::test]
async fn a_volume_that_is_deleted_meanwhile_ends_the_backup() {
    let stand_in = StandIn::start().await;
    let (access, id) = (MemoryAccess::default(), stand_in.volume(1));
    let source = source(&stand_in, &access).volume(&id).unwrap();
    let gone = Reply::status(404).body(r#"{"itemNotFound": {"code": 404, "message": "Volume could not be found."}}"#);
    stand_in.proxy.requests(Which::all(), "POST", "/snapshots", RequestFault::Answer(gone));
    let error = source.capture(&stand_in.cx, &RecordingSink::new()).await.unwrap_err();
    assert_eq!(error.code().name, "cinder.not_found");
    assert!(stand_in.cx.remaining().is_none_or(|left| left > Duration::ZERO));
    assert_eq!(stand_in.left(), (0, 0, 0));
}
