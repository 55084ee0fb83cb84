//! A backup is written: read, packed and stored side by side, in order.

use std::sync::Arc;

use backup_core::cpu::CpuPool;
use backup_core::error::codes as core_codes;
use backup_core::{ArtifactOptions, BackupReader, Error, JobContext, Result, Sink};
use futures::stream::{self, FuturesUnordered};
use futures::{Stream, StreamExt, future};
use tokio::sync::mpsc;

use super::base::Base;
use super::buffers::Buffers;
use super::metadata::{self, Noted};
use super::names::{self, METADATA, SHA256FILE};
use super::options::BUFFERS;
use super::pack::{Done, Packer};
use super::shafile::ShaWriter;
use super::window::{Window, Windows};
use super::{BLOCK, NewBackup, Options, Written};
use crate::cinder::access::Extents;

/// How many objects are being stored at a time.
const PUTS: usize = 8;

/// What a backup is made of.
pub enum Content {
    /// The whole volume; gaps are zeros.
    Whole(Extents),
    /// What changed since the parent; gaps are as in the parent. Extents begin and end at multiples of [`BLOCK`], or at the volume's end.
    Changed(Extents),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::Changed(_) => "Changed",
        })
    }
}

/// Writes a backup in Cinder's chunked format: a full one, or with a `parent` an incremental one, which stores blocks whose digests
/// differ from the parent's.
///
/// # Behavior
/// Artifacts are called `backup-00001` and so on, `backup_sha256file` and, written last, `backup_metadata`. The source says
/// [`Options::working_memory`], and one open artifact.
///
/// # Errors
/// `input.invalid`; `cinder.grown` when the parent is of another size or block size, `cinder.other_parent` when it is of another volume: a
/// full backup is to be made then. `cinder.damaged` for what the parent's digests lack; `cinder.content`; those of the content, the sink and the parent.
///
/// # Cancel safety
/// Cancelled by `cx`. Objects that are being stored are waited for.
pub async fn write(
    cx: &JobContext,
    sink: &dyn Sink,
    options: &Options,
    backup: &NewBackup,
    parent: Option<&dyn BackupReader>,
    content: Content,
) -> Result<Written> {
    options.check()?;
    let (extents, changes) = match content {
        Content::Whole(extents) => (extents, false),
        Content::Changed(extents) => (extents, true),
    };
    if backup.size == 0 || (changes && parent.is_none()) {
        return Err(Error::new(&core_codes::INPUT_INVALID, "a backup is of a volume of some size, and changes need a parent"));
    }
    let base = match parent {
        Some(parent) => Some(Base::open(cx, parent, backup).await?),
        None => None,
    };
    let parent_id = base.as_ref().map(|base| base.backup_id.clone());
    let as_is = || ArtifactOptions::default().as_is();
    let hint = ShaWriter::size_hint(backup.size);
    let sha256file = sink.artifact(&names::extra(SHA256FILE)?, as_is().size_hint(hint)).await?;
    let mut storing = Storing { sink, sha256file: ShaWriter::new(sha256file, backup), noted: Vec::new(), changed: 0, stored: 0 };

    let buffers = Buffers::new(usize::try_from(BUFFERS).unwrap_or(1), usize::try_from(options.object_size).unwrap_or(usize::MAX));
    let rights = usize::try_from(BUFFERS).unwrap_or(1) - 2;
    let windows = Windows::new(extents, backup.size, options.object_size, changes, buffers.clone(), rights);
    let (read, to_pack) = mpsc::channel(1);
    let (packed, to_store) = mpsc::channel(1);
    let ended = future::join3(
        read_windows(cx, windows, base, read),
        pack_windows(options.pool(), Arc::new(Packer::new(options)), buffers, to_pack, packed),
        storing.all(to_store),
    );
    let (read, packed, stored) = ended.await;
    read.and(packed).and(stored)?;

    let Storing { sha256file, noted, changed, stored, .. } = storing;
    sha256file.close().await?;
    let prefix = names::prefix(sink.native_place().as_ref(), names::STEM);
    let file = sink.artifact(&names::extra(METADATA)?, as_is().size_hint(noted.len() as u64 * 200 + 1024)).await?;
    metadata::write(file, backup, parent_id.as_deref(), &prefix, &noted).await?;
    Ok(Written {
        backup_id: backup.backup_id.clone(),
        parent_id,
        volume_id: backup.volume_id.clone(),
        name: backup.name.clone(),
        description: backup.description.clone(),
        created_at: backup.created_at,
        size: backup.size,
        block_size: BLOCK,
        object_size: options.object_size,
        objects: noted.len() as u64,
        prefix,
        changed,
        stored,
    })
}

