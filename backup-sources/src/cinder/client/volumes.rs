//! Volumes.

use std::collections::BTreeMap;

use backup_core::{JobContext, Result};
use backup_remote::http::http::Method;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use super::super::codes;
use super::page::{Listed, escaped, with_metadata};
use super::request::Ask;
use super::{Cinder, check_id};

/// Bytes of a GiB, in which Cinder counts.
pub(in super::super) const GIB: u64 = 1 << 30;

/// A volume, as Cinder shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct Volume {
    /// Its id.
    pub id: String,
    /// Its name; empty without one.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// What somebody wrote of it.
    pub description: Option<String>,
    /// Its state: `available`, `in-use`, `error` …
    pub status: String,
    /// Its size in GiB.
    pub size: u64,
    /// Whether an instance can start from it.
    #[serde(deserialize_with = "truth")]
    pub bootable: bool,
    /// Whether Cinder encrypts it.
    #[serde(deserialize_with = "or_default")]
    pub encrypted: bool,
    /// Whether several may attach it.
    #[serde(deserialize_with = "or_default")]
    pub multiattach: bool,
    /// The name of its type.
    pub volume_type: Option<String>,
    /// Its availability zone.
    pub availability_zone: Option<String>,
    /// The snapshot that it was made of.
    pub snapshot_id: Option<String>,
    /// The volume that it was made of.
    pub source_volid: Option<String>,
    /// What was attached to it.
    #[serde(deserialize_with = "or_default")]
    pub metadata: BTreeMap<String, String>,
    /// What Glance's image said that it was made of.
    #[serde(rename = "volume_image_metadata", deserialize_with = "or_default")]
    pub image_metadata: BTreeMap<String, String>,
    /// Who has it.
    #[serde(deserialize_with = "or_default")]
    pub attachments: Vec<VolumeAttachment>,
    /// Its project.
    #[serde(rename = "os-vol-tenant-attr:tenant_id")]
    pub project_id: Option<String>,
    /// Its user.
    pub user_id: Option<String>,
    /// Where it lies, `host@backend#pool`; for admins only.
    #[serde(rename = "os-vol-host-attr:host")]
    pub host: Option<String>,
    /// When it was made, in UTC.
    pub created_at: Option<String>,
}

/// An attachment that is complete, as its volume shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct VolumeAttachment {
    /// Its id.
    pub attachment_id: String,
    /// The instance that it is for.
    pub server_id: Option<String>,
    /// The host that it is for.
    pub host_name: Option<String>,
    /// As what the instance sees it.
    pub device: Option<String>,
}

impl Volume {
    /// Its size in bytes.
    pub fn bytes(&self) -> u64 {
        self.size.saturating_mul(GIB)
    }
}

impl Listed for Volume {
    fn id(&self) -> &str {
        &self.id
    }
}

/// Which volumes, or snapshots, are listed. The default is every one of the project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VolumeFilter {
    /// Those of all projects; heard from an admin only.
    pub all_projects: bool,
    /// Those with all of these metadata.
    pub metadata: BTreeMap<String, String>,
    /// Those in this state.
    pub status: Option<String>,
    /// Those of this name.
    pub name: Option<String>,
    /// Of snapshots, those of this volume.
    pub volume_id: Option<String>,
}

impl VolumeFilter {
    /// Those with this member of the metadata, in all projects that may be seen.
    pub fn with_metadata(key: &str, value: &str) -> Self {
        Self { all_projects: true, metadata: BTreeMap::from([(key.to_owned(), value.to_owned())]), ..Self::default() }
    }

    pub(super) fn query(&self) -> Vec<String> {
        let text = |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("{name}={}", escaped(value)));
        let all = self.all_projects.then(|| "all_tenants=1".to_owned());
        [
            all,
            with_metadata(&self.metadata),
            text("status", &self.status),
            text("name", &self.name),
            text("volume_id", &self.volume_id),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Not every version of Cinder, and not every list, heeds every filter.
    pub(super) fn takes_metadata(&self, metadata: &BTreeMap<String, String>) -> bool {
        self.metadata.iter().all(|(key, value)| metadata.get(key) == Some(value))
    }
}

/// A volume to be made. What is `None` is not said, and Cinder has its own default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CreateVolume {
    /// Its size in GiB.
    pub size: u64,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What somebody shall read of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The name or id of its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_type: Option<String>,
    /// The zone in which it shall be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
    /// The snapshot that it is made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<String>,
    /// What is attached to it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Shown {
    volume: Volume,
}

impl Cinder {
    /// Shows a volume.
    ///
    /// # Errors
    /// `cinder.not_found`; as every call.
    pub async fn volume(&self, cx: &JobContext, id: &str) -> Result<Volume> {
        let path = format!("/volumes/{}", check_id("volume", id)?);
        let shown: Shown = self.read(cx, Ask::get("ShowVolume", path, format!("showing the volume {id}"))).await?;
        Ok(shown.volume)
    }

    /// Lists volumes, the newest first.
    ///
    /// # Errors
    /// As every call.
    pub async fn volumes(&self, cx: &JobContext, filter: &VolumeFilter) -> Result<Vec<Volume>> {
        let mut volumes: Vec<Volume> = self.list(cx, "ListVolumes", "/volumes/detail", "volumes", &filter.query()).await?;
        volumes.retain(|volume| filter.takes_metadata(&volume.metadata));
        Ok(volumes)
    }

