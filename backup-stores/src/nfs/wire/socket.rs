//! A TCP connection as the crate of the protocol reads and writes it.

use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;

use nfs3_client::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// The longest record that is taken: an answer to a read of the most bytes that are asked for, and its head.
const LONGEST: usize = super::types::LARGEST as usize + (64 << 10);
/// The bit of a fragment's head that says that the record ends with it (RFC 5531, section 11).
const LAST: u32 = 1 << 31;

/// A connection.
///
/// The crate reads a record as a head of four bytes and then the whole rest, knows only records of one fragment, believes any
/// length, and takes the end of a connection for an empty read, for ever. This makes one fragment of many, bounds the length, and
/// says that the connection ended.
pub(super) struct Socket {
    stream: Arc<TcpStream>,
    /// The next bytes are a fragment's head.
    at_head: bool,
    /// A record that came in several fragments.
    gathered: Option<Vec<u8>>,
}

impl Socket {
    pub(super) fn new(stream: Arc<TcpStream>) -> Self {
        Self { stream, at_head: true, gathered: None }
    }

    async fn fill(&mut self, mut buffer: &mut [u8]) -> Result<()> {
        while !buffer.is_empty() {
            let read = self.async_read(buffer).await?;
            buffer = buffer.get_mut(read..).unwrap_or_default();
        }
        Ok(())
    }

    /// Reads a head, and what belongs to it when it is not the only one; gives back the head of the whole.
    async fn head(&mut self) -> Result<u32> {
        let mut head = [0; 4];
        let mut record = Vec::new();
        loop {
            self.fill(&mut head).await?;
            let (length, last) = (u32::from_be_bytes(head) & !LAST, u32::from_be_bytes(head) & LAST != 0);
            let (before, after) = (record.len(), record.len() + length as usize);
            if after > LONGEST {
                return Err(Error::new(ErrorKind::InvalidData, format!("an answer of {after} bytes, which nobody asked for")));
            }
            if last && before == 0 {
                return Ok(u32::from_be_bytes(head));
            }
            record.resize(after, 0);
            self.fill(record.get_mut(before..).unwrap_or_default()).await?;
            if last {
                self.gathered = Some(record);
                return Ok(LAST | after as u32);
            }
        }
    }
}

impl AsyncRead for Socket {
    async fn async_read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            self.stream.readable().await?;
            match self.stream.try_read(buffer) {
                Ok(0) => return Err(Error::new(ErrorKind::UnexpectedEof, "the server closed the connection")),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    async fn async_read_exact(&mut self, buffer: &mut [u8]) -> Result<()> {
        if self.at_head {
            let head = self.head().await?.to_be_bytes();
            self.at_head = false;
            return match buffer.len() == head.len() {
                true => {
                    buffer.copy_from_slice(&head);
                    Ok(())
                }
                false => Err(Error::other("the head of a record is read as four bytes")),
            };
        }
        self.at_head = true;
        match self.gathered.take() {
            Some(record) if record.len() == buffer.len() => {
                buffer.copy_from_slice(&record);
                Ok(())
            }
            Some(_) => Err(Error::other("a record is read in one piece")),
            None => self.fill(buffer).await,
        }
    }
}

impl AsyncWrite for Socket {
    async fn async_write(&mut self, buffer: &[u8]) -> Result<usize> {
        loop {
            self.stream.writable().await?;
            match self.stream.try_write(buffer) {
                Ok(0) => return Err(Error::new(ErrorKind::WriteZero, "the connection takes nothing")),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, Socket) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (listener.accept().await.unwrap().0, Socket::new(Arc::new(stream)))
    }

    fn fragment(last: bool, bytes: &[u8]) -> Vec<u8> {
        let head = bytes.len() as u32 | if last { LAST } else { 0 };
        [&head.to_be_bytes(), bytes].concat()
    }

    async fn record(socket: &mut Socket) -> Result<Vec<u8>> {
        let mut head = [0; 4];
        socket.async_read_exact(&mut head).await?;
        assert_ne!(u32::from_be_bytes(head) & LAST, 0, "always one fragment");
        let mut body = vec![0; (u32::from_be_bytes(head) & !LAST) as usize];
        socket.async_read_exact(&mut body).await?;
        Ok(body)
    }

    #[tokio::test]
    async fn a_record_of_many_fragments_is_read_as_one() {
        let (mut server, mut socket) = pair().await;
        let sent = [fragment(true, b"one"), fragment(false, b"of "), fragment(false, b""), fragment(true, b"many")].concat();
        server.write_all(&sent).await.unwrap();
        server.write_all(&fragment(true, b"the next")).await.unwrap();
        for expected in [&b"one"[..], b"of many", b"the next"] {
            assert_eq!(record(&mut socket).await.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn the_end_of_a_connection_and_a_length_out_of_reason_are_errors() {
        let (mut server, mut socket) = pair().await;
        server.write_all(&(LAST | 0x4000_0000).to_be_bytes()).await.unwrap();
        assert_eq!(record(&mut socket).await.unwrap_err().kind(), ErrorKind::InvalidData);
        let (mut server, mut socket) = pair().await;
        server.write_all(&fragment(true, b"cut off")[..7]).await.unwrap();
        drop(server);
        assert_eq!(record(&mut socket).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}
