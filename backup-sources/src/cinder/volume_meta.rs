//! What Cinder knows of a volume beside its bytes, as Cinder's own backups carry it: `volume_meta`, version 2
//! (`cinder.backup.driver.BackupMetadataAPI`).

use std::collections::BTreeMap;

use backup_core::{BackupReader, JobContext, Result};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::Volume;
use super::temporary::{FAILED, OURS};

/// Where a manifest of ours has it, so that the artifact need not be read.
const MEMBER: &str = "volume-meta";

/// What the name of the artifact ends with that has it in every backup of this format, Cinder's own ones too.
const METADATA: &str = "_metadata";

/// The longest of those that is read for a name and a flag: that of about a terabyte.
const LONGEST: usize = 32 << 20;

/// `{"version": 2, "volume-base-metadata": {…}, "volume-metadata": {…}, "volume-glance-metadata": {…}}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct VolumeMeta {
    version: u32,
    #[serde(rename = "volume-base-metadata")]
    base: BTreeMap<String, Value>,
    #[serde(rename = "volume-metadata", skip_serializing_if = "Option::is_none")]
    metadata: Option<BTreeMap<String, Value>>,
    /// What is there makes a volume bootable.
    #[serde(rename = "volume-glance-metadata", skip_serializing_if = "Option::is_none")]
    image: Option<BTreeMap<String, Value>>,
}

impl VolumeMeta {
    /// What a backup shall carry of a volume.
    pub(super) fn new(volume: &Volume) -> Self {
        let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::from);
        let base = [
            ("id", volume.id.clone().into()),
            ("display_name", if volume.name.is_empty() { Value::Null } else { volume.name.clone().into() }),
            ("display_description", text(&volume.description)),
            ("size", volume.size.into()),
            ("availability_zone", text(&volume.availability_zone)),
            ("bootable", volume.bootable.into()),
            ("encryption_key_id", Value::Null),
        ];
        let own = |key: &str| OURS.contains(&key) || key == FAILED;
        let metadata: BTreeMap<String, Value> =
            volume.metadata.iter().filter(|(key, _)| !own(key)).map(|(key, value)| (key.clone(), value.clone().into())).collect();
        let image = || volume.image_metadata.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
        Self {
            version: 2,
            base: base.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            metadata: (!metadata.is_empty()).then_some(metadata),
            image: volume.bootable.then(image),
        }
    }

    /// As text, as a backup has it.
    pub(super) fn text(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// Adds it to what a manifest says of the backup.
    pub(super) fn note(&self, integrity: &mut Value) {
        if let (Some(integrity), Ok(meta)) = (integrity.as_object_mut(), serde_json::to_value(self)) {
            integrity.insert(MEMBER.to_owned(), meta);
        }
    }

    /// What a backup carries, Cinder's own ones too; nothing where it carries nothing that can be read.
    pub(super) async fn of(cx: &JobContext, reader: &dyn BackupReader) -> Result<Self> {
        let noted = reader.manifest().source.integrity.as_ref().and_then(|integrity| integrity.get(MEMBER));
        if let Some(meta) = noted.and_then(|meta| Self::deserialize(meta).ok()) {
            return Ok(meta);
        }
        #[derive(Deserialize)]
        struct Metadata {
            volume_meta: Option<String>,
        }
        let mut names = reader.names();
        let Some(name) = names.find(|name| name.as_str().ends_with(METADATA)) else { return Ok(Self::default()) };
        let mut stream = reader.open(cx, &name).await?;
        let mut text = Vec::new();
        while let Some(piece) = cx.run(stream.try_next()).await? {
            text.extend_from_slice(&piece);
            if text.len() > LONGEST {
                return Ok(Self::default());
            }
        }
        let metadata: Option<Metadata> = serde_json::from_slice(&text).ok();
        let meta = metadata.and_then(|metadata| metadata.volume_meta);
        Ok(meta.and_then(|meta| serde_json::from_str(&meta).ok()).unwrap_or_default())
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.base.get("display_name")?.as_str()
    }

    pub(super) fn description(&self) -> Option<&str> {
        self.base.get("display_description")?.as_str()
    }

    pub(super) fn bootable(&self) -> bool {
        self.image.is_some() || self.base.get("bootable").and_then(Value::as_bool).unwrap_or(false)
    }

    pub(super) fn metadata(&self) -> BTreeMap<String, String> {
        texts(self.metadata.as_ref())
    }

    pub(super) fn image_metadata(&self) -> BTreeMap<String, String> {
        texts(self.image.as_ref())
    }
}

fn texts(members: Option<&BTreeMap<String, Value>>) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    members.into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect()
}
