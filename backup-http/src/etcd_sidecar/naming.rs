//! File names: `<version>_<revision, %016x>_etcd.backup`, as the sidecar of etcd-operator v0.6 gave them.

use backup_core::error::codes;
use backup_core::naming::{Adoptable, NameRequest, Naming};
use backup_core::repository::BackupInfo;
use backup_core::{ArtifactName, Compression, Error, KeyPrefix, ObjectKey, ObjectMeta, Position, Result, Revision, SetName};
use chrono::{DateTime, TimeDelta, Utc};
use semver::{BuildMetadata, Version};

const SUFFIX: &str = "etcd.backup";

/// Longest name of a cluster or a namespace: both together fit into a set's name.
const MAX_NAME: usize = 90;

/// Where the backups of one cluster lie, and what their files are called.
///
/// # Behavior
/// A free name is `v1/<cluster>/3.5.1_000000000000000a_etcd.backup`, in a bucket `v1/<namespace>/<cluster>/…`. Whatever holds that
/// name already, the next ones are `3.5.1+h2_…`, `3.5.1+h3_…`. Build metadata of etcd's own is left out; a pre-release is kept.
///
/// Files that the original left under the same prefix are adopted when their name is one that it counted as a backup, and
/// they are not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SidecarNaming {
    set: SetName,
    prefix: KeyPrefix,
}

impl SidecarNaming {
    /// The layout of a directory (fs, nfs): `v1/<cluster>/`, the set `etcd/<cluster>`.
    ///
    /// # Errors
    /// `input.invalid` for a name that no cluster has.
    pub fn in_directory(cluster: &str) -> Result<Self> {
        Self::of("cluster", cluster)
    }

    /// The layout of a bucket or container (S3, Swift): `v1/<namespace>/<cluster>/`, the set `etcd/<namespace>/<cluster>`.
    ///
    /// # Errors
    /// `input.invalid` for a name that no cluster or namespace has.
    pub fn in_bucket(namespace: &str, cluster: &str) -> Result<Self> {
        check("namespace", namespace)?;
        check("cluster", cluster)?;
        Self::of_path(&format!("{namespace}/{cluster}"))
    }

    fn of(what: &str, name: &str) -> Result<Self> {
        check(what, name)?;
        Self::of_path(name)
    }

    fn of_path(path: &str) -> Result<Self> {
        Ok(Self { set: SetName::new(format!("etcd/{path}"))?, prefix: KeyPrefix::new(format!("v1/{path}"))? })
    }

    /// The backup set of the cluster.
    pub fn set(&self) -> &SetName {
        &self.set
    }
}

fn check(what: &str, name: &str) -> Result<()> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let starts_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if starts_well && name.len() <= MAX_NAME && name.bytes().all(legal) {
        return Ok(());
    }
    let shown: String = name.chars().take(100).collect();
    Err(Error::new(
        &codes::INPUT_INVALID,
        format!(
            "{what} name {shown:?} may hold letters, digits, `-`, `_` and `.`, starts with a letter or digit, and has {MAX_NAME} bytes at most"
        ),
    ))
}

impl Naming for SidecarNaming {
    fn artifact_key(&self, request: NameRequest<'_>) -> Result<ObjectKey> {
        if *request.set != self.set {
            let what = format!("the naming is for the set {}, not for {}", self.set, request.set);
            return Err(Error::new(&codes::INPUT_INVALID, what));
        }
        let lacks = |what: &str| {
            let set = request.set;
            Error::new(&codes::SOURCE_FAILED, format!("a backup of {set} is named after its {what}, and the source tells none"))
        };
        let revision = match request.probe.revision.as_ref().map(|revision| &revision.position) {
            Some(Position::Number(number)) => *number,
            _ => return Err(lacks("revision number")),
        };
        let version = request.probe.version.as_deref().ok_or_else(|| lacks("version"))?;
        let mut plain = Version::parse(version).map_err(|error| {
            let what = format!("the source's version {version:?} is not of the form major.minor.patch");
            Error::new(&codes::SOURCE_FAILED, what).with_source(error)
        })?;
        plain.build = BuildMetadata::EMPTY;
        let again = if request.attempt > 1 { format!("+h{}", request.attempt) } else { String::new() };
        self.prefix.key(&format!("{plain}{again}_{revision:016x}_{SUFFIX}"))
    }

