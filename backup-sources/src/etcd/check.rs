//! What can be said about the bytes of a snapshot: plain, or the one member of a tar.
//!
//! The trailer is there when the length is 32 more than a multiple of 512 (etcdutl/snapshot/v3_snapshot.go); a database
//! begins with a meta page (bbolt page.go and db.go: page header of 16 bytes, then magic, version, page size).

use std::io::{self, Read, Write};

use backup_core::error::codes::STORE_IO;
use backup_core::{Digest, Error, Hasher, Result};

use super::codes;
use super::stream::TRAILER;

const BLOCK: usize = 512;
const READ: usize = 1 << 20;
/// Where a bbolt meta page keeps its magic number and its page size.
const MAGIC_AT: usize = 16;
const PAGE_SIZE_AT: usize = 24;
const MAGIC: u32 = 0xED0C_DAED;
const GZIP: &[u8] = &[0x1f, 0x8b];

/// A snapshot that was read to its end.
#[derive(Debug)]
pub(super) struct Checked {
    /// Its length with the trailer.
    pub(super) size: u64,
    /// The SHA-256 of all but the last 32 bytes.
    pub(super) sha256: Digest,
    /// What is wrong with it.
    pub(super) faults: Vec<String>,
}

impl Checked {
    /// The size of the database.
    pub(super) fn db_size(&self) -> u64 {
        self.size.saturating_sub(TRAILER as u64)
    }

    /// # Errors
    /// `etcd.snapshot_damaged` with all faults.
    pub(super) fn whole(self) -> Result<Self> {
        if self.faults.is_empty() {
            return Ok(self);
        }
        Err(Error::new(&codes::SNAPSHOT_DAMAGED, format!("the snapshot is damaged: {}", self.faults.join("; "))))
    }
}

/// Reads `input` to its end and writes the snapshot, unwrapped, to `output`.
///
/// # Errors
/// Those of reading and writing. What is wrong with the bytes is no error but a fault.
pub(super) fn read(input: &mut dyn Read, output: &mut dyn Write) -> Result<Checked> {
    let broken = |error| Error::new(&STORE_IO, "reading the snapshot failed").with_source(error);
    let mut first = Vec::with_capacity(BLOCK);
    Read::take(&mut *input, BLOCK as u64).read_to_end(&mut first).map_err(broken)?;
    if is_tar(&first) {
        return read_tar(first.chain(input), output);
    }
    let mut checked = read_plain(&mut first.as_slice().chain(input), output)?;
    if first.starts_with(GZIP) {
        checked.faults = vec!["it is compressed with gzip; decompress it first".to_owned()];
    }
    Ok(checked)
}

fn read_tar(input: impl Read, output: &mut dyn Write) -> Result<Checked> {
    // A stream that fails brings its own error, which wins: what is left are mistakes in the archive.
    let broken = |error| Error::new(&codes::SNAPSHOT_DAMAGED, "the tar is damaged").with_source(error);
    let mut archive = tar::Archive::new(input);
    let mut found: Option<Checked> = None;
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        if let Some(checked) = &mut found {
            checked.faults.push("the tar holds more than one file".to_owned());
            continue;
        }
        let announced = entry.size();
        let mut checked = read_plain(&mut entry, output)?;
        if checked.size != announced {
            checked.faults.push(format!("the tar announces {announced} bytes, but {} are there", checked.size));
        }
        found = Some(checked);
    }
    // The end of the stream is where it was checked as a whole.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(broken)?;
    found.ok_or_else(|| Error::new(&codes::SNAPSHOT_DAMAGED, "the tar holds no file"))
}

fn read_plain(input: &mut dyn Read, output: &mut dyn Write) -> Result<Checked> {
    let mut hasher = Hasher::new();
    let mut head = Vec::new();
    // The last 32 bytes are not hashed, and only the end tells which they are.
    let mut held: Vec<u8> = Vec::with_capacity(READ + TRAILER);
    let mut buffer = vec![0; READ];
    let mut size = 0_u64;
    loop {
        let count = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::new(&STORE_IO, "reading the snapshot failed").with_source(error)),
        };
        let data = buffer.get(..count).unwrap_or_default();
        output.write_all(data).map_err(|error| Error::new(&STORE_IO, "writing the snapshot failed").with_source(error))?;
        size = size.saturating_add(count as u64);
        if head.len() < BLOCK {
            head.extend(data.iter().take(BLOCK - head.len()));
        }
        held.extend_from_slice(data);
        if let Some(sure) = held.len().checked_sub(TRAILER) {
            hasher.update(held.get(..sure).unwrap_or_default());
            held.drain(..sure);
        }
    }
    let sha256 = hasher.finish();
    let mut faults = Vec::new();
    check_trailer(size, sha256, &held, &mut faults);
    check_meta_page(size, &head, &mut faults);
    Ok(Checked { size, sha256, faults })
}

fn check_trailer(size: u64, found: Digest, held: &[u8], faults: &mut Vec<String>) {
    if size % BLOCK as u64 != TRAILER as u64 {
        faults.push(format!("its {size} bytes do not end with a SHA-256 trailer: it is cut or was copied from a data directory"));
        return;
    }
    match <[u8; TRAILER]>::try_from(held).map(Digest::from_bytes) {
        Ok(trailer) if trailer == found => {}
        Ok(trailer) => faults.push(format!("its database has the SHA-256 {found}, but its trailer says {trailer}")),
        Err(_) => faults.push("its trailer is cut".to_owned()),
    }
}

fn check_meta_page(size: u64, head: &[u8], faults: &mut Vec<String>) {
    let word = |at: usize| head.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    let (magic, page_size) = (word(MAGIC_AT).unwrap_or_default(), word(PAGE_SIZE_AT).unwrap_or_default());
    // bbolt writes in the byte order of its machine.
    let page_size = match (u32::from_le_bytes(magic), u32::from_be_bytes(magic)) {
        (MAGIC, _) => u32::from_le_bytes(page_size),
        (_, MAGIC) => u32::from_be_bytes(page_size),
        _ => return faults.push("it does not begin with a bbolt meta page".to_owned()),
    };
    let legal = page_size.is_power_of_two() && (512..=65536).contains(&page_size);
    if !legal || !size.saturating_sub(TRAILER as u64).is_multiple_of(page_size.into()) {
        faults.push(format!("its size is not a multiple of its page size {page_size}"));
    }
}

/// A tar header sums to its own checksum (POSIX ustar: with the checksum field taken as spaces).
fn is_tar(block: &[u8]) -> bool {
    if block.len() != BLOCK {
        return false;
    }
    let sum =
        |range: std::ops::Range<usize>| block.get(range).unwrap_or_default().iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let expected = sum(0..148) + 8 * u32::from(b' ') + sum(156..BLOCK);
    tar::Header::from_byte_slice(block).cksum().is_ok_and(|stored| stored == expected)
}
