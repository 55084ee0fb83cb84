//! What every writer here says after its first error.

use std::fmt;

use backup_core::Error;
use backup_core::error::codes;

/// The error of a call to the writer of `key` after its first error.
pub(crate) fn used_after_error(key: impl fmt::Display) -> Error {
    let text = format!("the writer of `{key}` failed before, or a call to it was dropped; abort it and write again");
    Error::new(&codes::STORE_WRITER_FAILED, text)
}
