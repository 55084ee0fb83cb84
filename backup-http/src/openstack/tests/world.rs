//! A process on a state and a store, and a cloud around it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use backup_core::service::Limits;
use backup_core::state::StateLeases;
use backup_core::testkit::{MemoryState, SeededRandom, SimStore, VirtualClock};
use backup_core::{BackupService, Environment, Repository};
use chrono::{DateTime, Utc};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::cloud::{Fake, Hand};
use crate::openstack::{Caller, OpenStack, OpenStackBuilder, dress, not_found, router};

pub(super) const DEMO: &str = "gAAAA-token-of-demo";
pub(super) const OTHER: &str = "gAAAA-token-of-other";
pub(super) const ADMIN: &str = "gAAAA-token-of-admin";
/// A token that was good.
pub(super) const EXPIRED: &str = "gAAAA-token-that-expired";

pub(super) type Configure = fn(OpenStackBuilder) -> OpenStackBuilder;

pub(super) struct World {
    pub(super) state: MemoryState,
    pub(super) store: SimStore,
    pub(super) clock: Arc<VirtualClock>,
    pub(super) hand: Arc<Hand>,
    pub(super) dead: Arc<AtomicBool>,
    pub(super) service: BackupService,
    pub(super) repository: Repository,
    pub(super) dialect: OpenStack,
    pub(super) app: Router,
    configure: Configure,
    seed: u64,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn code(&self) -> u16 {
        self.status.as_u16()
    }

    pub(super) fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json", "{self:?}");
        serde_json::from_str(&self.text).unwrap()
    }

    /// Status and message of a refusal.
    pub(super) fn refused(&self) -> (u16, String) {
        let json = self.json();
        assert_eq!(json.as_object().unwrap().len(), 1, "{self:?}");
        (self.code(), json["message"].as_str().unwrap().to_owned())
    }

    pub(super) fn id(&self, root: &str) -> String {
        assert_eq!(self.code(), 201, "{self:?}");
        self.json()[root]["id"].as_str().unwrap().to_owned()
    }
}

