//! The task that runs the stages of one artifact and owns the store's writer.

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::lanes::{self, Chunk, Item, send};
use super::memory::{JobMemory, chunk_size};
use super::writer::PipelineWriter;
use crate::codec::ChunkEncoder;
use crate::context::JobContext;
use crate::cpu::CpuPool;
use crate::digest::Digest;
use crate::error::{Effect, Error, Result, codes};
use crate::manifest::{BLOCK_SIZE, Stored};
use crate::store::{ObjectMeta, ObjectWriter};

/// Chunks waiting before a stage.
const DEPTH: usize = 2;

/// What a pipeline needs besides the writer.
pub(crate) struct PipelineOptions {
    pub(crate) pool: CpuPool,
    pub(crate) memory: JobMemory,
    pub(crate) encoder: Option<ChunkEncoder>,
    pub(crate) open: OwnedSemaphorePermit,
}

/// What a finished artifact is.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) size: u64,
    pub(crate) sha256: Digest,
    pub(crate) stored: Stored,
}

/// What the source's end tells the task.
pub(crate) enum Command {
    Data(Chunk),
    Digest(oneshot::Sender<Digest>),
    /// No more data: hash, and wait for the word to finish the object.
    Close(oneshot::Sender<Outcome>, oneshot::Receiver<Finish>),
}

/// The word to make the object visible.
pub(crate) struct Finish(pub(crate) oneshot::Sender<Result<ObjectMeta>>);

/// Starts the task. The returned writer is the source's end; the handle ends when the store's writer is finished or aborted,
/// with the error that stopped it.
pub(crate) fn spawn(
    cx: &JobContext,
    writer: Box<dyn ObjectWriter>,
    options: PipelineOptions,
) -> (PipelineWriter, JoinHandle<Result<()>>) {
    let (commands, received) = mpsc::channel(DEPTH);
    let handle = PipelineWriter::new(
        cx.clone(),
        commands,
        options.memory.clone(),
        chunk_size(options.encoder.as_ref()),
        options.encoder.is_some(),
    );
    (handle, tokio::spawn(run(cx.clone(), writer, options, received)))
}

async fn run(
    cx: JobContext,
    mut writer: Box<dyn ObjectWriter>,
    options: PipelineOptions,
    commands: mpsc::Receiver<Command>,
) -> Result<()> {
    let open = options.open;
    let moved = move_data(&mut *writer, options.pool, options.encoder, commands);
    // The token ends the stages wherever they stand: the writer is latched then, and aborted.
    let (outcome, answer, finish) = match cx.run(moved).await {
        Ok(Some(closed)) => closed,
        Ok(None) => {
            writer.abort().await?;
            return Err(Error::new(&codes::SOURCE_INCOMPLETE, "the artifact was dropped before it was closed"));
        }
        Err(error) => {
            // The first error is the one to report; what is left of the object is the sweep's.
            let _ = writer.abort().await;
            return Err(error);
        }
    };
    let size = outcome.stored.size;
    let go_on = answer.send(outcome).is_ok();
    match finish.await {
        Ok(Finish(done)) if go_on => {
            let result = writer.finish().await.and_then(|meta| check_size(meta, size));
            let failed = result.as_ref().is_err();
            // Before the source hears of it: it may open the next one at once.
            drop(open);
            let _ = done.send(result);
            if failed { Err(lanes::ended()) } else { Ok(()) }
        }
        _ => {
            writer.abort().await?;
            Err(Error::new(&codes::SOURCE_INCOMPLETE, "the artifact was dropped before it was closed"))
        }
    }
}

fn check_size(meta: ObjectMeta, expected: u64) -> Result<ObjectMeta> {
    if meta.size != expected {
        return Err(Error::new(
            &codes::ARTIFACT_CORRUPT,
            format!("{} has {} bytes in the store after {expected} were written", meta.key, meta.size),
        )
        .with_effect(Effect::Applied));
    }
    Ok(meta)
}

type Closed = (Outcome, oneshot::Sender<Outcome>, oneshot::Receiver<Finish>);

/// Runs all stages until the source closes or drops its end; `None` means dropped.
async fn move_data(
    writer: &mut dyn ObjectWriter,
    pool: CpuPool,
    encoder: Option<ChunkEncoder>,
    commands: mpsc::Receiver<Command>,
) -> Result<Option<Closed>> {
    let (stored_in, stored) = mpsc::channel(DEPTH);
    let (block_in, blocks) = mpsc::channel(DEPTH);
    let (write_in, writes) = mpsc::channel(DEPTH);
    let (hash_in, hashes) = mpsc::channel(DEPTH);
    let stored_hash = lanes::hash(pool.clone(), hashes);
    let block_hashes = lanes::hash_blocks(pool.clone(), blocks);
    let write = write_all(writer, writes);

    let fan = lanes::fan_out(stored, hash_in, [block_in, write_in]);

    let (closed, plain, stored_hash, block_hashes) = match encoder {
        None => {
            let input = feed(commands, stored_in, None);
            let (closed, (), hash, blocks, ()) = tokio::try_join!(input, fan, stored_hash, block_hashes, write)?;
            (closed, hash, hash, blocks)
        }
        Some(encoder) => {
            let (plain_in, plain) = mpsc::channel(DEPTH);
            let (encode_in, to_encode) = mpsc::channel(DEPTH);
            let input = feed(commands, encode_in, Some(plain_in));
            let plain = lanes::hash(pool.clone(), plain);
            let encode = lanes::encode(pool, encoder, to_encode, stored_in);
            let (closed, plain, (), (), hash, blocks, ()) =
                tokio::try_join!(input, plain, encode, fan, stored_hash, block_hashes, write)?;
            (closed, plain, hash, blocks)
        }
    };
    let Some((answer, finish)) = closed else { return Ok(None) };
    let ((sha256, size), (stored_sha256, stored_size)) = (plain, stored_hash);
    let stored = Stored { size: stored_size, sha256: stored_sha256, block_size: BLOCK_SIZE, blocks: block_hashes };
    Ok(Some((Outcome { size, sha256, stored }, answer, finish)))
}

/// Takes the source's commands until it closes; dropping the senders on return ends the stages behind.
///
/// `plain` is the plaintext's own hash; without one the stored bytes are the plaintext, and the hash behind `output` serves both.
async fn feed(
    mut commands: mpsc::Receiver<Command>,
    output: mpsc::Sender<Item>,
    plain: Option<mpsc::Sender<Item>>,
) -> Result<Option<(oneshot::Sender<Outcome>, oneshot::Receiver<Finish>)>> {
    while let Some(command) = commands.recv().await {
        match command {
            Command::Data(chunk) => {
                if let Some(plain) = &plain {
                    send(plain, Item::Chunk(chunk.clone())).await?;
                }
                send(&output, Item::Chunk(chunk)).await?;
            }
            Command::Digest(answer) => send(plain.as_ref().unwrap_or(&output), Item::Ask(answer)).await?,
            Command::Close(answer, finish) => return Ok(Some((answer, finish))),
        }
    }
    Ok(None)
}

async fn write_all(writer: &mut dyn ObjectWriter, mut input: mpsc::Receiver<Chunk>) -> Result<()> {
    while let Some(chunk) = input.recv().await {
        for piece in &chunk.pieces {
            if !piece.is_empty() {
                writer.write(piece.clone()).await?;
            }
        }
    }
    Ok(())
}
