//! One side of the proxy.

use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::Ending;

pub(super) struct Link {
    pub(super) reader: BufReader<OwnedReadHalf>,
    pub(super) writer: OwnedWriteHalf,
}

impl Link {
    pub(super) fn new(stream: TcpStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader: BufReader::with_capacity(64 << 10, reader), writer }
    }

    pub(super) async fn connect(upstream: &str) -> Option<Self> {
        let stream = TcpStream::connect(upstream).await.ok()?;
        let _ = stream.set_nodelay(true);
        Some(Self::new(stream))
    }

    pub(super) fn end(self, ending: Ending) {
        let stream = self.reader.into_inner().reunite(self.writer).expect("both halves are of one connection");
        match ending {
            Ending::Close => drop(stream),
            Ending::Reset => reset(stream),
        }
    }
}

/// Ends a connection by RST.
pub(super) fn reset(stream: TcpStream) {
    // It fails on a connection that is gone.
    let _ = stream.set_zero_linger();
}

/// Reads until the client has enough.
pub(super) async fn swallow(mut stream: TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(1..) = stream.read(&mut buffer).await {}
}
