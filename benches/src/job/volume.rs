//! A volume of Cinder as the thing that is backed up.

use std::path::PathBuf;

use backup_core::Result;
use backup_remote::keystone::KeystoneConfig;
use backup_sources::cinder::access::{AccessConfig, RbdConfig};
use backup_sources::cinder::{Cinder, CinderConfig, CinderSource, SourceOptions};

/// The volume `id` of the user that the environment names, whose image is in a pool of the Ceph that `conf` describes.
pub(super) fn source(conf: &str, pool: &str, id: &str) -> Result<CinderSource> {
    let keystone = KeystoneConfig::from_environment(|name| std::env::var(name).ok())?;
    let mut rbd = RbdConfig::default();
    rbd.conf = Some(PathBuf::from(conf));
    rbd.pools = vec![pool.to_owned()];
    let access = AccessConfig::rbd(rbd).open()?;
    CinderSource::new(Cinder::new(CinderConfig::new(keystone))?, access, SourceOptions::new("bench"))?.volume(id)
}
