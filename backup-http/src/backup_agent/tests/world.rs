//! The agent over a state in memory, a virtual clock, and jobs that do as they are told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use backup_core::error::codes;
use backup_core::state::State;
use backup_core::testkit::{MemoryState, VirtualClock, test_environment};
use backup_core::{Bytes, Environment, Error, JobContext, Result, async_trait};
use base64::Engine;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};
use tower::ServiceExt as _;

use crate::auth::BasicUser;
use crate::backup_agent::{
    AgentWork, BackupAgent, BackupFile, Cause, Ending, Failure, Interrupted, JobRequest, Logs, Operation, Progress, Run, Stage,
    StageLog, not_found, router,
};

pub(super) const USER: &str = "manager";
pub(super) const PASSWORD: &str = "agent-password";

/// What is seen of all jobs, and what holds them up.
#[derive(Debug)]
pub(super) struct Stagehand {
    /// A job ends once it gets a permit.
    pub(super) gate: Semaphore,
    pub(super) running: AtomicUsize,
    pub(super) most: AtomicUsize,
    pub(super) ran: Mutex<Vec<String>>,
    pub(super) cancelled: AtomicUsize,
    pub(super) noted: AtomicUsize,
    pub(super) interrupted: Mutex<Vec<(Operation, String)>>,
}

#[derive(Debug)]
struct Fake(Arc<Stagehand>);

#[derive(Debug)]
struct FakeRun {
    hand: Arc<Stagehand>,
    request: JobRequest,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct FakeUndo(Arc<Stagehand>, Operation, Mutex<Logs>);

fn log(stage: Stage, out: &str) -> Logs {
    Logs(BTreeMap::from([(stage, StageLog { out: out.to_owned(), err: "<&>".to_owned() })]))
}

fn lock_of(operation: Operation) -> Stage {
    operation.stages()[0]
}

#[async_trait]
impl AgentWork for Fake {
    fn prepare(&self, request: JobRequest) -> Result<Arc<dyn Run>> {
        if request.database.parameters.iter().any(|(name, _)| name == "LD_PRELOAD") {
            return Err(Error::new(&codes::INPUT_INVALID, "LD_PRELOAD is not the request's to set"));
        }
        Ok(Arc::new(FakeRun { hand: Arc::clone(&self.0), request, progress: Mutex::default() }))
    }

    async fn interrupted(&self) -> Result<Vec<Interrupted>> {
        let left = std::mem::take(&mut *self.0.interrupted.lock().unwrap());
        let undo = |(operation, id)| {
            let logs = Mutex::new(log(lock_of(operation), "locked"));
            Interrupted::new(operation, id, Arc::new(FakeUndo(Arc::clone(&self.0), operation, logs)))
        };
        Ok(left.into_iter().map(undo).collect())
    }
}

#[async_trait]
impl Run for FakeRun {
    fn progress(&self) -> Progress {
        self.progress.lock().unwrap().clone()
    }

    async fn run(&self, cx: &JobContext) -> Ending {
        let stage = lock_of(self.request.operation);
        *self.progress.lock().unwrap() = Progress::new(Some(stage), log(stage, "begun"));
        let now = self.hand.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.hand.most.fetch_max(now, Ordering::SeqCst);
        let _guard = Leaving(&self.hand.running);
        self.hand.ran.lock().unwrap().push(self.request.id.clone());
        let gate = cx.run(async { Ok(self.hand.gate.acquire().await.unwrap()) }).await.map(SemaphorePermit::forget);
        self.progress.lock().unwrap().stage = None;
        if let Err(error) = gate {
            self.hand.cancelled.fetch_add(1, Ordering::SeqCst);
            return Ending::failed(vec![Failure::new(stage, Cause::Script(error.message().to_owned()))], None);
        }
        match self.request.database.name.as_str() {
            "broken" => Ending::failed(
                vec![Failure::new(Stage::Backup, Cause::Exit(3)), Failure::new(Stage::PostBackupUnlock, Cause::NoScript)],
                None,
            ),
            "panic" => panic!("told to panic"),
            _ if self.request.operation == Operation::Restore => Ending::good(None),
            _ if self.request.skip_storage => Ending::good(Some(BackupFile::new("NAME", 0))),
            _ => Ending::good(Some(BackupFile::new("db.dump", 42).sha256("ab"))),
        }
    }

