//! A Nova that answers as Nova does to the little that it is asked: no real one can run where the tests run.
//!
//! Tokens are asked about at the real Keystone, as Nova's middleware does; a server is seen by its project and by administrators.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use backup_core::testkit::{free_port, test_context};
use backup_core::{Environment, JobContext, Secret};
use backup_http::server::{Listen, Server, ServerConfig};
use backup_remote::http::{Http, HttpOptions};
use backup_remote::keystone::{Keystone, Validator};
use backup_remote::{CallLimits, Calls};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::openstack::OpenStack;
use crate::proxied::Region;

/// There is one port for it in the catalogue: all tests of this program share one, with instances of their own.
static NOVA: OnceLock<Nova> = OnceLock::new();

/// How long another run of the tests may have the port.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Clone)]
pub struct Nova {
    servers: Arc<Mutex<BTreeMap<String, Instance>>>,
    actions: Arc<Mutex<Vec<(String, Value, HeaderMap)>>>,
}

#[derive(Clone)]
struct Instance {
    project: String,
    status: String,
    volumes: Vec<String>,
}

#[derive(Clone)]
struct Site {
    servers: Arc<Mutex<BTreeMap<String, Instance>>>,
    actions: Arc<Mutex<Vec<(String, Value, HeaderMap)>>>,
    validator: Validator,
    cx: JobContext,
}

impl Nova {
    /// The one of this program, which is there as long as that.
    pub async fn start(stack: &OpenStack) -> Self {
        let stack = stack.clone();
        tokio::task::spawn_blocking(move || NOVA.get_or_init(|| Self::serve(&stack)).clone()).await.unwrap()
    }

    /// In a region, beside all others, as long as the test.
    pub async fn within(stack: &OpenStack, region: &mut Region) -> Self {
        let port = free_port();
        region.put("compute", &format!("http://127.0.0.1:{port}/v2.1")).await;
        let nova = Self { servers: Arc::default(), actions: Arc::default() };
        let (router, server) = nova.bound(stack, port).await;
        tokio::spawn(server.run(router, CancellationToken::new(), Duration::ZERO));
        nova
    }

    /// Not on the runtime of a test, which ends with it.
    fn serve(stack: &OpenStack) -> Self {
        let nova = Self { servers: Arc::default(), actions: Arc::default() };
        let (served, stack, (ready, is_ready)) = (nova.clone(), stack.clone(), mpsc::channel());
        let serve = async move {
            let (router, server) = served.bound(&stack, stack.nova_port()).await;
            ready.send(()).unwrap();
            server.run(router, CancellationToken::new(), Duration::ZERO).await
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        thread::spawn(move || runtime.block_on(serve));
        is_ready.recv().unwrap();
        nova
    }

    /// Waits for the port.
    async fn bound(&self, stack: &OpenStack, port: u16) -> (Router, Server) {
        let http = Http::new(Calls::new("test", CallLimits::default()), &HttpOptions::default()).unwrap();
        let keystone = Keystone::new(http, stack.keystone("backup", "service")).unwrap();
        let site = Site {
            servers: Arc::clone(&self.servers),
            actions: Arc::clone(&self.actions),
            validator: Validator::new(keystone),
            cx: test_context(&Environment::default()),
        };
        let router =
            Router::new().route("/v2.1/servers/{id}", get(show)).route("/v2.1/servers/{id}/action", post(act)).with_state(site);
        let (listen, began) = (Listen::from(format!("127.0.0.1:{port}").as_str()), Instant::now());
        loop {
            match Server::bind(ServerConfig::new(listen.clone())).await {
                Ok(server) => return (router, server),
                Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// What this instance is from now on.
    pub fn set(&self, id: &str, project: &str, status: &str, volumes: &[&str]) {
        let volumes = volumes.iter().map(|id| (*id).to_owned()).collect();
        let server = Instance { project: project.to_owned(), status: status.to_owned(), volumes };
        self.servers.lock().unwrap().insert(id.to_owned(), server);
    }

    /// The actions that were asked for of this instance.
    pub fn actions(&self, id: &str) -> Vec<(Value, HeaderMap)> {
        let all = self.actions.lock().unwrap().clone();
        all.into_iter().filter(|(instance, ..)| instance == id).map(|(_, body, headers)| (body, headers)).collect()
    }
}

fn unauthorized() -> Response {
    let body = json!({ "error": { "code": 401, "title": "Unauthorized", "message": "The request you have made requires authentication." } });
    (StatusCode::UNAUTHORIZED, Json(body)).into_response()
}

impl Site {
    async fn server(&self, id: &str, headers: &HeaderMap) -> Result<Instance, Response> {
        let token = headers.get("x-auth-token").and_then(|token| token.to_str().ok()).unwrap_or_default();
        let said = self.validator.validate(&self.cx, &Secret::from(token)).await.unwrap().ok_or_else(unauthorized)?;
        let server = self.servers.lock().unwrap().get(id).cloned();
        let seen = server
            .filter(|server| said.has_role("admin") || said.project.as_ref().is_some_and(|project| project.id == server.project));
        seen.ok_or_else(|| {
            let text = format!("Instance {id} could not be found.");
            (StatusCode::NOT_FOUND, Json(json!({ "itemNotFound": { "code": 404, "message": text } }))).into_response()
        })
    }
}

async fn show(State(site): State<Site>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let server = match site.server(&id, &headers).await {
        Ok(server) => server,
        Err(answer) => return answer,
    };
    let volumes: Vec<Value> = server.volumes.iter().map(|id| json!({ "id": id, "delete_on_termination": false })).collect();
    Json(json!({ "server": {
        "id": id,
        "name": "of a test",
        "status": server.status,
        "tenant_id": server.project,
        "OS-EXT-STS:vm_state": "stopped",
        "os-extended-volumes:volumes_attached": volumes,
    } }))
    .into_response()
}

async fn act(State(site): State<Site>, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(answer) = site.server(&id, &headers).await {
        return answer;
    }
    site.actions.lock().unwrap().push((id, serde_json::from_slice(&body).unwrap(), headers));
    (StatusCode::ACCEPTED, [("x-compute-request-id", "req-of-a-test")]).into_response()
}