/// Ends without an error when nobody takes windows any more: who does not says why.
async fn read_windows(cx: &JobContext, mut windows: Windows, mut base: Option<Base>, to: mpsc::Sender<Window>) -> Result<()> {
    while let Some(mut window) = windows.next(cx).await? {
        if let Some(base) = &mut base {
            window.parent = Some(base.digests((window.length as u64).div_ceil(BLOCK)).await?);
        }
        if to.send(window).await.is_err() {
            return Ok(());
        }
    }
    match base {
        Some(base) => base.finish().await,
        None => Ok(()),
    }
}

async fn pack_windows(
    pool: CpuPool,
    packer: Arc<Packer>,
    buffers: Buffers,
    windows: mpsc::Receiver<Window>,
    to: mpsc::Sender<Done>,
) -> Result<()> {
    // The second buffer of each is taken in order. Later windows cannot hold them all: of the volume's bytes fewer are held.
    let jobs = stream::unfold((windows, buffers), |(mut windows, buffers)| async move {
        let window = windows.recv().await?;
        Some(((window, buffers.clone()), (windows, buffers)))
    });
    let jobs = jobs.then(|(window, buffers)| {
        let out = packer.compresses() && window.raw.is_some();
        async move {
            match out {
                true => buffers.take().await.map(|out| (window, Some(out))),
                false => Ok((window, None)),
            }
        }
    });
    let done = jobs.map(|job| {
        let (pool, packer) = (pool.clone(), Arc::clone(&packer));
        async move {
            let (window, out) = job?;
            pool.run(move || packer.pack(window, out)).await
        }
    });
    send_all(done.buffered(BUFFERS as usize), to).await
}

async fn send_all(done: impl Stream<Item = Result<Done>>, to: mpsc::Sender<Done>) -> Result<()> {
    let mut done = std::pin::pin!(done);
    while let Some(done) = done.next().await.transpose()? {
        if to.send(done).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// What is stored so far.
struct Storing<'a> {
    sink: &'a dyn Sink,
    sha256file: ShaWriter,
    noted: Vec<Noted>,
    changed: u64,
    stored: u64,
}

impl Storing<'_> {
    async fn all(&mut self, mut windows: mpsc::Receiver<Done>) -> Result<()> {
        let mut puts = FuturesUnordered::new();
        let sink = self.sink;
        loop {
            let done = tokio::select! {
                done = windows.recv(), if puts.len() < PUTS => done,
                Some(put) = puts.next(), if !puts.is_empty() => match put {
                    Ok(()) => continue,
                    Err(error) => return Err(ended(puts, error).await),
                },
            };
            let Some(Done { digests, objects }) = done else { break };
            if let Err(error) = self.sha256file.append(&digests).await {
                return Err(ended(puts, error).await);
            }
            for (offset, packed) in objects {
                self.noted.push(Noted { offset, length: packed.length, codec: packed.codec, md5: packed.md5 });
                self.changed += u64::from(packed.length);
                self.stored += packed.bytes.len() as u64;
                let name = names::object(self.noted.len() as u64)?;
                if puts.len() >= PUTS
                    && let Some(Err(error)) = puts.next().await
                {
                    return Err(ended(puts, error).await);
                }
                puts.push(async move { sink.put(&name, packed.bytes, ArtifactOptions::default().as_is()).await.map(|_| ()) });
            }
        }
        while let Some(put) = puts.next().await {
            if let Err(error) = put {
                return Err(ended(puts, error).await);
            }
        }
        Ok(())
    }
}

/// Waits for what is under way, so that nothing is left open that could appear later.
async fn ended(mut puts: FuturesUnordered<impl Future<Output = Result<()>>>, error: Error) -> Error {
    while puts.next().await.is_some() {}
    error
}
