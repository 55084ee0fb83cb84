//! Instance snapshots, and the rollback to them.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{Answer, Dialect, Segment, answer, done, rollback_or_passed_on, segment};
use crate::openstack::cloud::Service;
use crate::openstack::convert::{self, json as answered};
use crate::openstack::dto::{Id, InstanceSnapshots, Misshapen, OneInstanceSnapshot, Refused, SnapshotId};
use crate::openstack::errors::{Failure, shown};
use crate::openstack::id::uuid;
use crate::openstack::instances::InstanceSnapshotOrder;
use crate::openstack::list::Query;
use crate::openstack::record::InstanceSnapshot;
use crate::openstack::{OpenStack, body};

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
pub(in crate::openstack) async fn list(State(dialect): Dialect, request: Request) -> Response {
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
pub(in crate::openstack) async fn show(State(dialect): Dialect, id: Segment, request: Request) -> Response {
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
pub(in crate::openstack) async fn create(State(dialect): Dialect, request: Request) -> Response {
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
pub(in crate::openstack) async fn delete(State(dialect): Dialect, id: Segment, request: Request) -> Response {
    let deleted = async move {
        let (inner, caller) = dialect.asked(request.headers()).await?;
        let record = inner.visible::<InstanceSnapshot>(&caller, &segment(id)).await?;
        let (status, id) = (inner.success_codes.accepted(), record.id.clone());
        done(async move { inner.delete_instance_snapshot(&record).await }).await?;
        Ok(answered(status, &SnapshotId { snapshot: Id { id } }))
    };
    answer(deleted.await)
}

/// Rolls all volumes of an instance back to an instance snapshot; every other action goes to Nova.
#[utoipa::path(
    post, path = "/v1/instance/{id}/action", operation_id = "act_on_instance", security(("token" = [])), request_body = Value,
    params(("id" = String, Path, description = "The instance.")),
    responses(
        (status = 201, description = "It is rolled back."),
        (status = 422, description = "The body has a wrong shape.", body = Misshapen),
        (status = "default", description = "Refused or failed, as everywhere; of what is passed on, what Nova says.", body = Value),
    ),
)]
pub(in crate::openstack) async fn act_on_instance(State(dialect): Dialect, id: Segment, request: Request) -> Response {
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
