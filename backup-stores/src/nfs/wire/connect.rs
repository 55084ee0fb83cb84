//! Where the server is, and how a connection to it is made.

use std::io::{Error as IoError, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use backup_core::{Error, JobContext};
use backup_remote::codes as remote;
use nfs3_client::nfs3_types::rpc::{auth_unix, opaque_auth};
use nfs3_client::nfs3_types::xdr_codec::Opaque;
use nfs3_client::nfs3_types::{mount, nfs3, portmap};
use nfs3_client::rpc::RpcClient;
use nfs3_client::{PortmapError, PortmapperClient};
use tokio::net::{TcpSocket, TcpStream};

use super::socket::Socket;
use crate::nfs::codes::NFS_SERVICE;
use crate::nfs::config::NfsConfig;

/// The ports that only root may send from, and that others do not use by habit.
const PRIVILEGED: std::ops::RangeInclusive<u16> = 665..=1023;

/// A server, and who we say we are.
pub(in crate::nfs) struct Target {
    server: String,
    nfs_port: Option<u16>,
    mount_port: Option<u16>,
    portmapper_port: u16,
    privileged: bool,
    credential: opaque_auth<'static>,
    /// The port of NFS as the portmapper said.
    asked: Mutex<Option<u16>>,
}

/// A service of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Mount,
    Nfs,
}

/// A connection on which one call at a time is under way.
pub(super) struct Connection {
    pub(super) rpc: RpcClient<Socket>,
    stream: Arc<TcpStream>,
}

impl Connection {
    /// Whether the other side still holds it, as far as one can know without sending: nothing may come on an idle connection.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.stream.try_read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}

impl Target {
    pub(in crate::nfs) fn new(config: &NfsConfig) -> Self {
        let credential = opaque_auth::auth_unix(&auth_unix {
            stamp: 0,
            machinename: Opaque::borrowed(b"backup"),
            uid: config.user(),
            gid: config.group(),
            gids: Vec::new(),
        });
        Self {
            server: config.server.clone(),
            nfs_port: config.nfs_port,
            mount_port: config.mount_port,
            portmapper_port: config.portmapper_port,
            privileged: config.privileged_port,
            credential,
            asked: Mutex::default(),
        }
    }

    /// The server's name, for messages.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// Whether connections come from a port that only root may use.
    pub(super) fn is_privileged(&self) -> bool {
        self.privileged
    }

    /// Connects to a service, after asking for its port where that is not configured.
    pub(super) async fn connect(
        &self,
        cx: &JobContext,
        limit: std::time::Duration,
        service: Service,
    ) -> Result<Connection, Error> {
        let port = self.port(cx, limit, service).await?;
        let connected = self.open(cx, limit, port).await;
        if connected.is_err() {
            // A server that restarted may be elsewhere.
            self.remember(None);
        }
        let stream = Arc::new(connected?);
        let verifier = opaque_auth::default();
        Ok(Connection {
            rpc: RpcClient::new_with_auth(Socket::new(Arc::clone(&stream)), self.credential.clone(), verifier),
            stream,
        })
    }

    async fn port(&self, cx: &JobContext, limit: std::time::Duration, service: Service) -> Result<u16, Error> {
        let (configured, program, version) = match service {
            Service::Mount => (self.mount_port, mount::PROGRAM, mount::VERSION),
            Service::Nfs => {
                (self.nfs_port.or(*self.asked.lock().unwrap_or_else(PoisonError::into_inner)), nfs3::PROGRAM, nfs3::VERSION)
            }
        };
        if let Some(port) = configured {
            return Ok(port);
        }
        let stream = self.open(cx, limit, self.portmapper_port).await.map_err(|error| {
            error.context("asking the portmapper; with `nfs-port` and `mount-port` in the configuration it is not needed")
        })?;
        let mut portmapper = PortmapperClient::new(Socket::new(Arc::new(stream)));
        let port = portmapper.getport(program, version, portmap::IPPROTO_TCP).await.map_err(|error| match error {
            PortmapError::ProgramUnavailable => {
                let text = format!("the portmapper of `{}` knows no {service:?} of version 3 over TCP", self.server);
                Error::new(&NFS_SERVICE, text)
            }
            error => {
                Error::new(&remote::ANSWER, format!("the portmapper of `{}` did not answer", self.server)).with_source(error)
            }
        })?;
        if service == Service::Nfs {
            self.remember(Some(port));
        }
        Ok(port)
    }

    fn remember(&self, port: Option<u16>) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = port;
    }

    /// Connects to the first address of the server that takes it.
    async fn open(&self, cx: &JobContext, limit: std::time::Duration, port: u16) -> Result<TcpStream, Error> {
        let unreachable = |error: IoError| {
            Error::new(&remote::UNREACHABLE, format!("`{}` port {port} cannot be reached", self.server)).with_source(error)
        };
        let mut last = IoError::new(ErrorKind::NotFound, "the name has no address");
        let connected = async {
            for address in tokio::net::lookup_host((self.server.as_str(), port)).await? {
                match self.open_address(address).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = error,
                }
            }
            Err(last)
        };
        let connected = tokio::select! {
            connected = connected => connected,
            () = cx.clock().sleep(limit) => Err(IoError::new(ErrorKind::TimedOut, format!("no connection within {} s", limit.as_secs()))),
        };
        let stream = connected.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        Ok(stream)
    }

    async fn open_address(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        /// Where the last one was found, so that many are not tried in vain each time.
        static NEXT: AtomicU16 = AtomicU16::new(0);
        if !self.privileged {
            return TcpStream::connect(address).await;
        }
        let ports = PRIVILEGED.end() - PRIVILEGED.start() + 1;
        for _ in 0..ports {
            let port = PRIVILEGED.end() - NEXT.fetch_add(1, Ordering::Relaxed) % ports;
            let (socket, any) = match address {
                SocketAddr::V4(_) => (TcpSocket::new_v4()?, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
                SocketAddr::V6(_) => (TcpSocket::new_v6()?, IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
            };
            let taken = |error: &IoError| matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable);
            match socket.bind(SocketAddr::new(any, port)) {
                Err(error) if taken(&error) => continue,
                bound => bound?,
            }
            match socket.connect(address).await {
                Err(error) if taken(&error) => {}
                connected => return connected,
            }
        }
        Err(IoError::new(ErrorKind::AddrInUse, "no privileged port is free"))
    }
}
