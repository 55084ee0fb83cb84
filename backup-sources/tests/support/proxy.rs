//! A TCP proxy that damages, cuts or holds back what the server sends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to the bytes from the server to the client.
#[derive(Debug, Clone)]
pub enum Harm {
    /// The first occurrence of the pattern gets one bit flipped.
    Flip(&'static [u8]),
    /// Each connection is closed in both directions after so many bytes.
    Cut(usize),
    /// Each connection passes so many bytes; what comes then waits until the gate is opened.
    Hold(usize, Gate),
}

/// Stops bytes on their way. Clones are the same gate; it starts closed.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    reached: watch::Sender<bool>,
    open: watch::Sender<bool>,
}

impl Gate {
    /// Waits until bytes stand before it.
    pub async fn reached(&self) {
        self.reached.subscribe().wait_for(|reached| *reached).await.unwrap();
    }

    pub fn open(&self) {
        self.open.send_replace(true);
    }

    async fn pass(&self) {
        self.reached.send_replace(true);
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
    }
}

pub struct Proxy {
    pub url: String,
    /// How often harm was done.
    pub harmed: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// In front of `http://host:port`.
    pub async fn start(upstream: &str, harm: Harm) -> Self {
        let upstream = upstream.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let harmed = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&harmed);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&upstream).await.unwrap();
                tokio::spawn(carry(client, server, harm.clone(), Arc::clone(&count)));
            }
        });
        Self { url, harmed, task }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(client: TcpStream, server: TcpStream, harm: Harm, harmed: Arc<AtomicU64>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = tokio::spawn(async move { copy(&mut from_client, &mut to_server).await });
    let (mut passed, mut buffer) = (0, vec![0; 64 << 10]);
    while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
        let data = &mut buffer[..count];
        match &harm {
            Harm::Flip(pattern) => {
                if let Some(at) = data.windows(pattern.len()).position(|window| window == *pattern) {
                    data[at] ^= 1;
                    harmed.fetch_add(1, Ordering::SeqCst);
                }
            }
            Harm::Cut(limit) if passed + count > *limit => {
                harmed.fetch_add(1, Ordering::SeqCst);
                break;
            }
            Harm::Hold(limit, gate) if passed + count > *limit => {
                harmed.fetch_add(1, Ordering::SeqCst);
                gate.pass().await;
            }
            Harm::Cut(_) | Harm::Hold(..) => {}
        }
        passed += count;
        if to_client.write_all(data).await.is_err() {
            break;
        }
    }
    up.abort();
}
