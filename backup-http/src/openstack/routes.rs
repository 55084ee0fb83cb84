//! The routes: who asks, what for, and the answer.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::header::{ALLOW, CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};
use serde_json::{Value, json};

use super::body::{self, Read};
use super::cloud::Service;
use super::convert::{self, json as answered};
use super::dress::{Foreign, dress};
use super::dto::{
    BackupId, BackupSnapshots, Id, InstanceBackups, InstanceSnapshots, Misshapen, OneInstanceBackup, OneInstanceSnapshot,
    OneVolumeBackup, Refused, SnapshotId, VolumeBackups, VolumeId, VolumeIds,
};
use super::errors::{Failure, shown};
use super::id::uuid;
use super::instances::{BackupOrder, InstanceSnapshotOrder, RestoreMembers};
use super::list::Query;
use super::record::{InstanceBackup, InstanceSnapshot, VolumeBackup};
use super::volume_backups::{Change, Order};
use super::volumes::RestoreOrder;
use super::{Caller, Inner, OpenStack};
use crate::fallback::{catch_panics, exactly_or, method_not_allowed};
use crate::untended::going_on;

type Dialect = State<OpenStack>;
type Segment = Result<Path<String>, PathRejection>;
type Answer = Result<Response, Failure>;

/// The routes of the dialect, which ask for a token themselves. Without a fallback: an app sets [`not_found`], and goes into
/// [`dress`](super::dress()) with all of its layers.
///
/// # Behavior
/// What was begun goes on when its client is gone. Another method than the documented ones is 405 with `Allow`, without asking for a token.
/// At most 256 KiB of a body are held, which is what one of ours may have; what is forwarded streams.
pub fn router(dialect: OpenStack) -> Router {
    const GET: &[Method] = &[Method::GET];
    const POST: &[Method] = &[Method::POST];
    const DELETE: &[Method] = &[Method::DELETE];
    const LIST: &[Method] = &[Method::GET, Method::POST];
    const ONE: &[Method] = &[Method::GET, Method::PUT, Method::DELETE];
    let only = |methods: &'static [Method], routes: MethodRouter<OpenStack>| exactly_or(methods, routes, wrong_method);
    let router = Router::new()
        .route("/", only(GET, get(active)))
        .route("/v1/volume", only(POST, post(create_volume)))
        .route("/v1/volume/{id}/action", only(POST, post(act_on_volume)))
        .route("/v1/volume/backup", only(LIST, get(list_volume_backups).post(create_volume_backup)))
        .route(
            "/v1/volume/backup/{id}",
            only(ONE, get(show_volume_backup).put(change_volume_backup).delete(delete_volume_backup)),
        )
        .route("/v1/volume/backup/{id}/action", only(POST, post(act_on_volume_backup)))
        .route("/v1/volume/backup/{id}/snapshot", only(LIST, get(list_snapshots).post(add_snapshot)))
        .route("/v1/volume/backup/{id}/snapshot/{snapshot}", only(DELETE, delete(remove_snapshot)))
        .route("/v1/instance/{id}/action", only(POST, post(act_on_instance)))
        .route("/v1/instance/snapshot", only(LIST, get(list_instance_snapshots).post(create_instance_snapshot)))
        .route(
            "/v1/instance/snapshot/{id}",
            only(&[Method::GET, Method::DELETE], get(show_instance_snapshot).delete(delete_instance_snapshot)),
        )
        .route("/v1/instance/backup", only(LIST, get(list_instance_backups).post(create_instance_backup)))
        .route(
            "/v1/instance/backup/{id}",
            only(ONE, get(show_instance_backup).put(change_instance_backup).delete(delete_instance_backup)),
        )
        .route("/v1/instance/backup/{id}/action", only(POST, post(act_on_instance_backup)));
    dress(router.layer(catch_panics()).layer(DefaultBodyLimit::disable()).with_state(dialect))
}

