//! A client that hides nothing.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::testkit::FaultyProxy;

pub(super) struct Client(pub(super) TcpStream);

/// How a connection ended, with what came before.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Closed(String),
    Reset(String),
}

impl Client {
    pub(super) async fn connect(proxy: &FaultyProxy) -> Self {
        Self(TcpStream::connect(proxy.address()).await.unwrap())
    }

    pub(super) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until what came ends so.
    pub(super) async fn until(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            let byte = self.0.read_u8().await.unwrap_or_else(|error| panic!("{error} after {text}"));
            text.push(char::from(byte));
        }
        text
    }

    pub(super) async fn rest(mut self) -> Ended {
        let mut bytes = Vec::new();
        let end = self.0.read_to_end(&mut bytes).await;
        let text = String::from_utf8(bytes).unwrap();
        match end {
            Ok(_) => Ended::Closed(text),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
                Ended::Reset(text)
            }
        }
    }

    /// Sends a request on a connection of its own and reads to the end of the connection.
    pub(super) async fn once(proxy: &FaultyProxy, request: &str) -> Ended {
        let mut client = Self::connect(proxy).await;
        client.send(request).await;
        client.rest().await
    }
}

pub(super) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

pub(super) fn put(path: &str, body: &str) -> String {
    format!("PUT {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

impl Ended {
    /// What came behind the head.
    pub(super) fn body(&self) -> &str {
        let (Self::Closed(text) | Self::Reset(text)) = self;
        text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}
