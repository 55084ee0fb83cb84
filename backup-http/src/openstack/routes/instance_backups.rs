//! Instance backups.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{Answer, Dialect, Segment, answer, done, segment};
use crate::openstack::convert::{self, json as answered};
use crate::openstack::dto::{BackupId, Id, InstanceBackups, Misshapen, OneInstanceBackup, Refused, VolumeIds};
use crate::openstack::instances::{BackupOrder, RestoreMembers};
use crate::openstack::list::Query;
use crate::openstack::record::InstanceBackup;
use crate::openstack::volume_backups::Change;
use crate::openstack::{OpenStack, body};

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
pub(in crate::openstack) async fn list(State(dialect): Dialect, request: Request) -> Response {
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
pub(in crate::openstack) async fn show(State(dialect): Dialect, id: Segment, request: Request) -> Response {
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
pub(in crate::openstack) async fn create(State(dialect): Dialect, request: Request) -> Response {
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
        (status = 201, description = "It is taken on. A restore answers with the volumes, an update with nothing.", body = Option<VolumeIds>),
        (status = 422, description = "The body has a wrong shape.", body = Misshapen),
        (status = "default", description = "Refused or failed.", body = Refused),
    ),
)]
pub(in crate::openstack) async fn act(State(dialect): Dialect, id: Segment, request: Request) -> Response {
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
pub(in crate::openstack) async fn change(State(dialect): Dialect, id: Segment, request: Request) -> Response {
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
pub(in crate::openstack) async fn delete(State(dialect): Dialect, id: Segment, request: Request) -> Response {
    let deleted = async move {
        let (inner, caller) = dialect.asked(request.headers()).await?;
        let record = inner.visible::<InstanceBackup>(&caller, &segment(id)).await?;
        let (status, id) = (inner.success_codes.accepted(), record.id.clone());
        done(async move { inner.delete_instance_backup(&record).await }).await?;
        Ok(answered(status, &BackupId { backup: Id { id } }))
    };
    answer(deleted.await)
}
