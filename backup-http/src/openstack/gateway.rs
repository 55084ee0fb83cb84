//! The gateway: block storage and compute under one address, of which a part is ours and the rest goes to Cinder and Nova.
//!
//! | path | goes to |
//! |---|---|
//! | `/v1/block/snapshot[/detail\|/{id}]` | Cinder `/snapshots…` |
//! | `/v1/block/volume[/detail\|/{id}[/metadata[/{key}]]]` | Cinder `/volumes…` |
//! | `POST /v1/block/volume`, `POST /v1/block/volume/{id}/action` | ours, `/v1/volume…`, and from there to Cinder what is not ours |
//! | `/v1/block/backup…` | ours, `/v1/volume/backup…` |
//! | `/v1/compute/snapshot…`, `/v1/compute/backup…` | ours, `/v1/instance/…` |
//! | `POST /v1/compute/instance/{id}/action` | ours, `/v1/instance/{id}/action`, and from there to Nova what is not ours |
//!
//! `volumes`, `snapshots` and `servers` are taken for `volume`, `snapshot` and `instance`, as the clients of Cinder and Nova write them.

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{Method, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post};
use tower::ServiceExt;

use super::cloud::Service;
use super::errors::Failure;
use super::id::uuid;
use super::routes::{answer, router, wrong_method};
use super::{OpenStack, dress};
use crate::fallback::{catch_panics, exactly_or};

/// Which paths are whose, beginning with the longest.
const OURS: [(&str, &str); 7] = [
    ("/v1/compute/instance", "/v1/instance"),
    ("/v1/compute/servers", "/v1/instance"),
    ("/v1/compute/snapshot", "/v1/instance/snapshot"),
    ("/v1/compute/backup", "/v1/instance/backup"),
    ("/v1/block/backup", "/v1/volume/backup"),
    ("/v1/block/volumes", "/v1/volume"),
    ("/v1/block/volume", "/v1/volume"),
];

#[derive(Debug, Clone)]
struct Gateway {
    dialect: OpenStack,
    ours: Router,
}

type Segment = Result<Path<String>, PathRejection>;

/// The routes of the gateway, to be merged with the dialect's own; [`dress`](dress::dress()) goes around both.
///
/// # Behavior
/// A token is asked for as everywhere. What goes to Cinder goes through the dialect's [`Forward`](super::Forward), and is refused with 400
/// without one. Nothing of a path becomes part of another one but UUIDs, and keys of metadata that are plain text.
pub fn gateway(dialect: OpenStack) -> Router {
    const GET: &[Method] = &[Method::GET];
    const POST: &[Method] = &[Method::POST];
    const LIST: &[Method] = &[Method::GET, Method::POST];
    const ONE: &[Method] = &[Method::GET, Method::PUT, Method::DELETE];
    const METADATA: &[Method] = &[Method::GET, Method::POST, Method::PUT];
    let only = |methods: &'static [Method], routes: MethodRouter<Gateway>| exactly_or(methods, routes, wrong_method);
    let mut routes = Router::new();
    for volume in ["/v1/block/volume", "/v1/block/volumes"] {
        routes = routes
            .route(volume, only(LIST, get(volumes).post(ours)))
            .route(&format!("{volume}/detail"), only(GET, get(volumes_in_detail)))
            .route(&format!("{volume}/{{id}}"), only(ONE, get(self::volume).put(self::volume).delete(self::volume)))
            .route(&format!("{volume}/{{id}}/action"), only(POST, post(ours)))
            .route(&format!("{volume}/{{id}}/metadata"), only(METADATA, get(metadata).post(metadata).put(metadata)))
            .route(&format!("{volume}/{{id}}/metadata/{{key}}"), only(ONE, get(member).put(member).delete(member)));
    }
    for snapshot in ["/v1/block/snapshot", "/v1/block/snapshots"] {
        routes = routes
            .route(snapshot, only(LIST, get(snapshots).post(snapshots)))
            .route(&format!("{snapshot}/detail"), only(GET, get(snapshots_in_detail)))
            .route(&format!("{snapshot}/{{id}}"), only(ONE, get(self::snapshot).put(self::snapshot).delete(self::snapshot)));
    }
    for all in ["/v1/block/backup", "/v1/compute/snapshot", "/v1/compute/backup"] {
        routes = routes.route(all, any(ours)).route(&format!("{all}/{{*rest}}"), any(ours));
    }
    for instance in ["/v1/compute/instance", "/v1/compute/servers"] {
        routes = routes.route(&format!("{instance}/{{id}}/action"), only(POST, post(ours)));
    }
    let gateway = Gateway { ours: router(dialect.clone()), dialect };
    dress::dress(routes.layer(catch_panics()).layer(DefaultBodyLimit::disable()).with_state(gateway))
}

