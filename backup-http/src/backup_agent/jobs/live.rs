//! A job of this process.

use std::sync::{Arc, Mutex};

use backup_core::event::TracingObserver;
use backup_core::{Environment, JobContext};
use tokio_util::sync::CancellationToken;

use super::locked;
use crate::backup_agent::record::Record;
use crate::backup_agent::work::{Progress, Run};

#[derive(Debug)]
pub(super) struct Job {
    record: Mutex<Record>,
    pub(super) run: Arc<dyn Run>,
    pub(super) cx: JobContext,
    ended: CancellationToken,
}

impl Job {
    pub(super) fn new(record: Record, run: Arc<dyn Run>, environment: &Environment) -> Self {
        let cx = JobContext::new(environment.clone(), Arc::new(TracingObserver));
        Self { record: Mutex::new(record), run, cx, ended: CancellationToken::new() }
    }

    pub(super) fn snapshot(&self) -> (Record, Progress) {
        let record = locked(&self.record).clone();
        (record, self.run.progress())
    }

    pub(super) fn record(&self) -> Record {
        locked(&self.record).clone()
    }

    pub(super) fn set(&self, record: Record) {
        *locked(&self.record) = record;
    }

    pub(super) fn cancel(&self) {
        self.cx.cancel_token().cancel();
    }

    /// Says that nothing of it is left to do.
    pub(super) fn end(&self) {
        self.ended.cancel();
    }

    /// Waits for that.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}
