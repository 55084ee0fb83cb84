//! A Keystone that answers as it is told.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use backup_core::JobContext;
use backup_core::testkit::{VirtualClock, note_secret, test_context, test_environment};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::http::{Http, HttpOptions};
use crate::keystone::{Keystone, KeystoneConfig};
use crate::{CallLimits, Calls};

pub(super) struct StandIn {
    pub(super) keystone: Keystone,
    pub(super) cx: JobContext,
    pub(super) clock: Arc<VirtualClock>,
    site: Arc<Site>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Site {
    logins: AtomicUsize,
    validations: AtomicUsize,
    /// What a `GET` of a path with its query is answered with; for `/v3/auth/tokens` with the subject's token behind it.
    answers: Mutex<HashMap<String, (u16, String)>>,
    /// Our tokens up to this one are refused.
    refused: AtomicUsize,
    /// Validations wait for a permit when there is one.
    gate: Mutex<Option<Arc<Semaphore>>>,
}

impl StandIn {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v3", listener.local_addr().unwrap());
        let site = Arc::<Site>::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&site));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let http =
            Http::new(Calls::new("keystone", CallLimits { attempts: 1, ..CallLimits::default() }), &HttpOptions::default());
        let config = KeystoneConfig {
            auth_url: url,
            username: Some("backup".to_owned()),
            password: Some("a-password-of-ours".into()),
            project: Some("service".to_owned()),
            ..KeystoneConfig::default()
        };
        note_secret("a-password-of-ours");
        let (environment, clock) = test_environment(1);
        Self { keystone: Keystone::new(http.unwrap(), config).unwrap(), cx: test_context(&environment), clock, site, task }
    }

    pub(super) fn answer(&self, what: &str, status: u16, body: Value) {
        self.answer_text(what, status, &body.to_string());
    }

    pub(super) fn answer_text(&self, what: &str, status: u16, body: &str) {
        self.site.answers.lock().unwrap().insert(what.to_owned(), (status, body.to_owned()));
    }

    /// A token of a project that holds for so many seconds from now.
    pub(super) fn token(&self, token: &str, seconds: i64) {
        let expires = self.cx.clock().now() + chrono::TimeDelta::seconds(seconds);
        self.answer(
            &format!("/v3/auth/tokens {token}"),
            200,
            json!({ "token": {
                "methods": ["password"],
                "user": { "id": "u1", "name": "demo", "domain": { "id": "default", "name": "Default" } },
                "project": { "id": "p1", "name": "demo", "domain": { "id": "default", "name": "Default" } },
                "roles": [{ "id": "r1", "name": "member" }, { "id": "r2", "name": "reader" }],
                "catalog": [{ "type": "cms-backup", "name": "cms-backup", "id": "s1", "endpoints": [] }],
                "expires_at": expires,
                "issued_at": "2026-11-21T09:00:00.000000Z",
            } }),
        );
    }

    pub(super) fn refuse_tokens_up_to(&self, number: usize) {
        self.site.refused.store(number, Ordering::SeqCst);
    }

    pub(super) fn hold(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        *self.site.gate.lock().unwrap() = Some(Arc::clone(&gate));
        gate
    }

    pub(super) fn logins(&self) -> usize {
        self.site.logins.load(Ordering::SeqCst)
    }

    pub(super) fn validations(&self) -> usize {
        self.site.validations.load(Ordering::SeqCst)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(site): State<Arc<Site>>, request: Request) -> Response {
    if request.method() == "POST" {
        let number = site.logins.fetch_add(1, Ordering::SeqCst) + 1;
        let token = format!("a-token-of-ours-{number}");
        note_secret(&token);
        let body = json!({ "token": {
            "issued_at": "2026-11-21T09:00:00Z", "expires_at": "2026-11-21T19:00:00Z",
            "project": { "id": "p0", "name": "service" }, "catalog": [],
        } });
        return (StatusCode::CREATED, [("x-subject-token", token)], Json(body)).into_response();
    }
    let header = |headers: &HeaderMap, name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let mut what = request.uri().path_and_query().unwrap().to_string();
    let ours = header(request.headers(), "x-auth-token").unwrap();
    if let Some(number) = ours.strip_prefix("a-token-of-ours-")
        && number.parse::<usize>().unwrap() <= site.refused.load(Ordering::SeqCst)
    {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": { "code": 401 } }))).into_response();
    }
    if let Some(subject) = header(request.headers(), "x-subject-token") {
        site.validations.fetch_add(1, Ordering::SeqCst);
        let gate = site.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        what = format!("{what} {subject}");
    }
    let known = site.answers.lock().unwrap().get(&what).cloned();
    match known {
        Some((status, body)) => {
            (StatusCode::from_u16(status).unwrap(), [("content-type", "application/json")], body).into_response()
        }
        None => (StatusCode::NOT_FOUND, Json(json!({ "error": { "code": 404, "title": "Not Found" } }))).into_response(),
    }
}