/// The answer where nothing is. For the fallback of the whole application.
pub async fn not_found() -> Response {
    Failure::not_found("Not Found").into_response()
}

pub(super) fn wrong_method(allowed: &[Method]) -> Response<Body> {
    let plain = method_not_allowed(allowed);
    let mut answer = Failure::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed").into_response();
    answer.headers_mut().extend(plain.headers().get(ALLOW).map(|value| (ALLOW, value.clone())));
    answer
}

pub(super) fn answer(answer: Answer) -> Response {
    answer.unwrap_or_else(IntoResponse::into_response)
}

/// Does something in a task that goes on when the client is gone.
async fn done<T, F>(work: F) -> Result<T, Failure>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Failure>> + Send + 'static,
{
    let ended = going_on(async move { Ok(work.await) }).await;
    ended.map_err(|error| Failure::internal(&error))?
}

/// A segment of the path; one that is no text names nothing.
fn segment(segment: Segment) -> String {
    segment.map(|Path(text)| text).unwrap_or_else(|_| "\u{fffd}".to_owned())
}

impl OpenStack {
    pub(super) async fn asked(&self, headers: &HeaderMap) -> Result<(Arc<Inner>, Arc<Caller>), Failure> {
        let caller = self.inner.caller(headers).await?;
        Ok((Arc::clone(&self.inner), Arc::new(caller)))
    }
}

impl Inner {
    /// Passes a request on that is not ours. `what` is what the original says of it without its gateway.
    pub(super) async fn pass_on(&self, caller: &Caller, service: Service, path: &str, request: Request, what: &str) -> Answer {
        let Some(forward) = &self.forward else { return Err(Failure::bad(what)) };
        let mut answer = forward.forward(caller, service, path, request).await;
        answer.extensions_mut().insert(Foreign);
        Ok(answer)
    }
}

/// What a request asks of us, or the request as if nobody had looked at it, with the name of its action.
async fn ours(request: Request, is_ours: fn(&Value) -> bool) -> Result<Result<Value, (Request, String)>, Failure> {
    let (mut parts, body) = request.into_parts();
    let bytes = match body::read(body).await? {
        Read::Whole(bytes) => bytes,
        Read::Longer(body) => return Ok(Err((Request::from_parts(parts, body), String::new()))),
    };
    let value = serde_json::from_slice::<Value>(&bytes).unwrap_or_default();
    if is_ours(&value) {
        return Ok(Ok(value));
    }
    let first = value.as_object().and_then(|object| object.keys().next().cloned());
    // The body lies in memory now, whichever way it came.
    if parts.headers.remove(TRANSFER_ENCODING).is_some() {
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    }
    Ok(Err((Request::from_parts(parts, Body::from(bytes)), first.unwrap_or_default())))
}

fn is_rollback(body: &Value) -> bool {
    body.get("rollback").is_some()
}

fn is_restore(body: &Value) -> bool {
    body.get("volume").and_then(|volume| volume.get("backup_id")).is_some_and(|backup| !backup.is_null())
}

/// The snapshot that a rollback names.
fn rollback_to(body: &Value) -> Result<String, Failure> {
    let mut fields = body::below(body, "rollback")?;
    let snapshot = fields.required("snapshot_id");
    fields.end()?;
    Ok(snapshot)
}

/// The snapshot to roll back to; for every other action the answer of the service that it goes to.
async fn rollback_or_passed_on(
    inner: &Inner,
    caller: &Caller,
    service: Service,
    path: &str,
    request: Request,
) -> Result<Result<String, Response>, Failure> {
    match ours(request, is_rollback).await? {
        Ok(body) => rollback_to(&body).map(Ok),
        Err((request, name)) => {
            let what = format!("Invalid action {}!", shown(&name));
            inner.pass_on(caller, service, path, request, &what).await.map(Err)
        }
    }
}

