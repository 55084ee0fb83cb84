//! Whether the size of what holds a volume's bytes suits the volume.

use backup_core::{Error, Result};

use super::codes;

/// Cinder counts in GiB and rounds up: what it took over from elsewhere may be smaller than its volume by less than this.
const UNIT: u64 = 1 << 30;

/// Refuses to read what is larger than the volume, or smaller by more than rounding up explains. What it lacks reads as zeros.
pub(super) fn check_readable(what: &str, found: u64, volume: u64) -> Result<()> {
    if found <= volume && volume - found < UNIT {
        return Ok(());
    }
    Err(Error::new(&codes::UNREADABLE, format!("{what} has {found} bytes, but the volume {volume}")))
}

/// Refuses to write to what is smaller than the volume.
pub(super) fn check_writable(what: &str, found: u64, volume: u64) -> Result<()> {
    if found >= volume {
        return Ok(());
    }
    Err(Error::new(&codes::UNWRITABLE, format!("{what} has {found} bytes, fewer than the {volume} of the volume")))
}
