//! The OpenAPI 3.1 document of the observing routes, and of a whole server.

// The functions below only carry the annotations of the routes.
#![allow(dead_code)]

use utoipa::OpenApi;

use super::health::HealthAnswer;

#[derive(OpenApi)]
#[openapi(
    info(title = "Backup server: health, metrics, description"),
    paths(healthz, metrics, openapi_json),
    tags((name = "observe", description = "Health, metrics and this description"))
)]
struct Observed;

#[utoipa::path(
    get, path = "/healthz", tag = "observe",
    summary = "How the process and its backup sets are",
    responses(
        (status = 200, description = "Up, and every set meets its objective", body = HealthAnswer),
        (status = 503, description = "Starting, stopping, or a set misses its objective", body = HealthAnswer),
    )
)]
fn healthz() {}

#[utoipa::path(
    get, path = "/metrics", tag = "observe",
    summary = "Metrics as OpenMetrics text",
    responses((status = 200, description = "All metrics", body = String, content_type = "application/openmetrics-text"))
)]
fn metrics() {}

#[utoipa::path(
    get, path = "/openapi.json", tag = "observe",
    summary = "This document",
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json"))
)]
fn openapi_json() {}

/// The document of the observing routes alone.
pub fn document() -> utoipa::openapi::OpenApi {
    Observed::openapi()
}

/// The document of a server: that of its dialects, whose title and version stay, and the observing routes.
pub fn merged(mut dialects: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    dialects.merge(document());
    dialects
}
