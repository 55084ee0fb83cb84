//! Images of Ceph, through the program `rbd`.
//!
//! # What is read
//! A whole volume or snapshot: `rbd export-diff` without a beginning, which reads what is allocated and no more.
//!
//! What changed between two snapshots: RBD knows it to the byte, but guests write 4 KiB and a backup has blocks of 32 KiB, whose other
//! bytes are needed, too, and `rbd` reads no single ranges. So `rbd diff` is asked first, which moves no data. When all that changed
//! begins and ends at borders of blocks, exactly that is exported. Otherwise the objects of the image (4 MiB each, by Cinder's
//! default) in which something changed are exported whole (`--whole-object`): more than what changed, never more than those objects.

mod aligned;
mod diff;
mod image;
mod read;
#[cfg(test)]
mod tests;

mod write;

use backup_core::{Effect, JobContext, Result, async_trait};

use super::config::wrong;
use super::program::{Pipe, finish, start};
use super::{Extents, Place, RbdConfig, VolumeAccess, VolumeWriter, codes, size};
use diff::Expected;
use image::{Image, Snapshot, snapshot_name};
use read::{Export, export};

/// Images of Ceph, through the program `rbd`.
///
/// # Behavior
/// The image of a volume is `volume-<id>`, looked for in each configured pool; [`Place::volume`] may be the `name_id` that a volume has
/// after a migration. `changes` reads no more than the objects in which something changed.
#[derive(Debug, Clone)]
pub struct RbdAccess {
    config: RbdConfig,
}

impl RbdAccess {
    /// Checks the configuration.
    ///
    /// # Errors
    /// `cinder.access_config`.
    pub fn new(config: RbdConfig) -> Result<Self> {
        if config.pools.is_empty() {
            return Err(wrong("`pools` of `rbd` names no pool"));
        }
        let refused = |pool: &&String| pool.is_empty() || pool.starts_with('-') || pool.contains(['/', '@', '\0']);
        if let Some(pool) = config.pools.iter().find(refused) {
            return Err(wrong(format!("{pool:?} is no name of a pool for `rbd`")));
        }
        if config.user.as_ref().is_some_and(|user| user.is_empty() || user.contains('\0')) {
            return Err(wrong("`user` of `rbd` is no name of a user; leave it out for Ceph's default"));
        }
        let access = Self { config };
        access.argv(&[]).map(|_| access)
    }

    /// The program with what it always gets, and `words`.
    fn argv(&self, words: &[&str]) -> Result<Vec<String>> {
        let path = |path: &std::path::Path| {
            let text = path.to_str().filter(|text| !text.is_empty() && !text.contains('\0'));
            text.map(str::to_owned).ok_or_else(|| wrong(format!("{} cannot be given to `rbd`", path.display())))
        };
        let mut argv = vec![path(&self.config.program)?];
        if let Some(conf) = &self.config.conf {
            argv.extend(["--conf".to_owned(), path(conf)?]);
        }
        if let Some(user) = &self.config.user {
            argv.extend(["--id".to_owned(), user.clone()]);
        }
        argv.extend(words.iter().map(|word| (*word).to_owned()));
        Ok(argv)
    }

    /// The image of a place, its snapshots, and the one that the place is about.
    async fn find(&self, cx: &JobContext, place: &Place) -> Result<(Image, Vec<Snapshot>, Option<Snapshot>)> {
        let wanted = place.snapshot.as_deref().map(snapshot_name).transpose()?;
        let image = Image::find(self, cx, &place.volume).await?;
        let Some(wanted) = wanted else { return Ok((image, Vec::new(), None)) };
        let snapshots = image.snapshots(self, cx).await?;
        let snapshot = image.snapshot(&snapshots, &wanted)?;
        Ok((image, snapshots, Some(snapshot)))
    }
}

#[async_trait]
impl VolumeAccess for RbdAccess {
    fn kind(&self) -> &'static str {
        "rbd"
    }

    fn reads_snapshots(&self) -> bool {
        true
    }

    async fn read(&self, cx: &JobContext, place: &Place) -> Result<Extents> {
        let (image, _, snapshot) = self.find(cx, place).await?;
        let (spec, bytes) = match &snapshot {
            Some(snapshot) => (format!("{}@{}", image.spec, snapshot.name), snapshot.size),
            None => (image.spec, image.size),
        };
        size::check_readable(&spec, bytes, place.size)?;
        let expected = Expected { from: None, to: snapshot.map(|snapshot| snapshot.name), size: bytes, block: None };
        export(self, cx, Export { spec, expected, whole_objects: false })
    }

    async fn changes(&self, cx: &JobContext, place: &Place, since: &str, block: u64) -> Result<Option<Extents>> {
        let since = snapshot_name(since)?;
        let (image, snapshots, snapshot) = self.find(cx, place).await?;
        let Some(snapshot) = snapshot else { return Ok(None) };
        let spec = format!("{}@{}", image.spec, snapshot.name);
        size::check_readable(&spec, snapshot.size, place.size)?;
        match snapshots.iter().find(|snapshot| snapshot.name == since) {
            Some(base) if base.id < snapshot.id => {}
            found => {
                let why = if found.is_some() { "is not older than" } else { "is gone; it was to be the base of" };
                return Err(backup_core::Error::new(
                    &codes::NO_BASE,
                    format!("the snapshot {since} of {} {why} {}", image.spec, snapshot.name),
                ));
            }
        }
        // What ends at the end of an image that is smaller than its volume would not end at the end of the volume.
        let ends_well = snapshot.size == place.size || snapshot.size.is_multiple_of(block);
        if !ends_well || block == 0 || block > diff::PIECE {
            return Ok(None);
        }
        let exact = aligned::all(self, cx, &spec, &since, block, snapshot.size).await?;
        if !exact && !image.object_size.is_multiple_of(block) {
            return Ok(None);
        }
        let expected = Expected { from: Some(since), to: Some(snapshot.name), size: snapshot.size, block: Some(block) };
        export(self, cx, Export { spec, expected, whole_objects: !exact }).map(Some)
    }

    async fn write(&self, cx: &JobContext, place: &Place, fresh: bool) -> Result<Box<dyn VolumeWriter>> {
        let image = Image::find(self, cx, &place.volume).await?;
        size::check_writable(&image.spec, image.size, place.size)?;
        write::begin(self, cx, image.spec, place.size, fresh).await
    }

    async fn rollback(&self, cx: &JobContext, volume: &str, snapshot: &str) -> Result<()> {
        let name = snapshot_name(snapshot)?;
        let image = Image::find(self, cx, volume).await?;
        let snapshot = image.snapshot(&image.snapshots(self, cx).await?, &name)?;
        let spec = format!("{}@{}", image.spec, snapshot.name);
        let mut group = start(cx, &self.argv(&["snap", "rollback", "--no-progress", &spec])?, Pipe::None)?;
        let ended = finish(cx, &mut group).await;
        ended.map_err(|error| error.context(format!("rolling back to {spec}")).with_effect(Effect::Unknown))
    }
}
