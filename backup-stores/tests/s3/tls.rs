//! A server behind TLS, whose authority only `ca-file` names.

use std::sync::Arc;

use backup_core::store::{PutOptions, StoreExt};
use backup_stores::OpenOptions;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::bench::{Bench, config, data, key, write};

/// Ends TLS for `localhost` before a server; gives its port and the authority that vouches for it.
async fn terminator(upstream: u16) -> (u16, String) {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(certificate.pem().as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let (Ok(mut client), Ok(mut server)) =
                    (acceptor.accept(stream).await, TcpStream::connect(("127.0.0.1", upstream)).await)
                else {
                    return;
                };
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (port, authority.pem())
}

#[tokio::test]
async fn a_server_behind_tls_is_trusted_by_the_authority_of_the_file_alone() {
    let Some(bench) = Bench::new().await else { return };
    let (port, authority) = terminator(bench.server.port).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("authority.pem");
    std::fs::write(&file, authority).unwrap();
    let mut block = bench.block();
    block["endpoint"] = json!(format!("https://localhost:{port}"));
    let untrusted = config(block.clone()).open_with(&bench.cx, &OpenOptions::default()).await.unwrap_err();
    assert_eq!(untrusted.code().name, "remote.certificate", "{untrusted}");

    block["ca-file"] = json!(file);
    let store = config(block).open_with(&bench.cx, &OpenOptions::default()).await.unwrap();
    let bytes = data(1, 12 << 20);
    store.put(&bench.cx, &key("small"), "small".into(), PutOptions::if_absent()).await.unwrap();
    assert_eq!(store.get(&bench.cx, &key("small"), 100).await.unwrap(), "small");
    store.delete(&bench.cx, &[key("small")]).await.unwrap().into_result().unwrap();
    write(&bench.cx, &*store, "big", &bytes, true).await.unwrap();
    bench.has_only(&*store, "big", &bytes).await;
}
