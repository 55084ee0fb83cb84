//! The routes: parse, call the service, render.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use backup_core::repository::BackupInfo;
use backup_core::service::{BackupDone, SubmitOptions};
use backup_core::source::BackupReader;
use backup_core::{Error, Result};
use tracing::Instrument;

use super::dto::{Failure, Saved};
use super::errors::{self, Refusal};
use super::{EtcdBackup, convert, takeover};
use crate::access::RequestId;
use crate::download::Download;
use crate::untended::going_on;

/// How long a list waits for files of the original program to be read for the first time. After that it says what it knows.
const LIST_WAIT: Duration = Duration::from_secs(20);

/// The routes of the dialect. Without a fallback, so that it goes into any app: one that serves nothing else sets [`not_found`].
///
/// # Behavior
/// Wrap what is served in [`access_log`](super::access_log), which is where `request_id` comes from. A `POST` that was begun goes on when
/// its client is gone.
pub fn router(dialect: EtcdBackup) -> Router {
    Router::new()
        .route("/api/v1/backup", get(list).post(save))
        .route("/api/v1/backup/", get(list))
        .route("/api/v1/backup/{*filename}", get(download))
        .method_not_allowed_fallback(wrong_method)
        .with_state(dialect)
}

/// The answer of this dialect for paths that nobody has: 404 with its JSON.
pub async fn not_found(id: RequestId) -> Response {
    Refusal::not_found(&id).into_response()
}

async fn wrong_method(id: RequestId) -> Response {
    Refusal::wrong_method(&id).into_response()
}

/// Lists the backups.
///
/// The names of all backups that are complete and not known to be damaged, ascending.
#[utoipa::path(
    get, path = "/api/v1/backup", operation_id = "list_backups",
    responses(
        (status = 200, description = "The file names.", body = Vec<String>, example = json!(["snapshot-20181220_024105.tar.gz"])),
        (status = 405, description = "Another method than GET, HEAD and POST.", body = Failure, headers(("Allow" = String))),
        (status = 500, description = "The store could not be listed.", body = Failure),
    ),
)]
pub(super) async fn list(State(dialect): State<EtcdBackup>, id: RequestId) -> Result<Response, Refusal> {
    let infos = dialect.list().await.map_err(|error| Refusal::failed(errors::LIST, &error, &id))?;
    Ok(convert::json(StatusCode::OK, &convert::names(&infos)))
}

/// Lists the backups, as without the slash.
#[utoipa::path(
    get, path = "/api/v1/backup/", operation_id = "list_backups_slash",
    responses(
        (status = 200, description = "The file names.", body = Vec<String>),
        (status = 405, description = "Another method than GET and HEAD.", body = Failure, headers(("Allow" = String))),
        (status = 500, description = "The store could not be listed.", body = Failure),
    ),
)]
#[allow(dead_code, reason = "carries the description; the route is that of `list`")]
pub(super) fn list_slash() {}

/// Makes a backup.
///
/// Answers when the backup is complete and durable, and older ones were rotated away. Requests wait for each other.
#[utoipa::path(
    post, path = "/api/v1/backup", operation_id = "make_backup",
    responses(
        (status = 200, description = "The backup was made.", body = Saved),
        (status = 405, description = "Another method than GET, HEAD and POST.", body = Failure, headers(("Allow" = String))),
        (status = 500, description = "No backup was made.", body = Failure),
    ),
)]
pub(super) async fn save(State(dialect): State<EtcdBackup>, id: RequestId) -> Result<Response, Refusal> {
    let label = id.to_string();
    let saved = going_on(async move { dialect.save(label).await }).await;
    let saved = saved.and_then(|done| convert::saved(&done.outcome));
    saved.map(|saved: Saved| convert::json(StatusCode::OK, &saved)).map_err(|error| Refusal::failed(errors::SAVE, &error, &id))
}

