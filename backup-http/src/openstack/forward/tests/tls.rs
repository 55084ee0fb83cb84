//! Services behind TLS.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::site::{Wire, caller, serve};
use crate::openstack::{ForwardOptions, Forwarder};

#[tokio::test]
async fn a_certificate_is_verified_against_the_systems_authorities_and_the_configured_ones() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, certificate.pem()).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let service = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            let _ = stream.shutdown().await;
        }
    });
    for (host, ca, status) in [
        ("localhost", Some(file.clone()), "HTTP/1.1 200 OK"),
        // Not the name in the certificate.
        ("127.0.0.1", Some(file.clone()), "HTTP/1.1 502 Bad Gateway"),
        ("localhost", None, "HTTP/1.1 502 Bad Gateway"),
    ] {
        let forwarder = Forwarder::new(ForwardOptions::default().ca_file(ca)).unwrap();
        let (front, task) = serve(forwarder, caller(&format!("https://{host}:{port}/v3"))).await;
        let mut client = Wire(TcpStream::connect(front).await.unwrap());
        client.send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert_eq!(client.head().await.0, status, "{host}");
        task.abort();
    }
    service.abort();
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_is_refused_by_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    for content in [None, Some(""), Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")] {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let error = Forwarder::new(ForwardOptions::default().ca_file(Some(file.clone()))).unwrap_err();
        assert_eq!(error.code().name, "http.tls_file");
        assert!(error.to_string().contains("ca.pem"), "{error}");
    }
}
