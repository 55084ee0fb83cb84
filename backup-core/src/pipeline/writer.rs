//! The source's end of an artifact's pipeline.

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::lanes::{Chunk, ended};
use super::memory::JobMemory;
use super::task::{Command, Finish, Outcome};
use crate::context::JobContext;
use crate::digest::Digest;
use crate::error::Result;
use crate::store::ObjectMeta;

/// More pieces than this in a chunk are copied into one: each piece costs a call of the store.
const MAX_PIECES: usize = 4;

/// Collects the source's writes into chunks. Dropped before [`PipelineWriter::finish`], it lets the task abort the object.
pub(crate) struct PipelineWriter {
    cx: JobContext,
    commands: mpsc::Sender<Command>,
    memory: JobMemory,
    chunk_size: usize,
    /// Chunks of exactly `chunk_size`, as an encoder wants them, instead of at least.
    exact: bool,
    pieces: Vec<Bytes>,
    filled: usize,
    /// Set while a call is under way: a call that was dropped or failed leaves it set, for bytes may be missing.
    latched: bool,
}

impl PipelineWriter {
    pub(crate) fn new(
        cx: JobContext,
        commands: mpsc::Sender<Command>,
        memory: JobMemory,
        chunk_size: usize,
        exact: bool,
    ) -> Self {
        Self { cx, commands, memory, chunk_size, exact, pieces: Vec::new(), filled: 0, latched: false }
    }

    pub(crate) async fn write(&mut self, mut data: Bytes) -> Result<()> {
        self.cx.progress().add(data.len() as u64);
        while !data.is_empty() {
            let room = self.chunk_size - self.filled;
            let piece =
                if self.exact { data.split_to(room.min(data.len())) } else { data.split_to(self.chunk_size.min(data.len())) };
            self.filled += piece.len();
            self.pieces.push(piece);
            if self.filled >= self.chunk_size {
                self.flush().await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn digest(&mut self) -> Result<Digest> {
        self.flush().await?;
        let (answer, digest) = oneshot::channel();
        self.send(Command::Digest(answer)).await?;
        self.cx.run(async { digest.await.map_err(|_| ended()) }).await
    }

    /// Ends the data; the object is complete in the store and not yet visible.
    pub(crate) async fn end(mut self) -> Result<Ended> {
        self.flush().await?;
        let (answer, outcome) = oneshot::channel();
        let (finish, told) = oneshot::channel();
        self.send(Command::Close(answer, told)).await?;
        let outcome = self.cx.run(async { outcome.await.map_err(|_| ended()) }).await?;
        Ok(Ended { outcome, finish })
    }

    async fn flush(&mut self) -> Result<()> {
        if self.latched {
            return Err(ended());
        }
        if self.filled == 0 {
            return Ok(());
        }
        self.latched = true;
        let pieces = std::mem::take(&mut self.pieces);
        let filled = std::mem::take(&mut self.filled) as u64;
        // An encoded chunk lives beside its plaintext for a while.
        let bytes = if self.exact { filled * 2 } else { filled };
        let permit = self.cx.run(self.memory.chunk(bytes)).await?;
        let mut chunk = Chunk { pieces, _permit: Some(permit) };
        if chunk.pieces.len() > MAX_PIECES {
            let permit = chunk._permit.clone();
            chunk = Chunk { pieces: vec![chunk.contiguous()], _permit: permit };
        }
        self.send(Command::Data(chunk)).await?;
        self.latched = false;
        Ok(())
    }

    async fn send(&self, command: Command) -> Result<()> {
        self.cx.run(async { self.commands.send(command).await.map_err(|_| ended()) }).await
    }
}

/// An artifact whose bytes are all in the store. Dropped, it is aborted.
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    finish: oneshot::Sender<Finish>,
}

impl Ended {
    /// Makes the object visible and durable.
    pub(crate) async fn finish(self) -> Result<(Outcome, ObjectMeta)> {
        let (done, result) = oneshot::channel();
        self.finish.send(Finish(done)).map_err(|_| ended())?;
        let meta = result.await.map_err(|_| ended())??;
        Ok((self.outcome, meta))
    }
}
