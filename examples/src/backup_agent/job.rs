//! One job: its scripts, and between them its transfer.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backup_core::budget::MemoryBudget;
use backup_core::{Error, JobContext, Result, async_trait};
use backup_http::backup_agent::{self, BackupFile, Cause, Ending, Failure, JobRequest, Operation, Progress, Run};
use backup_sources::script::{self, Ended, Interrupted, JobDirectory, Main, Plan, Program, Request, Stage, Watch, Work};

use backup_stores::OpenOptions;

use super::config::Config;
use super::unfinished::Noting;
use super::upload::Hashed;
use super::{download, failures, place, unfinished, upload};

/// How stores are opened, and what all transfers may hold.
#[derive(Debug, Clone)]
pub(super) struct Stores {
    pub(super) options: OpenOptions,
    pub(super) memory: MemoryBudget,
}

/// A job that was accepted.
pub(super) struct ScriptJob {
    config: Arc<Config>,
    stores: Stores,
    plan: Plan,
    request: JobRequest,
    watch: Watch,
    ended: Mutex<Option<Ended>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ScriptJob {
    pub(super) fn new(config: Arc<Config>, stores: Stores, plan: Plan, request: JobRequest) -> Self {
        Self { config, stores, plan, request, watch: Watch::new(), ended: Mutex::default() }
    }

    /// The plan with the name that a backup made now has.
    fn named(&self, cx: &JobContext) -> (Plan, String) {
        let (mut plan, database) = (self.plan.clone(), &self.request.database);
        let name = Request::name(cx.clock().now(), &database.host, &database.name);
        if let Some(Program::Script { arguments, .. }) = plan.programs.get_mut(&Stage::Backup)
            && let Some(argument) = arguments.get_mut(4)
        {
            *argument = name.as_str().into();
        }
        (plan, name)
    }

    async fn backup(&self, cx: &JobContext) -> Ending {
        let (plan, name) = self.named(cx);
        let directory = match JobDirectory::create(&self.config.backups, &self.request.id) {
            Ok(directory) => directory,
            Err(error) => return not_begun(Operation::Backup, &error),
        };
        let mut work = Backup { job: self, directory, name, file: None, moved: 0, cause: None };
        let ended = script::run(&plan, cx, &self.watch, &mut work).await;
        let failures = failures::all(ended.failures(), &self.watch, work.cause);
        *locked(&self.ended) = Some(ended);
        Ending::failed(failures, work.file).moved(work.moved)
    }

    async fn restore(&self, cx: &JobContext) -> Ending {
        let mut work = Restore { job: self, moved: 0, cause: None };
        let ended = script::run(&self.plan, cx, &self.watch, &mut work).await;
        let failures = failures::all(ended.failures(), &self.watch, work.cause);
        *locked(&self.ended) = Some(ended);
        Ending::failed(failures, None).moved(work.moved)
    }
}

fn not_begun(operation: Operation, error: &Error) -> Ending {
    let first = operation.stages().first().copied();
    let failure = first.map(|stage| Failure::new(stage, Cause::Other(error.to_string())));
    Ending::failed(failure.into_iter().collect(), None)
}

#[async_trait]
impl Run for ScriptJob {
    fn progress(&self) -> Progress {
        failures::progress(&self.watch)
    }

    async fn run(&self, cx: &JobContext) -> Ending {
        let names: Vec<&str> = self.request.database.parameters.iter().map(|(name, _)| name.as_str()).collect();
        tracing::info!(job = self.request.id, operation = self.request.operation.as_str(), parameters = ?names, "begins");
        match self.request.operation {
            Operation::Backup => self.backup(cx).await,
            Operation::Restore => self.restore(cx).await,
        }
    }

    fn noted(&self) {
        let Some(ended) = locked(&self.ended).take() else { return };
        let failed = !ended.failures().is_empty();
        if let Err(error) = ended.finish()
            && !failed
        {
            tracing::warn!(job = self.request.id, %error, "the record of a job that ended stays behind");
        }
    }
}

impl fmt::Debug for ScriptJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptJob").field("request", &self.request).finish_non_exhaustive()
    }
}

