//! Each supported etcd, plain and with everything on: captured, restored by etcd's own tool, and asked for every key.
#![cfg(feature = "etcd")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use backup_core::{Digest, Revision, Source};
use backup_sources::etcd::EtcdSource;
use support::etcd::{Pki, Server, Setup, V3_4, V3_5, V3_6, V3_7, assert_filled, fill, restore, server, tool};
use support::{RecordingSink, context};

const KEYS: usize = 150;
const SIZE: usize = 30_000;

async fn round_trip(version: &str, secured: bool) {
    let (Some(program), Some(_)) = (server(version), tool("etcdutl")) else { return };
    let pki = secured.then(Pki::new);
    let etcd = Server::start(&program, &Setup { pki: pki.as_ref(), ..Setup::default() }).await;
    let mut client = etcd.client().await;
    let revision = fill(&mut client, KEYS, SIZE).await;
    let mut config = etcd.config(pki.as_ref());
    if secured {
        client.user_add("root", "pass word!", None).await.unwrap();
        client.user_grant_role("root", "root").await.unwrap();
        client.auth_enable().await.unwrap();
        config.username = "root".into();
        config.password = "pass word!".into();
    }

    let source = EtcdSource::new(config).unwrap();
    let probe = source.probe(&context()).await.unwrap();
    let sink = RecordingSink::default();
    let summary = source.capture(&context(), &sink).await.unwrap();
    let (name, snapshot) = sink.only();

    assert_eq!(name, "snapshot.db");
    assert_eq!(summary.warnings, Vec::<String>::new());
    assert_eq!(summary.revision, Some(Revision::exact(revision)));
    assert_eq!(summary.version.as_deref(), Some(version));
    assert_eq!((&probe.revision, &probe.identity, &probe.version), (&summary.revision, &summary.identity, &summary.version));
    let (db, trailer) = snapshot.split_at(snapshot.len() - 32);
    let integrity = summary.integrity.unwrap();
    assert_eq!(integrity["sha256"], Digest::of(db).to_string());
    assert_eq!(integrity["db-size"], db.len());
    assert_eq!(Digest::of(db).as_bytes(), trailer);
    assert_eq!(sink.opened()[0].1.size_hint, Some(snapshot.len() as u64));
    drop(etcd);

    let (_directory, data) = restore(&snapshot);
    let restored = Server::start(&program, &Setup { data: Some(&data), pki: pki.as_ref(), ..Setup::default() }).await;
    let mut client = if secured { restored.client_as("root", "pass word!").await } else { restored.client().await };
    assert_filled(&mut client, KEYS, SIZE).await;
    let status = client.status().await.unwrap();
    assert_eq!(status.header().unwrap().revision(), i64::try_from(revision).unwrap());
}

macro_rules! matrix {
    ($($plain:ident, $secured:ident: $version:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $plain() {
            round_trip($version, false).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $secured() {
            round_trip($version, true).await;
        }
    )*};
}

matrix! {
    etcd_3_4_comes_back, etcd_3_4_with_tls_and_users_comes_back: V3_4;
    etcd_3_5_comes_back, etcd_3_5_with_tls_and_users_comes_back: V3_5;
    etcd_3_6_comes_back, etcd_3_6_with_tls_and_users_comes_back: V3_6;
    etcd_3_7_comes_back, etcd_3_7_with_tls_and_users_comes_back: V3_7;
}
