//! Who is at the other end of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

/// The other end of the connection that a request came over; `server` puts it into each request's extensions, an
/// embedder with a server of its own may do the same.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// Address and port of the client, or of the last proxy before this server.
    pub address: SocketAddr,
    /// What the certificate says that the client showed; `None` without TLS or without one. It was verified against the CA.
    pub certificate: Option<Arc<PeerCertificate>>,
}

/// The names in a verified client certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerCertificate {
    /// The common names of its subject (normally one).
    pub common_names: Vec<String>,
    /// The DNS names, e-mail addresses, URIs and IP addresses of its subject alternative names, as text.
    pub alternative_names: Vec<String>,
}

impl Peer {
    /// A peer without a client certificate.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, certificate: None }
    }

    /// Adds the names of the client's certificate, which must have been verified.
    #[must_use]
    pub fn with_certificate(mut self, certificate: PeerCertificate) -> Self {
        self.certificate = Some(Arc::new(certificate));
        self
    }
}