/// Gives a request to our own route.
async fn ours(State(gateway): State<Gateway>, mut request: Request) -> Response {
    let Some(uri) = rewritten(request.uri()) else { return Failure::not_found("Not Found").into_response() };
    *request.uri_mut() = uri;
    // Those of the path that was matched are in the way of those of ours.
    request.extensions_mut().clear();
    match gateway.ours.oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    }
}

/// The same request by the name that it has with us.
fn rewritten(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let (from, to) =
        OURS.iter().find(|(from, _)| path.strip_prefix(from).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))?;
    let rest = path.strip_prefix(from).unwrap_or_default();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{to}{rest}{query}").parse().ok()
}

impl Gateway {
    async fn cinder(self, path: Option<String>, request: Request) -> Response {
        let forwarded = async {
            let (inner, caller) = self.dialect.asked(request.headers()).await?;
            let path = path.ok_or_else(|| Failure::not_found("Not Found"))?;
            inner.pass_on(&caller, Service::Volume, &path, request, "Nothing is forwarded here!").await
        };
        answer(forwarded.await)
    }
}

async fn volumes(State(gateway): State<Gateway>, request: Request) -> Response {
    gateway.cinder(Some("/volumes".to_owned()), request).await
}

async fn volumes_in_detail(State(gateway): State<Gateway>, request: Request) -> Response {
    gateway.cinder(Some("/volumes/detail".to_owned()), request).await
}

async fn volume(State(gateway): State<Gateway>, id: Segment, request: Request) -> Response {
    gateway.cinder(checked(id).map(|id| format!("/volumes/{id}")), request).await
}

async fn metadata(State(gateway): State<Gateway>, id: Segment, request: Request) -> Response {
    gateway.cinder(checked(id).map(|id| format!("/volumes/{id}/metadata")), request).await
}

async fn member(
    State(gateway): State<Gateway>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response {
    let path = path.ok().and_then(|Path((id, key))| {
        let plain =
            (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_:.".contains(&byte));
        let dots = key.bytes().all(|byte| byte == b'.');
        (plain && !dots).then_some(()).and_then(|()| Some(format!("/volumes/{}/metadata/{key}", uuid(&id)?)))
    });
    gateway.cinder(path, request).await
}

async fn snapshots(State(gateway): State<Gateway>, request: Request) -> Response {
    gateway.cinder(Some("/snapshots".to_owned()), request).await
}

async fn snapshots_in_detail(State(gateway): State<Gateway>, request: Request) -> Response {
    gateway.cinder(Some("/snapshots/detail".to_owned()), request).await
}

async fn snapshot(State(gateway): State<Gateway>, id: Segment, request: Request) -> Response {
    gateway.cinder(checked(id).map(|id| format!("/snapshots/{id}")), request).await
}

fn checked(id: Segment) -> Option<String> {
    id.ok().and_then(|Path(id)| uuid(&id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(path: &str) -> Option<String> {
        rewritten(&path.parse().unwrap()).map(|uri| uri.to_string())
    }

    #[test]
    fn what_is_ours_has_another_name_and_keeps_its_rest() {
        for (path, name) in [
            ("/v1/block/backup", "/v1/volume/backup"),
            ("/v1/block/backup?name=a%20b&all_projects=1", "/v1/volume/backup?name=a%20b&all_projects=1"),
            ("/v1/block/backup/x/snapshot/y", "/v1/volume/backup/x/snapshot/y"),
            ("/v1/block/volume", "/v1/volume"),
            ("/v1/block/volumes", "/v1/volume"),
            ("/v1/block/volume/x/action", "/v1/volume/x/action"),
            ("/v1/block/volumes/x/action", "/v1/volume/x/action"),
            ("/v1/compute/snapshot/x", "/v1/instance/snapshot/x"),
            ("/v1/compute/backup/x/action", "/v1/instance/backup/x/action"),
            ("/v1/compute/instance/x/action", "/v1/instance/x/action"),
            ("/v1/compute/servers/x/action", "/v1/instance/x/action"),
        ] {
            assert_eq!(ours(path).as_deref(), Some(name));
        }
        for path in ["/v1/block/backups", "/v1/block/types", "/v1/compute", "/v1/volume/backup", "/v2/block/backup"] {
            assert_eq!(ours(path), None, "{path}");
        }
    }
}
