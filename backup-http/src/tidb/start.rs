//! From its parts to a dialect that takes requests.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use backup_core::schedule::Scheduler;
use backup_core::state::State;
use backup_core::zone::Zone;
use backup_core::{BackupService, Environment, Error, Repository, Result, SetName};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::auth::Tokens;
use super::records::Records;
use super::strategies::Firing;
use super::{Cluster, Inner, Live, TidbBackup, Token};
use crate::codes;

/// Bytes of a cluster's id at most.
const LONGEST_ID: usize = 100;

/// A dialect before it has started; see [`TidbBackup::builder`].
#[must_use]
pub struct TidbBuilder {
    service: BackupService,
    repository: Repository,
    state: Arc<dyn State>,
    environment: Environment,
    clusters: Vec<Arc<dyn Cluster>>,
    tokens: Vec<Token>,
    zone: Zone,
    path: String,
}

impl TidbBuilder {
    pub(super) fn new(service: BackupService, repository: Repository, state: Arc<dyn State>) -> Self {
        let (clusters, tokens) = (Vec::new(), Vec::new());
        Self {
            service,
            repository,
            state,
            environment: Environment::default(),
            clusters,
            tokens,
            zone: Zone::UTC,
            path: String::new(),
        }
    }

    /// Sets time and chance.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Sets the clusters.
    pub fn clusters(mut self, clusters: impl IntoIterator<Item = Arc<dyn Cluster>>) -> Self {
        self.clusters = clusters.into_iter().collect();
        self
    }

    /// Sets who may ask.
    pub fn tokens(mut self, tokens: impl IntoIterator<Item = Token>) -> Self {
        self.tokens = tokens.into_iter().collect();
        self
    }

    /// Sets the zone of strategies, of times in answers, and of the names of directories; UTC unless set.
    pub fn zone(mut self, zone: Zone) -> Self {
        self.zone = zone;
        self
    }

    /// Sets where the repository lies, as `filePath` in answers begins.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Starts.
    ///
    /// # Behavior
    /// Backups and restores that an earlier process left in the middle are ended in their clusters and recorded: as finished when the backup
    /// was published, else as failed. For that and for the records of backups that a lost state has forgotten, this waits two minutes at
    /// most; the rest goes on in the background, and a cluster takes no work before it is done.
    ///
    /// # Errors
    /// `http.config_invalid` for tokens and ids that cannot be used; those of the state.
    pub async fn start(self) -> Result<TidbBackup> {
        let refused = |why: String| Error::new(&codes::CONFIG_INVALID, why);
        let mut clusters = BTreeMap::new();
        for cluster in self.clusters {
            let id = cluster.id().to_owned();
            if id.len() > LONGEST_ID || id.contains('/') || SetName::new(id.as_str()).is_err() {
                let why = "is of letters, digits, `_`, `-` and `.`, does not begin with a dot or a date and time, and has 100 bytes at most";
                return Err(refused(format!("clusters: {id:?} cannot be the id of one; it {why}")));
            }
            if clusters.insert(id.clone(), cluster).is_some() {
                return Err(refused(format!("clusters: the id `{id}` is there twice")));
            }
        }
        let tokens = Tokens::new(&self.tokens)?;
        let records = Records::load(Arc::clone(&self.state), Arc::clone(&self.environment.clock)).await?;
        let inner = Arc::new_cyclic(|inner: &Weak<Inner>| Inner {
            scheduler: Scheduler::start(Arc::clone(&self.state), self.environment.clone(), Arc::new(Firing(Weak::clone(inner)))),
            service: self.service,
            repository: self.repository,
            state: self.state,
            environment: self.environment,
            clusters,
            tokens,
            zone: self.zone,
            path: self.path,
            records,
            live: Mutex::new(Live::default()),
            running: TaskTracker::new(),
            stopping: CancellationToken::new(),
            slots: Semaphore::new(super::jobs::AT_ONCE),
        });
        inner.recover().await?;
        inner.take_up_strategies().await?;
        inner.follow_strategies();
        Ok(TidbBackup { inner })
    }
}

impl fmt::Debug for TidbBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TidbBuilder").field("clusters", &self.clusters.len()).field("path", &self.path).finish_non_exhaustive()
    }
}
