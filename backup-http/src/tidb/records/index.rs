//! The compact index of all records: what filters and the order of a list need. The records themselves are in the state.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::Filter;
use crate::tidb::id::RecordId;
use crate::tidb::record::Record;

/// One record: some fifty bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    created: DateTime<Utc>,
    pub(super) id: RecordId,
    pub(super) cluster: Arc<str>,
    /// Unix seconds.
    started: i64,
    ended: i64,
    /// It has not ended.
    pub(super) open: bool,
}

impl Row {
    /// Its key in the state; keys order as records do, the oldest first.
    pub(super) fn key(&self) -> String {
        key(self.created, self.id)
    }
}

pub(super) fn key(created: DateTime<Utc>, id: RecordId) -> String {
    format!("{}{id}", key_of_time(created))
}

/// Up to and without the id.
pub(super) fn key_of_time(created: DateTime<Utc>) -> String {
    format!("{}{:020}-", super::PREFIX, created.timestamp_nanos_opt().unwrap_or_default().max(0))
}

#[derive(Debug, Default)]
pub(super) struct Index {
    /// The oldest first.
    rows: Vec<Row>,
    clusters: HashSet<Arc<str>>,
    /// When the state was last looked through.
    looked: Option<DateTime<Utc>>,
}

impl Index {
    /// Adds a record, or says anew what is known of it.
    pub(super) fn put(&mut self, record: &Record) {
        let cluster = match self.clusters.get(record.cluster.as_str()) {
            Some(known) => Arc::clone(known),
            None => {
                let new: Arc<str> = record.cluster.as_str().into();
                self.clusters.insert(Arc::clone(&new));
                new
            }
        };
        let row = Row {
            created: record.created_at,
            id: record.id,
            cluster,
            started: record.started_at.timestamp(),
            ended: record.ended_at.timestamp(),
            open: !record.status.is_over(),
        };
        let at = self.rows.partition_point(|other| (other.created, other.id) < (row.created, row.id));
        match self.rows.get_mut(at).filter(|other| other.id == row.id) {
            Some(known) => *known = row,
            None => self.rows.insert(at, row),
        }
    }

    pub(super) fn remove(&mut self, id: RecordId) {
        self.rows.retain(|row| row.id != id);
    }

    pub(super) fn find(&self, id: RecordId) -> Option<&Row> {
        // Those that are asked for are mostly new.
        self.rows.iter().rev().find(|row| row.id == id)
    }

    pub(super) fn open(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.open)
    }

    /// All that the state held at that time is here.
    pub(super) fn looked(&mut self, at: DateTime<Utc>) {
        self.looked = Some(at);
    }

    /// Up to where all is known at `now`, less a little: another process may be late with its own.
    pub(super) fn horizon(&self, now: DateTime<Utc>, slack: TimeDelta) -> Option<DateTime<Utc>> {
        // A clock that was set back makes records that are older than those of before.
        self.looked?.min(now).checked_sub_signed(slack)
    }

    /// The rows of a page, the newest first, and how many the filter lets through in all.
    pub(super) fn page(&self, filter: &Filter, page: u64, size: u64) -> (Vec<Row>, u64) {
        let skip = usize::try_from((page - 1).saturating_mul(size)).unwrap_or(usize::MAX);
        let take = usize::try_from(size).unwrap_or(usize::MAX);
        if filter.is_empty() {
            let rows = self.rows.iter().rev().skip(skip).take(take).cloned().collect();
            return (rows, self.rows.len() as u64);
        }
        let (mut rows, mut total) = (Vec::new(), 0_usize);
        for row in self.rows.iter().rev().filter(|row| row.is_chosen(filter)) {
            if total >= skip && rows.len() < take {
                rows.push(row.clone());
            }
            total += 1;
        }
        (rows, total as u64)
    }
}

impl Row {
    fn is_chosen(&self, filter: &Filter) -> bool {
        filter.cluster.as_deref().is_none_or(|cluster| *self.cluster == *cluster)
            && filter.id.is_none_or(|id| self.id == id)
            && filter.from.is_none_or(|from| self.started >= from)
            && filter.until.is_none_or(|until| self.ended <= until)
    }
}
