//! A proxy that understands as much of Sun RPC as it takes to harm one call of a procedure and no other.
//!
//! A record has a head of four bytes (its length, and a bit that says that it is whole), then the transaction's number. A call's procedure
//! stands in bytes 20 to 24 of a record; an accepted answer without a verifier has its status in bytes 24 to 28 (RFC 5531).
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::indexing_slicing, reason = "each test uses its part of it")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub const GETATTR: u32 = 1;
pub const LOOKUP: u32 = 3;
pub const READ: u32 = 6;
pub const WRITE: u32 = 7;
pub const CREATE: u32 = 8;
pub const MKDIR: u32 = 9;
pub const REMOVE: u32 = 12;
pub const RENAME: u32 = 14;
pub const LINK: u32 = 15;
pub const READDIR: u32 = 16;
pub const READDIRPLUS: u32 = 17;
pub const COMMIT: u32 = 21;

pub const STALE: u32 = 70;
pub const BAD_COOKIE: u32 = 10_003;
pub const NOTSUPP: u32 = 10_004;
pub const JUKEBOX: u32 = 10_008;

/// What happens to a call.
#[derive(Clone)]
pub enum Harm {
    /// The server does it, and the connection breaks before the client hears.
    LoseAnswer,
    /// The connection breaks before the server hears.
    LoseCall,
    /// The proxy answers with this status, and the server hears nothing.
    Status(u32),
    /// The write verifier of the answer is another one.
    OtherVerifier,
    /// The call waits until the test says go; when the client is gone by then, the server still gets it.
    Hold(Gate),
    /// The same with its answer.
    HoldAnswer(Gate),
}

/// Stops a call on its way.
#[derive(Clone, Default)]
pub struct Gate {
    reached: watch::Sender<u64>,
    open: watch::Sender<bool>,
    answered: watch::Sender<bool>,
}

impl Gate {
    async fn pass(&self) {
        self.reached.send_modify(|reached| *reached += 1);
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
    }

    /// Waits until the server answered a call that was held here.
    pub async fn answered(&self) {
        self.answered.subscribe().wait_for(|answered| *answered).await.unwrap();
    }

    /// Waits until something is held here.
    pub async fn reached(&self) {
        self.reached.subscribe().wait_for(|reached| *reached > 0).await.unwrap();
    }

    pub fn open(&self) {
        self.open.send_replace(true);
    }
}

/// What to do with the call of this procedure and number, counted from 1.
type Plan = dyn Fn(u32, u64) -> Option<Harm> + Send + Sync;

struct Shared {
    upstream: SocketAddr,
    plan: Mutex<Arc<Plan>>,
    counts: watch::Sender<HashMap<u32, u64>>,
}

pub struct RpcProxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl RpcProxy {
    /// In front of a server on loopback. Passes everything on until it is told otherwise.
    pub async fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = SocketAddr::from(([127, 0, 0, 1], port));
        let shared = Arc::new(Shared { upstream, plan: Mutex::new(Arc::new(|_, _| None)), counts: watch::Sender::default() });
        let its = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = Arc::clone(&its);
                // An error is the end of one side, and then of the other one's connection.
                tokio::spawn(async move { carry(client, &shared).await });
            }
        });
        Self { address, shared, task }
    }

    /// Harms calls from now on, and counts them anew.
    pub fn plan(&self, plan: impl Fn(u32, u64) -> Option<Harm> + Send + Sync + 'static) {
        self.shared.counts.send_modify(HashMap::clear);
        *self.shared.plan.lock().unwrap() = Arc::new(plan);
    }

    /// Harms the first call of a procedure.
    pub fn once(&self, procedure: u32, harm: Harm) {
        self.plan(move |is, number| (is == procedure && number == 1).then(|| harm.clone()));
    }

    /// How many calls of a procedure came since the plan was made.
    pub fn count(&self, procedure: u32) -> u64 {
        self.shared.counts.borrow().get(&procedure).copied().unwrap_or(0)
    }

    /// Waits for so many calls of a procedure.
    pub async fn wait_for(&self, procedure: u32, count: u64) {
        let mut counts = self.shared.counts.subscribe();
        counts.wait_for(|counts| counts.get(&procedure).copied().unwrap_or(0) >= count).await.unwrap();
    }
}

impl Drop for RpcProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One call after the other, as the client of the store makes them.
async fn carry(mut client: TcpStream, shared: &Shared) -> Option<()> {
    let mut server = TcpStream::connect(shared.upstream).await.ok()?;
    client.set_nodelay(true).ok()?;
    server.set_nodelay(true).ok()?;
    loop {
        let call = record(&mut client).await?;
        let procedure = u32::from_be_bytes(call[20..24].try_into().unwrap());
        let mut number = 0;
        shared.counts.send_modify(|counts| {
            let count = counts.entry(procedure).or_default();
            *count += 1;
            number = *count;
        });
        let plan = Arc::clone(&shared.plan.lock().unwrap());
        let harm = plan(procedure, number);
        match &harm {
            Some(Harm::LoseCall) => return None,
            Some(Harm::Status(status)) => {
                send(&mut client, &refusal(&call, procedure, *status)).await?;
                continue;
            }
            Some(Harm::Hold(gate)) => gate.pass().await,
            _ => {}
        }
        send(&mut server, &call).await?;
        let mut answer = record(&mut server).await?;
        match harm {
            Some(Harm::Hold(gate)) => drop(gate.answered.send_replace(true)),
            Some(Harm::HoldAnswer(gate)) => gate.pass().await,
            Some(Harm::LoseAnswer) => return None,
            Some(Harm::OtherVerifier) => {
                let last = answer.len() - 1;
                answer[last] ^= 0xff;
            }
            _ => {}
        }
        send(&mut client, &answer).await?;
    }
}

async fn record(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let head = stream.read_u32().await.ok()?;
    assert_ne!(head >> 31, 0, "a record in one piece");
    let mut record = vec![0; (head & 0x7fff_ffff) as usize];
    stream.read_exact(&mut record).await.ok()?;
    Some(record)
}

async fn send(stream: &mut TcpStream, record: &[u8]) -> Option<()> {
    let whole = [&(record.len() as u32 | 1 << 31).to_be_bytes(), record].concat();
    stream.write_all(&whole).await.ok()
}

/// An accepted answer with a status that is no success, and no attributes of anything.
fn refusal(call: &[u8], procedure: u32, status: u32) -> Vec<u8> {
    let absent = match procedure {
        GETATTR => 0,
        WRITE | CREATE | MKDIR | REMOVE | COMMIT => 2,
        LINK => 3,
        RENAME => 4,
        _ => 1,
    };
    let words = [1, 0, 0, 0, 0, status].into_iter().chain(std::iter::repeat_n(0, absent));
    let mut answer = call[..4].to_vec();
    words.for_each(|word: u32| answer.extend_from_slice(&word.to_be_bytes()));
    answer
}