/// Says that the service is there, without a token.
#[utoipa::path(get, path = "/", operation_id = "active", responses((status = 200, description = "It is.", body = Refused)))]
pub(super) async fn active() -> Response {
    answered(StatusCode::OK, &json!({ "message": "Active." }))
}

/// Makes a volume from a backup; without `backup_id` the request goes to Cinder.
#[utoipa::path(
    post, path = "/v1/volume", operation_id = "create_volume", security(("token" = [])), request_body = Value,
    responses(
        (status = 201, description = "Cinder has given the volume its id; its data comes in the background.", body = VolumeId),
        (status = 422, description = "The body has a wrong shape.", body = Misshapen),
        (status = "default", description = "Refused, failed, or what Cinder says.", body = Refused),
    ),
)]
pub(super) async fn create_volume(State(dialect): Dialect, request: Request) -> Response {
    answer(volume_created(dialect, request).await)
}

async fn volume_created(dialect: OpenStack, request: Request) -> Answer {
    let (inner, caller) = dialect.asked(request.headers()).await?;
    let body = match ours(request, is_restore).await? {
        Ok(body) => body,
        Err((request, _)) => {
            return inner.pass_on(&caller, Service::Volume, "/volumes", request, "Argument backup_id is missing!").await;
        }
    };
    let order = RestoreOrder::read(body::below(&body, "volume")?)?;
    let status = inner.success_codes.accepted();
    let id = done(async move { inner.restore_volume(caller, order).await }).await?;
    Ok(answered(status, &VolumeId { volume: Id { id } }))
}

/// Rolls a volume back to one of its snapshots; every other action goes to Cinder.
#[utoipa::path(
    post, path = "/v1/volume/{id}/action", operation_id = "act_on_volume", security(("token" = [])), request_body = Value,
    params(("id" = String, Path, description = "The volume.")),
    responses(
        (status = 201, description = "It is rolled back."),
        (status = 422, description = "The body has a wrong shape.", body = Misshapen),
        (status = "default", description = "Refused, failed, or what Cinder says.", body = Refused),
    ),
)]
pub(super) async fn act_on_volume(State(dialect): Dialect, id: Segment, request: Request) -> Response {
    answer(volume_acted(dialect, segment(id), request).await)
}

async fn volume_acted(dialect: OpenStack, id: String, request: Request) -> Answer {
    let (inner, caller) = dialect.asked(request.headers()).await?;
    let id = uuid(&id).ok_or_else(|| Failure::not_found(format!("Volume {} is not found!", shown(&id))))?;
    let path = format!("/volumes/{id}/action");
    let snapshot = match rollback_or_passed_on(&inner, &caller, Service::Volume, &path, request).await? {
        Ok(snapshot) => snapshot,
        Err(answer) => return Ok(answer),
    };
    let status = inner.success_codes.done();
    done(async move { inner.rollback_volume(caller, &id, &snapshot).await }).await?;
    Ok(status.into_response())
}

/// Rolls all volumes of an instance back to an instance snapshot; every other action goes to Nova.
#[utoipa::path(
    post, path = "/v1/instance/{id}/action", operation_id = "act_on_instance", security(("token" = [])), request_body = Value,
    params(("id" = String, Path, description = "The instance.")),
    responses(
        (status = 201, description = "It is rolled back."),
        (status = 422, description = "The body has a wrong shape.", body = Misshapen),
        (status = "default", description = "Refused, failed, or what Nova says.", body = Refused),
    ),
)]
pub(super) async fn act_on_instance(State(dialect): Dialect, id: Segment, request: Request) -> Response {
    answer(instance_acted(dialect, segment(id), request).await)
}

async fn instance_acted(dialect: OpenStack, id: String, request: Request) -> Answer {
    let (inner, caller) = dialect.asked(request.headers()).await?;
    let id = uuid(&id).ok_or_else(|| Failure::not_found(format!("Instance {} is not found!", shown(&id))))?;
    let path = format!("/servers/{id}/action");
    let snapshot = match rollback_or_passed_on(&inner, &caller, Service::Compute, &path, request).await? {
        Ok(snapshot) => snapshot,
        Err(answer) => return Ok(answer),
    };
    let status = inner.success_codes.done();
    done(async move { inner.rollback_instance(caller, &id, &snapshot).await }).await?;
    Ok(status.into_response())
}

