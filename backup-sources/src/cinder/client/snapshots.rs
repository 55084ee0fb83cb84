//! Snapshots.

use std::collections::BTreeMap;

use backup_core::{JobContext, Result};
use backup_remote::http::http::Method;
use serde::Deserialize;
use serde_json::json;

use super::page::Listed;
use super::request::Ask;
use super::volumes::{GIB, or_default};
use super::{Cinder, VolumeFilter, check_id};

/// A snapshot, as Cinder shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct Snapshot {
    /// Its id.
    pub id: String,
    /// Its name; empty without one.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// What somebody wrote of it.
    pub description: Option<String>,
    /// The volume that it is of.
    pub volume_id: String,
    /// Its state: `available`, `creating`, `error` …
    pub status: String,
    /// The size of the volume when it was made, in GiB.
    pub size: u64,
    /// What was attached to it.
    #[serde(deserialize_with = "or_default")]
    pub metadata: BTreeMap<String, String>,
    /// Its project.
    #[serde(rename = "os-extended-snapshot-attributes:project_id")]
    pub project_id: Option<String>,
    /// When it was made, in UTC.
    pub created_at: Option<String>,
}

impl Snapshot {
    /// Its size in bytes.
    pub fn bytes(&self) -> u64 {
        self.size.saturating_mul(GIB)
    }
}

impl Listed for Snapshot {
    fn id(&self) -> &str {
        &self.id
    }
}

/// A snapshot to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewSnapshot {
    /// The volume that it is of.
    pub volume_id: String,
    /// Its name.
    pub name: String,
    /// What somebody shall read of it.
    pub description: Option<String>,
    /// What is attached to it.
    pub metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Shown {
    snapshot: Snapshot,
}

impl Cinder {
    /// Shows a snapshot.
    ///
    /// # Errors
    /// `cinder.not_found`; as every call.
    pub async fn snapshot(&self, cx: &JobContext, id: &str) -> Result<Snapshot> {
        let path = format!("/snapshots/{}", check_id("snapshot", id)?);
        let shown: Shown = self.read(cx, Ask::get("ShowSnapshot", path, format!("showing the snapshot {id}"))).await?;
        Ok(shown.snapshot)
    }

    /// Lists snapshots, the newest first.
    ///
    /// # Errors
    /// As every call.
    pub async fn snapshots(&self, cx: &JobContext, filter: &VolumeFilter) -> Result<Vec<Snapshot>> {
        let mut snapshots: Vec<Snapshot> =
            self.list(cx, "ListSnapshots", "/snapshots/detail", "snapshots", &filter.query()).await?;
        let of_volume = |snapshot: &Snapshot| filter.volume_id.as_ref().is_none_or(|volume| *volume == snapshot.volume_id);
        snapshots.retain(|snapshot| filter.takes_metadata(&snapshot.metadata) && of_volume(snapshot));
        Ok(snapshots)
    }

    /// Orders a snapshot, of a volume that is in use too; it is there in the state `creating`.
    ///
    /// # Errors
    /// `cinder.quota`, `cinder.state`; as every call. With the effect `unknown` it may be there.
    pub async fn create_snapshot(&self, cx: &JobContext, snapshot: &NewSnapshot) -> Result<Snapshot> {
        let volume = check_id("volume", &snapshot.volume_id)?;
        // Older versions need `force` for a volume in use, and newer ones take no other value of it.
        let body = json!({ "snapshot": {
            "volume_id": volume,
            "name": snapshot.name,
            "description": snapshot.description,
            "metadata": snapshot.metadata,
            "force": true,
        } });
        let doing = format!("making a snapshot of the volume {volume}");
        let shown: Shown = self.read(cx, Ask::make("CreateSnapshot", "/snapshots".to_owned(), body, doing)).await?;
        Ok(shown.snapshot)
    }

    /// Orders that a snapshot be deleted. `false` when it was gone already; one that is being deleted already is fine.
    ///
    /// # Errors
    /// `cinder.state`; as every call.
    pub async fn delete_snapshot(&self, cx: &JobContext, id: &str) -> Result<bool> {
        let path = format!("/snapshots/{}", check_id("snapshot", id)?);
        let deleted = self.ask(cx, Ask::delete("DeleteSnapshot", path, format!("deleting the snapshot {id}"))).await;
        self.ordered(deleted.map(drop), async { Ok(self.snapshot(cx, id).await?.status) }).await
    }

    /// Adds to the metadata of a snapshot; what has the key of another is replaced.
    ///
    /// # Errors
    /// As every call.
    pub async fn set_snapshot_metadata(&self, cx: &JobContext, id: &str, metadata: &BTreeMap<String, String>) -> Result<()> {
        let path = format!("/snapshots/{}/metadata", check_id("snapshot", id)?);
        let (body, doing) = (json!({ "metadata": metadata }), format!("setting metadata of the snapshot {id}"));
        self.ask(cx, Ask::set("SetSnapshotMetadata", Method::POST, path, body, doing)).await.map(drop)
    }
}