    fn adoptable_prefix(&self, set: &SetName) -> Option<KeyPrefix> {
        (*set == self.set).then(|| self.prefix.clone())
    }

    fn adopt(&self, set: &SetName, object: &ObjectMeta) -> Option<Adoptable> {
        if *set != self.set || object.size == 0 {
            return None;
        }
        let file = object.key.strip_prefix(&self.prefix)?;
        let name = FileName::parse(file)?;
        Some(Adoptable {
            artifact: ArtifactName::new(file).ok()?,
            compression: Compression::None,
            created_at: order(object.modified?, name.revision),
            order: u32::try_from(name.revision & LOW_BITS).ok(),
            revision: Some(Revision::at_least(name.revision)),
            version: Some(name.plain_version().to_owned()),
            group: None,
        })
    }
}

/// The part of a revision that goes into [`Adoptable::order`].
const LOW_BITS: u64 = (1 << 20) - 1;

/// A time for an adopted file, which gives its place among all backups: in the second before the one in which it was written, and within that by its
/// revision. Files that were copied or unpacked together have one time, and rotation shall begin with the lowest revision as the
/// original did: the thousandths of the second say the revision's upper bits, [`Adoptable::order`] the lower ones, and beyond a thousand
/// million chance decides among those that share the lower ones. Never later than the file itself, so that a backup which is made
/// right after comes right after.
fn order(modified: DateTime<Utc>, revision: u64) -> DateTime<Utc> {
    let thousandth = i64::try_from((revision >> LOW_BITS.count_ones()).min(999)).unwrap_or(0);
    let second = modified.timestamp().saturating_sub(1);
    DateTime::from_timestamp(second, 0).map_or(modified, |second| second + TimeDelta::milliseconds(thousandth))
}

/// When an adopted file was written, in whole seconds, from the time that [`order`] gave it.
pub(super) fn written_at(ordered: DateTime<Utc>) -> DateTime<Utc> {
    ordered + TimeDelta::seconds(1)
}

/// What the name of a backup's file says. The original knew nothing else of a backup, and its clients are told nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileName<'a> {
    /// The whole name, without folders.
    pub(super) text: &'a str,
    /// The version part as it stands there.
    pub(super) version: &'a str,
    pub(super) revision: u64,
}

impl<'a> FileName<'a> {
    /// Reads a name as the original did: three parts, the second hexadecimal, the right end. `None` for any other.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(3, '_');
        let (version, revision, rest) = (parts.next()?, parts.next()?, parts.next()?);
        let hexadecimal = !revision.is_empty() && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !hexadecimal || !rest.ends_with(SUFFIX) || text.contains('/') {
            return None;
        }
        // etcd's revisions are signed: the original read no greater number.
        let revision = i64::from_str_radix(revision, 16).ok().and_then(|revision| u64::try_from(revision).ok())?;
        Some(Self { text, version, revision })
    }

    /// The name of a backup's file; `None` for a damaged entry, of which none is known.
    pub(super) fn of(info: &'a BackupInfo) -> Option<Self> {
        Self::parse(info.first_key.as_ref()?.file_name())
    }

    /// The version without the mark that tells files of one name apart.
    pub(super) fn plain_version(&self) -> &'a str {
        let is_mark = |mark: &str| mark.strip_prefix('h').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        match self.version.rsplit_once('+') {
            Some((plain, mark)) if is_mark(mark) => plain,
            _ => self.version,
        }
    }
}
