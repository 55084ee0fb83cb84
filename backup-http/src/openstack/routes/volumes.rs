//! Volumes: made from backups, rolled back.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};

use super::{Answer, Dialect, Segment, answer, done, is_restore, ours, rollback_or_passed_on, segment};
use crate::openstack::cloud::Service;
use crate::openstack::convert::json as answered;
use crate::openstack::dto::{Id, Misshapen, VolumeId};
use crate::openstack::errors::{Failure, shown};
use crate::openstack::id::uuid;
use crate::openstack::volumes::RestoreOrder;
use crate::openstack::{OpenStack, body};

/// Makes a volume from a backup; without `backup_id` the request goes to Cinder.
#[utoipa::path(
    post, path = "/v1/volume", operation_id = "create_volume", security(("token" = [])), request_body = Value,
    responses(
        (status = 201, description = "Cinder has given the volume its id; its data comes in the background.", body = VolumeId),
        (status = 422, description = "The body has a wrong shape.", body = Misshapen),
        (status = "default", description = "Refused or failed, as everywhere; of what is passed on, what Cinder says.", body = Value),
    ),
)]
pub(in crate::openstack) async fn create(State(dialect): Dialect, request: Request) -> Response {
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
        (status = "default", description = "Refused or failed, as everywhere; of what is passed on, what Cinder says.", body = Value),
    ),
)]
pub(in crate::openstack) async fn act(State(dialect): Dialect, id: Segment, request: Request) -> Response {
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
