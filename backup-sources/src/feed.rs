//! A checked stream as a blocking reader, for work that wants threads: tar reading, hashing, file writing.

use std::io::{self, Read};

use backup_core::error::codes;
use backup_core::source::ArtifactStream;
use backup_core::{Bytes, Error, JobContext, Result};
use futures::StreamExt;
use tokio::sync::mpsc;

/// Pieces under way between the two.
const DEPTH: usize = 2;

enum Item {
    Data(Bytes),
    /// The stream ended clean. A channel that closes without it was cut.
    End,
}

/// The reading side. It ends only when the stream ended without an error; anything else is an error here, too.
pub(crate) struct Feed {
    items: mpsc::Receiver<Item>,
    current: Bytes,
    ended: bool,
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.items.blocking_recv() {
                Some(Item::Data(data)) => self.current = data,
                Some(Item::End) => self.ended = true,
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the stream was cut")),
            }
        }
        let data = self.current.split_to(buffer.len().min(self.current.len()));
        match buffer.get_mut(..data.len()) {
            Some(room) => room.copy_from_slice(&data),
            None => return Err(io::ErrorKind::InvalidInput.into()),
        }
        Ok(data.len())
    }
}

/// Feeds the stream to `work` on a blocking thread. The stream's own error wins over what it caused in `work`.
pub(crate) async fn feed<T: Send + 'static>(
    cx: &JobContext,
    stream: ArtifactStream,
    work: impl FnOnce(&mut Feed) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, items) = mpsc::channel(DEPTH);
    let worker = tokio::task::spawn_blocking(move || work(&mut Feed { items, current: Bytes::new(), ended: false }));
    // Takes the sender: whatever happens, the worker is not left waiting.
    let fed = pump(cx, stream, sender).await;
    let worked = worker.await.map_err(|error| Error::new(&codes::INTERNAL, "a blocking task ended early").with_source(error))?;
    fed?;
    worked
}

async fn pump(cx: &JobContext, mut stream: ArtifactStream, sender: mpsc::Sender<Item>) -> Result<()> {
    loop {
        let item = match cx.run(async { Ok(stream.next().await) }).await? {
            Some(data) => Item::Data(data?),
            None => Item::End,
        };
        let last = matches!(item, Item::End);
        let taken = cx.run(async { Ok(sender.send(item).await.is_ok()) }).await?;
        if last || !taken {
            // Not taken: the worker gave up, and its own error says why.
            return Ok(());
        }
    }
}
