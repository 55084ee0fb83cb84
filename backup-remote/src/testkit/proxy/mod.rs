//! A proxy on loopback that breaks connections and answers as it is told.

mod body;
mod exchange;
mod fault;
mod head;
mod link;
mod raw;
mod rules;
mod seen;
#[cfg(test)]
mod tests;
mod valve;

use std::net::SocketAddr;
use std::sync::Arc;

use backup_core::testkit::free_port;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, oneshot};
use tokio::task::{JoinHandle, JoinSet};

pub use fault::{ConnectionFault, Ending, Gate, Harm, Reply, RequestFault};
use rules::Rules;
pub use rules::{Rule, Which};
use seen::Log;
pub use seen::Seen;

/// A TCP proxy on a loopback port in front of a real server. Without rules it passes everything on.
///
/// # Behavior
/// [`FaultyProxy::http`] understands HTTP/1.1 as far as it has to: it sees requests, and each connection of a client has one to the server.
/// [`FaultyProxy::tcp`] only sees connections and bytes, whatever they mean; rules for requests never apply there. Of several rules that
/// match, the one added first whose turn it is decides; all of them count what matches. A server that is down, or that ends a connection,
/// looks so through the proxy too. Everything ends when the proxy is dropped.
#[derive(Debug)]
pub struct FaultyProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Mutex<Option<Listening>>,
}

#[derive(Debug)]
struct Shared {
    upstream: String,
    http: bool,
    connections: Rules<(), ConnectionFault>,
    requests: Rules<Matched, RequestFault>,
    log: Log,
}

/// Which requests a rule is for.
#[derive(Debug)]
struct Matched {
    method: String,
    target: String,
}

#[derive(Debug)]
struct Listening {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl FaultyProxy {
    /// In front of a server that speaks HTTP/1.1 in the clear, given as `http://host:port` or `host:port`.
    pub async fn http(upstream: &str) -> Self {
        Self::start(upstream, true).await
    }

    /// In front of any server, given in the same way.
    pub async fn tcp(upstream: &str) -> Self {
        Self::start(upstream, false).await
    }

    async fn start(upstream: &str, http: bool) -> Self {
        let upstream = upstream.split_once("://").map_or(upstream, |(_, rest)| rest).trim_end_matches('/').to_owned();
        let shared = Shared { upstream, http, connections: Rules::default(), requests: Rules::default(), log: Log::default() };
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let proxy = Self { address, shared: Arc::new(shared), listening: Mutex::new(None) };
        proxy.up().await;
        proxy
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does this to these connections, counted from the next one on.
    pub fn connections(&self, which: Which, fault: ConnectionFault) -> Rule {
        self.shared.connections.add(which, (), fault)
    }

    /// Does this to these requests, counted from the next one on among those of this method whose target (path and query, as sent) contains
    /// `target`. An empty text matches all.
    pub fn requests(&self, which: Which, method: &str, target: &str, fault: RequestFault) -> Rule {
        self.shared.requests.add(which, Matched { method: method.to_owned(), target: target.to_owned() }, fault)
    }

    /// Takes all rules away; what they are doing to connections goes on.
    pub fn clear(&self) {
        self.shared.connections.clear();
        self.shared.requests.clear();
    }

    /// The requests so far, in the order in which their heads came.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.log.all()
    }

    /// How many requests of this method came whose target contains `target`. An empty text matches all.
    pub fn count(&self, method: &str, target: &str) -> usize {
        self.seen().iter().filter(|seen| seen.matches(method, target)).count()
    }

    /// Waits until the requests so far are as `enough` wants them.
    pub async fn wait_for(&self, enough: impl FnMut(&[Seen]) -> bool) {
        self.shared.log.wait_for(enough).await;
    }

    /// How many connections were accepted.
    pub fn accepted(&self) -> u64 {
        self.shared.log.accepted()
    }

    /// Closes the port and every connection, as a server that goes down: who connects is refused from now on.
    pub async fn down(&self) {
        if let Some(Listening { stop, task }) = self.listening.lock().await.take() {
            // It is gone already only after a panic of its own, which the join reports.
            let _ = stop.send(());
            task.await.expect("the proxy's task does not panic");
        }
    }

    /// Listens again after [`FaultyProxy::down`], on the same port.
    pub async fn up(&self) {
        let mut listening = self.listening.lock().await;
        if listening.is_none() {
            let listener = TcpListener::bind(self.address).await.expect("the proxy's port is free");
            let (stop, stopped) = oneshot::channel();
            let task = tokio::spawn(accept(listener, Arc::clone(&self.shared), stopped));
            *listening = Some(Listening { stop, task });
        }
    }
}

impl Drop for FaultyProxy {
    fn drop(&mut self) {
        if let Some(Listening { task, .. }) = self.listening.get_mut().take() {
            task.abort();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            Some(ended) = connections.join_next() => ended.expect("a connection's task does not panic"),
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                shared.log.connected();
                connections.spawn(serve(client, Arc::clone(&shared)));
            }
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn serve(client: TcpStream, shared: Arc<Shared>) {
    let fault = shared.connections.decide(|()| true);
    // A small answer is not to wait for an acknowledgement.
    let _ = client.set_nodelay(true);
    match fault {
        Some((ConnectionFault::Reset, hits)) => {
            hits.count();
            link::reset(client);
        }
        Some((ConnectionFault::BlackHole, hits)) => {
            hits.count();
            link::swallow(client).await;
        }
        Some((ConnectionFault::ToServer(harm), hits)) => raw::carry(client, &shared.upstream, Some((harm, hits)), None).await,
        Some((ConnectionFault::ToClient(harm), hits)) => raw::carry(client, &shared.upstream, None, Some((harm, hits))).await,
        None if shared.http => exchange::serve(client, &shared).await,
        None => raw::carry(client, &shared.upstream, None, None).await,
    }
}
