//! Runs of bytes in files, read some steps ahead; and those of a raw file, without its holes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use backup_core::{Error, JobContext, Result};
use bytes::BytesMut;
use futures::stream::{BoxStream, StreamExt};
use futures::{future, stream};
use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::beneath::Opened;
use super::{PIECE, blocking, failed};
use crate::cinder::access::{Extent, Extents, codes};

/// Pieces that are read while one is worked on.
const AHEAD: usize = 2;

/// A run of a volume's bytes in a file.
#[derive(Debug, Clone)]
pub(in crate::cinder::access) struct Run {
    /// Where it is in the volume.
    pub(in crate::cinder::access) offset: u64,
    pub(in crate::cinder::access) length: u64,
    pub(in crate::cinder::access) file: Arc<File>,
    /// Where it is in the file.
    pub(in crate::cinder::access) position: u64,
}

pub(in crate::cinder::access) type Runs = BoxStream<'static, Result<Run>>;

/// Reads runs of any length in pieces of 1 MiB. It ends after the first error.
pub(in crate::cinder::access) fn extents(cx: &JobContext, runs: Runs, path: &Path) -> Extents {
    let (cx, path): (JobContext, Arc<Path>) = (cx.clone(), path.into());
    let pieces = runs.flat_map(|run| stream::iter(pieces(run)));
    let read = pieces.map(move |piece| {
        let (cx, path) = (cx.clone(), Arc::clone(&path));
        async move {
            let piece = piece?;
            // A read of a piece that nobody wants any more ends by itself.
            cx.run(blocking(move || read(&piece, &path))).await
        }
    });
    let read = read.buffered(AHEAD);
    let whole = read.scan(false, |ended, item| {
        let item = (!*ended).then_some(item);
        *ended = matches!(item, Some(Err(_)));
        future::ready(item)
    });
    whole.boxed()
}

fn pieces(run: Result<Run>) -> impl Iterator<Item = Result<Run>> {
    let mut left = Some(run);
    std::iter::from_fn(move || match left.take()? {
        Err(error) => Some(Err(error)),
        Ok(mut run) => {
            let length = run.length.min(PIECE);
            let piece = Run { length, ..run.clone() };
            (run.offset, run.position, run.length) = (run.offset + length, run.position + length, run.length - length);
            left = (run.length > 0).then_some(Ok(run));
            Some(Ok(piece))
        }
    })
}

fn read(piece: &Run, path: &Path) -> Result<Extent> {
    let length = usize::try_from(piece.length).map_err(|_| short(path))?;
    let mut bytes = BytesMut::zeroed(length);
    let read = piece.file.read_exact_at(&mut bytes, piece.position);
    read.map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => short(path),
        _ => failed("reading", path, error),
    })?;
    Ok(Extent::Data { offset: piece.offset, bytes: bytes.freeze() })
}

fn short(path: &Path) -> Error {
    Error::new(&codes::UNREADABLE, format!("{} became shorter while it was read", path.display()))
}

/// What is there of a raw file or device, as far as it goes.
pub(in crate::cinder::access) fn raw(cx: &JobContext, opened: Opened) -> Extents {
    let path = opened.path.clone();
    let runs = stream::unfold(Some((opened, 0)), |state| async move {
        let (opened, from) = state?;
        let (file, device, size, path) = (Arc::clone(&opened.file), opened.device, opened.size, opened.path.clone());
        let found = blocking(move || if device { Ok(whole(from, size)) } else { next(&file, from, size, path) }).await;
        match found {
            Ok(None) => None,
            Ok(Some((start, end))) => {
                let run = Run { offset: start, length: end - start, file: Arc::clone(&opened.file), position: start };
                Some((Ok(run), Some((opened, end))))
            }
            Err(error) => Some((Err(error), None)),
        }
    });
    extents(cx, runs.boxed(), &path)
}

/// A device has no holes that could be asked for.
fn whole(from: u64, size: u64) -> Option<(u64, u64)> {
    (from < size).then_some((from, size))
}

/// The next data at or after `from`.
fn next(file: &File, from: u64, size: u64, path: PathBuf) -> Result<Option<(u64, u64)>> {
    if from >= size {
        return Ok(None);
    }
    let start = match rustix::fs::seek(file, SeekFrom::Data(from)) {
        Ok(start) => start,
        // Nothing but a hole up to the end. That of a file which was cut meanwhile is none.
        Err(Errno::NXIO) => {
            let now = file.metadata().map_err(|error| failed("looking at", &path, error))?.len();
            return if now < size { Err(short(&path)) } else { Ok(None) };
        }
        // Not every file system knows holes.
        Err(Errno::INVAL | Errno::NOTSUP) => return Ok(whole(from, size)),
        Err(error) => return Err(failed("looking for data in", &path, error.into())),
    };
    if start >= size {
        return Ok(None);
    }
    let end =
        rustix::fs::seek(file, SeekFrom::Hole(start)).map_err(|error| failed("looking for holes in", &path, error.into()))?;
    // At least one byte, or this would never end.
    Ok(Some((start, end.clamp(start + 1, size))))
}
