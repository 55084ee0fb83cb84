//! Cinder's records of exported backups: what `cinder backup-export` prints and `cinder backup-import` takes.

use backup_core::store::NativePlace;
use backup_core::{BackupReader, Error, JobContext, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, NaiveDateTime, SubsecRound as _, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::metadata::Metadata;
use super::parts::Parts;
use super::shafile::ShaReader;
use super::{Written, codes, names};

/// Longer records are refused before anything is made of them.
const MAX_RECORD: usize = 1 << 20;
const GIB: u64 = 1 << 30;

/// A backup as Cinder's database has it, without what is of one cloud alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The class of the backup driver that reads it.
    #[serde(skip)]
    pub backup_service: String,
    /// Its id.
    pub id: String,
    /// The volume's id.
    #[serde(default)]
    pub volume_id: Option<String>,
    /// The id of the backup that it builds on; that one is imported first.
    #[serde(default)]
    pub parent_id: Option<String>,
    /// What it is called.
    pub display_name: Option<String>,
    /// What else is said of it.
    pub display_description: Option<String>,
    /// The container, bucket or directory that its objects are in.
    pub container: Option<String>,
    /// What the names of its objects begin with.
    pub service_metadata: Option<String>,
    /// GiB of the volume.
    pub size: u64,
    /// How many data objects it has.
    pub object_count: u64,
    /// When it was made.
    #[serde(default, with = "time")]
    pub created_at: Option<DateTime<Utc>>,
    /// The time that its content is of: Cinder takes the newest as parent of the next incremental one.
    #[serde(default, with = "time")]
    pub data_timestamp: Option<DateTime<Utc>>,
    /// How many backups build on it.
    #[serde(default)]
    pub num_dependent_backups: u64,
    /// The snapshot that it was made of.
    #[serde(default)]
    pub snapshot_id: Option<String>,
    /// Other fields, as they came.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Record {
    /// The record of a backup: one of ours, or one of Cinder's own that was adopted.
    ///
    /// # Behavior
    /// [`Record::num_dependent_backups`] is 0: a backup does not know what builds on it. On NFS and in files [`Record::container`] is the
    /// whole directory; see [`Record::below`].
    ///
    /// # Errors
    /// `cinder.record` when no driver of Cinder reaches the store, or the names in the metadata are not those of the place where the backup lies
    /// now; `cinder.damaged`; those of the reader.
    pub async fn of(cx: &JobContext, reader: &dyn BackupReader) -> Result<Self> {
        let refused = |why: String| Error::new(&codes::RECORD, why);
        let place = reader.native_place().ok_or_else(|| refused("nothing but this software reaches the store".to_owned()))?;
        let service = service(&place)?;
        let described = describe(cx, reader).await?;
        let expected = names::prefix(Some(&place), &described.stem);
        if described.prefix != expected {
            let why = format!(
                "Cinder looks for objects called as the metadata of backup {} says, {}-…, and here they are called {expected}-…",
                described.backup_id, described.prefix
            );
            return Err(refused(why));
        }
        Ok(Self {
            backup_service: service.to_owned(),
            id: described.backup_id,
            volume_id: Some(described.volume_id),
            parent_id: described.parent_id,
            display_name: described.name,
            display_description: described.description,
            container: Some(container(&place, &described.stem)),
            service_metadata: Some(described.prefix),
            size: described.size.div_ceil(GIB),
            object_count: described.objects,
            created_at: described.created_at,
            data_timestamp: described.created_at,
            num_dependent_backups: 0,
            snapshot_id: None,
            other: unset(),
        })
    }

    /// With a container that is relative to `root`: the directory that the driver has as its own (`backup_posix_path`, or what the NFS
    /// server exports as `backup_share`).
    ///
    /// # Errors
    /// `cinder.record` when it is not below.
    pub fn below(mut self, root: &str) -> Result<Self> {
        let container = self.container.as_deref().unwrap_or_default();
        let rest = container.strip_prefix(root.trim_end_matches('/')).and_then(|rest| rest.strip_prefix('/'));
        let Some(rest) = rest else {
            return Err(Error::new(&codes::RECORD, format!("the backup lies in {container:?}, which is not below {root:?}")));
        };
        self.container = Some(rest.to_owned());
        Ok(self)
    }

    /// `backup_service` and `backup_url`, as `cinder backup-import` takes them.
    ///
    /// # Errors
    /// `cinder.record`.
    pub fn encode(&self) -> Result<(String, String)> {
        let json = serde_json::to_vec(self)
            .map_err(|error| Error::new(&codes::RECORD, "the record cannot be written").with_source(error))?;
        Ok((self.backup_service.clone(), STANDARD.encode(json)))
    }

    /// Reads what `cinder backup-export` printed.
    ///
    /// # Errors
    /// `cinder.record`.
    pub fn decode(backup_service: &str, backup_url: &str) -> Result<Self> {
        let refused = |why: &'static str| Error::new(&codes::RECORD, why);
        if backup_url.len() > MAX_RECORD || backup_service.len() > 255 {
            return Err(refused("the record is too long"));
        }
        let json = STANDARD.decode(backup_url.trim()).map_err(|error| refused("the record is no base64").with_source(error))?;
        let mut record: Self =
            serde_json::from_slice(&json).map_err(|error| refused("the record has another shape").with_source(error))?;
        let is_id = |id: &str| (1..=255).contains(&id.len()) && id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
        let ids = [Some(&record.id), record.volume_id.as_ref(), record.parent_id.as_ref()];
        if !ids.into_iter().flatten().all(|id| is_id(id)) {
            return Err(refused("an id in the record is none"));
        }
        record.backup_service = backup_service.to_owned();
        Ok(record)
    }
}

