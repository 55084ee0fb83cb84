//! What only BR's metadata can tell about a stored backup.

use std::collections::HashMap;
use std::sync::LazyLock;

use backup_core::{ArtifactName, BackupReader, Digest, ErrorKind, Inspection, JobContext, Position, Result};

use super::meta::{self, BackupMeta, Listed, Published};
use super::{BrSource, key};

/// So many files are named among the faults; the others are counted.
const NAMED: usize = 20;

pub(super) async fn inspect(source: &BrSource, cx: &JobContext, reader: &dyn BackupReader) -> Result<Inspection> {
    let stock = match Stock::take(source, cx, reader).await {
        Ok(stock) => stock,
        Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(Inspection::default().fault(error.to_string())),
        Err(error) => return Err(error),
    };
    let Stock { meta, faults, compared } = stock;
    let mut inspection = Inspection::default().check(format!(
        "`{}` names {} data files of {} bytes and {} files of metadata; {compared}",
        meta::BACKUP_META,
        meta.files,
        meta.file_bytes,
        meta.meta_files
    ));
    inspection.faults = faults;
    inspection.faults.extend(contradictions(&meta, reader));
    Ok(match (meta.fault_of_sums(), meta.schema_sums == meta.file_sums) {
        (Some(fault), _) => inspection.fault(fault),
        (None, true) => {
            inspection.check(format!("the checksums of all tables together are those of the files: {}", meta.file_sums))
        }
        (None, false) => inspection.check(format!(
            "{} of {} tables carry no checksum, so sums were not compared in full",
            meta.schemas_without_sums, meta.schemas
        )),
    })
}

/// The metadata beside what the backup holds.
pub(super) struct Stock {
    pub(super) meta: BackupMeta,
    /// Files that the metadata names and the backup does not hold so.
    pub(super) faults: Vec<String>,
    compared: &'static str,
}

impl Stock {
    /// # Errors
    /// As [`meta::read`]; `br.config` when the configured `encryption` is not that of the backup, which says nothing about the backup.
    pub(super) async fn take(source: &BrSource, cx: &JobContext, reader: &dyn BackupReader) -> Result<Self> {
        let manifest = reader.manifest();
        let encryption = source.config.encryption.as_ref();
        key::check_method(manifest, encryption)?;
        // For readers that do not say how an artifact is stored.
        let listed = LazyLock::new(|| Listing::of(reader));
        let mut named = 0_u64;
        let (mut faults, mut more, mut root) = (Vec::new(), 0_u64, false);
        let mut visit = |file: Listed| {
            root |= file.name.as_str() == meta::BACKUP_META;
            let held = reader.entry(&file.name).map_or_else(|| listed.held(&file.name), Held::So);
            named += u64::from(held == Held::Unknown);
            match fault(&file, held) {
                Some(fault) if faults.len() < NAMED => faults.push(fault),
                Some(_) => more += 1,
                None => {}
            }
            Ok(())
        };
        let meta = match meta::walk(cx, &Published(reader), encryption, &mut visit).await {
            // It is told when it was read to its end.
            Err(error) if !root && encryption.is_some() => return Err(key::blame(cx, reader, error).await),
            meta => meta?,
        };
        if more > 0 {
            faults.push(format!("and {more} more files"));
        }
        let compared = match named {
            0 => "each is in the backup with its size and SHA-256",
            _ => "each is named by the backup",
        };
        Ok(Self { meta, faults, compared })
    }
}

/// What the backup knows of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    /// Nothing.
    Not,
    /// Its name.
    Unknown,
    /// Its size and SHA-256.
    So((u64, Digest)),
}

/// What a manifest, or a reader, lists.
struct Listing(HashMap<ArtifactName, Held>);

impl Listing {
    fn of(reader: &dyn BackupReader) -> Self {
        let manifest = reader.manifest();
        Self(match manifest.inventory.is_some() {
            // The manifest lists none then.
            true => reader.artifacts().into_iter().map(|name| (name, Held::Unknown)).collect(),
            false => manifest.artifacts.iter().map(|one| (one.name.clone(), Held::So((one.size, one.sha256)))).collect(),
        })
    }

    fn held(&self, name: &ArtifactName) -> Held {
        self.0.get(name).copied().unwrap_or(Held::Not)
    }
}

fn fault(file: &Listed, held: Held) -> Option<String> {
    let name = &file.name;
    match (held, file.size) {
        (Held::Not, _) => Some(format!("`{name}` is named by the metadata, and the backup does not hold it")),
        (Held::So((held, _)), Some(size)) if held != size => {
            Some(format!("`{name}` has {held} bytes in the manifest, and {size} by the metadata"))
        }
        (Held::So((_, held)), _) if held != file.sha256 => {
            Some(format!("`{name}` has the SHA-256 {held} in the manifest, and {} by the metadata", file.sha256))
        }
        _ => None,
    }
}

/// Where the manifest says something else than the metadata.
fn contradictions(meta: &BackupMeta, reader: &dyn BackupReader) -> Vec<String> {
    let source = &reader.manifest().source;
    let mut faults = Vec::new();
    let id = meta.cluster_id.to_string();
    if let Some(identity) = source.identity.as_ref().filter(|identity| **identity != id && meta.cluster_id != 0) {
        faults.push(format!("the manifest calls it a backup of cluster {identity}, and the metadata one of {id}"));
    }
    if let Some(revision) = &source.revision
        && revision.position != Position::Number(meta.end_version.0)
    {
        faults.push(format!("the manifest gives it the position {}, and the metadata {}", revision.position, meta.end_version));
    }
    faults
}
