//! Volumes of OpenStack Cinder, in Cinder's own backup format.
//!
//! ```text
//! client/      Cinder's API: volumes, snapshots, attachments
//! temporary/   what jobs make at Cinder, and take away again
//! access/      how the bytes of a volume are reached: `rbd`, `nfs`, `local`
//! naming       what Cinder's own backup service calls its objects: they are adopted
//! format/      Cinder's chunked backups, written and read; import and export records
//! ```
//! A capture asks Cinder for a snapshot, reads it through an access, and writes what it reads in the format of Cinder's own backup service,
//! so that `cinder backup-import` and `cinder backup-restore` bring it back without this software.

pub mod access;
mod capture;
mod client;
pub mod codes;
mod config;
pub mod format;
pub mod naming;
mod restore;
mod rollback;
mod source;
mod target;
mod temporary;
mod volume_meta;

pub use client::{
    Attachment, AttachmentSummary, Backup, BackupRecord, Caller, Cinder, CreateBackup, CreateVolume, Microversion, Mode,
    NewSnapshot, Patience, Snapshot, Volume, VolumeAttachment, VolumeFilter, VolumeType, check_id, new_id,
};
pub use config::{CinderConfig, Connector};
pub use source::{CinderSource, SourceOptions};
pub use target::{NewVolume, Target};
pub use temporary::{FAILED, JOB, Leftover, LeftoverKind, Mark, OWNER, ROLE, Role};
