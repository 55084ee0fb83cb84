//! Which artifact is what.

use backup_core::{ArtifactName, BackupReader, Error, Result};

use super::{codes, names};

/// The artifacts of a backup, of ours or of Cinder's own: found by the last segments of their names, because what stands before is
/// said differently by every store.
#[derive(Debug)]
pub(super) struct Parts {
    names: Names,
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
        let metadata = only(reader, names::METADATA)?;
        let sha256file = only(reader, names::SHA256FILE)?;
        let mut names = Names::default();
        reader.names().for_each(|name| names.push(name.as_str()));
        let extras = [names::last_segment(metadata.as_str()), names::last_segment(sha256file.as_str())];
        let is_object = |place: &u32| names.segment(*place).is_some_and(|segment| !extras.contains(&segment));
        let mut objects: Vec<u32> = (0..u32::try_from(names.ends.len()).unwrap_or(u32::MAX)).filter(is_object).collect();
        objects.sort_by(|a, b| names.segment(*a).cmp(&names.segment(*b)));
        let twice = objects.windows(2).find(|pair| match pair {
            [a, b] => names.segment(*a) == names.segment(*b),
            _ => false,
        });
        if let Some(name) = twice.and_then(|pair| names.get(*pair.first()?)) {
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
        let found = self.objects.binary_search_by(|place| self.names.segment(*place).unwrap_or_default().cmp(wanted));
        found.ok().and_then(|at| u32::try_from(at).ok())
    }

    /// The name of a data object.
    ///
    /// # Errors
    /// `internal.error`.
    pub(super) fn name(&self, object: u32) -> Result<ArtifactName> {
        let name = self.objects.get(object as usize).and_then(|place| self.names.get(*place));
        let other = || Error::new(&backup_core::error::codes::INTERNAL, "an object of a backup was looked up in another one");
        ArtifactName::new(name.ok_or_else(other)?)
    }

    /// What the names of all parts begin with: the metadata's name without its ending.
    pub(super) fn stem(&self) -> &str {
        self.metadata.as_str().strip_suffix(names::METADATA).unwrap_or_default()
    }
}

/// Names behind each other: there may be very many.
#[derive(Debug, Default)]
struct Names {
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Names {
    fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.ends.push(self.text.len());
    }

    fn get(&self, place: u32) -> Option<&str> {
        let place = place as usize;
        let start = place.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.text.get(start..*self.ends.get(place)?)
    }

    fn segment(&self, place: u32) -> Option<&str> {
        self.get(place).map(names::last_segment)
    }
}

fn only(reader: &dyn BackupReader, suffix: &str) -> Result<ArtifactName> {
    let mut found = reader.names().filter(|name| name.as_str().ends_with(suffix));
    match (found.next(), found.next()) {
        (Some(name), None) => Ok(name),
        (None, _) => Err(Error::new(&codes::DAMAGED, format!("the backup has no artifact that ends in {suffix}"))),
        (Some(_), Some(_)) => Err(Error::new(&codes::DAMAGED, format!("the backup has several artifacts that end in {suffix}"))),
    }
}
