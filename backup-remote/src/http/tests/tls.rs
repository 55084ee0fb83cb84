//! Authorities and certificates.

use std::path::PathBuf;
use std::sync::Arc;

use backup_core::Result;
use backup_core::testkit::{test_context, test_environment};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::http::{Http, HttpOptions};
use crate::{Call, CallLimits, Calls};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Certificate and key for `localhost`, as PEM.
fn identity(authority: &Authority) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, authority).unwrap().pem();
    (certificate, key.serialize_pem())
}

/// Answers every request for `localhost`, with `clients` only of those that this authority knows; gives its port.
async fn server(authority: &Authority, clients: Option<&Authority>) -> u16 {
    let (certificate, key) = identity(authority);
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(clients) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(clients.der().clone()).unwrap();
            let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            while stream.read_line(&mut line).await.is_ok_and(|bytes| bytes > 2) {}
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

struct Files(TempDir);

impl Files {
    fn write(&self, text: &str) -> Option<PathBuf> {
        Some(self.named("authorities.pem", text))
    }

    fn named(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn client(file: Option<PathBuf>) -> Result<Http> {
    Http::new(Calls::new("s3", CallLimits::default()), &HttpOptions::default().ca_file(file))
}

async fn ask(http: &Http, url: &str) -> Result<Vec<u8>> {
    let (environment, clock) = test_environment(1);
    clock.auto_advance_up_to(std::time::Duration::from_secs(25));
    let request = http::Request::get(url).body(Vec::new()).unwrap();
    let answer = http.fetch(&test_context(&environment), &Call::reading("Get"), &request, 100).await?;
    Ok(answer.into_body().into())
}

#[tokio::test]
async fn a_service_is_trusted_by_the_authorities_of_the_file_and_by_its_name() {
    let (files, ours, others) = (Files(TempDir::new().unwrap()), authority(), authority());
    let port = server(&ours, None).await;
    let url = format!("https://localhost:{port}/");
    let both = client(files.write(&format!("{}\n{}", others.pem(), ours.pem()))).unwrap();
    assert_eq!(ask(&both, &url).await.unwrap(), b"ok");

    let none = client(None).unwrap();
    let wrong = client(files.write(&others.pem())).unwrap();
    for (what, http, url) in [
        ("no authority", &none, &url),
        ("another one", &wrong, &url),
        ("another name", &both, &format!("https://127.0.0.1:{port}/")),
    ] {
        let error = ask(http, url).await.unwrap_err();
        assert_eq!(error.code().name, "remote.certificate", "{what}: {error}");
        assert!(error.to_string().contains("certificate") && !error.to_string().contains("attempt"), "{what}: {error}");
    }
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_is_refused_by_its_name() {
    let files = Files(TempDir::new().unwrap());
    let cut = authority().pem().replace("-----END", "");
    let no_base64 = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for text in ["", "no certificate at all", no_base64, no_certificate, &cut] {
        let error = client(files.write(text)).unwrap_err();
        assert_eq!(error.code().name, "remote.config", "{text}: {error}");
        assert!(error.to_string().contains("authorities.pem"), "{error}");
    }
    let error = client(Some(files.0.path().join("missing.pem"))).unwrap_err();
    assert!(error.code().name == "remote.config" && error.to_string().contains("missing.pem"), "{error}");
}

#[tokio::test]
async fn a_service_that_asks_who_calls_is_told() {
    let (files, ours, callers) = (Files(TempDir::new().unwrap()), authority(), authority());
    let url = format!("https://localhost:{}/", server(&ours, Some(&callers)).await);
    let authorities = files.write(&ours.pem());
    let client = |identity| {
        let options = HttpOptions::default().ca_file(authorities.clone()).identity_files(identity);
        let limits = CallLimits { attempts: 1, ..CallLimits::default() };
        Http::new(Calls::new("pd", limits), &options)
    };
    let (certificate, key) = identity(&callers);
    let (certificate, key) = (files.named("cert.pem", &certificate), files.named("key.pem", &key));
    let known = client(Some((certificate.clone(), key.clone()))).unwrap();
    assert_eq!(ask(&known, &url).await.unwrap(), b"ok");
    assert!(ask(&client(None).unwrap(), &url).await.is_err(), "nobody in particular was served");

    for pair in [(certificate.clone(), files.0.path().join("missing.pem")), (certificate, files.named("no.pem", "no key"))] {
        let error = client(Some(pair)).unwrap_err();
        assert!(error.code().name == "remote.config" && error.to_string().contains(".pem"), "{error}");
    }
}