/// What a backup says of itself.
struct Described {
    backup_id: String,
    parent_id: Option<String>,
    volume_id: String,
    name: Option<String>,
    description: Option<String>,
    created_at: Option<DateTime<Utc>>,
    size: u64,
    objects: u64,
    prefix: String,
    /// What the names of its artifacts begin with.
    stem: String,
}

async fn describe(cx: &JobContext, reader: &dyn BackupReader) -> Result<Described> {
    if let Ok(written) = Written::of(reader.manifest()) {
        return Ok(Described {
            backup_id: written.backup_id,
            parent_id: written.parent_id,
            volume_id: written.volume_id,
            name: Some(written.name),
            description: written.description,
            created_at: Some(written.created_at),
            size: written.size,
            objects: written.objects,
            prefix: written.prefix,
            stem: names::STEM.to_owned(),
        });
    }
    let parts = Parts::of(reader)?;
    let metadata = Metadata::read(cx, reader, &parts).await?;
    let size = match metadata.parent_id {
        None => metadata.end(),
        Some(_) => {
            let digests = ShaReader::open(cx, reader, &parts.sha256file).await?;
            let block = digests.block();
            digests.count().await?.saturating_mul(block)
        }
    };
    let stem = parts.stem().to_owned();
    let prefix = metadata.prefix.clone().unwrap_or_else(|| names::prefix(reader.native_place().as_ref(), &stem));
    Ok(Described {
        size,
        objects: metadata.objects.len() as u64,
        created_at: time_of(&metadata.created_at),
        backup_id: metadata.backup_id,
        parent_id: metadata.parent_id,
        volume_id: metadata.volume_id,
        name: metadata.name,
        description: metadata.description,
        prefix,
        stem,
    })
}

/// The driver of Cinder that reads such a place.
fn service(place: &NativePlace) -> Result<&'static str> {
    match place.kind.as_str() {
        "swift" => Ok("cinder.backup.drivers.swift.SwiftBackupDriver"),
        "s3" => Ok("cinder.backup.drivers.s3.S3BackupDriver"),
        "nfs" => Ok("cinder.backup.drivers.nfs.NFSBackupDriver"),
        "file" => Ok("cinder.backup.drivers.posix.PosixBackupDriver"),
        other => Err(Error::new(&codes::RECORD, format!("no driver of Cinder reads a store of the kind `{other}`"))),
    }
}

/// In a tree of files, the directory that the artifact is in.
fn container(place: &NativePlace, stem: &str) -> String {
    match stem.rsplit_once('/') {
        Some((directory, _)) if names::is_directory(place) => format!("{}/{directory}", place.container),
        _ => place.container.clone(),
    }
}

/// What Cinder's own records have beside the rest.
fn unset() -> Map<String, Value> {
    let null = ["encryption_key_id", "temp_volume_id", "temp_snapshot_id", "restore_volume_id", "fail_reason"];
    let null = null.into_iter().map(|key| (key.to_owned(), Value::Null));
    let empty = ["metadata", "driver_info"].into_iter().map(|key| (key.to_owned(), Value::Object(Map::new())));
    null.chain(empty).collect()
}

/// A time as metadata has it: as Python prints one, with or without fractions and a zone, which is UTC.
fn time_of(text: &str) -> Option<DateTime<Utc>> {
    let plain = text.trim_end_matches("+00:00");
    Some(NaiveDateTime::parse_from_str(plain, "%Y-%m-%d %H:%M:%S%.f").ok()?.and_utc().trunc_subsecs(0))
}

/// Times as Cinder's records have them: `2026-11-21T09:30:00Z`.
mod time {
    use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Secs, true)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let plain = || NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f").map(|time| time.and_utc());
        let time = DateTime::parse_from_rfc3339(&text).map(|time| time.to_utc()).or_else(|_| plain());
        time.map(Some).map_err(serde::de::Error::custom)
    }
}
