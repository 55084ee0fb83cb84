//! Calls to a remote service: one way through all limits, whose order cannot be got wrong because there is only this one.
//!
//! From the outside in: metrics, retries, the limit of parallel calls, bandwidth, the time limit of one attempt.

mod body;
mod call;
mod limits;
mod observe;
mod pace;
mod resumed;
mod retry;
mod run;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use backup_core::{JobContext, Result};
use tokio::sync::Semaphore;

pub use body::ByteStream;
pub use call::{Attempt, Call, Failure, Repeat};
pub use limits::CallLimits;
pub use observe::{CallObserver, CallRecord};

use pace::Pace;
use retry::Budget;

/// The way to one service. Cheap to clone; clones share all limits.
#[derive(Clone)]
pub struct Calls {
    shared: Arc<Shared>,
}

struct Shared {
    service: String,
    limits: CallLimits,
    parallel: Arc<Semaphore>,
    pace: Option<Pace>,
    budget: Budget,
    observer: Option<Arc<dyn CallObserver>>,
}

impl Calls {
    /// Calls to `service`, a name for messages and metrics.
    pub fn new(service: impl Into<String>, limits: CallLimits) -> Self {
        Self::observed(service, limits, None)
    }

    /// Calls that tell `observer` how each of them ended.
    pub fn observed(service: impl Into<String>, limits: CallLimits, observer: Option<Arc<dyn CallObserver>>) -> Self {
        let parallel = Arc::new(Semaphore::new(limits.parallel.clamp(1, Semaphore::MAX_PERMITS)));
        let (pace, budget) = (limits.bytes_per_second.map(Pace::new), Budget::new(&limits));
        Self { shared: Arc::new(Shared { service: service.into(), parallel, pace, budget, observer, limits }) }
    }

    /// The service's name.
    pub fn service(&self) -> &str {
        &self.shared.service
    }

    /// The limits.
    pub fn limits(&self) -> &CallLimits {
        &self.shared.limits
    }

    /// Waits until `bytes` more may pass: for bytes that are no call's own, as those of a body that is read after its call.
    ///
    /// # Errors
    /// Those of the context.
    ///
    /// # Cancel safety
    /// Who gives up waiting has used nothing of the bandwidth.
    pub async fn paced(&self, cx: &JobContext, bytes: u64) -> Result<()> {
        match &self.shared.pace {
            Some(pace) => pace.pass(cx, bytes).await,
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls")
            .field("service", &self.shared.service)
            .field("limits", &self.shared.limits)
            .finish_non_exhaustive()
    }
}
