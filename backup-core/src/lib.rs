//! The engine of an embeddable backup library.
//!
//! A [`Source`] is what is backed up, a [`Store`] is where it goes. The engine in between takes care that a backup that anyone
//! can see is whole and restores byte for byte, that nothing is overwritten, and that memory stays bounded.

pub mod budget;
mod codec;
pub mod compat;
pub mod context;
pub mod cpu;
pub mod digest;
pub mod environment;
pub mod error;
pub mod event;
pub mod key;
mod layout;
pub mod lease;
pub mod manifest;
pub mod name;
pub mod naming;
mod pipeline;
pub mod record;
pub mod repository;
pub mod retention;
pub mod revision;
pub mod schedule;
pub mod secret;
pub mod service;
pub mod source;
pub mod state;
pub mod store;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod zone;

pub use async_trait::async_trait;
pub use bytes::Bytes;
pub use context::JobContext;
pub use digest::{Digest, Hasher};
pub use environment::{Clock, Environment, Random};
pub use error::{Effect, Error, ErrorKind, Result, ResultExt, Retry};
pub use key::{KeyPrefix, ObjectKey};
pub use manifest::{Compression, Manifest};
pub use name::{ArtifactName, BackupId, DirectoryName, JobId, SetName};
pub use repository::{BackupOutcome, BackupRequest, Repository};
pub use revision::{Certainty, Position, Revision};
pub use secret::Secret;
pub use service::BackupService;
pub use source::{
    ArtifactOptions, ArtifactWriter, BackupReader, Inspection, Probe, RestoreReport, RestoreTarget, Sink, Source, Summary,
};
pub use store::{ObjectMeta, ObjectWriter, Store, StoreExt};
pub use zone::Zone;
