//! The routes: who asks, what for, and the answer.

pub(super) mod instance_backups;
pub(super) mod instance_snapshots;
pub(super) mod volume_backups;
pub(super) mod volumes;

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
use super::convert::json as answered;
use super::dress::{Foreign, dress};
use super::dto::Refused;
use super::errors::{Failure, shown};
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
        .route("/v1/volume", only(POST, post(volumes::create)))
        .route("/v1/volume/{id}/action", only(POST, post(volumes::act)))
        .route("/v1/volume/backup", only(LIST, get(volume_backups::list).post(volume_backups::create)))
        .route(
            "/v1/volume/backup/{id}",
            only(ONE, get(volume_backups::show).put(volume_backups::change).delete(volume_backups::delete)),
        )
        .route("/v1/volume/backup/{id}/action", only(POST, post(volume_backups::act)))
        .route(
            "/v1/volume/backup/{id}/snapshot",
            only(LIST, get(volume_backups::list_snapshots).post(volume_backups::add_snapshot)),
        )
        .route("/v1/volume/backup/{id}/snapshot/{snapshot}", only(DELETE, delete(volume_backups::remove_snapshot)))
        .route("/v1/instance/{id}/action", only(POST, post(instance_snapshots::act_on_instance)))
        .route("/v1/instance/snapshot", only(LIST, get(instance_snapshots::list).post(instance_snapshots::create)))
        .route(
            "/v1/instance/snapshot/{id}",
            only(&[Method::GET, Method::DELETE], get(instance_snapshots::show).delete(instance_snapshots::delete)),
        )
        .route("/v1/instance/backup", only(LIST, get(instance_backups::list).post(instance_backups::create)))
        .route(
            "/v1/instance/backup/{id}",
            only(ONE, get(instance_backups::show).put(instance_backups::change).delete(instance_backups::delete)),
        )
        .route("/v1/instance/backup/{id}/action", only(POST, post(instance_backups::act)));
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
