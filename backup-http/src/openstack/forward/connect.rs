//! Connections to the services.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::http::Uri;
use axum::http::uri::Scheme;
use backup_core::{Error, Result};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::Verifier;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::codes;

/// Where a service listens.
#[derive(Debug, Clone)]
pub(super) struct Address {
    tls: bool,
    host: String,
    port: u16,
    /// For the header `Host`.
    pub(super) authority: String,
}

impl Address {
    /// Where the endpoint is, and what a request of `path` below it asks for there.
    pub(super) fn below(endpoint: &str, path: &str, query: Option<&str>) -> std::result::Result<(Self, Uri), String> {
        let uri: Uri = endpoint.parse().map_err(|error| format!("{endpoint}: {error}"))?;
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(format!("{endpoint}: neither http:// nor https://")),
        };
        let Some(authority) = uri.authority().filter(|authority| !authority.as_str().contains('@')) else {
            return Err("an address without a host, or with a user".to_owned());
        };
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        let target = format!("{}{path}{query}", uri.path().trim_end_matches('/'));
        let target = target.parse().map_err(|error| format!("{endpoint}: {error}"))?;
        let address = Self {
            tls,
            host: authority.host().trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            authority: authority.to_string(),
        };
        Ok((address, target))
    }
}

/// A connection, whatever it goes over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Makes connections.
pub(super) struct Connector {
    /// Why there is no TLS, where there is none: without any authority to trust, which matters only when a service asks for it.
    tls: std::result::Result<TlsConnector, String>,
}

impl Connector {
    /// Trusts the system's authorities, and those of the file.
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self> {
        let wrong = |path: &Path, why: &dyn fmt::Display| {
            Error::new(&codes::TLS_FILE, format!("the file of authorities `{}`: {why}", path.display()))
        };
        let authorities = match ca_file {
            None => Vec::new(),
            Some(path) => {
                let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
                let read: Vec<CertificateDer<'static>> = read.map_err(|error| wrong(path, &error))?;
                if read.is_empty() { Err(wrong(path, &"there is no certificate in it"))? } else { read }
            }
        };
        let tls = client(authorities);
        match (ca_file, tls) {
            (Some(path), Err(error)) => Err(wrong(path, &error)),
            (_, tls) => Ok(Self { tls: tls.map_err(|error| error.to_string()) }),
        }
    }

    pub(super) async fn connect(&self, address: &Address) -> io::Result<TokioIo<Box<dyn Stream>>> {
        let plain = TcpStream::connect((address.host.as_str(), address.port)).await?;
        plain.set_nodelay(true)?;
        if !address.tls {
            return Ok(TokioIo::new(Box::new(plain)));
        }
        let tls = self.tls.as_ref().map_err(|why| io::Error::other(why.clone()))?;
        let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
        Ok(TokioIo::new(Box::new(tls.connect(name, plain).await?)))
    }
}

fn client(authorities: Vec<CertificateDer<'static>>) -> std::result::Result<TlsConnector, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(authorities, Arc::clone(&provider))?;
    // "Dangerous" is what rustls calls any verifier that it has not made itself; this one verifies as the system does.
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(client)))
}
