//! A tar stream of one member whose size is known before its bytes (POSIX ustar; GNU base-256 sizes above 8 GiB).

use backup_core::error::codes;
use backup_core::{Bytes, Error, Result};
use chrono::{DateTime, Utc};

const BLOCK: u64 = 512;
/// The largest size that eleven octal digits hold.
const USTAR_MAX: u64 = (8 << 30) - 1;

/// The header of a regular file, readable by its owner alone.
pub(super) fn header(name: &str, size: u64, modified: DateTime<Utc>) -> Result<Bytes> {
    let mut header = if size > USTAR_MAX { tar::Header::new_gnu() } else { tar::Header::new_ustar() };
    header
        .set_path(name)
        .map_err(|error| Error::new(&codes::INPUT_INVALID, format!("{name:?} cannot be named in a tar")).with_source(error))?;
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(u64::try_from(modified.timestamp()).unwrap_or(0));
    header.set_cksum();
    Ok(Bytes::copy_from_slice(header.as_bytes()))
}

/// What follows the member's bytes: padding to a whole block, and the two empty blocks that end an archive.
pub(super) fn end(size: u64) -> Bytes {
    let padding = size.next_multiple_of(BLOCK) - size;
    Bytes::from(vec![0; (padding + 2 * BLOCK) as usize])
}

/// The size of the whole archive.
pub(super) fn archive_size(size: u64) -> u64 {
    BLOCK.saturating_add(size).saturating_add(end(size).len() as u64)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_tar_crate_reads_what_is_written() {
        for size in [0_u64, 1, 511, 512, 513, 70_000] {
            let data: Vec<u8> = (0..size).map(|n| n as u8).collect();
            let mut archive = header("snapshot.db", size, "2026-11-21T12:00:00Z".parse().unwrap()).unwrap().to_vec();
            archive.extend_from_slice(&data);
            archive.extend_from_slice(&end(size));
            assert_eq!(archive.len() as u64, archive_size(size));
            let mut archive = tar::Archive::new(archive.as_slice());
            let mut entries = archive.entries().unwrap();
            let mut entry = entries.next().unwrap().unwrap();
            assert_eq!(entry.path().unwrap().to_str(), Some("snapshot.db"));
            let mut read = Vec::new();
            entry.read_to_end(&mut read).unwrap();
            assert!(read == data);
            drop(entry);
            assert!(entries.next().is_none());
        }
    }

    #[test]
    fn a_size_beyond_eight_gibibytes_survives() {
        let bytes = header("s.db", 9 << 30, Utc::now()).unwrap();
        assert_eq!(tar::Header::from_byte_slice(&bytes).entry_size().unwrap(), 9 << 30);
    }
}
