//! The routes: parse, ask, render.

use std::sync::Arc;

use axum::Router;
use axum::body::Body as AxumBody;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query as UrlQuery, Request, State};
use axum::http::header::{ALLOW, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};
use backup_core::Bytes;
use serde::de::DeserializeOwned;

use super::dto::{
    Accepted, BackupName, BackupOrder, Empty, Envelope, Records, Restoring, StrategyAnswer, StrategyOrder, StrategyShown,
    WorkflowAnswer,
};
use super::errors::{Failure, PARAMETER, QUERY_FAILED, UNRECOGNIZED, WORKFLOW_QUERY};
use super::id::RecordId;
use super::jobs::Order;
use super::query::{Query, decode};
use super::record::{BackupType, Mode};
use super::strategy::Strategy;
use super::{Inner, TidbBackup, convert, dress};
use crate::fallback::{catch_panics, exactly_or, method_not_allowed};
use crate::untended::going_on;

type Dialect = State<TidbBackup>;
type Body = Result<Bytes, BytesRejection>;
type Segment = Result<Path<String>, PathRejection>;
type Pairs = Result<UrlQuery<Vec<(String, String)>>, QueryRejection>;
type Answer = Result<Response, Failure>;

/// The routes of the dialect, each with and without a slash at its end, which ask for a token themselves. Without a fallback: an app sets
/// [`not_found`], and goes into [`dress`](super::dress()) with all of its layers.
///
/// # Behavior
/// What was begun goes on when its client is gone. Another method than the documented ones is 405 with `Allow`, without asking for a token.
/// How long a body may be is for the caller to limit ([`RequestLimits`](crate::limits::RequestLimits)).
pub fn router(dialect: TidbBackup) -> Router {
    const GET: &[Method] = &[Method::GET];
    const POST: &[Method] = &[Method::POST];
    let only = |methods: &'static [Method], routes: MethodRouter<TidbBackup>| {
        exactly_or(methods, routes.layer(from_fn_with_state(dialect.clone(), authorized)), wrong_method)
    };
    let strategies = get(strategy).post(save_strategy).put(put_strategy);
    let routes: [(&str, MethodRouter<TidbBackup>); 6] = [
        ("/api/v1/clusters/{clusterId}/strategy", only(&[Method::GET, Method::POST, Method::PUT], strategies)),
        ("/api/v1/clusters/restore", only(POST, post(restore))),
        ("/api/v1/backups", only(&[Method::GET, Method::POST], get(list).post(back_up))),
        ("/api/v1/backups/cancel", only(POST, post(cancel))),
        ("/api/v1/backups/{backupId}", only(&[Method::DELETE], delete(remove))),
        ("/api/v1/workflow/{workFlowId}", only(GET, get(workflow))),
    ];
    let router = routes
        .into_iter()
        .fold(Router::new(), |router, (path, routes)| router.route(path, routes.clone()).route(&format!("{path}/"), routes));
    dress(router.layer(catch_panics()).layer(DefaultBodyLimit::disable()).with_state(dialect))
}

/// The answer where nothing is. For the fallback of the whole application.
pub async fn not_found() -> Response {
    Failure::of_status(StatusCode::NOT_FOUND, "there is no such resource").into_response()
}

fn wrong_method(allowed: &[Method]) -> Response<AxumBody> {
    let plain = method_not_allowed(allowed);
    let mut answer =
        Failure::of_status(StatusCode::METHOD_NOT_ALLOWED, "this resource does not have that method").into_response();
    answer.headers_mut().extend(plain.headers().get(ALLOW).map(|value| (ALLOW, value.clone())));
    answer
}

async fn authorized(State(dialect): Dialect, request: Request, next: Next) -> Response {
    let inner = &dialect.inner;
    match inner.tokens.check(request.method(), request.headers(), inner.now()) {
        Ok(()) => next.run(request).await,
        Err(failure) => {
            let mut answer = failure.into_response();
            if answer.status() == StatusCode::UNAUTHORIZED {
                answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"backup\""));
            }
            answer
        }
    }
}

