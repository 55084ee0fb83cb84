//! The routes: parse, ask the jobs, render.

use axum::Router;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use backup_core::{Bytes, Result};

use super::dto::{BackupJob, Failed, RestoreJob, Simple};
use super::jobs::{Key, Submitted};
use super::names::is_id;
use super::parse::{Draft, id_of};
use super::stage::Operation;
use super::{BackupAgent, errors};
use crate::fallback::exactly;
use crate::untended::going_on;

type Agent = State<BackupAgent>;
type Body = Result<Bytes, BytesRejection>;
type Id = Result<Path<String>, PathRejection>;

/// The routes of the dialect, which ask for the agent's credentials themselves. Without a fallback: an app that serves nothing else sets
/// [`not_found`].
///
/// # Behavior
/// A job that was accepted runs on when its client is gone, and so does a deletion. Another method than the documented ones is 405 with
/// `Allow`, as an unknown path without asking for credentials. How long a body may be is for the caller to limit
/// ([`RequestLimits`](crate::limits::RequestLimits)).
pub fn router(agent: BackupAgent) -> Router {
    const GET: &[Method] = &[Method::GET];
    let auth = agent.auth.clone();
    let only = |methods: &'static [Method], routes: MethodRouter<BackupAgent>| exactly(methods, routes.layer(auth.clone()));
    Router::new()
        .route("/status", only(GET, get(status)))
        .route("/backup", only(&[Method::POST, Method::DELETE], post(backup).merge(delete(delete_backup))))
        .route("/backup/", only(GET, get(no_backup)))
        .route("/backup/{id}", only(GET, get(poll_backup)))
        .route("/restore", only(&[Method::PUT, Method::DELETE], put(restore).merge(delete(delete_restore))))
        .route("/restore/", only(GET, get(no_restore)))
        .route("/restore/{id}", only(GET, get(poll_restore)))
        .layer(DefaultBodyLimit::disable())
        .with_state(agent)
}

/// The answer where nothing is: `404 page not found`. For the fallback of the whole application.
pub async fn not_found() -> Response {
    errors::page_not_found()
}

impl BackupAgent {
    async fn submit(&self, operation: Operation, body: Body) -> Result<Response> {
        let refuse = |why: String| Ok(errors::refused(operation, why));
        let draft = match body.map_err(|error| error.body_text()).and_then(|body| Draft::decode(operation, &body)) {
            Ok(draft) => draft,
            Err(why) => return refuse(why),
        };
        if let Some((record, progress)) = self.jobs.find(&Key::new(operation, draft.id.clone())).await? {
            return Ok(errors::polled(StatusCode::CONFLICT, record, progress));
        }
        let request = match draft.check(&self.defaults) {
            Ok(request) => request,
            Err(why) => return refuse(why),
        };
        let run = match self.jobs.work.prepare(request.clone()) {
            Ok(run) => run,
            Err(error) => return refuse(error.message().to_owned()),
        };
        Ok(match self.jobs.submit(&request, run).await? {
            Submitted::Accepted => errors::created(),
            Submitted::Exists(record, progress) => errors::polled(StatusCode::CONFLICT, *record, progress),
            Submitted::Busy => errors::busy(),
        })
    }

    async fn poll(&self, operation: Operation, id: Id) -> Result<Response> {
        let Some(id) = id.ok().map(|Path(id)| id).filter(|id| is_id(id)) else {
            return Ok(StatusCode::BAD_REQUEST.into_response());
        };
        Ok(match self.jobs.find(&Key::new(operation, id)).await? {
            Some((record, progress)) => errors::polled(StatusCode::OK, record, progress),
            None => StatusCode::NOT_FOUND.into_response(),
        })
    }

    async fn delete(&self, operation: Operation, body: Body) -> Result<Response> {
        let Some(id) = body.ok().and_then(|body| id_of(&body).ok()) else {
            return Ok(StatusCode::BAD_REQUEST.into_response());
        };
        Ok(match self.jobs.delete(&Key::new(operation, id)).await? {
            true => StatusCode::OK.into_response(),
            false => StatusCode::GONE.into_response(),
        })
    }
}

fn answer(answer: Result<Response>) -> Response {
    answer.unwrap_or_else(|error| errors::internal(&error))
}

/// Tells that the agent runs.
#[utoipa::path(
    get, path = "/status", operation_id = "status", security(("basic" = [])),
    responses(
        (status = 200, description = "It runs.", body = Simple),
        (status = 401, description = "The credentials are not correct.", body = Simple),
    ),
)]
pub(super) async fn status() -> Response {
    errors::running()
}

