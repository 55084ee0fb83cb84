//! From the submission of a job to its end.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::handle::JobHandle;
use super::job::{JobKind, JobRecord, JobState, Trigger};
use super::outcome::Outcome;
use super::table::Job;
use super::{BackupService, Target, codes};
use crate::context::JobContext;
use crate::error::{Error, Result};
use crate::event::{Event, Observer};
use crate::lease::{Lease, Leases};
use crate::name::JobId;

/// How a job is submitted.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SubmitOptions {
    /// The job's id, random when `None`. The same id twice is one job.
    pub id: Option<JobId>,
    /// The schedule that asks; a request when `None`.
    pub schedule: Option<String>,
    /// Refuse with `service.busy` instead of queueing.
    pub no_wait: bool,
    /// How long the job may run once it has its place.
    pub time_limit: Option<Duration>,
    /// Kept in the job's record.
    pub labels: Map<String, Value>,
}

impl SubmitOptions {
    /// Refuses instead of queueing.
    #[must_use]
    pub fn no_wait(mut self) -> Self {
        self.no_wait = true;
        self
    }

    /// Sets the time limit.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// Sets the id.
    #[must_use]
    pub fn id(mut self, id: JobId) -> Self {
        self.id = Some(id);
        self
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }
}

/// What a job does once it is its turn.
pub(super) type Work<T> = Box<dyn FnOnce(JobContext) -> BoxFuture<'static, Result<T>> + Send>;

/// The right to run: the turn in the set for a job that writes to it, and a place among the running ones.
struct Admission {
    _turn: Option<Box<dyn Lease>>,
    _place: OwnedSemaphorePermit,
}

/// Puts the events of a job into its record, and passes them on.
struct Recorder {
    job: OnceLock<Weak<Job>>,
    next: Arc<dyn Observer>,
}

impl Observer for Recorder {
    fn event(&self, cx: &JobContext, event: &Event) {
        if let Some(job) = self.job.get().and_then(Weak::upgrade) {
            match event {
                Event::Phase(phase) => job.update(|record| (record.phase, record.step) = (Some(phase.to_string()), None)),
                Event::Step { name, percent } => job.update(|record| {
                    record.step = Some(percent.map_or_else(|| name.clone(), |percent| format!("{name} {percent} %")));
                }),
                Event::Warning(_) => {}
            }
        }
        self.next.event(cx, event);
    }
}

/// Counts a job as queued until it is dropped.
struct Queued(BackupService);

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.inner.queued.fetch_sub(1, Ordering::AcqRel);
    }
}

impl BackupService {
    pub(super) async fn submit<T: Outcome>(
        &self,
        kind: JobKind,
        target: &Target,
        options: SubmitOptions,
        describe: impl FnOnce(&mut JobRecord),
        work: Work<T>,
    ) -> Result<JobHandle<T>> {
        let recorder = Arc::new(Recorder { job: OnceLock::new(), next: target.repository.observer() });
        let environment = target.repository.environment().clone();
        let id = options.id.unwrap_or_else(|| JobId::random(&*environment.random));
        let cx = JobContext::for_job(id.clone(), environment, Arc::clone(&recorder) as Arc<dyn Observer>);

        let mut record = JobRecord::new(id.clone(), kind, target.set().clone(), self.inner.environment.clock.now());
        record.labels = options.labels;
        if let Some(schedule) = options.schedule {
            record.trigger = Trigger::Schedule(schedule);
        }
        describe(&mut record);

        // Counted as running before it is looked whether the service stops, so that a stop waits for it.
        let running = self.inner.running.token();
        if self.inner.stopping.is_cancelled() {
            return Err(Error::new(&codes::STOPPING, "the service is being stopped and takes no more jobs"));
        }
        let queued = self.queue()?;
        let admitted = match options.no_wait {
            true => Some(self.admit(&cx, target, kind, false).await?),
            false => None,
        };
        let job = Arc::new(Job::new(record, Some(cx.clone())));
        let _ = recorder.job.set(Arc::downgrade(&job));
        let (send, result) = oneshot::channel();
        let (service, target, task_job) = (self.clone(), target.clone(), Arc::clone(&job));
        let beginning = async move {
            if let Err(known) = service.inner.table.add(Arc::clone(&task_job)).await? {
                let (id, state) = (known.snapshot().id, known.state());
                return Err(Error::new(&codes::JOB_EXISTS, format!("there is a job {id} already, and it is {}", state.as_str())));
            }
            // A stop that came meanwhile did not find it.
            if service.inner.stopping.is_cancelled() {
                cx.cancel_token().cancel();
            }
            service.told(&task_job);
            tokio::spawn(async move {
                let _running = running;
                let run = service.run(cx, &target, kind, &task_job, options.time_limit, queued, admitted, work);
                let panicked = |_| Err(Error::new(&crate::error::codes::INTERNAL, "the job's code panicked; the log says where"));
                let result = AssertUnwindSafe(run).catch_unwind().await.unwrap_or_else(panicked);
                service.ended(&task_job, &result).await;
                // Nobody may wait for it any more.
                let _ = send.send(result);
            });
            Ok(())
        };
        // In a task of its own: a submitter that goes away meanwhile must not leave a job in the state that is none.
        let begun = tokio::spawn(beginning).await;
        let ended_early = |error| Error::new(&crate::error::codes::INTERNAL, "submitting the job ended early").with_source(error);
        begun.map_err(ended_early)??;
        Ok(JobHandle { id, job, result })
    }

