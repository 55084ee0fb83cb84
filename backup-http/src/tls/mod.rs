//! TLS for [`server`](crate::server): rustls on aws-lc-rs, certificates from PEM files, taken up anew when the files change.

mod load;
mod names;
mod reload;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use backup_core::Result;
use rustls::ServerConfig;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::peer::PeerCertificate;
use reload::Reloading;

/// The optional `tls` block.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsConfig {
    /// The certificate chain, PEM, the server's own certificate first.
    pub cert_file: PathBuf,
    /// Its private key, PEM: PKCS#8, PKCS#1 or SEC1.
    pub key_file: PathBuf,
    /// The CA certificates that sign clients, PEM. With it, a client has to show a certificate.
    #[serde(default)]
    pub client_ca_file: Option<PathBuf>,
    /// Lets clients without a certificate in, too; `auth` or the dialect decides on them. One that is shown is verified.
    #[serde(default)]
    pub client_certificate_optional: bool,
}

impl TlsConfig {
    /// A certificate and its key; clients show none.
    pub fn new(cert_file: impl Into<PathBuf>, key_file: impl Into<PathBuf>) -> Self {
        Self { cert_file: cert_file.into(), key_file: key_file.into(), client_ca_file: None, client_certificate_optional: false }
    }

    /// Sets the CA of the clients.
    #[must_use]
    pub fn client_ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.client_ca_file = Some(path.into());
        self
    }

    /// Lets clients without a certificate in.
    #[must_use]
    pub fn client_certificate_optional(mut self, optional: bool) -> Self {
        self.client_certificate_optional = optional;
        self
    }
}

/// TLS that is ready to accept connections: 1.2 and 1.3, with `h2` and `http/1.1` offered by ALPN.
///
/// # Behavior
/// When one of the files changes, new connections get the new certificates; the files are looked at when a connection
/// comes in, at most every two seconds. New files that cannot be used are warned of once, and the old ones stay.
#[derive(Clone)]
pub struct Tls(Arc<Reloading>);

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// `http.tls_file`, which names the file and what is wrong in it.
    pub async fn load(config: TlsConfig) -> Result<Self> {
        Ok(Self(Arc::new(Reloading::load(config).await?)))
    }

    /// The rustls configuration for a connection that begins now; for an embedder's own server.
    pub async fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0).current().await
    }

    /// Takes a connection through its handshake; with the names in the client's verified certificate, if it showed one.
    pub(crate) async fn accept<I>(&self, io: I) -> std::io::Result<(TlsStream<I>, Option<PeerCertificate>)>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = TlsAcceptor::from(self.current().await);
        let stream = acceptor.accept(io).await?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).map(|shown| names::of(shown));
        Ok((stream, certificate))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("config", self.0.config()).finish_non_exhaustive()
    }
}