fn answer(answer: Answer) -> Response {
    answer.unwrap_or_else(IntoResponse::into_response)
}

/// Does something in a task that goes on when the client is gone.
async fn done<T, F>(work: F) -> Result<T, Failure>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Failure>> + Send + 'static,
{
    let ended = going_on(async move { Ok(work.await) }).await;
    ended.map_err(|error| UNRECOGNIZED.caused(&error))?
}

fn body<T: DeserializeOwned>(body: Body) -> Result<T, Failure> {
    decode(&bytes(body)?)
}

fn bytes(body: Body) -> Result<Bytes, Failure> {
    body.map_err(|rejection| Failure::of_status(rejection.status(), rejection.body_text()))
}

/// A segment of the path; one that is no text names nothing.
fn segment(segment: Segment) -> String {
    segment.map(|Path(text)| text).unwrap_or_else(|_| "\u{fffd}".to_owned())
}

/// Reads when a cluster is backed up by itself.
///
/// A cluster without a strategy, or that does not exist, has an empty one.
#[utoipa::path(
    get, path = "/api/v1/clusters/{clusterId}/strategy", operation_id = "get_backup_strategy", security(("bearer" = [])),
    params(("clusterId" = String, Path, description = "The cluster.")),
    responses(
        (status = 200, description = "The strategy.", body = Envelope<StrategyAnswer>),
        (status = "4XX", description = "Refused.", body = Envelope<Empty>),
        (status = "5XX", description = "Failed.", body = Envelope<Empty>),
    ),
)]
pub(super) async fn strategy(State(dialect): Dialect, cluster: Segment) -> Response {
    answer(dialect.inner.show_strategy(segment(cluster)).await)
}

/// Sets when a cluster is backed up by itself.
#[utoipa::path(
    put, path = "/api/v1/clusters/{clusterId}/strategy", operation_id = "save_backup_strategy", security(("bearer" = [])),
    params(("clusterId" = String, Path, description = "The cluster.")),
    request_body = StrategyOrder,
    responses(
        (status = 200, description = "It is set.", body = Envelope<Empty>),
        (status = "4XX", description = "Refused.", body = Envelope<Empty>),
        (status = "5XX", description = "Failed.", body = Envelope<Empty>),
    ),
)]
pub(super) async fn put_strategy(State(dialect): Dialect, cluster: Segment, given: Body) -> Response {
    answer(dialect.inner.save_strategy(segment(cluster), given).await)
}

/// Sets when a cluster is backed up by itself, as `PUT` does.
#[utoipa::path(
    post, path = "/api/v1/clusters/{clusterId}/strategy", operation_id = "post_backup_strategy", security(("bearer" = [])),
    params(("clusterId" = String, Path, description = "The cluster.")),
    request_body = StrategyOrder,
    responses(
        (status = 200, description = "It is set.", body = Envelope<Empty>),
        (status = "4XX", description = "Refused.", body = Envelope<Empty>),
        (status = "5XX", description = "Failed.", body = Envelope<Empty>),
    ),
)]
pub(super) async fn save_strategy(State(dialect): Dialect, cluster: Segment, given: Body) -> Response {
    answer(dialect.inner.save_strategy(segment(cluster), given).await)
}

/// Starts a backup.
#[utoipa::path(
    post, path = "/api/v1/backups", operation_id = "backup", security(("bearer" = [])),
    request_body = BackupOrder,
    responses(
        (status = 200, description = "It was taken on.", body = Envelope<Accepted>),
        (status = "4XX", description = "Refused.", body = Envelope<Empty>),
        (status = "5XX", description = "Failed.", body = Envelope<Empty>),
    ),
)]
pub(super) async fn back_up(State(dialect): Dialect, given: Body) -> Response {
    answer(done(async move { dialect.inner.take_on(given).await }).await)
}

