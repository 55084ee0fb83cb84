//! What every method of a store and a source is given: the job it works for.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::environment::{Clock, Environment};
use crate::error::{Error, Result, codes};
use crate::event::{Event, Observer};
use crate::name::JobId;

/// The job a call belongs to: cancel token, deadline, progress, events. Cheap to clone.
///
/// The engine never cancels a job by dropping its future: it signals the token, and the job's own task cleans up.
/// A driver passes each wait through [`JobContext::run`], or looks at [`JobContext::check`] between steps.
#[derive(Clone)]
pub struct JobContext {
    shared: Arc<Shared>,
    cancel: CancellationToken,
    deadline: Option<Duration>,
}

struct Shared {
    job: JobId,
    environment: Environment,
    observer: Arc<dyn Observer>,
    progress: Progress,
}

/// Bytes done and expected of a job, readable at any time.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    expected: AtomicU64,
}

impl Progress {
    /// Adds bytes that were moved.
    pub fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Adds bytes that are going to be moved.
    pub fn expect(&self, bytes: u64) {
        self.expected.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes moved so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Bytes expected in all, 0 when nobody knows.
    pub fn expected(&self) -> u64 {
        self.expected.load(Ordering::Relaxed)
    }
}

impl JobContext {
    /// A context for a new job with a random id.
    pub fn new(environment: Environment, observer: Arc<dyn Observer>) -> Self {
        let job = JobId::random(&*environment.random);
        Self::for_job(job, environment, observer)
    }

    /// A context for the job with this id.
    pub fn for_job(job: JobId, environment: Environment, observer: Arc<dyn Observer>) -> Self {
        let shared = Shared { job, environment, observer, progress: Progress::default() };
        Self { shared: Arc::new(shared), cancel: CancellationToken::new(), deadline: None }
    }

    /// The job's id.
    pub fn job(&self) -> &JobId {
        &self.shared.job
    }

    /// The token that cancels the job.
    pub fn cancel_token(&self) -> &CancellationToken {
        &self.cancel
    }

    /// The injected clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.environment.clock
    }

    /// Clock and random numbers.
    pub fn environment(&self) -> &Environment {
        &self.shared.environment
    }

    /// The job's progress.
    pub fn progress(&self) -> &Progress {
        &self.shared.progress
    }

    /// Reports an event to the observer.
    pub fn event(&self, event: Event) {
        self.shared.observer.event(self, &event);
    }

    /// A context of the same job that ends at the latest after `limit`, counted from now.
    #[must_use]
    pub fn with_limit(&self, limit: Duration) -> Self {
        let ends = self.clock().monotonic().saturating_add(limit);
        let deadline = Some(self.deadline.map_or(ends, |deadline| deadline.min(ends)));
        Self { deadline, ..self.clone() }
    }

    /// A context of the same job that a cancel no longer reaches, ended after `limit`: for cleaning up.
    #[must_use]
    pub fn for_cleanup(&self, limit: Duration) -> Self {
        Self { cancel: CancellationToken::new(), deadline: None, ..self.clone() }.with_limit(limit)
    }

    /// A context of the same job whose own cancel does not reach the job.
    pub(crate) fn child(&self) -> Self {
        Self { cancel: self.cancel.child_token(), ..self.clone() }
    }

    /// The time left until the deadline, or `None` without one.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_sub(self.clock().monotonic()))
    }

    /// # Errors
    /// `job.cancelled` or `job.deadline` when the job has to end.
    pub fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(cancelled());
        }
        match self.remaining() {
            Some(Duration::ZERO) => Err(past_deadline()),
            _ => Ok(()),
        }
    }

    /// Waits for `work`, unless the job is cancelled or its deadline passes first; then `work` is dropped where it
    /// stands, so it must be cancel safe, or what it touched must be given up.
    ///
    /// # Errors
    /// Those of `work`, `job.cancelled`, `job.deadline`.
    pub async fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let remaining = self.remaining();
        let deadline = async {
            match remaining {
                Some(left) => self.clock().sleep(left).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(cancelled()),
            result = work => result,
            () = deadline => Err(past_deadline()),
        }
    }

    /// Sleeps, unless the job ends first.
    ///
    /// # Errors
    /// `job.cancelled`, `job.deadline`.
    pub async fn sleep(&self, duration: Duration) -> Result<()> {
        self.run(async {
            self.clock().sleep(duration).await;
            Ok(())
        })
        .await
    }
}

fn cancelled() -> Error {
    Error::new(&codes::JOB_CANCELLED, "the job was cancelled")
}

fn past_deadline() -> Error {
    Error::new(&codes::JOB_DEADLINE, "the job's deadline passed")
}

impl fmt::Debug for JobContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobContext")
            .field("job", &self.shared.job)
            .field("cancelled", &self.cancel.is_cancelled())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
