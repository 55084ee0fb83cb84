//! Clusters that write into a simulated store as BR does, held running by a gate.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use backup_core::error::codes;
use backup_core::service::Limits;
use backup_core::source::{Probe, RestoreReport, RestoreTarget, Sink, Source, Summary};
use backup_core::state::StateLeases;
use backup_core::store::ExternalLocation;
use backup_core::testkit::{MemoryState, SeededRandom, SimStore, VirtualClock};
use backup_core::zone::Zone;
use backup_core::{
    ArtifactName, BackupReader, BackupService, Bytes, Clock, Digest, Environment, Error, JobContext, Repository, Result,
    Revision, async_trait,
};
use chrono::{DateTime, Utc};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::tidb::{Cluster, Role, TidbBackup, Token, dress, not_found, router};

pub(super) const ADMIN: &str = "6b43c6e2-8e96-48f8-acbc-eddfff41d40a";
pub(super) const READER: &str = "9771156d-b56a-4e32-83e1-db3203d1d682";
pub(super) const EXPIRED: &str = "ca9f709d-0c1c-458d-80ca-209a4ec1f9ee";
const URL: &str = "sim://place";

/// What the test holds in its hand of all clusters.
#[derive(Debug)]
pub(super) struct Hand {
    store: SimStore,
    /// One permit lets one backup or restore end.
    pub(super) gate: Semaphore,
    pub(super) running: AtomicUsize,
    pub(super) most: AtomicUsize,
    /// What was captured: the URL, and from where on.
    pub(super) captured: Mutex<Vec<(String, Option<u64>)>>,
    pub(super) restored: Mutex<Vec<(String, String)>>,
    /// Where leftovers were ended, by cluster.
    pub(super) ended: Mutex<Vec<(String, String)>>,
    pub(super) unreachable: AtomicBool,
    /// The only one that can be reached.
    pub(super) reachable: Mutex<Option<String>>,
    /// Ending leftovers never comes back.
    pub(super) hangs: AtomicBool,
    pub(super) safe_point: Mutex<Option<u64>>,
    /// The cluster itself says that what an incremental backup needs is gone.
    pub(super) collected: AtomicBool,
    pub(super) fails: AtomicBool,
    pub(super) unfit: AtomicBool,
    tso: AtomicU64,
}

#[derive(Debug)]
struct Fake(String, Arc<Hand>);

#[derive(Debug)]
struct Br(String, Arc<Hand>, Option<u64>);

struct Leaving<'a>(&'a AtomicUsize);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Hand {
    fn new(store: &SimStore, tso: u64) -> Arc<Self> {
        Arc::new(Self {
            store: store.clone(),
            gate: Semaphore::new(0),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            captured: Mutex::default(),
            restored: Mutex::default(),
            ended: Mutex::default(),
            unreachable: AtomicBool::new(false),
            reachable: Mutex::default(),
            hangs: AtomicBool::new(false),
            safe_point: Mutex::new(None),
            collected: AtomicBool::new(false),
            fails: AtomicBool::new(false),
            unfit: AtomicBool::new(false),
            tso: AtomicU64::new(tso),
        })
    }