/// The main stage of a backup.
struct Backup<'a> {
    job: &'a ScriptJob,
    directory: JobDirectory,
    name: String,
    file: Option<BackupFile>,
    moved: u64,
    cause: Option<Cause>,
}

#[async_trait]
impl Work for Backup<'_> {
    async fn work(&mut self, cx: &JobContext, main: &mut Main<'_, '_>) -> Result<()> {
        main.script(cx).await?;
        if self.job.request.skip_storage {
            self.file = Some(BackupFile::new(&self.name, 0));
            return Ok(());
        }
        let file = self.directory.file().inspect_err(|error| self.cause = Some(Cause::Other(error.message().to_owned())))?;
        self.file = Some(BackupFile::new(file.name(), file.size()));
        let sent = async {
            let key = place::key(&self.job.request.destination, file.name())?;
            let digest = upload::digest(cx, &file).await?;
            self.file = Some(BackupFile::new(file.name(), file.size()).sha256(digest.to_string()));
            let place = place::config(&self.job.request.destination)?;
            let store = place::open(cx, &place, &self.job.stores.options).await?;
            let (notes, size) = (Noting::new(main.notebook(), &place, &key), file.size());
            let (replace, memory) = (self.job.config.allow_overwrite, &self.job.stores.memory);
            upload::send(cx, &store, &key, Hashed { file, digest }, replace, memory, notes).await?;
            self.moved = size;
            Ok(())
        };
        sent.await.inspect_err(|error: &Error| self.cause = Some(Cause::Transfer(error.to_string())))
    }
}

/// The main stage of a restore.
struct Restore<'a> {
    job: &'a ScriptJob,
    moved: u64,
    cause: Option<Cause>,
}

impl Restore<'_> {
    async fn fetch(&mut self, cx: &JobContext) -> Result<()> {
        let (request, config) = (&self.job.request, &self.job.config);
        let target: PathBuf = config.restores.join(&request.id).join(&request.filename);
        if download::is_there(&target) && !config.may_delete {
            let what = format!("File already exists: {}", target.display());
            self.cause = Some(Cause::Other(what.clone()));
            return Err(Error::new(&backup_core::error::codes::STORE_EXISTS, what));
        }
        let fetched = async {
            let key = place::key(&request.destination, &request.filename)?;
            let store = place::open(cx, &place::config(&request.destination)?, &self.job.stores.options).await?;
            download::fetch(cx, &store, &key, &target, config.may_delete).await
        };
        let size = fetched.await.inspect_err(|error| self.cause = Some(Cause::Transfer(error.to_string())))?;
        self.moved = size;
        tracing::info!(job = request.id, size, "fetched");
        Ok(())
    }
}

#[async_trait]
impl Work for Restore<'_> {
    async fn work(&mut self, cx: &JobContext, main: &mut Main<'_, '_>) -> Result<()> {
        if !self.job.request.skip_storage {
            self.fetch(cx).await?;
        }
        main.script(cx).await
    }
}

/// What undoes a job of an earlier process.
#[derive(Debug)]
pub(super) struct Undo {
    watch: Watch,
    options: OpenOptions,
    job: Mutex<Option<Interrupted>>,
}

impl Undo {
    pub(super) fn new(job: Interrupted, options: OpenOptions) -> Self {
        Self { watch: job.watch().clone(), options, job: Mutex::new(Some(job)) }
    }
}

#[async_trait]
impl Run for Undo {
    fn progress(&self) -> Progress {
        failures::progress(&self.watch)
    }

    async fn run(&self, cx: &JobContext) -> Ending {
        let Some(mut job) = locked(&self.job).take() else { return Ending::default() };
        // The database first.
        let failed = job.undo(cx).await;
        let left = unfinished::give_up(cx, job.notes(), &self.options).await;
        *locked(&self.job) = Some(job);
        let mut failures = failures::all(&failed, &self.watch, None);
        failures.extend(left.into_iter().map(|error| Failure::new(backup_agent::Stage::Backup, Cause::Other(error.to_string()))));
        Ending::failed(failures, None)
    }

    fn noted(&self) {
        if let Some(job) = locked(&self.job).take()
            && let Err(error) = job.forget()
        {
            tracing::warn!(%error, "the record of a job that was undone stays behind");
        }
    }
}
