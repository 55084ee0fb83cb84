//! The real Keystone and Swift that `tools/openstack.sh up` started.
//!
//! Tests share them and run at the same time: each has containers of its own, and what breaks something breaks only its own way there.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "each test file uses its part of it"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use backup_core::testkit::{note_secret, test_context};
use backup_core::{Bytes, Environment, JobContext};
use backup_remote::http::http::{HeaderMap, Method, Request, StatusCode};
use backup_remote::http::{Http, HttpOptions};
use backup_remote::keystone::{Keystone, KeystoneConfig, Service};
use backup_remote::{Call, CallLimits, Calls, Repeat};
use backup_stores::OpenOptions;
use backup_stores::swift::{SwiftConfig, SwiftStore};
use serde_json::{Value, json};

/// The services, as a member of the project `demo` and as the administrator.
pub struct OpenStack {
    cx: JobContext,
    variables: Vec<(String, String)>,
    swift: Service,
    admin: Keystone,
}

/// What a raw request came to.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub fn context() -> JobContext {
    test_context(&Environment::default())
}

pub fn base() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/openstack");
    std::env::var_os("OS_BASE").map_or(own, PathBuf::from)
}

fn http() -> Http {
    Http::new(Calls::new("test", CallLimits::default()), &HttpOptions::default()).unwrap()
}

impl OpenStack {
    /// The services; without them the test is skipped aloud, or fails where real servers are asked for.
    pub async fn wanted() -> Option<Self> {
        let Ok(text) = std::fs::read_to_string(base().join("env")) else {
            let real = std::env::var_os("BACKUP_TEST_REAL").is_some_and(|value| value == "1");
            assert!(!real, "no OpenStack is up: run tools/openstack.sh up");
            println!("SKIPPED: run tools/openstack.sh up");
            return None;
        };
        let pairs = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
        let variables: Vec<_> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let cx = context();
        let config = keystone(&variables);
        note_secret(config.password.as_ref().unwrap().expose());
        let swift = Keystone::new(http(), config.clone()).unwrap().service(&cx, http(), &["object-store"]).await.unwrap();
        let mut admin = config;
        admin.username = Some("admin".to_owned());
        admin.project = Some("admin".to_owned());
        Some(Self { swift, admin: Keystone::new(http(), admin).unwrap(), variables, cx })
    }

    /// Who the member is.
    pub fn keystone(&self) -> KeystoneConfig {
        keystone(&self.variables)
    }

    /// What no log, error or `Debug` may show.
    pub fn password(&self) -> String {
        self.keystone().password.unwrap().expose().to_owned()
    }

    /// A container of the test's own.
    pub fn config(&self, container: &str) -> SwiftConfig {
        SwiftConfig::new(self.keystone(), container)
    }

    /// A name that no other test has.
    pub fn container(&self, what: &str) -> String {
        format!("{what}-{:08x}", self.cx.environment().random.next_u64() as u32)
    }

    pub async fn store(&self, config: &SwiftConfig) -> SwiftStore {
        SwiftStore::open(&self.cx, config, &OpenOptions::default()).await.unwrap()
    }

    /// Swift's own address, without the path.
    pub fn swift_host(&self) -> String {
        self.swift.url().rsplit_once("/v1/").unwrap().0.to_owned()
    }

    /// A region in which Swift has this address: for what stands between a store and Swift.
    pub async fn region(&self, url: &str) -> String {
        let region = self.container("region");
        let services = self.administer(Method::GET, "/services?type=object-store", None).await.json();
        let service = services["services"][0]["id"].as_str().unwrap().to_owned();
        let made = self.administer(Method::POST, "/regions", Some(json!({ "region": { "id": region } }))).await;
        assert!(made.status.is_success(), "{made:?}");
        let url = format!("{}/v1/AUTH_%(project_id)s", url.trim_end_matches('/'));
        let endpoint = json!({ "service_id": service, "interface": "public", "region_id": region, "url": url });
        let made = self.administer(Method::POST, "/endpoints", Some(json!({ "endpoint": endpoint }))).await;
        assert!(made.status.is_success(), "{made:?}");
        region
    }

    /// A request to Keystone as the administrator.
    pub async fn administer(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let token = self.admin.token(&self.cx).await.unwrap();
        let url = format!("{}{path}", self.keystone().auth_url);
        let request = Request::builder().method(method).uri(url).header("x-auth-token", token.header());
        let body = body.map(|body| Bytes::from(body.to_string())).into_iter().collect();
        let request = request.header("content-type", "application/json").body(body).unwrap();
        let call = Call::changing("Test", Repeat::Always);
        let (parts, body) = http().fetch(&self.cx, &call, &request, 16 << 20).await.unwrap().into_parts();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Ends a token, as the administrator.
    pub async fn revoke(&self, token: &str) -> Answer {
        let ours = self.admin.token(&self.cx).await.unwrap();
        let request = Request::delete(format!("{}/auth/tokens", self.keystone().auth_url));
        let request = request.header("x-auth-token", ours.header()).header("x-subject-token", token).body(Vec::new()).unwrap();
        let call = Call::changing("Test", Repeat::Always);
        let (parts, body) = http().fetch(&self.cx, &call, &request, 1 << 20).await.unwrap().into_parts();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// A request to the member's account; the path is escaped already.
    pub async fn raw(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.swift.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(vec![body.into()]).unwrap();
        let call = Call::changing("Test", Repeat::Always);
        let (parts, body) = self.swift.fetch(&self.cx, &call, request, 64 << 20).await.unwrap().into_parts();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// The names in a container that start like this, behind the store's back.
    pub async fn names(&self, container: &str, prefix: &str) -> Vec<String> {
        let listed = self.raw(Method::GET, &format!("/{container}?format=json&prefix={prefix}"), &[], "").await;
        if listed.status == StatusCode::NOT_FOUND || listed.status == StatusCode::NO_CONTENT {
            return Vec::new();
        }
        let listed = listed.json();
        listed.as_array().unwrap().iter().map(|line| line["name"].as_str().unwrap().to_owned()).collect()
    }

    /// As [`OpenStack::names`], for plain names, without those of objects that are gone: a busy Swift puts off what it removes from its listings.
    pub async fn objects(&self, container: &str) -> Vec<String> {
        let mut there = Vec::new();
        for name in self.names(container, "").await {
            let looked = self.raw(Method::HEAD, &format!("/{container}/{}", name.replace(' ', "%20")), &[], "").await;
            if looked.status != StatusCode::NOT_FOUND {
                there.push(name);
            }
        }
        there
    }

    /// Swift's own client.
    pub fn client(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("/usr/bin/swift");
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8").env("OS_IDENTITY_API_VERSION", "3");
        command.envs(self.variables.iter().cloned()).args(arguments).output().unwrap()
    }
}

fn keystone(variables: &[(String, String)]) -> KeystoneConfig {
    KeystoneConfig::from_environment(|name| Some(variables.iter().find(|(known, _)| known == name)?.1.clone())).unwrap()
}

/// Waits for something; a minute is many times what it takes.
pub async fn until(what: &str, mut there: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !there().await {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
