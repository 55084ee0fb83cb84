//! The conformance suite of [`Source`]: each promise of the contract as a check that can fail.
//!
//! ```
//! use std::sync::Arc;
//! use backup_core::source::{ArtifactOptions, Probe, Sink, Source, Summary};
//! use backup_core::testkit::source_suite;
//! use backup_core::{ArtifactName, Bytes, JobContext, Result, async_trait};
//!
//! #[derive(Debug)]
//! struct Greeting;
//!
//! #[async_trait]
//! impl Source for Greeting {
//!     fn kind(&self) -> &str {
//!         "greeting"
//!     }
//!     async fn probe(&self, cx: &JobContext) -> Result<Probe> {
//!         cx.check()?;
//!         Ok(Probe::default())
//!     }
//!     async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
//!         cx.check()?;
//!         let mut writer = sink.artifact(&ArtifactName::new("greeting.txt")?, ArtifactOptions::default()).await?;
//!         writer.write(Bytes::from("hello")).await?;
//!         writer.close().await?;
//!         Ok(Summary::default())
//!     }
//! }
//!
//! struct Greetings;
//!
//! #[async_trait]
//! impl source_suite::SourceFactory for Greetings {
//!     async fn fresh(&self) -> Arc<dyn Source> {
//!         Arc::new(Greeting)
//!     }
//!     fn deterministic(&self) -> bool {
//!         true
//!     }
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() {
//!     source_suite::run(&Greetings).await;
//! }
//! ```

mod bench;
mod capture;
mod interrupt;
mod probe;
mod restore;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::environment::Environment;
use crate::source::{RestoreTarget, Source};
use crate::store::ExternalLocation;
use crate::testkit::suite::{self, Failure};
use bench::Bench;

/// Makes the sources that the suite runs over, and targets to restore into.
#[async_trait]
pub trait SourceFactory: Send + Sync {
    /// A source over something that can be captured and does not change while the suite looks at it. A few hundred KiB in several
    /// pieces test more than a few bytes.
    async fn fresh(&self) -> Arc<dyn Source>;

    /// The clock and random numbers that the job contexts of the suite carry. A virtual clock should advance itself.
    fn environment(&self) -> Environment {
        Environment::default()
    }

    /// Whether two captures of the unchanged thing give the same artifacts, byte for byte.
    fn deterministic(&self) -> bool {
        false
    }

    /// How long a source may take, by the runtime's clock, to return after a cancel or a failure.
    fn limit(&self) -> Duration {
        Duration::from_secs(30)
    }

    /// Where a source that writes by itself shall write. `None` offers no such place.
    async fn external_location(&self) -> Option<ExternalLocation> {
        None
    }

    /// The state of the thing that is backed up, looked up behind the source's back: its content, its locks, what a
    /// capture creates in it for a while. It must be the same after as before every probe and every capture, failed ones included.
    async fn fingerprint(&self) -> Option<String> {
        None
    }

    /// An empty target to restore what [`SourceFactory::fresh`] holds into; `None` for a source that does not restore.
    async fn target(&self) -> Option<Box<dyn TestTarget>> {
        None
    }
}

/// Something to restore into, with a look at what became of it.
#[async_trait]
pub trait TestTarget: Send + Sync {
    /// The target in the form that the source documents.
    fn target(&self) -> RestoreTarget;

    /// What somebody finds who relies on the target.
    async fn state(&self) -> TargetState;
}

/// What became of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetState {
    /// As it was before: nothing was restored.
    Untouched,
    /// It holds exactly what was backed up and passes for good.
    Good,
    /// It holds something else, or half of it, and nobody takes it for good.
    Unusable,
    /// It passes for good and is not what was backed up.
    Deceiving,
}

suite::conformance_suite!(
    "source",
    SourceFactory,
    [
        probe::probes_agree,
        probe::a_probe_changes_nothing,
        capture::a_capture_closes_what_it_opens,
        capture::a_summary_fits_the_probe,
        capture::captures_of_an_unchanged_source_agree,
        interrupt::an_ended_job_captures_nothing,
        interrupt::a_cancel_ends_a_capture,
        interrupt::a_failing_sink_fails_the_capture,
        restore::a_restore_brings_everything_back,
        restore::a_corrupt_backup_is_never_called_good,
        restore::an_ended_job_restores_nothing,
        restore::a_dry_run_checks_and_changes_nothing,
        restore::an_inspection_finds_no_fault_in_a_good_backup,
    ]
);
