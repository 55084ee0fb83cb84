//! What the kinds of jobs come back with, and what of it stands in their records.

use super::job::{JobRecord, JobState};
use crate::error::Result;
use crate::repository::{BackupOutcome, PruneReport, VerifyReport};
use crate::source::RestoreReport;

/// How a backup job ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct BackupDone {
    /// The backup.
    pub outcome: BackupOutcome,
    /// What retention did after it; `None` when nothing new was made, or the target has no policy. Its failure never fails the backup.
    pub retention: Option<Result<PruneReport>>,
}

/// Writes a result into the job's record.
pub(super) trait Outcome: Send + Sync + 'static {
    fn note(&self, record: &mut JobRecord) -> JobState;
}

impl Outcome for BackupDone {
    fn note(&self, record: &mut JobRecord) -> JobState {
        record.backup = Some(self.outcome.backup().id.clone());
        match &self.retention {
            Some(Ok(report)) => report.note_failures(record),
            Some(Err(error)) => record.retention_error = Some(error.into()),
            None => {}
        }
        match &self.outcome {
            BackupOutcome::Skipped(..) => return JobState::Skipped,
            BackupOutcome::CompletedWithWarnings(_, warnings) => record.warnings.extend(warnings.iter().cloned()),
            BackupOutcome::Completed(_) => {}
        }
        JobState::Succeeded
    }
}

impl PruneReport {
    fn note_failures(&self, record: &mut JobRecord) {
        record.retention_error = self.failed.first().map(|(_, error)| error.into());
        record.warnings.extend(self.failed.iter().map(|(id, error)| format!("backup {id} could not be removed: {error}")));
    }
}

impl Outcome for PruneReport {
    fn note(&self, record: &mut JobRecord) -> JobState {
        self.note_failures(record);
        JobState::Succeeded
    }
}

impl Outcome for RestoreReport {
    fn note(&self, record: &mut JobRecord) -> JobState {
        record.warnings.extend(self.warnings.iter().cloned());
        JobState::Succeeded
    }
}

impl Outcome for VerifyReport {
    fn note(&self, record: &mut JobRecord) -> JobState {
        record.backup = Some(self.record.id.clone());
        let findings = self.record.findings.iter().map(|finding| format!("{}: {}", finding.code, finding.text));
        record.warnings.extend(findings);
        JobState::Succeeded
    }
}

impl Outcome for () {
    fn note(&self, _record: &mut JobRecord) -> JobState {
        JobState::Succeeded
    }
}
