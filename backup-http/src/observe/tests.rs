use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use backup_core::cpu::CpuPool;
use backup_core::service::{SubmitOptions, Target};
use backup_core::source::{ArtifactOptions, Probe, Sink, Source, Summary};
use backup_core::testkit::{MemoryState, SimStore, VirtualClock, test_environment};
use backup_core::{ArtifactName, BackupRequest, Bytes, JobContext, Repository, SetName, async_trait};
use serde_json::Value;
use tower::ServiceExt;

use super::*;

#[derive(Debug)]
struct Letters(bool);

#[async_trait]
impl Source for Letters {
    fn kind(&self) -> &str {
        "letters"
    }

    async fn probe(&self, _: &JobContext) -> backup_core::Result<Probe> {
        Ok(Probe::default())
    }

    async fn capture(&self, _: &JobContext, sink: &dyn Sink) -> backup_core::Result<Summary> {
        if !self.0 {
            return Err(backup_core::Error::new(&backup_core::error::codes::STORE_IO, "no letters"));
        }
        let mut writer = sink.artifact(&ArtifactName::new("letters").unwrap(), ArtifactOptions::default()).await?;
        writer.write(Bytes::from_static(b"abc")).await?;
        writer.close().await?;
        Ok(Summary::default())
    }
}

struct Serving {
    clock: Arc<VirtualClock>,
    service: BackupService,
    good: Target,
    bad: Target,
    metrics: Metrics,
    observe: Observe,
    router: Router,
}

/// A service with a set `good` that has to be backed up each hour, and a target whose source fails.
async fn serving() -> Serving {
    let (environment, clock) = test_environment(1);
    clock.auto_advance_up_to(Duration::from_secs(10));
    let store = SimStore::new(clock.clone());
    let repository = Repository::builder(Arc::new(store)).environment(environment.clone()).cpu(CpuPool::inline()).build();
    let target =
        |set: &str, source| Target::new(repository.clone(), Arc::new(source), BackupRequest::new(SetName::new(set).unwrap()));
    let good = target("good", Letters(true)).backup_objective(Duration::from_secs(3600));
    let bad = target("bad", Letters(false));
    let metrics = Metrics::new("test", "1.2.3");
    let service = BackupService::builder(Arc::new(MemoryState::new()))
        .environment(environment)
        .observer(Arc::new(metrics.clone()))
        .target(good.clone())
        .start()
        .await
        .unwrap();
    let observe = Observe::new(metrics.clone(), document());
    let router = observe.router().layer(metrics.http());
    Serving { clock, service, good, bad, metrics, observe, router }
}

