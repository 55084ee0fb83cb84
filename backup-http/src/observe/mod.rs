//! `/healthz`, `/metrics` and `/openapi.json`, outside of every dialect.

mod calls;
mod health;
mod http;
mod jobs;
mod metrics;
mod openapi;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use backup_core::Bytes;
use backup_core::service::BackupService;

pub use calls::RemoteCall;
pub use health::{HealthAnswer, ProcessState, SetAnswer};
pub use http::{HttpMetrics, Measured, MeasuredFuture};
pub use jobs::CountedJob;
pub use metrics::Metrics;
pub use openapi::{document, merged};

/// The three routes that every server has besides its dialect's.
///
/// # Behavior
/// - `GET /healthz`: JSON, 200 while the process is up and each set meets its declared objective, else 503.
/// - `GET /metrics`: the registry of [`Metrics`] as OpenMetrics text, which Prometheus reads.
/// - `GET /openapi.json`: the document of all routes.
///
/// Health is looked up at most every five seconds, however many ask.
#[derive(Clone)]
pub struct Observe {
    service: Arc<OnceLock<BackupService>>,
    metrics: Metrics,
    document: Bytes,
}

impl Observe {
    /// Routes of a server whose dialects are described by `dialects`. Until [`Observe::ready`] it is `starting`.
    pub fn new(metrics: Metrics, dialects: utoipa::openapi::OpenApi) -> Self {
        let document = merged(dialects);
        // A document is plain data: serialising it cannot fail.
        let document = serde_json::to_vec(&document).unwrap_or_default().into();
        Self { service: Arc::default(), metrics, document }
    }

    /// Says that the service has started. A second call changes nothing.
    pub fn ready(&self, service: BackupService) {
        let _ = self.service.set(service);
    }

    /// The router, to be merged with those of the dialects.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/healthz", get(healthz))
            .route("/metrics", get(metrics_text))
            .route("/openapi.json", get(openapi_json))
            .with_state(self.clone())
    }
}

impl std::fmt::Debug for Observe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observe").field("ready", &self.service.get().is_some()).finish_non_exhaustive()
    }
}

async fn healthz(State(observe): State<Observe>) -> impl IntoResponse {
    let answer = match observe.service.get() {
        Some(service) => HealthAnswer::of(service.health().await),
        None => HealthAnswer::starting(),
    };
    let status = if answer.is_good() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(answer))
}

async fn metrics_text(State(observe): State<Observe>) -> Response<Body> {
    let text = match observe.service.get() {
        Some(service) => observe.metrics.text(Some((service.load(), service.health().await))),
        None => observe.metrics.text(None),
    };
    typed("application/openmetrics-text; version=1.0.0; charset=utf-8", text.into())
}

async fn openapi_json(State(observe): State<Observe>) -> Response<Body> {
    typed("application/json", observe.document.clone())
}

fn typed(media_type: &'static str, content: Bytes) -> Response<Body> {
    ([(CONTENT_TYPE, HeaderValue::from_static(media_type))], content).into_response()
}
