//! The stages: each takes chunks in order from a channel and does its work on the CPU pool.

use bytes::{Bytes, BytesMut};
use futures::stream::{FuturesOrdered, StreamExt};
use tokio::sync::{mpsc, oneshot};

use super::memory::ChunkPermit;
use crate::codec::{ChunkCheck, ChunkEncoder};
use crate::cpu::CpuPool;
use crate::digest::{BlockHasher, Digest, Hasher};
use crate::error::{Error, Result, codes};

/// A run of bytes in one or more pieces, with the memory it holds.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub(crate) pieces: Vec<Bytes>,
    /// `None` for the few bytes of a format's head and tail. They must not wait for memory: the chunks that hold it may wait for the head.
    pub(crate) _permit: Option<ChunkPermit>,
}

impl Chunk {
    pub(crate) fn len(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len() as u64).sum()
    }

    pub(crate) fn contiguous(mut self) -> Bytes {
        match (self.pieces.pop(), self.pieces.is_empty()) {
            (Some(only), true) => only,
            (last, _) => {
                let mut whole = BytesMut::with_capacity(self.len() as usize + last.as_ref().map_or(0, Bytes::len));
                for piece in self.pieces.iter().chain(&last) {
                    whole.extend_from_slice(piece);
                }
                whole.freeze()
            }
        }
    }
}

/// What goes from stage to stage.
pub(crate) enum Item {
    Chunk(Chunk),
    /// Asks the next whole hash for the digest of everything before.
    Ask(oneshot::Sender<Digest>),
}

/// The hash of everything that comes, and its length.
pub(crate) async fn hash(pool: CpuPool, mut input: mpsc::Receiver<Item>) -> Result<(Digest, u64)> {
    let (mut hasher, mut size) = (Hasher::new(), 0);
    while let Some(item) = input.recv().await {
        match item {
            Item::Chunk(chunk) => {
                size += chunk.len();
                hasher = pool
                    .run(move || {
                        chunk.pieces.iter().for_each(|piece| hasher.update(piece));
                        hasher
                    })
                    .await?;
            }
            Item::Ask(answer) => {
                // Nobody may be waiting any more; that is no matter of ours.
                let _ = answer.send(hasher.clone().finish());
            }
        }
    }
    Ok((hasher.finish(), size))
}

/// The hash of each block of everything that comes.
pub(crate) async fn hash_blocks(pool: CpuPool, mut input: mpsc::Receiver<Chunk>) -> Result<Vec<Digest>> {
    let mut state = BlockHasher::default();
    while let Some(chunk) = input.recv().await {
        state = pool
            .run(move || {
                chunk.pieces.iter().for_each(|piece| state.update(piece));
                state
            })
            .await?;
    }
    Ok(state.finish())
}

/// Compresses chunks in parallel and hands them on in order.
pub(crate) async fn encode(
    pool: CpuPool,
    encoder: ChunkEncoder,
    mut input: mpsc::Receiver<Item>,
    output: mpsc::Sender<Item>,
) -> Result<()> {
    send(&output, Item::Chunk(Chunk { pieces: vec![encoder.head()], _permit: None })).await?;
    let mut check = ChunkCheck::default();
    let mut window = Bytes::new();
    let mut running = FuturesOrdered::new();
    let mut ended = false;
    loop {
        tokio::select! {
            item = input.recv(), if !ended && running.len() <= pool.threads() => match item {
                None => ended = true,
                // The plaintext's hash answers, before this stage.
                Some(Item::Ask(_)) => {}
                Some(Item::Chunk(chunk)) => {
                    let permit = chunk._permit.clone();
                    let plain = chunk.contiguous();
                    let preceding = std::mem::replace(&mut window, tail_of(&plain, encoder.window()));
                    let (encoder, pool) = (encoder.clone(), pool.clone());
                    running.push_back(async move {
                        Ok::<_, Error>((pool.run(move || encoder.encode(&preceding, &plain)).await??, permit))
                    });
                }
            },
            Some(done) = running.next(), if !running.is_empty() => {
                let (encoded, permit) = done?;
                check.append(&encoded.check);
                send(&output, Item::Chunk(Chunk { pieces: vec![encoded.bytes], _permit: permit })).await?;
            }
            else => break,
        }
    }
    let tail = encoder.tail(&check)?;
    send(&output, Item::Chunk(Chunk { pieces: vec![tail], _permit: None })).await
}

fn tail_of(data: &Bytes, len: usize) -> Bytes {
    data.slice(data.len().saturating_sub(len)..)
}

/// Hands every chunk to the whole hash and to `outputs`.
pub(crate) async fn fan_out(
    mut input: mpsc::Receiver<Item>,
    hash: mpsc::Sender<Item>,
    outputs: [mpsc::Sender<Chunk>; 2],
) -> Result<()> {
    while let Some(item) = input.recv().await {
        if let Item::Chunk(chunk) = &item {
            for output in &outputs {
                send(output, chunk.clone()).await?;
            }
        }
        send(&hash, item).await?;
    }
    Ok(())
}

pub(crate) async fn send<T>(output: &mpsc::Sender<T>, item: T) -> Result<()> {
    output.send(item).await.map_err(|_| ended())
}

/// A stage that went away has failed itself, and its error is the one that is reported.
pub(crate) fn ended() -> Error {
    Error::new(&codes::STORE_WRITER_FAILED, "the artifact failed earlier")
}