/// Lists volume backups.
#[utoipa::path(
    get, path = "/v1/volume/backup", operation_id = "list_volume_backups", security(("token" = [])),
    params(
        ("name" = Option<String>, Query, description = "Those of this name."),
        ("all_projects" = Option<bool>, Query, description = "Those of all projects; for administrators."),
        ("limit" = Option<u32>, Query, description = "So many at most, up to 1000; all without."),
        ("marker" = Option<String>, Query, description = "Those after the one with this id."),
    ),
    responses(
        (status = 200, description = "The newest first.", body = VolumeBackups),
        (status = 422, description = "The query has a wrong shape.", body = Misshapen),
        (status = "default", description = "Refused or failed.", body = Refused),
    ),
)]
pub(super) async fn list_volume_backups(State(dialect): Dialect, request: Request) -> Response {
    let listed = async move {
        let (inner, caller) = dialect.asked(request.headers()).await?;
        let found = inner.list::<VolumeBackup>(&caller, &Query::read(request.uri())?).await?;
        Ok(answered(StatusCode::OK, &VolumeBackups { backups: found.into_iter().map(convert::volume_backup).collect() }))
    };
    answer(listed.await)
}

/// Shows a volume backup.
#[utoipa::path(
    get, path = "/v1/volume/backup/{id}", operation_id = "show_volume_backup", security(("token" = [])),
    params(("id" = String, Path, description = "The backup.")),
    responses(
        (status = 200, description = "It.", body = OneVolumeBackup),
        (status = "default", description = "Refused or failed.", body = Refused),
    ),
)]
pub(super) async fn show_volume_backup(State(dialect): Dialect, id: Segment, request: Request) -> Response {
    let shown = async move {
        let (inner, caller) = dialect.asked(request.headers()).await?;
        let record = inner.visible::<VolumeBackup>(&caller, &segment(id)).await?;
        Ok(answered(StatusCode::OK, &OneVolumeBackup { backup: convert::volume_backup(record) }))
    };
    answer(shown.await)
}

/// Makes a volume backup, in the background.
#[utoipa::path(
    post, path = "/v1/volume/backup", operation_id = "create_volume_backup", security(("token" = [])), request_body = Value,
    responses(
        (status = 201, description = "It is taken on.", body = BackupId),
        (status = 422, description = "The body has a wrong shape.", body = Misshapen),
        (status = "default", description = "Refused or failed.", body = Refused),
    ),
)]
pub(super) async fn create_volume_backup(State(dialect): Dialect, request: Request) -> Response {
    let created = async move {
        let (inner, caller) = dialect.asked(request.headers()).await?;
        let order = Order::read(body::object(request, "backup").await?)?;
        let status = inner.success_codes.accepted();
        let id = done(async move { inner.create_volume_backup(caller, order).await }).await?;
        Ok(answered(status, &BackupId { backup: Id { id } }))
    };
    answer(created.await)
}

/// Moves an incremental volume backup on to the present of its volume, in the background.
#[utoipa::path(
    post, path = "/v1/volume/backup/{id}/action", operation_id = "act_on_volume_backup", security(("token" = [])), request_body = Value,
    params(("id" = String, Path, description = "The backup.")),
    responses(
        (status = 201, description = "It is taken on."),
        (status = 422, description = "The body has a wrong shape.", body = Misshapen),
        (status = "default", description = "Refused or failed.", body = Refused),
    ),
)]
pub(super) async fn act_on_volume_backup(State(dialect): Dialect, id: Segment, request: Request) -> Response {
    let acted = async move {
        let (inner, caller) = dialect.asked(request.headers()).await?;
        // What it holds is ignored.
        let _ = body::object(request, "update").await?;
        let (status, id) = (inner.success_codes.accepted(), segment(id));
        done(async move { inner.update_volume_backup(caller, &id).await }).await?;
        Ok(status.into_response())
    };
    answer(acted.await)
}

