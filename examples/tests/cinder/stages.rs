//! Jobs that are stopped at a request of theirs: proxies stand between us and Cinder and Swift.

use std::sync::Arc;
use std::time::Duration;

use backup_core::environment::{SystemClock, SystemRandom};
use backup_core::testkit::{note_secret, test_context};
use backup_core::{Clock, Environment, Repository, Secret, SetName, async_trait};
use backup_remote::http::{Http, HttpOptions};
use backup_remote::keystone::Keystone;
use backup_remote::testkit::{FaultyProxy, Gate, Harm, RequestFault, Which};
use backup_remote::{CallLimits, Calls};
use backup_sources::cinder::access::{AccessConfig, NfsConfig};
use backup_sources::cinder::format::Options;
use backup_sources::cinder::{Caller, CinderSource, SourceOptions};
use backup_stores::swift::SwiftConfig;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::openstack::OpenStack;
use crate::place::{MIB, Place, cinder, fill, rbd, swift, unique};

/// Who hears the request.
#[derive(Debug, Clone, Copy)]
pub enum Server {
    Cinder,
    Swift,
}

/// When the job is stopped: before the server hears the request, or before we hear the answer.
#[derive(Debug, Clone, Copy)]
pub enum When {
    Before,
    After,
}

/// A request at which a job is stopped.
pub type Stage = (Server, &'static str, &'static str, When);

/// How a job reaches everything: through the proxies.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    /// A user's token: we act for him, with ours beside it.
    token: String,
    project: String,
    /// Where he has Cinder.
    endpoint: String,
    /// Where Swift is.
    region: String,
    container: String,
    set: String,
    owner: String,
    pub kind: String,
    pub volume: String,
    /// The backup that is restored into a new volume; otherwise one is made.
    pub restore: Option<String>,
}

/// A volume, and all that a job needs to back it up through proxies.
pub struct Staged {
    pub place: Place,
    pub settings: Settings,
    pub cinder: FaultyProxy,
    pub swift: FaultyProxy,
    pub witness: crate::swift::OpenStack,
}

impl Staged {
    pub async fn new(stack: &OpenStack, kind: &str, what: &str) -> Self {
        let witness = crate::swift::OpenStack::wanted().await.unwrap();
        let place = Place::swift(stack, what).await;
        let volume = place.demo.volume(kind, 1).await;
        if kind == "rbd1" {
            fill(stack, &volume, &[(0, 30 * MIB, 1), (300 * MIB, 10 * MIB, 2), (900 * MIB, 4 * MIB, 3)]).await;
        }
        let url = cinder_url(stack).await;
        let (host, path) = url.split_once("/v3/").unwrap();
        let (cinder, swift) = (FaultyProxy::http(host).await, FaultyProxy::http(&witness.swift_host()).await);
        let token = place.demo.token().await;
        note_secret(&token);
        let settings = Settings {
            token,
            project: path.trim_end_matches('/').to_owned(),
            endpoint: format!("{}/v3/{path}", cinder.url()),
            region: witness.region(&swift.url()).await,
            container: place.container.clone(),
            set: place.set.to_string(),
            owner: place.owner.clone(),
            kind: kind.to_owned(),
            volume,
            restore: None,
        };
        Self { place, settings, cinder, swift, witness }
    }

    /// Stops the next job at a stage.
    pub fn stop_at(&self, (server, method, target, when): Stage) -> Gate {
        let gate = Gate::default();
        let fault = match when {
            When::Before => RequestFault::Hold(gate.clone()),
            When::After => RequestFault::AnswerBody(Harm::Hold { after: 0, gate: gate.clone() }),
        };
        let proxy = match server {
            Server::Cinder => &self.cinder,
            Server::Swift => &self.swift,
        };
        proxy.requests(Which::next(), method, target, fault);
        gate
    }

    /// What a job left in the store, once the janitor was there a day later: no object of a backup.
    pub async fn swept(&self) {
        let later = Environment::new(Arc::new(Tomorrow), Arc::new(SystemRandom));
        let repository = Repository::builder(Arc::clone(self.place.repository.store())).environment(later).build();
        let report = repository.janitor(&repository.context()).await.unwrap();
        assert!(report.problems.is_empty() && report.busy.is_empty(), "{report:?}");
        let objects = self.witness.objects(&self.place.container).await;
        let left: Vec<_> = objects.iter().filter(|name| !name.starts_with(".backup/")).collect();
        assert!(left.is_empty(), "{left:?} after {report:?}");
    }
}

impl Settings {
    /// The user's token.
    #[allow(dead_code, reason = "for `alone_openstack`, which has this file, too")]
    pub fn token(&self) -> &str {
        &self.token
    }

    pub async fn repository(&self, stack: &OpenStack) -> Repository {
        let mut config = SwiftConfig::new(stack.keystone("demo", "demo"), &self.container);
        config.region = Some(self.region.clone());
        Repository::builder(swift(&config).await).build()
    }

    pub fn set(&self) -> SetName {
        SetName::new(&self.set).unwrap()
    }

    pub fn source(&self, stack: &OpenStack) -> CinderSource {
        let ours = cinder(stack, "backup", "service");
        let token = Secret::new(self.token.clone());
        let caller = Caller { token, project_id: self.project.clone(), endpoint: self.endpoint.clone() };
        let access = match self.kind.as_str() {
            "rbd1" => rbd(stack),
            _ => AccessConfig::nfs(NfsConfig::new(stack.nfs_mounts())).open().unwrap(),
        };
        let format = Options { object_size: 16 * MIB, ..Options::default() };
        let options = SourceOptions::new(&self.owner).format(format);
        CinderSource::new(ours.for_caller(caller).unwrap(), access, options).unwrap().volume(&self.volume).unwrap()
    }
}

/// The machine's clock, a day later.
#[derive(Debug)]
struct Tomorrow;

#[async_trait]
impl Clock for Tomorrow {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + Duration::from_secs(86_400)
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration).await;
    }
}

/// Cinder's endpoint in the project `demo`.
async fn cinder_url(stack: &OpenStack) -> String {
    let http = || Http::new(Calls::new("test", CallLimits::default()), &HttpOptions::default()).unwrap();
    let keystone = Keystone::new(http(), stack.keystone("demo", "demo")).unwrap();
    let cx = test_context(&Environment::default());
    keystone.service(&cx, http(), &["volumev3"]).await.unwrap().url().to_owned()
}

/// The name of a test's own, for a stage.
pub fn named(what: &str, (_, method, _, _): Stage) -> String {
    unique(&format!("{what}-{}", method.to_lowercase()))
}