/// Asks a running backup to end. It turns `Failed` when it has.
#[utoipa::path(
    post, path = "/api/v1/backups/cancel", operation_id = "cancel_backup", security(("bearer" = [])),
    request_body = BackupName,
    responses(
        (status = 200, description = "It was asked.", body = Envelope<Empty>),
        (status = "4XX", description = "Refused.", body = Envelope<Empty>),
        (status = "5XX", description = "Failed.", body = Envelope<Empty>),
    ),
)]
pub(super) async fn cancel(State(dialect): Dialect, given: Body) -> Response {
    answer(dialect.inner.cancel_named(given).await)
}

/// Lists backups, the newest first.
///
/// What is asked for may also stand in a body of JSON with the same keys; the query wins.
#[utoipa::path(
    get, path = "/api/v1/backups", operation_id = "query_backup_records", security(("bearer" = [])),
    params(
        ("clusterId" = inline(Option<String>), Query, description = "Those of a cluster."),
        ("backupId" = inline(Option<String>), Query, description = "The one of that id."),
        ("startTime" = inline(Option<i64>), Query, description = "Those that began then or later, Unix seconds."),
        ("endTime" = inline(Option<i64>), Query, description = "Those that ended then or earlier, Unix seconds."),
        ("page" = inline(Option<u64>), Query, description = "Counted from 1, which is the default."),
        ("pageSize" = inline(Option<u64>), Query, description = "1 to 1000, 10 unless set."),
    ),
    responses(
        (status = 200, description = "A page.", body = Envelope<Records>),
        (status = "4XX", description = "Refused.", body = Envelope<Empty>),
        (status = "5XX", description = "Failed.", body = Envelope<Empty>),
    ),
)]
pub(super) async fn list(State(dialect): Dialect, pairs: Pairs, given: Body) -> Response {
    answer(dialect.inner.list(pairs, given).await)
}

/// Removes a backup: its files, then its record. One that is not known counts as removed.
#[utoipa::path(
    delete, path = "/api/v1/backups/{backupId}", operation_id = "delete_backup", security(("bearer" = [])),
    params(("backupId" = String, Path, description = "The id of the record.")),
    responses(
        (status = 200, description = "It is gone.", body = Envelope<Empty>),
        (status = "4XX", description = "Refused.", body = Envelope<Empty>),
        (status = "5XX", description = "Failed.", body = Envelope<Empty>),
    ),
)]
pub(super) async fn remove(State(dialect): Dialect, backup: Segment) -> Response {
    let removed = done(async move { dialect.inner.delete(&segment(backup)).await });
    answer(removed.await.map(|()| convert::ok(Empty {})))
}

/// Starts a restore of a backup into a cluster.
#[utoipa::path(
    post, path = "/api/v1/clusters/restore", operation_id = "restore", security(("bearer" = [])),
    request_body = BackupName,
    responses(
        (status = 200, description = "It was taken on.", body = Envelope<Restoring>),
        (status = "4XX", description = "Refused.", body = Envelope<Empty>),
        (status = "5XX", description = "Failed.", body = Envelope<Empty>),
    ),
)]
pub(super) async fn restore(State(dialect): Dialect, given: Body) -> Response {
    answer(done(async move { dialect.inner.take_on_restore(given).await }).await)
}

/// Shows a backup or a restore.
#[utoipa::path(
    get, path = "/api/v1/workflow/{workFlowId}", operation_id = "query_workflow", security(("bearer" = [])),
    params(("workFlowId" = String, Path, description = "The id that a backup or a restore was answered with.")),
    responses(
        (status = 200, description = "It.", body = Envelope<WorkflowAnswer>),
        (status = "4XX", description = "Refused.", body = Envelope<Empty>),
        (status = "5XX", description = "Failed.", body = Envelope<Empty>),
    ),
)]
pub(super) async fn workflow(State(dialect): Dialect, id: Segment) -> Response {
    answer(dialect.inner.show_workflow(&segment(id)).await)
}

