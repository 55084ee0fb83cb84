//! Volume backups.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{Dialect, Segment, answer, done, segment};
use crate::openstack::body;
use crate::openstack::convert::{self, json as answered};
use crate::openstack::dto::{BackupId, BackupSnapshots, Id, Misshapen, OneVolumeBackup, Refused, SnapshotId, VolumeBackups};
use crate::openstack::errors::Failure;
use crate::openstack::list::Query;
use crate::openstack::record::VolumeBackup;
use crate::openstack::volume_backups::{Change, Order};

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
pub(in crate::openstack) async fn list(State(dialect): Dialect, request: Request) -> Response {
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
pub(in crate::openstack) async fn show(State(dialect): Dialect, id: Segment, request: Request) -> Response {
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
pub(in crate::openstack) async fn create(State(dialect): Dialect, request: Request) -> Response {
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
pub(in crate::openstack) async fn act(State(dialect): Dialect, id: Segment, request: Request) -> Response {
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
pub(in crate::openstack) async fn change(State(dialect): Dialect, id: Segment, request: Request) -> Response {
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
pub(in crate::openstack) async fn delete(State(dialect): Dialect, id: Segment, request: Request) -> Response {
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
pub(in crate::openstack) async fn list_snapshots(State(dialect): Dialect, id: Segment, request: Request) -> Response {
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
pub(in crate::openstack) async fn add_snapshot(State(dialect): Dialect, id: Segment, request: Request) -> Response {
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
pub(in crate::openstack) async fn remove_snapshot(
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
