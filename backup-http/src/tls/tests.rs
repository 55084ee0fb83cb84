use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use axum::routing::get;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::Peer;
use crate::server::{Server, ServerConfig as HttpConfig};

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca() -> Ca {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, PEM.
fn signed(ca: &Ca, common_name: &str, alternative: &[&str]) -> (String, String) {
    let mut params = CertificateParams::new(alternative.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, ca).unwrap().pem(), key.serialize_pem())
}

struct Files {
    dir: TempDir,
    ca: Ca,
}

impl Files {
    fn new() -> Self {
        let files = Self { dir: TempDir::new().unwrap(), ca: ca() };
        files.server(&signed(&files.ca, "first", &["localhost"]));
        files.write("ca.pem", &files.ca.pem());
        files
    }

    fn server(&self, (cert, key): &(String, String)) {
        self.write("cert.pem", cert);
        self.write("key.pem", key);
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn config(&self) -> TlsConfig {
        TlsConfig::new(self.path("cert.pem"), self.path("key.pem"))
    }

    /// Connects, trusting our CA, and gives the answer of `/` and the common name of the server.
    async fn ask(&self, address: std::net::SocketAddr, client: Option<(String, String)>) -> std::io::Result<(String, String)> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = match client {
            Some((cert, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        let stream = TcpStream::connect(address).await?;
        let connector = TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await?;
        let server = names::of(&stream.get_ref().1.peer_certificates().unwrap()[0]).common_names.join(",");
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok((text, server))
    }
}

async fn serve(config: TlsConfig) -> (std::net::SocketAddr, CancellationToken) {
    let handler = get(|Extension(peer): Extension<Peer>| async move { format!("{:?}", peer.certificate) });
    let server = Server::bind(HttpConfig::new("127.0.0.1:0").tls(config)).await.unwrap();
    let (address, shutdown) = (server.local_addr(), CancellationToken::new());
    tokio::spawn(server.run(Router::new().route("/", handler), shutdown.clone(), Duration::ZERO));
    (address, shutdown)
}

#[tokio::test]
async fn a_client_certificate_is_verified_and_its_names_are_told() {
    let files = Files::new();
    let (address, _) = serve(files.config().client_ca_file(files.path("ca.pem"))).await;
    let client = signed(&files.ca, "operator", &["op.example.org", "192.0.2.7"]);
    let (text, _) = files.ask(address, Some(client)).await.unwrap();
    assert!(text.contains("[\"operator\"]") && text.contains("[\"op.example.org\", \"192.0.2.7\"]"), "{text}");
    assert!(files.ask(address, None).await.is_err(), "a certificate is required");
    assert!(files.ask(address, Some(signed(&ca(), "operator", &[]))).await.is_err(), "another CA signed it");
}

#[tokio::test]
async fn an_optional_client_certificate_may_be_absent_but_not_wrong() {
    let files = Files::new();
    let config = files.config().client_ca_file(files.path("ca.pem")).client_certificate_optional(true);
    let (address, _) = serve(config).await;
    assert!(files.ask(address, None).await.unwrap().0.ends_with("None"));
    assert!(files.ask(address, Some(signed(&ca(), "operator", &[]))).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn changed_files_are_taken_up_and_broken_ones_are_not() {
    let files = Files::new();
    let tls = Tls::load(files.config()).await.unwrap();
    let first = tls.current().await;
    files.server(&signed(&files.ca, "the second one", &["localhost"]));
    assert!(Arc::ptr_eq(&first, &tls.current().await), "it is not yet time to look");
    tokio::time::advance(reload::PERIOD).await;
    let second = tls.current().await;
    assert!(!Arc::ptr_eq(&first, &second));
    // A certificate without its key, as in the middle of a replacement; then the key.
    let (cert, key) = signed(&files.ca, "third", &["localhost"]);
    files.write("cert.pem", &cert);
    tokio::time::advance(reload::PERIOD).await;
    assert!(Arc::ptr_eq(&second, &tls.current().await), "the old pair stays");
    files.write("key.pem", &key);
    tokio::time::advance(reload::PERIOD).await;
    assert!(!Arc::ptr_eq(&second, &tls.current().await));
}

#[tokio::test]
async fn a_new_certificate_is_served_to_new_connections() {
    let files = Files::new();
    let (address, _) = serve(files.config()).await;
    assert_eq!(files.ask(address, None).await.unwrap().1, "first");
    files.server(&signed(&files.ca, "second", &["localhost"]));
    let limit = tokio::time::Instant::now() + Duration::from_secs(30);
    while files.ask(address, None).await.unwrap().1 != "second" {
        assert!(tokio::time::Instant::now() < limit, "it was never taken up");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_with_its_fault_and_never_shown() {
    let files = Files::new();
    let (_, key) = signed(&files.ca, "other", &[]);
    let damaged = key.replace("-----END", "---- END");
    for (name, text, why) in [
        ("cert.pem", "", "no certificate"),
        ("cert.pem", key.as_str(), "no certificate"),
        ("cert.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", ""),
        ("cert.pem", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "base64"),
        ("key.pem", "", "no private key"),
        ("key.pem", damaged.as_str(), "END"),
        ("key.pem", key.as_str(), "does not belong"),
        ("ca.pem", "nothing", "no certificate"),
    ] {
        let good = std::fs::read_to_string(files.path(name)).unwrap();
        files.write(name, text);
        let error = Tls::load(files.config().client_ca_file(files.path("ca.pem"))).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert_eq!(error.code().name, "http.tls_file", "{shown}");
        assert!(shown.contains(name) && shown.contains(why), "{name} {why}: {shown}");
        let secret = key.lines().nth(1).unwrap();
        assert!(!shown.contains(secret), "{shown}");
        files.write(name, &good);
    }
    let gone = TlsConfig::new(Path::new("/nonexistent/cert.pem"), files.path("key.pem"));
    assert!(Tls::load(gone).await.unwrap_err().to_string().contains("No such file"));
}

#[tokio::test]
async fn a_client_that_never_shakes_hands_is_cut() {
    let files = Files::new();
    let limits = crate::limits::Limits { header_read_timeout: Duration::from_millis(200), ..Default::default() };
    let server = Server::bind(HttpConfig::new("127.0.0.1:0").limits(limits).tls(files.config())).await.unwrap();
    let address = server.local_addr();
    tokio::spawn(server.run(Router::new(), CancellationToken::new(), Duration::ZERO));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[0x16, 3, 1]).await.unwrap();
    let mut rest = Vec::new();
    let reading = stream.read_to_end(&mut rest);
    let _ = tokio::time::timeout(Duration::from_secs(60), reading).await.expect("it is never cut");
}

#[tokio::test]
async fn a_client_that_never_shakes_hands_does_not_hold_up_a_shutdown() {
    let files = Files::new();
    let hour = Duration::from_secs(3600);
    let limits = crate::limits::Limits { header_read_timeout: hour, ..Default::default() };
    let server = Server::bind(HttpConfig::new("127.0.0.1:0").limits(limits).tls(files.config())).await.unwrap();
    let (address, shutdown) = (server.local_addr(), CancellationToken::new());
    let running = tokio::spawn(server.run(Router::new(), shutdown.clone(), hour));
    // A client that was served, so that the silent one before it is known to be accepted.
    let silent = TcpStream::connect(address).await.unwrap();
    let _ = files.ask(address, None).await;
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(60), running).await.expect("it waits for the handshake").unwrap();
    drop(silent);
}
