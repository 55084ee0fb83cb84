//! The dialect over a simulated store, a virtual clock, and a source that does as it is told.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::Response;
use backup_core::cpu::CpuPool;
use backup_core::retention::RetentionPolicy;
use backup_core::service::{BackupService, Target};
use backup_core::testkit::{MemoryState, SimStore, VirtualClock, test_environment};
use backup_core::{
    ArtifactName, ArtifactOptions, BackupRequest, Bytes, Compression, Environment, Error, JobContext, Probe, Repository, Result,
    SetName, Sink, Source, Summary, async_trait,
};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::sync::Semaphore;
use tower::{Layer, ServiceExt as _};

use crate::etcd_backup::{EtcdBackup, SnapshotNaming, TimestampedSource, access_log, not_found, router};

/// What every capture of the test does.
#[derive(Debug)]
pub(super) struct Behaviour {
    pub(super) failing: AtomicBool,
    pub(super) captures: AtomicUsize,
    pub(super) gate: Semaphore,
}

/// Writes its own name into `<name>.tar`.
#[derive(Debug)]
struct Fake {
    name: String,
    behaviour: Arc<Behaviour>,
}

#[async_trait]
impl Source for Fake {
    fn kind(&self) -> &str {
        "fake"
    }

    async fn probe(&self, _: &JobContext) -> Result<Probe> {
        Ok(Probe::default())
    }

    async fn capture(&self, _: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        self.behaviour.captures.fetch_add(1, Ordering::SeqCst);
        self.behaviour.gate.acquire().await.unwrap().forget();
        self.behaviour.gate.add_permits(1);
        let mut writer = sink.artifact(&ArtifactName::new(format!("{}.tar", self.name))?, ArtifactOptions::default()).await?;
        writer.write(Bytes::from(format!("{}.db", self.name))).await?;
        if self.behaviour.failing.load(Ordering::SeqCst) {
            return Err(Error::new(&backup_core::error::codes::SOURCE_FAILED, "told to fail"));
        }
        writer.close().await?;
        Ok(Summary::default())
    }
}

pub(super) struct World {
    pub(super) store: SimStore,
    pub(super) clock: Arc<VirtualClock>,
    pub(super) behaviour: Arc<Behaviour>,
    pub(super) service: BackupService,
    pub(super) dialect: EtcdBackup,
    app: Router,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl World {
    /// Keeps the newest `rotate`.
    pub(super) async fn start(rotate: u32) -> Self {
        let (_, clock) = test_environment(1);
        let store = SimStore::new(clock.clone());
        Self::on(store, clock, rotate, 1).await
    }

    /// The next process on the same store.
    pub(super) async fn restart(&self, rotate: u32) -> Self {
        Self::on(self.store.restart(), self.clock.clone(), rotate, 2).await
    }

    async fn on(store: SimStore, clock: Arc<VirtualClock>, rotate: u32, seed: u64) -> Self {
        clock.auto_advance_up_to(Duration::from_secs(10));
        let environment = Environment::new(clock.clone(), test_environment(seed).0.random);
        let repository = Repository::builder(Arc::new(store.clone()))
            .environment(environment.clone())
            .naming(Arc::new(SnapshotNaming::new(clock.clone())))
            .cpu(CpuPool::inline())
            .build();
        let behaviour =
            Arc::new(Behaviour { failing: AtomicBool::new(false), captures: AtomicUsize::new(0), gate: Semaphore::new(1) });
        let shared = Arc::clone(&behaviour);
        let source = TimestampedSource::new(move |name| {
            Ok(Arc::new(Fake { name: name.to_owned(), behaviour: Arc::clone(&shared) }) as Arc<dyn Source>)
        });
        let request = BackupRequest::new(SetName::new("etcd").unwrap()).compression(Compression::Gzip, None);
        let target =
            Target::new(repository, Arc::new(source.unwrap()), request).retention(RetentionPolicy::default().keep_last(rotate));
        let state = Arc::new(MemoryState::new());
        let service = BackupService::builder(state).environment(environment).target(target.clone()).start().await.unwrap();
        let dialect = EtcdBackup::new(service.clone(), target);
        let app = router(dialect.clone()).fallback(not_found);
        Self { store, clock, behaviour, service, dialect, app }
    }

    pub(super) async fn ask(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.response(request).await.into_parts();
        Answer { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
    }

    pub(super) async fn response(&self, request: Request<Body>) -> Response {
        let app = access_log().layer(self.app.clone());
        app.oneshot(request).await.unwrap()
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask(request(Method::GET, path)).await
    }

    pub(super) async fn post(&self) -> Answer {
        self.ask(request(Method::POST, "/api/v1/backup")).await
    }

    /// The list as the dialect gives it.
    pub(super) async fn names(&self) -> Vec<String> {
        let answer = self.get("/api/v1/backup").await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        serde_json::from_value(answer.json()).unwrap()
    }

    /// Files in the root of the store.
    pub(super) fn files(&self) -> Vec<String> {
        self.store.keys().into_iter().filter(|key| !key.starts_with(".backup/")).collect()
    }
}

pub(super) fn request(method: Method, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

pub(super) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(bytes), &mut content).unwrap();
    content
}
