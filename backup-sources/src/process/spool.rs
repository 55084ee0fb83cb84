//! A log on disk beside the one in memory, so that what a program printed outlives a kill of this process.
//!
//! Segments are only ever appended to, and each is named after the offset of its first byte: whatever the instant of the kill, what
//! is there can be read back in order. No fsync: after a power cut the log may be shorter.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
#[cfg(feature = "script")]
use std::path::Path;
use std::path::PathBuf;

use super::log::LogLimits;

/// The files `<base>.<offset>`: the head, and the last two of the segments after it.
#[derive(Debug)]
pub(super) struct Spool {
    base: PathBuf,
    limits: LogLimits,
    /// Bytes written so far, those removed since included.
    written: u64,
    current: Option<(File, u64)>,
    older: Option<PathBuf>,
}

impl Spool {
    pub(super) fn new(base: PathBuf, limits: LogLimits) -> Self {
        Self { base, limits, written: 0, current: None, older: None }
    }

    pub(super) fn push(&mut self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let head = self.limits.head as u64;
            let room = match &self.current {
                Some((_, 0)) => head.saturating_sub(self.written),
                Some((_, start)) => (start + self.limits.tail as u64).saturating_sub(self.written),
                None => 0,
            };
            if room == 0 {
                self.next()?;
                continue;
            }
            let (now, later) = data.split_at(data.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
            if let Some((file, _)) = &mut self.current {
                file.write_all(now)?;
            }
            self.written += now.len() as u64;
            data = later;
        }
        Ok(())
    }

    /// Begins a new segment. Of those after the head only the one before it is kept.
    fn next(&mut self) -> io::Result<()> {
        let previous = self.current.take().map(|(_, start)| start).filter(|start| *start > 0);
        if let (Some(older), Some(_)) = (&self.older, previous) {
            std::fs::remove_file(older)?;
        }
        if let Some(start) = previous {
            self.older = Some(self.segment(start));
        }
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(self.segment(self.written))?;
        self.current = Some((file, self.written));
        Ok(())
    }

    fn segment(&self, start: u64) -> PathBuf {
        let mut path = self.base.as_os_str().to_owned();
        path.push(format!(".{start}"));
        path.into()
    }
}

/// What a spool holds.
#[cfg(feature = "script")]
#[derive(Debug)]
pub(super) struct Spooled {
    pub(super) head: Vec<u8>,
    pub(super) tail: Vec<u8>,
    /// Bytes that are missing between the two.
    pub(super) cut: u64,
}

/// Reads a spool; `None` when nothing was printed.
#[cfg(feature = "script")]
pub(super) fn read(base: &Path, limits: LogLimits) -> io::Result<Option<Spooled>> {
    let Some((directory, name)) = base.parent().zip(base.file_name().and_then(|name| name.to_str())) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut starts: Vec<u64> = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?.file_name();
        let start: Option<u64> = entry.to_str().and_then(|entry| entry.strip_prefix(name)?.strip_prefix('.')?.parse().ok());
        starts.extend(start);
    }
    starts.sort_unstable();
    let segment = |start: u64| std::fs::read(directory.join(format!("{name}.{start}")));
    let Some((first, later)) = starts.split_first() else { return Ok(None) };
    let head = if *first == 0 { segment(0)? } else { Vec::new() };
    let mut tail = Vec::new();
    for start in later {
        tail.extend(segment(*start)?);
    }
    let end = later.first().map_or(head.len() as u64, |start| start + tail.len() as u64);
    tail.drain(..tail.len().saturating_sub(limits.tail));
    let cut = end.saturating_sub((head.len() + tail.len()) as u64);
    Ok(if head.is_empty() { None } else { Some(Spooled { head, tail, cut }) })
}