    async fn pass(&self, cx: &JobContext) -> Result<()> {
        let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let _leaving = Leaving(&self.running);
        cx.run(async {
            self.gate.acquire().await.unwrap().forget();
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Cluster for Fake {
    fn id(&self) -> &str {
        &self.0
    }

    fn name(&self) -> &str {
        "a cluster"
    }

    fn full(&self) -> Arc<dyn Source> {
        Arc::new(Br(self.0.clone(), Arc::clone(&self.1), None))
    }

    fn incremental(&self, since: u64) -> Arc<dyn Source> {
        Arc::new(Br(self.0.clone(), Arc::clone(&self.1), Some(since)))
    }

    async fn gc_safe_point(&self, _: &JobContext) -> Result<Option<u64>> {
        match self.1.unreachable.load(Ordering::SeqCst) {
            true => Err(Error::new(&codes::STORE_UNAVAILABLE, "told to be unreachable")),
            false => Ok(*self.1.safe_point.lock().unwrap()),
        }
    }

    fn gc_passed(&self, error: &Error) -> bool {
        *error.code() == codes::SOURCE_FAILED && error.message().contains("GC safe point")
    }

    async fn end_leftovers(&self, _: &JobContext, location: &ExternalLocation) -> Result<()> {
        if self.1.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let other = self.1.reachable.lock().unwrap().as_ref().is_some_and(|only| *only != self.0);
        if other || self.1.unreachable.load(Ordering::SeqCst) {
            return Err(Error::new(&codes::STORE_UNAVAILABLE, "told to be unreachable"));
        }
        self.1.ended.lock().unwrap().push((self.0.clone(), location.url.clone()));
        Ok(())
    }
}

#[async_trait]
impl Source for Br {
    fn kind(&self) -> &str {
        "br"
    }

    async fn probe(&self, _: &JobContext) -> Result<Probe> {
        Ok(Probe::default())
    }

    fn open_artifacts(&self) -> usize {
        0
    }

    async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        let (hand, url) = (&self.1, sink.external_location()?.url);
        hand.captured.lock().unwrap().push((url.clone(), self.2));
        hand.pass(cx).await?;
        if self.2.is_some() && hand.collected.load(Ordering::SeqCst) {
            return Err(Error::new(&codes::SOURCE_FAILED, "the GC safe point has passed"));
        }
        if hand.fails.load(Ordering::SeqCst) {
            return Err(Error::new(&codes::SOURCE_FAILED, "TiKV said no"));
        }
        let prefix = url.strip_prefix(URL).unwrap().trim_start_matches('/');
        let content = vec![7; 1_500_000];
        hand.store.raw_put(&format!("{prefix}1/a.sst"), content.clone());
        hand.store.raw_put(&format!("{prefix}backupmeta"), vec![1; 500]);
        sink.vouch(&ArtifactName::new("1/a.sst")?, content.len() as u64, Digest::of(&content))?;
        let tso = hand.tso.fetch_add(1, Ordering::SeqCst);
        Ok(Summary::default().revision(Revision::exact(tso)).warning("a table has no primary key").version("v6.5.0"))
    }

    async fn restore(&self, cx: &JobContext, reader: &dyn BackupReader, target: &RestoreTarget) -> Result<RestoreReport> {
        if self.1.unfit.load(Ordering::SeqCst) {
            return Err(Error::new(&codes::SOURCE_UNSUPPORTED, "a backup of v8.1.0 does not go into v6.5.0"));
        }
        if self.1.unreachable.load(Ordering::SeqCst) {
            return Err(Error::new(&codes::SOURCE_FAILED, "told to be unreachable"));
        }
        if !target.dry_run {
            self.1.restored.lock().unwrap().push((self.0.clone(), reader.external_location().unwrap().url));
            self.1.pass(cx).await?;
        }
        Ok(RestoreReport::new(1).warning("a table is there already"))
    }
}

pub(super) struct World {
    pub(super) state: MemoryState,
    pub(super) store: SimStore,
    pub(super) clock: Arc<VirtualClock>,
    pub(super) hand: Arc<Hand>,
    pub(super) service: BackupService,
    pub(super) dialect: TidbBackup,
    pub(super) app: Router,
    pub(super) zone: Zone,
    clusters: Vec<String>,
    limits: Limits,
    seed: u64,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    /// The envelope, checked for what each has.
    pub(super) fn json(&self) -> Value {
        assert!(self.headers["content-type"].to_str().unwrap().starts_with("application/json"), "{self:?}");
        assert!(self.headers.contains_key("em-x-trace-id"), "{self:?}");
        let value: Value = serde_json::from_str(&self.text).unwrap();
        assert!(value["data"].is_object() && value["message"].is_string(), "{value}");
        if self.status != StatusCode::OK {
            assert_eq!(value["data"], json!({}), "{value}");
            assert_ne!(value["code"], 0, "{value}");
        }
        value
    }

    /// HTTP status and number.
    pub(super) fn code(&self) -> (u16, i64) {
        (self.status.as_u16(), self.json()["code"].as_i64().unwrap())
    }

    pub(super) fn data(&self) -> Value {
        assert_eq!(self.code(), (200, 0), "{self:?}");
        self.json()["data"].clone()
    }
}

pub(super) fn request(method: &str, path: &str, token: &str, body: &str) -> Request<Body> {
    Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(format!("/api/v1{path}"))
        .header("authorization", format!("Bearer {token}"))
        .body(Body::from(body.to_owned()))
        .unwrap()
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(&["c1", "c2"], "UTC", Limits::default().running(64)).await
    }

    pub(super) async fn with(clusters: &[&str], zone: &str, limits: Limits) -> Self {
        Self::at("2022-04-28T08:00:41.697491505Z", clusters, zone, limits).await
    }

    pub(super) async fn at(start: &str, clusters: &[&str], zone: &str, limits: Limits) -> Self {
        for token in [ADMIN, READER, EXPIRED] {
            backup_core::testkit::note_secret(token);
        }
        let clock = Arc::new(VirtualClock::new(start.parse::<DateTime<Utc>>().unwrap()));
        let store = SimStore::new(clock.clone());
        let clusters = clusters.iter().map(ToString::to_string).collect();
        Self::on(MemoryState::new(), store, clock, clusters, zone.parse().unwrap(), limits, 1).await
    }

    async fn on(
        state: MemoryState,
        store: SimStore,
        clock: Arc<VirtualClock>,
        clusters: Vec<String>,
        zone: Zone,
        limits: Limits,
        seed: u64,
    ) -> Self {
        store.set_external_location(URL);
        let hand = Hand::new(&store, 432_834_567_783_317_505 + seed * 1000);
        Self::beside(state, store, clock, clusters, zone, limits, seed, hand).await
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of a world")]
    async fn beside(
        state: MemoryState,
        store: SimStore,
        clock: Arc<VirtualClock>,
        clusters: Vec<String>,
        zone: Zone,
        limits: Limits,
        seed: u64,
        hand: Arc<Hand>,
    ) -> Self {
        let environment = Environment::new(clock.clone(), Arc::new(SeededRandom::new(seed)));
        let shared: Arc<dyn backup_core::state::State> = Arc::new(state.clone());
        let repository = Repository::builder(Arc::new(store.clone()))
            .leases(Arc::new(StateLeases::new(shared.clone())))
            .environment(environment.clone())
            .build();
        let service =
            BackupService::builder(shared.clone()).environment(environment.clone()).limits(limits).start().await.unwrap();
        let fakes = clusters.iter().map(|id| Arc::new(Fake(id.clone(), Arc::clone(&hand))) as Arc<dyn Cluster>);
        let expired = Token::new(EXPIRED, "gone", Role::Admin).expires("2022-01-01T00:00:00Z".parse().unwrap());
        let tokens = [Token::new(ADMIN, "ops", Role::Admin), Token::new(READER, "eye", Role::ReadOnly), expired];
        let builder = TidbBackup::builder(service.clone(), repository, shared).environment(environment);
        let dialect = builder.clusters(fakes).tokens(tokens).zone(zone).path("nfs/em/backup").start().await.unwrap();
        let app = dress(router(dialect.clone()).fallback(not_found));
        Self { state, store, clock, hand, service, dialect, app, zone, clusters, limits, seed }
    }

    /// The process dies; the next one finds what it left.
    pub(super) async fn restart(&self) -> Self {
        self.restart_on(self.state.restart(), |_| {}).await
    }

    /// As [`World::restart`], on another state, after something was prepared.
    pub(super) async fn restart_on(&self, state: MemoryState, prepare: impl FnOnce(&Hand)) -> Self {
        let store = self.store.restart();
        store.set_external_location(URL);
        let hand = Hand::new(&store, self.hand.tso.load(Ordering::SeqCst) + 1000);
        prepare(&hand);
        let (clusters, seed) = (self.clusters.clone(), self.seed + 1);
        Self::beside(state, store, self.clock.clone(), clusters, self.zone, self.limits, seed, hand).await
    }

    /// Another replica on the same state and store.
    pub(super) async fn replica(&self) -> Self {
        let (state, store) = (self.state.another_process(), self.store.another_process());
        let (clusters, seed) = (self.clusters.clone(), self.seed + 100);
        let hand = Arc::clone(&self.hand);
        Self::beside(state, store, self.clock.clone(), clusters, self.zone, self.limits, seed, hand).await
    }

    pub(super) async fn ask(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.app.clone().oneshot(request).await.unwrap().into_parts();
        let bytes: Bytes = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask(request("GET", path, ADMIN, "")).await
    }

    pub(super) async fn post(&self, path: &str, body: impl ToString) -> Answer {
        self.ask(request("POST", path, ADMIN, &body.to_string())).await
    }

    pub(super) async fn put(&self, path: &str, body: impl ToString) -> Answer {
        self.ask(request("PUT", path, ADMIN, &body.to_string())).await
    }

    pub(super) async fn delete(&self, id: &str) -> Answer {
        self.ask(request("DELETE", &format!("/backups/{id}"), ADMIN, "")).await
    }

    pub(super) async fn back_up(&self, cluster: &str, kind: &str) -> Answer {
        self.post("/backups", json!({ "clusterId": cluster, "backupType": kind })).await
    }

    /// Starts a full backup and gives its id.
    pub(super) async fn started(&self, cluster: &str) -> String {
        let id = self.back_up(cluster, "full").await.data()["backupId"].as_str().unwrap().to_owned();
        self.until(&id, |record| record["status"] == "Processing").await;
        while self.hand.running.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        id
    }

    /// Makes a full backup and gives its id.
    pub(super) async fn finished(&self, cluster: &str) -> String {
        let id = self.back_up(cluster, "full").await.data()["backupId"].as_str().unwrap().to_owned();
        self.release(1);
        let record = self.over(&id).await;
        assert_eq!(record["status"], "Finished", "{record}");
        self.clock.advance(Duration::from_secs(1));
        id
    }

    pub(super) fn release(&self, jobs: usize) {
        self.hand.gate.add_permits(jobs);
    }

    pub(super) async fn record(&self, id: &str) -> Value {
        let data = self.get(&format!("/backups?backupId={id}")).await.data();
        data["backupRecords"][0].clone()
    }

    pub(super) async fn records(&self, query: &str) -> Vec<Value> {
        self.get(&format!("/backups?pageSize=1000&{query}")).await.data()["backupRecords"].as_array().unwrap().clone()
    }

    pub(super) async fn until(&self, id: &str, holds: impl Fn(&Value) -> bool) -> Value {
        loop {
            let record = self.record(id).await;
            if holds(&record) {
                return record;
            }
            tokio::task::yield_now().await;
        }
    }

    pub(super) async fn over(&self, id: &str) -> Value {
        self.until(id, |record| record["status"] == "Finished" || record["status"] == "Failed").await
    }

    /// How many backups each cluster has by strategies.
    pub(super) async fn fired(&self) -> BTreeMap<String, usize> {
        let mut fired = BTreeMap::new();
        for record in self.records("").await.iter().filter(|record| record["backupMode"] == "auto") {
            *fired.entry(record["clusterId"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        fired
    }

    /// Lets time pass in steps of a quarter of an hour, in which what begins has its time to end.
    pub(super) async fn pass_until(&self, until: &str) {
        let until: DateTime<Utc> = until.parse().unwrap();
        while self.clock.now() < until {
            let step = (until - self.clock.now()).to_std().unwrap().min(Duration::from_secs(900));
            self.clock.pass(step).await;
            self.settled().await;
        }
    }

    /// Waits until what began has come to its gate or its end.
    pub(super) async fn settled(&self) {
        loop {
            let busy = {
                let live = self.dialect.inner.live();
                live.jobs.len() > self.hand.running.load(Ordering::SeqCst) + live.ending.len()
            };
            if !busy {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}
