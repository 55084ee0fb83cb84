//! The janitor in the background: what a crash left goes by itself.

use std::time::Duration;

use backup_core::repository::JanitorReport;
use backup_core::{ErrorKind, JobContext, Repository};

/// The first time, when whoever waited for the start has been served.
const FIRST: Duration = Duration::from_secs(60);

/// Between two times. It finds nothing that is younger than the grace period of the repository, an hour.
const PAUSE: Duration = Duration::from_secs(3600);

/// Runs until `cx` is cancelled.
pub(super) async fn run(repository: Repository, cx: JobContext) {
    let mut pause = FIRST;
    while cx.sleep(pause).await.is_ok() {
        pause = PAUSE;
        match repository.janitor(&cx).await {
            Ok(report) => tell(&report),
            Err(error) if error.kind() == ErrorKind::Cancelled => return,
            Err(error) => tracing::warn!(%error, "the janitor could not look; it tries again in an hour"),
        }
    }
}

fn tell(report: &JanitorReport) {
    for problem in &report.problems {
        tracing::warn!(error = %problem, "the janitor could not do everything");
    }
    let work =
        [report.aborted.len() as u64, report.objects, report.intents, report.removals, report.withdrawn, report.unfinished];
    if work.iter().any(|count| *count > 0) {
        tracing::info!(
            aborted = report.aborted.len(),
            objects = report.objects,
            removals = report.removals,
            unfinished = report.unfinished,
            "the janitor removed what interrupted jobs left"
        );
    }
}