    fn noted(&self) {
        self.hand.noted.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Run for FakeUndo {
    fn progress(&self) -> Progress {
        Progress::new(None, self.2.lock().unwrap().clone())
    }

    async fn run(&self, _: &JobContext) -> Ending {
        self.0.gate.acquire().await.unwrap().forget();
        let stages = self.1.stages();
        let unlock = stages[stages.len() - 1];
        self.2.lock().unwrap().0.extend(log(unlock, "unlocked").0);
        Ending::failed(vec![Failure::new(unlock, Cause::Exit(9))], None)
    }

    fn noted(&self) {
        self.0.noted.fetch_add(1, Ordering::SeqCst);
    }
}

struct Leaving<'a>(&'a AtomicUsize);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(super) struct World {
    pub(super) state: MemoryState,
    pub(super) clock: Arc<VirtualClock>,
    pub(super) hand: Arc<Stagehand>,
    pub(super) agent: BackupAgent,
    pub(super) app: Router,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json", "{self:?}");
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

pub(super) fn hand() -> Arc<Stagehand> {
    Arc::new(Stagehand {
        gate: Semaphore::new(0),
        running: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        ran: Mutex::default(),
        cancelled: AtomicUsize::new(0),
        noted: AtomicUsize::new(0),
        interrupted: Mutex::default(),
    })
}

impl World {
    pub(super) async fn start() -> Self {
        Self::with_slots(10).await
    }

    pub(super) async fn with_slots(slots: usize) -> Self {
        Self::on(MemoryState::new(), test_environment(1).1, hand(), slots).await
    }

    /// The next process on the same state.
    pub(super) async fn restart(&self, hand: Arc<Stagehand>) -> Self {
        Self::on(self.state.restart(), self.clock.clone(), hand, 10).await
    }

    pub(super) async fn on(state: MemoryState, clock: Arc<VirtualClock>, hand: Arc<Stagehand>, slots: usize) -> Self {
        Self::over(Arc::new(state.clone()), state, clock, hand, slots).await
    }

    /// On what stands before the state.
    pub(super) async fn over(
        before: Arc<dyn State>,
        state: MemoryState,
        clock: Arc<VirtualClock>,
        hand: Arc<Stagehand>,
        slots: usize,
    ) -> Self {
        let environment = Environment::new(clock.clone(), test_environment(2).0.random);
        let work = Arc::new(Fake(Arc::clone(&hand)));
        let builder = BackupAgent::builder(work, before, BasicUser::new(USER, PASSWORD));
        let agent = builder.environment(environment).max_jobs(slots).start().await.unwrap();
        let app = router(agent.clone()).fallback(not_found);
        Self { state, clock, hand, agent, app }
    }

    pub(super) async fn ask(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.app.clone().oneshot(request).await.unwrap().into_parts();
        Answer { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask(request(Method::GET, path, "")).await
    }

    pub(super) async fn post(&self, body: impl ToString) -> Answer {
        self.ask(request(Method::POST, "/backup", &body.to_string())).await
    }

    pub(super) async fn put(&self, body: impl ToString) -> Answer {
        self.ask(request(Method::PUT, "/restore", &body.to_string())).await
    }

    pub(super) async fn delete(&self, path: &str, id: &str) -> Answer {
        self.ask(request(Method::DELETE, path, &json!({ "id": id }).to_string())).await
    }

    /// Lets that many jobs end.
    pub(super) fn release(&self, jobs: usize) {
        self.hand.gate.add_permits(jobs);
    }

    /// Polls until the job has ended.
    pub(super) async fn ended(&self, path: &str) -> Answer {
        self.until(path, |answer| answer.json()["status"] != "RUNNING").await
    }

    pub(super) async fn until(&self, path: &str, holds: impl Fn(&Answer) -> bool) -> Answer {
        loop {
            let answer = self.get(path).await;
            if holds(&answer) {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Waits until the job is in a stage.
    pub(super) async fn begun(&self, path: &str) -> Answer {
        self.until(path, |answer| answer.json()["state"] != "").await
    }

    /// Waits until no job runs, and lets those that run end.
    pub(super) async fn drain(&self) {
        self.release(5000);
        self.agent.stop(Duration::from_secs(1)).await;
    }
}

pub(super) fn authorization(user: &str, password: &str) -> String {
    format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}")))
}

pub(super) fn request(method: Method, path: &str, body: &str) -> Request<Body> {
    let builder = Request::builder().method(method).uri(path).header("authorization", authorization(USER, PASSWORD));
    builder.body(Body::from(body.to_owned())).unwrap()
}

/// A backup of the database `db` to S3.
pub(super) fn backup(id: &str) -> Value {
    json!({
        "id": id,
        "compression": true,
        "encryption_key": "the-encryption-key",
        "destination": {
            "type": "S3", "bucket": "bucket", "endpoint": "http://s3.example:9000", "authKey": "the-key",
            "authSecret": "the-secret", "filenamePrefix": "plan/",
        },
        "backup": { "host": format!("host-{id}"), "username": "user", "password": "the-password", "database": "db", "parameters": [{"key": "the-value"}] },
    })
}

/// A restore of the database `db` from Swift.
pub(super) fn restore(id: &str) -> Value {
    json!({
        "id": id,
        "encryption_key": "the-encryption-key",
        "destination": {
            "type": "SWIFT", "authUrl": "http://keystone/v3", "domain": "Default", "container_name": "box",
            "project_name": "project", "username": "swift-user", "password": "the-swift-password", "filename": "db.dump",
        },
        "restore": { "host": "host", "username": "user", "password": "the-password", "database": "db", "parameters": null },
    })
}