/// Downloads a backup.
///
/// The file as it is stored. One range a request is served; the entity tag is the SHA-256 of the whole file.
#[utoipa::path(
    get, path = "/api/v1/backup/{filename}", operation_id = "download_backup",
    params(
        ("filename" = String, Path, description = "A name from the list.", example = "snapshot-20181220_024105.tar.gz"),
        ("Range" = inline(Option<String>), Header, description = "One range of bytes (RFC 9110)."),
        ("If-Range" = inline(Option<String>), Header, description = "As RFC 9110 says."),
        ("If-Match" = inline(Option<String>), Header, description = "As RFC 9110 says."),
        ("If-None-Match" = inline(Option<String>), Header, description = "As RFC 9110 says."),
        ("If-Modified-Since" = inline(Option<String>), Header, description = "As RFC 9110 says."),
        ("If-Unmodified-Since" = inline(Option<String>), Header, description = "As RFC 9110 says."),
    ),
    responses(
        (status = 200, description = "The whole file.", content_type = "application/gzip", body = Vec<u8>, headers(
            ("ETag" = String, description = "The SHA-256 of the whole file."),
            ("Last-Modified" = String),
            ("Accept-Ranges" = String),
        )),
        (status = 206, description = "The range that was asked for.", content_type = "application/gzip", body = Vec<u8>, headers(
            ("ETag" = String),
            ("Content-Range" = String),
        )),
        (status = 304, description = "It is what the client has (`If-None-Match`, `If-Modified-Since`)."),
        (status = 404, description = "There is no such backup.", body = Failure),
        (status = 405, description = "Another method than GET and HEAD.", body = Failure, headers(("Allow" = String))),
        (status = 412, description = "It is not what the client expects (`If-Match`, `If-Unmodified-Since`)."),
        (status = 416, description = "The range lies outside of the file."),
        (status = 500, description = "The file could not be read.", body = Failure),
    ),
)]
pub(super) async fn download(
    State(dialect): State<EtcdBackup>,
    name: Result<Path<String>, PathRejection>,
    id: RequestId,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    // What is no text is no name either.
    let Ok(Path(name)) = name else { return Err(Refusal::not_found(&id)) };
    let found = dialect.find(&name).await.map_err(|error| Refusal::unreadable(&error, &id))?;
    let Some(info) = found else { return Err(Refusal::not_found(&id)) };
    dialect.serve(&info, &method, &headers).await.map_err(|error| Refusal::unreadable(&error, &id))
}

impl EtcdBackup {
    async fn list(&self) -> Result<Vec<Arc<BackupInfo>>> {
        let infos = self.service.list(&self.target).await?;
        if !takeover::is_needed(&infos, None) {
            return Ok(infos);
        }
        let dialect = self.clone();
        let read = tokio::spawn(async move { dialect.take_over().await }.in_current_span());
        // Late or not: what is known by then is listed.
        let _ = tokio::time::timeout(LIST_WAIT, read).await;
        self.service.list(&self.target).await
    }

    /// The backup of that name, `None` when no good one is called so. Names are compared, never used as a path.
    async fn find(&self, name: &str) -> Result<Option<Arc<BackupInfo>>> {
        let mut infos = self.service.list(&self.target).await?;
        if takeover::is_needed(&infos, Some(name)) {
            let (dialect, wanted) = (self.clone(), name.to_owned());
            going_on(async move {
                dialect.takeover.all(&dialect.service, &dialect.target, Some(&wanted)).await;
                Ok(())
            })
            .await?;
            infos = self.service.list(&self.target).await?;
        }
        Ok(infos.into_iter().find(|info| convert::listed_name(info) == Some(name)))
    }

    async fn save(&self, request: String) -> Result<BackupDone> {
        // Rotation counts only files that are whole.
        self.take_over().await;
        let options = SubmitOptions::default().label("request-id", request);
        let done = self.service.backup(&self.target, options).await?.wait().await?;
        if let Some(Err(error)) = &done.retention {
            tracing::error!(%error, "the backup was made, but older ones could not be rotated away");
        }
        Ok(done)
    }

    async fn serve(&self, info: &BackupInfo, method: &Method, headers: &HeaderMap) -> Result<Response> {
        let (cx, backup) = self.service.open(&self.target, &info.id).await?;
        let missing = || Error::new(&super::codes::MISNAMED, format!("backup {} has no file", info.id));
        let artifact = backup.entries().first().ok_or_else(missing)?;
        // Otherwise `HEAD` would find what `GET` does not.
        self.target.repository().store().head(&cx, &artifact.key).await?;
        let name = artifact.name.clone();
        let download = Download::stored(artifact)
            .content_type("application/gzip")
            .last_modified(convert::last_modified(backup.manifest()))
            .stall_limit(self.stall);
        download.respond(method, headers, async |range| backup.open_stored(&cx, &name, range).await).await
    }
}
