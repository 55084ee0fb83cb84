//! Notes in the reserved place: whose the unfinished uploads are.

use backup_core::{Bytes, JobContext, JobId, Result};
use http::Method;
use serde::{Deserialize, Serialize};

use super::bucket::Bucket;
use super::names::Note;
use super::wire::{Ask, checksum};

/// A note names more than one key would need.
const LONGEST: u64 = 64 << 10;

/// What a note of an upload says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct UploadNote {
    /// The name of the object in the bucket.
    pub(super) object: String,
    /// The upload, once the server has named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) upload: Option<String>,
}

impl Bucket {
    /// The name of a new note of an upload of `job`.
    pub(super) fn note_name(&self, cx: &JobContext, job: &JobId) -> String {
        let random = cx.environment().random.next_u64();
        format!("{}{}", self.names.reserved(), Note::Upload(job.clone()).name(random))
    }

    /// Writes a note, or writes it anew.
    pub(super) async fn write_note(&self, cx: &JobContext, name: &str, note: &UploadNote) -> Result<()> {
        let body = vec![Bytes::from(serde_json::to_vec(note).unwrap_or_default())];
        let sum = checksum(&body);
        self.wire.ask(cx, Ask::new("PutObject", Method::PUT, name).body(body, sum)).await.map(drop)
    }

    /// Reads a note; `None` when it is gone, or is none.
    pub(super) async fn read_note(&self, cx: &JobContext, name: &str) -> Result<Option<UploadNote>> {
        match self.wire.ask(cx, Ask::new("GetObject", Method::GET, name)).await {
            Ok(answer) if answer.body().len() as u64 > LONGEST => Ok(None),
            Ok(answer) => Ok(serde_json::from_slice(answer.body()).ok()),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes something from the reserved place; fine when it is gone.
    pub(super) async fn remove_reserved(&self, cx: &JobContext, name: &str) -> Result<()> {
        match self.wire.ask(cx, Ask::new("DeleteObject", Method::DELETE, name)).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }
}
