//! What is kept of a job: everything that polling shows, and no secret.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::failure;
use super::request::{Destination, JobRequest};
use super::stage::{Operation, Stage};
use super::work::{BackupFile, Ending};

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// It runs, or waits for another job of its database.
    Running,
    /// It did what it was asked for.
    Succeeded,
    /// It did not.
    Failed,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) operation: Operation,
    pub(super) id: String,
    pub(super) host: String,
    pub(super) database: String,
    pub(super) destination: Shown,
    pub(super) compression: bool,
    pub(super) skip_storage: bool,
    pub(super) status: Status,
    pub(super) error: Option<String>,
    pub(super) failed_phase: Option<Stage>,
    pub(super) file: Option<BackupFile>,
    pub(super) accepted_at: DateTime<Utc>,
    pub(super) started_at: Option<DateTime<Utc>>,
    pub(super) ended_at: Option<DateTime<Utc>>,
    pub(super) execution_ms: u64,
}

/// What may be seen of a destination.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Shown {
    pub(super) kind: String,
    pub(super) tls: bool,
    pub(super) region: String,
    pub(super) endpoint: String,
    pub(super) bucket: String,
    pub(super) auth_url: String,
    pub(super) domain: String,
    pub(super) container: String,
    pub(super) project: String,
    pub(super) prefix: String,
}

impl Shown {
    fn of(destination: &Destination) -> Self {
        let shown = Self { kind: destination.kind().to_owned(), prefix: destination.prefix().to_owned(), ..Self::default() };
        match destination {
            Destination::S3(s3) => {
                Self { tls: s3.tls, region: s3.region.clone(), endpoint: s3.endpoint.clone(), bucket: s3.bucket.clone(), ..shown }
            }
            Destination::Swift(swift) => Self {
                auth_url: swift.auth_url.clone(),
                domain: swift.domain.clone(),
                region: swift.region.clone(),
                container: swift.container.clone(),
                project: swift.project.clone(),
                ..shown
            },
        }
    }
}

impl Record {
    pub(super) fn new(request: &JobRequest, now: DateTime<Utc>) -> Self {
        Self {
            operation: request.operation,
            id: request.id.clone(),
            host: request.database.host.clone(),
            database: request.database.name.clone(),
            destination: Shown::of(&request.destination),
            compression: request.compression,
            skip_storage: request.skip_storage,
            status: Status::Running,
            error: None,
            failed_phase: None,
            file: None,
            accepted_at: now,
            started_at: None,
            ended_at: None,
            execution_ms: 0,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.status != Status::Running
    }

    pub(super) fn end(&mut self, ending: &Ending, now: DateTime<Utc>) {
        match failure::text(self.operation, &self.destination.kind, &ending.failures) {
            None => self.status = Status::Succeeded,
            Some(text) => self.fail(text, ending.failures.first().map(|failure| failure.stage)),
        }
        self.file.clone_from(&ending.file);
        self.ended_at = Some(now);
    }

    /// It failed for a reason that is no stage's own.
    pub(super) fn give_up(&mut self, why: &str, phase: Option<Stage>, now: DateTime<Utc>) {
        self.fail(failure::sentence(self.operation, why), phase);
        self.ended_at = Some(now);
    }

    fn fail(&mut self, text: String, phase: Option<Stage>) {
        (self.status, self.error, self.failed_phase) = (Status::Failed, Some(text), phase);
    }
}
