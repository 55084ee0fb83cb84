//! The dialect over a simulated store, with a fake etcd and a clock in the test's hand.

mod adopted;
mod checks;
#[cfg(feature = "testkit")]
mod described;
mod fake;
mod histories;
mod now;
mod served;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use backup_core::cpu::CpuPool;
use backup_core::service::{BackupService, Target};
use backup_core::testkit::{MemoryState, SimStore, VirtualClock, test_environment};
use backup_core::{Environment, Repository};
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::{EtcdSidecar, SidecarNaming, router, target};
use fake::Etcd;

/// A sidecar of the cluster `prod`, and all that it stands on.
struct World {
    store: SimStore,
    clock: Arc<VirtualClock>,
    etcd: Etcd,
    service: BackupService,
    target: Target,
    router: Router,
}

impl World {
    async fn new() -> Self {
        Self::keeping(0).await
    }

    async fn keeping(max_backups: u32) -> Self {
        let (_, clock) = test_environment(1);
        let store = SimStore::new(clock.clone());
        Self::start(store, clock, Etcd::open(), max_backups, 1).await
    }

    /// The next process on the same store and the same etcd, without any state.
    async fn restart(self) -> Self {
        Self::start(self.store.restart(), self.clock, self.etcd, 0, 2).await
    }

    async fn start(store: SimStore, clock: Arc<VirtualClock>, etcd: Etcd, max_backups: u32, seed: u64) -> Self {
        let environment = Environment::new(clock.clone(), test_environment(seed).0.random);
        let naming = SidecarNaming::in_directory("prod").unwrap();
        let repository = Repository::builder(Arc::new(store.clone()))
            .environment(environment.clone())
            .cpu(CpuPool::inline())
            .naming(Arc::new(naming.clone()))
            .build();
        let target = target(repository, Arc::new(etcd.clone()), &naming, max_backups);
        let service = BackupService::builder(Arc::new(MemoryState::new())).environment(environment);
        let service = service.target(target.clone()).start().await.unwrap();
        let router = router(EtcdSidecar::new(service.clone(), target.clone()));
        Self { store, clock, etcd, service, target, router }
    }

    async fn ask(&self, method: &str, path: &str) -> Answer {
        self.ask_with(method, path, &[]).await
    }

    async fn ask_with(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::read(self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).await
    }

    /// A backup that has to succeed.
    async fn back_up(&self) -> serde_json::Value {
        let answer = self.get("/v1/backupnow").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// The names of the files that the sidecar serves.
    fn files(&self) -> Vec<String> {
        self.store.keys().into_iter().filter_map(|key| Some(key.strip_prefix("v1/prod/")?.to_owned())).collect()
    }

    /// Puts a file of the original there, a second after the one before.
    fn leave(&self, name: &str, bytes: &'static [u8]) {
        self.clock.advance(Duration::from_secs(1));
        self.store.raw_put(&format!("v1/prod/{name}"), bytes);
    }
}

/// An answer, read to its end.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: axum::http::HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    async fn read(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Self { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> serde_json::Value {
        assert_eq!(self.header("content-type"), "application/json");
        assert!(self.text().ends_with("}\n"), "{:?}", self.text());
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Lets every task of the runtime go on until all wait.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}
