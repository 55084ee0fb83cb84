//! What a writer may be given: offsets that grow, and nothing beyond the volume.

use backup_core::{Error, Result};

use super::codes;

#[derive(Debug)]
pub(super) struct Bounds {
    what: String,
    size: u64,
    end: u64,
}

impl Bounds {
    /// Of a volume of `size` bytes, in `what`.
    pub(super) fn new(what: &str, size: u64) -> Self {
        Self { what: what.to_owned(), size, end: 0 }
    }

    /// Takes the next range.
    ///
    /// # Errors
    /// `cinder.unwritable` when it begins before the end of the last one, or ends beyond the volume.
    pub(super) fn take(&mut self, offset: u64, length: u64) -> Result<()> {
        let refuse =
            |why: String| Err(Error::new(&codes::UNWRITABLE, format!("{length} bytes at {offset} of {}: {why}", self.what)));
        match offset.checked_add(length) {
            Some(end) if end <= self.size && offset >= self.end => {
                self.end = end;
                Ok(())
            }
            Some(end) if end <= self.size => refuse(format!("what comes before was written up to {}", self.end)),
            _ => refuse(format!("the volume has {} bytes", self.size)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_grow_and_stay_within_the_volume() {
        let mut bounds = Bounds::new("pool/volume", 100);
        for (offset, length, taken) in
            [(0, 10, true), (10, 0, true), (9, 5, false), (50, 50, true), (50, 1, false), (100, 1, false), (100, 0, true)]
        {
            assert_eq!(bounds.take(offset, length).is_ok(), taken, "{offset} {length}");
        }
        assert!(bounds.take(u64::MAX, 2).is_err());
    }
}