    /// Takes a place in the queue.
    fn queue(&self) -> Result<Queued> {
        let before = self.inner.queued.fetch_add(1, Ordering::AcqRel);
        let place = Queued(self.clone());
        if before >= self.inner.limits.queued {
            let what = format!("{before} jobs are queued already, which is the limit");
            return Err(Error::new(&codes::BUSY, what));
        }
        Ok(place)
    }

    async fn admit(&self, cx: &JobContext, target: &Target, kind: JobKind, wait: bool) -> Result<Admission> {
        // The turn first: a job that waits for its set must not hold a place that another set could use.
        let turn = match kind.writes() {
            true => Some(self.inner.turns.acquire(cx, target.set(), wait).await?),
            false => None,
        };
        let places = Arc::clone(&self.inner.places);
        let place = if wait {
            let closed = |error| Error::new(&crate::error::codes::INTERNAL, "there are no places").with_source(error);
            cx.run(async { places.acquire_owned().await.map_err(closed) }).await?
        } else {
            let full = format!("{} jobs are running already, which is the limit", self.inner.limits.running);
            places.try_acquire_owned().map_err(|_| Error::new(&codes::BUSY, full))?
        };
        Ok(Admission { _turn: turn, _place: place })
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one submission, taken apart once")]
    async fn run<T>(
        &self,
        cx: JobContext,
        target: &Target,
        kind: JobKind,
        job: &Job,
        limit: Option<Duration>,
        queued: Queued,
        admitted: Option<Admission>,
        work: Work<T>,
    ) -> Result<T> {
        let _admission = match admitted {
            Some(admission) => admission,
            None => self.admit(&cx, target, kind, true).await?,
        };
        drop(queued);
        cx.check()?;
        job.update(|record| {
            record.state = JobState::Running;
            record.started_at = Some(self.inner.environment.clock.now());
        });
        self.inner.table.keep(job).await;
        self.told(job);
        work(limit.map_or_else(|| cx.clone(), |limit| cx.with_limit(limit))).await
    }

    async fn ended<T: Outcome>(&self, job: &Job, result: &Result<T>) {
        let now = self.inner.environment.clock.now();
        job.update(|record| match result {
            Ok(outcome) => {
                let state = outcome.note(record);
                record.end(state, now);
            }
            Err(error) => record.fail(error, now),
        });
        self.forget_health();
        self.inner.table.keep(job).await;
        self.told(job);
        self.tell_schedules(&job.snapshot());
        self.inner.table.forget_old().await;
    }

    fn told(&self, job: &Job) {
        let record = job.snapshot();
        for observer in &self.inner.observers {
            // Somebody who only listens must not cost a job its end.
            if std::panic::catch_unwind(AssertUnwindSafe(|| observer.changed(&record))).is_err() {
                tracing::error!(job = %record.id, "an observer of jobs panicked");
            }
        }
    }
}
