//! All jobs that are known: in memory for looking, in the state for after a restart.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::sync::watch;

use super::job::{JobRecord, JobState};
use crate::context::JobContext;
use crate::environment::Clock;
use crate::error::{Error, Result, codes};
use crate::name::JobId;
use crate::repository::earlier;
use crate::state::{Expected, State};

/// Under this prefix of the state a record lies under its job's id.
const PREFIX: &str = "jobs/";

/// Records read from the state at a time.
const PAGE: usize = 1000;

/// Finished jobs beyond this number go, whatever their age.
const MAX_FINISHED: usize = 10_000;

#[derive(Debug)]
pub(super) struct JobTable {
    state: Arc<dyn State>,
    clock: Arc<dyn Clock>,
    keep_finished: Duration,
    jobs: Mutex<HashMap<JobId, Arc<Job>>>,
}

/// One job of this table.
#[derive(Debug)]
pub(super) struct Job {
    record: Mutex<JobRecord>,
    /// The context it runs in; `None` for a job of an earlier process.
    pub(super) cx: Option<JobContext>,
    pub(super) changed: watch::Sender<JobState>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(id: &JobId) -> String {
    format!("{PREFIX}{id}")
}

fn encode(record: &JobRecord) -> Result<Bytes> {
    let unwritable = |error| Error::new(&codes::INTERNAL, "a job's record cannot be written").with_source(error);
    serde_json::to_vec(record).map(Bytes::from).map_err(unwritable)
}

impl Job {
    pub(super) fn new(record: JobRecord, cx: Option<JobContext>) -> Self {
        let changed = watch::Sender::new(record.state);
        Self { record: Mutex::new(record), cx, changed }
    }

    /// The record as of now, with the progress of a running job.
    pub(super) fn snapshot(&self) -> JobRecord {
        let mut record = locked(&self.record).clone();
        if let Some(cx) = &self.cx {
            (record.bytes_done, record.bytes_expected) = (cx.progress().done(), cx.progress().expected());
        }
        record
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut JobRecord)) {
        change(&mut locked(&self.record));
    }

    pub(super) fn state(&self) -> JobState {
        locked(&self.record).state
    }

    /// When it ended, if it did, with its id.
    fn ended(&self) -> Option<(DateTime<Utc>, JobId)> {
        let record = locked(&self.record);
        record.ended_at.map(|ended| (ended, record.id.clone()))
    }
}

impl JobTable {
    /// The table that an earlier process left; what was not over is interrupted.
    pub(super) async fn load(state: Arc<dyn State>, clock: Arc<dyn Clock>, keep_finished: Duration) -> Result<Self> {
        let mut jobs = HashMap::new();
        let mut after: Option<String> = None;
        loop {
            let page = state.range(PREFIX, after.as_deref(), PAGE).await?;
            for (key, entry) in &page {
                match serde_json::from_slice::<JobRecord>(&entry.value) {
                    Ok(mut record) => {
                        if !record.state.is_over() {
                            record.end(JobState::Interrupted, clock.now());
                            state.compare_and_set(key, Expected::Version(entry.version), Some(encode(&record)?)).await?;
                        }
                        jobs.insert(record.id.clone(), Arc::new(Job::new(record, None)));
                    }
                    Err(error) => tracing::warn!(key, %error, "a job's record cannot be read, and is left alone"),
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => after = Some(last.clone()),
                _ => break,
            }
        }
        let table = Self { state, clock, keep_finished, jobs: Mutex::new(jobs) };
        table.forget_old().await;
        Ok(table)
    }

    /// Adds a job. The second with the id of a known one is refused with that one, also while the first is still being stored.
    pub(super) async fn add(&self, job: Arc<Job>) -> Result<Result<(), Arc<Job>>> {
        let record = job.snapshot();
        let stored = encode(&record)?;
        match locked(&self.jobs).entry(record.id.clone()) {
            Entry::Occupied(known) => return Ok(Err(Arc::clone(known.get()))),
            Entry::Vacant(place) => place.insert(job),
        };
        // Stored before anything is done: a job that runs is in the state. A record that is there already is what an earlier try left
        // whose answer was lost.
        let kept = self.state.compare_and_set(&key(&record.id), Expected::Absent, Some(stored)).await;
        if kept.is_err() {
            locked(&self.jobs).remove(&record.id);
        }
        kept.map(|_| Ok(()))
    }

    /// Keeps what a job's record says now. A state that fails costs the memory of this job after a restart, not the job.
    pub(super) async fn keep(&self, job: &Job) {
        let record = job.snapshot();
        let kept = async {
            let stored = encode(&record)?;
            self.state.compare_and_set(&key(&record.id), Expected::Any, Some(stored)).await
        };
        if let Err(error) = kept.await {
            tracing::warn!(job = %record.id, %error, "the state of a job could not be kept");
        }
        job.changed.send_replace(record.state);
    }

    pub(super) fn get(&self, id: &JobId) -> Option<Arc<Job>> {
        locked(&self.jobs).get(id).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Job>> {
        locked(&self.jobs).values().cloned().collect()
    }

    /// Drops finished jobs past their time.
    pub(super) async fn forget_old(&self) {
        let before = earlier(self.clock.now(), self.keep_finished);
        let mut over: Vec<_> = self.all().into_iter().filter_map(|job| job.ended()).collect();
        over.sort_unstable_by(|a, b| b.cmp(a));
        for (_, id) in
            over.iter().enumerate().filter(|(place, (ended, _))| *place >= MAX_FINISHED || *ended < before).map(|(_, job)| job)
        {
            if let Err(error) = self.state.compare_and_set(&key(id), Expected::Any, None).await {
                tracing::warn!(%error, "old jobs could not be removed from the state");
                return;
            }
            locked(&self.jobs).remove(id);
        }
    }
}
