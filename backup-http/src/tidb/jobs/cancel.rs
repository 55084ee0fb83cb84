//! Ending a backup that runs.

use crate::tidb::Inner;
use crate::tidb::errors::{CANCEL_FAILED, Failure, PARAMETER, QUERY_FAILED};
use crate::tidb::id::RecordId;

impl Inner {
    /// Asks a backup of that cluster to end. It turns `Failed` when it has.
    ///
    /// # Errors
    /// 10001 when nothing is named, 20604 when there is no such backup, 10003, 20611 when it does not run.
    pub(in crate::tidb) async fn cancel(&self, cluster: &str, backup: &str) -> Result<(), Failure> {
        for (name, value) in [("clusterId", cluster), ("backupId", backup)] {
            if value.is_empty() {
                return Err(PARAMETER.because(format!("{name} is empty")));
            }
        }
        let none =
            || QUERY_FAILED.because(format!("the cluster {:?} has no backup {:?}", super::shown(cluster), super::shown(backup)));
        let id = RecordId::parse(backup).ok_or_else(none)?;
        let record = self.records.get(id).await.map_err(|error| QUERY_FAILED.caused(&error))?;
        let record = record.filter(|record| record.cluster == cluster).ok_or_else(none)?;
        self.cluster(cluster)?;
        if record.status.is_over() {
            return Err(CANCEL_FAILED.because(format!("the backup is {}", record.status.as_str())));
        }
        let live = self.live().jobs.get(&id).map(|live| live.cancel.clone());
        let cancel = live.ok_or_else(|| CANCEL_FAILED.because("the backup does not run in this process"))?;
        cancel.cancel();
        tracing::info!(cluster, backup = %id, "asked to end");
        Ok(())
    }
}
