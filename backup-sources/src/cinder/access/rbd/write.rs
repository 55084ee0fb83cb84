//! `rbd import-diff`, fed with a stream written here.
//!
//! The stream has data and zeros alone: with a size it would resize the image, and with the name of a snapshot it would make one.
//! `import-diff` takes no stream without its end for a whole one: when its input ends early, it fails and gives the image's lock back.
//! Killed, it would leave that to Ceph, which waits half a minute.

use backup_core::error::codes::STORE_WRITER_FAILED;
use backup_core::{Effect, Error, JobContext, Result, async_trait};
use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;

use super::{RbdAccess, codes, finish, start};
use crate::cinder::access::VolumeWriter;
use crate::cinder::access::bounds::Bounds;
use crate::cinder::access::program::{Pipe, dismiss};
use crate::process::Group;

const BANNER: &[u8] = b"rbd diff v1\n";
/// Zeros in one record: `rbd` holds a request for each object of a record.
const ZEROS: u64 = 256 << 20;

#[derive(Debug)]
struct RbdWriter {
    cx: JobContext,
    group: Group,
    /// `None` after the first failure.
    stdin: Option<ChildStdin>,
    spec: String,
    bounds: Bounds,
    fresh: bool,
}

/// Starts an import into an image of at least `size` bytes.
pub(super) async fn begin(
    rbd: &RbdAccess,
    cx: &JobContext,
    spec: String,
    size: u64,
    fresh: bool,
) -> Result<Box<dyn VolumeWriter>> {
    let mut group = start(cx, &rbd.argv(&["import-diff", "--no-progress", "-", &spec])?, Pipe::Input)?;
    let stdin = Some(group.take_stdin()?);
    let mut writer = Box::new(RbdWriter { cx: cx.clone(), group, stdin, bounds: Bounds::new(&spec, size), spec, fresh });
    writer.feed(BANNER, &[]).await?;
    Ok(writer)
}

impl RbdWriter {
    async fn feed(&mut self, record: &[u8], data: &[u8]) -> Result<()> {
        // Taken: whoever drops this in the middle leaves no writer that could go on.
        let Some(mut stdin) = self.stdin.take() else {
            return Err(Error::new(&STORE_WRITER_FAILED, format!("writing to {} has failed before", self.spec)));
        };
        let group = &mut self.group;
        let written = self.cx.run(async {
            let write = async {
                stdin.write_all(record).await?;
                stdin.write_all(data).await
            };
            tokio::select! {
                biased;
                written = write => Ok(written.is_ok()),
                () = group.leader_exited() => Ok(false),
            }
        });
        match written.await {
            Ok(true) => {
                self.stdin = Some(stdin);
                Ok(())
            }
            Ok(false) => Err(self.ended().await),
            Err(error) => {
                drop(stdin);
                dismiss(&self.cx, &mut self.group).await;
                Err(self.partly(error))
            }
        }
    }

    /// Why a program ended that should not have.
    async fn ended(&mut self) -> Error {
        let ended = finish(&self.cx, &mut self.group).await;
        let error = ended.err().unwrap_or_else(|| self.group.error(&codes::PROGRAM, "ended before its input did"));
        self.partly(error)
    }

    fn partly(&self, error: Error) -> Error {
        error.context(format!("writing to {}", self.spec)).with_effect(Effect::Unknown)
    }
}

fn record(tag: u8, offset: u64, length: u64) -> BytesMut {
    let mut record = BytesMut::with_capacity(17);
    record.put_u8(tag);
    record.put_u64_le(offset);
    record.put_u64_le(length);
    record
}

#[async_trait]
impl VolumeWriter for RbdWriter {
    async fn write(&mut self, offset: u64, data: Bytes) -> Result<()> {
        let length = data.len() as u64;
        self.bounds.take(offset, length)?;
        if length == 0 {
            return Ok(());
        }
        self.feed(&record(b'w', offset, length), &data).await
    }

    async fn zero(&mut self, offset: u64, length: u64) -> Result<()> {
        self.bounds.take(offset, length)?;
        let (mut offset, mut left) = (offset, if self.fresh { 0 } else { length });
        while left > 0 {
            let length = left.min(ZEROS);
            self.feed(&record(b'z', offset, length), &[]).await?;
            (offset, left) = (offset + length, left - length);
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<()> {
        self.feed(b"e", &[]).await?;
        self.stdin = None;
        let ended = finish(&self.cx, &mut self.group).await;
        ended.map_err(|error| self.partly(error))
    }

    async fn abort(mut self: Box<Self>) {
        self.stdin = None;
        dismiss(&self.cx, &mut self.group).await;
    }
}
