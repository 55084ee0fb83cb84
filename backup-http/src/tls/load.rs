//! Reading the PEM files.

use std::path::Path;
use std::sync::Arc;

use backup_core::{Error, Result};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsConfig;
use crate::codes;

fn wrong(what: &str, path: &Path, why: impl std::fmt::Display) -> Error {
    Error::new(&codes::TLS_FILE, format!("tls: {what} `{}`: {why}", path.display()))
}

/// Reads the files into a rustls configuration. Blocking.
pub(super) fn load(config: &TlsConfig) -> Result<ServerConfig> {
    let chain = certificates("cert-file", &config.cert_file)?;
    let key = PrivateKeyDer::from_pem_file(&config.key_file)
        .map_err(|error| wrong("key-file", &config.key_file, explain(error, "private key")))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(&codes::TLS_FILE, "tls: no protocol version is available").with_source(error))?;
    let builder = match &config.client_ca_file {
        Some(path) => builder.with_client_cert_verifier(verifier(path, config.client_certificate_optional, provider)?),
        None => builder.with_no_client_auth(),
    };
    let pair = |error: rustls::Error| match error {
        rustls::Error::InconsistentKeys(_) => wrong(
            "key-file",
            &config.key_file,
            format_args!("the key does not belong to the certificate in `{}`", config.cert_file.display()),
        ),
        rustls::Error::InvalidCertificate(_) => wrong("cert-file", &config.cert_file, error),
        other => wrong("key-file", &config.key_file, other),
    };
    let mut server = builder.with_single_cert(chain, key).map_err(pair)?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(server)
}

fn certificates(what: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = |error| wrong(what, path, explain(error, "certificate"));
    let certificates = CertificateDer::pem_file_iter(path).map_err(read)?.collect::<Result<Vec<_>, _>>().map_err(read)?;
    match certificates.is_empty() {
        true => Err(wrong(what, path, "there is no certificate in it")),
        false => Ok(certificates),
    }
}

fn verifier(path: &Path, optional: bool, provider: Arc<rustls::crypto::CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>> {
    let what = "client-ca-file";
    let mut roots = RootCertStore::empty();
    for (index, certificate) in certificates(what, path)?.into_iter().enumerate() {
        roots.add(certificate).map_err(|error| wrong(what, path, format_args!("certificate {}: {error}", index + 1)))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if optional { builder.allow_unauthenticated() } else { builder };
    builder.build().map_err(|error| wrong(what, path, error))
}

fn explain(error: pem::Error, wanted: &str) -> String {
    match error {
        pem::Error::NoItemsFound => format!("there is no {wanted} in it"),
        pem::Error::Io(error) => error.to_string(),
        pem::Error::MissingSectionEnd { .. } => format!("a {wanted} in it has no END line"),
        pem::Error::Base64Decode(_) => format!("a {wanted} in it is not base64"),
        // The rest may show a line of the file, which may be a key's.
        _ => "it is not PEM".into(),
    }
}
