#![doc = include_str!("../../README.md")]

pub mod backup_agent;
pub mod backupctl;
pub mod config;
#[cfg(feature = "etcd")]
pub mod etcd_backup;
#[cfg(feature = "etcd")]
pub mod etcd_sidecar;
pub mod logging;
pub mod quickstart;
pub mod server;
#[cfg(feature = "tidb")]
pub mod tidb_backup;
#[cfg(feature = "openstack")]
pub mod volume_backup;
