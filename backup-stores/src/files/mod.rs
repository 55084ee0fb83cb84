//! What the stores share whose objects are plain files: names, who owns what is unfinished, and the order of a listing.

mod entries;
mod owner;
mod path;
mod silly;

pub(crate) use entries::Entries;
pub(crate) use owner::Owner;
pub(crate) use path::{KeyPath, TMP_DIR, shown, split};
pub(crate) use silly::is_silly;
