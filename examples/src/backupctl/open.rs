//! The repository that the arguments name, opened no further than a verb needs.

use std::sync::Arc;

use backup_core::naming::Naming;
use backup_core::repository::BackupInfo;
use backup_core::{Environment, JobContext, Repository, SetName};
use backup_http::etcd_backup::SnapshotNaming;
use backup_stores::StoreConfig;

use super::arguments::{Arguments, Which};
use super::failure::Failure;
use crate::config::{Dialect, StoreSection, sidecar_naming};

/// The one set of etcd-backup.
const ETCD_BACKUP_SET: &str = "etcd";

/// Where the backups are, and how they are named.
#[derive(Debug, Clone)]
pub(super) struct Place {
    store: StoreConfig,
    names: Names,
}

/// How a server names its backups.
#[derive(Debug, Clone)]
pub(super) struct Names {
    naming: Arc<dyn Naming>,
    /// Sets that the configuration speaks of: they are there for us even when all they hold is files without a manifest.
    sets: Vec<SetName>,
}

/// The naming of the server whose configuration this is; for a store alone that of our own backups.
fn naming_for(config: Option<&StoreSection>, store: &StoreConfig) -> Result<Names, Failure> {
    match config.map_or(Dialect::Own, StoreSection::dialect) {
        Dialect::EtcdSidecar { namespace, cluster } => {
            let naming = sidecar_naming(store, &namespace, &cluster)?;
            Ok(Names { sets: vec![naming.set().clone()], naming: Arc::new(naming) })
        }
        Dialect::EtcdBackup => {
            let naming = SnapshotNaming::new(Environment::default().clock);
            Ok(Names { naming: Arc::new(naming), sets: vec![SetName::new(ETCD_BACKUP_SET)?] })
        }
        _ => Ok(Names { naming: own_naming(store), sets: Vec::new() }),
    }
}

/// Default names, and what Cinder's own backup service left beside them.
#[cfg(feature = "cinder")]
fn own_naming(store: &StoreConfig) -> Arc<dyn Naming> {
    use backup_sources::cinder::naming::CinderNaming;

    let clock = Environment::default().clock;
    match store.kind() {
        "fs" | "nfs" => Arc::new(CinderNaming::in_directory(clock)),
        _ => Arc::new(CinderNaming::in_bucket(clock)),
    }
}

#[cfg(not(feature = "cinder"))]
fn own_naming(_: &StoreConfig) -> Arc<dyn Naming> {
    Arc::new(backup_core::naming::DefaultNaming)
}

impl Place {
    pub(super) fn of(arguments: &Arguments) -> Result<Self, Failure> {
        let section = arguments.config.as_deref().map(StoreSection::load).transpose()?;
        let store = match (&arguments.store, &section) {
            (Some(store), _) => store.clone(),
            (None, Some(section)) => section.store()?,
            (None, None) => return Err(Failure::usage("where are the backups? give --store URL or --config FILE; see --help")),
        };
        let names = naming_for(section.as_ref(), &store)?;
        Ok(Self { store, names })
    }

    /// For verbs that only look: makes nothing, and works on a read-only mount.
    pub(super) async fn read_only(&self, cx: &JobContext) -> Result<Repository, Failure> {
        Ok(self.repository(self.store.open_read_only(cx).await?))
    }

    /// For verbs that change something. The store must be there: a slip in its name does not make another one.
    pub(super) async fn writable(&self, cx: &JobContext) -> Result<Repository, Failure> {
        self.store.open_read_only(cx).await?;
        Ok(self.repository(self.store.open(cx).await?))
    }

    fn repository(&self, store: Arc<dyn backup_core::Store>) -> Repository {
        Repository::builder(store).naming(Arc::clone(&self.names.naming)).build()
    }

    /// All sets that hold anything.
    pub(super) async fn sets(&self, cx: &JobContext, repository: &Repository) -> Result<Vec<SetName>, Failure> {
        let mut sets = repository.sets(cx).await?;
        sets.extend(self.names.sets.iter().cloned());
        sets.sort();
        sets.dedup();
        Ok(sets)
    }

    /// The backups of a set, oldest first; none at all is "not found", with what there is instead.
    pub(super) async fn backups(
        &self,
        cx: &JobContext,
        repository: &Repository,
        set: &SetName,
    ) -> Result<Vec<Arc<BackupInfo>>, Failure> {
        let backups = repository.list_with_parents(cx, set).await?;
        if !backups.is_empty() {
            return Ok(backups);
        }
        let sets: Vec<_> = self.sets(cx, repository).await?.iter().map(SetName::to_string).collect();
        let there = if sets.is_empty() { "none at all".to_owned() } else { sets.join(", ") };
        Err(Failure::not_found(format!("there is no backup of `{set}`; the sets here: {there}")))
    }

    /// The backup that was asked for.
    pub(super) async fn find(
        &self,
        cx: &JobContext,
        repository: &Repository,
        set: &SetName,
        which: &Which,
    ) -> Result<Arc<BackupInfo>, Failure> {
        let backups = self.backups(cx, repository, set).await?;
        match which {
            Which::Latest => backups
                .iter()
                .rev()
                .find(|info| info.is_good())
                .cloned()
                .ok_or_else(|| Failure::not_found(format!("`{set}` has no good backup; `list {set}` shows the others"))),
            Which::Id(id) => backups
                .into_iter()
                .find(|info| info.id == *id)
                .ok_or_else(|| Failure::not_found(format!("there is no backup {id} in `{set}`"))),
        }
    }
}