/// Changes a volume backup: `name` and `retention`; for administrators `status`, `snapshot_id`, `project_id`, `source_zone` too.
#[utoipa::path(
    put, path = "/v1/volume/backup/{id}", operation_id = "change_volume_backup", security(("token" = [])), request_body = Value,
    params(("id" = String, Path, description = "The backup.")),
    responses(
        (status = 200, description = "It is changed.", body = BackupId),
        (status = 422, description = "The body has a wrong shape.", body = Misshapen),
        (status = "default", description = "Refused or failed.", body = Refused),
    ),
)]
pub(super) async fn change_volume_backup(State(dialect): Dialect, id: Segment, request: Request) -> Response {
    let changed = async move {
        let (inner, caller) = dialect.asked(request.headers()).await?;
        let change = Change::read(body::object(request, "backup").await?)?;
        let id = segment(id);
        let id = done(async move { inner.change_volume_backup(&caller, &id, change).await }).await?;
        Ok(answered(StatusCode::OK, &BackupId { backup: Id { id } }))
    };
    answer(changed.await)
}

/// Removes a volume backup with its chain, in the background.
#[utoipa::path(
    delete, path = "/v1/volume/backup/{id}", operation_id = "delete_volume_backup", security(("token" = [])),
    params(("id" = String, Path, description = "The backup.")),
    responses(
        (status = 201, description = "It is taken on.", body = BackupId),
        (status = "default", description = "Refused or failed.", body = Refused),
    ),
)]
pub(super) async fn delete_volume_backup(State(dialect): Dialect, id: Segment, request: Request) -> Response {
    let deleted = async move {
        let (inner, caller) = dialect.asked(request.headers()).await?;
        let record = inner.visible::<VolumeBackup>(&caller, &segment(id)).await?;
        let (status, id) = (inner.success_codes.accepted(), record.id.clone());
        done(async move { inner.delete_volume_backup(&record).await.map(drop) }).await?;
        Ok(answered(status, &BackupId { backup: Id { id } }))
    };
    answer(deleted.await)
}

/// Lists the snapshots that belong to a volume backup.
#[utoipa::path(
    get, path = "/v1/volume/backup/{id}/snapshot", operation_id = "list_snapshots", security(("token" = [])),
    params(("id" = String, Path, description = "The backup.")),
    responses(
        (status = 200, description = "They.", body = BackupSnapshots),
        (status = "default", description = "Refused or failed.", body = Refused),
    ),
)]
pub(super) async fn list_snapshots(State(dialect): Dialect, id: Segment, request: Request) -> Response {
    let listed = async move {
        let (inner, caller) = dialect.asked(request.headers()).await?;
        let record = inner.visible::<VolumeBackup>(&caller, &segment(id)).await?;
        Ok(answered(StatusCode::OK, &BackupSnapshots { snapshots: convert::snapshots(record) }))
    };
    answer(listed.await)
}

/// Adds a snapshot to those of a volume backup.
#[utoipa::path(
    post, path = "/v1/volume/backup/{id}/snapshot", operation_id = "add_snapshot", security(("token" = [])), request_body = Value,
    params(("id" = String, Path, description = "The backup.")),
    responses(
        (status = 200, description = "It is added.", body = SnapshotId),
        (status = 422, description = "The body has a wrong shape.", body = Misshapen),
        (status = "default", description = "Refused or failed.", body = Refused),
    ),
)]
pub(super) async fn add_snapshot(State(dialect): Dialect, id: Segment, request: Request) -> Response {
    let added = async move {
        let (inner, caller) = dialect.asked(request.headers()).await?;
        let fields = body::object(request, "snapshot").await?;
        let id = inner.add_snapshot(&caller, &segment(id), fields).await?;
        Ok(answered(StatusCode::OK, &SnapshotId { snapshot: Id { id } }))
    };
    answer(added.await)
}

