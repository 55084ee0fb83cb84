//! A repository: a store that holds backup sets, and everything that is done to them.

mod adopt;
mod adoptable;
mod artifacts;
mod backup;
mod blocks;
mod catalogue;
mod create;
mod decode;
mod external;
mod info;
mod intent;
mod inventory;
mod janitor;
mod listing;
mod packed;
mod pin;
mod prune;
mod publish;
mod reader;
mod removal;
mod request;
mod restore;
mod sink;
mod taken;
mod unchanged;
mod verify;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

pub use info::{BackupInfo, State};
pub use janitor::JanitorReport;
pub use prune::{DeleteOptions, PruneReport};
pub use reader::StoredBackup;
pub use removal::Removal;
pub use request::{BackupOutcome, BackupRequest, SkipReason};
pub use verify::{VerifyLevel, VerifyReport};

use crate::budget::MemoryBudget;
use crate::context::JobContext;
use crate::cpu::CpuPool;
use crate::environment::Environment;
use crate::event::{Observer, TracingObserver};
use crate::lease::{Leases, LocalLeases};
use crate::naming::{DefaultNaming, Naming};
use crate::store::Store;

/// A store location that holds backup sets. Cheap to clone; clones share the catalogue, the leases and the budgets.
#[derive(Clone)]
pub struct Repository {
    inner: Arc<Inner>,
    budget: MemoryBudget,
}

struct Inner {
    store: Arc<dyn Store>,
    naming: Arc<dyn Naming>,
    leases: Arc<dyn Leases>,
    observer: Arc<dyn Observer>,
    environment: Environment,
    cpu: CpuPool,
    intent_ttl: Duration,
    grace: Duration,
    catalogue: catalogue::Catalogue,
}

/// Builds a [`Repository`]; see [`Repository::builder`].
#[derive(Clone)]
#[must_use]
pub struct RepositoryBuilder {
    store: Arc<dyn Store>,
    naming: Arc<dyn Naming>,
    leases: Arc<dyn Leases>,
    observer: Arc<dyn Observer>,
    environment: Environment,
    cpu: CpuPool,
    budget: MemoryBudget,
    intent_ttl: Duration,
    grace: Duration,
}

impl Repository {
    /// A repository on `store` with default names, leases within this process, and the machine's clock.
    pub fn builder(store: Arc<dyn Store>) -> RepositoryBuilder {
        RepositoryBuilder {
            store,
            naming: Arc::new(DefaultNaming),
            leases: Arc::new(LocalLeases::default()),
            observer: Arc::new(TracingObserver),
            environment: Environment::default(),
            cpu: CpuPool::default(),
            budget: MemoryBudget::default(),
            intent_ttl: Duration::from_secs(3600),
            grace: Duration::from_secs(3600),
        }
    }

    /// A context for a new job on this repository: its clock, its random numbers, its observer.
    pub fn context(&self) -> JobContext {
        JobContext::new(self.inner.environment.clone(), Arc::clone(&self.inner.observer))
    }

    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        Arc::clone(&self.inner.observer)
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.inner.environment
    }

    /// The same for clones, and for no other repository that is alive.
    pub(crate) fn identity(&self) -> usize {
        Arc::as_ptr(&self.inner) as usize
    }

    /// The store underneath.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    pub(crate) fn naming(&self) -> &dyn Naming {
        &*self.inner.naming
    }

    pub(crate) fn leases(&self) -> &dyn Leases {
        &*self.inner.leases
    }

    pub(crate) fn cpu(&self) -> &CpuPool {
        &self.inner.cpu
    }

    /// The memory of all jobs.
    pub fn budget(&self) -> &MemoryBudget {
        &self.budget
    }

    /// The same repository with memory of its own, so that its jobs and those of the others do not wait for each other.
    #[must_use]
    pub fn with_budget(&self, budget: MemoryBudget) -> Self {
        Self { inner: Arc::clone(&self.inner), budget }
    }

    pub(crate) fn catalogue(&self) -> &catalogue::Catalogue {
        &self.inner.catalogue
    }

    pub(crate) fn intent_ttl(&self) -> Duration {
        self.inner.intent_ttl
    }

    pub(crate) fn grace(&self) -> Duration {
        self.inner.grace
    }
}

impl RepositoryBuilder {
    /// Sets how artifacts are named.
    pub fn naming(mut self, naming: Arc<dyn Naming>) -> Self {
        self.naming = naming;
        self
    }

    /// Sets where leases come from.
    pub fn leases(mut self, leases: Arc<dyn Leases>) -> Self {
        self.leases = leases;
        self
    }

    /// Sets who hears the events of jobs.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Sets clock and random numbers.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Sets the pool for hashing and compression; give several repositories the same one.
    pub fn cpu(mut self, cpu: CpuPool) -> Self {
        self.cpu = cpu;
        self
    }

    /// Sets the memory of all jobs; give several repositories the same one.
    pub fn budget(mut self, budget: MemoryBudget) -> Self {
        self.budget = budget;
        self
    }

    /// Sets how long a backup is taken for alive without a sign of it (1 hour). It renews three times as often.
    pub fn intent_ttl(mut self, ttl: Duration) -> Self {
        self.intent_ttl = ttl;
        self
    }

    /// Sets how long the janitor waits after an intent ran out (1 hour): more than clocks may differ and a request may linger.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The repository. Touches nothing in the store.
    pub fn build(self) -> Repository {
        let Self { store, naming, leases, observer, environment, cpu, budget, intent_ttl, grace } = self;
        let catalogue = catalogue::Catalogue::default();
        let inner = Inner { store, naming, leases, observer, environment, cpu, intent_ttl, grace, catalogue };
        Repository { inner: Arc::new(inner), budget }
    }
}

/// `by` after `time`, and no overflow whatever a record or a configuration says.
pub(crate) fn later(time: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(by).ok().and_then(|by| time.checked_add_signed(by)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// `by` before `time`.
pub(crate) fn earlier(time: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(by).ok().and_then(|by| time.checked_sub_signed(by)).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository").field("store", &self.inner.store).field("naming", &self.inner.naming).finish_non_exhaustive()
    }
}

impl fmt::Debug for RepositoryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepositoryBuilder").field("store", &self.store).field("naming", &self.naming).finish_non_exhaustive()
    }
}
