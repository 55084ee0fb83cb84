//! BR by the SQL statements BACKUP and RESTORE of a TiDB server (`pkg/executor/brie.go` of pingcap/tidb).
//!
//! The statement blocks until BR is done, on a connection of its own. A second one looks after it: the process list tells whether it still
//! works, `SHOW BACKUPS` its step, and `KILL TIDB QUERY` ends it. A TiDB server that loses the first connection goes on working, so nothing here ever just hangs up.

mod clean;
mod failure;
mod process;
mod rows;
mod run;
mod session;
mod statement;
#[cfg(test)]
mod tests;
mod watch;

use backup_core::store::ExternalLocation;
use backup_core::{Error, JobContext, Result, async_trait};

use super::Tso;
use super::codes;
use super::config::{BrConfig, SqlConfig};
use super::executor::{Cluster, Done, Executor, Order};
use super::place::Place;
use clean::Cleaner;
use statement::Kind;
use watch::Watch;

/// TiDB's own table of what it knows about itself; `cluster_id` stands there since 8.5.6.
const CLUSTER_ID: &str = "SELECT VARIABLE_VALUE FROM mysql.tidb WHERE VARIABLE_NAME = 'cluster_id'";
const GC_SAFE_POINT: &str = "SELECT VARIABLE_VALUE FROM mysql.tidb WHERE VARIABLE_NAME = 'tikv_gc_safe_point'";

/// A TiDB server.
#[derive(Debug)]
pub(super) struct SqlExecutor {
    config: SqlConfig,
}

impl SqlExecutor {
    /// # Errors
    /// `br.config` for what cannot be said in SQL.
    pub(super) fn new(sql: &SqlConfig, config: &BrConfig) -> Result<Self> {
        statement::refuse_encryption(config.encryption.as_ref())?;
        for (name, time) in [("timeout", sql.timeout), ("poll", sql.poll), ("grace", sql.grace), ("silence", sql.silence)] {
            if time.is_zero() {
                return Err(Error::new(&codes::CONFIG, format!("`{name}` must be more than zero")));
            }
        }
        Ok(Self { config: sql.clone() })
    }
}

#[async_trait]
impl Executor for SqlExecutor {
    async fn identify(&self, cx: &JobContext) -> Result<Cluster> {
        let cleaner = Cleaner::new(&self.config.password, None);
        let mut server = Watch::new(&self.config, &cleaner);
        let told = rows::single(&server.ask(cx, "SELECT VERSION()").await?).unwrap_or_default();
        let version = match rows::version(&told) {
            Some(version) => version,
            // `server-version` of TiDB's configuration renames it; what is no TiDB does not know this function.
            None => match server.ask(cx, "SELECT TIDB_VERSION()").await {
                Ok(answer) => rows::single(&answer).and_then(|text| rows::release(&text)).unwrap_or_default(),
                Err(error) if error.code() == &codes::UNREACHABLE || cx.check().is_err() => return Err(error),
                Err(_) => {
                    let text = format!("the server at {} is no TiDB: it calls itself `{told}`", self.config.address);
                    return Err(Error::new(&codes::CONFIG, text));
                }
            },
        };
        // A user who may not read that table can still make backups.
        let id = match server.ask(cx, CLUSTER_ID).await {
            Ok(answer) => rows::single(&answer),
            Err(error) if error.code() == &codes::UNREACHABLE || cx.check().is_err() => return Err(error),
            Err(_) => None,
        };
        let known = |text: String| Some(text).filter(|text| !text.is_empty());
        Ok(Cluster { id: id.and_then(known), version: known(version) })
    }

    async fn gc_safe_point(&self, cx: &JobContext) -> Result<Option<Tso>> {
        let cleaner = Cleaner::new(&self.config.password, None);
        let answer = Watch::new(&self.config, &cleaner).ask(cx, GC_SAFE_POINT).await?;
        Ok(rows::single(&answer).and_then(|text| rows::gc_time(&text)))
    }

    async fn backup(&self, cx: &JobContext, order: &Order) -> Result<Done> {
        run::run(cx, &self.config, Kind::Backup, order).await
    }

    async fn restore(&self, cx: &JobContext, order: &Order) -> Result<Done> {
        run::run(cx, &self.config, Kind::Restore, order).await
    }

    async fn end_leftovers(&self, cx: &JobContext, location: &ExternalLocation) -> Result<usize> {
        run::end_leftovers(cx, &self.config, Place::of(location)?).await
    }
}
