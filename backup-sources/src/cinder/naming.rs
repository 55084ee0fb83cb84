//! What Cinder's own backup service calls the objects of its backups: so that those are found, adopted and restored here.

mod head;
mod name;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backup_core::manifest::SourceInfo;
use backup_core::naming::{Adoptable, DefaultNaming, Describe, Member, NameRequest, Naming};
use backup_core::{ArtifactName, Clock, Compression, KeyPrefix, ObjectKey, ObjectMeta, Result, SetName};
use serde_json::Value;

use head::Head;
use name::{Name, Part, is_uuid};

/// What the name of a volume's set begins with.
const SET: &str = "volume_";

/// A file younger than that may still be written: Cinder writes them in place.
const SETTLED: Duration = Duration::from_secs(60);

/// The [`Naming`] of volumes: ours under default names, and beside them what Cinder's chunked backup drivers left.
///
/// # Behavior
/// The backups of a volume are the set `volume_<volume id>`. One of Cinder's is there when its `_metadata` is, which is written last. Its artifacts
/// have the names that its objects have, its time is that of its name, and `integrity` says what its metadata says:
/// `backup-id`, `parent-id`, `volume-id`, `name`, `description`, `created-at`, `size` (bytes, where it can be told), `objects`,
/// `object-size` (bytes), `changed` (bytes of the volume that its objects hold). Its parent is the backup whose `backup-id` the metadata names,
/// be it Cinder's or ours.
///
/// | drivers | an object's name |
/// |---|---|
/// | swift, s3 | `volume_<volume>/<YYYYmmddHHMMSS>/az_<zone>_backup_<backup>-00001` |
/// | posix, nfs | `<anything>/volume_<volume>_<YYYYmmddHHMMSS>_backup_<backup>-00001` |
///
/// In directories a backup is there a minute after its metadata was last changed.
pub struct CinderNaming {
    /// In directories nothing but a file's name says which volume it is of.
    directory: bool,
    clock: Arc<dyn Clock>,
}

impl CinderNaming {
    /// For buckets and containers (S3, Swift).
    pub fn in_bucket(clock: Arc<dyn Clock>) -> Self {
        Self { directory: false, clock }
    }

    /// For directories (fs, NFS). Listing a volume looks through the whole store. What was copied there from a container is found, too.
    pub fn in_directory(clock: Arc<dyn Clock>) -> Self {
        Self { directory: true, clock }
    }

    /// The set of a volume.
    ///
    /// # Errors
    /// `input.invalid` for what is no id.
    pub fn set(volume: &str) -> Result<SetName> {
        SetName::new(format!("{SET}{volume}"))
    }

    fn parse<'a>(&self, key: &'a ObjectKey) -> Option<Name<'a>> {
        let in_directory = || Name::in_directory(key.as_str()).filter(|_| self.directory);
        Name::in_bucket(key.as_str()).or_else(in_directory)
    }

    /// Whether it is the metadata of a backup, and whole.
    fn is_head(&self, name: &Name<'_>, object: &ObjectMeta) -> bool {
        let age = || object.modified.and_then(|modified| (self.clock.now() - modified).to_std().ok());
        name.part == Part::Metadata && (!self.directory || age().is_some_and(|age| age >= SETTLED))
    }
}

impl Naming for CinderNaming {
    fn artifact_key(&self, request: NameRequest<'_>) -> Result<ObjectKey> {
        DefaultNaming.artifact_key(request)
    }

    fn adoptable_prefix(&self, set: &SetName) -> Option<KeyPrefix> {
        let is_volume = set.as_str().strip_prefix(SET).is_some_and(is_uuid);
        match (is_volume, self.directory) {
            (false, _) => None,
            (true, true) => Some(KeyPrefix::root()),
            (true, false) => KeyPrefix::new(set.as_str()).ok(),
        }
    }

    fn adopt(&self, set: &SetName, object: &ObjectMeta) -> Option<Adoptable> {
        let name = self.parse(&object.key)?;
        if set.as_str().strip_prefix(SET) != Some(name.volume) {
            return None;
        }
        Some(Adoptable {
            artifact: ArtifactName::new(object.key.as_str()).ok()?,
            compression: Compression::None,
            created_at: name.time,
            order: None,
            revision: None,
            version: None,
            group: Some(Member { group: name.backup.to_owned(), head: self.is_head(&name, object) }),
        })
    }

    fn describe(&self, _set: &SetName, head: &ObjectKey) -> Option<Box<dyn Describe>> {
        let name = self.parse(head)?;
        Some(Box::new(Head::of(name.volume, name.backup)))
    }

    fn group_of(&self, source: &SourceInfo) -> Option<String> {
        source.integrity.as_ref()?.get("backup-id").and_then(Value::as_str).map(str::to_owned)
    }

    // Default names lie under an id of ours, where none of Cinder's objects lies.
    fn names_alike(&self) -> bool {
        false
    }

    fn finds_sets(&self) -> bool {
        true
    }

    fn adoptable_set(&self, object: &ObjectMeta) -> Option<SetName> {
        let name = self.parse(&object.key)?;
        if self.is_head(&name, object) { Self::set(name.volume).ok() } else { None }
    }
}

impl fmt::Debug for CinderNaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CinderNaming").field("directory", &self.directory).finish_non_exhaustive()
    }
}
