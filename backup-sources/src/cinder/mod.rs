//! Volumes of OpenStack Cinder, in Cinder's own backup format.
//!
//! ```text
//! client/   Cinder's API: volumes, snapshots, attachments, and what is temporary among them
//! access/   how the bytes of a volume are reached: `rbd`, `nfs`, `local`
//! naming    what Cinder's own backup service calls its objects: they are adopted
//! format/   Cinder's chunked backups, written and read; import and export records
//! ```
//! A capture asks Cinder for a snapshot, reads it through an access, and writes what it reads in the format of Cinder's own backup service,
//! so that `cinder backup-import` and `cinder backup-restore` bring it back without this software.

pub mod access;
pub mod format;
pub mod naming;