/// Takes a snapshot from those of a volume backup.
#[utoipa::path(
    delete, path = "/v1/volume/backup/{id}/snapshot/{snapshot}", operation_id = "remove_snapshot", security(("token" = [])),
    params(("id" = String, Path, description = "The backup."), ("snapshot" = String, Path, description = "The snapshot.")),
    responses(
        (status = 200, description = "It is taken away.", body = SnapshotId),
        (status = "default", description = "Refused or failed.", body = Refused),
    ),
)]
pub(super) async fn remove_snapshot(
    State(dialect): Dialect,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response {
    let removed = async move {
        let (inner, caller) = dialect.asked(request.headers()).await?;
        let Path((id, snapshot)) = path.map_err(|_| Failure::not_found("Not Found"))?;
        inner.remove_snapshot(&caller, &id, &snapshot).await?;
        Ok(answered(StatusCode::OK, &SnapshotId { snapshot: Id { id: snapshot } }))
    };
    answer(removed.await)
}

/// Lists instance snapshots.
#[utoipa::path(
    get, path = "/v1/instance/snapshot", operation_id = "list_instance_snapshots", security(("token" = [])),
    params(
        ("name" = Option<String>, Query, description = "Those of this name."),
        ("all_projects" = Option<bool>, Query, description = "Those of all projects; for administrators."),
        ("limit" = Option<u32>, Query, description = "So many at most, up to 1000; all without."),
        ("marker" = Option<String>, Query, description = "Those after the one with this id."),
    ),
    responses(
        (status = 200, description = "The newest first.", body = InstanceSnapshots),
        (status = 422, description = "The query has a wrong shape.", body = Misshapen),
        (status = "default", description = "Refused or failed.", body = Refused),
    ),
)]
pub(super) async fn list_instance_snapshots(State(dialect): Dialect, request: Request) -> Response {
    let listed = async move {
        let (inner, caller) = dialect.asked(request.headers()).await?;
        let found = inner.list::<InstanceSnapshot>(&caller, &Query::read(request.uri())?).await?;
        let snapshots = found.into_iter().map(|record| convert::instance_snapshot(record, false)).collect();
        Ok(answered(StatusCode::OK, &InstanceSnapshots { snapshots }))
    };
    answer(listed.await)
}

/// Shows an instance snapshot with its members.
#[utoipa::path(
    get, path = "/v1/instance/snapshot/{id}", operation_id = "show_instance_snapshot", security(("token" = [])),
    params(("id" = String, Path, description = "The snapshot.")),
    responses(
        (status = 200, description = "It.", body = OneInstanceSnapshot),
        (status = "default", description = "Refused or failed.", body = Refused),
    ),
)]
pub(super) async fn show_instance_snapshot(State(dialect): Dialect, id: Segment, request: Request) -> Response {
    let shown = async move {
        let (inner, caller) = dialect.asked(request.headers()).await?;
        let record = inner.visible::<InstanceSnapshot>(&caller, &segment(id)).await?;
        Ok(answered(StatusCode::OK, &OneInstanceSnapshot { snapshot: convert::instance_snapshot(record, true) }))
    };
    answer(shown.await)
}

/// Makes a snapshot of all volumes of an instance, in the background.
#[utoipa::path(
    post, path = "/v1/instance/snapshot", operation_id = "create_instance_snapshot", security(("token" = [])), request_body = Value,
    responses(
        (status = 201, description = "It is taken on.", body = SnapshotId),
        (status = 422, description = "The body has a wrong shape.", body = Misshapen),
        (status = "default", description = "Refused or failed.", body = Refused),
    ),
)]
pub(super) async fn create_instance_snapshot(State(dialect): Dialect, request: Request) -> Response {
    let created = async move {
        let (inner, caller) = dialect.asked(request.headers()).await?;
        let order = InstanceSnapshotOrder::read(body::object(request, "snapshot").await?)?;
        let status = inner.success_codes.accepted();
        let id = done(async move { inner.create_instance_snapshot(caller, order).await }).await?;
        Ok(answered(status, &SnapshotId { snapshot: Id { id } }))
    };
    answer(created.await)
}

