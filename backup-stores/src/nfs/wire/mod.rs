//! The protocol: connections, remote procedure calls over them, and the procedures of NFSv3 as typed functions.
//!
//! Nothing above this module knows the crate that packs the messages, but for its plain data types.

mod connect;
mod mount;
mod ops;
mod session;
mod socket;
mod types;

pub(super) use connect::Target;
pub(super) use mount::Mounted;
pub(super) use ops::{Page, Wrote};
pub(super) use session::Session;
pub(super) use types::{Attr, Fault, FileId, Found, Handle, Kind, Limits, Status, Verifier};
