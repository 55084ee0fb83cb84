//! Connections that nobody reads.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;

/// `CLIENT_SSL`, in the second byte of the capabilities.
const SSL: u8 = 0x08;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Speaks TLS before the stand-in, as a server that is `localhost`; gives its port.
async fn front(authority: &Authority, server: u16) -> u16 {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(certificate.pem().as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(relay(client, acceptor.clone(), server));
        }
    });
    port
}

async fn relay(mut client: TcpStream, acceptor: TlsAcceptor, server: u16) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", server)).await?;
    let mut greeting = packet(&mut server).await?;
    // Header, version of the protocol, version of the server, connection and half of the salt come before the capabilities.
    let version = greeting[5..].iter().position(|byte| *byte == 0).unwrap();
    greeting[5 + version + 1 + 4 + 8 + 1 + 1] |= SSL;
    client.write_all(&greeting).await?;
    packet(&mut client).await?;
    let mut client = acceptor.accept(client).await?;
    let mut login = packet(&mut client).await?;
    login[4 + 1] &= !SSL;
    server.write_all(&login).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn packet(from: &mut (impl AsyncReadExt + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut packet = vec![0; 4];
    from.read_exact(&mut packet).await?;
    let length = u32::from_le_bytes([packet[0], packet[1], packet[2], 0]) as usize;
    packet.resize(4 + length, 0);
    from.read_exact(&mut packet[4..]).await?;
    Ok(packet)
}

fn file(directory: &Path, text: &str) -> std::path::PathBuf {
    let path = directory.join("authority.pem");
    std::fs::write(&path, text).unwrap();
    path
}

#[tokio::test]
async fn with_an_authority_only_a_server_with_its_certificate_is_spoken_to() {
    let mut bench = Bench::new(|_| {}).await;
    let (right, wrong) = (authority(), authority());
    let port = front(&right, bench.server.port()).await;
    bench.config.address = format!("localhost:{port}");
    bench.config.ca_file = Some(file(bench.directory.path(), &right.pem()));
    bench.backup(&bench.order("one")).await.unwrap();

    for (text, address) in [
        (wrong.pem(), format!("localhost:{port}")),
        ("no certificate".to_owned(), format!("localhost:{port}")),
        (right.pem(), format!("127.0.0.1:{port}")),
        // It speaks no TLS.
        (right.pem(), bench.server.address()),
    ] {
        bench.config.ca_file = Some(file(bench.directory.path(), &text));
        bench.config.address = address;
        let error = bench.executor().identify(&bench.context()).await.unwrap_err();
        assert_eq!(code(&error), "br.config", "{error}");
    }
    bench.config.ca_file = Some(bench.directory.path().join("missing.pem"));
    let error = bench.executor().identify(&bench.context()).await.unwrap_err();
    assert!(error.to_string().contains("missing.pem"), "{error}");
    assert_eq!(bench.server.tasks().len(), 1);
}
