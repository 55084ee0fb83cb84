//! The dialect of OpenStack volume and instance backups.

mod cloud;
mod forward;

pub use cloud::{
    Attachment, Caller, Cloud, Forward, Leftover, LeftoverKind, Parent, Principal, Resource, Role, Server, Service, Snapshot,
    SnapshotOrder, SourceOrder, Volume, VolumeOrder,
};
pub use forward::{ForwardOptions, Forwarder};