impl Inner {
    async fn show_strategy(&self, cluster: String) -> Answer {
        let found = self.strategy(&cluster).await?.unwrap_or_default();
        let strategy = StrategyShown { cluster_id: cluster, period: found.period(), backup_date: found.date };
        Ok(convert::ok(StrategyAnswer { strategy }))
    }

    async fn save_strategy(&self, cluster: String, given: Body) -> Answer {
        let given = body::<StrategyOrder>(given)?.strategy.unwrap_or_default();
        let (date, period) = (given.backup_date.unwrap_or_default(), given.period.unwrap_or_default());
        let strategy = Strategy::parse(&date, &period).map_err(|why| PARAMETER.because(why))?;
        self.set_strategy(&cluster, &strategy).await?;
        Ok(convert::ok(Empty {}))
    }

    async fn take_on(self: &Arc<Self>, given: Body) -> Answer {
        let given: BackupOrder = body(given)?;
        let cluster = given.cluster_id.unwrap_or_default();
        if cluster.is_empty() {
            return Err(PARAMETER.because("clusterId is empty"));
        }
        let mode = match given.backup_mode.as_deref() {
            None | Some("" | "manual") => Mode::Manual,
            Some("auto") => Mode::Auto,
            Some(_) => return Err(PARAMETER.because("backupMode is neither `manual` nor `auto`")),
        };
        let kind = match given.backup_type.as_deref() {
            None | Some("" | "full") => BackupType::Full,
            Some("incr") => BackupType::Incr,
            Some(_) => return Err(PARAMETER.because("backupType is neither `full` nor `incr`")),
        };
        let id = self.back_up(Order { cluster, kind, mode, firing: None }).await?.to_string();
        Ok(convert::ok(Accepted { work_flow_id: id.clone(), backup_id: id }))
    }

    async fn cancel_named(&self, given: Body) -> Answer {
        let given: BackupName = body(given)?;
        self.cancel(&given.cluster_id.unwrap_or_default(), &given.backup_id.unwrap_or_default()).await?;
        Ok(convert::ok(Empty {}))
    }

    async fn list(&self, pairs: Pairs, given: Body) -> Answer {
        let UrlQuery(pairs) = pairs.map_err(|rejection| Failure::of_status(StatusCode::BAD_REQUEST, rejection.body_text()))?;
        let query = Query::read(&pairs, &bytes(given)?)?;
        let (records, total) = match &query.filter {
            Some(filter) => {
                let found = self.records.page(filter, query.page, query.size).await;
                found.map_err(|error| QUERY_FAILED.caused(&error))?
            }
            None => (Vec::new(), 0),
        };
        let backup_records = records.into_iter().map(|record| convert::record(self.zone, record)).collect();
        let page = super::dto::Page { page: query.page, page_size: query.size, total };
        Ok(convert::listed(Records { backup_records }, page))
    }

    async fn take_on_restore(self: &Arc<Self>, given: Body) -> Answer {
        let given: BackupName = body(given)?;
        let cluster_id = given.cluster_id.unwrap_or_default();
        let id = self.restore(&cluster_id, &given.backup_id.unwrap_or_default()).await?;
        Ok(convert::ok(Restoring { work_flow_id: id.to_string(), cluster_id }))
    }

    async fn show_workflow(&self, id: &str) -> Answer {
        let failed = |error| WORKFLOW_QUERY.caused(&error);
        let none = || WORKFLOW_QUERY.because("there is no such workflow").status(StatusCode::NOT_FOUND);
        let id = RecordId::parse(id).ok_or_else(none)?;
        if let Some(record) = self.records.get(id).await.map_err(failed)? {
            return Ok(convert::ok(WorkflowAnswer { info: convert::backup_workflow(self.zone, record, self.step(id)) }));
        }
        let workflow = self.workflow(id).await.map_err(failed)?.ok_or_else(none)?;
        Ok(convert::ok(WorkflowAnswer { info: convert::restore_workflow(self.zone, workflow, self.step(id)) }))
    }
}