/// Removes an instance snapshot with its members, in the background.
#[utoipa::path(
    delete, path = "/v1/instance/snapshot/{id}", operation_id = "delete_instance_snapshot", security(("token" = [])),
    params(("id" = String, Path, description = "The snapshot.")),
    responses(
        (status = 201, description = "It is taken on.", body = SnapshotId),
        (status = "default", description = "Refused or failed.", body = Refused),
    ),
)]
pub(super) async fn delete_instance_snapshot(State(dialect): Dialect, id: Segment, request: Request) -> Response {
    let deleted = async move {
        let (inner, caller) = dialect.asked(request.headers()).await?;
        let record = inner.visible::<InstanceSnapshot>(&caller, &segment(id)).await?;
        let (status, id) = (inner.success_codes.accepted(), record.id.clone());
        done(async move { inner.delete_instance_snapshot(&record).await }).await?;
        Ok(answered(status, &SnapshotId { snapshot: Id { id } }))
    };
    answer(deleted.await)
}

/// Lists instance backups.
#[utoipa::path(
    get, path = "/v1/instance/backup", operation_id = "list_instance_backups", security(("token" = [])),
    params(
        ("name" = Option<String>, Query, description = "Those of this name."),
        ("all_projects" = Option<bool>, Query, description = "Those of all projects; for administrators."),
        ("limit" = Option<u32>, Query, description = "So many at most, up to 1000; all without."),
        ("marker" = Option<String>, Query, description = "Those after the one with this id."),
    ),
    responses(
        (status = 200, description = "The newest first.", body = InstanceBackups),
        (status = 422, description = "The query has a wrong shape.", body = Misshapen),
        (status = "default", description = "Refused or failed.", body = Refused),
    ),
)]
pub(super) async fn list_instance_backups(State(dialect): Dialect, request: Request) -> Response {
    let listed = async move {
        let (inner, caller) = dialect.asked(request.headers()).await?;
        let found = inner.list::<InstanceBackup>(&caller, &Query::read(request.uri())?).await?;
        let backups = found.into_iter().map(|record| convert::instance_backup(record, false)).collect();
        Ok(answered(StatusCode::OK, &InstanceBackups { backups }))
    };
    answer(listed.await)
}

/// Shows an instance backup with its members.
#[utoipa::path(
    get, path = "/v1/instance/backup/{id}", operation_id = "show_instance_backup", security(("token" = [])),
    params(("id" = String, Path, description = "The backup.")),
    responses(
        (status = 200, description = "It.", body = OneInstanceBackup),
        (status = "default", description = "Refused or failed.", body = Refused),
    ),
)]
pub(super) async fn show_instance_backup(State(dialect): Dialect, id: Segment, request: Request) -> Response {
    let shown = async move {
        let (inner, caller) = dialect.asked(request.headers()).await?;
        let record = inner.visible::<InstanceBackup>(&caller, &segment(id)).await?;
        Ok(answered(StatusCode::OK, &OneInstanceBackup { backup: convert::instance_backup(record, true) }))
    };
    answer(shown.await)
}