    /// Orders a volume; it is there in the state `creating`.
    ///
    /// # Errors
    /// `cinder.quota`; as every call. With the effect `unknown` it may be there.
    pub async fn create_volume(&self, cx: &JobContext, volume: &CreateVolume) -> Result<Volume> {
        if let Some(id) = &volume.snapshot_id {
            check_id("snapshot", id)?;
        }
        let ask = Ask::make("CreateVolume", "/volumes".to_owned(), json!({ "volume": volume }), "making a volume".to_owned());
        let shown: Shown = self.read(cx, ask).await?;
        Ok(shown.volume)
    }

    /// Orders that a volume be deleted. `false` when it was gone already; one that is being deleted already is fine.
    ///
    /// # Errors
    /// `cinder.state` while it is attached, has snapshots, or works; as every call.
    pub async fn delete_volume(&self, cx: &JobContext, id: &str) -> Result<bool> {
        let path = format!("/volumes/{}", check_id("volume", id)?);
        let deleted = self.ask(cx, Ask::delete("DeleteVolume", path, format!("deleting the volume {id}"))).await;
        self.ordered(deleted.map(drop), async { Ok(self.volume(cx, id).await?.status) }).await
    }

    /// Orders that a volume be made bigger.
    ///
    /// # Errors
    /// `cinder.state`, `cinder.quota`; as every call.
    pub async fn extend_volume(&self, cx: &JobContext, id: &str, gib: u64) -> Result<()> {
        self.volume_action(cx, "ExtendVolume", id, json!({ "os-extend": { "new_size": gib } })).await
    }

    /// Says whether an instance can start from a volume.
    ///
    /// # Errors
    /// As every call.
    pub async fn set_bootable(&self, cx: &JobContext, id: &str, bootable: bool) -> Result<()> {
        self.volume_action(cx, "SetBootable", id, json!({ "os-set_bootable": { "bootable": bootable } })).await
    }

    /// Adds to what a volume has of Glance's image.
    ///
    /// # Errors
    /// As every call.
    pub async fn set_image_metadata(&self, cx: &JobContext, id: &str, metadata: &BTreeMap<String, String>) -> Result<()> {
        self.volume_action(cx, "SetImageMetadata", id, json!({ "os-set_image_metadata": { "metadata": metadata } })).await
    }

    /// Sets name or description of a volume; `None` leaves it.
    ///
    /// # Errors
    /// As every call.
    pub async fn rename_volume(&self, cx: &JobContext, id: &str, name: Option<&str>, description: Option<&str>) -> Result<()> {
        let path = format!("/volumes/{}", check_id("volume", id)?);
        let mut set = Map::new();
        let given = [("name", name), ("description", description)];
        set.extend(given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), Value::from(value?)))));
        if set.is_empty() {
            return Ok(());
        }
        let doing = format!("naming the volume {id}");
        self.ask(cx, Ask::set("UpdateVolume", Method::PUT, path, json!({ "volume": set }), doing)).await.map(drop)
    }

    /// Adds to the metadata of a volume; what has the key of another is replaced.
    ///
    /// # Errors
    /// As every call.
    pub async fn set_volume_metadata(&self, cx: &JobContext, id: &str, metadata: &BTreeMap<String, String>) -> Result<()> {
        let path = format!("/volumes/{}/metadata", check_id("volume", id)?);
        let doing = format!("setting metadata of the volume {id}");
        let body = json!({ "metadata": metadata });
        self.ask(cx, Ask::set("SetVolumeMetadata", Method::POST, path, body, doing)).await.map(drop)
    }

    /// Removes a key of the metadata of a volume; one that is not there is fine.
    ///
    /// # Errors
    /// As every call.
    pub async fn remove_volume_metadata(&self, cx: &JobContext, id: &str, key: &str) -> Result<()> {
        let path = format!("/volumes/{}/metadata/{}", check_id("volume", id)?, escaped(key));
        let doing = format!("removing metadata of the volume {id}");
        super::wait::gone(self.ask(cx, Ask::delete("DeleteVolumeMetadata", path, doing)).await).map(drop)
    }

    async fn volume_action(&self, cx: &JobContext, operation: &'static str, id: &str, body: Value) -> Result<()> {
        let path = format!("/volumes/{}/action", check_id("volume", id)?);
        let doing = format!("changing the volume {id}");
        self.ask(cx, Ask::set(operation, Method::POST, path, body, doing)).await.map(drop)
    }

    /// How an order to delete ended that Cinder refuses to take twice: `status` is what its thing shows.
    pub(super) async fn ordered(&self, deleted: Result<()>, status: impl Future<Output = Result<String>> + Send) -> Result<bool> {
        match super::wait::gone(deleted) {
            Ok(Some(())) => Ok(true),
            Ok(None) => Ok(false),
            Err(error) => match status.await {
                Ok(status) if status == "deleting" => Ok(true),
                Err(look) if look.code() == &codes::NOT_FOUND => Ok(true),
                _ => Err(error),
            },
        }
    }
}

pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Cinder says it as a text.
fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Bool(yes) => yes,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        _ => false,
    })
}
