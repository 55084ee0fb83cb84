//! The HTTP side: one axum `Router` for each documented dialect, behind a feature each, and the floor they share.
//!
//! | module | what it offers |
//! |---|---|
//! | [`download`] | a stored artifact as an HTTP answer: ranges, validators, conditional requests, streamed |
//! | [`access`] | request ids and one log line for each request |
//! | [`auth`] | Basic, Bearer and client certificates |
//! | [`limits`] | body size and time, requests at once |
//! | `backup_agent` | the dialect of the backup agent (feature `backup-agent`) |
//! | `etcd_sidecar` | the dialect of the etcd-operator backup sidecar (feature `etcd-sidecar`) |
//! | `openstack` | the dialect of OpenStack volume and instance backups (feature `openstack`) |
//! | `tidb` | the dialect of TiDB cluster backups (feature `tidb`) |
//! | [`server`] | a router on TCP or TLS with limits and a graceful end, for programs |
//! | `tls` | certificates from files, taken up anew when they change (feature `tls`) |
//! | [`observe`] | `/healthz`, `/metrics`, `/openapi.json` |
//! | [`fallback`] | 405 with `Allow`, panics |
//!
//! Routers never serve by themselves.

pub mod access;
pub mod auth;
#[cfg(feature = "backup-agent")]
pub mod backup_agent;
pub mod codes;
pub mod download;
pub mod duration;
#[cfg(feature = "etcd-backup")]
pub mod etcd_backup;
#[cfg(feature = "etcd-sidecar")]
pub mod etcd_sidecar;
pub mod fallback;
#[cfg(any(feature = "openstack", feature = "tidb"))]
mod kept;
pub mod limits;
pub mod observe;
#[cfg(feature = "openstack")]
pub mod openstack;
mod peer;
pub mod server;
#[cfg(feature = "testkit")]
pub mod testkit;
#[cfg(feature = "tidb")]
pub mod tidb;
#[cfg(feature = "tls")]
pub mod tls;

pub use peer::{Peer, PeerCertificate};
#[cfg(any(feature = "backup-agent", feature = "etcd-backup", feature = "etcd-sidecar", feature = "openstack", feature = "tidb"))]
mod untended;
