//! From what the service knows to what this dialect says.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use backup_core::repository::BackupInfo;
use backup_core::{BackupOutcome, Error, Manifest, Result};
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::dto::Saved;
use super::{codes, naming};

/// The file name of a backup of this dialect, as long as the backup is not known to be damaged.
pub(super) fn listed_name(info: &BackupInfo) -> Option<&str> {
    info.first_key.as_ref().filter(|_| info.is_good() && info.artifacts == 1).and_then(naming::file_name)
}

/// The names of a listing, ascending.
pub(super) fn names(infos: &[Arc<BackupInfo>]) -> Vec<&str> {
    let mut names: Vec<_> = infos.iter().filter_map(|info| listed_name(info)).collect();
    names.sort_unstable();
    names
}

pub(super) fn saved(outcome: &BackupOutcome) -> Result<Saved> {
    let backup = outcome.backup();
    let nameless = || Error::new(&codes::MISNAMED, format!("backup {} has no file name of this dialect", backup.id));
    let filename = listed_name(backup).ok_or_else(nameless)?.to_owned();
    Ok(Saved { message: "backup successfully", filename, filesize: backup.stored_size })
}

/// When the file was last changed: for one that was taken over, that is all its date says.
pub(super) fn last_modified(manifest: &Manifest) -> DateTime<Utc> {
    if manifest.adopted { manifest.created_at } else { manifest.published_at }
}

/// A body with a line end, as the original ends its bodies.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    let Ok(mut text) = serde_json::to_vec(value) else {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return answer;
    };
    text.push(b'\n');
    let mut answer = Response::new(Body::from(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