pub(super) fn request(method: &str, path: &str, token: &str, body: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(format!("/v1{path}")).header("content-type", "application/json");
    let request = if token.is_empty() { request } else { request.header("x-auth-token", token) };
    request.body(Body::from(body.to_owned())).unwrap()
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    pub(super) async fn with(configure: Configure) -> Self {
        for token in [DEMO, OTHER, ADMIN, EXPIRED] {
            backup_core::testkit::note_secret(token);
        }
        let clock = Arc::new(VirtualClock::new("2024-05-01T10:20:30.4Z".parse::<DateTime<Utc>>().unwrap()));
        let hand = Hand::new();
        let expires: DateTime<Utc> = "2034-05-01T00:00:00Z".parse().unwrap();
        let member = |token: &str, project: &str| Caller::new(token, project, "user", expires).roles(["member".to_owned()]);
        let past = "2024-05-01T10:20:30Z".parse().unwrap();
        hand.with(|things| {
            things.callers.insert(DEMO.to_owned(), member(DEMO, "demo"));
            things.callers.insert(OTHER.to_owned(), member(OTHER, "other"));
            things.callers.insert(ADMIN.to_owned(), member(ADMIN, "adm").roles(["admin".to_owned()]));
            things.callers.insert(EXPIRED.to_owned(), Caller::new(EXPIRED, "demo", "user", past));
        });
        Self::on(MemoryState::new(), SimStore::new(clock.clone()), clock, hand, configure, 1).await
    }

    async fn on(
        state: MemoryState,
        store: SimStore,
        clock: Arc<VirtualClock>,
        hand: Arc<Hand>,
        configure: Configure,
        seed: u64,
    ) -> Self {
        let environment = Environment::new(clock.clone(), Arc::new(SeededRandom::new(seed)));
        let shared: Arc<dyn backup_core::state::State> = Arc::new(state.clone());
        let repository = Repository::builder(Arc::new(store.clone()))
            .leases(Arc::new(StateLeases::new(shared.clone())))
            .environment(environment.clone())
            .build();
        let limits = Limits::default().running(64);
        let service =
            BackupService::builder(shared.clone()).environment(environment.clone()).limits(limits).start().await.unwrap();
        let dead = Arc::new(AtomicBool::new(false));
        let cloud = Arc::new(Fake { hand: hand.clone(), dead: dead.clone() });
        let builder = OpenStack::builder(service.clone(), repository.clone(), shared, cloud.clone()).environment(environment);
        let dialect = configure(builder.forward(cloud)).start().await.unwrap();
        let app = dress(router(dialect.clone()).fallback(not_found));
        Self { state, store, clock, hand, dead, service, repository, dialect, app, configure, seed }
    }

    pub(super) fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    /// The process dies; the next one finds what it left. What the cloud has it keeps.
    pub(super) async fn restart(&self) -> Self {
        self.kill();
        let (state, store) = (self.state.restart(), self.store.restart());
        Self::on(state, store, self.clock.clone(), self.hand.clone(), self.configure, self.seed + 1).await
    }

    /// Another process on the same state, store and cloud.
    pub(super) async fn replica(&self) -> Self {
        let (state, store) = (self.state.another_process(), self.store.another_process());
        Self::on(state, store, self.clock.clone(), self.hand.clone(), self.configure, self.seed + 100).await
    }

    pub(super) async fn ask(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.app.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    pub(super) async fn by(&self, token: &str, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.ask(request(method, path, token, &body)).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.by(DEMO, "GET", path, &Value::Null).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        self.by(DEMO, "POST", path, &body).await
    }

    pub(super) async fn put(&self, path: &str, body: Value) -> Answer {
        self.by(DEMO, "PUT", path, &body).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.by(DEMO, "DELETE", path, &Value::Null).await
    }

    /// Takes a volume backup on.
    pub(super) async fn begin(&self, volume: &str, more: Value) -> String {
        let mut backup = json!({ "name": "b", "volume_id": volume });
        backup.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        self.post("/volume/backup", json!({ "backup": backup })).await.id("backup")
    }

    /// Makes a volume backup.
    pub(super) async fn backed_up(&self, volume: &str, more: Value) -> String {
        let id = self.begin(volume, more).await;
        let backup = self.over(&id).await;
        assert_eq!(backup["status"], "active", "{backup}");
        self.clock.advance(Duration::from_secs(1));
        id
    }

    pub(super) async fn update(&self, id: &str) -> Value {
        let answer = self.post(&format!("/volume/backup/{id}/action"), json!({ "update": {} })).await;
        assert_eq!((answer.code(), answer.text.as_str()), (201, ""), "{answer:?}");
        let backup = self.over(id).await;
        self.clock.advance(Duration::from_secs(1));
        backup
    }

    pub(super) async fn backup(&self, id: &str) -> Value {
        self.by(ADMIN, "GET", &format!("/volume/backup/{id}"), &Value::Null).await.json()["backup"].clone()
    }

    /// The backup when nothing is being done to it any more.
    pub(super) async fn over(&self, id: &str) -> Value {
        loop {
            let backup = self.backup(id).await;
            if backup["status"] == "active" || backup["status"] == "error" {
                return backup;
            }
            tokio::task::yield_now().await;
        }
    }

    /// The status of a backup that nothing is being done to, `None` when it is gone.
    pub(super) async fn over_or_gone(&self, id: &str) -> Option<String> {
        loop {
            let backup = self.backup(id).await;
            match backup["status"].as_str() {
                None => return None,
                Some("active" | "error") => return backup["status"].as_str().map(str::to_owned),
                Some(_) => tokio::task::yield_now().await,
            }
        }
    }

    pub(super) async fn until(&self, mut holds: impl AsyncFnMut() -> bool) {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    }

    pub(super) async fn gone(&self, path: &str) {
        self.until(async || self.by(ADMIN, "GET", path, &Value::Null).await.code() == 404).await;
    }

    /// Waits until so many captures, restores and rollbacks are at their gate.
    pub(super) async fn at_gate(&self, count: usize) {
        self.until(async || self.hand.running.load(Ordering::SeqCst) >= count).await;
    }

    pub(super) fn close_gate(&self) {
        self.hand.gated.store(true, Ordering::SeqCst);
    }

    pub(super) fn open_gate(&self) {
        self.hand.gated.store(false, Ordering::SeqCst);
        self.hand.gate.add_permits(100);
    }

    /// What lies in the repository, of all sets.
    pub(super) async fn stored(&self) -> Vec<(String, Vec<String>)> {
        let cx = self.repository.context();
        let mut stored = Vec::new();
        for set in self.repository.sets(&cx).await.unwrap() {
            for info in self.repository.list(&cx, &set).await.unwrap() {
                stored.push((info.id.to_string(), info.parents.iter().map(ToString::to_string).collect()));
            }
        }
        stored
    }

    /// Lets the process put things in order, as often as it takes.
    pub(super) async fn ordered(&self) {
        while !matches!(self.dialect.inner.put_in_order(true).await, Ok(true)) {
            tokio::task::yield_now().await;
        }
    }
}
