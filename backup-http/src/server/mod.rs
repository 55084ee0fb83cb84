//! A server for programs that have none: a router on TCP or TLS, under [`Limits`], with a graceful end.
//!
//! No router of this crate calls it: an embedder mounts the routers into a server of their own.

mod config;
mod connection;
mod io;
#[cfg(test)]
mod tests;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use backup_core::{Error, Result};
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::{Listen, ServerConfig};

use crate::limits::Limits;
#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::{Peer, codes, fallback};
use io::WatchedIo;
use watch::Watch;

/// The pause after a failed `accept`: out of file descriptors is the usual reason, and trying on at once only burns CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server that listens, and serves once it is run.
///
/// # Behavior
/// HTTP/1.1 and HTTP/2, told apart by the first bytes and by ALPN. Each request's extensions hold its [`Peer`]. A client
/// that sends its head too slowly, asks nothing, or takes nothing of an answer is cut after the time that [`Limits`] gives.
/// A handler that panics is a 500.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    limits: Limits,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Server {
    /// Checks the configuration, reads the certificates and listens.
    ///
    /// # Errors
    /// `http.config_invalid`, `http.tls_file`, `http.bind_failed`.
    pub async fn bind(config: ServerConfig) -> Result<Self> {
        config.limits.check()?;
        #[cfg(feature = "tls")]
        let tls = match config.tls {
            Some(tls) => Some(Tls::load(tls).await?),
            None => None,
        };
        let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
        for address in &config.listen.0 {
            let failed = |error| Error::new(&codes::BIND_FAILED, format!("cannot listen on {address}")).with_source(error);
            let listener = TcpListener::bind(address.as_str()).await.map_err(failed)?;
            addresses.push(listener.local_addr().map_err(failed)?);
            listeners.push(listener);
        }
        if listeners.is_empty() {
            return Err(Error::new(&codes::CONFIG_INVALID, "listen: no address is given"));
        }
        Ok(Self {
            listeners,
            addresses,
            limits: config.limits,
            #[cfg(feature = "tls")]
            tls,
        })
    }

    /// The addresses that it listens on, in the order of the configuration, with the ports that were taken.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The first of them.
    pub fn local_addr(&self) -> SocketAddr {
        self.addresses.first().copied().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// Serves until `shutdown`; then accepts nothing more, lets open requests end for `grace`, and cuts what is left.
    /// Returns when no connection is open any more.
    ///
    /// # Cancel safety
    /// Dropping the future stops accepting; open connections go on to their end. Use the token.
    pub async fn run(self, router: Router, shutdown: CancellationToken, grace: Duration) {
        let shared = Arc::new(Shared {
            router: router.layer(fallback::catch_panics()),
            builder: Arc::new(connection::builder(&self.limits)),
            places: Arc::new(Semaphore::new(self.limits.connections)),
            limits: self.limits,
            #[cfg(feature = "tls")]
            tls: self.tls,
            tasks: TaskTracker::new(),
            shutdown: shutdown.child_token(),
            cut: CancellationToken::new(),
        });
        let accepting = self.listeners.into_iter().map(|listener| accept(Arc::clone(&shared), listener));
        futures::future::join_all(accepting).await;
        shared.tasks.close();
        if tokio::time::timeout(grace, shared.tasks.wait()).await.is_err() {
            tracing::warn!(connections = shared.tasks.len(), "the grace period is over; cutting what is left");
            shared.cut.cancel();
            shared.tasks.wait().await;
        }
    }
}

struct Shared {
    router: Router,
    builder: Arc<Builder<TokioExecutor>>,
    limits: Limits,
    places: Arc<Semaphore>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    cut: CancellationToken,
}

/// Accepts until the shutdown, never more than there are places.
async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let accepting = async {
        loop {
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&shared.places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, address)) => {
                    let serving = open(Arc::clone(&shared), stream, address, place);
                    shared.tasks.spawn(serving);
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shared.shutdown.cancelled() => {}
    }
}

async fn open(shared: Arc<Shared>, stream: TcpStream, address: SocketAddr, _place: OwnedSemaphorePermit) {
    // Answers are written whole; waiting for more to send with them only delays. Where it cannot be set, it is only slower.
    let _ = stream.set_nodelay(true);
    let watch = Watch::new(shared.limits.clone());
    let io = WatchedIo { inner: stream, watch: Arc::clone(&watch) };
    let serving = async {
        let (builder, router) = (Arc::clone(&shared.builder), shared.router.clone());
        let peer = Peer::new(address);
        #[cfg(feature = "tls")]
        if let Some(tls) = &shared.tls {
            let handshake = tokio::time::timeout(shared.limits.header_read_timeout, tls.accept(io));
            // No request is lost by that: none can have come yet.
            let Some(shaken) = shared.shutdown.run_until_cancelled(handshake).await else { return };
            match shaken {
                Ok(Ok((io, certificate))) => {
                    let peer = certificate.into_iter().fold(peer, Peer::with_certificate);
                    connection::serve(io, builder, router, peer, watch, shared.shutdown.clone()).await;
                }
                Ok(Err(error)) => tracing::debug!(remote = %address, %error, "a TLS handshake failed"),
                Err(_) => tracing::debug!(remote = %address, "a TLS handshake took too long"),
            }
            return;
        }
        connection::serve(io, builder, router, peer, watch, shared.shutdown.clone()).await;
    };
    tokio::select! {
        () = serving => {}
        () = shared.cut.cancelled() => {}
    }
}
