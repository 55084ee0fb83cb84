//! The messages of Maintenance.Snapshot as large pieces of the database, and its trailer.
//!
//! etcd sends the database in messages of at most 32 KiB and then, as one more message, the SHA-256 of the database.
//! `remaining_bytes` counts the database alone: it is 0 already before that last message, so only the end of the stream
//! is the end (etcd server/etcdserver/api/v3rpc/maintenance.go).

use backup_core::{Bytes, Digest, Error, JobContext, Result};
use bytes::BytesMut;
use etcd_client::{SnapshotResponse, SnapshotStreaming};

use super::client::{explain, within};
use super::codes;
use super::config::EtcdConfig;
use super::member::Member;
use backup_core::error::codes::JOB_STALLED;

/// Bytes of the trailer.
pub(super) const TRAILER: usize = 32;
/// Bytes handed on at once.
const CHUNK: usize = 1 << 20;
/// Room for one message more than a chunk.
const ROOM: usize = CHUNK + (64 << 10);

/// A snapshot being received.
pub(super) struct SnapshotStream {
    stream: SnapshotStreaming,
    endpoint: String,
    split: Splitter,
}

impl SnapshotStream {
    /// Starts a snapshot and waits for its first message: from then on the member's snapshot is fixed, and its size known.
    pub(super) async fn open(cx: &JobContext, config: &EtcdConfig, member: &mut Member) -> Result<Self> {
        let endpoint = member.endpoint.clone();
        let late = || stalled(config, &endpoint);
        let mut stream = within(cx, config.stall_timeout, late, async {
            member.client.snapshot().await.map_err(|error| explain(&error, &endpoint, "taking a snapshot of"))
        })
        .await?;
        let Some(first) = message(cx, config, &endpoint, &mut stream).await? else {
            return Err(damaged(&endpoint, "the snapshot of"));
        };
        let size = first.remaining_bytes().saturating_add(first.blob().len() as u64);
        let mut split = Splitter::new(size);
        split.push(first.blob())?;
        Ok(Self { stream, endpoint, split })
    }

    /// The size of the database, without the trailer.
    pub(super) fn db_size(&self) -> u64 {
        self.split.db_size
    }

    /// The next piece of the database; `None` at the end of the stream, when [`SnapshotStream::finish`] has the rest.
    pub(super) async fn next(&mut self, cx: &JobContext, config: &EtcdConfig) -> Result<Option<Bytes>> {
        loop {
            if let Some(piece) = self.split.piece() {
                return Ok(Some(piece));
            }
            match message(cx, config, &self.endpoint, &mut self.stream).await? {
                Some(message) => self.split.push(message.blob()).map_err(|error| self.named(error))?,
                None => return Ok(None),
            }
        }
    }

    /// The last piece of the database and the digest that etcd sent after it.
    pub(super) fn finish(self) -> Result<(Bytes, Digest)> {
        let Self { split, endpoint, .. } = self;
        split.finish().map_err(|error| error.context(format!("the snapshot of {endpoint}")))
    }

    fn named(&self, error: Error) -> Error {
        error.context(format!("the snapshot of {}", self.endpoint))
    }
}

async fn message(
    cx: &JobContext,
    config: &EtcdConfig,
    endpoint: &str,
    stream: &mut SnapshotStreaming,
) -> Result<Option<SnapshotResponse>> {
    within(cx, config.stall_timeout, || stalled(config, endpoint), async {
        stream.message().await.map_err(|error| explain(&error, endpoint, "receiving a snapshot from"))
    })
    .await
}

fn stalled(config: &EtcdConfig, endpoint: &str) -> Error {
    let limit = config.stall_timeout;
    Error::new(&JOB_STALLED, format!("etcd at {endpoint} sent nothing of its snapshot for {limit:?} (stall-timeout)"))
}

fn damaged(of: &str, what: &str) -> Error {
    Error::new(&codes::SNAPSHOT_DAMAGED, format!("{what} {of} is empty"))
}

