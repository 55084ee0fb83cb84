//! Strategies: kept in the state, fired by a scheduler of our own.

use std::sync::{Arc, Weak};
use std::time::Duration;

use backup_core::error::codes;
use backup_core::schedule::{Action, Fire, Fired, Schedule};
use backup_core::state::Expected;
use backup_core::{Error, JobId, Result, SetName, async_trait};

use super::Inner;
use super::errors::{CLUSTER_NOT_FOUND, Failure, MAINTENANCE, STRATEGY_QUERY, STRATEGY_SAVE};
use super::id::RecordId;
use super::jobs::Order;
use super::record::{BackupType, Mode};
use super::strategy::Strategy;
use crate::kept;

/// Under this prefix of the state a strategy lies under its cluster's id.
const PREFIX: &str = "tidb/strategies/";

/// How often it is looked what other processes on this state have set.
const LOOK: Duration = Duration::from_secs(60);

fn key(cluster: &str) -> String {
    format!("{PREFIX}{cluster}")
}

fn name(cluster: &str) -> String {
    format!("tidb/{cluster}")
}

impl Inner {
    /// The strategy of a cluster; `None` when none was ever set.
    pub(super) async fn strategy(&self, cluster: &str) -> Result<Option<Strategy>, Failure> {
        // No cluster is called so, and the state takes no key of any length.
        if SetName::new(cluster).is_err() {
            return Ok(None);
        }
        kept::get(&*self.state, &key(cluster)).await.map_err(|error| STRATEGY_QUERY.caused(&error))
    }

    pub(super) async fn set_strategy(&self, cluster: &str, strategy: &Strategy) -> Result<(), Failure> {
        self.cluster(cluster)?;
        let failed = |error: Error| STRATEGY_SAVE.caused(&error);
        kept::set(&*self.state, &key(cluster), Expected::Any, strategy).await.map_err(failed)?;
        self.apply(cluster, strategy).map_err(failed)?;
        tracing::info!(cluster, date = strategy.date, period = strategy.period(), "the strategy was set");
        Ok(())
    }

    /// Lets the scheduler know. One without days stays with the scheduler as it was, and fires nothing (see [`Firing`]): taken away, what
    /// has fired today would be forgotten.
    fn apply(&self, cluster: &str, strategy: &Strategy) -> Result<()> {
        match strategy.trigger(self.zone)? {
            Some(trigger) => self.scheduler.set(Schedule::new(name(cluster), SetName::new(cluster)?, Action::Backup, trigger)),
            None => Ok(()),
        }
    }

    /// Takes up the strategies of all clusters that are configured.
    pub(super) async fn take_up_strategies(&self) -> Result<()> {
        let mut found = Vec::new();
        kept::each(&*self.state, PREFIX, None, |key, strategy: Strategy| {
            found.extend(key.strip_prefix(PREFIX).map(|cluster| (cluster.to_owned(), strategy)));
        })
        .await?;
        for (cluster, strategy) in found.iter().filter(|(cluster, _)| self.clusters.contains_key(cluster)) {
            // One that cannot be used must not stop the others.
            if let Err(error) = self.apply(cluster, strategy) {
                tracing::error!(cluster, %error, "a strategy cannot be used; it fires nothing until it is set anew");
            }
        }
        Ok(())
    }

    /// Goes on taking up what other processes set.
    pub(super) fn follow_strategies(self: &Arc<Self>) {
        let (this, clock) = (Arc::downgrade(self), Arc::clone(&self.environment.clock));
        let stopping = self.stopping.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = clock.sleep(LOOK) => {}
                    () = stopping.cancelled() => return,
                }
                let Some(this) = this.upgrade() else { return };
                if let Err(error) = this.take_up_strategies().await {
                    tracing::warn!(%error, "the strategies could not be looked at; what is known of them holds");
                }
            }
        });
    }

    async fn fire(self: &Arc<Self>, schedule: &Schedule, job: &JobId) -> Result<Fired> {
        let cluster = schedule.set.as_str();
        // Another process may have set another one, or none.
        let strategy: Option<Strategy> = kept::get(&*self.state, &key(cluster)).await?;
        let trigger = strategy.as_ref().map(|strategy| strategy.trigger(self.zone)).transpose()?.flatten();
        if trigger.as_ref() != Some(&schedule.trigger) {
            if let Some(strategy) = &strategy {
                self.apply(cluster, strategy)?;
            }
            return Ok(Fired::Busy);
        }
        if self.records.get(RecordId::of_firing(job)).await?.is_some() {
            if !self.live().jobs.contains_key(&RecordId::of_firing(job)) {
                self.scheduler.ended(&schedule.name, job);
            }
            return Ok(Fired::Accepted);
        }
        let order = Order {
            cluster: cluster.to_owned(),
            kind: BackupType::Full,
            mode: Mode::Auto,
            firing: Some((schedule.name.clone(), job.clone())),
        };
        match self.back_up(order).await {
            Ok(_) => Ok(Fired::Accepted),
            Err(failure) if failure.is(MAINTENANCE) || failure.is(CLUSTER_NOT_FOUND) => Ok(Fired::Busy),
            Err(failure) => Err(Error::new(&codes::SOURCE_FAILED, failure.detail().to_owned())),
        }
    }
}

/// The dialect, as its scheduler sees it. The dialect owns the scheduler, so this does not hold the dialect.
pub(super) struct Firing(pub(super) Weak<Inner>);

impl Firing {
    fn inner(&self) -> Result<Arc<Inner>> {
        self.0.upgrade().ok_or_else(|| Error::new(&codes::INTERNAL, "the dialect is gone"))
    }
}

#[async_trait]
impl Fire for Firing {
    async fn fire(&self, schedule: &Schedule, job: &JobId) -> Result<Fired> {
        self.inner()?.fire(schedule, job).await
    }

    async fn knows(&self, job: &JobId) -> Result<bool> {
        Ok(self.inner()?.records.get(RecordId::of_firing(job)).await?.is_some())
    }
}