impl Serving {
    async fn get(&self, path: &str) -> (StatusCode, String) {
        let answer = self.router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let status = answer.status();
        let bytes = axum::body::to_bytes(answer.into_body(), 1_000_000).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn health(&self) -> (u16, Value) {
        let (status, text) = self.get("/healthz").await;
        (status.as_u16(), serde_json::from_str(&text).unwrap())
    }

    async fn backup(&self, target: &Target) {
        let _ = self.service.backup(target, SubmitOptions::default()).await.unwrap().wait().await;
    }

    /// The value of a sample in `/metrics`.
    async fn sample(&self, name: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics").await;
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }
}

#[tokio::test]
async fn health_goes_from_starting_over_ok_and_late_to_stopping() {
    let serving = serving().await;
    assert_eq!(serving.health().await, (503, serde_json::json!({"status": "starting", "healthy": false, "sets": []})));
    serving.observe.ready(serving.service.clone());

    serving.backup(&serving.good).await;
    let (status, health) = serving.health().await;
    assert_eq!((status, &health["status"], &health["healthy"]), (200, &"ok".into(), &true.into()), "{health}");
    let set = &health["sets"][0];
    assert_eq!((&set["set"], &set["met"], &set["backup_objective"]), (&"good".into(), &true.into(), &3600.into()));
    assert!(set["last_backup_at"].is_string() && set["last_verified_at"].is_null(), "{set}");

    serving.clock.advance(Duration::from_secs(7200));
    let (status, health) = serving.health().await;
    assert_eq!((status, &health["status"], &health["healthy"]), (503, &"ok".into(), &false.into()), "{health}");

    serving.backup(&serving.good).await;
    serving.clock.advance(Duration::from_secs(10));
    assert_eq!(serving.health().await.0, 200);
    serving.service.stop(Duration::ZERO).await;
    let (status, health) = serving.health().await;
    assert_eq!((status, &health["status"]), (503, &"stopping".into()));
}

#[tokio::test]
async fn metrics_count_jobs_by_kind_and_outcome_and_tell_ages_by_set() {
    let serving = serving().await;
    assert_eq!(serving.sample("backup_build_info{program=\"test\",version=\"1.2.3\"}").await, Some(1.0));
    serving.observe.ready(serving.service.clone());
    assert_eq!(serving.sample("backup_age_seconds{set=\"good\"}").await, None, "no backup has no age");
    serving.backup(&serving.good).await;
    serving.backup(&serving.good).await;
    serving.backup(&serving.bad).await;
    serving.clock.advance(Duration::from_secs(100));
    for (name, value) in [
        ("backup_jobs_total{kind=\"backup\",outcome=\"succeeded\"}", 2.0),
        ("backup_jobs_total{kind=\"backup\",outcome=\"failed\"}", 1.0),
        ("backup_job_bytes_total{kind=\"backup\"}", 6.0),
        ("backup_job_duration_seconds_count{kind=\"backup\"}", 3.0),
        ("backup_retention_failures_total", 0.0),
        ("backup_jobs_running", 0.0),
        ("backup_jobs_queued", 0.0),
        ("backup_objective_met{set=\"good\"}", 1.0),
    ] {
        assert_eq!(serving.sample(name).await, Some(value), "{name}\n{}", serving.get("/metrics").await.1);
    }
    let age = serving.sample("backup_age_seconds{set=\"good\"}").await.unwrap();
    assert!((100.0..200.0).contains(&age), "{age}");
}

#[tokio::test]
async fn calls_to_remote_services_are_counted_with_their_attempts() {
    let serving = serving().await;
    let call = |failed| RemoteCall::new("s3", "PutObject", failed).attempts(3, Duration::from_secs(2)).bytes(100);
    serving.metrics.remote_call(&call(None));
    serving.metrics.remote_call(&call(Some(backup_core::ErrorKind::Timeout)));
    serving.metrics.remote_call(&RemoteCall::new("s3", "ListObjects", None));
    for (name, value) in [
        ("backup_remote_calls_total{service=\"s3\",operation=\"PutObject\",outcome=\"ok\"}", 1.0),
        ("backup_remote_calls_total{service=\"s3\",operation=\"PutObject\",outcome=\"timeout\"}", 1.0),
        ("backup_remote_call_attempts_total{service=\"s3\",operation=\"PutObject\"}", 6.0),
        ("backup_remote_call_sent_bytes_total{service=\"s3\",operation=\"PutObject\"}", 600.0),
        ("backup_remote_call_duration_seconds_sum{service=\"s3\",operation=\"PutObject\"}", 4.0),
        ("backup_remote_call_duration_seconds_count{service=\"s3\",operation=\"ListObjects\"}", 1.0),
    ] {
        assert_eq!(serving.sample(name).await, Some(value), "{name}\n{}", serving.get("/metrics").await.1);
    }
}

#[tokio::test]
async fn requests_are_counted_by_pattern_and_never_by_path() {
    let metrics = Metrics::new("test", "0");
    let observe = Observe::new(metrics.clone(), document());
    let router = observe.router().route("/x/{id}", get(|| async { "12345" })).layer(metrics.http());
    let ask = async |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        let bytes = axum::body::to_bytes(answer.into_body(), 1_000_000).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    for path in ["/x/1", "/x/2?secret=a", "/none", "/also/none"] {
        ask("GET", path).await;
    }
    ask("BREW", "/x/1").await;
    let text = ask("GET", "/metrics").await;
    for line in [
        "backup_http_requests_total{route=\"/x/{id}\",method=\"GET\",status=\"200\"} 2",
        "backup_http_requests_total{route=\"/x/{id}\",method=\"other\",status=\"405\"} 1",
        "backup_http_requests_total{route=\"unmatched\",method=\"GET\",status=\"404\"} 2",
        "backup_http_response_bytes_total{route=\"/x/{id}\"} 10",
        "backup_http_requests_in_flight 1",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("none") && !text.contains("secret"));
    assert!(text.ends_with("# EOF\n"));
}

#[cfg(feature = "testkit")]
mod described {
    use super::*;
    use crate::testkit::Contract;

    fn contract() -> Contract {
        Contract::new(serde_json::to_value(document()).unwrap())
    }

    async fn all(contract: &mut Contract, router: &Router) {
        for path in ["/healthz", "/metrics", "/openapi.json"] {
            contract.ask(router, Request::get(path).body(Body::empty()).unwrap()).await;
        }
    }

    #[tokio::test]
    async fn the_routes_are_what_their_document_says() {
        let serving = serving().await;
        let mut contract = contract();
        all(&mut contract, &serving.router).await;
        serving.observe.ready(serving.service.clone());
        serving.backup(&serving.good).await;
        all(&mut contract, &serving.router).await;
        contract.covers(&serving.router).await;
        assert_eq!(contract.findings(), &[] as &[String]);
    }

    #[tokio::test]
    async fn a_router_that_is_not_what_its_document_says_is_found_out() {
        let router = Router::new()
            .route("/healthz", get(|| async { Json(serde_json::json!({"status": "fine"})) }).post(|| async {}))
            .route("/metrics", get(|| async { Json(1) }))
            .route("/extra", get(|| async {}));
        let mut contract = contract();
        all(&mut contract, &router).await;
        contract.covers(&router).await;
        let found = contract.findings().join("\n");
        for expected in [
            "GET /healthz -> 200 OK: ",
            "GET /metrics -> 200 OK: the content type application/json is not documented",
            "GET /openapi.json -> 404 Not Found: the status is not documented",
            "the route /extra is not documented",
            "/openapi.json is documented, and the router has no such route",
            "an unknown method on /healthz is 405",
        ] {
            assert!(found.contains(expected), "{expected} is not in\n{found}");
        }
    }
}
