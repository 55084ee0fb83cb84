//! The routes. Handlers parse, ask the service, and render.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use utoipa::OpenApi;

use super::EtcdSidecar;
use super::dto::{BackupStatus, ServiceStatus, Snapshot};
use super::errors::Refusal;
use super::params::Params;
use crate::fallback::exactly_or;

type Shared = State<Arc<EtcdSidecar>>;

/// The routes of the dialect. Other paths are the caller's; [`not_found`] answers them as the original did.
///
/// # Behavior
/// Every other method than the documented one is 405 with `Allow` and has no effect. The waits of `/v1/backupnow` are its own: a time limit
/// of the caller around the router must be longer than 11 minutes.
pub fn router(sidecar: EtcdSidecar) -> Router {
    const GET: &[Method] = &[Method::GET];
    const GET_HEAD: &[Method] = &[Method::GET, Method::HEAD];
    let refuse = |allowed: &[Method]| Refusal::method_not_allowed(allowed).into_response();
    Router::new()
        .route("/v1/backupnow", exactly_or(GET, get(backup_now), refuse))
        .route("/v1/backup", exactly_or(GET_HEAD, get(backup), refuse))
        .route("/v1/status", exactly_or(GET, get(status), refuse))
        .with_state(Arc::new(sidecar))
}

/// The answer where nothing is: `404 page not found`. For the fallback of the whole application.
pub async fn not_found() -> Response {
    Refusal::page_not_found().into_response()
}

/// The OpenAPI document of the dialect.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "etcd backup sidecar",
        version = "1",
        description = "The HTTP API v1 of the backup sidecar of etcd-operator. Errors are one line of plain text."
    ),
    paths(backup_now, backup, head_backup, status),
    components(schemas(BackupStatus, ServiceStatus, Snapshot))
)]
struct Api;

/// JSON with the line end that Go's encoder writes.
fn json(value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text + "\n").into_response(),
        Err(_) => axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Makes a backup now.
///
/// When the revision has not changed since the last backup none is made, and the status is that of the last one.
#[utoipa::path(
    get,
    path = "/v1/backupnow",
    operation_id = "backupNow",
    responses(
        (status = 200, description = "The backup that now is the newest.", body = BackupStatus),
        (status = 405, description = "Another method than GET.", body = String, content_type = "text/plain", headers(("Allow" = String))),
        (status = 408, description = "`timeout`: the backup did not begin within 1 minute, or did not end within 10 more.", body = String, content_type = "text/plain"),
        (status = 500, description = "The backup failed: `no reachable member`, `create etcd client failed: …` or `write snapshot failed: …`.", body = String, content_type = "text/plain"),
    )
)]
async fn backup_now(State(sidecar): Shared) -> Result<Response, Refusal> {
    sidecar.backup_now().await.map(|status| json(&status))
}

/// Sends a backup: the snapshot byte for byte as etcd sent it, its SHA-256 trailer included.
#[utoipa::path(
    get,
    path = "/v1/backup",
    operation_id = "getBackup",
    params(
        ("etcdVersion" = inline(Option<String>), Query, description = "Alone: the newest backup must suit an etcd of this version. With `etcdRevision`: the version of the backup. Empty counts as absent.", example = "3.5.1"),
        ("etcdRevision" = inline(Option<String>), Query, description = "The revision of the backup, decimal; needs `etcdVersion`. Empty counts as absent.", example = "10"),
        ("Range" = inline(Option<String>), Header, description = "One range of bytes (RFC 9110)."),
        ("If-Range" = inline(Option<String>), Header, description = "As RFC 9110 says."),
        ("If-Match" = inline(Option<String>), Header, description = "As RFC 9110 says."),
        ("If-None-Match" = inline(Option<String>), Header, description = "As RFC 9110 says."),
        ("If-Modified-Since" = inline(Option<String>), Header, description = "As RFC 9110 says."),
        ("If-Unmodified-Since" = inline(Option<String>), Header, description = "As RFC 9110 says."),
    ),
    responses(
        (status = 200, description = "The whole backup.", body = Snapshot, content_type = "application/octet-stream", headers(
            ("X-etcd-Version" = String, description = "The version of the etcd cluster that the backup was made from."),
            ("X-Revision" = String, description = "The etcd revision that it holds, decimal."),
            ("ETag" = String, description = "The SHA-256 of the whole backup."),
            ("Last-Modified" = String),
            ("Accept-Ranges" = String),
        )),
        (status = 206, description = "The range that was asked for.", body = Snapshot, content_type = "application/octet-stream", headers(
            ("X-etcd-Version" = String),
            ("X-Revision" = String),
            ("ETag" = String),
            ("Content-Range" = String),
        )),
        (status = 304, description = "The client has it."),
        (status = 400, description = "A parameter cannot be read, `etcdVersion` is missing beside `etcdRevision`, or the versions do not go together.", body = String, content_type = "text/plain"),
        (status = 404, description = "`404 page not found`: there is no backup at all; `backup not found`: not this one.", body = String, content_type = "text/plain"),
        (status = 405, description = "Another method than GET and HEAD.", body = String, content_type = "text/plain", headers(("Allow" = String))),
        (status = 412, description = "A precondition does not hold."),
        (status = 416, description = "The range lies outside of the backup."),
        (status = 500, description = "The backup cannot be listed or read.", body = String, content_type = "text/plain"),
    )
)]
async fn backup(State(sidecar): Shared, method: Method, headers: HeaderMap, params: Params) -> Result<Response, Refusal> {
    sidecar.download(&method, &headers, &params).await
}

/// Tells of a backup what GET would, without its bytes.
#[utoipa::path(
    head,
    path = "/v1/backup",
    operation_id = "headBackup",
    params(
        ("etcdVersion" = inline(Option<String>), Query, description = "As for GET."),
        ("etcdRevision" = inline(Option<String>), Query, description = "As for GET."),
    ),
    responses(
        (status = 200, description = "It is there.", headers(
            ("X-etcd-Version" = String),
            ("X-Revision" = String),
            ("Content-Length" = u64),
            ("ETag" = String),
        )),
        (status = 304, description = "The client has it."),
        (status = 400, description = "As for GET."),
        (status = 404, description = "As for GET."),
        (status = 412, description = "A precondition does not hold."),
        (status = 500, description = "As for GET."),
    )
)]
#[allow(dead_code, reason = "the description of a HEAD, which the handler of GET answers")]
fn head_backup() {}

/// Tells how many backups there are, how big they are, and which is the newest.
#[utoipa::path(
    get,
    path = "/v1/status",
    operation_id = "status",
    responses(
        (status = 200, description = "The state of the backups.", body = ServiceStatus),
        (status = 405, description = "Another method than GET.", body = String, content_type = "text/plain", headers(("Allow" = String))),
        (status = 500, description = "`failed to get total number of backups`.", body = String, content_type = "text/plain"),
    )
)]
async fn status(State(sidecar): Shared) -> Result<Response, Refusal> {
    sidecar.status().await.map(|status| json(&status))
}