/// Joins messages to pieces and holds the last 32 bytes back, because only the end tells them from the database.
#[derive(Debug)]
pub(super) struct Splitter {
    buffer: BytesMut,
    db_size: u64,
    received: u64,
}

impl Splitter {
    /// For a database of `db_size` bytes.
    pub(super) fn new(db_size: u64) -> Self {
        Self { buffer: BytesMut::with_capacity(ROOM), db_size, received: 0 }
    }

    /// Adds a message.
    pub(super) fn push(&mut self, blob: &[u8]) -> Result<()> {
        self.received = self.received.saturating_add(blob.len() as u64);
        if self.received > self.db_size.saturating_add(TRAILER as u64) {
            return Err(self.wrong_size());
        }
        self.buffer.extend_from_slice(blob);
        Ok(())
    }

    /// A piece, once there are enough bytes for one.
    pub(super) fn piece(&mut self) -> Option<Bytes> {
        if self.buffer.len() < CHUNK + TRAILER {
            return None;
        }
        let piece = self.buffer.split_to(self.buffer.len() - TRAILER).freeze();
        // The piece keeps the old memory: this takes new one and moves the 32 bytes held back.
        self.buffer.reserve(ROOM);
        Some(piece)
    }

    /// What is left of the database, and the trailer.
    pub(super) fn finish(mut self) -> Result<(Bytes, Digest)> {
        if self.received != self.db_size.saturating_add(TRAILER as u64) {
            return Err(self.wrong_size());
        }
        let trailer = self.buffer.split_off(self.buffer.len().saturating_sub(TRAILER));
        let digest = <[u8; TRAILER]>::try_from(trailer.as_ref()).map_err(|_| self.wrong_size())?;
        Ok((self.buffer.freeze(), Digest::from_bytes(digest)))
    }

    fn wrong_size(&self) -> Error {
        let (received, size) = (self.received, self.db_size);
        let what = if received == size {
            format!("the stream ended after {received} bytes, without the SHA-256 trailer")
        } else {
            format!("{received} bytes came, but {size} and a trailer of {TRAILER} were announced")
        };
        Error::new(&codes::SNAPSHOT_DAMAGED, what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(db: &[u8], trailer: &[u8], announced: usize, message: usize) -> Result<(Vec<u8>, Digest)> {
        let mut split = Splitter::new(announced as u64);
        let mut out = Vec::new();
        for blob in db.chunks(message).chain(std::iter::once(trailer)) {
            split.push(blob)?;
            while let Some(piece) = split.piece() {
                out.extend_from_slice(&piece);
            }
        }
        let (rest, digest) = split.finish()?;
        out.extend_from_slice(&rest);
        Ok((out, digest))
    }

    #[test]
    fn the_trailer_is_told_from_the_database_wherever_the_messages_are_cut() {
        for size in [0, 1, 31, 32, CHUNK - 1, CHUNK, CHUNK + 31, CHUNK + 32, CHUNK + 33, 3 * CHUNK + 7] {
            let db: Vec<u8> = (0..size).map(|n| (n % 253) as u8).collect();
            for message in [32 << 10, 999_983] {
                let (out, digest) = run(&db, &[9; 32], size, message).unwrap();
                assert!(out == db, "{size} in {message}");
                assert_eq!(digest, Digest::from_bytes([9; 32]));
            }
        }
    }

    #[test]
    fn a_stream_that_disagrees_with_its_announced_size_is_refused() {
        let db = vec![1; 100_000];
        assert!(run(&db, &[9; 32], 100_001, 32 << 10).is_err(), "too short");
        assert!(run(&db, &[9; 32], 99_999, 32 << 10).is_err(), "too long");
        assert!(run(&db, &[9; 31], 100_000, 32 << 10).is_err(), "half a trailer");
        let error = run(&db, &[], 100_000, 32 << 10).unwrap_err();
        assert!(error.to_string().contains("without the SHA-256 trailer"), "{error}");
    }
}
