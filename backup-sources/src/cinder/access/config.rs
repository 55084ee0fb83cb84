//! The block `volume-access`: which way leads to the bytes of volumes.

use std::path::PathBuf;
use std::sync::Arc;

use backup_core::{Error, Result};
use serde::Deserialize;

use super::{LocalAccess, NfsAccess, RbdAccess, VolumeAccess, codes};

/// Which way leads to the bytes of volumes: exactly one.
///
/// ```yaml
/// volume-access:
///   rbd: { conf: /etc/ceph/ceph.conf, user: backup, pools: [volumes] }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct AccessConfig {
    /// Images of Ceph, through the program `rbd`.
    pub rbd: Option<RbdConfig>,
    /// Files on shares that Cinder's NFS driver has mounted here.
    pub nfs: Option<NfsConfig>,
    /// Files and devices of this host.
    pub local: Option<LocalConfig>,
}

/// Images of Ceph.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RbdConfig {
    /// Ceph's configuration; without one, where Ceph looks by itself.
    pub conf: Option<PathBuf>,
    /// The user, without `client.`; Ceph's own default otherwise. Its key is found through the configuration, never given here.
    pub user: Option<String>,
    /// The pools in which the image of a volume is looked for, in this order.
    pub pools: Vec<String>,
    /// The program.
    pub program: PathBuf,
}

impl Default for RbdConfig {
    fn default() -> Self {
        Self { conf: None, user: None, pools: vec!["volumes".to_owned()], program: PathBuf::from("rbd") }
    }
}

/// Shares that Cinder's NFS driver, or one like it, has mounted here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct NfsConfig {
    /// Where they are mounted, each under the MD5 of its name; `nfs_mount_point_base` at Cinder.
    pub mount_base: PathBuf,
}

impl NfsConfig {
    /// Shares below `mount_base`.
    pub fn new(mount_base: impl Into<PathBuf>) -> Self {
        Self { mount_base: mount_base.into() }
    }
}

/// Files and devices of this host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct LocalConfig {
    /// Where they may lie; nothing else is opened, not even in `/dev`.
    pub directories: Vec<PathBuf>,
}

impl LocalConfig {
    /// What lies below `directories`.
    pub fn new(directories: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        Self { directories: directories.into_iter().map(Into::into).collect() }
    }
}

impl AccessConfig {
    /// Images of Ceph.
    pub fn rbd(config: RbdConfig) -> Self {
        Self { rbd: Some(config), ..Self::default() }
    }

    /// Shares.
    pub fn nfs(config: NfsConfig) -> Self {
        Self { nfs: Some(config), ..Self::default() }
    }

    /// Files and devices of this host.
    pub fn local(config: LocalConfig) -> Self {
        Self { local: Some(config), ..Self::default() }
    }

    /// The access that is configured. Nothing is started or reached yet.
    ///
    /// # Errors
    /// `cinder.access_config` when none or several ways are named, or one cannot be used.
    pub fn open(&self) -> Result<Arc<dyn VolumeAccess>> {
        Ok(match (&self.rbd, &self.nfs, &self.local) {
            (Some(rbd), None, None) => Arc::new(RbdAccess::new(rbd.clone())?),
            (None, Some(nfs), None) => Arc::new(NfsAccess::new(nfs)?),
            (None, None, Some(local)) => Arc::new(LocalAccess::new(local)?),
            (None, None, None) => {
                return Err(wrong("`volume-access` names no way; exactly one of `rbd`, `nfs` and `local` is needed"));
            }
            _ => return Err(wrong("`volume-access` names several ways; exactly one of `rbd`, `nfs` and `local` is needed")),
        })
    }
}

pub(super) fn wrong(what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(&codes::ACCESS_CONFIG, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(json: &str) -> Result<&'static str, String> {
        let config: AccessConfig = serde_json::from_str(json).map_err(|error| error.to_string())?;
        config.open().map(|access| access.kind()).map_err(|error| error.to_string())
    }

    #[test]
    fn exactly_one_way_is_configured() {
        assert_eq!(opened(r#"{"rbd": {}}"#).unwrap(), "rbd");
        assert_eq!(opened(r#"{"nfs": {"mount-base": "/mnt"}}"#).unwrap(), "nfs");
        assert_eq!(opened(r#"{"local": {"directories": ["/srv"]}}"#).unwrap(), "local");
        for (json, why) in [
            (r"{}", "no way"),
            (r#"{"rbd": {}, "local": {"directories": ["/srv"]}}"#, "several ways"),
            (r#"{"iscsi": {}}"#, "unknown field `iscsi`"),
            (r#"{"rbd": {"pool": "a"}}"#, "unknown field `pool`"),
            (r#"{"rbd": {"pools": []}}"#, "`pools`"),
            (r#"{"rbd": {"pools": ["a/b"]}}"#, "a/b"),
            (r#"{"rbd": {"pools": ["--conf"]}}"#, "--conf"),
            (r#"{"rbd": {"user": ""}}"#, "`user`"),
            (r#"{"nfs": {}}"#, "mount-base"),
            (r#"{"nfs": {"mount-base": "mnt"}}"#, "absolute"),
            (r#"{"local": {"directories": []}}"#, "`directories`"),
            (r#"{"local": {"directories": ["/srv/../etc"]}}"#, ".."),
        ] {
            let error = opened(json).unwrap_err();
            assert!(error.contains(why), "{json}: {error}");
        }
    }
}
