//! Which artifact is what.

use backup_core::{ArtifactName, BackupReader, Error, Result};

use super::{codes, names};

/// The artifacts of a backup, of ours or of Cinder's own: found by the last segments of their names, because what stands before is
/// said differently by every store.
#[derive(Debug)]
pub(super) struct Parts {
    names: Vec<ArtifactName>,
    /// The data objects by their last segments.
    objects: Vec<u32>,
    /// The artifact `…_metadata`.
    pub(super) metadata: ArtifactName,
    /// The artifact `…_sha256file`.
    pub(super) sha256file: ArtifactName,
}

impl Parts {
    /// # Errors
    /// `cinder.damaged` when one of the two files is missing, or there are several.
    pub(super) fn of(reader: &dyn BackupReader) -> Result<Self> {
        let names = reader.artifacts();
        let metadata = only(&names, names::METADATA)?;
        let sha256file = only(&names, names::SHA256FILE)?;
        let extras = [names::last_segment(metadata.as_str()), names::last_segment(sha256file.as_str())];
        let is_object = |place: &u32| segment(&names, *place).is_some_and(|segment| !extras.contains(&segment));
        let mut objects: Vec<u32> = (0..u32::try_from(names.len()).unwrap_or(u32::MAX)).filter(is_object).collect();
        objects.sort_by(|a, b| segment(&names, *a).cmp(&segment(&names, *b)));
        let twice = objects.windows(2).find(|pair| match pair {
            [a, b] => segment(&names, *a) == segment(&names, *b),
            _ => false,
        });
        if let Some(name) = twice.and_then(|pair| names.get(*pair.first()? as usize)) {
            return Err(Error::new(&codes::DAMAGED, format!("several objects are called as {name} is")));
        }
        Ok(Self { names, objects, metadata, sha256file })
    }

    /// How many data objects there are.
    pub(super) fn count(&self) -> usize {
        self.objects.len()
    }

    /// The artifact that metadata calls so: its place among the data objects, for [`Parts::name`].
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        let wanted = names::last_segment(name);
        let found = self.objects.binary_search_by(|place| segment(&self.names, *place).unwrap_or_default().cmp(wanted));
        found.ok().and_then(|at| u32::try_from(at).ok())
    }

    /// The name of a data object.
    ///
    /// # Errors
    /// `internal.error`.
    pub(super) fn name(&self, object: u32) -> Result<&ArtifactName> {
        let place = self.objects.get(object as usize);
        place
            .and_then(|place| self.names.get(*place as usize))
            .ok_or_else(|| Error::new(&backup_core::error::codes::INTERNAL, "an object of a backup was looked up in another one"))
    }

    /// What the names of all parts begin with: the metadata's name without its ending.
    pub(super) fn stem(&self) -> &str {
        self.metadata.as_str().strip_suffix(names::METADATA).unwrap_or_default()
    }
}

fn segment(names: &[ArtifactName], place: u32) -> Option<&str> {
    names.get(place as usize).map(|name| names::last_segment(name.as_str()))
}

fn only(names: &[ArtifactName], suffix: &str) -> Result<ArtifactName> {
    let mut found = names.iter().filter(|name| name.as_str().ends_with(suffix));
    match (found.next(), found.next()) {
        (Some(name), None) => Ok(name.clone()),
        (None, _) => Err(Error::new(&codes::DAMAGED, format!("the backup has no artifact that ends in {suffix}"))),
        (Some(_), Some(_)) => Err(Error::new(&codes::DAMAGED, format!("the backup has several artifacts that end in {suffix}"))),
    }
}