/// Starts a backup.
///
/// Keys may be in any letter case; unknown ones and nulls are ignored, and of repeated ones the last counts.
#[utoipa::path(
    post, path = "/backup", operation_id = "trigger_backup", security(("basic" = [])),
    request_body(content = Object, content_type = "application/json"),
    responses(
        (status = 201, description = "The backup runs."),
        (status = 400, description = "The body is not sufficient. Nothing was stored: the id can be used again.", body = BackupJob),
        (status = 401, description = "The credentials are not correct.", body = Simple),
        (status = 409, description = "There is a job of that id: as polling shows it.", body = BackupJob),
        (status = 429, description = "As many jobs run as may.", body = Failed),
        (status = 500, description = "The agent failed.", body = Failed),
    ),
)]
pub(super) async fn backup(State(agent): Agent, body: Body) -> Response {
    answer(going_on(async move { agent.submit(Operation::Backup, body).await }).await)
}

/// Forgets a backup job.
///
/// One that runs is cancelled: it cleans up and unlocks before the answer comes. Backups are never deleted.
#[utoipa::path(
    delete, path = "/backup", operation_id = "delete_backup", security(("basic" = [])),
    request_body(content = Object, content_type = "application/json"),
    responses(
        (status = 200, description = "The job is forgotten."),
        (status = 400, description = "The body is not sufficient."),
        (status = 401, description = "The credentials are not correct.", body = Simple),
        (status = 410, description = "There is no such job."),
        (status = 500, description = "The agent failed.", body = Failed),
    ),
)]
pub(super) async fn delete_backup(State(agent): Agent, body: Body) -> Response {
    answer(going_on(async move { agent.delete(Operation::Backup, body).await }).await)
}

/// Shows a backup job.
#[utoipa::path(
    get, path = "/backup/{id}", operation_id = "poll_backup", security(("basic" = [])),
    params(("id" = String, Path, description = "The job.")),
    responses(
        (status = 200, description = "The job.", body = BackupJob),
        (status = 400, description = "That is no id."),
        (status = 401, description = "The credentials are not correct.", body = Simple),
        (status = 404, description = "There is no such job."),
        (status = 500, description = "The agent failed.", body = Failed),
    ),
)]
pub(super) async fn poll_backup(State(agent): Agent, id: Id) -> Response {
    answer(agent.poll(Operation::Backup, id).await)
}

/// The answer to a poll without an id.
#[utoipa::path(
    get, path = "/backup/", operation_id = "poll_no_backup", security(("basic" = [])),
    responses(
        (status = 400, description = "There is no id."),
        (status = 401, description = "The credentials are not correct.", body = Simple),
    ),
)]
pub(super) async fn no_backup() -> Response {
    StatusCode::BAD_REQUEST.into_response()
}

/// Starts a restore.
///
/// The body is that of a backup, with `restore` instead of `backup` and `destination.filename`.
#[utoipa::path(
    put, path = "/restore", operation_id = "trigger_restore", security(("basic" = [])),
    request_body(content = Object, content_type = "application/json"),
    responses(
        (status = 201, description = "The restore runs."),
        (status = 400, description = "The body is not sufficient. Nothing was stored: the id can be used again.", body = RestoreJob),
        (status = 401, description = "The credentials are not correct.", body = Simple),
        (status = 409, description = "There is a job of that id: as polling shows it.", body = RestoreJob),
        (status = 429, description = "As many jobs run as may.", body = Failed),
        (status = 500, description = "The agent failed.", body = Failed),
    ),
)]
pub(super) async fn restore(State(agent): Agent, body: Body) -> Response {
    answer(going_on(async move { agent.submit(Operation::Restore, body).await }).await)
}

/// Forgets a restore job.
///
/// One that runs is cancelled: it cleans up and unlocks before the answer comes.
#[utoipa::path(
    delete, path = "/restore", operation_id = "delete_restore", security(("basic" = [])),
    request_body(content = Object, content_type = "application/json"),
    responses(
        (status = 200, description = "The job is forgotten."),
        (status = 400, description = "The body is not sufficient."),
        (status = 401, description = "The credentials are not correct.", body = Simple),
        (status = 410, description = "There is no such job."),
        (status = 500, description = "The agent failed.", body = Failed),
    ),
)]
pub(super) async fn delete_restore(State(agent): Agent, body: Body) -> Response {
    answer(going_on(async move { agent.delete(Operation::Restore, body).await }).await)
}

/// Shows a restore job.
#[utoipa::path(
    get, path = "/restore/{id}", operation_id = "poll_restore", security(("basic" = [])),
    params(("id" = String, Path, description = "The job.")),
    responses(
        (status = 200, description = "The job.", body = RestoreJob),
        (status = 400, description = "That is no id."),
        (status = 401, description = "The credentials are not correct.", body = Simple),
        (status = 404, description = "There is no such job."),
        (status = 500, description = "The agent failed.", body = Failed),
    ),
)]
pub(super) async fn poll_restore(State(agent): Agent, id: Id) -> Response {
    answer(agent.poll(Operation::Restore, id).await)
}

/// The answer to a poll without an id.
#[utoipa::path(
    get, path = "/restore/", operation_id = "poll_no_restore", security(("basic" = [])),
    responses(
        (status = 400, description = "There is no id."),
        (status = 401, description = "The credentials are not correct.", body = Simple),
    ),
)]
pub(super) async fn no_restore() -> Response {
    StatusCode::BAD_REQUEST.into_response()
}