/// Makes a backup of all volumes of an instance, in the background.
#[utoipa::path(
    post, path = "/v1/instance/backup", operation_id = "create_instance_backup", security(("token" = [])), request_body = Value,
    responses(
        (status = 201, description = "It is taken on.", body = BackupId),
        (status = 422, description = "The body has a wrong shape.", body = Misshapen),
        (status = "default", description = "Refused or failed.", body = Refused),
    ),
)]
pub(super) async fn create_instance_backup(State(dialect): Dialect, request: Request) -> Response {
    let created = async move {
        let (inner, caller) = dialect.asked(request.headers()).await?;
        let order = BackupOrder::read(body::object(request, "backup").await?)?;
        let status = inner.success_codes.accepted();
        let id = done(async move { inner.create_instance_backup(caller, order).await }).await?;
        Ok(answered(status, &BackupId { backup: Id { id } }))
    };
    answer(created.await)
}

/// Moves all members of an incremental instance backup on, in the background; or makes volumes from its members.
#[utoipa::path(
    post, path = "/v1/instance/backup/{id}/action", operation_id = "act_on_instance_backup", security(("token" = [])), request_body = Value,
    params(("id" = String, Path, description = "The backup.")),
    responses(
        (status = 201, description = "It is taken on. A restore answers with the volumes."),
        (status = 422, description = "The body has a wrong shape.", body = Misshapen),
        (status = "default", description = "Refused or failed.", body = Refused),
    ),
)]
pub(super) async fn act_on_instance_backup(State(dialect): Dialect, id: Segment, request: Request) -> Response {
    answer(instance_backup_acted(dialect, segment(id), request).await)
}

async fn instance_backup_acted(dialect: OpenStack, id: String, request: Request) -> Answer {
    let (inner, caller) = dialect.asked(request.headers()).await?;
    let body = body::value(request).await?;
    let status = inner.success_codes.accepted();
    if body.get("restore").is_some() {
        let wanted = RestoreMembers::read(body::below(&body, "restore")?)?;
        let volumes = done(async move { inner.restore_instance_backup(caller, &id, wanted).await }).await?;
        let volumes = volumes.into_iter().map(|id| Id { id }).collect();
        return Ok(answered(status, &VolumeIds { volumes }));
    }
    let _ = body::below(&body, "update")?;
    done(async move { inner.update_instance_backup(caller, &id).await }).await?;
    Ok(status.into_response())
}

/// Changes an instance backup, as that of a volume.
#[utoipa::path(
    put, path = "/v1/instance/backup/{id}", operation_id = "change_instance_backup", security(("token" = [])), request_body = Value,
    params(("id" = String, Path, description = "The backup.")),
    responses(
        (status = 200, description = "It is changed.", body = BackupId),
        (status = 422, description = "The body has a wrong shape.", body = Misshapen),
        (status = "default", description = "Refused or failed.", body = Refused),
    ),
)]
pub(super) async fn change_instance_backup(State(dialect): Dialect, id: Segment, request: Request) -> Response {
    let changed = async move {
        let (inner, caller) = dialect.asked(request.headers()).await?;
        let change = Change::read(body::object(request, "backup").await?)?;
        let id = segment(id);
        let id = done(async move { inner.change_instance_backup(&caller, &id, change).await }).await?;
        Ok(answered(StatusCode::OK, &BackupId { backup: Id { id } }))
    };
    answer(changed.await)
}

/// Removes an instance backup with its members, in the background.
#[utoipa::path(
    delete, path = "/v1/instance/backup/{id}", operation_id = "delete_instance_backup", security(("token" = [])),
    params(("id" = String, Path, description = "The backup.")),
    responses(
        (status = 201, description = "It is taken on.", body = BackupId),
        (status = "default", description = "Refused or failed.", body = Refused),
    ),
)]
pub(super) async fn delete_instance_backup(State(dialect): Dialect, id: Segment, request: Request) -> Response {
    let deleted = async move {
        let (inner, caller) = dialect.asked(request.headers()).await?;
        let record = inner.visible::<InstanceBackup>(&caller, &segment(id)).await?;
        let (status, id) = (inner.success_codes.accepted(), record.id.clone());
        done(async move { inner.delete_instance_backup(&record).await }).await?;
        Ok(answered(status, &BackupId { backup: Id { id } }))
    };
    answer(deleted.await)
}
