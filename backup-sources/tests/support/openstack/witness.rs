//! A user of the real OpenStack.

use std::time::{Duration, Instant};

use backup_core::JobContext;
use backup_remote::http::http::{Method, Request, StatusCode};
use backup_remote::keystone::Service;
use backup_remote::{Call, Repeat};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{OpenStack, PATH, http, ran};

/// How long anything may take: many times what it takes.
const PATIENCE: Duration = Duration::from_secs(300);

/// A user in a project, with OpenStack's own clients, and with Cinder's API for what is asked often: a client takes seconds.
#[derive(Debug)]
pub struct Witness {
    stack: OpenStack,
    user: String,
    project: String,
    cinder: Service,
    cx: JobContext,
}

impl Witness {
    pub(super) fn new(stack: OpenStack, user: &str, project: &str, cinder: Service, cx: JobContext) -> Self {
        Self { stack, user: user.to_owned(), project: project.to_owned(), cinder, cx }
    }

    /// `cinder`: what it printed.
    pub async fn cinder(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.client("/usr/bin/cinder", arguments).await).unwrap()
    }

    /// `openstack`, asked for JSON.
    pub async fn openstack(&self, arguments: &[&str]) -> Value {
        let printed = self.client("/usr/bin/openstack", &[arguments, &["-f", "json"]].concat()).await;
        serde_json::from_slice(&printed).unwrap_or(Value::Null)
    }

    /// `swift`: what it printed.
    pub async fn swift(&self, arguments: &[&str]) -> Vec<u8> {
        self.client("/usr/bin/swift", arguments).await
    }

    async fn client(&self, program: &str, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("PATH", PATH).env("LANG", "C.UTF-8").envs(&*self.stack.variables);
        ran(command.env("OS_USERNAME", &self.user).env("OS_PROJECT_NAME", &self.project)).await
    }

    /// A request to Cinder's API; the path begins behind the project.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.cinder.url()));
        let request = request.header("openstack-api-version", "volume 3.70").header("content-type", "application/json");
        let request = request.body(body.map(|body| body.to_string().into()).into_iter().collect()).unwrap();
        let call = Call::changing("Test", Repeat::Always);
        let (parts, body) = self.cinder.fetch(&self.cx, &call, request, 16 << 20).await.unwrap().into_parts();
        (parts.status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// A token that holds now.
    pub async fn token(&self) -> String {
        let token = self.cinder.keystone().token(&self.cx).await.unwrap();
        token.header().to_str().unwrap().to_owned()
    }

    /// What Cinder says to a `GET` with these headers, tokens too, and no others.
    pub async fn status(&self, path: &str, headers: &[(&str, &str)]) -> StatusCode {
        let mut request = Request::builder().uri(format!("{}{path}", self.cinder.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let call = Call::changing("Test", Repeat::Always);
        http().fetch(&self.cx, &call, &request.body(Vec::new()).unwrap(), 16 << 20).await.unwrap().status()
    }

    /// What a `POST` made, or asked for.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(Method::POST, path, Some(body.clone())).await;
        assert!(status.is_success(), "{path} {body}: {status} {answer}");
        answer
    }

    /// What is there: the object itself, without its wrapping.
    pub async fn get(&self, path: &str) -> Option<Value> {
        let (status, answer) = self.call(Method::GET, path, None).await;
        assert!(status.is_success() || status == StatusCode::NOT_FOUND, "{path}: {status} {answer}");
        if status == StatusCode::NOT_FOUND {
            return None;
        }
        answer.as_object().and_then(|wrapped| wrapped.values().next().cloned())
    }

    /// Waits until `/volumes/…`, `/snapshots/…` or `/backups/…` has this status, and fails when it comes to an error instead.
    pub async fn until(&self, path: &str, status: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let there = self.get(path).await.unwrap_or_else(|| panic!("{path} is gone"));
            match there["status"].as_str().unwrap_or_default() {
                now if now == status => return there,
                now => assert!(!now.starts_with("error") && Instant::now() < deadline, "not {status}: {there}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Deletes, and waits until it is gone.
    pub async fn remove(&self, path: &str) {
        let (status, answer) = self.call(Method::DELETE, path, None).await;
        assert!(status.is_success() || status == StatusCode::NOT_FOUND, "{path}: {status} {answer}");
        let deadline = Instant::now() + PATIENCE;
        while let Some(there) = self.get(path.split('?').next().unwrap()).await {
            assert!(Instant::now() < deadline && there["status"] != "error_deleting", "{there}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// A volume of a type: `rbd1`, `nfs1` or `local2`. Its id.
    pub async fn volume(&self, kind: &str, gib: u64) -> String {
        let wanted = json!({ "size": gib, "volume_type": kind, "name": "of a test" });
        let id = id_of(&self.post("/volumes", json!({ "volume": wanted })).await);
        self.until(&format!("/volumes/{id}"), "available").await;
        id
    }

    /// A snapshot of a volume, whether that is in use or not.
    pub async fn snapshot(&self, volume: &str) -> String {
        let wanted = json!({ "volume_id": volume, "force": true });
        let id = id_of(&self.post("/snapshots", json!({ "snapshot": wanted })).await);
        self.until(&format!("/snapshots/{id}"), "available").await;
        id
    }

    /// A backup by Cinder's own backup service, in Swift.
    pub async fn backup(&self, volume: &str, incremental: bool) -> String {
        let wanted = json!({ "volume_id": volume, "incremental": incremental, "force": true });
        let id = id_of(&self.post("/backups", json!({ "backup": wanted })).await);
        self.until(&format!("/backups/{id}"), "available").await;
        id
    }

    /// `cinder backup-import`; only the administrator may. Waits until Cinder has found it whole.
    pub async fn import(&self, service: &str, url: &str) -> String {
        let printed = self.cinder(&["backup-import", service, url]).await;
        let id = property(&printed, "id").unwrap_or_else(|| panic!("{printed}"));
        self.until(&format!("/backups/{id}"), "available").await;
        id
    }

    /// Cinder's own restore into a volume, waited for.
    pub async fn restore(&self, backup: &str, volume: &str) {
        self.post(&format!("/backups/{backup}/restore"), json!({ "restore": { "volume_id": volume } })).await;
        self.until(&format!("/backups/{backup}"), "available").await;
        self.until(&format!("/volumes/{volume}"), "available").await;
    }
}

/// The id of what was made.
pub fn id_of(made: &Value) -> String {
    made.as_object().and_then(|wrapped| wrapped.values().next()?["id"].as_str()).unwrap_or_else(|| panic!("{made}")).to_owned()
}

/// A value of a table that `cinder` printed.
pub fn property(table: &str, name: &str) -> Option<String> {
    let mut rows = table.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    Some((*rows.find(|row| row.get(1) == Some(&name))?.get(2)?).to_owned())
}
