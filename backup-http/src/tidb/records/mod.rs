//! The records: in the state, with a compact index of them in memory.

mod index;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backup_core::state::{Expected, State};
use backup_core::{Clock, Result};
use chrono::TimeDelta;
use futures::{StreamExt, TryStreamExt};

use super::id::RecordId;
use super::record::Record;
use crate::kept;
use index::{Index, Row};

/// Under this prefix of the state a record lies under the time at which it was made and its id.
const PREFIX: &str = "tidb/records/";

/// How late another process may be with a record of its own, or how much its clock may differ.
const SLACK: TimeDelta = TimeDelta::minutes(2);

/// Records read from the state at the same time.
const AT_ONCE: usize = 16;

/// Which records are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) cluster: Option<String>,
    pub(super) id: Option<RecordId>,
    /// Those that began in this second or later, Unix time.
    pub(super) from: Option<i64>,
    /// Those that ended in this second or earlier.
    pub(super) until: Option<i64>,
}

impl Filter {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Debug)]
pub(super) struct Records {
    state: Arc<dyn State>,
    clock: Arc<dyn Clock>,
    index: Mutex<Index>,
}

impl Records {
    /// Those that the state holds.
    pub(super) async fn load(state: Arc<dyn State>, clock: Arc<dyn Clock>) -> Result<Self> {
        let mut index = Index::default();
        index.looked(clock.now());
        kept::each(&*state, PREFIX, None, |_, record: Record| index.put(&record)).await?;
        Ok(Self { state, clock, index: Mutex::new(index) })
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a new record; false when it is there.
    pub(super) async fn create(&self, record: &Record) -> Result<bool> {
        let created = kept::set(&*self.state, &index::key(record.created_at, record.id), Expected::Absent, record).await?;
        if created {
            self.index().put(record);
        }
        Ok(created)
    }

    /// Keeps what is known of a record by now.
    pub(super) async fn update(&self, record: &Record) -> Result<()> {
        kept::set(&*self.state, &index::key(record.created_at, record.id), Expected::Any, record).await?;
        self.index().put(record);
        Ok(())
    }

    pub(super) async fn remove(&self, record: &Record) -> Result<()> {
        kept::remove(&*self.state, &index::key(record.created_at, record.id)).await?;
        self.index().remove(record.id);
        Ok(())
    }

    pub(super) async fn get(&self, id: RecordId) -> Result<Option<Record>> {
        let known = self.index().find(id).cloned();
        let row = match known {
            Some(row) => row,
            None => {
                // Another process may have made it just now.
                self.refresh().await?;
                let Some(row) = self.index().find(id).cloned() else { return Ok(None) };
                row
            }
        };
        self.read(&row).await
    }

    async fn read(&self, row: &Row) -> Result<Option<Record>> {
        let record = kept::get::<Record>(&*self.state, &row.key()).await?;
        match &record {
            Some(record) => self.index().put(record),
            None => self.index().remove(row.id),
        }
        Ok(record)
    }

    /// Takes up what other processes on this state have made since.
    async fn refresh(&self) -> Result<()> {
        let now = self.clock.now();
        let horizon = self.index().horizon(now, SLACK).map(index::key_of_time);
        let mut found = Vec::new();
        kept::each(&*self.state, PREFIX, horizon.as_deref(), |_, record: Record| found.push(record)).await?;
        let mut index = self.index();
        found.iter().for_each(|record| index.put(record));
        index.looked(now);
        Ok(())
    }

    /// A page of the list, the newest first, and how many records there are in all pages. `page` counts from 1.
    pub(super) async fn page(&self, filter: &Filter, page: u64, size: u64) -> Result<(Vec<Record>, u64)> {
        self.refresh().await?;
        let (rows, total) = self.index().page(filter, page.max(1), size);
        let wanted = rows.len();
        let records = futures::stream::iter(rows.into_iter().map(|row| async move { self.read(&row).await }));
        let records: Vec<Record> =
            records.buffered(AT_ONCE).try_filter_map(|record| futures::future::ready(Ok(record))).try_collect().await?;
        // What another process has removed meanwhile was still counted.
        let removed = (wanted - records.len()) as u64;
        Ok((records, total - removed))
    }

    /// The records of a cluster, or of all, that have not ended, the oldest first.
    pub(super) async fn open(&self, cluster: Option<&str>) -> Result<Vec<Record>> {
        self.refresh().await?;
        let is_of = |row: &&Row| cluster.is_none_or(|cluster| *row.cluster == *cluster);
        let rows: Vec<Row> = self.index().open().filter(is_of).cloned().collect();
        let mut open = Vec::new();
        for row in rows {
            open.extend(self.read(&row).await?.filter(|record| !record.status.is_over()));
        }
        Ok(open)
    }
}
