//! All schedules, by name and by when there is something to do.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::NextRun;
use super::entry::{Entry, Phase};
use crate::name::JobId;
use crate::schedule::Schedule;

#[derive(Default)]
pub(super) struct Table {
    entries: HashMap<String, Entry>,
    /// Mirrors `due` of the entries.
    due: BTreeSet<(DateTime<Utc>, String)>,
    last_id: u64,
    pub(super) stopped: bool,
}

impl Table {
    pub(super) fn set(&mut self, schedule: Arc<Schedule>, now: DateTime<Utc>, monotonic: Duration) {
        let name = schedule.name.clone();
        if self.with(&name, |entry| entry.replace(schedule.clone(), now, monotonic)).is_none() {
            self.last_id += 1;
            self.entries.insert(name.clone(), Entry::new(self.last_id, schedule, now, monotonic));
            self.due.insert((now, name));
        }
    }

    /// What a step of the removed schedule holds.
    pub(super) fn remove(&mut self, name: &str) -> Option<Arc<tokio::sync::Mutex<()>>> {
        let entry = self.entries.remove(name)?;
        if let Some(due) = entry.due {
            self.due.remove(&(due, name.to_owned()));
        }
        Some(entry.busy)
    }

    pub(super) fn ended(&mut self, name: &str, job: &JobId, now: DateTime<Utc>, monotonic: Duration) {
        self.with(name, |entry| entry.ended(job, now, monotonic));
    }

    pub(super) fn restart(&mut self, name: &str, now: DateTime<Utc>, monotonic: Duration) {
        self.with(name, |entry| entry.restart(now, monotonic));
    }

    pub(super) fn set_back(&mut self, now: DateTime<Utc>, monotonic: Duration) {
        let names: Vec<String> = self.entries.keys().cloned().collect();
        for name in names {
            self.with(&name, |entry| entry.set_back(now, monotonic));
        }
    }

    pub(super) fn holds(&self, name: &str, id: u64) -> bool {
        self.entries.get(name).is_some_and(|entry| entry.id == id)
    }

    /// Changes an entry and keeps the order of what is due.
    pub(super) fn with<T>(&mut self, name: &str, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let entry = self.entries.get_mut(name)?;
        let before = entry.due;
        let result = change(entry);
        if before != entry.due {
            if let Some(before) = before {
                self.due.remove(&(before, name.to_owned()));
            }
            if let Some(due) = entry.due {
                self.due.insert((due, name.to_owned()));
            }
        }
        Some(result)
    }

    /// When there is something to do next.
    pub(super) fn next_due(&self) -> Option<DateTime<Utc>> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Takes out one for which there is something to do now.
    pub(super) fn pop_due(&mut self, now: DateTime<Utc>) -> Option<String> {
        let (due, name) = self.due.pop_first()?;
        if due > now {
            self.due.insert((due, name));
            return None;
        }
        if let Some(entry) = self.entries.get_mut(&name) {
            entry.due = None;
        }
        Some(name)
    }

    pub(super) fn next_runs(&self) -> Vec<NextRun> {
        let run = |entry: &Entry| {
            let schedule = &entry.schedule;
            let running = matches!(entry.phase, Phase::Running(_));
            Some(NextRun { schedule: schedule.name.clone(), set: schedule.set.clone(), at: entry.at?, running })
        };
        let mut runs: Vec<NextRun> = self.entries.values().filter_map(run).collect();
        runs.sort_by(|a, b| (a.at, &a.schedule).cmp(&(b.at, &b.schedule)));
        runs
    }
}
