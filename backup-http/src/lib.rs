//! The HTTP side: one axum `Router` for each documented dialect, behind a feature each, and the floor they share.
//!
//! | module | what it offers |
//! |---|---|
//! | [`download`] | a stored artifact as an HTTP answer: ranges, validators, conditional requests, streamed |
//! | [`access`] | request ids and one log line for each request |
//! | [`auth`] | Basic, Bearer and client certificates |
//! | [`limits`] | body size and time, requests at once |
//! | `etcd_sidecar` | the dialect of the etcd-operator backup sidecar (feature `etcd-sidecar`) |
//!
//! Routers never serve by themselves.

pub mod access;
pub mod auth;
pub mod codes;
pub mod download;
mod duration;
#[cfg(feature = "etcd-sidecar")]
pub mod etcd_sidecar;
pub mod limits;
mod peer;

pub use peer::{Peer, PeerCertificate};
