//! The source over a BR that is played, through a real repository.

mod capture;
mod conformance;
mod restore;
mod standin;

use std::sync::Arc;
use std::time::Duration;

use backup_core::cpu::CpuPool;
use backup_core::repository::{BackupRequest, Repository, StoredBackup, VerifyLevel};
use backup_core::testkit::{SimStore, VirtualClock, test_environment};
use backup_core::{BackupId, BackupReader, JobContext, Result, SetName};

use super::BrSource;
use super::config::{BrConfig, Encryption};
use super::meta::tests::encoder::Laid;
use standin::{Place, StandIn};

impl BrSource {
    /// The same cluster, after somebody changed the configuration.
    fn with_encryption(&self, encryption: Option<Encryption>) -> Self {
        Self { config: Arc::new(BrConfig { encryption, ..BrConfig::clone(&self.config) }), ..self.clone() }
    }
}

/// A repository that BR can write into.
struct World {
    store: SimStore,
    clock: Arc<VirtualClock>,
    repository: Repository,
    set: SetName,
}

impl World {
    fn new() -> Self {
        let (environment, clock) = test_environment(7);
        clock.auto_advance_up_to(Duration::from_secs(10));
        let store = SimStore::new(clock.clone());
        store.set_external_location("sim://place");
        let builder = Repository::builder(Arc::new(store.clone())).environment(environment).cpu(CpuPool::inline());
        Self { store, clock, repository: builder.build(), set: SetName::new("tidb/one").unwrap() }
    }

    fn standin(&self, laid: Laid) -> StandIn {
        StandIn::new(Place::Sim(self.store.clone()), laid)
    }

    fn cx(&self) -> JobContext {
        self.repository.context()
    }

    async fn back_up(&self, source: &BrSource) -> Result<BackupId> {
        let outcome = self.repository.backup(&self.cx(), source, &BackupRequest::new(self.set.clone())).await?;
        Ok(outcome.backup().id.clone())
    }

    async fn open(&self, id: &BackupId) -> StoredBackup {
        self.repository.open(&self.cx(), &self.set, id).await.unwrap()
    }

    /// What a verify that asks the source finds.
    async fn findings(&self, source: &BrSource, id: &BackupId) -> Vec<String> {
        self.clock.advance(Duration::from_secs(1));
        let report = self.repository.verify(&self.cx(), &self.set, id, VerifyLevel::Restorable, Some(source)).await.unwrap();
        report.record.findings.iter().map(|finding| format!("{finding:?}")).collect()
    }

    async fn assert_nothing_published(&self) {
        assert_eq!(self.repository.list(&self.cx(), &self.set).await.unwrap().len(), 0);
    }

    /// The key of a file in the store.
    async fn key(&self, id: &BackupId, name: &str) -> String {
        format!("{}{name}", self.open(id).await.manifest().prefix)
    }
}
